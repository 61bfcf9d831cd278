/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Grafts for ioctl_fuzz: some that are good, with certificates, and what mutation makes of them.
 */
#ifndef EXO_FUZZ_GRAFT_H
#define EXO_FUZZ_GRAFT_H

#include <stdint.h>

#include <exo/exo.h>

/* Must be called before fuzz_graft_load(): has libexo prove the good ones. */
void fuzz_graft_init(void);

/*
 * EXO_GRAFT_LOAD of a graft that @words and the 32 words of @array say; the same words load the same.
 * Returns as ioctl() does in libexo, and what the module wrote.
 */
int fuzz_graft_load(int fd, const uint32_t *words, const uint32_t *array, struct exo_graft_load *load);

#endif
