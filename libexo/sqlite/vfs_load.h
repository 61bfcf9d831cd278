/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which SQLite is used: the one that is linked, or the one that loads us. */
#ifndef EXO_SQLITE_VFS_LOAD_H
#define EXO_SQLITE_VFS_LOAD_H

#include <stddef.h>

struct sqlite3_vfs;

/* SQLite's functions that are used. */
struct calls {
	int (*vfs_register)(struct sqlite3_vfs *vfs, int make_default);
	struct sqlite3_vfs *(*vfs_find)(const char *name);
	char *(*mprintf)(const char *fmt, ...);
	void (*log)(int code, const char *fmt, ...);
};

/* Registers the VFS with these. 0 or -errno, with a sentence. */
int load_with(const struct calls *calls, int make_default, char *error, size_t size);

#endif
