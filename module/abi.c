// SPDX-License-Identifier: GPL-2.0
/*
 * Build-time proofs that no struct of the UAPI has holes and that none changes its size: the sizes
 * of all members add up to the size of the struct, and that is the number that was published. One that grows
 * does so at its end, and its row (EXO_OP_GROWN) says where it ended at first.
 */
#include <linux/build_bug.h>
#include <linux/stddef.h>

#include <exo/exo.h>

#include "dev.h"

#define M(type, member) sizeof_field(struct type, member)

#define ABI_OK(type, bytes, members) \
	(sizeof(struct type) == (bytes) && sizeof(struct type) == (members))

#define ABI(type, bytes, members) static_assert(ABI_OK(type, bytes, members))

/* A struct that dev.c copies; its first two members are size and flags. */
#define ABI_OP(type, bytes, members) \
	static_assert(ABI_OK(type, bytes, M(type, size) + M(type, flags) + (members)) && \
		      offsetof(struct type, size) == 0 && (bytes) <= EXO_OP_MAX_SIZE && \
		      (bytes) % sizeof(u64) == 0)

ABI_OP(exo_info, 64, M(exo_info, out_features) + M(exo_info, out_frames) +
	M(exo_info, out_colours) + M(exo_info, out_nodes) + M(exo_info, out_max_ops) +
	M(exo_info, out_max_pages) + M(exo_info, out_view_pages) +
	M(exo_info, out_table_bytes) + M(exo_info, out_ring_bytes) + M(exo_info, out_env));
ABI(exo_uring_cmd, 16, M(exo_uring_cmd, arg) + M(exo_uring_cmd, reserved));
ABI(exo_event, 64, M(exo_event, type) + M(exo_event, seq) + M(exo_event, time_ns) +
	M(exo_event, arg));
ABI(exo_ring, 4096 + 65536, M(exo_ring, head) + M(exo_ring, overflow) +
	M(exo_ring, reserved0) + M(exo_ring, tail) + M(exo_ring, reserved1) + M(exo_ring, ev));
ABI_OP(exo_env_eventfd, 16, M(exo_env_eventfd, fd) + M(exo_env_eventfd, reserved));
ABI_OP(exo_env_status, 88, M(exo_env_status, out_env) + M(exo_env_status, out_uid) +
	M(exo_env_status, out_pid) + M(exo_env_status, out_frames) +
	M(exo_env_status, out_quarantined) + M(exo_env_status, out_views) +
	M(exo_env_status, out_wanted) + M(exo_env_status, out_bound) +
	M(exo_env_status, out_asked) + M(exo_env_status, out_given) +
	M(exo_env_status, out_taken) + M(exo_env_status, out_log) +
	M(exo_env_status, out_deadline_ns));
ABI_OP(exo_env_list, 40, M(exo_env_list, count) + M(exo_env_list, out_done) +
	M(exo_env_list, envs) + M(exo_env_list, start) + M(exo_env_list, row_size) +
	M(exo_env_list, reserved));
ABI_OP(exo_quota, 72, M(exo_quota, uid) + M(exo_quota, frames) + M(exo_quota, min) +
	M(exo_quota, deadline_ms) + M(exo_quota, envs) + M(exo_quota, views) +
	M(exo_quota, out_frames) + M(exo_quota, out_envs) + M(exo_quota, grafts) +
	M(exo_quota, graft_insns) + M(exo_quota, graft_jit) + M(exo_quota, out_grafts) +
	M(exo_quota, out_graft_insns) + M(exo_quota, out_graft_jit) +
	       M(exo_quota, out_may) + M(exo_quota, out_may_huge));

ABI(exo_cap, 32, M(exo_cap, kind) + M(exo_cap, rights) + M(exo_cap, reserved) +
	M(exo_cap, object) + M(exo_cap, generation) + M(exo_cap, mac));
ABI_OP(exo_cap_create, 56, M(exo_cap_create, kind) + M(exo_cap_create, rights) +
	M(exo_cap_create, reserved) + M(exo_cap_create, object) + M(exo_cap_create, out_cap));
ABI_OP(exo_cap_derive, 80, M(exo_cap_derive, cap) + M(exo_cap_derive, rights) +
	M(exo_cap_derive, reserved) + M(exo_cap_derive, out_cap));
