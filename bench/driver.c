// SPDX-License-Identifier: GPL-2.0
/*
 * exobench: run the comparisons of this folder, all or one, and write what they found as JSON.
 *
 *   exobench [--id M3[,M4]] [--out FILE] [--module exo.ko] [--wall] [--suffix @7.2]
 *            [--boot NAME] [--list]
 *
 * Under ICOUNT=1 of tools/vm figures are guest instructions. Each group runs in a process of its
 * own, so what it allocates is gone when it ends. Exit status 1 if a group failed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "driver.h"

static const struct bench_group groups[] = {
	{ "M9", "module loaded and idle", m9_run, BENCH_UNLOADED },
	{ "M1", "bind, touch, unbind", m1_run, 0 },
	{ "M3", "fault, handler, bind, resume", m3_run, 0 },
	{ "M4", "the seven primitives of Appel and Li", m4_run, 0 },
	{ "M5", "allocate, share and touch in another process", m5_run, 0 },
	{ "M6", "capability check", m6_run, 0 },
	{ "M7", "software TLB", m7_run, 0 },
	{ "M8", "buffer pool", m8_run, 0 },
	{ "M11", "growth", m11_run, 0 },
	{ "G1", "packet filters as grafts", g1_run, 0 },
	{ "G2b", "loops as grafts", g2_run, 0 },
	{ "G4", "entry, exit, transaction", g4_run, 0 },
	{ "G5", "loading a graft", g5_run, 0 },
	{ "G6", "fault resolved by a graft", g6_run, 0 },
	{ "X4", "key-value stores under YCSB", x4_run, 0 },
	{ "X3", "SQLite on its own blocks", x3_run, 0 },
	{ "X2", "what checks cost on a raw disk", x2_run, BENCH_UNLOADED },
	{ "X1", "4 KiB I/O on a raw disk", x1_run, 0 },
	{ "X5", "verification of changes on a raw disk", x5_run, 0 },
	{ "X6", "attach after a crash, full walk", x6_run, 0 },
	{ "M10", "staleness", m10_run, BENCH_TWO_CPUS },
};

#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* M1 holds M2 and M2a: one view, one preparation; G1 and G4 hold what is measured together, too. */
static int wanted(const struct bench_group *group, const char *ids)
{
	char copy[128], *save = NULL, *id;

	if (!ids)
		return 1;
	snprintf(copy, sizeof(copy), "%s", ids);
	for (id = strtok_r(copy, ",", &save); id; id = strtok_r(NULL, ",", &save)) {
		id[strcspn(id, ".@")] = 0;
		if (!strcmp(id, "M2") || !strcmp(id, "M2a"))
			id = "M1";
		if (!strcmp(id, "M8a") || !strcmp(id, "M8b"))
			id = "M8";
		if (!strcmp(id, "G1a") || !strcmp(id, "G1b") || !strcmp(id, "G1c") || !strcmp(id, "G2a") ||
		    !strcmp(id, "G3"))
			id = "G1";
		if (!strcmp(id, "G4a") || !strcmp(id, "G4b") || !strcmp(id, "G7"))
			id = "G4";
		if (!strcmp(id, "X3a") || !strcmp(id, "X3b"))
			id = "X3";
		if (!strcmp(id, group->id))
			return 1;
	}
	return 0;
}

