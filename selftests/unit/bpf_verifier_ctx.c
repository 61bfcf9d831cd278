// SPDX-License-Identifier: GPL-2.0
/*
 * Which fields the contexts of Linux' program types have, and what its helpers look at: as far as the
 * verifier's cases use it.
 */
#include "bpf_verifier.h"

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>

#define TYPE(_name) (1ULL << BPF_PROG_TYPE_##_name)
#define LWT (TYPE(LWT_IN) | TYPE(LWT_OUT) | TYPE(LWT_XMIT))
#define TC (TYPE(SCHED_CLS) | TYPE(SCHED_ACT))
#define PACKETS (TC | LWT | TYPE(SK_SKB) | TYPE(CGROUP_SKB))
#define SKB (PACKETS | TYPE(SOCKET_FILTER))

struct row {
	u64 types;
	u32 off, size;
	enum field_kind kind;
	u64 writers;
};

#define FIELD(_types, _struct, _member, _kind, _writers) \
	{ _types, offsetof(struct _struct, _member), sizeof(((struct _struct *)0)->_member), _kind, _writers }

static const struct row rows[] = {
	FIELD(SKB, __sk_buff, len, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, pkt_type, FIELD_NUMBER, 0),
	FIELD(SKB & ~TYPE(SK_SKB), __sk_buff, mark, FIELD_NUMBER, TC | LWT | TYPE(CGROUP_SKB)),
	FIELD(SKB, __sk_buff, queue_mapping, FIELD_NUMBER, TC),
	FIELD(SKB, __sk_buff, protocol, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, vlan_present, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, vlan_tci, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, vlan_proto, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, priority, FIELD_NUMBER, TC | LWT | TYPE(CGROUP_SKB) | TYPE(SK_SKB)),
	FIELD(SKB, __sk_buff, ingress_ifindex, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, ifindex, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, tc_index, FIELD_NUMBER, TC | TYPE(SK_SKB)),
	FIELD(SKB, __sk_buff, cb, FIELD_CB, 0),
	FIELD(SKB, __sk_buff, hash, FIELD_NUMBER, 0),
	FIELD(TC, __sk_buff, tc_classid, FIELD_NUMBER, TC),
	FIELD(PACKETS, __sk_buff, data, FIELD_DATA, 0),
	FIELD(PACKETS, __sk_buff, data_end, FIELD_END, 0),
	FIELD(SKB, __sk_buff, napi_id, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, family, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, remote_ip4, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, local_ip4, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, remote_ip6, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, local_ip6, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, remote_port, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_SKB) | TYPE(CGROUP_SKB), __sk_buff, local_port, FIELD_NUMBER, 0),
	FIELD(TC, __sk_buff, data_meta, FIELD_META, 0),
	FIELD(SKB, __sk_buff, flow_keys, FIELD_OBJECT, 0),
	FIELD(TC | TYPE(CGROUP_SKB), __sk_buff, tstamp, FIELD_WIDE, TC | TYPE(CGROUP_SKB)),
	FIELD(TC, __sk_buff, wire_len, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, gso_segs, FIELD_NUMBER, 0),
	FIELD(SKB, __sk_buff, sk, FIELD_OBJECT, 0),
	FIELD(SKB, __sk_buff, gso_size, FIELD_NUMBER, 0),
	FIELD(TC | TYPE(CGROUP_SKB), __sk_buff, hwtstamp, FIELD_WIDE, 0),

	FIELD(TYPE(XDP), xdp_md, data, FIELD_DATA, 0),
	FIELD(TYPE(XDP), xdp_md, data_end, FIELD_END, 0),
	FIELD(TYPE(XDP), xdp_md, data_meta, FIELD_META, 0),
	FIELD(TYPE(XDP), xdp_md, ingress_ifindex, FIELD_NUMBER, 0),
	FIELD(TYPE(XDP), xdp_md, rx_queue_index, FIELD_NUMBER, 0),

	FIELD(TYPE(SK_MSG), sk_msg_md, data, FIELD_DATA, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, data_end, FIELD_END, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, family, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, remote_ip4, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, local_ip4, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, remote_ip6, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, local_ip6, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, remote_port, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, local_port, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, size, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_MSG), sk_msg_md, sk, FIELD_OBJECT, 0),

	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, cookie, FIELD_WHOLE, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, family, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, protocol, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, remote_ip4, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, remote_ip6, FIELD_NUMBER, 0),
	/* two bytes, and two of padding that read as zeros */
	{ TYPE(SK_LOOKUP), offsetof(struct bpf_sk_lookup, remote_port), 4, FIELD_NUMBER, 0 },
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, local_ip4, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, local_ip6, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, local_port, FIELD_NUMBER, 0),
	FIELD(TYPE(SK_LOOKUP), bpf_sk_lookup, ingress_ifindex, FIELD_NUMBER, 0),

	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, user_family, FIELD_NUMBER, 0),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, user_ip4, FIELD_NUMBER, TYPE(CGROUP_SOCK_ADDR)),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, user_ip6, FIELD_CB, 0),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, user_port, FIELD_NUMBER, TYPE(CGROUP_SOCK_ADDR)),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, family, FIELD_NUMBER, 0),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, type, FIELD_NUMBER, 0),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, protocol, FIELD_NUMBER, 0),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, msg_src_ip4, FIELD_NUMBER, TYPE(CGROUP_SOCK_ADDR)),
	FIELD(TYPE(CGROUP_SOCK_ADDR), bpf_sock_addr, msg_src_ip6, FIELD_CB, 0),

	FIELD(TYPE(CGROUP_SOCK), bpf_sock, bound_dev_if, FIELD_NUMBER, TYPE(CGROUP_SOCK)),
	FIELD(TYPE(CGROUP_SOCK), bpf_sock, family, FIELD_NUMBER, 0),

	FIELD(TYPE(PERF_EVENT), bpf_perf_event_data, sample_period, FIELD_WIDE, 0),
	FIELD(TYPE(PERF_EVENT), bpf_perf_event_data, addr, FIELD_WIDE, 0),
};

