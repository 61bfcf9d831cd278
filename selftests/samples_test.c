// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of samples/, run as a reader of them would: what they print and how they end. They check
 * their own results; this sees that they say so, and that what goes wrong is a sentence with a way out.
 */
#include <grp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

#define OUTPUT 16384

static char output[OUTPUT];

/* Beside the tree that this program is built in, else somewhere in PATH. */
static const char *sample(const char *path, char *buf, size_t len)
{
	const char *name = strrchr(path, '/');
	ssize_t n = readlink("/proc/self/exe", buf, len);
	char *slash;

	if (n > 0 && (size_t)n < len) {
		buf[n] = '\0';
		slash = strrchr(buf, '/');
		snprintf(slash, len - (size_t)(slash - buf), "/../samples/%s", path);
		if (!access(buf, X_OK))
			return buf;
	}
	return name ? name + 1 : path;
}

/* Runs it as uid (in no group but for root); what it printed is in output, its exit status is returned. */
static int run_as(uid_t uid, const char *path, char *const argv[])
{
	char buf[512];
	size_t have = 0;
	ssize_t n;
	int p[2], status;
	pid_t pid;

	path = sample(path, buf, sizeof(buf));
	ASSERT_EQ(pipe(p), 0);
	pid = test_fork();
	if (!pid) {
		dup2(p[1], STDOUT_FILENO);
		dup2(p[1], STDERR_FILENO);
		close(p[0]);
		close(p[1]);
		if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
			_exit(126);
		execvp(path, argv);
		_exit(127);
	}
	close(p[1]);
	while ((n = read(p[0], output + have, OUTPUT - 1 - have)) > 0)
		have += (size_t)n;
	output[have] = '\0';
	close(p[0]);
	status = test_wait(pid);
	if (!WIFEXITED(status))
		FAIL("%s died of signal %d", path, WTERMSIG(status));
	if (WEXITSTATUS(status) == 127)
		SKIP("there is no %s: make -C samples", path);
	return WEXITSTATUS(status);
}

static int run(const char *path, char *const argv[])
{
	return run_as(0, path, argv);
}

/* The rest of the output, behind what expect() found last. */
static const char *seek;

static void show_output(void)
{
	const char *line;

	test_note("its output:");
	for (line = strtok(output, "\n"); line; line = strtok(NULL, "\n"))
		test_note("  %s", line);
}

/* These words come next, perhaps behind others. */
static void expect(const char *text)
{
	const char *at = strstr(seek, text);

	if (!at) {
		show_output();
		FAIL("the output has no \"%s\" where it should be", text);
	}
	seek = at + strlen(text);
}

static void ends_with(int status, int wanted)
{
	if (status != wanted) {
		show_output();
		FAIL("exit status %d, not %d", status, wanted);
	}
	seek = output;
}

static void ends_well(const char *path, char *const argv[])
{
	ends_with(run(path, argv), 0);
}

TEST(hello__one_frame_at_two_addresses)
{
	ends_well("hello", (char *[]){ "hello", NULL });
	expect("frame ");
	expect(", written at page 3, read at page 77: hello from physical memory\n");
}

TEST(share__weaker_forged_revoked)
{
	static const char no[] = "the capability, or the lack of one, does not allow this";

	ends_well("share", (char *[]){ "share", NULL });
	expect("sending a capability for reading: 32 bytes\n");
	expect("with rights 0x1\n");
	expect("a capability with one bit added: ");
	expect(no);
	expect("binding it for writing: ");
	expect(no);
	expect("it says: written by the parent\n");
	expect("the page now says: the child was here\n");
	expect("revoked; I still read: the child was here\n");
	expect("the frame is gone (SIGBUS)\n");
	expect("the old capability: revoked\n");
}

TEST(appel_li__seven_primitives)
{
	ends_well("appel-li", (char *[]){ "appel-li", NULL });
	expect("prot1, trap   page 7 was write-protected; a store to it came to the handler");
	expect("protN         100 pages write-protected in one call, 10 stores, 10 traps\n");
	expect("unprot        all of them unprotected in one call, 100 stores, no trap\n");
	expect("stored to since the last call: 3 28 53 78\n");
	expect("(open): written at 200, 555 read at 5\n");
	expect("pagesize      4096 bytes");
}

static void bufpool(const char *file, char *frames, char *records, const char *half)
{
	char gave[64];

	ends_well("bufpool/bufpool", (char *[]){ "bufpool", (char *)file, frames, records, NULL });
	expect(" evicted, ");
	expect("scan all in order");
	snprintf(gave, sizeof(gave), "gave %s frames back to exo\n", half);
	expect(gave);
	expect("scan all again, on half the memory");
	expect("every value was the right one\n");
}

/* O_DIRECT and io_uring into windows. Several times the pool, as the sample says of itself. */
TEST_LONG(bufpool__on_a_disk, 120)
{
	const char *disk = getenv("EXO_TEST_DISK");

	if (!disk && !access("/etc/vm/cmd", F_OK))
		disk = "/dev/vda";
	if (!disk)
		SKIP("no disk to overwrite: set EXO_TEST_DISK");
	if (test_slow() > 1)
		bufpool(disk, "128", "6000", "64");
	else
		bufpool(disk, "512", "30000", "256");
}

