/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Grafts for ioctl_fuzz: some that are good, with certificates, and what mutation makes of them.
 */
#ifndef EXO_FUZZ_GRAFT_H
#define EXO_FUZZ_GRAFT_H

#include <stdint.h>

#include <exo/exo.h>

#define FUZZ_GRAFTS 7	/* good ones */

/* Must be called before fuzz_graft_load(): has libexo prove the good ones. */
void fuzz_graft_init(void);

/*
 * EXO_GRAFT_LOAD of a graft that @words and the 32 words of @array say; the same words load the same.
 * Returns as ioctl() does in libexo, and what the module wrote.
 */
int fuzz_graft_load(int fd, const uint32_t *words, const uint32_t *array, struct exo_graft_load *load);

/* The words of a command on grafts: mostly what makes sense, so that grafts come to run. */
void fuzz_graft_words(uint8_t nr, uint32_t *words, uint32_t *array);

#endif
