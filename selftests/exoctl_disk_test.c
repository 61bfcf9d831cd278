// SPDX-License-Identifier: GPL-2.0
/* exoctl disk and root: each of their commands once, with what it says. It writes over a disk. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "libexo_xn_setup.h"

static char output[65536];

/* Exit status of the command; what it printed, on both channels, is in output. */
static int exoctl(const char *arguments)
{
	char path[512], command[1024];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t length;
	FILE *pipe;
	int status;

	CHECK(n > 0);
	path[n] = 0;
	snprintf(strrchr(path, '/'), 64, "/../tools/exoctl/exoctl");
	snprintf(command, sizeof(command), "%s %s 2>&1", access(path, X_OK) ? "exoctl" : path, arguments);
	pipe = popen(command, "re");
	CHECK(pipe);
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = 0;
	status = pclose(pipe);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == 127)
		SKIP("there is no exoctl: make -C tools/exoctl");
	return WEXITSTATUS(status);
}

static void says(const char *text)
{
	if (!strstr(output, text))
		FAIL("exoctl does not say \"%s\" but: %s", text, output);
}

static void runs(const char *arguments, int status)
{
	int found = exoctl(arguments);

	if (found != status)
		FAIL("exoctl %s: status %d, not %d: %s", arguments, found, status, output);
}

XN_TEST(exoctl_disk__all_of_it)
{
	struct exo_xn_change *change;
	char line[256];
	uint64_t unit, block;
	uint32_t root = make_list("numbers", &unit);

	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, unit, 9, &block));
	append(change, root, unit, block, 9);
	exo_xn_change_end(change);
	GOOD(exo_xn_commit(xn, root, NULL));
	runs("disk", 0);
	says(strrchr(device, '/') + 1);
	says("1 roots; ");
	runs("disk status --json", 0);
	says("\"roots\":\t1");
	runs("disk status nonesuch", 1);
	says("no disk \"nonesuch\" is attached");
	runs("disk map", 0);
	says("yours");
	says(" a character stands for ");
	runs("disk map --json", 0);
	says("\"mine\":\t10");
	runs("disk check", 0);
	says("all is well");
	runs("disk check --json", 0);
	says("\"leaked\":\t0");
	runs("disk scrub", 0);
	runs("disk grow", 0);
	says("blocks (");
	exoctl("disk trim");
	snprintf(line, sizeof(line), "disk format %s", device);
	runs(line, 1);
	says("it is in use");
	runs("disk detach", 0);
	runs("disk detach", 1);
	says("no disk is attached");
	runs(line, 1);
	says("--force");
	snprintf(line, sizeof(line), "disk attach %s", device);
	runs(line, 0);
	says("1 roots");
	runs("disk attach /nonexistent", 1);
	says("there is no such device");
	runs("disk check nonsense more", 2);
	exo_xn_close(xn);
	GOOD(exo_xn_open(env, NULL, &xn));
}

/* Catches: a limit that is shown and doesn't hold, or is not there any more at the next attach. */
XN_TEST(exoctl_disk__quota)
{
	struct exo_xn_quota quota;
	uint64_t unit;
	uint32_t root = make_list("numbers", &unit);

	GOOD(exo_xn_root_chown(xn, root, 1000));
	runs("disk quota", 0);
	says("default             unlimited");
	says("(default)");
	runs("disk quota --user=1000 --limit=64K", 0);
	says("64 KiB");
	runs("disk quota --user=default --limit=1M --json", 0);
	says("\"limit\":\t256");
	runs("disk quota --json", 0);
	says("\"uid\":\t1000");
	says("\"own_limit\":\ttrue");
	runs("disk quota --limit=64K", 1);
	says("whose limit?");
	runs("disk quota --user=1000 --limit=x", 1);
	says("expected a number of blocks");
	runs("disk quota --user=1001 --limit=default", 1);
	says("has no limit of his own");
	runs("disk quota --user=default --limit=default", 1);
	runs("disk detach", 0);
	exo_xn_close(xn);
	attach();
	GOOD(exo_xn_quota(xn, 1000, 0, &quota));
	CHECK(quota.out_blocks == 16 && quota.out_used == 1 && quota.out_flags == EXO_XN_QUOTA_OWN);
}

/* The first page of swap space, by the mark at its end. */
static void make_swap(void)
{
	uint32_t head[EXO_XN_BLOCK / 4] = { [256] = 1, 1023 };	/* after 1,024 bytes: version, last page */
	int fd = open(device, O_WRONLY | O_CLOEXEC);

	memcpy((char *)head + EXO_XN_BLOCK - 10, "SWAPSPACE2", 10);
	CHECK(fd >= 0);
	ASSERT_EQ(pwrite(fd, head, sizeof(head), 0), (ssize_t)sizeof(head));
	ASSERT_EQ(fsync(fd), 0);
	close(fd);
}

