// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * The hooks where grafts run, and the helpers that they may call: policy as data, the same for the
 * checker, the lowering, the interpreter and libexo's prover.
 */
#include "core/graft.h"

#define FIELD(_ctx, _name, _type, _max) \
	{ offsetof(struct _ctx, _name), sizeof(((struct _ctx *)0)->_name), _type, _max }
#define SCALAR(_ctx, _name, _max) FIELD(_ctx, _name, EXO_FIELD_SCALAR, _max)
#define DATA(_ctx) \
	FIELD(_ctx, data, EXO_FIELD_DATA, 0), FIELD(_ctx, data_end, EXO_FIELD_DATA_END, 0)
#define HELPER(_name) (1U << EXO_HELPER_##_name)

#define ANY (~0ULL)

const struct exo_helper exo_helpers[EXO_GRAFT_MAX_HELPERS] = {
	[EXO_HELPER_BIND] = {
		.name = "exo_bind",
		.cost = 16,
		.args = {
			{ EXO_ARG_SCALAR, 0, ANY },
			{ EXO_ARG_SCALAR, 0, ANY },
			{ EXO_ARG_SCALAR, 0, ANY },
		},
		.ret_max = ANY,
	},
	[EXO_HELPER_LOG] = {
		.name = "exo_log",
		.cost = 4,
		.args = { { EXO_ARG_STATE, 8, 0 } },
		.ret_max = 1,
	},
	[EXO_HELPER_LOCK] = {
		.name = "exo_lock",
		.cost = 16,
		.args = { { EXO_ARG_SCALAR, 0, EXO_GRAFT_LOCKS - 1 } },
		.ret_max = 1,
	},
	[EXO_HELPER_TRACE] = {
		.name = "exo_trace",
		.cost = 16,
		.args = { { EXO_ARG_SCALAR, 0, ANY }, { EXO_ARG_SCALAR, 0, ANY } },
	},
	[EXO_HELPER_NOW] = {
		.name = "exo_now",
		.flags = EXO_HELPER_PURE,
		.cost = 16,
		.ret_max = ANY,
	},
	[EXO_HELPER_CALL] = {
		.name = "exo_call",
		.cost = 64,
		.args = { { EXO_ARG_SCALAR, 0, ANY }, { EXO_ARG_SCALAR, 0, ANY } },
		.ret_max = 0xffffffff,
	},
	[EXO_HELPER_OWNS] = {
		.name = "exo_owns",
		.flags = EXO_HELPER_PURE,
		.cost = 16,
		.args = { { EXO_ARG_SCALAR, 0, ANY } },
		.ret_max = 1,
	},
	[EXO_HELPER_EMIT] = {
		.name = "exo_emit",
		.flags = EXO_HELPER_DETERMINISTIC,
		.cost = 16,
		.args = {
			{ EXO_ARG_SCALAR, 0, ANY },
			{ EXO_ARG_SCALAR, 0, ANY },
			{ EXO_ARG_SCALAR, 0, ANY },
		},
		.ret_max = 1,
	},
	[EXO_HELPER_GROUP] = {
		.name = "exo_group",
		.flags = EXO_HELPER_PURE,
		.cost = 32,
		.args = { { EXO_ARG_SCALAR, 0, ANY } },
		.ret_max = 1,
	},
};

