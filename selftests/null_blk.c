// SPDX-License-Identifier: GPL-2.0
#include <sys/stat.h>

#include "harness.h"
#include "lib.h"
#include "null_blk.h"

#define CONFIG "/sys/kernel/config"

static const char *attribute(const char *name, const char *what)
{
	static char path[96];

	snprintf(path, sizeof(path), CONFIG "/nullb/%s%s%s", name, *what ? "/" : "", what);
	return path;
}

void null_blk_set(const char *name, const char *what, const char *value)
{
	int ret = t_write_file(attribute(name, what), value);

	if (ret)
		FAIL("%s: %s", attribute(name, what), strerror(-ret));
}

void null_blk_on(const char *name, const struct null_blk_value *values, char path[32])
{
	char index[16] = "";
	FILE *file;

	t_need_root();
	mkdir(CONFIG, 0755);
	if (system("modprobe null_blk nr_devices=0 2>/dev/null") ||
	    (access(CONFIG "/nullb", F_OK) && system("mount -t configfs configfs " CONFIG)))
		SKIP("no null_blk");
	/* Of a test that was killed. */
	t_write_file(attribute(name, "power"), "0");
	rmdir(attribute(name, ""));
	if (mkdir(attribute(name, ""), 0755))
		SKIP("no null_blk: %s", strerror(errno));
	null_blk_set(name, "memory_backed", "1");
	for (; values->what; values++)
		null_blk_set(name, values->what, values->value);
	null_blk_set(name, "power", "1");
	file = fopen(attribute(name, "index"), "re");
	ASSERT_TRUE(file && fgets(index, sizeof(index), file));
	fclose(file);
	/* Newer kernels call it by the name of its directory. */
	snprintf(path, 32, "/dev/%s", name);
	if (access(path, F_OK))
		snprintf(path, 32, "/dev/nullb%d", atoi(index));
	ASSERT_EQ(access(path, F_OK), 0);
}

void null_blk_off(const char *name)
{
	null_blk_set(name, "power", "0");
	ASSERT_EQ(rmdir(attribute(name, "")), 0);
}
