// SPDX-License-Identifier: GPL-2.0
/*
 * A machine that dies in the middle: two users write, each in a format of his own (samples/xn), and tell what is durable.
 * QEMU is killed; the same disk in the next boot must have all that was told, and nothing halfway (INV-XN-2, INV-XN-12).
 *
 * Runs in our VM with --kill (tools/vm/README.md): the test goes through here once a boot.
 */
#include <fcntl.h>

#include "good.h"
#include "harness.h"
#include "lib.h"

#include "../samples/xn/diary.h"
#include "../samples/xn/tree.h"

#define DISK "/dev/vda"
#define MANY_PUTS 150	/* then the machine may die */
#define MANY_DAYS 40
#define MORE 30		/* puts after that */

uint32_t test_pool_frames = 1024;

/* What is durable so far, by those who made it so; and where a leaf of alice's is, and what points at it. */
struct told {
	uint32_t puts;
	uint32_t days;
	uint64_t node;
	uint64_t leaf;
};

static struct told *told;
static struct exo_env *env;
static struct exo_xn *xn;
static struct store store;

/* ---- the two users ---------------------------------------------------------------------------- */

static void begin(uid_t uid)
{
	t_become(uid);
	GOOD(exo_env_open(&env, NULL));
	GOOD(exo_xn_open(env, NULL, &xn));
	GOOD(store_init(&store, env, xn));
}

static void end(void)
{
	store_close(&store);
	GOOD(exo_xn_close(xn));
	GOOD(exo_env_close(env));
}

/* Phone numbers in no order. */
static uint64_t number(uint32_t n)
{
	return (n * 2654435761U) % 1000000;
}

static void put(uint32_t i)
{
	char text[64];

	snprintf(text, sizeof(text), "person %u", i);
	GOOD(tree_put(&store, number(i), text));
}

static void alice_writes(void *arg)
{
	uint32_t i;

	begin(ALICE);
	GOOD(tree_create(&store, "phone-book"));
	for (i = 0;; i++) {
		put(i);
		__atomic_store_n(&told->puts, i + 1, __ATOMIC_SEQ_CST);
	}
}

static uint32_t day(char *text, size_t size, uint32_t i)
{
	return (uint32_t)snprintf(text, size, "day %u:%*s.\n", i, (int)(i * 7 % 300), "");
}

static void bob_writes(void *arg)
{
	char text[400];
	uint32_t i;

	begin(BOB);
	GOOD(diary_create(&store, "diary"));
	for (i = 0; i < 5000; i++) {
		day(text, sizeof(text), i);
		GOOD(diary_append(&store, text));
		__atomic_store_n(&told->days, i + 1, __ATOMIC_SEQ_CST);
	}
	pause();
}

/* Is this put there? Then it is right. */
static bool is_put(uint32_t i)
{
	char value[TREE_VALUE], text[64];
	int ret = tree_get(&store, number(i), value);

	if (ret == -ENOENT)
		return false;
	GOOD(ret);
	snprintf(text, sizeof(text), "person %u", i);
	if (strcmp(value, text))
		FAIL("person %u is \"%.64s\"", i, value);
	return true;
}

static void alice_looks(void *arg)
{
	uint32_t found = 0, i;

	begin(ALICE);
	GOOD(store_find(&store, "phone-book"));
	while (is_put(found))
		found++;
	test_note("alice told of %u puts, and %u are there", told->puts, found);
	ASSERT_GE(found, told->puts);
	/* What comes behind the first that is missing was never durable, or it were there, too. */
	for (i = found; i < found + 10; i++)
		ASSERT_TRUE(!is_put(i));
	for (i = 0; i < MORE; i++)
		put(found + i);
	for (i = 0; i < found + MORE; i++)
		ASSERT_TRUE(is_put(i));
	GOOD(tree_place(&store, number(0), &told->node, &told->leaf));
	end();
}

/* Is a day there, from this byte on? Then all of it. Moves on. */
static bool is_day(uint32_t i, uint64_t *at)
{
	char text[400], found[400];
	uint32_t length = day(text, sizeof(text), i), got = 0;
	int ret;

	while (got < length) {
		ret = diary_read(&store, *at + got, found + got, length - got);
		GOOD(ret);
		if (!ret && !got)
			return false;
		if (!ret)
			FAIL("day %u has %u of %u bytes", i, got, length);
		got += (uint32_t)ret;
	}
	if (memcmp(text, found, length))
		FAIL("day %u is not as it was written", i);
	*at += length;
	return true;
}

