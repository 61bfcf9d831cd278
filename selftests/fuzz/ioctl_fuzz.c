// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage-guided fuzzing of the ABI as an ordinary user. A program is a sequence of operations on two
 * environments, their views and grafts, and on a raw disk: ioctls with mutated arguments, grafts and certificates with
 * mutated code, mmap, munmap, touches, closes. Programs that reach code of exo.ko not reached before are kept and mutated further. The kernel's checkers
 * (KASAN, lockdep, ...) say what is a bug; the harness looks whether everything was given back.
 *
 * EXO_FUZZ_SECONDS (default 60) says how long, EXO_TEST_SEED where to begin. Needs KCOV; the kernel is
 * built so that only exo.ko is instrumented, and a run that sees none of it fails.
 */
#include <dirent.h>
#include <linux/kcov.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fuzz_graft.h"
#include "fuzz_program.h"
#include "fuzz_random.h"
#include "fuzz_xn.h"
#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 4096;
uint32_t test_pool_huge = 2;

#define COVER_WORDS (256 << 10)
#define CORPUS 2048
#define SEEN_BITS 20

/* What the fuzzer knows, shared with the processes that run programs. */
static struct shared {
	struct program corpus[CORPUS];
	uint32_t nr_corpus, seeds;
	uint64_t executed, covered;
	uint64_t loaded, proved, attached, ran;	/* grafts */
	uint64_t received;			/* messages */
	uint64_t waited;			/* for a monitor */
	uint64_t applied, bound, moved, shared;	/* on the raw disk */
	uint8_t seen[1 << (SEEN_BITS - 3)];
	struct program last;			/* that was run */
	uint32_t at;				/* its step */
} *know;

uint64_t seed;
static uint64_t *cover;

static int fds[2];
static struct exo_cap caps[4];
static uint32_t views[4];
static uint64_t offsets[4], lengths[4];
static struct graft {
	uint32_t number, hook, mode;
} grafts[4];
static uint32_t nr_views, nr_grafts;
static struct { void *at; size_t len; } maps[8];
static struct {
	pthread_mutex_t lock;
	bool now;
	uint32_t slot;	/* in maps */
	uint64_t since;	/* ns */
} touched = { .lock = PTHREAD_MUTEX_INITIALIZER };
#define BUFFER (64U << 10)
static char *buffer;

/* The frames of the array that the program holds have small numbers in it: translate. */
static uint32_t held[16];
static uint32_t nr_held;

static void load_graft(const struct step *step)
{
	struct exo_graft_load load;

	if (fuzz_graft_load(fds[step->env & 1], step->words, step->array, &load))
		return;
	grafts[nr_grafts++ % 4] = (struct graft){ load.out_graft, load.hook, load.out_mode };
	know->loaded++;
	know->proved += load.out_mode == EXO_GRAFT_PROOF;
}

/* One that is there; for EXO_GRAFT_RUN and _ATTACH, if there is one, one that they are for. */
static const struct graft *pick_graft(uint8_t nr, uint32_t word)
{
	uint32_t i, n = nr_grafts < 4 ? nr_grafts : 4;
	bool attach = nr == EXO_NR_GRAFT_ATTACH, run = nr == EXO_NR_GRAFT_RUN;

	if (!n || !word || word > 4)
		return NULL;
	for (i = 0; i < n && (attach || run); i++) {
		const struct graft *graft = &grafts[(word - 1 + i) % n];

		if (attach == (graft->hook == EXO_HOOK_FAULT || graft->hook == EXO_HOOK_VICTIM))
			return graft;
	}
	return &grafts[(word - 1) % n];
}

/* What a call on a graft has that others have not. */
static void fill_graft(const struct step *step, const struct kind *kind, uint32_t *arg)
{
	uint32_t word = step->words[kind->graft];
	const struct graft *graft = pick_graft(kind->nr, word);
	struct exo_graft_invoke *run = (void *)arg;

	/* 0: by capability */
	arg[kind->graft] = graft ? graft->number : word;
	if (kind->nr == EXO_NR_GRAFT_ATTACH && graft && step->words[kind->cap] < 4)
		memset(&arg[kind->cap], 0, sizeof(struct exo_cap));
	if (kind->nr == EXO_NR_GRAFT_ATTACH && graft && graft->hook == EXO_HOOK_VICTIM && step->words[3] < 4)
		arg[kind->view] = 0;
	if (kind->nr != EXO_NR_GRAFT_RUN)
		return;
	/* A million slots take a slow kernel's interpreter half a minute; so long is 16 times what a run may take. */
	run->repeat = step->words[3] % (graft && graft->mode == EXO_GRAFT_INTERP ? 4 : 64);
	if (graft && graft->hook == EXO_HOOK_TXN && step->words[5] % 8)
		run->data_size = 0;
	run->data_out = graft && graft->hook == EXO_HOOK_STREAM && step->words[6] % 8 ?
				(uintptr_t)buffer + BUFFER / 2 : 0;
	if (run->arg[0] < 5 && run->arg[0])
		run->arg[0] = grafts[run->arg[0] - 1].number;
}

