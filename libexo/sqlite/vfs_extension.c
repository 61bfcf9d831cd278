// SPDX-License-Identifier: LGPL-2.1-or-later
/* The entry point of the loadable extension. */
#include <stdlib.h>

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include <exo/sqlite_vfs.h>

#include "vfs_load.h"

__attribute__((visibility("default")))
int sqlite3_exosqlitevfs_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

/**
 * sqlite3_exosqlitevfs_init() - what SQLite calls when it loads libexo-sqlite-vfs.so
 * @db: who loads it
 * @error: set to a sentence on failure
 * @api: SQLite's functions
 *
 * The VFS stays when @db is closed. $EXO_SQLITE_VFS_DEFAULT=1 makes it the default.
 *
 * Return: SQLITE_OK_LOAD_PERMANENTLY; SQLITE_ERROR.
 */
int sqlite3_exosqlitevfs_init(sqlite3 *db, char **error, const sqlite3_api_routines *api)
{
	const char *value = getenv("EXO_SQLITE_VFS_DEFAULT");
	struct calls calls;
	char text[256] = "";

	(void)db;
	SQLITE_EXTENSION_INIT2(api);
	calls.vfs_register = sqlite3_vfs_register;
	calls.vfs_find = sqlite3_vfs_find;
	calls.mprintf = sqlite3_mprintf;
	calls.log = sqlite3_log;
	if (!load_with(&calls, value && *value == '1', text, sizeof(text)))
		return SQLITE_OK_LOAD_PERMANENTLY;
	if (error)
		*error = sqlite3_mprintf("%s", text);
	return SQLITE_ERROR;
}
