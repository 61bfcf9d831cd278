// SPDX-License-Identifier: GPL-2.0
/*
 * The key-value store of samples/kv on the module: what it says that is durable is there after a crash, and nothing
 * is there in part. (selftests/unit/kv_crash_test.c has all the points of a crash, natively.)
 *
 * A child does groups, and counts in shared memory those that were acknowledged; what they are follows from
 * the seed. It is stopped, or killed, at random.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../samples/kv/format.h"
#include "../samples/kv/kv.h"
#include "xn_lib.h"

#define KEYS 700U
#define GROUP 6U
#define LONGEST 6000U
#define POINTS 3

uint32_t test_pool_frames = 1024;

static const struct kv_opts opts = { .frames = 256, .group_blocks = 16, .log_blocks = 96,
				     .blocks = 256 };

/* Of each key: its version, 0: none. */
struct model {
	uint32_t version[KEYS];
	uint32_t count;
	uint64_t random;
};

static char path[32];
static volatile uint32_t *acknowledged;
static uint8_t bytes[2][LONGEST];

static uint32_t next(struct model *model, uint32_t below)
{
	model->random = model->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(model->random >> 33) % below;
}

static uint32_t key_of(uint32_t n, char key[16])
{
	return (uint32_t)snprintf(key, 16, "key%07u", n * 7919 % 1000003);
}

static uint32_t value_of(uint32_t n, uint32_t version, uint8_t *value)
{
	uint32_t i, length = version % 17 ? (n * 31 + version * 97) % 1200 : LONGEST - n % 100;

	for (i = 0; i < length; i++)
		value[i] = (uint8_t)(n + version * 3 + i);
	return length;
}

/* A group in the model, and in the store if there is one. */
static void group(struct model *model, struct kv *kv)
{
	uint32_t i, n, length, key_len;
	char key[16];

	if (kv)
		ASSERT_EQ(kv_begin(kv), 0);
	for (i = 0; i < GROUP; i++) {
		n = next(model, KEYS);
		key_len = key_of(n, key);
		if (!next(model, 4)) {
			if (kv)
				ASSERT_EQ(kv_delete(kv, key, key_len),
					  model->version[n] ? 0 : -ENOENT);
			model->count -= !!model->version[n];
			model->version[n] = 0;
			continue;
		}
		model->count += !model->version[n];
		model->version[n] += 1 + next(model, 9);
		length = value_of(n, model->version[n], bytes[0]);
		if (kv)
			ASSERT_EQ(kv_put(kv, key, key_len, bytes[0], length), 0);
	}
	if (kv)
		ASSERT_EQ(kv_commit(kv), 0);
}

static bool is_like(struct kv *kv, const struct model *model)
{
	uint32_t n, key_len;
	char key[16];
	int length;

	if (kv_count(kv) != model->count)
		return false;
	for (n = 0; n < KEYS; n++) {
		key_len = key_of(n, key);
		length = kv_get(kv, key, key_len, bytes[1], LONGEST);
		if (!model->version[n] ? length != -ENOENT :
		    length != (int)value_of(n, model->version[n], bytes[0]) ||
		    memcmp(bytes[0], bytes[1], (size_t)length))
			return false;
	}
	return true;
}

static struct exo_env *env;
static struct exo_xn *xn;

static void open_disk(uint32_t disk)
{
	struct exo_xn_open_opts which = { .sz = sizeof(which), .disk = disk };

	ASSERT_EQ(exo_env_open(&env, NULL), 0);
	ASSERT_EQ(exo_xn_open(env, &which, &xn), 0);
}

static void close_disk(void)
{
	ASSERT_EQ(exo_xn_close(xn), 0);
	ASSERT_EQ(exo_env_close(env), 0);
}

/* So many groups were acknowledged; the one after them may be there, too. How many are. */
static uint32_t recovered(uint32_t disk, uint32_t groups, uint64_t seed)
{
	struct model model = { .random = seed };
	struct kv *kv;
	uint32_t i;

	open_disk(disk);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(kv_check(kv), 0);
	for (i = 0; i < groups; i++)
		group(&model, NULL);
	if (!is_like(kv, &model)) {
		group(&model, NULL);
		groups++;
		if (!is_like(kv, &model))
			FAIL("it is neither as after %u groups nor as after %u", groups - 1,
			     groups);
	}
	ASSERT_EQ(kv_close(kv), 0);
	close_disk();
	return groups;
}

