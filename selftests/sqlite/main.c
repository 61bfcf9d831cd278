// SPDX-License-Identifier: GPL-2.0
/*
 * The beginning of SQLite's test programs, in our tests:
 *
 *	TEST_VFS	the VFS that is the default one
 *	TEST_SPEED	how many times too fast the clock of that VFS runs: threadtest3 asks it how long its tests take
 *	TEST_CLOCK=tsc	the clock of that VFS counts instructions
 */
#include <x86intrin.h>

#include <exo/sqlite_vfs.h>

#include "files.h"

static sqlite3_vfs *real, *chosen, clock_vfs;
static int speed = 1;

static int fast_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
	static sqlite3_int64 begin;
	int rc = real->xCurrentTimeInt64(real, out);

	(void)vfs;
	if (!begin)
		begin = *out;
	*out = begin + (*out - begin) * speed;
	return rc;
}

/* Under the instruction clock of tools/vm; speedtest1 takes it for milliseconds. */
static int tsc_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
	(void)vfs;
	*out = (sqlite3_int64)__rdtsc();
	return SQLITE_OK;
}

int test_again(int rc)
{
	if (sqlite3_vfs_register(chosen, 1) != SQLITE_OK)
		abort();
	return rc;
}

static void register_exo(const char *program)
{
	char error[256] = "";
	struct exo_sqlite_vfs_opts opts = {
		.sz = sizeof(opts),
		.error = error,
		.error_size = sizeof(error),
	};
	int ret = exo_sqlite_vfs_register(&opts);

	if (!ret)
		return;
	fprintf(stderr, "%s: %s (%s)\n", program, error, strerror(-ret));
	exit(2);
}

int main(int argc, char **argv)
{
	const char *name = getenv("TEST_VFS"), *fast = getenv("TEST_SPEED");

	if (name && !strcmp(name, "exo"))
		register_exo(argv[0]);
	real = sqlite3_vfs_find(name);
	if (!real) {
		fprintf(stderr, "%s: there is no VFS \"%s\"\n", argv[0], name ? name : "");
		return 2;
	}
	chosen = real;
	clock_vfs = *real;
	clock_vfs.zName = "clock";
	if (fast) {
		speed = atoi(fast);
		clock_vfs.xCurrentTimeInt64 = fast_time;
		chosen = &clock_vfs;
	} else if (getenv("TEST_CLOCK")) {
		clock_vfs.xCurrentTimeInt64 = tsc_time;
		chosen = &clock_vfs;
	}
	test_again(SQLITE_OK);
	return program_main(argc, argv);
}

/* threadtest3 -multiplexor, which nobody asks for here: its VFS is another program's. */
int sqlite3_multiplex_initialize(const char *name, int as_default);
int sqlite3_multiplex_initialize(const char *name, int as_default)
{
	(void)name;
	(void)as_default;
	return SQLITE_ERROR;
}