ABI_OP(exo_cap_revoke, 56, M(exo_cap_revoke, kind) + M(exo_cap_revoke, reserved) +
	M(exo_cap_revoke, object) + M(exo_cap_revoke, cap));
ABI_OP(exo_cap_check, 48, M(exo_cap_check, cap) + M(exo_cap_check, rights) +
	M(exo_cap_check, reserved));

ABI(exo_frame_entry, 8, M(exo_frame_entry, state) + M(exo_frame_entry, order) +
	M(exo_frame_entry, node) + M(exo_frame_entry, flags) + M(exo_frame_entry, colour) +
	M(exo_frame_entry, reserved));
ABI(exo_table, 4096, M(exo_table, frames) + M(exo_table, present) + M(exo_table, free) +
	M(exo_table, target) + M(exo_table, free_huge) + M(exo_table, reserved));
ABI_OP(exo_mem_pool, 24, M(exo_mem_pool, frames) + M(exo_mem_pool, node) +
	M(exo_mem_pool, out_done) + M(exo_mem_pool, reserved));
ABI_OP(exo_mem_alloc, 56, M(exo_mem_alloc, count) + M(exo_mem_alloc, colour) +
	M(exo_mem_alloc, node) + M(exo_mem_alloc, out_done) + M(exo_mem_alloc, frames_ptr) +
	M(exo_mem_alloc, rights) + M(exo_mem_alloc, out_sent) + M(exo_mem_alloc, caps_ptr) +
	M(exo_mem_alloc, sock) + M(exo_mem_alloc, reserved));
ABI_OP(exo_mem_frames, 24, M(exo_mem_frames, count) + M(exo_mem_frames, out_done) +
	M(exo_mem_frames, frames_ptr));
ABI_OP(exo_mem_import, 88, M(exo_mem_import, cap) + M(exo_mem_import, out_frame) +
	M(exo_mem_import, out_rights) + M(exo_mem_import, out_order) +
	M(exo_mem_import, view) + M(exo_mem_import, page) + M(exo_mem_import, rights) +
	M(exo_mem_import, out_done) + M(exo_mem_import, out_received) +
	M(exo_mem_import, sock) + M(exo_mem_import, count) + M(exo_mem_import, caps_ptr));
ABI_OP(exo_mem_view_create, 40, M(exo_mem_view_create, pages) + M(exo_mem_view_create, stlb) +
	M(exo_mem_view_create, out_view) + M(exo_mem_view_create, reserved) +
	M(exo_mem_view_create, out_offset) + M(exo_mem_view_create, out_length));
ABI_OP(exo_mem_view, 16, M(exo_mem_view, view) + M(exo_mem_view, reserved));
ABI(exo_mem_op, 16, M(exo_mem_op, page) + M(exo_mem_op, count) + M(exo_mem_op, frame) +
	M(exo_mem_op, rights) + M(exo_mem_op, flags));
ABI_OP(exo_mem_batch, 32, M(exo_mem_batch, view) + M(exo_mem_batch, count) +
	M(exo_mem_batch, out_done) + M(exo_mem_batch, reserved) + M(exo_mem_batch, ops));
ABI_OP(exo_mem_harvest, 40, M(exo_mem_harvest, view) + M(exo_mem_harvest, page) +
	M(exo_mem_harvest, count) + M(exo_mem_harvest, reserved) +
	M(exo_mem_harvest, out_accessed) + M(exo_mem_harvest, out_dirty) +
	M(exo_mem_harvest, bits));
ABI(exo_upcall_save, 48, M(exo_upcall_save, ip) + M(exo_upcall_save, sp) +
	M(exo_upcall_save, flags) + M(exo_upcall_save, address) + M(exo_upcall_save, view) +
	M(exo_upcall_save, page) + M(exo_upcall_save, fault) + M(exo_upcall_save, busy));
ABI_OP(exo_mem_upcall, 40, M(exo_mem_upcall, slot) + M(exo_mem_upcall, reserved) +
	M(exo_mem_upcall, handler) + M(exo_mem_upcall, stack) + M(exo_mem_upcall, stride));
