// SPDX-License-Identifier: GPL-2.0
/*
 * report: put what boots found into results.json, and write RESULTS.md from it.
 *
 *   report RESULTS.json BOOTS.json RESULTS.md BOOT.json...
 *
 * RESULTS.json is an array of rows, BOOTS.json one of the conditions under which they were measured. A boot's
 * file is what exobench wrote, both. Its rows replace those with the same ids; rows of ids that it
 * has not stay, and so do the conditions of other boots. With no boot, RESULTS.md is written from
 * the two alone.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

/*
 * What an id must reach: peer / ours at least, or at most; zero: ours must be 0; none: published only.
 * An id that ends with a point stands for all that begin so.
 */
enum { AT_LEAST, AT_MOST, AHEAD, ZERO, FLAT };

static const struct bar {
	const char *id;
	int kind;
	double ratio;
	const char *text;
} bars[] = {
	{ "M1", AT_LEAST, 42, "42 ×" },
	{ "M2", AT_LEAST, 30, "30 ×" },
	{ "M2a", AT_LEAST, 1.7, "1.7 ×" },
	{ "M3.sigsegv", AT_LEAST, 5, "5 ×" },
	{ "M3.uffd", AT_LEAST, 6, "6 ×" },
	{ "M4.prot1", AHEAD, 1, "ahead" },
	{ "M4.prot100", AHEAD, 1, "ahead" },
	{ "M4.unprot100", AHEAD, 1, "ahead" },
	{ "M4.trap", AHEAD, 1, "ahead" },
	{ "M4.appel1", AHEAD, 1, "ahead" },
	{ "M4.appel2", AHEAD, 1, "ahead" },
	{ "M4.dirty", AHEAD, 1, "ahead" },
	{ "M5", AT_LEAST, 3, "3 ×" },
	{ "M6", AT_LEAST, 1, "≤ 400" },
	{ "M7", AT_LEAST, 1, "no dearer" },
	{ "M8a.mmap", AHEAD, 1, "fewer" },
	{ "M8a.malloc", AHEAD, 1, "fewer" },
	{ "M8b.mmap", AHEAD, 1, "ahead" },
	{ "M8b.malloc", AT_LEAST, 1 / 1.15, "≤ 1.15 ×" },
	{ "M9", AT_LEAST, 0.99, "within 1 %" },
	{ "M10.unbind", ZERO, 0, "0" },
	{ "M10.rebind", ZERO, 0, "0" },
	{ "M10.protect", ZERO, 0, "0" },
	{ "M10.revoke", ZERO, 0, "0" },
	{ "M10.handover", ZERO, 0, "0" },
	{ "M10.dirty", ZERO, 0, "0" },
	{ "M11.M1", FLAT, 0.1, "± 10 %" },
	{ "M11.M2", FLAT, 0.1, "± 10 %" },
	{ "G1a.", AT_LEAST, 1 / 1.02, "≤ 1.02 ×" },
	{ "G1b.", AT_LEAST, 1 / 1.15, "≤ 1.15 ×" },
	{ "G1c.", AT_LEAST, 0.5, "≤ 2 ×" },
	{ "G2a.", AT_MOST, 1.6, "≤ 1.6 ×" },
	{ "G2b.xor", AT_MOST, 2, "≤ 2 ×" },
	{ "G3.", AT_LEAST, 4, "4 ×" },
	{ "G4a", AT_LEAST, 1, "≤ 30" },
	{ "G4b", AT_LEAST, 1, "≤ 120" },
	{ "G5.check", AT_MOST, 1.05, "twice the code ≤ 2.1 ×" },
	{ "G6", AT_LEAST, 1 / 1.2, "≤ 1.2 ×" },
	{ "X4.A.", AHEAD, 1, "ahead" },
	{ "X4.B.", AHEAD, 1, "ahead" },
	{ "X4.C.", AHEAD, 1, "ahead" },
	{ "X4.F.", AHEAD, 1, "ahead" },
	{ "X3a.wal.", AHEAD, 1, "ahead" },
	{ "X3a.delete.", AHEAD, 1, "ahead" },
	{ "X3a.worst.", AT_LEAST, 1 / 1.02, "≤ 1.02 ×" },
	{ "X3b.wal.ext4", AT_LEAST, 1.5, "1.5 ×" },
	{ "X3b.wal.xfs", AT_LEAST, 1.5, "1.5 ×" },
	{ "X3b.delete.ext4", AT_LEAST, 1.5, "1.5 ×" },
	{ "X3b.delete.xfs", AT_LEAST, 1.5, "1.5 ×" },
	{ "X3b.wal.ext4.requests", AT_LEAST, 1, "no more" },
	{ "X3b.wal.xfs.requests", AT_LEAST, 1, "no more" },
	{ "X3b.delete.ext4.requests", AT_LEAST, 1, "no more" },
	{ "X3b.delete.xfs.requests", AT_LEAST, 1, "no more" },
	{ "X3b.wal.ext4.bytes", AT_LEAST, 1, "no more" },
	{ "X3b.wal.xfs.bytes", AT_LEAST, 1, "no more" },
	{ "X3b.delete.ext4.bytes", AT_LEAST, 1, "no more" },
	{ "X3b.delete.xfs.bytes", AT_LEAST, 1, "no more" },
	{ "X1.", AT_LEAST, 1, "≤ 1.0 ×" },
	{ "X2.", AT_LEAST, 1 / 1.05, "≤ 1.05 ×" },
	{ "X5.", AT_LEAST, 4, "≤ ¼" },
};

