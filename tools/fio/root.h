/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is fio's file: a root with one unit, a list of extents of one length, on a disk that exo has.
 * Those that return an int say 0, or 1 when they have told fio what is wrong.
 */
#ifndef EXO_FIO_ROOT_H
#define EXO_FIO_ROOT_H

#include <stdint.h>

#include <exo/libexo.h>

#include "format.h"

struct options {
	void *pad;	/* an option at offset 0 is none */
	char *disk;
	char *root;
	unsigned int durable;
	unsigned int ioctl;
	unsigned int hipri;
	unsigned long long extent;
};

/* Tells fio what failed, by exo's error sentence; 1. */
int complain(const char *what, int ret);

/* The disk that the options name, in an environment of its own. */
int disk_open(const struct options *o, struct exo_env **env, struct exo_xn **xn);
void disk_close(struct exo_env *env, struct exo_xn *xn);

const char *root_name(const struct options *o);

/* The root by its name, with its unit; with @make made, empty, if there is none. */
int root_find(const struct options *o, struct exo_xn *xn, int make, struct exo_xn_root *root,
	      struct fio_unit *unit);

uint64_t root_blocks(const struct fio_unit *unit);

/* At least so many blocks. Only the last extent is shorter than the others; then the root stays as it is. */
int root_enlarge(struct exo_xn *xn, const struct exo_xn_root *root, struct fio_unit *unit,
		 uint64_t blocks);

#endif
