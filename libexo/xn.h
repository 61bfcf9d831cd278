/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside libexo: what the files about disks share. */
#ifndef LIBEXO_XN_H
#define LIBEXO_XN_H

#include "lib.h"

/**
 * struct exo_xn - an attached disk
 * @env: through which
 * @disk: its number
 * @nr_keys: how many of @keys are presented
 * @keys: set before the handle is used, so that no lock is needed
 */
struct exo_xn {
	struct exo_env *env;
	uint32_t disk;
	uint32_t nr_keys;
	struct exo_xn_key keys[EXO_XN_KEYS];
};

#define XN_CMD(xn, ...) { .disk = (xn)->disk, ##__VA_ARGS__ }

static inline uint64_t xn_keys(const struct exo_xn *xn)
{
	return xn->nr_keys ? (uintptr_t)xn->keys : 0;
}

/* Copies a name that is to fit with its 0: else -EINVAL. */
int xn_name(char to[EXO_XN_NAME], const char *name);

#endif