#define NR_BARS (sizeof(bars) / sizeof(bars[0]))

struct row {
	const char *id, *measure, *peer_name, *unit, *note;
	double ours, peer, ratio;
	size_t index;	/* in results.json */
	const struct bar *bar;
};

static void die(const char *what, const char *path)
{
	fprintf(stderr, "report: %s %s%s%s\n", what, path, errno ? ": " : "",
		errno ? strerror(errno) : "");
	exit(1);
}

/* ---- JSON ---- */

static cJSON *read_json(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;
	cJSON *json;

	if (!f)
		return NULL;
	if (getdelim(&text, &room, 0, f) < 0)
		text = NULL;
	fclose(f);
	json = text ? cJSON_Parse(text) : NULL;
	free(text);
	errno = 0;
	if (!json)
		die("not JSON:", path);
	return json;
}

/* The array in a file, empty where there is no file yet. */
static cJSON *read_array(const char *path)
{
	cJSON *array = read_json(path);

	if (!array)
		array = cJSON_CreateArray();
	if (!cJSON_IsArray(array))
		die("not an array:", path);
	return array;
}

static void write_json(const char *path, const cJSON *json)
{
	char *text = cJSON_Print(json);
	FILE *f = fopen(path, "w");

	if (!f || !text || fprintf(f, "%s\n", text) < 0 || fclose(f))
		die("cannot write", path);
	free(text);
}