static const struct exo_hook hooks[] = {
	{
		.name = "pure",
		.id = EXO_HOOK_PURE,
		.flags = EXO_HOOK_NEEDS_PURE | EXO_HOOK_NEEDS_DETERMINISTIC,
		.ctx_size = sizeof(struct exo_ctx_pure),
		.ctx_write = offsetof(struct exo_ctx_pure, out),
		.nr_fields = 10,
		.fields = {
			DATA(exo_ctx_pure),
			SCALAR(exo_ctx_pure, arg[0], ANY), SCALAR(exo_ctx_pure, arg[1], ANY),
			SCALAR(exo_ctx_pure, arg[2], ANY), SCALAR(exo_ctx_pure, arg[3], ANY),
			SCALAR(exo_ctx_pure, out[0], ANY), SCALAR(exo_ctx_pure, out[1], ANY),
			SCALAR(exo_ctx_pure, out[2], ANY), SCALAR(exo_ctx_pure, out[3], ANY),
		},
		.data_cap = 4096,
		.budget = 65536,
	},
	{
		.name = "stream",
		.id = EXO_HOOK_STREAM,
		.flags = EXO_HOOK_DATA_WRITABLE | EXO_HOOK_NEEDS_PURE | EXO_HOOK_NEEDS_DETERMINISTIC,
		.ctx_size = sizeof(struct exo_ctx_stream),
		.ctx_write = offsetof(struct exo_ctx_stream, out),
		.nr_fields = 10,
		.fields = {
			DATA(exo_ctx_stream),
			SCALAR(exo_ctx_stream, arg[0], ANY), SCALAR(exo_ctx_stream, arg[1], ANY),
			SCALAR(exo_ctx_stream, arg[2], ANY), SCALAR(exo_ctx_stream, arg[3], ANY),
			SCALAR(exo_ctx_stream, out[0], ANY), SCALAR(exo_ctx_stream, out[1], ANY),
			SCALAR(exo_ctx_stream, out[2], ANY), SCALAR(exo_ctx_stream, out[3], ANY),
		},
		.data_cap = 65536,
		.budget = 1U << 20,
	},
	{
		.name = "txn",
		.id = EXO_HOOK_TXN,
		.flags = EXO_HOOK_TRANSACTION | EXO_HOOK_KILLABLE,
		.ctx_size = sizeof(struct exo_ctx_txn),
		.ctx_write = offsetof(struct exo_ctx_txn, out),
		.nr_fields = 8,
		.fields = {
			SCALAR(exo_ctx_txn, arg[0], ANY), SCALAR(exo_ctx_txn, arg[1], ANY),
			SCALAR(exo_ctx_txn, arg[2], ANY), SCALAR(exo_ctx_txn, arg[3], ANY),
			SCALAR(exo_ctx_txn, out[0], ANY), SCALAR(exo_ctx_txn, out[1], ANY),
			SCALAR(exo_ctx_txn, out[2], ANY), SCALAR(exo_ctx_txn, out[3], ANY),
		},
		.helpers = HELPER(LOG) | HELPER(LOCK) | HELPER(TRACE) | HELPER(NOW) |
			   HELPER(CALL) | HELPER(OWNS),
		.budget = 1U << 20,
	},
	{
		.name = "fault",
		.id = EXO_HOOK_FAULT,
		.flags = EXO_HOOK_TRANSACTION,
		.ctx_size = sizeof(struct exo_ctx_fault),
		.ctx_write = sizeof(struct exo_ctx_fault),
		.nr_fields = 4,
		.fields = {
			SCALAR(exo_ctx_fault, page, 0xffffffff), SCALAR(exo_ctx_fault, fault, 0xffffffff),
			SCALAR(exo_ctx_fault, view, 0xffffffff), SCALAR(exo_ctx_fault, cookie, ANY),
		},
		.helpers = HELPER(BIND) | HELPER(LOG) | HELPER(LOCK) | HELPER(TRACE) |
			   HELPER(NOW) | HELPER(OWNS),
		.budget = 65536,
	},
	{
		.name = "victim",
		.id = EXO_HOOK_VICTIM,
		.flags = EXO_HOOK_DATA_WRITABLE | EXO_HOOK_TRANSACTION,
		.ctx_size = sizeof(struct exo_ctx_victim),
		.ctx_write = sizeof(struct exo_ctx_victim),
		.nr_fields = 4,
		.fields = {
			DATA(exo_ctx_victim),
			SCALAR(exo_ctx_victim, wanted, 0xffffffff), SCALAR(exo_ctx_victim, cookie, ANY),
		},
		.data_cap = 32768,
		.helpers = HELPER(LOG) | HELPER(LOCK) | HELPER(TRACE) | HELPER(NOW) |
			   HELPER(OWNS),
		.budget = 1U << 20,
	},
	{
		.name = "owns",
		.id = EXO_HOOK_XN_OWNS,
		.flags = EXO_HOOK_NEEDS_PURE | EXO_HOOK_NEEDS_DETERMINISTIC,
		.ctx_size = sizeof(struct exo_ctx_xn_owns),
		.ctx_write = sizeof(struct exo_ctx_xn_owns),
		.nr_fields = 4,
		.fields = {
			DATA(exo_ctx_xn_owns),
			SCALAR(exo_ctx_xn_owns, part, 0xffffffff), SCALAR(exo_ctx_xn_owns, block, ANY),
		},
		.data_cap = EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK,
		.helpers = HELPER(EMIT),
		.budget = 1U << 20,
	},
	{
		.name = "acl",
		.id = EXO_HOOK_XN_ACL,
		.flags = EXO_HOOK_NEEDS_PURE,
		.ctx_size = sizeof(struct exo_ctx_xn_acl),
		.ctx_write = sizeof(struct exo_ctx_xn_acl),
		.nr_fields = 10,
		.fields = {
			DATA(exo_ctx_xn_acl),
			SCALAR(exo_ctx_xn_acl, right, EXO_XN_MAY_LINK),
			SCALAR(exo_ctx_xn_acl, uid, 0xffffffff), SCALAR(exo_ctx_xn_acl, owner, 0xffffffff),
			SCALAR(exo_ctx_xn_acl, keys, (1U << EXO_XN_KEYS) - 1),
			SCALAR(exo_ctx_xn_acl, slot, 0xffffffff), SCALAR(exo_ctx_xn_acl, block, ANY),
			SCALAR(exo_ctx_xn_acl, count, 0xffffffff), SCALAR(exo_ctx_xn_acl, time, ANY),
		},
		.data_cap = EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK,
		.helpers = HELPER(GROUP),
		.budget = 65536,
	},
	{
		.name = "size",
		.id = EXO_HOOK_XN_SIZE,
		.flags = EXO_HOOK_NEEDS_PURE | EXO_HOOK_NEEDS_DETERMINISTIC,
		.ctx_size = sizeof(struct exo_ctx_xn_size),
		.ctx_write = sizeof(struct exo_ctx_xn_size),
		.nr_fields = 2,
		.fields = { DATA(exo_ctx_xn_size) },
		.data_cap = EXO_XN_BLOCK,
		.budget = 65536,
	},
};

/**
 * exo_hook_find() - a hook by its number
 * @id: enum exo_graft_hook_id
 *
 * Return: the hook, or NULL.
 */
const struct exo_hook *exo_hook_find(u32 id)
{
	u32 i;

	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		if (hooks[i].id == id)
			return &hooks[i];
	return NULL;
}
