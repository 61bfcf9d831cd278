/* SPDX-License-Identifier: GPL-2.0 */
/* Devices of null_blk, with memory behind them: a test makes one and removes it, under its users too. */
#ifndef EXO_TEST_NULL_BLK_H
#define EXO_TEST_NULL_BLK_H

/* An attribute of /sys/kernel/config/nullb/NAME, and its value. */
struct null_blk_value {
	const char *what;
	const char *value;
};

/* A device with these attributes, which end with an empty one; its path is written. Must, or SKIP. */
void null_blk_on(const char *name, const struct null_blk_value *values, char path[32]);
void null_blk_set(const char *name, const char *what, const char *value);
/* Its power is off: it is gone with all that it had. Then its name can be another's. Must. */
void null_blk_off(const char *name);

#endif