static void bob_looks(void *arg)
{
	uint32_t found = 0, binding;
	struct exo_xn_root book;
	uint8_t bytes[EXO_XN_BLOCK];
	uint64_t at = 0;

	begin(BOB);
	GOOD(store_find(&store, "diary"));
	while (is_day(found, &at))
		found++;
	test_note("bob told of %u days, and %u are there", told->days, found);
	ASSERT_GE(found, told->days);
	GOOD(exo_xn_root_find(xn, "phone-book", &book));
	ASSERT_EQ(exo_xn_read(xn, book.root, book.out_block, book.out_block, bytes, sizeof(bytes)),
		  -EACCES);
	ASSERT_EQ(exo_xn_bind(xn, book.root, told->node, told->leaf, 1, EXO_RIGHT_READ, &binding),
		  -EACCES);
	end();
}

/* ---- the machine ------------------------------------------------------------------------------ */

/* The boot, and what the last one told; 0 where nobody would start the machine again. */
static unsigned int boot_number(void)
{
	FILE *file = fopen("/proc/cmdline", "re");
	unsigned int boot = 0;
	char line[4096] = "", *at;

	if (file && fgets(line, sizeof(line), file) && (at = strstr(line, " vm.boot=")))
		sscanf(at, " vm.boot=%u vm.said=%u,%u", &boot, &told->puts, &told->days);
	if (file)
		fclose(file);
	return boot;
}

static void say(int fd, const char *text)
{
	ASSERT_EQ(write(fd, text, strlen(text)), strlen(text));
}

static void attach(struct exo_xn_attach *said)
{
	GOOD(exo_env_open(&env, NULL));
	GOOD(exo_xn_attach(env, DISK, 0, said));
	GOOD(exo_xn_open(env, NULL, &xn));
}

/* Never returns: what is said here is all that outlives the machine. */
static void write_until_killed(void)
{
	int fd = open("/dev/ttyS2", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	struct told now = { 0 };
	struct exo_xn_attach said;
	bool asked = false;
	char text[64];

	ASSERT_GE(fd, 0);
	GOOD(exo_env_open(&env, NULL));
	/* A log that isn't full when the machine dies: what is to be replayed is in it, whenever that is. */
	GOOD(exo_xn_format(env, DISK, &EXO_OPTS(exo_xn_format, .log_blocks = 4096)));
	GOOD(exo_env_close(env));
	attach(&said);
	test_spawn(alice_writes, NULL);
	test_spawn(bob_writes, NULL);
	for (;;) {
		now.puts = __atomic_load_n(&told->puts, __ATOMIC_SEQ_CST);
		now.days = __atomic_load_n(&told->days, __ATOMIC_SEQ_CST);
		snprintf(text, sizeof(text), "say %u,%u\n", now.puts, now.days);
		say(fd, text);
		if (!asked && now.puts >= MANY_PUTS && now.days >= MANY_DAYS) {
			say(fd, "kill\n");
			asked = true;
		}
		test_sleep_ms(5);
	}
}

TEST_LONG(commit__acknowledged_before_the_machine_died, 90)
{
	struct exo_xn_attach said;
	struct exo_xn_check found;
	unsigned int boot;

	t_need_root();
	told = test_shared(sizeof(*told));
	boot = boot_number();
	if (!boot)
		SKIP("nobody would start this machine again: tools/vm/vm --kill --disk 64M");
	if (boot == 1)
		write_until_killed();
	ASSERT_GE(told->puts, MANY_PUTS);
	ASSERT_GE(told->days, MANY_DAYS);
	attach(&said);
	test_note("%llu transactions replayed, %llu blocks read",
		  (unsigned long long)said.out_replayed, (unsigned long long)said.out_read);
	ASSERT_EQ(said.out_roots, 2);
	ASSERT_EQ(said.out_quarantined, 0);
	ASSERT_GT(said.out_replayed, 0);
	test_join(test_spawn(alice_looks, NULL));
	test_join(test_spawn(bob_looks, NULL));
	GOOD(exo_xn_check(xn, EXO_XN_CHECK_SCRUB, NULL, NULL, &found));
	ASSERT_EQ(found.out_leaked, 0);
	ASSERT_EQ(found.out_bad, 0);
	ASSERT_EQ(found.out_errors, 0);
	GOOD(exo_xn_detach(xn, 0));
	GOOD(exo_xn_close(xn));
	GOOD(exo_env_close(env));
}