/* Two pairs, of packets and of a stream; nobody waits. */
static int sockets[4];

/*
 * A socket's word of 2 to 5 is one of these, then the flags are such that it counts; any other is a descriptor
 * that the fuzzer made up.
 */
static void fill_message(const struct step *step, uint32_t *arg)
{
	struct exo_mem_alloc *alloc = (void *)arg;
	struct exo_mem_import *import = (void *)arg;

	if (step->nr == EXO_NR_MEM_ALLOC && alloc->sock >= 2 && alloc->sock < 6) {
		alloc->flags |= EXO_ALLOC_SEND;
		alloc->rights = alloc->rights & EXO_RIGHTS_ALL ?: RW;
		alloc->caps_ptr = (uintptr_t)buffer + BUFFER / 2;
		alloc->count %= 160;
		alloc->sock = sockets[alloc->sock - 2];
	}
	if (step->nr == EXO_NR_MEM_IMPORT && import->sock >= 2 && import->sock < 6) {
		import->flags = (import->flags & EXO_IMPORT_DONTWAIT) | EXO_IMPORT_RECEIVE |
				(import->rights ? EXO_IMPORT_BIND : 0);
		if (import->rights && import->view < 4)
			import->view = views[import->view];
		memset(&import->cap, 0, sizeof(import->cap));
		import->caps_ptr = (uintptr_t)buffer + BUFFER / 2;
		if (step->array[0] == 1)
			import->caps_ptr = (uintptr_t)buffer + BUFFER - 40;
		import->count %= 160;
		import->sock = sockets[import->sock - 2];
	}
}

static void run_ioctl(const struct step *step, const struct kind *kind)
{
	uint32_t arg[64] = { 0 };
	unsigned int i;

	memcpy(arg, step->words, sizeof(step->words));
	arg[0] = step->len;
	/* Mostly without flags that don't exist. */
	if (step->words[1] > 64 && step->words[1] % 4)
		arg[1] = step->words[1] % 8;
	if (kind->view && step->words[kind->view] < 4)
		arg[kind->view] = views[step->words[kind->view]];
	if (kind->cap && step->words[kind->cap] < 4)
		memcpy(&arg[kind->cap], &caps[step->words[kind->cap]], sizeof(struct exo_cap));
	if (kind->pointer) {
		uint64_t pointer = (uintptr_t)buffer;

		memset(buffer, 0, 1024);
		memcpy(buffer, step->array, sizeof(step->array));
		for (i = 0; i < 32; i++)
			if (step->array[i] < nr_held &&
			    (!kind->view || (i % 4 == 2 && kind->nr != EXO_NR_MEM_UNBIND &&
					     kind->nr != EXO_NR_MEM_PROTECT)))
				((uint32_t *)buffer)[i] = held[step->array[i]];
		if (step->words[kind->pointer] == 1)
			pointer = 0;
		if (step->words[kind->pointer] == 2)
			pointer = (uintptr_t)buffer + BUFFER - 8;
		memcpy(&arg[kind->pointer], &pointer, 8);
	}
	if (kind->graft)
		fill_graft(step, kind, arg);
	fill_message(step, arg);
	if (kind->nr == EXO_NR_CAP_CREATE && step->words[2] % 65536 == EXO_CAP_GRAFT && step->words[4] < 4) {
		arg[4] = grafts[step->words[4]].number;
		arg[5] = 0;
	} else if (kind->nr == EXO_NR_CAP_CREATE && step->words[4] < nr_held) {
		arg[4] = held[step->words[4]];
		arg[5] = 0;
	}
	if (t_ioctl(fds[step->env & 1], _IO(EXO_TYPE, kind->nr), arg))
		return;
	know->attached += kind->nr == EXO_NR_GRAFT_ATTACH;
	know->ran += kind->nr == EXO_NR_GRAFT_RUN;
	know->received += kind->nr == EXO_NR_MEM_IMPORT && ((struct exo_mem_import *)arg)->out_received;
	if (kind->nr == EXO_NR_MEM_VIEW_CREATE && nr_views < 4) {
		struct exo_mem_view_create *vc = (void *)arg;

		views[nr_views] = vc->out_view;
		offsets[nr_views] = vc->out_offset;
		lengths[nr_views++] = vc->out_length;
	}
	if (kind->nr == EXO_NR_MEM_ALLOC)
		for (i = 0; i < ((struct exo_mem_alloc *)arg)->out_done && nr_held < 16; i++)
			held[nr_held++] = ((uint32_t *)buffer)[i];
	if (kind->nr == EXO_NR_CAP_CREATE)
		caps[step->words[2] % 4] = ((struct exo_cap_create *)arg)->out_cap;
}