ABI(exo_resume_regs, 144, M(exo_resume_regs, ip) + M(exo_resume_regs, sp) +
	M(exo_resume_regs, flags) + 15 * M(exo_resume_regs, ax));
ABI_OP(exo_mem_resume, 24, M(exo_mem_resume, slot) + M(exo_mem_resume, level) +
	M(exo_mem_resume, regs));
ABI_OP(exo_mem_wake, 24, M(exo_mem_wake, view) + M(exo_mem_wake, page) +
	M(exo_mem_wake, count) + M(exo_mem_wake, reserved));
ABI_OP(exo_mem_revoke, 32, M(exo_mem_revoke, env) + M(exo_mem_revoke, frames) +
	M(exo_mem_revoke, deadline_ms) + M(exo_mem_revoke, out_asked) +
	M(exo_mem_revoke, reserved));
ABI(exo_mem_taken, 32, M(exo_mem_taken, frame) + M(exo_mem_taken, view) +
	M(exo_mem_taken, address) + M(exo_mem_taken, time_ns) + M(exo_mem_taken, why) +
	M(exo_mem_taken, reserved));
ABI_OP(exo_mem_log, 32, M(exo_mem_log, count) + M(exo_mem_log, out_done) +
	M(exo_mem_log, out_left) + M(exo_mem_log, reserved) + M(exo_mem_log, entries));
ABI(exo_frame_info, 24, M(exo_frame_info, frame) + M(exo_frame_info, rights) +
	M(exo_frame_info, hold) + M(exo_frame_info, bindings) + M(exo_frame_info, reserved) +
	M(exo_frame_info, pfn));
ABI_OP(exo_mem_query, 32, M(exo_mem_query, frame) + M(exo_mem_query, count) +
	M(exo_mem_query, out_done) + M(exo_mem_query, reserved) + M(exo_mem_query, infos));

ABI(exo_graft_error, 48, M(exo_graft_error, code) + M(exo_graft_error, slot) +
	M(exo_graft_error, reg) + M(exo_graft_error, region) + M(exo_graft_error, size) +
	M(exo_graft_error, reserved) + M(exo_graft_error, lo) + M(exo_graft_error, hi) +
	M(exo_graft_error, bound));
ABI_OP(exo_graft_load, 176, M(exo_graft_load, hook) + M(exo_graft_load, mode) +
	M(exo_graft_load, nr_insns) + M(exo_graft_load, const_size) +
	M(exo_graft_load, state_pages) + M(exo_graft_load, cert_size) +
	M(exo_graft_load, insns) + M(exo_graft_load, consts) + M(exo_graft_load, cert) +
	M(exo_graft_load, name) + M(exo_graft_load, out_graft) + M(exo_graft_load, out_mode) +
	M(exo_graft_load, out_mixed) + M(exo_graft_load, out_lowered) +
	M(exo_graft_load, out_jit_bytes) + M(exo_graft_load, out_reserved) +
	M(exo_graft_load, out_worst) + M(exo_graft_load, out_state) +
	M(exo_graft_load, out_error));
ABI_OP(exo_graft_unload, 16, M(exo_graft_unload, graft) + M(exo_graft_unload, reserved));
ABI_OP(exo_graft_attach, 56, M(exo_graft_attach, graft) + M(exo_graft_attach, target) +
	M(exo_graft_attach, cookie) + M(exo_graft_attach, cap));
ABI_OP(exo_graft_detach, 16, M(exo_graft_detach, hook) + M(exo_graft_detach, target));
ABI_OP(exo_graft_invoke, 136, M(exo_graft_invoke, graft) + M(exo_graft_invoke, repeat) +
	M(exo_graft_invoke, data) + M(exo_graft_invoke, data_out) +
	M(exo_graft_invoke, data_size) + M(exo_graft_invoke, out_result) +
	M(exo_graft_invoke, arg) + M(exo_graft_invoke, out) + M(exo_graft_invoke, out_status) +
	M(exo_graft_invoke, out_runs) + M(exo_graft_invoke, out_charged) +
	M(exo_graft_invoke, out_ns) + M(exo_graft_invoke, out_cycles));
