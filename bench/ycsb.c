// SPDX-License-Identifier: GPL-2.0
/* YCSB's operations. See ycsb.h. */
#include <math.h>
#include <stdio.h>

#include "ycsb.h"

const struct ycsb_workload ycsb_workload[YCSB_WORKLOADS] = {
	{ 'A', 50, 0 },
	{ 'B', 5, 0 },
	{ 'C', 0, 0 },
	{ 'F', 0, 50 },
};

/* xorshift64*. */
static uint64_t next(struct ycsb *ycsb)
{
	ycsb->state ^= ycsb->state >> 12;
	ycsb->state ^= ycsb->state << 25;
	ycsb->state ^= ycsb->state >> 27;
	return ycsb->state * 0x2545f4914f6cdd1dULL;
}

/* In [0, 1). */
static double uniform(struct ycsb *ycsb)
{
	return (double)(next(ycsb) >> 11) / (double)(1ULL << 53);
}

static double zeta(uint32_t n)
{
	double sum = 0;
	uint32_t i;

	for (i = 1; i <= n; i++)
		sum += pow(1.0 / i, YCSB_THETA);
	return sum;
}

void ycsb_init(struct ycsb *ycsb, uint32_t records, uint64_t seed)
{
	ycsb->records = records;
	ycsb->state = seed;
	ycsb->zeta = zeta(records);
	ycsb->alpha = 1 / (1 - YCSB_THETA);
	ycsb->eta = (1 - pow(2.0 / records, 1 - YCSB_THETA)) / (1 - zeta(2) / ycsb->zeta);
}

uint32_t ycsb_rank(struct ycsb *ycsb)
{
	double u = uniform(ycsb), uz = u * ycsb->zeta;
	uint32_t rank;

	if (uz < 1)
		return 0;
	if (uz < 1 + pow(0.5, YCSB_THETA))
		return 1;
	rank = (uint32_t)(ycsb->records * pow(ycsb->eta * u - ycsb->eta + 1, ycsb->alpha));
	return rank < ycsb->records ? rank : ycsb->records - 1;
}

/* FNV-1a of the number's bytes. */
static uint64_t scramble(uint64_t n)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	int i;

	for (i = 0; i < 8; i++, n >>= 8)
		hash = (hash ^ (n & 0xff)) * 0x100000001b3ULL;
	return hash;
}

void ycsb_ops(struct ycsb *ycsb, const struct ycsb_workload *workload, struct ycsb_op *ops,
	      uint32_t count)
{
	uint32_t i, draw;

	for (i = 0; i < count; i++) {
		draw = (uint32_t)(next(ycsb) >> 33) % 100;
		ops[i].what = draw < workload->updates ? YCSB_UPDATE :
			      draw < workload->updates + workload->modifies ? YCSB_MODIFY :
									      YCSB_READ;
		ops[i].record = (uint32_t)(scramble(ycsb_rank(ycsb)) % ycsb->records);
	}
}

uint32_t ycsb_key(uint32_t record, char key[YCSB_KEY])
{
	return (uint32_t)snprintf(key, YCSB_KEY, "user%019llu",
				  (unsigned long long)scramble(record) % 10000000000000000000ULL);
}
