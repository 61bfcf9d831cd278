/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: /sys/kernel/tracing/events/exo. An environment is its number everywhere.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM exo

#if !defined(EXO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define EXO_TRACE_H

#include <linux/tracepoint.h>
#include <linux/types.h>

DECLARE_EVENT_CLASS(exo_env,
	TP_PROTO(u64 env, u32 uid),
	TP_ARGS(env, uid),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, uid)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->uid = uid;
	),
	TP_printk("env=%llu uid=%u", __entry->env, __entry->uid)
);

DEFINE_EVENT(exo_env, exo_env_open, TP_PROTO(u64 env, u32 uid), TP_ARGS(env, uid));
DEFINE_EVENT(exo_env, exo_env_release, TP_PROTO(u64 env, u32 uid), TP_ARGS(env, uid));

/* Frames allocated or given up; flags are those of the command. */
DECLARE_EVENT_CLASS(exo_frames,
	TP_PROTO(u64 env, u32 flags, u32 count, u32 done, int ret),
	TP_ARGS(env, flags, count, done, ret),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, flags)
		__field(u32, count)
		__field(u32, done)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->flags = flags;
		__entry->count = count;
		__entry->done = done;
		__entry->ret = ret;
	),
	TP_printk("env=%llu flags=0x%x count=%u done=%u ret=%d", __entry->env, __entry->flags,
		  __entry->count, __entry->done, __entry->ret)
);

DEFINE_EVENT(exo_frames, exo_alloc,
	TP_PROTO(u64 env, u32 flags, u32 count, u32 done, int ret),
	TP_ARGS(env, flags, count, done, ret));
DEFINE_EVENT(exo_frames, exo_free,
	TP_PROTO(u64 env, u32 flags, u32 count, u32 done, int ret),
	TP_ARGS(env, flags, count, done, ret));

/* One batch on a view. */
DECLARE_EVENT_CLASS(exo_batch,
	TP_PROTO(u64 env, u32 view, u32 count, u32 done, int ret),
	TP_ARGS(env, view, count, done, ret),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, view)
		__field(u32, count)
		__field(u32, done)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->view = view;
		__entry->count = count;
		__entry->done = done;
		__entry->ret = ret;
	),
	TP_printk("env=%llu view=%u count=%u done=%u ret=%d", __entry->env, __entry->view,
		  __entry->count, __entry->done, __entry->ret)
);

DEFINE_EVENT(exo_batch, exo_bind,
	TP_PROTO(u64 env, u32 view, u32 count, u32 done, int ret),
	TP_ARGS(env, view, count, done, ret));
DEFINE_EVENT(exo_batch, exo_unbind,
	TP_PROTO(u64 env, u32 view, u32 count, u32 done, int ret),
	TP_ARGS(env, view, count, done, ret));

/* A fault in a view; ret is what the fault handler returns. */
TRACE_EVENT(exo_fault,
	TP_PROTO(u64 env, u32 view, u32 page, u32 fault, u32 ret),
	TP_ARGS(env, view, page, fault, ret),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, view)
		__field(u32, page)
		__field(u32, fault)
		__field(u32, ret)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->view = view;
		__entry->page = page;
		__entry->fault = fault;
		__entry->ret = ret;
	),
	TP_printk("env=%llu view=%u page=%u fault=0x%x ret=0x%x", __entry->env, __entry->view,
		  __entry->page, __entry->fault, __entry->ret)
);

TRACE_EVENT(exo_upcall,
	TP_PROTO(u64 env, u32 view, u32 page, u32 slot, u32 level),
	TP_ARGS(env, view, page, slot, level),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, view)
		__field(u32, page)
		__field(u32, slot)
		__field(u32, level)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->view = view;
		__entry->page = page;
		__entry->slot = slot;
		__entry->level = level;
	),
	TP_printk("env=%llu view=%u page=%u slot=%u level=%u", __entry->env, __entry->view,
		  __entry->page, __entry->slot, __entry->level)
);

/* Frames are asked back. */
TRACE_EVENT(exo_revoke,
	TP_PROTO(u64 env, u32 frames, u32 wanted, u64 deadline_ns, u32 why),
	TP_ARGS(env, frames, wanted, deadline_ns, why),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, frames)
		__field(u32, wanted)
		__field(u64, deadline_ns)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->frames = frames;
		__entry->wanted = wanted;
		__entry->deadline_ns = deadline_ns;
		__entry->why = why;
	),
	TP_printk("env=%llu frames=%u wanted=%u deadline=%llu why=%u", __entry->env,
		  __entry->frames, __entry->wanted, __entry->deadline_ns, __entry->why)
);

/* Frames are taken by force. */
TRACE_EVENT(exo_repossess,
	TP_PROTO(u64 env, u32 frames, u32 why),
	TP_ARGS(env, frames, why),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, frames)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->frames = frames;
		__entry->why = why;
	),
	TP_printk("env=%llu frames=%u why=%u", __entry->env, __entry->frames, __entry->why)
);

/* A wrong capability was shown; failures is how many recently, by this uid. */
TRACE_EVENT(exo_cap_fail,
	TP_PROTO(u64 env, u32 uid, u32 failures),
	TP_ARGS(env, uid, failures),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, uid)
		__field(u32, failures)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->uid = uid;
		__entry->failures = failures;
	),
	TP_printk("env=%llu uid=%u failures=%u", __entry->env, __entry->uid, __entry->failures)
);

/* A run of a graft was aborted; status is an enum exo_graft_status. */
TRACE_EVENT(exo_graft_abort,
	TP_PROTO(u64 env, u32 graft, u32 status),
	TP_ARGS(env, graft, status),
	TP_STRUCT__entry(
		__field(u64, env)
		__field(u32, graft)
		__field(u32, status)
	),
	TP_fast_assign(
		__entry->env = env;
		__entry->graft = graft;
		__entry->status = status;
	),
	TP_printk("env=%llu graft=%u status=%u", __entry->env, __entry->graft, __entry->status)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