static void run_xn(const struct step *step)
{
	unsigned int env = step->env & 1;

	if (fuzz_xn(fds[env], env, step->nr, step->words, step->array, held, nr_held))
		return;
	know->applied += step->nr == EXO_NR_XN_APPLY;
	know->bound += step->nr == EXO_NR_XN_BIND;
	know->moved += step->nr == EXO_NR_XN_IO;
	know->shared += step->nr == EXO_NR_XN_ENTRY_IO;
}

static void touch(uint32_t slot, size_t offset, bool store, uint64_t value)
{
	char *at = (char *)maps[slot].at + offset;

	pthread_mutex_lock(&touched.lock);
	touched.now = true;
	touched.slot = slot;
	touched.since = test_now_ns();
	pthread_mutex_unlock(&touched.lock);
	/* A fault graft finds a frame in its state. */
	if (store)
		t_store(at, value);
	else
		t_load(at, &value);
	pthread_mutex_lock(&touched.lock);
	touched.now = false;
	pthread_mutex_unlock(&touched.lock);
}

/* Of all views. A fault that waits for it has no page here: its mapping goes. */
static void *monitor(void *arg)
{
	for (;;) {
		test_sleep_ms(10);
		pthread_mutex_lock(&touched.lock);
		if (touched.now && test_now_ns() - touched.since > 100000000 && maps[touched.slot].at) {
			munmap(maps[touched.slot].at, maps[touched.slot].len);
			maps[touched.slot].at = NULL;
			know->waited++;
		}
		pthread_mutex_unlock(&touched.lock);
	}
	return arg;
}

static void run_other(const struct step *step)
{
	uint32_t a = step->words[2], b = step->words[3], slot = a % 8;
	int fd = fds[step->env & 1];

	switch (step->nr) {
	case OTHER_MMAP: {
		uint64_t offset, len;

		if (maps[slot].at)
			munmap(maps[slot].at, maps[slot].len);
		if (b < 4) {
			offset = offsets[b];
			len = lengths[b];
		} else {
			static const uint32_t lens[] = { 1, 4, 16, 17, 512 };

			offset = (uint64_t)(b % 10) << EXO_MMAP_SHIFT;
			if (b % 10 == 8)
				offset |= (uint64_t)grafts[step->words[4] % 4].number << EXO_MMAP_VIEW_SHIFT;
			else if (b % 10 >= 4 && b % 10 <= 6)
				offset |= (uint64_t)views[b % 4] << EXO_MMAP_VIEW_SHIFT;
			else
				offset |= step->words[4] % 3 ? (uint64_t)(nr_held ? held[0] : 0) << 12 : 0;
			len = lens[step->words[5] % 5] * PAGE;
			if (b % 10 == 9 && step->words[4] < 8)
				offset = fuzz_xn_table(&len);
		}
		if (!len)
			break;
		maps[slot].at = mmap(NULL, len, step->words[6] % 4 ? PROT_READ | PROT_WRITE : PROT_READ,
				     MAP_SHARED, fd, (off_t)offset);
		maps[slot].len = len;
		if (maps[slot].at == MAP_FAILED)
			maps[slot].at = NULL;
		break;
	}
	case OTHER_MUNMAP:
		if (maps[slot].at && !munmap(maps[slot].at, b % 8 ? maps[slot].len : PAGE))
			maps[slot].at = NULL;
		break;
	case OTHER_TOUCH:
		if (!maps[slot].at)
			break;
		touch(slot, (b % (maps[slot].len / PAGE)) * PAGE, step->words[4] & 1, a < nr_held ? held[a] : a);
		break;
	case OTHER_REOPEN:
		close(fd);
		fds[step->env & 1] = open(t_device(), O_RDWR | O_CLOEXEC);
		break;
	case OTHER_CAP:
		((uint8_t *)&caps[a % 4])[b % 32] ^= (uint8_t)(1 << step->words[4] % 8);
		break;
	}
}

