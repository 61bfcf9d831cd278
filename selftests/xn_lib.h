/* SPDX-License-Identifier: GPL-2.0 */
/* Raw disks for tests: loop devices on files, whose copy at any moment is what a crash leaves. */
#ifndef EXO_TEST_XN_LIB_H
#define EXO_TEST_XN_LIB_H

#include <exo/libexo.h>

#include "harness.h"
#include "lib.h"
#include "xn_format.h"

#define XT_BLOCKS 8192U	/* of a test's disk */

/* A device on a new file of so many blocks: its path is written. Must. */
void xt_device(const char *file, uint64_t blocks, char path[32]);
/* The same with logical blocks of so many bytes. */
void xt_device_of(const char *file, uint64_t blocks, uint32_t logical, char path[32]);
/* The same on a copy of another device's file, as it is now. Must. */
void xt_crash(const char *from, const char *to, char path[32]);

int xt_format(int fd, const char *path, uint32_t flags);
int xt_attach(int fd, const char *path, struct exo_xn_attach *out);
int xt_detach(int fd, uint32_t disk, uint32_t flags);
/* A device's file, mapped. Must. */
void *xt_map_file(const char *file, size_t size);
/* As root: an environment, and no disk of an earlier test. Must. */
int xt_admin(void);
/* Must: format and attach a new disk, and let everybody who is left from an earlier test go. */
uint32_t xt_disk(int fd, char path[32]);
/* The template of xn_test.bpf.c, by another name, which names this one, too (an equal one is the same). 0 or -errno */
int xt_template_add(int fd, uint32_t disk, const char *name, uint32_t ref, uint32_t *out);
/* By its own. Must. */
uint32_t xt_template(int fd, uint32_t disk);
/* A root whose first unit is this. 0 or -errno. */
int xt_root(int fd, uint32_t disk, uint32_t template_number, const char *name,
	    const struct xt_unit *unit, uint32_t flags, struct exo_xn_root_create *out);
int xt_find(int fd, uint32_t disk, const char *name, struct exo_xn_root *out);
int xt_read(int fd, uint32_t disk, uint32_t root, uint64_t parent, uint64_t block, void *bytes,
	    uint32_t length);
int xt_apply(int fd, uint32_t disk, uint32_t root, struct exo_xn_step *steps, uint32_t nr,
	     uint32_t flags, struct exo_xn_apply *out);
int xt_commit(int fd, uint32_t disk, uint32_t root);
int xt_bind(int fd, uint32_t disk, uint32_t root, uint64_t parent, uint64_t block, uint32_t count,
	    uint32_t rights, uint32_t *binding);
int xt_unbind(int fd, uint32_t binding);
int xt_io(int fd, uint32_t kind, uint32_t binding, uint32_t offset, const uint32_t *frames,
	  uint32_t count, uint32_t flags);
/* The first of count free blocks in a row. Must. */
uint64_t xt_free_run(int fd, uint32_t disk, uint32_t count);
uint8_t xt_map(int fd, uint32_t disk, uint64_t block);
/* Must: a root on disk whose unit, @at, owns so many data blocks in a row; the first. */
uint64_t xt_data_root(int fd, uint32_t disk, struct xt_unit *unit, uint32_t blocks, uint32_t *root, uint64_t *at);
/* One more entry of a unit of one block, with the step that says so; apply it. */
int xt_grow(int fd, uint32_t disk, uint32_t root, uint64_t at, struct xt_unit *unit, uint64_t block,
	    uint32_t count, uint32_t slot, uint32_t flags);
/* The last entry goes. */
int xt_shrink(int fd, uint32_t disk, uint32_t root, uint64_t at, struct xt_unit *unit,
	      uint32_t flags);

#endif
