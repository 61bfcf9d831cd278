// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "graft_world.h"

/* Helpers know their world through run->priv. */
static u64 call(struct exo_graft_run *run, u64 number, u64 a, u64 b, u64 c)
{
	struct world *world = run->priv;
	u64 z = world->calls ^ number * 0x9e3779b97f4a7c15ULL;

	z = (z ^ a) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 29 ^ b) * 0x94d049bb133111ebULL;
	z = (z ^ z >> 32 ^ c) * 0x9e3779b97f4a7c15ULL;
	world->calls = z ^ z >> 31;
	/* One in many finds that it can't. */
	if (!(exo_helpers[number].flags & EXO_HELPER_PURE) && world->calls % 32 == 0)
		run->status = EXO_GRAFT_ABORT_HELPER;
	return world->calls;
}

static u64 bind(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)d;
	return call(run, EXO_HELPER_BIND, a, b, c);
}

static u64 lock(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)b;
	(void)c;
	(void)d;
	return call(run, EXO_HELPER_LOCK, a, 0, 0);
}

static u64 trace(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)c;
	(void)d;
	return call(run, EXO_HELPER_TRACE, a, b, 0);
}

/* Of a piece of state: what matters is which, and what stands there. */
static u64 log_state(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	struct world *world = run->priv;

	(void)b;
	(void)c;
	(void)d;
	return call(run, EXO_HELPER_LOG, a - (u64)world_region(world, EXO_REGION_STATE), *(u64 *)a, 0);
}

static u64 now(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return call(run, EXO_HELPER_NOW, 0, 0, 0);
}

static u64 nested(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)c;
	(void)d;
	return call(run, EXO_HELPER_CALL, a, b, 0);
}

static u64 owns(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)b;
	(void)c;
	(void)d;
	return call(run, EXO_HELPER_OWNS, a, 0, 0) & 1;
}

const exo_helper_fn world_helpers[EXO_GRAFT_MAX_HELPERS] = {
	[EXO_HELPER_BIND] = bind,
	[EXO_HELPER_LOG] = log_state,
	[EXO_HELPER_LOCK] = lock,
	[EXO_HELPER_TRACE] = trace,
	[EXO_HELPER_NOW] = now,
	[EXO_HELPER_CALL] = nested,
	[EXO_HELPER_OWNS] = owns,
};

struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		abort();
	world->run = calloc(1, sizeof(*world->run) + 4096);
	world->map = mmap(NULL, WORLD_MAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!world->run || world->map == MAP_FAILED)
		abort();
	return world;
}

void world_free(struct world *world)
{
	munmap(world->map, WORLD_MAP);
	free(world->run);
	free(world);
}

int world_load(struct world *world, u32 hook, const struct exo_insn *insns, u32 len, const u8 *consts,
	       u32 const_size, u32 state_size)
{
	int ret;

	memcpy(world->insns, insns, (len < EXO_GRAFT_MAX_INSNS ? len : EXO_GRAFT_MAX_INSNS) * sizeof(*insns));
	memset(world->slots, 0, sizeof(world->slots));
	world->consts = consts;
	world->prog = (struct exo_graft_prog){
		.hook = exo_hook_find(hook),
		.insns = world->insns,
		.len = len,
		.slots = world->slots,
		.const_size = const_size,
		.state_size = state_size,
	};
	ret = exo_graft_decode(&world->prog, &world->error);
	if (ret)
		return ret;
	exo_graft_layout(&world->prog, &world->layout);
	if (world->layout.mask + 1 + 2 * EXO_GRAFT_GUARD > WORLD_MAP)
		abort();
	/* What was used the last time. */
	memset(world->map, 0, world->used);
	world->data_size = 0;
	world->used = WORLD_MAP;
	return 0;
}

u8 *world_at(const struct world *world, u64 address)
{
	return world->map + EXO_GRAFT_GUARD + address;
}

u8 *world_region(const struct world *world, u32 region)
{
	return world_at(world, world->layout.start[region]);
}

bool world_start(struct world *world, const struct world_input *input)
{
	const struct exo_hook *hook = world->prog.hook;
	struct exo_graft_run *run = world->run;
	u64 data = world->layout.start[EXO_REGION_DATA];
	u32 size = input->data_size < hook->data_cap ? input->data_size : hook->data_cap, arg = 0, i;
	u8 *ctx = world_region(world, EXO_REGION_CTX);

	if (world->prog.const_size)
		memcpy(world_region(world, EXO_REGION_CONST), world->consts, world->prog.const_size);
	memset(ctx, 0, hook->ctx_size + world->prog.stack);
	memset(world_region(world, EXO_REGION_STATE), 0, world->prog.state_size);
	if (input->state)
		memcpy(world_region(world, EXO_REGION_STATE), input->state, world->prog.state_size);
	memset(world_region(world, EXO_REGION_DATA), 0, world->data_size);
	if (size)
		memcpy(world_region(world, EXO_REGION_DATA), input->data, size);
	world->data_size = size;
	world->used = data + size + 2 * EXO_GRAFT_GUARD;
	world->calls = 0;

	*run = (struct exo_graft_run){
		.budget = input->budget - world->prog.len,
		.read_hi = data + size,
		.write_hi = hook->flags & EXO_HOOK_DATA_WRITABLE ? data + size : world->layout.write_hi,
		.base = (u64)world_at(world, 0),
		.priv = world,
	};
	for (i = 0; i < hook->nr_fields; i++) {
		const struct exo_hook_field *field = &hook->fields[i];
		u64 value;

		if (field->off >= hook->ctx_write)
			break;
		value = field->type == EXO_FIELD_DATA ? data : field->type == EXO_FIELD_DATA_END ? data + size :
			input->arg[arg++ & 3];
		if (field->type == EXO_FIELD_SCALAR && value > field->max)
			value &= field->max;
		memcpy(ctx + field->off, &value, field->size);
	}
	return run->budget >= 0;
}

u32 world_interpret(struct world *world)
{
	return exo_graft_interpret(&world->prog, &world->layout, world_helpers, world->run);
}

void world_input_of(const struct vec *vec, struct world_input *input)
{
	*input = (struct world_input){
		.data = vec->data,
		.data_size = vec->data_size,
		.budget = vec->budget,
	};
	memcpy(input->arg, vec->arg, sizeof(input->arg));
}
