/* SPDX-License-Identifier: GPL-2.0 */
/*
 * X4: key-value stores under YCSB. exobench (x4.c) prepares the device and the limit of memory; a program of its own
 * (x4store), which alone is linked with the peers, loads a store and runs the workloads.
 */
#ifndef EXO_BENCH_X4_H
#define EXO_BENCH_X4_H

#include <stdint.h>

#include "ycsb.h"

#define X4_LIMIT_MIB 32U	/* of memory, for all that a store has */
#define X4_RECORDS (4U * X4_LIMIT_MIB * 1048576U / (YCSB_VALUE + YCSB_KEY))
#define X4_OPS 30000U
#define X4_GROUP 10U		/* updates that are made durable together */
#define X4_LOAD_GROUP 100U

/*
 * exo: frames, and what is left of the limit for the process and what the kernel keeps for it: 4 MiB are the table of
 * the disk's buffer registry, where the store has its lock.
 */
#define X4_REST_MIB 8U
#define X4_FRAMES ((X4_LIMIT_MIB - X4_REST_MIB) * 256U)

/* What the program prints of each workload: its name, and instructions in all. */
#define X4_LINE "X4 %c %llu %llu\n"

/**
 * struct x4_store - a store
 * @open: make a new one in this directory, or on the attached disk
 * @get: the value, which stays until the next call; its length, or -1
 * @put: in the group that is open, or opens with it
 * @commit: the group is durable
 * @settle: what is left to be done later is done, as far as the store does it by itself
 * @writes: pages or bytes, for people
 */
struct x4_store {
	const char *name;
	void (*open)(const char *where);
	int (*get)(const char *key, uint32_t key_len, const void **out_value);
	void (*put)(const char *key, uint32_t key_len, const void *value, uint32_t length);
	void (*commit)(void);
	void (*settle)(void);
	void (*close)(void);
};

extern const struct x4_store x4_exo, x4_lmdb, x4_rocksdb;

void x4_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
