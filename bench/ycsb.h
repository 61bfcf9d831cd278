/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core workloads of the Yahoo! Cloud Serving Benchmark (Cooper et al., SoCC 2010) that are measured here. Which record
 * an operation is about is zipfian with theta 0.99 (Gray et al., "Quickly Generating Billion-Record Synthetic
 * Databases", SIGMOD 1994), and scrambled: what is wanted often lies anywhere.
 */
#ifndef EXO_BENCH_YCSB_H
#define EXO_BENCH_YCSB_H

#include <stdint.h>

#define YCSB_THETA 0.99
#define YCSB_KEY 24	/* room for a key: "user" and a number */
#define YCSB_VALUE 1000U	/* ten fields of 100 bytes */

enum ycsb_what { YCSB_READ, YCSB_UPDATE, YCSB_MODIFY /* read, then update */ };

struct ycsb_op {
	uint32_t what;
	uint32_t record;
};

/* A: half updates; B: one in twenty; C: none; F: half read-modify-writes. The rest are reads. */
struct ycsb_workload {
	char name;
	uint32_t updates; /* in 100 */
	uint32_t modifies;
};

#define YCSB_WORKLOADS 4
extern const struct ycsb_workload ycsb_workload[YCSB_WORKLOADS];

/**
 * struct ycsb - a generator
 * @records: how many there are
 * @zeta: sum of 1 / i^theta for i from 1 to @records
 * @eta, @alpha: as in the paper
 * @state: of the random numbers
 */
struct ycsb {
	uint32_t records;
	double zeta;
	double eta;
	double alpha;
	uint64_t state;
};

void ycsb_init(struct ycsb *ycsb, uint32_t records, uint64_t seed);
/* Rank 0 is wanted most often. */
uint32_t ycsb_rank(struct ycsb *ycsb);
void ycsb_ops(struct ycsb *ycsb, const struct ycsb_workload *workload, struct ycsb_op *ops,
	      uint32_t count);
/* The key of a record: its length. */
uint32_t ycsb_key(uint32_t record, char key[YCSB_KEY]);

#endif
