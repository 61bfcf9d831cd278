// SPDX-License-Identifier: GPL-2.0
/* What the measurements of grafts share. See g.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "g.h"

#define FOLDER "/root/graft"
#define PEER_MODULE FOLDER "/exo_graft_peer.ko"
#define PEER_DEVICE "/dev/exo_graft_peer"
#define JIT "/proc/sys/net/core/bpf_jit_enable"

static int peer_fd(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	if (access(PEER_DEVICE, F_OK))
		bench_insmod(PEER_MODULE);
	fd = open(PEER_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bench_fail("%s: %s", PEER_DEVICE, strerror(errno));
	return fd;
}

struct exo_env *g_env(void)
{
	static struct exo_env *env;

	if (!env)
		env = bench_env(0);
	return env;
}

struct exo_graft_object *g_open(const char *name)
{
	struct exo_graft_object *object;
	struct exo_graft_open_opts opts = { .sz = sizeof(opts) };
	char path[128], error[256] = "";

	opts.error = error;
	opts.error_size = sizeof(error);
	snprintf(path, sizeof(path), FOLDER "/%s.bpf.o", name);
	if (exo_graft_open(&object, path, &opts))
		bench_fail("%s: %s", path, error);
	return object;
}

struct g_side g_graft(const char *name, uint32_t mode, uint32_t flags)
{
	struct exo_graft_load_opts opts = { .sz = sizeof(opts), .mode = mode, .flags = flags };
	struct g_side side = { .name = name, .object = g_open(name) };
	char error[256] = "";

	opts.error = error;
	opts.error_size = sizeof(error);
	if (exo_graft_load(g_env(), side.object, &opts, &side.graft))
		bench_fail("%s: %s", name, error);
	bench_assert(exo_graft_mode(side.graft) == mode);
	return side;
}

struct g_side g_bytecode(const char *name, int blind, int jited)
{
	return (struct g_side){
		.name = name,
		.object = g_open(name),
		.how = GRAFT_PEER_BYTECODE,
		.blind = blind,
		.jited = jited,
	};
}

struct g_side g_native(const char *name)
{
	return (struct g_side){ .name = name, .how = GRAFT_PEER_NATIVE };
}

void g_close(struct g_side *side)
{
	if (side->graft)
		bench_must(exo_graft_unload(side->graft), "unload");
	if (side->object)
		exo_graft_close(side->object);
}

static double run_graft(const struct g_side *side, struct g_input *in)
{
	struct exo_graft_invoke invoke = {
		.repeat = in->repeat,
		.data = (uintptr_t)in->data,
		.data_out = (uintptr_t)in->data_out,
		.data_size = in->size,
	};

	memcpy(invoke.arg, in->arg, sizeof(in->arg));
	bench_must(exo_graft_run(side->graft, &invoke), side->name);
	bench_assert(invoke.out_status == EXO_GRAFT_OK && invoke.out_runs == in->repeat);
	memcpy(in->out, invoke.out, sizeof(in->out));
	in->result = invoke.out_result;
	return bench_is_wall() ? (double)invoke.out_ns : (double)invoke.out_cycles;
}

static double run_peer(const struct g_side *side, struct g_input *in)
{
	struct graft_peer_run run = {
		.how = side->how,
		.blind = (uint32_t)side->blind,
		.repeat = in->repeat,
		.data = (uintptr_t)(in->data_out ? in->data_out : in->data),
		.data_size = in->size,
	};
	const struct exo_graft_parts *parts;

	if (in->data_out)
		memcpy(in->data_out, in->data, in->size);
	snprintf(run.name, sizeof(run.name), "%s", side->name);
	if (side->object) {
		parts = exo_graft_object_parts(side->object);
		run.insns = (uintptr_t)parts->insns;
		run.len = parts->nr_insns;
	}
	memcpy(run.arg, in->arg, sizeof(in->arg));
	if (ioctl(peer_fd(), GRAFT_PEER_RUN, &run))
		bench_fail("%s, by the peer: %s", side->name, strerror(errno));
	bench_assert(side->how != GRAFT_PEER_BYTECODE || (int)run.out_jited == side->jited);
	memcpy(in->out, run.out, sizeof(in->out));
	in->result = run.out_result;
	return (double)run.out_ticks;
}

double g_run(const struct g_side *side, struct g_input *in)
{
	return (side->graft ? run_graft(side, in) : run_peer(side, in)) / in->repeat;
}

void g_jit(int on)
{
	bench_write_file(JIT, on ? "1" : "0");
}

const struct trace_frame *g_frames(void)
{
	static struct trace_frame *frames;
	struct trace trace;
	int i;

	if (frames)
		return frames;
	frames = calloc(G_FRAMES, sizeof(*frames));
	if (!frames)
		bench_fail("no memory for the trace");
	trace_start(&trace, TRACE_SEED);
	for (i = 0; i < G_FRAMES; i++)
		trace_next(&trace, &frames[i]);
	return frames;
}