static int run_group(const struct bench_group *group)
{
	const struct timespec settle = { .tv_nsec = 200 * 1000 * 1000 };
	int status;
	pid_t pid;

	printf("# %s: %s\n", group->id, group->title);
	fflush(stdout);
	bench.group = group->id;
	bench_unit(bench.wall ? "ns" : "instructions");
	if (group->flags & BENCH_UNLOADED && bench_module_loaded())
		bench_module_unload();
	if (!(group->flags & BENCH_UNLOADED) && !bench_module_loaded())
		bench_module_load();
	pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (!pid) {
		group->run();
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		bench_fail("waitpid: %s", strerror(errno));
	nanosleep(&settle, NULL);
	if (WIFSIGNALED(status))
		fprintf(stderr, "exobench: %s: ended by signal %d\n", group->id, WTERMSIG(status));
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

static int processors(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static cJSON *conditions(void)
{
	cJSON *json = cJSON_CreateObject();
	struct utsname uts;

	uname(&uts);
	cJSON_AddStringToObject(json, "boot", bench.boot);
	cJSON_AddStringToObject(json, "kernel", uts.release);
	cJSON_AddStringToObject(json, "clock", bench.wall ? "nanoseconds" : "instructions");
	cJSON_AddNumberToObject(json, "processors", processors());
	cJSON_AddNumberToObject(json, "memory_mib",
				(double)(sysconf(_SC_PHYS_PAGES) / (long)(MIB / PAGE)));
	cJSON_AddNumberToObject(json, "zero", bench.zero_cost);
	cJSON_AddNumberToObject(json, "copy", bench.copy_cost);
	return json;
}

/* Four significant digits behind the point at most: what can be read, and is reproduced. */
static double rounded(double x)
{
	return (double)(long long)(x * 1000 + (x < 0 ? -0.5 : 0.5)) / 1000;
}

static cJSON *row_json(const struct bench_row *row)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "id", row->id);
	cJSON_AddStringToObject(json, "measure", row->measure);
	cJSON_AddNumberToObject(json, "ours", rounded(row->ours));
	cJSON_AddNumberToObject(json, "peer", rounded(row->peer));
	cJSON_AddStringToObject(json, "peer_name", row->peer_name);
	cJSON_AddStringToObject(json, "unit", row->unit);
	if (row->ours > 0)
		cJSON_AddNumberToObject(json, "ratio", rounded(row->peer / row->ours));
	else
		cJSON_AddNullToObject(json, "ratio");
	cJSON_AddStringToObject(json, "note", row->note);
	return json;
}

static void write_json(const char *path)
{
	cJSON *top = cJSON_CreateObject(), *rows = cJSON_CreateArray();
	uint32_t i;
	char *text;
	FILE *f;

	for (i = 0; i < bench.rows->count; i++)
		cJSON_AddItemToArray(rows, row_json(&bench.rows->row[i]));
	cJSON_AddItemToObject(top, "conditions", conditions());
	cJSON_AddItemToObject(top, "rows", rows);
	text = cJSON_Print(top);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f))
		bench_fail("cannot write %s: %s", path, strerror(errno));
	free(text);
	cJSON_Delete(top);
}

static void list(void)
{
	size_t i;

	for (i = 0; i < GROUPS; i++)
		printf("%-4s %s\n", groups[i].id, groups[i].title);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "out", required_argument, NULL, 'o' },
		{ "module", required_argument, NULL, 'm' },
		{ "suffix", required_argument, NULL, 's' },
		{ "boot", required_argument, NULL, 'b' },
		{ "wall", no_argument, NULL, 'w' },
		{ "list", no_argument, NULL, 'l' },
		{ NULL },
	};
	const char *ids = NULL, *out = NULL;
	int opt, failed = 0, ran = 0, was_loaded = bench_module_loaded();
	size_t i;

	bench.module = "/root/exo.ko";
	bench.suffix = "";
	bench.boot = "";
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			ids = *optarg ? optarg : NULL;
			break;
		case 'o':
			out = optarg;
			break;
		case 'm':
			bench.module = optarg;
			break;
		case 's':
			bench.suffix = optarg;
			break;
		case 'b':
			bench.boot = optarg;
			break;
		case 'w':
			bench.wall = 1;
			break;
		case 'l':
			list();
			return 0;
		default:
			return 2;
		}
	}
	bench.rows = mmap(NULL, sizeof(*bench.rows), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bench.rows == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	bench_clock_init();
	if (processors() == 1 || bench.wall) {
		bench_zero_cost();
		bench_copy_cost();
	}
	for (i = 0; i < GROUPS; i++) {
		if (!wanted(&groups[i], ids))
			continue;
		/* Two vCPUs and the instruction clock exclude each other. */
		if (!!(groups[i].flags & BENCH_TWO_CPUS) != (processors() > 1) && !bench.wall)
			continue;
		if ((groups[i].flags & BENCH_UNLOADED) && (bench.wall || was_loaded))
			continue;
		ran++;
		failed += run_group(&groups[i]);
	}
	if (!ran)
		bench_fail("nothing to run for id %s here (exobench --list)", ids ? ids : "all");
	if (out)
		write_json(out);
	if (!was_loaded && bench_module_loaded())
		bench_module_unload();
	return failed > 0;
}
