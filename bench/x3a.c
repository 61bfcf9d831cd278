// SPDX-License-Identifier: GPL-2.0
/*
 * X3a: SQLite's speedtest1, all of it and case by case. The program is Debian's source, in selftests/sqlite, with a VFS whose
 * clock counts instructions; it writes a case as "NNN - what......  1234.567s". What its queries return must be the same
 * everywhere (--verify). A worker that runs now and then is charged to the case it meets: so three runs, on files of their own,
 * and of each case the middle one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "x3.h"

#define SIZE "10"
#define CASES 64
#define RUNS 3

struct score {
	int count;
	struct {
		int number;
		char name[64];
		double figure;
	} at[CASES];
	double total;
	char hash[128];
};

/* Seconds of the program are thousands of instructions. */
static double figure_of(const char *line)
{
	const char *end = strrchr(line, 's'), *at = end;

	while (at && at > line && at[-1] != ' ' && at[-1] != '.')
		at--;
	while (at && at > line && at[-1] != ' ')
		at--;
	return at ? strtod(at, NULL) * 1000 : 0;
}

static void take_line(struct score *score, const char *line)
{
	char name[64];
	int number;

	if (sscanf(line, " %d - %63[^\n]", &number, name) == 2) {
		if (score->count == CASES)
			bench_fail("speedtest1 has more than %d cases", CASES);
		name[strcspn(name, ".")] = 0;
		score->at[score->count].number = number;
		snprintf(score->at[score->count].name, sizeof(name), "%s", name);
		score->at[score->count++].figure = figure_of(line);
	} else if (strstr(line, " TOTAL")) {
		score->total = figure_of(line);
	} else if (!strncmp(line, "Verification Hash:", 18)) {
		snprintf(score->hash, sizeof(score->hash), "%.120s", line + 18);
	}
}

static struct score run(const struct x3_place *place, const char *journal, int number)
{
	struct score score = { 0 };
	char command[512], line[512];
	FILE *f;

	snprintf(command, sizeof(command),
		 "TEST_VFS=%s TEST_CLOCK=tsc speedtest1 --size " SIZE " --verify --pagesize 4096 "
		 "--journal %s %sspeed-%s-%d.db", place->vfs, journal, place->dir, journal, number);
	fflush(stdout);
	f = popen(command, "r");
	while (f && fgets(line, sizeof(line), f))
		take_line(&score, line);
	if (!f || pclose(f) || score.total <= 0 || !*score.hash)
		bench_fail("%s: failed", command);
	return score;
}

static double middle(double a, double b, double c)
{
	return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

static struct score measure(const struct x3_place *place, const char *journal)
{
	struct score runs[RUNS], score;
	int i;

	for (i = 0; i < RUNS; i++) {
		runs[i] = run(place, journal, i);
		if (strcmp(runs[i].hash, runs[0].hash) || runs[i].count != runs[0].count)
			bench_fail("speedtest1 returned something else in another run");
	}
	score = runs[0];
	score.total = middle(runs[0].total, runs[1].total, runs[2].total);
	for (i = 0; i < score.count; i++)
		score.at[i].figure = middle(runs[0].at[i].figure, runs[1].at[i].figure, runs[2].at[i].figure);
	return score;
}

static void compare(const char *journal, const struct score *ours, const struct score *peer,
		    const char *peer_name)
{
	char id[40], what[120], name[64];
	int i, worst = 0;

	if (strcmp(ours->hash, peer->hash) || ours->count != peer->count)
		bench_fail("speedtest1 returned something else on %s", peer_name);
	for (i = 1; i < ours->count; i++)
		if (peer->at[i].figure * ours->at[worst].figure < peer->at[worst].figure * ours->at[i].figure)
			worst = i;
	snprintf(name, sizeof(name), "SQLite's unix VFS on %s", peer_name);
	snprintf(id, sizeof(id), "X3a.%s.%s", journal, peer_name);
	snprintf(what, sizeof(what), "speedtest1, all of it, %s mode", journal);
	bench_row(id, what, ours->total, peer->total, name,
		  "--size " SIZE ", synchronous=full; %d cases; of %d runs the middle one", ours->count, RUNS);
	snprintf(id, sizeof(id), "X3a.worst.%s.%s", journal, peer_name);
	snprintf(what, sizeof(what), "speedtest1, its case that does worst, %s mode", journal);
	bench_row(id, what, ours->at[worst].figure, peer->at[worst].figure, name, "%d: %s",
		  ours->at[worst].number, ours->at[worst].name);
	for (i = 0; i < ours->count; i++)
		printf("#   %-6s %-4s %3d %-60.60s %6.3f\n", journal, peer_name, ours->at[i].number,
		       ours->at[i].name, peer->at[i].figure / ours->at[i].figure);
}

void x3a_run(void)
{
	static const char *const journals[] = { "wal", "delete" };
	struct score scores[X3_PLACES];
	int i, place;

	bench_unit(bench_is_wall() ? "ns" : "instructions");
	for (i = 0; i < 2; i++) {
		for (place = 0; place < X3_PLACES; place++)
			scores[place] = measure(&x3_places[place], journals[i]);
		for (place = X3_EXT4; place < X3_PLACES; place++)
			compare(journals[i], &scores[X3_EXO], &scores[place], x3_places[place].name);
	}
}
