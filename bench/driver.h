/* SPDX-License-Identifier: GPL-2.0 */
/* What driver.c and bench.c share and the groups need not know. */
#ifndef EXO_BENCH_DRIVER_H
#define EXO_BENCH_DRIVER_H

#include "bench.h"

/**
 * struct bench_state - one per process; set before a group's process is forked
 * @rows: shared with the driver
 * @group: the group that runs, for messages
 * @suffix: appended to every id ("@7.2")
 * @module: path of exo.ko
 * @boot: what the report calls this boot
 * @unit: of the next row
 * @clock_cost: what two readings of the clock cost
 * @zero_cost: once measured, else 0
 * @copy_cost: once measured, else 0
 * @wall: nanoseconds instead of instructions
 * @rep_good: the kernel clears pages with a string instruction
 */
struct bench_state {
	struct bench_rows *rows;
	const char *group;
	const char *suffix;
	const char *module;
	const char *boot;
	char unit[40];
	double clock_cost;
	double zero_cost;
	double copy_cost;
	int wall;
	int rep_good;
};

extern struct bench_state bench;

void bench_clock_init(void);

#endif