ABI_OP(exo_graft_info, 168, M(exo_graft_info, graft) + M(exo_graft_info, out_hook) +
	M(exo_graft_info, out_env) + M(exo_graft_info, out_uid) + M(exo_graft_info, out_mode) +
	M(exo_graft_info, out_flags) + M(exo_graft_info, out_insns) +
	M(exo_graft_info, out_lowered) + M(exo_graft_info, out_jit_bytes) +
	M(exo_graft_info, out_const_size) + M(exo_graft_info, out_state_pages) +
	M(exo_graft_info, out_attached) + M(exo_graft_info, out_reserved) +
	M(exo_graft_info, out_worst) + M(exo_graft_info, out_runs) +
	M(exo_graft_info, out_aborts) + M(exo_graft_info, out_charged) +
	M(exo_graft_info, out_name));
ABI_OP(exo_graft_list, 32, M(exo_graft_list, count) + M(exo_graft_list, out_done) +
	M(exo_graft_list, rows) + M(exo_graft_list, start));
ABI(exo_graft_trace, 32, M(exo_graft_trace, time_ns) + M(exo_graft_trace, arg) +
	M(exo_graft_trace, seq));
ABI_OP(exo_graft_log, 40, M(exo_graft_log, graft) + M(exo_graft_log, count) +
	M(exo_graft_log, out_done) + M(exo_graft_log, reserved) + M(exo_graft_log, start) +
	M(exo_graft_log, entries));
ABI_OP(exo_graft_kill, 16, M(exo_graft_kill, graft) + M(exo_graft_kill, reserved));

ABI(exo_ctx_xn_owns, 32, M(exo_ctx_xn_owns, data) + M(exo_ctx_xn_owns, data_end) +
	M(exo_ctx_xn_owns, part) + M(exo_ctx_xn_owns, block));
ABI(exo_ctx_xn_acl, 80, M(exo_ctx_xn_acl, data) + M(exo_ctx_xn_acl, data_end) +
	M(exo_ctx_xn_acl, right) + M(exo_ctx_xn_acl, uid) + M(exo_ctx_xn_acl, owner) +
	M(exo_ctx_xn_acl, keys) + M(exo_ctx_xn_acl, slot) + M(exo_ctx_xn_acl, block) +
	M(exo_ctx_xn_acl, count) + M(exo_ctx_xn_acl, time));
ABI(exo_ctx_xn_size, 16, M(exo_ctx_xn_size, data) + M(exo_ctx_xn_size, data_end));
ABI_OP(exo_xn_format, 32, M(exo_xn_format, path) + M(exo_xn_format, log_blocks) +
	M(exo_xn_format, reserved) + M(exo_xn_format, uid_blocks));
ABI(exo_xn_uids, 16, M(exo_xn_uids, from) + M(exo_xn_uids, to) + M(exo_xn_uids, count) +
	M(exo_xn_uids, reserved));
ABI_OP(exo_xn_attach, 152, M(exo_xn_attach, path) + M(exo_xn_attach, out_disk) +
	M(exo_xn_attach, out_roots) + M(exo_xn_attach, out_quarantined) +
	M(exo_xn_attach, reserved) + M(exo_xn_attach, out_replayed) + M(exo_xn_attach, out_read) +
	M(exo_xn_attach, uids) + M(exo_xn_attach, nr_uids) + M(exo_xn_attach, out_flags) +
	M(exo_xn_attach, out_changed) + M(exo_xn_attach, out_nobody) + M(exo_xn_attach, out_uid) +
	M(exo_xn_attach, out_to) + M(exo_xn_attach, reserved1) + M(exo_xn_attach, machine) +
	M(exo_xn_attach, out_name));
static_assert(offsetof(struct exo_xn_attach, uids) == 48);
ABI_OP(exo_xn_detach, 16, M(exo_xn_detach, disk) + M(exo_xn_detach, reserved));
ABI_OP(exo_xn_grow, 24, M(exo_xn_grow, disk) + M(exo_xn_grow, reserved) +
	M(exo_xn_grow, out_blocks));
ABI_OP(exo_xn_check, 64, M(exo_xn_check, disk) + M(exo_xn_check, out_done) +
	M(exo_xn_check, cursor) + M(exo_xn_check, out_visited) + M(exo_xn_check, out_total) +
	M(exo_xn_check, out_leaked) + M(exo_xn_check, out_bad) + M(exo_xn_check, out_errors));