/* Environments are expensive: some programs have them one after the other. */
static void fresh_environments(void)
{
	static unsigned int uses;
	unsigned int i;

	if (uses++ % 16)
		return;
	if (uses > 1) {
		close(fds[0]);
		close(fds[1]);
		for (i = 0; i < 4; i++)
			close(sockets[i]);
	}
	for (i = 0; i < 4; i += 2)
		ASSERT_EQ(socketpair(AF_UNIX, (i ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				     &sockets[i]), 0);
	fds[0] = open(t_device(), O_RDWR | O_CLOEXEC);
	fds[1] = open(t_device(), O_RDWR | O_CLOEXEC);
}

static void run(const struct program *p)
{
	unsigned int i;

	fresh_environments();
	nr_held = nr_views = nr_grafts = 0;
	fuzz_xn_reset();
	memset(grafts, 0, sizeof(grafts));
	memset(views, 0, sizeof(views));
	memset(maps, 0, sizeof(maps));
	for (i = 0; i < p->steps; i++) {
		const struct kind *kind = fuzz_kind(p->step[i].nr);

		know->at = i;
		if (p->step[i].nr >= OTHER_MMAP)
			run_other(&p->step[i]);
		else if (p->step[i].nr == EXO_NR_GRAFT_LOAD)
			load_graft(&p->step[i]);
		else if (fuzz_xn_is(p->step[i].nr))
			run_xn(&p->step[i]);
		else if (kind)
			run_ioctl(&p->step[i], kind);
	}
	for (i = 0; i < 8; i++)
		if (maps[i].at)
			munmap(maps[i].at, maps[i].len);
}

/* New places in this run's coverage. */
static uint32_t new_cover(void)
{
	uint64_t n = __atomic_load_n(&cover[0], __ATOMIC_RELAXED), i;
	uint32_t found = 0;

	for (i = 0; i < n && i < COVER_WORDS - 1; i++) {
		uint64_t at = (cover[i + 1] * 0x9e3779b97f4a7c15ULL) >> (64 - SEEN_BITS);

		if (!(know->seen[at / 8] & (1 << at % 8))) {
			know->seen[at / 8] |= (uint8_t)(1 << at % 8);
			found++;
		}
	}
	return found;
}

/* Run programs until one kills us, which it may: the next process goes on with what is known. */
static void fuzz(int kcov, uint64_t until)
{
	static struct program p;
	pthread_t thread;
	uint32_t found;

	t_become(ALICE);
	fuzz_xn_begin();
	ASSERT_EQ(pthread_create(&thread, NULL, monitor, NULL), 0);
	if (ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		FAIL("KCOV_ENABLE: %s", strerror(errno));
	while (test_now_ns() < until) {
		if (know->seeds < FUZZ_SEEDS) {
			fuzz_program_seed(&p, know->seeds++);
		} else if (know->nr_corpus && any(10)) {
			p = know->corpus[any(know->nr_corpus)];
			fuzz_program_mutate(&p);
		} else {
			fuzz_program_random(&p);
		}
		__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
		know->last = p;
		run(&p);
		know->executed++;
		found = new_cover();
		know->covered += found;
		if (found && know->nr_corpus < CORPUS)
			know->corpus[know->nr_corpus++] = p;
		else if (found)
			know->corpus[any(CORPUS)] = p;
	}
}

/* One line of the words that an operation was made of, without the zeros at its end. */
static void tell_step(const struct step *step)
{
	char line[256];
	uint32_t k, len = 0, n = WORDS;

	while (n && !step->words[n - 1])
		n--;
	for (k = 0; k < n && len < sizeof(line) - 12; k++)
		len += (uint32_t)sprintf(line + len, " %#x", step->words[k]);
	line[len] = 0;
	test_note("environment %u, operation %#x:%s", step->env & 1, step->nr, line);
}

/* Where a thread is in the kernel, innermost first, and what it called. */
static void tell_thread(pid_t pid, int thread)
{
	static const char *const files[] = { "syscall", "stack" };
	char path[64], line[256];
	uint32_t i;

	for (i = 0; i < 2; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, thread, files[i]);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			test_note("thread %d: %.*s", thread, (int)strcspn(line, "\n"), line);
		if (f)
			fclose(f);
	}
}

/* The child is stuck: what it ran, the last of which is the one, and where it is. */
static void tell_hung(pid_t pid)
{
	char path[64];
	struct dirent *thread;
	uint32_t i;
	DIR *dir;

	for (i = 0; i <= know->at; i++)
		tell_step(&know->last.step[i]);
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (thread = readdir(dir)))
		if (thread->d_name[0] != '.')
			tell_thread(pid, atoi(thread->d_name));
	if (dir)
		closedir(dir);
	FAIL("the last of these operations hung");
}

