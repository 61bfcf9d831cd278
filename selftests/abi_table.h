/* SPDX-License-Identifier: GPL-2.0 */
/* One table names every command, for the tests of the contract. Each program includes it once. */
#ifndef EXO_ABI_TABLE_H
#define EXO_ABI_TABLE_H

#include <stddef.h>

#include "harness.h"
#include "lib.h"

#define ADMIN 1
#define THREAD 2

#define MAX_RESERVED 6
#define MAX_OUT 12

/* Offsets of reserved fields and out_ fields. */
#define AT(type, member) { offsetof(struct type, member), sizeof(((struct type *)0)->member) }

struct field {
	uint16_t at;
	uint16_t len;
};

static const struct command {
	const char *name;
	unsigned int cmd;
	unsigned int size;
	unsigned int first;		/* of a struct that has grown: how long it was at first */
	unsigned int who;
	uint32_t flags;			/* known ones */
	struct field reserved[MAX_RESERVED];
	struct field out[MAX_OUT];
} commands[] = {
#define CMD(_nr, _type, ...) { .name = #_nr, .cmd = _nr, .size = sizeof(struct _type), __VA_ARGS__ }
	CMD(EXO_INFO, exo_info,
	    .out = { AT(exo_info, out_features), AT(exo_info, out_frames),
		     AT(exo_info, out_max_ops), AT(exo_info, out_table_bytes),
		     AT(exo_info, out_env) }),
	CMD(EXO_ENV_EVENTFD, exo_env_eventfd, .reserved = { AT(exo_env_eventfd, reserved) }),
	CMD(EXO_ENV_STATUS, exo_env_status,
	    .out = { AT(exo_env_status, out_env), AT(exo_env_status, out_uid),
		     AT(exo_env_status, out_bound), AT(exo_env_status, out_deadline_ns) }),
	CMD(EXO_ENV_LIST, exo_env_list, .out = { AT(exo_env_list, out_done) },
	    .reserved = { AT(exo_env_list, reserved) }),
	CMD(EXO_QUOTA_GET, exo_quota, .flags = EXO_QUOTA_DEFAULT,
	    .out = { AT(exo_quota, out_frames), AT(exo_quota, out_envs) }),
	CMD(EXO_QUOTA_SET, exo_quota, .who = ADMIN,
	    .flags = EXO_QUOTA_FRAMES | EXO_QUOTA_MIN | EXO_QUOTA_DEADLINE | EXO_QUOTA_ENVS |
		     EXO_QUOTA_VIEWS | EXO_QUOTA_GRAFTS | EXO_QUOTA_GRAFT_INSNS |
		     EXO_QUOTA_GRAFT_JIT | EXO_QUOTA_DEFAULT,
	    .out = { AT(exo_quota, out_frames), AT(exo_quota, out_envs) }),
	CMD(EXO_CAP_CREATE, exo_cap_create, .reserved = { AT(exo_cap_create, reserved) },
	    .out = { AT(exo_cap_create, out_cap) }),
	CMD(EXO_CAP_DERIVE, exo_cap_derive, .reserved = { AT(exo_cap_derive, reserved) },
	    .out = { AT(exo_cap_derive, out_cap) }),
	CMD(EXO_CAP_REVOKE, exo_cap_revoke, .reserved = { AT(exo_cap_revoke, reserved) }),
	CMD(EXO_CAP_CHECK, exo_cap_check, .reserved = { AT(exo_cap_check, reserved) }),
	CMD(EXO_MEM_POOL, exo_mem_pool, .who = ADMIN,
	    .flags = EXO_POOL_GROW | EXO_POOL_SHRINK | EXO_POOL_HUGE | EXO_POOL_NODE,
	    .reserved = { AT(exo_mem_pool, reserved) }, .out = { AT(exo_mem_pool, out_done) }),
	/* Without EXO_ALLOC_SEND the socket is 0. */
	CMD(EXO_MEM_ALLOC, exo_mem_alloc,
	    .flags = EXO_ALLOC_HOW_MASK | EXO_ALLOC_NODE | EXO_ALLOC_SEND,
	    .reserved = { AT(exo_mem_alloc, reserved), AT(exo_mem_alloc, sock) },
	    .out = { AT(exo_mem_alloc, out_done), AT(exo_mem_alloc, out_sent) }),
	CMD(EXO_MEM_FREE, exo_mem_frames, .out = { AT(exo_mem_frames, out_done) }),
	/* Without EXO_IMPORT_BIND the first three are 0, without EXO_IMPORT_RECEIVE the others. */
	CMD(EXO_MEM_IMPORT, exo_mem_import, .flags = EXO_IMPORT_BIND | EXO_IMPORT_RECEIVE,
	    .reserved = { AT(exo_mem_import, view), AT(exo_mem_import, page),
			  AT(exo_mem_import, rights), AT(exo_mem_import, sock),
			  AT(exo_mem_import, count), AT(exo_mem_import, caps_ptr) },
	    .out = { AT(exo_mem_import, out_frame), AT(exo_mem_import, out_rights),
		     AT(exo_mem_import, out_order), AT(exo_mem_import, out_done),
		     AT(exo_mem_import, out_received) }),
	CMD(EXO_MEM_DROP, exo_mem_frames, .out = { AT(exo_mem_frames, out_done) }),
	CMD(EXO_MEM_VIEW_CREATE, exo_mem_view_create, .flags = EXO_VIEW_LAZY | EXO_VIEW_MONITOR,
	    .reserved = { AT(exo_mem_view_create, reserved) },
	    .out = { AT(exo_mem_view_create, out_view), AT(exo_mem_view_create, out_offset) }),
	CMD(EXO_MEM_VIEW_DESTROY, exo_mem_view, .reserved = { AT(exo_mem_view, reserved) }),
	CMD(EXO_MEM_BIND, exo_mem_batch, .reserved = { AT(exo_mem_batch, reserved) },
	    .out = { AT(exo_mem_batch, out_done) }),
	CMD(EXO_MEM_UNBIND, exo_mem_batch, .flags = EXO_BATCH_REPORT,
	    .reserved = { AT(exo_mem_batch, reserved) }, .out = { AT(exo_mem_batch, out_done) }),
	CMD(EXO_MEM_REBIND, exo_mem_batch, .flags = EXO_BATCH_REPORT,
	    .reserved = { AT(exo_mem_batch, reserved) }, .out = { AT(exo_mem_batch, out_done) }),
	CMD(EXO_MEM_PROTECT, exo_mem_batch, .flags = EXO_BATCH_REPORT,
	    .reserved = { AT(exo_mem_batch, reserved) }, .out = { AT(exo_mem_batch, out_done) }),
	CMD(EXO_MEM_FLUSH, exo_mem_view, .reserved = { AT(exo_mem_view, reserved) }),
	CMD(EXO_MEM_HARVEST, exo_mem_harvest,
	    .flags = EXO_HARVEST_CLEAR_ACCESSED | EXO_HARVEST_CLEAR_DIRTY,
	    .reserved = { AT(exo_mem_harvest, reserved) },
	    .out = { AT(exo_mem_harvest, out_accessed), AT(exo_mem_harvest, out_dirty) }),
	CMD(EXO_MEM_UPCALL, exo_mem_upcall, .who = THREAD, .flags = EXO_UPCALL_REMOVE,
	    .reserved = { AT(exo_mem_upcall, reserved) }),
	CMD(EXO_MEM_RESUME, exo_mem_resume, .who = THREAD),
	CMD(EXO_MEM_WAKE, exo_mem_wake, .reserved = { AT(exo_mem_wake, reserved) }),
	CMD(EXO_MEM_REVOKE, exo_mem_revoke, .who = ADMIN, .reserved = { AT(exo_mem_revoke, reserved) },
	    .out = { AT(exo_mem_revoke, out_asked) }),
	CMD(EXO_MEM_LOG, exo_mem_log, .reserved = { AT(exo_mem_log, reserved) },
	    .out = { AT(exo_mem_log, out_done), AT(exo_mem_log, out_left) }),
	CMD(EXO_MEM_QUERY, exo_mem_query, .reserved = { AT(exo_mem_query, reserved) },
	    .out = { AT(exo_mem_query, out_done) }),
	CMD(EXO_GRAFT_LOAD, exo_graft_load, .who = THREAD,
	    .flags = EXO_GRAFT_LOAD_SANDBOX | EXO_GRAFT_LOAD_INTERP | EXO_GRAFT_LOAD_NO_BARRIERS,
	    .out = { AT(exo_graft_load, out_graft), AT(exo_graft_load, out_mode),
		     AT(exo_graft_load, out_lowered), AT(exo_graft_load, out_worst),
		     AT(exo_graft_load, out_state), AT(exo_graft_load, out_error) }),
	CMD(EXO_GRAFT_UNLOAD, exo_graft_unload, .reserved = { AT(exo_graft_unload, reserved) }),
	CMD(EXO_GRAFT_ATTACH, exo_graft_attach, .flags = EXO_GRAFT_ATTACH_REPLACE),
	CMD(EXO_GRAFT_DETACH, exo_graft_detach),
	CMD(EXO_GRAFT_RUN, exo_graft_invoke,
	    .out = { AT(exo_graft_invoke, out_result), AT(exo_graft_invoke, out),
		     AT(exo_graft_invoke, out_status), AT(exo_graft_invoke, out_runs),
		     AT(exo_graft_invoke, out_charged), AT(exo_graft_invoke, out_ns),
		     AT(exo_graft_invoke, out_cycles) }),
	CMD(EXO_GRAFT_STATUS, exo_graft_info,
	    .out = { AT(exo_graft_info, out_hook), AT(exo_graft_info, out_runs),
		     AT(exo_graft_info, out_name) }),
	CMD(EXO_GRAFT_LIST, exo_graft_list, .out = { AT(exo_graft_list, out_done) }),
	CMD(EXO_GRAFT_LOG, exo_graft_log, .reserved = { AT(exo_graft_log, reserved) },
	    .out = { AT(exo_graft_log, out_done) }),
	CMD(EXO_GRAFT_KILL, exo_graft_kill, .reserved = { AT(exo_graft_kill, reserved) }),
	CMD(EXO_XN_FORMAT, exo_xn_format, .who = ADMIN, .flags = EXO_XN_FORMAT_FORCE,
	    .reserved = { AT(exo_xn_format, reserved) }),
	/* Without EXO_XN_ATTACH_UIDS there is no map. */
	CMD(EXO_XN_ATTACH, exo_xn_attach, .who = ADMIN, .first = offsetof(struct exo_xn_attach, uids),
	    .flags = EXO_XN_ATTACH_CHECK | EXO_XN_ATTACH_UIDS | EXO_XN_ATTACH_AGAIN,
	    .reserved = { AT(exo_xn_attach, reserved), AT(exo_xn_attach, reserved1),
			  AT(exo_xn_attach, uids), AT(exo_xn_attach, nr_uids) },
	    .out = { AT(exo_xn_attach, out_disk), AT(exo_xn_attach, out_roots),
		     AT(exo_xn_attach, out_quarantined), AT(exo_xn_attach, out_replayed),
		     AT(exo_xn_attach, out_read), AT(exo_xn_attach, out_flags),
		     AT(exo_xn_attach, out_changed), AT(exo_xn_attach, out_nobody),
		     AT(exo_xn_attach, out_uid), AT(exo_xn_attach, out_to),
		     AT(exo_xn_attach, out_name) }),
	CMD(EXO_XN_DETACH, exo_xn_detach, .who = ADMIN, .flags = EXO_XN_DETACH_FORCE,
	    .reserved = { AT(exo_xn_detach, reserved) }),
	CMD(EXO_XN_GROW, exo_xn_grow, .who = ADMIN, .reserved = { AT(exo_xn_grow, reserved) },
	    .out = { AT(exo_xn_grow, out_blocks) }),
	CMD(EXO_XN_CHECK, exo_xn_check, .who = ADMIN,
	    .flags = EXO_XN_CHECK_REPAIR | EXO_XN_CHECK_SCRUB,
	    .out = { AT(exo_xn_check, out_done), AT(exo_xn_check, out_visited),
		     AT(exo_xn_check, out_total), AT(exo_xn_check, out_leaked),
		     AT(exo_xn_check, out_bad), AT(exo_xn_check, out_errors) }),
	CMD(EXO_XN_TRIM, exo_xn_trim, .who = ADMIN, .reserved = { AT(exo_xn_trim, reserved) },
	    .out = { AT(exo_xn_trim, out_trimmed) }),
	CMD(EXO_XN_DISK, exo_xn_disk, .flags = EXO_XN_DISK_NEXT,
	    .out = { AT(exo_xn_disk, out_flags), AT(exo_xn_disk, out_blocks),
		     AT(exo_xn_disk, out_uuid), AT(exo_xn_disk, out_name) }),
	CMD(EXO_XN_QUOTA, exo_xn_quota,
	    .flags = EXO_XN_QUOTA_NEXT | EXO_XN_QUOTA_SET | EXO_XN_QUOTA_FORGET | EXO_XN_QUOTA_DEFAULT,
	    .reserved = { AT(exo_xn_quota, reserved) },
	    .out = { AT(exo_xn_quota, out_uid), AT(exo_xn_quota, out_flags), AT(exo_xn_quota, out_blocks),
		     AT(exo_xn_quota, out_used) }),
	CMD(EXO_XN_MAP, exo_xn_map, .out = { AT(exo_xn_map, out_done) }),
	CMD(EXO_XN_TEMPLATE_ADD, exo_xn_template_add,
	    .reserved = { AT(exo_xn_template_add, reserved) },
	    .out = { AT(exo_xn_template_add, out_template), AT(exo_xn_template_add, out_func),
		     AT(exo_xn_template_add, out_error) }),
	/* At most one of them. */
	CMD(EXO_XN_TEMPLATE, exo_xn_template, .flags = EXO_XN_NEXT | EXO_XN_REMOVE,
	    .reserved = { AT(exo_xn_template, reserved) },
	    .out = { AT(exo_xn_template, out_uid), AT(exo_xn_template, out_mode),
		     AT(exo_xn_template, out_name), AT(exo_xn_template, out_hash) }),
	CMD(EXO_XN_ROOT_CREATE, exo_xn_root_create, .flags = EXO_XN_ROOT_TEMPORARY,
	    .out = { AT(exo_xn_root_create, out_root), AT(exo_xn_root_create, out_block) }),
	CMD(EXO_XN_ROOT, exo_xn_root, .flags = EXO_XN_NEXT | EXO_XN_ROOT_BY_NAME,
	    .out = { AT(exo_xn_root, out_flags), AT(exo_xn_root, out_uid),
		     AT(exo_xn_root, out_block), AT(exo_xn_root, out_max_blocks) }),
	CMD(EXO_XN_ROOT_SET, exo_xn_root_set,
	    .flags = EXO_XN_ROOT_CHOWN | EXO_XN_ROOT_LIMIT | EXO_XN_ROOT_DELETE |
		     EXO_XN_ROOT_RELEASE,
	    .reserved = { AT(exo_xn_root_set, reserved) }),
	CMD(EXO_XN_READ, exo_xn_read, .flags = EXO_XN_READ_RAW,
	    .out = { AT(exo_xn_read, out_done), AT(exo_xn_read, out_template),
		     AT(exo_xn_read, out_blocks), AT(exo_xn_read, out_generation) }),
	CMD(EXO_XN_APPLY, exo_xn_apply, .flags = EXO_XN_APPLY_COMMIT,
	    .reserved = { AT(exo_xn_apply, reserved) },
	    .out = { AT(exo_xn_apply, out_step), AT(exo_xn_apply, out_block) }),
	CMD(EXO_XN_COMMIT, exo_xn_commit, .out = { AT(exo_xn_commit, out_seq) }),
	CMD(EXO_XN_BIND, exo_xn_bind, .out = { AT(exo_xn_bind, out_binding) }),
	CMD(EXO_XN_UNBIND, exo_xn_unbind, .reserved = { AT(exo_xn_unbind, reserved) }),
	CMD(EXO_XN_IO, exo_xn_io, .flags = EXO_XN_IO_DURABLE),
	CMD(EXO_XN_ENTRY, exo_xn_entry, .flags = EXO_XN_ENTRY_FRAME | EXO_XN_ENTRY_UNIT,
	    .out = { AT(exo_xn_entry, out_entry), AT(exo_xn_entry, out_state),
		     AT(exo_xn_entry, out_frame), AT(exo_xn_entry, out_cap) }),
	CMD(EXO_XN_ENTRY_LOCK, exo_xn_entry_lock, .flags = EXO_XN_LOCK_TRY,
	    .reserved = { AT(exo_xn_entry_lock, reserved) }),
	CMD(EXO_XN_ENTRY_IO, exo_xn_entry_io, .flags = EXO_XN_IO_DURABLE,
	    .reserved = { AT(exo_xn_entry_io, reserved) },
	    .out = { AT(exo_xn_entry_io, out_done) }),
	CMD(EXO_XN_SPECULATE, exo_xn_speculate, .reserved = { AT(exo_xn_speculate, reserved) },
	    .out = { AT(exo_xn_speculate, out_done) }),
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define BUF 4096

static const struct command *each(unsigned int i)
{
	return &commands[i];
}

/* What a bad call of it gives: whether the caller may call it at all is asked first. */
static __attribute__((unused)) int refusal(const struct command *c, int err)
{
	return (c->who & ADMIN) && geteuid() ? -EPERM : err;
}

/* A command with a zeroed struct whose size field says len. */
static int call(int fd, const struct command *c, unsigned char *buf, uint32_t len)
{
	memcpy(buf, &len, sizeof(len));
	return t_ioctl(fd, c->cmd, buf);
}

static __attribute__((unused)) int call_zero(int fd, const struct command *c, uint32_t len)
{
	unsigned char buf[BUF];

	memset(buf, 0, sizeof(buf));
	return call(fd, c, buf, len);
}

#endif