struct ctx_field ctx_field(u32 prog_type, s32 off)
{
	u32 i;

	for (i = 0; off >= 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct ctx_field field = { row->kind, row->off, row->size };

		if (!(row->types >> prog_type & 1) || (u32)off < row->off || (u32)off >= row->off + row->size)
			continue;
		/* An array of numbers is as many fields. */
		if (row->kind == FIELD_NUMBER && row->size > 4) {
			field.off += ((u32)off - row->off) & ~3U;
			field.size = 4;
		}
		if (row->writers >> prog_type & 1)
			field.kind = FIELD_WRITABLE;
		return field;
	}
	/* Registers, or arguments, of eight bytes each. */
	if (off >= 0 && ((prog_type == BPF_PROG_TYPE_KPROBE && off < 168) ||
			 (prog_type == BPF_PROG_TYPE_TRACEPOINT && off >= 8 && off < 2048) ||
			 (prog_type == BPF_PROG_TYPE_PERF_EVENT && off < 168) ||
			 (prog_type == BPF_PROG_TYPE_RAW_TRACEPOINT && off < 96)))
		return (struct ctx_field){ FIELD_WIDE, (u32)off & ~7U, 8 };
	return (struct ctx_field){ FIELD_NONE, 0, 0 };
}

bool ctx_writes_packet(u32 prog_type)
{
	return (TC | TYPE(XDP) | TYPE(LWT_XMIT) | TYPE(SK_SKB) | TYPE(SK_MSG)) >> prog_type & 1;
}

static const struct helper helpers[] = {
	{ .number = BPF_FUNC_map_lookup_elem, .map = 1, .key = 2, .looks_up = 1 },
	{ .number = BPF_FUNC_map_update_elem, .map = 1, .key = 2, .value = 3, .numbers = 1 << 4, .result = 8 },
	{ .number = BPF_FUNC_map_delete_elem, .map = 1, .key = 2, .result = 8 },
	{ .number = BPF_FUNC_get_local_storage, .map = 1, .looks_up = 1, .numbers = 1 << 2 },
	{ .number = BPF_FUNC_probe_read, .memory = { { 1, 2, true } }, .result = 8 },
	{ .number = BPF_FUNC_probe_read_kernel, .memory = { { 1, 2, true } }, .result = 8 },
	{ .number = BPF_FUNC_probe_read_user, .memory = { { 1, 2, true } }, .result = 8 },
	{ .number = BPF_FUNC_skb_load_bytes, .ctx = 1, .numbers = 1 << 2, .memory = { { 3, 4, true } }, .result = 8 },
	{ .number = BPF_FUNC_skb_store_bytes, .ctx = 1, .numbers = 1 << 2 | 1 << 5, .memory = { { 3, 4, false } },
	  .result = 8 },
	{ .number = BPF_FUNC_csum_diff, .numbers = 1 << 5, .memory = { { 1, 2, false }, { 3, 4, false } },
	  .result = 8 },
	{ .number = BPF_FUNC_trace_printk, .memory = { { 1, 2, false } }, .result = 8 },
	{ .number = BPF_FUNC_get_current_comm, .memory = { { 1, 2, true } }, .result = 8 },
	{ .number = BPF_FUNC_ktime_get_ns, .result = 8 },
	{ .number = BPF_FUNC_get_prandom_u32, .result = 4 },
	{ .number = BPF_FUNC_get_smp_processor_id, .result = 4 },
	{ .number = BPF_FUNC_get_cgroup_classid, .ctx = 1, .result = 4 },
	{ .number = BPF_FUNC_get_hash_recalc, .ctx = 1, .result = 4 },
	{ .number = BPF_FUNC_get_socket_cookie, .ctx = 1, .result = 8 },
	{ .number = BPF_FUNC_get_current_pid_tgid, .result = 8 },
	{ .number = BPF_FUNC_get_current_uid_gid, .result = 8 },
	{ .number = BPF_FUNC_csum_update, .ctx = 1, .numbers = 1 << 2, .result = 8 },
};

const struct helper *helper_find(s32 number)
{
	u32 i;

	for (i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (helpers[i].number == (u32)number)
			return &helpers[i];
	return NULL;
}