/* How a slice ended. One whose operation takes many times as long as it should is stuck. */
static int wait_slice(pid_t pid)
{
	uint64_t since = test_now_ns(), executed = know->executed;
	uint32_t at = know->at;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (know->executed != executed || know->at != at)
			since = test_now_ns();
		executed = know->executed;
		at = know->at;
		if (test_now_ns() - since > test_patience() * 30000000000ULL)
			tell_hung(pid);
		test_sleep_ms(5);
	}
	return status;
}

static unsigned int seconds(void)
{
	const char *env = getenv("EXO_FUZZ_SECONDS");

	return env && atoi(env) > 0 ? (unsigned int)atoi(env) : 60;
}

TEST_LONG(fuzz__ordinary_user, 100000)
{
	uint64_t until, note = test_now_ns();
	unsigned int slices = 0, deaths = 0;
	bool disk;
	int kcov;

	t_need_root();
	kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov < 0)
		SKIP("this kernel has no KCOV");
	ASSERT_EQ(ioctl(kcov, KCOV_INIT_TRACE, COVER_WORDS), 0);
	cover = mmap(NULL, COVER_WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	ASSERT_NE((long)cover, (long)MAP_FAILED);
	know = test_shared(sizeof(*know));
	buffer = fuzz_room(BUFFER);
	fuzz_graft_init();
	disk = fuzz_xn_init();
	seed = test_seed();
	until = test_now_ns() + seconds() * 1000000000ULL;
	while (test_now_ns() < until) {
		pid_t pid;
		int status;

		fuzz_xn_clean();
		pid = test_fork();
		if (!pid) {
			/* A slice each, so that a program that hangs something doesn't hang all. */
			uint64_t slice = test_now_ns() + 2000000000ULL;

			seed += slices * 7919ULL + know->executed;
			fuzz(kcov, slice < until ? slice : until);
			_exit(0);
		}
		status = wait_slice(pid);
		/* An upcall to a random address kills it: that is as it should be. */
		if (WIFSIGNALED(status))
			deaths++;
		else if (WEXITSTATUS(status))
			FAIL("a slice ended with status %d", WEXITSTATUS(status));
		slices++;
		if (test_now_ns() - note > 15000000000ULL) {
			note = test_now_ns();
			test_note("%llu programs, %llu places, %u kept, %u processes died",
				  (unsigned long long)know->executed, (unsigned long long)know->covered,
				  know->nr_corpus, deaths);
		}
	}
	test_note("%llu programs, %llu places in exo.ko, %u kept", (unsigned long long)know->executed,
		  (unsigned long long)know->covered, know->nr_corpus);
	test_note("%llu grafts loaded, %llu of them proved, %llu times attached, %llu times run",
		  (unsigned long long)know->loaded, (unsigned long long)know->proved,
		  (unsigned long long)know->attached, (unsigned long long)know->ran);
	test_note("%llu messages received, %llu faults waited for a monitor", (unsigned long long)know->received,
		  (unsigned long long)know->waited);
	test_note("raw disk: %llu changes, %llu bindings, %llu times I/O, %llu of entries", (unsigned long long)know->applied,
		  (unsigned long long)know->bound, (unsigned long long)know->moved,
		  (unsigned long long)know->shared);
	fuzz_xn_end();
	/* Without coverage of the module this was no fuzzing. */
	ASSERT_GT(know->covered, 200);
	ASSERT_GT(know->proved, 0);
	ASSERT_GT(know->attached, 0);
	ASSERT_GT(know->ran, 0);
	ASSERT_GT(know->received, 0);
	ASSERT_GT(know->waited, 0);
	if (disk)
		ASSERT_TRUE(know->applied && know->bound && know->moved && know->shared);
}