TEST(bufpool__on_a_file)
{
	char path[] = "/tmp/exo-bufpool.XXXXXX";
	int fd = mkstemp(path);

	ASSERT_GE(fd, 0);
	close(fd);
	bufpool(path, "128", "3000", "64");
	ASSERT_EQ(unlink(path), 0);
}

TEST(bufpool__bad_arguments)
{
	ends_with(run("bufpool/bufpool", (char *[]){ "bufpool", "/tmp/x", "7", NULL }), 2);
	expect("usage: bufpool [FILE [FRAMES [RECORDS]]]");
	ends_with(run("bufpool/bufpool", (char *[]){ "bufpool", "/no/such/folder", NULL }), 1);
	expect("cannot write to /no/such/folder; name another file");
}

TEST(graft_fault__binds_from_the_list)
{
	ends_well("graft/graft-fault", (char *[]){ "graft-fault", NULL });
	expect("\"next_free\": proof\n");
	expect("512 pages touched; the graft ran 512 times, was aborted 0 times, and gave 512 frames\n");
	expect("every value was the right one\n");
}

TEST(graft_victim__keeps_what_is_needed)
{
	t_need_root();
	ends_well("graft/graft-victim", (char *[]){ "graft-victim", NULL });
	expect("exo's own policy: 64 frames were taken, ");
	expect("the database's: 64 frames were taken, 0 of them are still to be read\n");
}

TEST(graft_encrypt__the_same_in_all_modes)
{
	ends_well("graft/graft-encrypt", (char *[]){ "graft-encrypt", NULL });
	expect("\"encrypt\": proof\n");
	expect("\"encrypt\": sandbox\n");
	expect("\"encrypt\": interpreted\n");
	expect("all modes gave the same\n");
}

/* A disk without anything on it. */
static const char *blank_disk(void)
{
	const char *disk = getenv("EXO_TEST_DISK");
	static const char zeros[8192];
	int fd;

	t_need_root();
	if (!disk && !access("/etc/vm/cmd", F_OK))
		disk = "/dev/vda";
	if (!disk)
		SKIP("no disk to overwrite: set EXO_TEST_DISK");
	fd = open(disk, O_WRONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(pwrite(fd, zeros, sizeof(zeros), 0), (ssize_t)sizeof(zeros));
	ASSERT_EQ(fsync(fd), 0);
	close(fd);
	return disk;
}

/* Two users, two formats, one raw disk; it must be no disk of exo's before, and is none afterwards. */
TEST_LONG(xn__two_databases, 120)
{
	const char *disk = blank_disk();

	ends_well("xn/xn", (char *[]){ "xn", (char *)disk, NULL });
	expect("alice: a B+tree, \"phone-book\": 400 durable puts, ");
	expect("bob: a diary, \"diary\": 60 durable entries, 6 blocks\n");
	expect("bob reads alice's tree: refused (its acl doesn't allow it");
	expect("binds one of her leaves: refused");
	expect("as if it were his diary's: refused (his unit doesn't point there)\n");
	expect("deletes her tree: refused");
	expect("and doesn't say so: refused (owns says something else");
	expect("bob says so: refused (the block is taken)\n");
	expect("its acl forbids: refused");
	expect("detached, and attached: 2 roots, ");
	expect("alice: all 400 are there\n");
	expect("bob: all 60 are there\n");
	/* It is one of exo's now, and isn't written over. */
	ends_with(run("xn/xn", (char *[]){ "xn", (char *)disk, NULL }), 1);
	expect("has a disk of exo's on it already\n");
	ends_with(run("xn/xn", (char *[]){ "xn", NULL }), 1);
	expect("say which block device may be written over: xn /dev/vdb\n");
}

TEST_LONG(kv__killed_and_recovered, 120)
{
	const char *disk = blank_disk();

	ends_well("kv/kv", (char *[]){ "kv", (char *)disk, "3000", "160", NULL });
	expect("3000 records in 30 groups, ");
	expect("can't open the store: another process has it open: close that one, or kill it\n");
	expect("killed in the middle of round ");
	expect("recovered: ");
	expect(" acknowledged rounds are there");
	ends_with(run("kv/kv", (char *[]){ "kv", (char *)disk, NULL }), 1);
	expect("has a disk of exo's on it already\n");
	ends_with(run("kv/kv", (char *[]){ "kv", NULL }), 1);
	expect("say which block device may be written over: kv /dev/vdb");
}

/* Somebody who is not in group exo learns what to do about it. */
TEST(all__not_in_the_group)
{
	static char *const names[] = { "hello", "share", "appel-li", "bufpool/bufpool",
				       "graft/graft-fault", "graft/graft-encrypt" };
	unsigned int i;

	t_need_root();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ends_with(run_as(65534, names[i], (char *[]){ names[i], NULL }), 1);
		expect("join the group exo (sudo usermod -aG exo $USER)");
	}
}
