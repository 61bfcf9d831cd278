// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * SQLite's functions: a program that links us has them; one that loads us as an extension hands them over, and they
 * may be others than those of the libsqlite3 that we are linked to.
 */

#include "vfs.h"

void load_linked(struct calls *calls)
{
	calls->vfs_register = sqlite3_vfs_register;
	calls->vfs_find = sqlite3_vfs_find;
	calls->mprintf = sqlite3_mprintf;
	calls->log = sqlite3_log;
}