XN_TEST(exoctl_disk__what_others_have_there)
{
	char line[256];

	exo_xn_close(xn);
	runs("disk detach", 0);
	make_swap();
	snprintf(line, sizeof(line), "disk format %s", device);
	runs(line, 1);
	says("holds swap");
	snprintf(line, sizeof(line), "disk format --force %s", device);
	runs(line, 0);
	snprintf(line, sizeof(line), "disk attach %s", device);
	runs(line, 0);
	says("0 roots");
	GOOD(exo_xn_open(env, NULL, &xn));
}

#define MACHINE_ID "/etc/machine-id"

static void on_machine(const char *id)
{
	FILE *file = fopen(MACHINE_ID, "we");

	CHECK(file);
	fprintf(file, "%s\n", id);
	CHECK(!fclose(file));
}

/* Detach, and attach with these options. */
static void again(const char *options, int status)
{
	char line[256];

	exoctl("disk detach");
	snprintf(line, sizeof(line), "disk attach %s %s", device, options);
	runs(line, status);
}

static void belongs_to(uint32_t number, uint32_t uid)
{
	struct exo_xn_root root;

	exo_xn_close(xn);
	GOOD(exo_xn_open(env, NULL, &xn));
	GOOD(exo_xn_root(xn, number, &root));
	ASSERT_EQ(root.out_uid, uid);
}

static void installs_list(void)
{
	pid_t pid = test_fork();

	if (!pid) {
		t_become(ALICE);
		GOOD(exo_env_open(&env, NULL));
		GOOD(exo_xn_open(env, NULL, &xn));
		install("list", NULL, 0);
		_exit(0);
	}
	test_join(pid);
}

XN_TEST(exoctl_disk__from_another_machine)
{
	uint64_t unit;
	uint32_t root;

	if (access("/etc/vm/cmd", F_OK))
		SKIP("it writes " MACHINE_ID ": only in a VM");
	root = make_list("numbers", &unit);
	on_machine("0123456789abcdef0123456789abcdef");
	again("", 0);
	CHECK(!strstr(output, "another machine"));
	on_machine("fedcba9876543210fedcba9876543210");
	again("", 0);
	says("it was attached on another machine before");
	says("  0 (");
	says("1 root\n");
	again("--uid-map 0:1000", 0);
	says("2 roots and formats have other owners now\n");
	belongs_to(root, 1000);
	again("--uid-map=0:1000:1", 0);
	says("this map was applied here already");
	belongs_to(root, 1000);
	again("--uid-map 0:1000 --force --json", 0);
	says("\"mapped\":\ttrue");
	says("\"nobodys\":\t2");
	belongs_to(root, EXO_XN_NOBODY);
	runs("root list", 0);
	says("numbers                  -  ");
	runs("root chown numbers root", 0);
	again("--uid-map none", 0);
	says("1 roots and formats have other owners now, 1 of them nobody");
	runs("root chown numbers 0", 0);
	install("list", NULL, 0);
	installs_list();
	again("--uid-map 0:7,1000:7", 1);
	says("0 and 1000 would both be 7 here, and each has a format \"list\"");
	again("", 0);
	belongs_to(root, 0);
	again("--uid-map 1:2,1:3", 2);
	says("expected FROM:TO[:COUNT]");
	again("--uid-map 1:nosuchuser", 2);
	again("--uid-map 1:2:4294967295", 2);
	unlink(MACHINE_ID);
	again("--uid-map 0:7", 1);
	says("systemd-machine-id-setup");
	again("", 0);
	exo_xn_close(xn);
	GOOD(exo_xn_open(env, NULL, &xn));
}

XN_TEST(exoctl_root__all_of_it)
{
	static const char file[] = "/tmp/exo-root.img";
	struct exo_xn_root root;
	char line[256];
	struct stat st;
	uint64_t unit;
	uint32_t number = make_list("numbers", &unit);

	runs("root", 0);
	says("numbers");
	runs("root list --json", 0);
	says("\"name\":\t\"numbers\"");
	runs("root limit numbers 64K", 0);
	runs("root chown numbers 1000", 0);
	GOOD(exo_xn_root(xn, number, &root));
	CHECK(root.out_max_blocks == 16 && root.out_uid == 1000);
	runs("root chown numbers nosuchuser", 2);
	runs("root delete letters", 1);
	says("there is no root \"letters\"");
	unlink(file);
	snprintf(line, sizeof(line), "root export numbers %s", file);
	runs(line, 0);
	says("1 blocks (");
	ASSERT_EQ(stat(file, &st), 0);
	CHECK(st.st_size > (off_t)(unit * EXO_XN_BLOCK));
	runs(line, 1);
	says("File exists");
	unlink(file);
	runs("root release numbers", exoctl("root release numbers"));
	runs("root delete numbers", 0);
	ASSERT_EQ(exo_xn_root(xn, number, &root), -ENOENT);
	runs("root", 0);
	says("there are no roots");
}
