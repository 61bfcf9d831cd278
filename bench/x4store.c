// SPDX-License-Identifier: GPL-2.0
/*
 * x4store exo|lmdb|rocksdb WHERE CGROUP: load a store, run YCSB's workloads, say what each took in instructions (under
 * ICOUNT=1 of tools/vm: all that the machine executed, in any process and in the kernel, without the time in which it was
 * idle). Every value that is read is compared with what was written.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "x4.h"

#define HEAD 16U
#define NOISE 65536U
#define TICK 10000000ULL /* instructions of a clock tick of /proc/stat */

static const struct x4_store *store;
static const struct x4_store *const stores[] = { &x4_exo, &x4_lmdb, &x4_rocksdb };

/* Made before the limit counts. */
static char (*keys)[YCSB_KEY];
static uint8_t *key_len;
static uint32_t *version, *durable;
static struct ycsb_op *ops;
static uint8_t noise[NOISE + YCSB_VALUE];
static uint32_t group[X4_LOAD_GROUP], in_group;

void x4_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "x4store: %s: ", store ? store->name : "?");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

/* ---- clock ---- */

static uint64_t idle(void)
{
	unsigned long long idle, wait;
	FILE *f = fopen("/proc/stat", "r");

	if (!f || fscanf(f, "cpu %*u %*u %*u %llu %llu", &idle, &wait) != 2)
		x4_fail("no /proc/stat");
	fclose(f);
	return (idle + wait) * TICK;
}

/* ---- values ---- */

static const uint8_t *body(uint32_t record, uint32_t v)
{
	return noise + (record * 2654435761U + v * 40503U) % NOISE;
}

static void make_value(uint8_t *value, uint32_t record, uint32_t v)
{
	memset(value, 0, HEAD);
	memcpy(value, &record, sizeof(record));
	memcpy(value + 4, &v, sizeof(v));
	memcpy(value + HEAD, body(record, v), YCSB_VALUE - HEAD);
}

/* What is in the group that is open may be seen or not. */
static void read_record(uint32_t record)
{
	const void *value;
	uint32_t v;

	if (store->get(keys[record], key_len[record], &value) != (int)YCSB_VALUE ||
	    memcmp(value, &record, sizeof(record)))
		x4_fail("record %u is not there", record);
	memcpy(&v, (const uint8_t *)value + 4, sizeof(v));
	if (v < durable[record] || v > version[record] ||
	    memcmp((const uint8_t *)value + HEAD, body(record, v), YCSB_VALUE - HEAD))
		x4_fail("record %u is not as it was written", record);
}

static void commit(void)
{
	if (!in_group)
		return;
	store->commit();
	while (in_group) {
		uint32_t record = group[--in_group];

		durable[record] = version[record];
	}
}

static void write_record(uint32_t record, uint32_t per_group)
{
	uint8_t value[YCSB_VALUE];

	make_value(value, record, ++version[record]);
	store->put(keys[record], key_len[record], value, YCSB_VALUE);
	group[in_group++] = record;
	if (in_group == per_group)
		commit();
}

/* ---- workloads ---- */

static void run(const struct ycsb_op *op, uint32_t count)
{
	for (; count; count--, op++) {
		if (op->what != YCSB_UPDATE)
			read_record(op->record);
		if (op->what != YCSB_READ)
			write_record(op->record, X4_GROUP);
	}
	commit();
	store->settle();
}

static void measure(char name, const struct ycsb_op *op, uint32_t count)
{
	uint64_t from = __rdtsc(), rest = idle(), passed;

	run(op, count);
	passed = __rdtsc() - from;
	rest = idle() - rest;
	printf(X4_LINE, name, (unsigned long long)(passed - rest), (unsigned long long)rest);
	fflush(stdout);
}

static void load(void)
{
	uint64_t from = __rdtsc(), rest = idle();
	uint32_t i;

	for (i = 0; i < X4_RECORDS; i++)
		write_record(i, X4_LOAD_GROUP);
	commit();
	store->settle();
	rest = idle() - rest;
	printf(X4_LINE, 'L', (unsigned long long)(__rdtsc() - from - rest),
	       (unsigned long long)rest);
	fflush(stdout);
}

static void *room(size_t bytes)
{
	void *at = malloc(bytes);

	if (!at)
		x4_fail("no memory");
	memset(at, 0, bytes);
	return at;
}

/* Warmed by C; then A, B, C and F. */
static void prepare(void)
{
	struct ycsb ycsb;
	uint32_t i;

	keys = room((size_t)X4_RECORDS * YCSB_KEY);
	key_len = room(X4_RECORDS);
	version = room(X4_RECORDS * sizeof(*version));
	durable = room(X4_RECORDS * sizeof(*durable));
	ops = room((YCSB_WORKLOADS + 1) * X4_OPS * sizeof(*ops));
	for (i = 0; i < X4_RECORDS; i++)
		key_len[i] = (uint8_t)ycsb_key(i, keys[i]);
	ycsb_init(&ycsb, X4_RECORDS, 0x9c5b);
	for (i = 0; i < sizeof(noise); i++) {
		ycsb.state = ycsb.state * 6364136223846793005ULL + 1;
		noise[i] = (uint8_t)(ycsb.state >> 33);
	}
	ycsb_ops(&ycsb, &ycsb_workload[2], ops, X4_OPS);
	for (i = 0; i < YCSB_WORKLOADS; i++)
		ycsb_ops(&ycsb, &ycsb_workload[i], ops + (i + 1) * X4_OPS, X4_OPS);
}

static void join(const char *cgroup)
{
	FILE *f = fopen(cgroup, "w");

	if (!f || fputs("0", f) < 0 || fclose(f))
		x4_fail("can't join %s", cgroup);
}

int main(int argc, char **argv)
{
	uint32_t i;

	for (i = 0; argc == 4 && i < sizeof(stores) / sizeof(stores[0]); i++)
		if (!strcmp(stores[i]->name, argv[1]))
			store = stores[i];
	if (!store) {
		fprintf(stderr, "usage: x4store exo|lmdb|rocksdb WHERE CGROUP.PROCS\n");
		return 2;
	}
	prepare();
	join(argv[3]);
	store->open(argv[2]);
	load();
	run(ops, X4_OPS);
	for (i = 0; i < YCSB_WORKLOADS; i++)
		measure(ycsb_workload[i].name, ops + (i + 1) * X4_OPS, X4_OPS);
	store->close();
	return 0;
}
