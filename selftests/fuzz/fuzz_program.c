// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/mman.h>

#include "fuzz_program.h"
#include "fuzz_random.h"
#include "lib.h"

static const struct kind kinds[] = {
#define WORD(type, member) ((uint8_t)(__builtin_offsetof(struct type, member) / 4))
	{ EXO_NR_INFO, sizeof(struct exo_info), 0, 0, 0, 0, 0 },
	{ EXO_NR_ENV_EVENTFD, sizeof(struct exo_env_eventfd), 0, 0, 0, 0, 0 },
	{ EXO_NR_ENV_STATUS, sizeof(struct exo_env_status), 0, 0, 0, 0, 0 },
	{ EXO_NR_ENV_LIST, sizeof(struct exo_env_list), WORD(exo_env_list, envs),
	  WORD(exo_env_list, count), 0, 0, 0 },
	{ EXO_NR_QUOTA_GET, sizeof(struct exo_quota), 0, 0, 0, 0, 0 },
	{ EXO_NR_QUOTA_SET, sizeof(struct exo_quota), 0, 0, 0, 0, 0 },
	{ EXO_NR_CAP_CREATE, sizeof(struct exo_cap_create), 0, 0, 0, 0, 0 },
	{ EXO_NR_CAP_DERIVE, sizeof(struct exo_cap_derive), 0, 0, WORD(exo_cap_derive, cap), 0, 0 },
	{ EXO_NR_CAP_REVOKE, sizeof(struct exo_cap_revoke), 0, 0, WORD(exo_cap_revoke, cap), 0, 0 },
	{ EXO_NR_CAP_CHECK, sizeof(struct exo_cap_check), 0, 0, WORD(exo_cap_check, cap), 0, 0 },
	{ EXO_NR_MEM_POOL, sizeof(struct exo_mem_pool), 0, 0, 0, 0, 0 },
	{ EXO_NR_MEM_ALLOC, sizeof(struct exo_mem_alloc), WORD(exo_mem_alloc, frames_ptr),
	  WORD(exo_mem_alloc, count), 0, 0, 0 },
	{ EXO_NR_MEM_FREE, sizeof(struct exo_mem_frames), WORD(exo_mem_frames, frames_ptr),
	  WORD(exo_mem_frames, count), 0, 0, 0 },
	{ EXO_NR_MEM_IMPORT, sizeof(struct exo_mem_import), 0, 0, WORD(exo_mem_import, cap), 0, 0 },
	{ EXO_NR_MEM_DROP, sizeof(struct exo_mem_frames), WORD(exo_mem_frames, frames_ptr),
	  WORD(exo_mem_frames, count), 0, 0, 0 },
	{ EXO_NR_MEM_VIEW_CREATE, sizeof(struct exo_mem_view_create), 0, 0, 0, 0, 0 },
	{ EXO_NR_MEM_VIEW_DESTROY, sizeof(struct exo_mem_view), 0, 0, 0, WORD(exo_mem_view, view), 0 },
	{ EXO_NR_MEM_BIND, sizeof(struct exo_mem_batch), WORD(exo_mem_batch, ops),
	  WORD(exo_mem_batch, count), 0, WORD(exo_mem_batch, view), 0 },
	{ EXO_NR_MEM_UNBIND, sizeof(struct exo_mem_batch), WORD(exo_mem_batch, ops),
	  WORD(exo_mem_batch, count), 0, WORD(exo_mem_batch, view), 0 },
	{ EXO_NR_MEM_REBIND, sizeof(struct exo_mem_batch), WORD(exo_mem_batch, ops),
	  WORD(exo_mem_batch, count), 0, WORD(exo_mem_batch, view), 0 },
	{ EXO_NR_MEM_PROTECT, sizeof(struct exo_mem_batch), WORD(exo_mem_batch, ops),
	  WORD(exo_mem_batch, count), 0, WORD(exo_mem_batch, view), 0 },
	{ EXO_NR_MEM_FLUSH, sizeof(struct exo_mem_view), 0, 0, 0, WORD(exo_mem_view, view), 0 },
	{ EXO_NR_MEM_HARVEST, sizeof(struct exo_mem_harvest), WORD(exo_mem_harvest, bits),
	  WORD(exo_mem_harvest, count), 0, WORD(exo_mem_harvest, view), 0 },
	{ EXO_NR_MEM_UPCALL, sizeof(struct exo_mem_upcall), 0, 0, 0, 0, 0 },
	{ EXO_NR_MEM_WAKE, sizeof(struct exo_mem_wake), 0, 0, 0, WORD(exo_mem_wake, view), 0 },
	{ EXO_NR_MEM_REVOKE, sizeof(struct exo_mem_revoke), 0, 0, 0, 0, 0 },
	{ EXO_NR_MEM_LOG, sizeof(struct exo_mem_log), WORD(exo_mem_log, entries),
	  WORD(exo_mem_log, count), 0, 0, 0 },
	{ EXO_NR_MEM_QUERY, sizeof(struct exo_mem_query), WORD(exo_mem_query, infos),
	  WORD(exo_mem_query, count), 0, 0, 0 },
	{ EXO_NR_GRAFT_UNLOAD, sizeof(struct exo_graft_unload), 0, 0, 0, 0, WORD(exo_graft_unload, graft) },
	{ EXO_NR_GRAFT_ATTACH, sizeof(struct exo_graft_attach), 0, 0, WORD(exo_graft_attach, cap),
	  WORD(exo_graft_attach, target), WORD(exo_graft_attach, graft) },
	{ EXO_NR_GRAFT_DETACH, sizeof(struct exo_graft_detach), 0, 0, 0, WORD(exo_graft_detach, target), 0 },
	{ EXO_NR_GRAFT_RUN, sizeof(struct exo_graft_invoke), WORD(exo_graft_invoke, data),
	  WORD(exo_graft_invoke, data_size), 0, 0, WORD(exo_graft_invoke, graft) },
	{ EXO_NR_GRAFT_STATUS, sizeof(struct exo_graft_info), 0, 0, 0, 0, WORD(exo_graft_info, graft) },
	{ EXO_NR_GRAFT_LIST, sizeof(struct exo_graft_list), WORD(exo_graft_list, rows),
	  WORD(exo_graft_list, count), 0, 0, 0 },
	{ EXO_NR_GRAFT_LOG, sizeof(struct exo_graft_log), WORD(exo_graft_log, entries),
	  WORD(exo_graft_log, count), 0, 0, WORD(exo_graft_log, graft) },
	{ EXO_NR_GRAFT_KILL, sizeof(struct exo_graft_kill), 0, 0, 0, 0, WORD(exo_graft_kill, graft) },
	{ EXO_NR_GRAFT_LOAD, 32, 0, 0, 0, 0, 0 },
#define XN(name) { EXO_NR_XN_##name, 32, 0, 0, 0, 0, 0 }
	XN(FORMAT), XN(ATTACH), XN(DETACH), XN(GROW), XN(CHECK), XN(TRIM), XN(DISK), XN(MAP), XN(TEMPLATE_ADD),
	XN(TEMPLATE), XN(ROOT_CREATE), XN(ROOT), XN(ROOT_SET), XN(READ), XN(APPLY), XN(APPLY), XN(COMMIT), XN(BIND),
	XN(UNBIND), XN(IO), XN(IO), XN(ENTRY), XN(ENTRY_LOCK), XN(ENTRY_IO), XN(SPECULATE),
	{ OTHER_MMAP, 16, 0, 0, 0, 0, 0 }, { OTHER_MUNMAP, 8, 0, 0, 0, 0, 0 }, { OTHER_TOUCH, 16, 0, 0, 0, 0, 0 },
	{ OTHER_REOPEN, 8, 0, 0, 0, 0, 0 }, { OTHER_CAP, 16, 0, 0, 0, 0, 0 },
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

void *fuzz_room(size_t len)
{
	char *at = mmap(NULL, len + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE((long)at, (long)MAP_FAILED);
	ASSERT_EQ(mprotect(at, len, PROT_READ | PROT_WRITE), 0);
	return at;
}

const struct kind *fuzz_kind(uint8_t nr)
{
	unsigned int i;

	for (i = 0; i < NR_KINDS; i++)
		if (kinds[i].nr == nr)
			return &kinds[i];
	return NULL;
}

static void random_step(struct step *step, const struct kind *kind)
{
	unsigned int i;

	memset(step, 0, sizeof(*step));
	step->nr = kind->nr;
	step->env = (uint8_t)any(2);
	step->len = any(30) ? kind->size : (uint16_t)any(200);
	for (i = 2; i < kind->size / 4 && i < WORDS; i++)
		step->words[i] = any(3) ? any(4) : interesting();
	if (kind->count)
		step->words[kind->count] = any(10) ? 1 + any(8) : interesting();
	for (i = 0; i < 32; i++)
		step->array[i] = any(4) ? any(8) : interesting();
	/* A batch's operations mostly have a count and rights. */
	if (kind->view && kind->pointer && kind->nr != EXO_NR_MEM_HARVEST)
		for (i = 0; i < 8; i++) {
			step->array[i * 4 + 1] = any(8) ? 1 + any(3) : interesting();
			step->array[i * 4 + 3] = kind->nr == EXO_NR_MEM_UNBIND ? 0 : any(8) ? 1 + 2 * any(2) :
						 interesting();
			if (kind->nr == EXO_NR_MEM_UNBIND || kind->nr == EXO_NR_MEM_PROTECT)
				step->array[i * 4 + 2] = any(20) ? 0 : interesting();
		}
	if (kind->graft)
		step->words[kind->graft] = any(12) ? any(5) : interesting();
	fuzz_graft_words(step->nr, step->words, step->array);
	if (kind->nr == EXO_NR_ENV_LIST) {
		step->words[8] = any(8) ? 88 + 8 * any(4) : interesting();
		step->words[9] = any(30) ? 0 : 1;
	}
	if (kind->nr == EXO_NR_MEM_VIEW_CREATE) {
		step->words[1] = any(3) ? 0 : any(4);
		step->words[2] = any(8) ? 1 + any(2048) : interesting();
		step->words[3] = any(3) ? 0 : 512U << any(9);
		step->words[5] = any(30) ? 0 : 1;
	}
}

struct seed_step {
	uint8_t nr;
	uint8_t words[20];	/* from the third on */
};

/* A root with data that is written, read, committed and freed: fuzz_xn.c says what the words mean. */
static const struct seed_step xn_seed[] = {
	{ EXO_NR_MEM_ALLOC, { 4 } },
	{ EXO_NR_XN_ROOT_CREATE, { 0 } },
	{ EXO_NR_XN_READ, { 0 } },
	{ EXO_NR_XN_APPLY, { 0 } },
	{ EXO_NR_XN_MAP, { 0 } },
	{ EXO_NR_XN_BIND, { 0 } },
	{ EXO_NR_XN_IO, { 1, 0, 1 } },
	{ EXO_NR_XN_IO, { 0 } },
	{ EXO_NR_XN_IO, { 2, 0, 1 } },
	{ EXO_NR_XN_IO, { 4 } },
	{ EXO_NR_XN_SPECULATE, { 0 } },
	{ EXO_NR_XN_ENTRY, { 0, 0, 1 } },
	{ EXO_NR_XN_ENTRY_IO, { 0, 1 } },
	{ EXO_NR_XN_ENTRY_LOCK, { 2, 1 } },
	{ EXO_NR_XN_ENTRY_IO, { 2, 1 } },
	{ EXO_NR_XN_ENTRY_IO, { 1, 1, 1 } },
	{ EXO_NR_XN_APPLY, { 0, 0, 1 } },
	{ EXO_NR_XN_UNBIND, { 0 } },
	{ EXO_NR_XN_APPLY, { 1 } },
	{ EXO_NR_XN_COMMIT, { 0 } },
	{ EXO_NR_XN_ROOT, { 0 } },
	{ EXO_NR_XN_ROOT_SET, { 2 } },
};

/* Frames that are given and taken through a socket: fill_message() in ioctl_fuzz.c says what the words mean. */
static const struct seed_step message_seed[] = {
	{ EXO_NR_MEM_VIEW_CREATE, { 64 } },
	{ OTHER_MMAP, { 0, 0, 0, 0, 1 } },
	{ EXO_NR_MEM_ALLOC, { 2, [10] = 2 } },
	{ EXO_NR_MEM_IMPORT, { [11] = 0, [13] = RW, [16] = 3, [17] = 2 } },
	{ EXO_NR_MEM_ALLOC, { 1, [10] = 4 } },
	{ EXO_NR_MEM_IMPORT, { [11] = 0, [12] = 5, [13] = RO, [16] = 5, [17] = 1 } },
};

/* A fault that waits for a monitor, which takes the mapping away: monitor() in ioctl_fuzz.c. */
static const struct seed_step monitor_seed[] = {
	{ EXO_NR_MEM_VIEW_CREATE, { 64 } },
	{ OTHER_MMAP, { 0, 0, 0, 0, 1 } },
	{ OTHER_TOUCH, { 0, 0, 0 } },
	{ EXO_NR_MEM_WAKE, { 0, 0, 64 } },
};

static void seed_step(struct program *p, const struct seed_step *from)
{
	struct step *step = &p->step[p->steps++];
	unsigned int k;

	step->nr = from->nr;
	step->len = fuzz_kind(from->nr)->size;
	for (k = 0; k < 20; k++)
		step->words[2 + k] = from->words[k];
}

void fuzz_program_seed(struct program *p, uint32_t n)
{
	static const struct seed_step steps[] = {
		{ EXO_NR_MEM_VIEW_CREATE, { 64 } },
		{ EXO_NR_MEM_ALLOC, { 4 } },
		{ EXO_NR_GRAFT_LOAD, { 0 } },
		{ EXO_NR_GRAFT_ATTACH, { 1, 0 } },
		{ OTHER_MMAP, { 0, 0, 0, 0, 1 } },	/* the view */
		{ OTHER_MMAP, { 1, 8, 0, 0, 1 } },	/* the graft's state */
		{ OTHER_TOUCH, { 1, 0, 1 } },		/* names a frame */
		{ OTHER_TOUCH, { 0, 0, 0 } },
		{ EXO_NR_GRAFT_RUN, { 1, 2 } },
		{ EXO_NR_GRAFT_LOG, { 1, 4 } },
		{ EXO_NR_GRAFT_LIST, { 4 } },
		{ EXO_NR_GRAFT_STATUS, { 1 } },
		{ EXO_NR_GRAFT_DETACH, { EXO_HOOK_FAULT, 0 } },
		{ EXO_NR_GRAFT_KILL, { 1 } },
		{ EXO_NR_GRAFT_UNLOAD, { 1 } },
	};
	unsigned int i;

	memset(p, 0, sizeof(*p));
	for (i = 0; n == FUZZ_SEEDS - 1 && i < sizeof(xn_seed) / sizeof(xn_seed[0]); i++)
		seed_step(p, &xn_seed[i]);
	for (i = 0; n == FUZZ_SEEDS - 2 && i < sizeof(message_seed) / sizeof(message_seed[0]); i++)
		seed_step(p, &message_seed[i]);
	for (i = 0; n == FUZZ_SEEDS - 3 && i < sizeof(monitor_seed) / sizeof(monitor_seed[0]); i++)
		seed_step(p, &monitor_seed[i]);
	if (n == FUZZ_SEEDS - 3)
		p->step[0].words[1] = EXO_VIEW_MONITOR;
	for (i = 0; n < FUZZ_SEEDS - 3 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct step *step = &p->step[p->steps];

		seed_step(p, &steps[i]);
		if (step->nr == EXO_NR_GRAFT_LOAD) {
			step->words[2] = n / 3;
			step->words[3] = n % 3;
		}
	}
}

void fuzz_program_mutate(struct program *p)
{
	struct step *step;
	unsigned int n = 1 + any(4);

	while (n--) {
		uint32_t at = p->steps ? any(p->steps) : 0;

		switch (any(6)) {
		case 0:
			if (p->steps == MAX_STEPS)
				break;
			memmove(&p->step[at + 1], &p->step[at], (p->steps - at) * sizeof(*step));
			random_step(&p->step[at], &kinds[any(NR_KINDS)]);
			p->steps++;
			break;
		case 1:
			if (p->steps < 2)
				break;
			memmove(&p->step[at], &p->step[at + 1], (p->steps - at - 1) * sizeof(*step));
			p->steps--;
			break;
		case 2:
			p->step[at].words[1 + any(WORDS - 1)] = interesting();
			break;
		case 3:
			p->step[at].array[any(32)] = interesting();
			break;
		case 4:
			p->step[at].words[any(WORDS)] ^= 1U << any(32);
			break;
		case 5:
			if (p->steps < MAX_STEPS)
				p->step[p->steps++] = p->step[at];
			break;
		}
	}
}

void fuzz_program_random(struct program *p)
{
	for (p->steps = 0; p->steps < 6; p->steps++)
		random_step(&p->step[p->steps], &kinds[any(NR_KINDS)]);
}