ABI_OP(exo_xn_trim, 40, M(exo_xn_trim, disk) + M(exo_xn_trim, reserved) +
	M(exo_xn_trim, start) + M(exo_xn_trim, count) + M(exo_xn_trim, out_trimmed));
ABI_OP(exo_xn_disk, 128, M(exo_xn_disk, disk) + M(exo_xn_disk, out_flags) +
	M(exo_xn_disk, out_blocks) + M(exo_xn_disk, out_free) + M(exo_xn_disk, out_waiting) +
	M(exo_xn_disk, out_first) + M(exo_xn_disk, out_logical) + M(exo_xn_disk, out_roots) +
	M(exo_xn_disk, out_commits) + M(exo_xn_disk, out_uid_blocks) +
	M(exo_xn_disk, out_my_blocks) + M(exo_xn_disk, out_uuid) + M(exo_xn_disk, out_name));
ABI_OP(exo_xn_quota, 56, M(exo_xn_quota, disk) + M(exo_xn_quota, uid) + M(exo_xn_quota, blocks) +
	M(exo_xn_quota, out_uid) + M(exo_xn_quota, out_flags) + M(exo_xn_quota, out_blocks) +
	M(exo_xn_quota, out_used) + M(exo_xn_quota, reserved));
ABI_OP(exo_xn_map, 40, M(exo_xn_map, disk) + M(exo_xn_map, count) + M(exo_xn_map, start) +
	M(exo_xn_map, map) + M(exo_xn_map, out_done) + M(exo_xn_map, root));
ABI(exo_xn_func, 40, M(exo_xn_func, insns) + M(exo_xn_func, consts) + M(exo_xn_func, cert) +
	M(exo_xn_func, nr_insns) + M(exo_xn_func, const_size) + M(exo_xn_func, cert_size) +
	M(exo_xn_func, reserved));
ABI_OP(exo_xn_template_add, 168, M(exo_xn_template_add, disk) +
	M(exo_xn_template_add, head_bytes) + M(exo_xn_template_add, part_bytes) +
	M(exo_xn_template_add, out_template) + M(exo_xn_template_add, func) +
	M(exo_xn_template_add, name) + M(exo_xn_template_add, refs) +
	M(exo_xn_template_add, out_func) + M(exo_xn_template_add, reserved) +
	M(exo_xn_template_add, out_error));
ABI_OP(exo_xn_template, 120, M(exo_xn_template, disk) + M(exo_xn_template, number) +
	M(exo_xn_template, out_uid) + M(exo_xn_template, out_users) + M(exo_xn_template, out_mode) +
	M(exo_xn_template, reserved) + M(exo_xn_template, out_name) + M(exo_xn_template, out_hash));
ABI_OP(exo_xn_root_create, 136, M(exo_xn_root_create, disk) +
	M(exo_xn_root_create, template_number) + M(exo_xn_root_create, near) +
	M(exo_xn_root_create, bytes) + M(exo_xn_root_create, length) +
	M(exo_xn_root_create, out_root) + M(exo_xn_root_create, max_blocks) +
	M(exo_xn_root_create, out_block) + M(exo_xn_root_create, name) + M(exo_xn_root_create, key));
ABI_OP(exo_xn_root, 104, M(exo_xn_root, disk) + M(exo_xn_root, root) +
	M(exo_xn_root, out_flags) + M(exo_xn_root, out_uid) + M(exo_xn_root, out_template) +
	M(exo_xn_root, out_unit_blocks) + M(exo_xn_root, out_block) + M(exo_xn_root, out_blocks) +
	M(exo_xn_root, out_max_blocks) + M(exo_xn_root, name));
ABI_OP(exo_xn_root_set, 32, M(exo_xn_root_set, disk) + M(exo_xn_root_set, root) +
	M(exo_xn_root_set, uid) + M(exo_xn_root_set, reserved) + M(exo_xn_root_set, max_blocks));
