// SPDX-License-Identifier: GPL-2.0
/* See files.h. */
#include <errno.h>

#include "files.h"

#define FILES 8

/* A file that is open, and where the next read or write begins. */
static struct {
	sqlite3_file *file;
	sqlite3_int64 at;
} files[FILES];

static char *full_name(sqlite3_vfs *vfs, const char *path)
{
	/* A name is followed by its URI parameters: none, but the end of the list is looked for. */
	char *name = calloc(1, (size_t)vfs->mxPathname + 8);

	if (name && vfs->xFullPathname(vfs, path, vfs->mxPathname + 1, name) != SQLITE_OK) {
		free(name);
		name = NULL;
	}
	return name;
}

int test_unlink(const char *path)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	char *name = full_name(vfs, path);
	int rc = name ? vfs->xDelete(vfs, name, 0) : SQLITE_CANTOPEN;

	free(name);
	errno = rc == SQLITE_IOERR_DELETE_NOENT ? ENOENT : EIO;
	return rc == SQLITE_OK ? 0 : -1;
}

static sqlite3_file *open_file(const char *path, int flags)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
	char *name = full_name(vfs, path);
	int out;

	/* Not xAccess: to it an empty file may be none. */
	if (!file || !name || vfs->xOpen(vfs, name, file, flags | SQLITE_OPEN_MAIN_DB, &out) != SQLITE_OK)
		goto err_free;
	/* It must outlive the file, which may point at it: a test program ends soon. */
	return file;

err_free:
	free(name);
	free(file);
	errno = ENOENT;
	return NULL;
}

int test_stat(const char *path, struct stat *st)
{
	sqlite3_file *file = open_file(path, SQLITE_OPEN_READONLY);
	sqlite3_int64 size;
	int rc;

	if (!file)
		return -1;
	memset(st, 0, sizeof(*st));
	rc = file->pMethods->xFileSize(file, &size);
	st->st_size = size;
	file->pMethods->xClose(file);
	free(file);
	return rc == SQLITE_OK ? 0 : -1;
}

int test_open(const char *path, int flags, ...)
{
	int i;

	for (i = 0; i < FILES && files[i].file; i++)
		;
	if (i == FILES) {
		errno = EMFILE;
		return -1;
	}
	files[i].at = 0;
	files[i].file = open_file(path, flags & O_CREAT ?
				  SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
	return files[i].file ? i : -1;
}

ssize_t test_read(int fd, void *bytes, size_t count)
{
	sqlite3_file *file = files[fd].file;

	if (file->pMethods->xRead(file, bytes, (int)count, files[fd].at) != SQLITE_OK)
		return -1;
	files[fd].at += (sqlite3_int64)count;
	return (ssize_t)count;
}

ssize_t test_write(int fd, const void *bytes, size_t count)
{
	sqlite3_file *file = files[fd].file;

	if (file->pMethods->xWrite(file, bytes, (int)count, files[fd].at) != SQLITE_OK)
		return -1;
	files[fd].at += (sqlite3_int64)count;
	return (ssize_t)count;
}

int test_close(int fd)
{
	sqlite3_file *file = files[fd].file;

	file->pMethods->xClose(file);
	free(file);
	files[fd].file = NULL;
	return 0;
}
