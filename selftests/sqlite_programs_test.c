// SPDX-License-Identifier: GPL-2.0
/*
 * SQLite's own programs, speedtest1, mptester and threadtest3, on a raw disk: with --vfs exo, or exo as the default VFS.
 * They are built in selftests/sqlite, run as an ordinary user, and find out by themselves what is wrong.
 *
 * It writes over a disk: $EXO_TEST_DISK, in our VM the first. With EXO_TEST_ROUNDS sizes are so many times larger,
 * and threadtest3 takes the time that it wants, for all of its tests.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "good.h"
#include "harness.h"
#include "lib.h"

#define DIR "/tmp/sqlite-programs"
#define OUTPUT DIR "/output"
#define WORDS 24

#ifndef TEST_VFS
#define TEST_VFS "exo"
#endif

uint32_t test_pool_frames = 8192;

static bool is_long(void)
{
	return test_rounds(1, 1) > 1;
}

/* ---- running a program ------------------------------------------------------------------------ */

struct command {
	const char *vfs;	/* the default one in the program */
	const char *speed;	/* of its clock, or NULL */
	const char *const *words;
};

static void run_command(void *arg)
{
	const struct command *command = arg;
	int fd;

	t_become(ALICE);
	fd = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(chdir(DIR), 0);
	ASSERT_GE(dup2(fd, 1), 0);
	ASSERT_GE(dup2(fd, 2), 0);
	setenv("TEST_VFS", command->vfs, 1);
	if (command->speed)
		setenv("TEST_SPEED", command->speed, 1);
	execvp(command->words[0], (char *const *)command->words);
	dprintf(fd, "%s: %s\n", command->words[0], strerror(errno));
	_exit(127);
}

static void show_output(void)
{
	FILE *file = popen("tail -n 25 " OUTPUT, "r");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		test_note("%s", line);
	}
	if (file)
		pclose(file);
}

/* Must: it ends with status 0, and says this. */
static void run(const struct command *command, const char *says)
{
	uint64_t start = test_now_ns();
	int status = test_wait(test_spawn(run_command, (void *)command));
	bool said = false;
	char line[512];
	FILE *file;

	file = fopen(OUTPUT, "re");
	while (file && fgets(line, sizeof(line), file))
		said = said || strstr(line, says);
	if (file)
		fclose(file);
	if (!WIFEXITED(status) || WEXITSTATUS(status) || !said) {
		show_output();
		FAIL("%s: status %#x, \"%s\" %s", command->words[0], status, says,
		     said ? "was said" : "was not said");
	}
	test_note("%s: %s in %u ms", command->words[0], says,
		  (unsigned int)((test_now_ns() - start) / 1000000));
}

/* What the last program said behind these words. */
static void said_behind(const char *words, char *out, size_t size)
{
	FILE *file = fopen(OUTPUT, "re");
	char line[512];

	*out = 0;
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, words, strlen(words)))
			snprintf(out, size, "%s", line + strlen(words));
	if (file)
		fclose(file);
	if (!*out)
		FAIL("\"%s\" was not said", words);
}

static struct exo_env *env;
static struct exo_xn *xn;

static void prepare(void)
{
	const char *device = getenv("EXO_TEST_DISK");
	struct exo_xn_attach said;

	t_need_root();
	if (!device)
		device = "/dev/vda";
	if (access(device, F_OK))
		SKIP("there is no %s: EXO_TEST_DISK=DEVICE, which will be written over", device);
	GOOD(exo_env_open(&env, NULL));
	GOOD(exo_xn_format(env, device, &EXO_OPTS(exo_xn_format, .flags = EXO_XN_FORMAT_FORCE)));
	GOOD(exo_xn_attach(env, device, 0, &said));
	GOOD(exo_xn_open(env, NULL, &xn));
	ASSERT_EQ(system("rm -rf " DIR), 0);
	ASSERT_EQ(mkdir(DIR, 0777), 0);
	ASSERT_EQ(chmod(DIR, 0777), 0);
}

/* mptest doesn't wait for its last clients. */
static void detach(void)
{
	uint64_t start = test_now_ns();
	int ret;

	while ((ret = exo_xn_detach(xn, 0)) == -EBUSY && !test_overdue(start, 10000))
		test_sleep_ms(100);
	GOOD(ret);
}

/* Nothing is lost, and nobody holds on to the disk. */
static void finish(void)
{
	struct exo_xn_check found;

	GOOD(exo_xn_check(xn, 0, NULL, NULL, &found));
	ASSERT_EQ(found.out_leaked, 0);
	ASSERT_EQ(found.out_bad, 0);
	detach();
	GOOD(exo_xn_close(xn));
	GOOD(exo_env_close(env));
	ASSERT_EQ(system("rm -rf " DIR), 0);
}

/* ---- the programs ------------------------------------------------------------------------------ */

#define VERIFIED "Verification Hash: "

static void speedtest(const char *vfs, const char *journal, char *hash, size_t room)
{
	char size[16];
	const char *const words[] = { "speedtest1", "--vfs", vfs, "--journal", journal, "--size", size,
				      "--verify", "speed.db", NULL };
	const struct command command = { vfs, NULL, words };

	snprintf(size, sizeof(size), "%u", test_rounds(1, 1));
	run(&command, VERIFIED);
	said_behind(VERIFIED, hash, room);
}

/* All that its queries return is the same as with SQLite's own VFS. */
static void same_answers(const char *journal)
{
	char wanted[512], found[512];

	prepare();
	speedtest("unix", journal, wanted, sizeof(wanted));
	speedtest(TEST_VFS, journal, found, sizeof(found));
	if (strcmp(wanted, found))
		FAIL("the answers differ from those of SQLite's own VFS: %s, not %s", found, wanted);
	finish();
}

TEST_LONG(speedtest1__wal, 120)
{
	same_answers("wal");
}

TEST_LONG(speedtest1__delete, 120)
{
	same_answers("delete");
}

static void mptest(const char *script, const char *journal)
{
	char path[64];
	const char *const words[] = { "mptest", "many.db", "--vfs", TEST_VFS, "--journalmode", journal,
				      "--trace", "0", path, NULL };
	const struct command command = { TEST_VFS, NULL, words };

	snprintf(path, sizeof(path), "/root/scripts/%s", script);
	run(&command, "Summary: 0 errors out of");
}

TEST_LONG(mptest__multiwrite, 120)
{
	if (test_slow() > 1)
		SKIP("mptest gives its clients ten seconds, which are not enough on a debug kernel");
	prepare();
	mptest("multiwrite01.test", "wal");
	/* Clients that end in the middle of a transaction, too; they wait much. */
	if (is_long()) {
		mptest("crash01.test", "delete");
		mptest("config01.test", "wal");
		mptest("config02.test", "delete");
		mptest("crash01.test", "wal");
	}
	finish();
}

static void threads(const char *const *names)
{
	const char *words[WORDS] = { "threadtest3" };
	struct command command = { TEST_VFS, is_long() ? NULL : "20", words };
	unsigned int i;

	for (i = 0; names[i]; i++)
		words[1 + i] = names[i];
	prepare();
	run(&command, "0 errors out of");
	finish();
}

TEST_LONG(threadtest3__wal, 300)
{
	if (is_long())
		threads((const char *const[]){ "walthread*", NULL });
	else
		threads((const char *const[]){ "walthread2", "walthread5", NULL });
}

TEST_LONG(threadtest3__stress, 300)
{
	if (is_long())
		threads((const char *const[]){ "[a-vx-z]*", NULL });
	else
		threads((const char *const[]){ "stress1", "vacuum1", "create_drop_index_1", NULL });
}