ABI_OP(exo_xn_read, 80, M(exo_xn_read, disk) + M(exo_xn_read, root) + M(exo_xn_read, block) +
	M(exo_xn_read, parent) + M(exo_xn_read, bytes) + M(exo_xn_read, offset) +
	M(exo_xn_read, length) + M(exo_xn_read, keys) + M(exo_xn_read, nr_keys) +
	M(exo_xn_read, out_done) + M(exo_xn_read, out_template) + M(exo_xn_read, out_blocks) +
	M(exo_xn_read, out_generation));
ABI(exo_xn_step, 56, M(exo_xn_step, kind) + M(exo_xn_step, slot) + M(exo_xn_step, parent) +
	M(exo_xn_step, block) + M(exo_xn_step, count) + M(exo_xn_step, offset) +
	M(exo_xn_step, length) + M(exo_xn_step, reserved) + M(exo_xn_step, bytes) +
	M(exo_xn_step, from));
ABI_OP(exo_xn_apply, 56, M(exo_xn_apply, disk) + M(exo_xn_apply, root) +
	M(exo_xn_apply, steps) + M(exo_xn_apply, nr_steps) + M(exo_xn_apply, out_step) +
	M(exo_xn_apply, keys) + M(exo_xn_apply, nr_keys) + M(exo_xn_apply, reserved) +
	M(exo_xn_apply, out_block));
ABI_OP(exo_xn_commit, 24, M(exo_xn_commit, disk) + M(exo_xn_commit, root) +
	M(exo_xn_commit, out_seq));
ABI(exo_xn_key, 32, M(exo_xn_key, key));
ABI_OP(exo_xn_bind, 56, M(exo_xn_bind, disk) + M(exo_xn_bind, root) + M(exo_xn_bind, block) +
	M(exo_xn_bind, parent) + M(exo_xn_bind, count) + M(exo_xn_bind, rights) +
	M(exo_xn_bind, keys) + M(exo_xn_bind, nr_keys) + M(exo_xn_bind, out_binding));
ABI_OP(exo_xn_unbind, 16, M(exo_xn_unbind, binding) + M(exo_xn_unbind, reserved));
ABI_OP(exo_xn_io, 32, M(exo_xn_io, kind) + M(exo_xn_io, binding) + M(exo_xn_io, offset) +
	M(exo_xn_io, count) + M(exo_xn_io, frames));
ABI_OP(exo_xn_entry, 96, M(exo_xn_entry, disk) + M(exo_xn_entry, root) + M(exo_xn_entry, block) +
	M(exo_xn_entry, parent) + M(exo_xn_entry, keys) + M(exo_xn_entry, nr_keys) +
	M(exo_xn_entry, rights) + M(exo_xn_entry, out_entry) + M(exo_xn_entry, out_index) +
	M(exo_xn_entry, out_state) + M(exo_xn_entry, out_frame) + M(exo_xn_entry, out_cap));
ABI_OP(exo_xn_entry_lock, 24, M(exo_xn_entry_lock, entry) + M(exo_xn_entry_lock, slots) +
	M(exo_xn_entry_lock, mode) + M(exo_xn_entry_lock, reserved));
ABI_OP(exo_xn_entry_io, 32, M(exo_xn_entry_io, kind) + M(exo_xn_entry_io, count) +
	M(exo_xn_entry_io, entries) + M(exo_xn_entry_io, out_done) + M(exo_xn_entry_io, reserved));
ABI_OP(exo_xn_speculate, 32, M(exo_xn_speculate, disk) + M(exo_xn_speculate, count) +
	M(exo_xn_speculate, block) + M(exo_xn_speculate, out_done) + M(exo_xn_speculate, reserved));
ABI(exo_xn_reg_row, 64, M(exo_xn_reg_row, block) + M(exo_xn_reg_row, parent) +
	M(exo_xn_reg_row, stamp) + M(exo_xn_reg_row, root) + M(exo_xn_reg_row, state) +
	M(exo_xn_reg_row, frame) + M(exo_xn_reg_row, holders) + M(exo_xn_reg_row, slots) +
	M(exo_xn_reg_row, reserved));
ABI(exo_xn_reg_table, 4096, M(exo_xn_reg_table, entries) + M(exo_xn_reg_table, clock) +
	M(exo_xn_reg_table, written) + M(exo_xn_reg_table, lost) +
	M(exo_xn_reg_table, speculated) + M(exo_xn_reg_table, reserved));