static const char *text_of(const cJSON *row, const char *key)
{
	const cJSON *item = cJSON_GetObjectItem(row, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *row, const char *key)
{
	const cJSON *item = cJSON_GetObjectItem(row, key);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Rows of ids that the boot has again go. */
static void drop_replaced(cJSON *rows, const cJSON *fresh)
{
	const cJSON *row;
	int i;

	for (i = cJSON_GetArraySize(rows) - 1; i >= 0; i--) {
		cJSON_ArrayForEach(row, fresh) {
			if (strcmp(text_of(row, "id"), text_of(cJSON_GetArrayItem(rows, i), "id")))
				continue;
			cJSON_DeleteItemFromArray(rows, i);
			break;
		}
	}
}

/*
 * What a table of boots tells apart: the same under the same name needs no second line. What a kernel has for
 * itself differs by a MiB from boot to boot.
 */
static int same_conditions(const cJSON *a, const cJSON *b)
{
	return !strcmp(text_of(a, "boot"), text_of(b, "boot")) &&
	       !strcmp(text_of(a, "clock"), text_of(b, "clock")) &&
	       number_of(a, "processors") == number_of(b, "processors") &&
	       fabs(number_of(a, "memory_mib") - number_of(b, "memory_mib")) < 64;
}

static void drop_boot(cJSON *boots, const cJSON *fresh)
{
	int i;

	for (i = cJSON_GetArraySize(boots) - 1; i >= 0; i--)
		if (same_conditions(cJSON_GetArrayItem(boots, i), fresh))
			cJSON_DeleteItemFromArray(boots, i);
}

static void merge(cJSON *rows, cJSON *boots, const char *path)
{
	cJSON *boot = read_json(path), *fresh, *row;

	if (!boot)
		die("cannot read", path);
	fresh = cJSON_GetObjectItem(boot, "rows");
	drop_replaced(rows, fresh);
	cJSON_ArrayForEach(row, fresh)
		cJSON_AddItemToArray(rows, cJSON_Duplicate(row, 1));
	drop_boot(boots, cJSON_GetObjectItem(boot, "conditions"));
	cJSON_AddItemToArray(boots, cJSON_DetachItemFromObject(boot, "conditions"));
	cJSON_Delete(boot);
}

static int is_bar_of(const struct bar *bar, const char *id)
{
	size_t length = strlen(bar->id);

	if (strchr(id, '@'))
		return 0;
	if (bar->id[length - 1] == '.')
		return !strncmp(bar->id, id, length);
	return !strcmp(bar->id, id);
}

/* "M2a.x" sorts behind "M2", "M10" behind "M9", what has a suffix behind what has none. */
static long id_rank(const char *id)
{
	size_t i;

	if (strchr(id, '@'))
		return 100000;
	for (i = 0; i < NR_BARS; i++)
		if (is_bar_of(&bars[i], id))
			return (long)i * 20;
	/* Behind the last that begins like it. */
	for (i = NR_BARS; i--; )
		if (!strncmp(bars[i].id, id, strcspn(id, ".")))
			return (long)i * 20 + 10;
	return 90000;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
	long rx = id_rank(x->id), ry = id_rank(y->id);

	if (rx != ry)
		return rx < ry ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* ---- judging ---- */

static const struct bar *bar_of(const char *id)
{
	size_t i;

	for (i = 0; i < NR_BARS; i++)
		if (is_bar_of(&bars[i], id))
			return &bars[i];
	return NULL;
}

static int is_met(const struct row *row)
{
	switch (row->bar->kind) {
	case ZERO:
		return row->ours == 0;
	case AT_MOST:
		return row->ratio <= row->bar->ratio;
	case AHEAD:
		return row->ratio > 1;
	case FLAT:
		return row->ratio > 1 - row->bar->ratio && row->ratio < 1 + row->bar->ratio;
	default:
		return row->ratio >= row->bar->ratio;
	}
}

static const char *verdict(const struct row *row)
{
	if (!row->bar)
		return "";
	return is_met(row) ? "reached" : "**missed**";
}

static struct row *make_row(const cJSON *json)
{
	struct row *row = calloc(1, sizeof(*row));

	if (!row)
		die("out of memory", "");
	row->id = text_of(json, "id");
	row->measure = text_of(json, "measure");
	row->peer_name = text_of(json, "peer_name");
	row->unit = text_of(json, "unit");
	row->note = text_of(json, "note");
	row->ours = number_of(json, "ours");
	row->peer = number_of(json, "peer");
	row->ratio = number_of(json, "ratio");
	row->bar = bar_of(row->id);
	return row;
}

/* ---- RESULTS.md ---- */

static void write_head(FILE *f, const cJSON *conditions)
{
	const cJSON *boot;
	char date[32];
	time_t now = time(NULL);

	strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
	fprintf(f,
		"<!-- SPDX-License-Identifier: GPL-2.0 -->\n"
		"# What exo costs, against what it replaces\n\n"
		"Written by `make bench` (%s); the same rows as data are in results.json. Unless a row says\n"
		"otherwise the unit is **guest instructions**, on a stock Debian kernel under QEMU:\n"
		"`-icount shift=0 -smp 1 -cpu max,-erms,-fsrm`, `mitigations=off`. Instructions are not time: they\n"
		"leave out cache and TLB misses, and what the other processor of a shootdown pays. What they are\n"
		"is exact: the same from run to run to three or four digits, on any machine.\n\n",
		date);
	if (!cJSON_GetArraySize(conditions))
		return;
	fprintf(f, "| Boot | Kernel | Clock | vCPUs | Memory | zeroing a page | copying a page |\n"
		   "|---|---|---|---|---|---|---|\n");
	cJSON_ArrayForEach(boot, conditions)
		fprintf(f, "| %s | %s | %s | %.0f | %.0f MiB | %.0f | %.0f |\n",
			text_of(boot, "boot"), text_of(boot, "kernel"), text_of(boot, "clock"),
			number_of(boot, "processors"), number_of(boot, "memory_mib"),
			number_of(boot, "zero"), number_of(boot, "copy"));
	fprintf(f, "\n");
}

static void write_summary(FILE *f, struct row **rows, size_t count)
{
	size_t i, judged = 0, met = 0;

	for (i = 0; i < count; i++) {
		if (!rows[i]->bar)
			continue;
		judged++;
		met += (size_t)is_met(rows[i]);
	}
	fprintf(f, "**%zu of %zu rows reach their bar.**", met, judged);
	if (met == judged) {
		fprintf(f, "\n\n");
		return;
	}
	fprintf(f, " These do not:\n\n");
	for (i = 0; i < count; i++)
		if (rows[i]->bar && !is_met(rows[i]))
			fprintf(f, "- %s, %s, against %s: %.2f, bar %s\n", rows[i]->id,
				rows[i]->measure, rows[i]->peer_name, rows[i]->ratio,
				rows[i]->bar->text);
	fprintf(f, "\n");
}

/* Eight columns a doubling; left of the line Linux is ahead. */
static void write_bar(FILE *f, double ratio)
{
	int left = 8, columns = 0, i;
	double x;

	for (x = ratio < 1 ? 1 / ratio : ratio; x > 1.0443 && columns < 56; x /= 1.0905)
		columns++;
	if (ratio < 1) {
		if (columns > left)
			columns = left;
		for (i = 0; i < left - columns; i++)
			fputc(' ', f);
		for (i = 0; i < columns; i++)
			fputs("▒", f);
		fputs("│", f);
		return;
	}
	for (i = 0; i < left; i++)
		fputc(' ', f);
	fputs("│", f);
	for (i = 0; i < columns; i++)
		fputs("█", f);
}

/* Is it the only row of its id with this peer? */
static int is_alone(struct row **rows, size_t count, size_t at)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (i != at && !strcmp(rows[i]->id, rows[at]->id) &&
		    !strcmp(rows[i]->peer_name, rows[at]->peer_name))
			return 0;
	return 1;
}

static void write_chart(FILE *f, struct row **rows, size_t count)
{
	size_t i;

	fprintf(f,
		"## At a glance\n\nHow many times fewer instructions than the peer: peer / exo, eight columns a\n"
		"doubling; right of the line exo is ahead, left of it the peer.\n\n```\n");
	for (i = 0; i < count; i++) {
		const struct row *row = rows[i];

		if (row->ratio <= 0 || !strncmp(row->id, "M10", 3))
			continue;
		fprintf(f, "%-18.18s %7.2f ", row->id, row->ratio);
		write_bar(f, row->ratio);
		fprintf(f, " %s\n", is_alone(rows, count, i) ? row->peer_name : row->measure);
	}
	fprintf(f, "```\n\n");
}

static void write_table(FILE *f, struct row **rows, size_t count)
{
	size_t i;

	fprintf(f,
		"## All rows\n\n| Id | Measure | exo | peer | unit | peer / exo | bar | | Peer | Note |\n"
		"|---|---|--:|--:|---|--:|---|---|---|---|\n");
	for (i = 0; i < count; i++) {
		const struct row *row = rows[i];
		const char *digits = row->ours >= 1000 || row->unit[0] == 's' ? "%.0f" : "%.1f";

		fprintf(f, "| %s | %s | ", row->id, row->measure);
		fprintf(f, digits, row->ours);
		fprintf(f, " | ");
		fprintf(f, digits, row->peer);
		fprintf(f, " | %s | ", row->unit);
		if (row->ratio > 0)
			fprintf(f, "%.*f", row->ratio < 10 ? 3 : 1, row->ratio);
		fprintf(f, " | %s | %s | %s | %s |\n", row->bar ? row->bar->text : "",
			verdict(row),
			row->peer_name, row->note);
	}
	fprintf(f, "\n");
}

static void write_definitions(FILE *f)
{
	fprintf(f, "%s",
		"## Definitions\n\n"
		"- A *touch* is one 8-byte store. What is loaded or stored is checked inside the timed loop: after a bind the\n"
		"  word is what was stored last in that frame.\n"
		"- Each figure is the median of five runs; a loop of known length before and after must be right to 0.5 %,\n"
		"  or the figure is thrown away. The two readings of the clock are subtracted.\n"
		"- *Zeroing* is subtracted from both sides: the peer zeroes every anonymous page that it hands out. Its cost is that\n"
		"  of the loop the kernel uses on this CPU, run in the same boot (table above); the note has the figure with it. exo\n"
		"  zeroes a frame when it changes owner, which happens in none of these loops.\n"
		"- *Scattered*: a uniform draw (fixed seed) over 1 GiB, page tables present on both sides. Linux's side has\n"
		"  MADV_NOHUGEPAGE: it is about 4 KiB pages.\n"
		"- Bindings are accounted and revocable, in benchmarks as always.\n"
		"- M3, M4: where a peer can be used in several ways, each has a row; the cheapest counts.\n"
		"- M4.trap is a store to a write-protected page, a handler that unprotects it, and the store done; M4.appel1 adds\n"
		"  the protection of another page in the handler; M4.appel2 protects 100 pages and then unprotects each in its trap.\n"
		"- M5 runs from before the allocation to after the first store in the other process; both sides use one existing\n"
		"  socketpair. On one processor the giver is also preempted in that time. In M5.fifo the taker is a real-time process\n"
		"  and runs as soon as the message is there. Ours sends in the call that allocates and receives in the call that imports and\n"
		"  binds; M5.separate has send(2) and recv(2) of their own. M5.batch32 allocates 32 frames with their capabilities in one\n"
		"  call, which the definition of M5 does not have, and gives them one by one.\n"
		"- M6 is EXO_CAP_CHECK less an ioctl that is refused because its number is unknown.\n"
		"- M8: one B+tree (samples/bufpool) over three page stores on null_blk (memory_backed=1, irqmode=0); an operation is\n"
		"  a look-up of a uniformly drawn key. Tree, node search and io_uring code are the same source.\n"
		"- M9: exo is the kernel with exo.ko loaded and idle, the peer the same kernel without it, in turns in one boot.\n"
		"- M10 has its own boot, two vCPUs and no instruction clock; ours is what was stale, the peer's column what the control\n"
		"  saw that leaves the flush out. TCG keeps a TLB per vCPU that only flushes empty, so a missing one shows.\n"
		"- M11: exo is the figure at that size, the peer's column the same measure at the smallest size; 1.00 is flat.\n"
		"- G1 to G4: both sides run in the kernel in a loop over one input; what an empty graft, or an empty program, costs\n"
		"  there is taken off. G1's inputs are 400 frames of a seeded trace; every result is compared with what the trace\n"
		"  says. G1a blinds constants on neither side (EXO_GRAFT_LOAD_NO_BARRIERS needs CAP_PERFMON), G1b on both: the\n"
		"  kernel blinds them for whoever has no right to do without.\n"
		"- G2a, G2b: exo is the proved graft, the peer the same graft in the sandbox.\n"
		"- G4: the call of an empty C function through a pointer, in the same loop, is taken off.\n"
		"- G5.check: an instruction's share of the check of 1,000 and of 2,000; 1.05 is 2.1 times the time for twice the code.\n"
		"- X4: all instructions of the machine while a workload runs (background threads and the kernel's too, without idle time), divided\n"
		"  by its operations; each value that is read is compared. Device: null_blk (memory_backed=1, irqmode=0), made anew for each.\n"
		"  Memory: exo's frames and memory.max of its process are together what memory.max is for the others, page cache included. The\n"
		"  device has no volatile cache, so a flush costs the peers nothing.\n"
		"- X1.fio: fio with exo-fio and with its own io_uring engine (fixedbufs, registerfiles, direct), the same job of\n"
		"  40,960 I/Os, by the rate that fio prints (milliseconds: 0.5 %). X1.loop: the same I/O by the same loop of\n"
		"  this program, without fio. Device: null_blk (memory_backed=1, irqmode=0), the same blocks. X1p: both poll.\n"
		"- X1d: requests and bytes that the device counts for 4,000 I/Os, on QEMU's virtio and NVMe disks; the peer of\n"
		"  X1d.nvme.passthrough is the character device with commands of one's own.\n"
		"- X2: the loop of X1, and the transactions of X3b, with exo.ko, and with one that is built without every check: of\n"
		"  binding, frame and map, acl and what a change owns, and no count of what is in flight.\n"
		"- X5: EXO_XN_APPLY of one change and of 64, without the commit; ours is the share of one of the 64.\n"
		"- X6: blocks that an attach reads, beyond those that an attach after a detach reads; the peer's column is how many\n"
		"  units had changed. X6.walk: EXO_XN_CHECK of a sparse disk of 16 GiB; a TiB is that times 64.\n"
		"- On 7.2 an upcall costs 5 % more than on 6.1 (the walk to the VMA under its own lock, mas_walk, and the mapping of\n"
		"  page tables), while SIGSEGV with mprotect costs a sixth less: hence the smaller ratio of M3.sigsegv there.\n"
		"- `@7.2` is Debian's 7.2 kernel, `@mitigations` the stock kernel with its default mitigations, `@wall` nanoseconds of\n"
		"  an emulated machine: good for a ratio at most.\n");
}

static void write_report(const char *path, const cJSON *json, const cJSON *conditions)
{
	size_t count = (size_t)cJSON_GetArraySize(json), i = 0;
	struct row **rows = calloc(count + 1, sizeof(*rows));
	const cJSON *item;
	FILE *f = fopen(path, "w");

	if (!f || !rows)
		die("cannot write", path);
	cJSON_ArrayForEach(item, json) {
		rows[i] = make_row(item);
		rows[i]->index = i;
		i++;
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	write_head(f, conditions);
	write_summary(f, rows, count);
	write_chart(f, rows, count);
	write_table(f, rows, count);
	write_definitions(f);
	if (fclose(f))
		die("cannot write", path);
	for (i = 0; i < count; i++)
		free(rows[i]);
	free(rows);
}

int main(int argc, char **argv)
{
	cJSON *rows, *boots;
	int i;

	if (argc < 4) {
		fprintf(stderr, "usage: report RESULTS.json BOOTS.json RESULTS.md [BOOT.json...]\n");
		return 2;
	}
	rows = read_array(argv[1]);
	boots = read_array(argv[2]);
	for (i = 4; i < argc; i++)
		merge(rows, boots, argv[i]);
	write_json(argv[1], rows);
	write_json(argv[2], boots);
	write_report(argv[3], rows, boots);
	cJSON_Delete(rows);
	cJSON_Delete(boots);
	return 0;
}