/* From this many groups on, until it is killed. */
static pid_t work(uint32_t disk, uint32_t groups, uint64_t seed)
{
	struct model model = { .random = seed };
	struct kv *kv;
	uint32_t i;
	pid_t pid;

	*acknowledged = groups;
	pid = test_fork();
	if (pid)
		return pid;
	open_disk(disk);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	for (i = 0; i < groups; i++)
		group(&model, NULL);
	for (;;) {
		group(&model, kv);
		++*acknowledged;
	}
}

static uint32_t setup(int fd)
{
	uint32_t disk = xt_disk(fd, path);

	acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(acknowledged != MAP_FAILED);
	open_disk(disk);
	ASSERT_EQ(kv_create(xn, "store", &opts), 0);
	ASSERT_EQ(kv_create(xn, "store", &opts), -EEXIST);
	close_disk();
	return disk;
}

/* Until it has done some more. */
static void wait_for(uint32_t groups)
{
	while (*acknowledged < groups)
		usleep(1000);
}

/* Catches: functions that aren't proved; a store that doesn't come back; sizes that aren't refused. */
TEST(kv__life)
{
	int fd = t_open();
	uint32_t disk = setup(fd), i;
	struct exo_xn_template info = { .size = sizeof(info) };
	struct exo_xn_root root;
	struct kv_stats stats;
	struct kv *kv;

	open_disk(disk);
	ASSERT_EQ(exo_xn_root_find(xn, "store", &root), 0);
	ASSERT_EQ(exo_xn_template(xn, root.out_template, &info), 0);
	for (i = 0; i < 3; i++)
		ASSERT_EQ_FOR(info.out_mode[i], EXO_GRAFT_PROOF, "function %u", i);
	ASSERT_EQ(kv_open(xn, "none", &opts, &kv), -ENOENT);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(kv_put(kv, "a", 1, "one", 3), 0);
	ASSERT_EQ(kv_put(kv, "", 0, "one", 3), -EINVAL);
	ASSERT_EQ(kv_put(kv, bytes[0], KV_KEY_MAX + 1, "one", 3), -EINVAL);
	ASSERT_EQ(kv_put(kv, "b", 1, bytes[0], KV_VALUE_MAX + 1), -EINVAL);
	ASSERT_EQ(kv_commit(kv), -EINVAL);
	ASSERT_EQ(kv_begin(kv), 0);
	ASSERT_EQ(kv_begin(kv), -EBUSY);
	ASSERT_EQ(kv_checkpoint(kv), -EBUSY);
	ASSERT_EQ(kv_put(kv, "b", 1, "two", 3), 0);
	ASSERT_EQ(kv_commit(kv), 0);
	ASSERT_EQ(kv_delete(kv, "c", 1), -ENOENT);
	kv_stats(kv, &stats);
	ASSERT_EQ(stats.groups, 2);
	/* What isn't committed is lost. */
	ASSERT_EQ(kv_begin(kv), 0);
	ASSERT_EQ(kv_delete(kv, "a", 1), 0);
	ASSERT_EQ(kv_get(kv, "a", 1, bytes[0], 3), -ENOENT);
	ASSERT_EQ(kv_close(kv), 0);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(kv_get(kv, "a", 1, bytes[0], 3), 3);
	ASSERT_EQ(memcmp(bytes[0], "one", 3), 0);
	ASSERT_EQ(kv_shrink(kv, 20), 20);
	ASSERT_EQ(kv_get(kv, "b", 1, bytes[0], 2), 3);
	ASSERT_EQ(memcmp(bytes[0], "tw", 2), 0);
	ASSERT_EQ(kv_close(kv), 0);
	close_disk();
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

static void give_back(const struct exo_revoke *revoke, void *ctx)
{
	ASSERT_EQ(kv_shrink(ctx, revoke->wanted), (int)revoke->wanted);
}

/* Catches: a store that loses pages when exo asks for frames, or doesn't give them. */
TEST(kv__gives_frames_back)
{
	int fd = t_open(), i;
	uint32_t disk = setup(fd), asked;
	struct model model = { .random = 1 };
	struct exo_env_status st;
	struct kv *kv;

	open_disk(disk);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(exo_env_on_revoke(env, give_back, kv), 0);
	for (i = 0; i < 60; i++)
		group(&model, kv);
	/* In the middle of a group, too: the pages that it changed are in slots of their own then. */
	for (i = 0; i < 2; i++) {
		if (i) {
			ASSERT_EQ(kv_begin(kv), 0);
			ASSERT_EQ(kv_put(kv, "~", 1, bytes[0], LONGEST), 0);
		}
		ASSERT_EQ(t_revoke(fd, exo_env_info(env)->out_env, 60, 20000, &asked), 0);
		ASSERT_EQ(asked, 60);
		ASSERT_GE(exo_env_dispatch(env, 0), 1);
		ASSERT_EQ(exo_env_status(env, &st), 0);
		ASSERT_EQ(st.out_given, 60 * (i + 1U));
		ASSERT_EQ(st.out_taken, 0);
	}
	ASSERT_EQ(kv_delete(kv, "~", 1), 0);
	ASSERT_EQ(kv_commit(kv), 0);
	for (i = 0; i < 60; i++)
		group(&model, kv);
	ASSERT_EQ(kv_check(kv), 0);
	ASSERT_TRUE(is_like(kv, &model));
	ASSERT_EQ(exo_env_on_revoke(env, NULL, NULL), 0);
	ASSERT_EQ(kv_close(kv), 0);
	close_disk();
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: an acknowledged group that is lost, or one that is there in part, after a power failure. */
TEST(kv__crash)
{
	int fd = t_open(), i, status;
	uint32_t disk = setup(fd), copy_disk, groups = 0, found;
	uint64_t seed = (uint64_t)getpid();
	struct exo_xn_attach attach;
	char copy[32], name[16];
	pid_t pid;

	test_note("seed %u", (unsigned int)seed);
	pid = work(disk, 0, seed);
	for (i = 0; i < POINTS; i++) {
		wait_for(groups + 40 + (uint32_t)(seed * 7919 * (uint64_t)(i + 1) % 60));
		ASSERT_EQ(kill(pid, SIGSTOP), 0);
		/* What it has begun in the kernel is done then. */
		ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
		ASSERT_TRUE(WIFSTOPPED(status));
		groups = *acknowledged;
		snprintf(name, sizeof(name), "copy%d", i % 2);
		xt_crash("disk", name, copy);
		ASSERT_EQ(xt_attach(fd, copy, &attach), 0);
		ASSERT_EQ(attach.out_quarantined, 0);
		copy_disk = attach.out_disk;
		found = recovered(copy_disk, groups, seed);
		test_note("%u groups acknowledged, %u there", groups, found);
		ASSERT_EQ(xt_detach(fd, copy_disk, 0), 0);
		ASSERT_EQ(kill(pid, SIGCONT), 0);
	}
	ASSERT_EQ(kill(pid, SIGKILL), 0);
	test_join_killed(pid, SIGKILL);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: the same when only the process dies. */
TEST(kv__killed)
{
	int fd = t_open(), i;
	uint32_t disk = setup(fd), groups = 0;
	uint64_t seed = (uint64_t)getpid() + 1;
	pid_t pid;

	for (i = 0; i < POINTS; i++) {
		pid = work(disk, groups, seed);
		wait_for(groups + 20 + (uint32_t)(seed * 104729 * (uint64_t)(i + 1) % 40));
		ASSERT_EQ(kill(pid, SIGKILL), 0);
		test_join_killed(pid, SIGKILL);
		groups = recovered(disk, *acknowledged, seed);
	}
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: two who have a store open; a lock that somebody who is refused takes away, or that outlives its process. */
TEST(kv__alone)
{
	int fd = t_open(), i;
	uint32_t disk = setup(fd), groups = 0;
	uint64_t seed = (uint64_t)getpid() + 2;
	struct kv *kv, *second;
	pid_t pid;

	for (i = 0; i < POINTS; i++) {
		pid = work(disk, groups, seed);
		wait_for(groups + 5);
		open_disk(disk);
		ASSERT_EQ(kv_open(xn, "store", &opts, &kv), -EBUSY);
		ASSERT_EQ(kv_open(xn, "store", &opts, &kv), -EBUSY);
		ASSERT_EQ(kv_create(xn, "store", &opts), -EEXIST);
		ASSERT_EQ(kill(pid, SIGKILL), 0);
		test_join_killed(pid, SIGKILL);
		ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
		/* Not even one process, in one environment, has it twice. */
		ASSERT_EQ(kv_open(xn, "store", &opts, &second), -EBUSY);
		ASSERT_EQ(kv_close(kv), 0);
		close_disk();
		groups = recovered(disk, *acknowledged, seed);
	}
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

static const char mark[] = "what is written here is what is to be read here";

/* All blocks of the device that have this value: a bit of it. */
static uint32_t flip(uint8_t bit)
{
	static uint8_t block[KV_BLOCK] __attribute__((aligned(KV_BLOCK)));
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	uint32_t flipped = 0;
	uint8_t *found;
	off_t at;

	ASSERT_GE(fd, 0);
	for (at = 0; pread(fd, block, sizeof(block), at) == (ssize_t)sizeof(block); at += KV_BLOCK) {
		/* But for its last byte, which is the one that changes. */
		found = memmem(block, sizeof(block), mark, sizeof(mark) - 2);
		if (!found)
			continue;
		found[sizeof(mark) - 2] ^= bit;
		ASSERT_EQ(pwrite(fd, block, sizeof(block), at), KV_BLOCK);
		flipped++;
	}
	close(fd);
	return flipped;
}

static void attach_again(int fd, uint32_t *disk)
{
	struct exo_xn_attach attach;

	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	*disk = attach.out_disk;
	open_disk(*disk);
}

/* Catches: bytes that the device has changed, and that the store gives out as what was put. */
TEST(kv__flipped)
{
	int fd = t_open();
	uint32_t disk = setup(fd);
	struct kv *kv;

	open_disk(disk);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(kv_put(kv, "mark", 4, mark, sizeof(mark)), 0);
	ASSERT_EQ(kv_close(kv), 0);
	close_disk();
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	ASSERT_GT(flip(4), 0);
	attach_again(fd, &disk);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(kv_get(kv, "mark", 4, bytes[0], sizeof(mark)), -EBADMSG);
	ASSERT_EQ(kv_check(kv), -EBADMSG);
	ASSERT_EQ(kv_put(kv, "mark", 4, "", 0), -EBADMSG);
	ASSERT_EQ(kv_close(kv), -EBADMSG);
	close_disk();
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	ASSERT_GT(flip(4), 0);
	attach_again(fd, &disk);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), 0);
	ASSERT_EQ(kv_get(kv, "mark", 4, bytes[0], sizeof(mark)), sizeof(mark));
	ASSERT_EQ(memcmp(bytes[0], mark, sizeof(mark)), 0);
	ASSERT_EQ(kv_close(kv), 0);
	close_disk();
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: pages of another version, read as if they were of this one. */
TEST(kv__version)
{
	static const uint32_t none;
	int fd = t_open();
	uint32_t disk = setup(fd);
	struct exo_xn_change *change;
	struct exo_xn_root root;
	struct kv *kv;

	open_disk(disk);
	ASSERT_EQ(exo_xn_root_find(xn, "store", &root), 0);
	ASSERT_EQ(exo_xn_change_begin(xn, root.root, &change), 0);
	ASSERT_EQ(exo_xn_change_write(change, root.out_block, offsetof(struct kv_super, version),
				      &none, sizeof(none)), 0);
	ASSERT_EQ(exo_xn_read(xn, root.root, root.out_block, root.out_block, bytes[0], KV_BLOCK),
		  KV_BLOCK);
	ASSERT_EQ(exo_xn_change_apply(change, EXO_XN_APPLY_COMMIT, NULL), 0);
	exo_xn_change_end(change);
	ASSERT_EQ(kv_open(xn, "store", &opts, &kv), -EPROTONOSUPPORT);
	close_disk();
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}
