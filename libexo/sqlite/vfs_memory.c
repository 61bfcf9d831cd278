// SPDX-License-Identifier: LGPL-2.1-or-later
/* Temporary files: in memory, in pieces; nobody else sees them, and nothing of them is to last. */
#include <stdlib.h>

#include "vfs.h"

#define PIECE 65536U

/**
 * struct temporary - a temporary file
 * @pieces: of PIECE bytes each, NULL: zeros
 */
struct temporary {
	sqlite3_file base;
	char **pieces;
	uint32_t room;
	uint64_t size;
};

static int on_close(sqlite3_file *base)
{
	struct temporary *file = (struct temporary *)base;
	uint32_t i;

	for (i = 0; i < file->room; i++)
		free(file->pieces[i]);
	free(file->pieces);
	return SQLITE_OK;
}

static int on_read(sqlite3_file *base, void *out, int count, sqlite3_int64 offset)
{
	struct temporary *file = (struct temporary *)base;
	uint64_t at = (uint64_t)offset, left = at < file->size ? file->size - at : 0;
	char *to = out;
	uint32_t n, in;

	left = MIN(left, (uint64_t)count);
	if (left < (uint64_t)count)
		memset(to + left, 0, (size_t)count - left);
	for (; left; left -= n, to += n, at += n) {
		in = (uint32_t)(at % PIECE);
		n = (uint32_t)MIN(left, PIECE - in);
		if (file->pieces[at / PIECE])
			memcpy(to, file->pieces[at / PIECE] + in, n);
		else
			memset(to, 0, n);
	}
	return at == (uint64_t)(offset + count) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int reserve(struct temporary *file, uint64_t end)
{
	uint32_t need = (uint32_t)((end + PIECE - 1) / PIECE), room = file->room ? file->room : 8;
	char **pieces;

	if (need <= file->room)
		return SQLITE_OK;
	while (room < need)
		room *= 2;
	pieces = realloc(file->pieces, room * sizeof(*pieces));
	if (!pieces)
		return SQLITE_NOMEM;
	memset(pieces + file->room, 0, (room - file->room) * sizeof(*pieces));
	file->pieces = pieces;
	file->room = room;
	return SQLITE_OK;
}

static int on_write(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset)
{
	struct temporary *file = (struct temporary *)base;
	uint64_t at = (uint64_t)offset, left = (uint64_t)count;
	const char *from = bytes;
	char **piece;
	uint32_t n, in;
	int ret = reserve(file, at + left);

	for (; ret == SQLITE_OK && left; left -= n, from += n, at += n) {
		in = (uint32_t)(at % PIECE);
		n = (uint32_t)MIN(left, PIECE - in);
		piece = &file->pieces[at / PIECE];
		if (!*piece)
			*piece = calloc(1, PIECE);
		if (!*piece)
			return SQLITE_NOMEM;
		memcpy(*piece + in, from, n);
		if (at + n > file->size)
			file->size = at + n;
	}
	return ret;
}

static int on_truncate(sqlite3_file *base, sqlite3_int64 offset)
{
	struct temporary *file = (struct temporary *)base;
	uint64_t size = (uint64_t)offset;
	uint32_t i = (uint32_t)((size + PIECE - 1) / PIECE);

	if (size >= file->size)
		return SQLITE_OK;
	if (size % PIECE && file->pieces[size / PIECE])
		memset(file->pieces[size / PIECE] + size % PIECE, 0, PIECE - size % PIECE);
	for (; i < file->room; i++) {
		free(file->pieces[i]);
		file->pieces[i] = NULL;
	}
	file->size = size;
	return SQLITE_OK;
}

static int on_sync(sqlite3_file *base, int flags)
{
	(void)base;
	(void)flags;
	return SQLITE_OK;
}

static int on_size(sqlite3_file *base, sqlite3_int64 *out_size)
{
	*out_size = (sqlite3_int64)((struct temporary *)base)->size;
	return SQLITE_OK;
}

static int on_lock(sqlite3_file *base, int level)
{
	(void)base;
	(void)level;
	return SQLITE_OK;
}

static int on_check_reserved(sqlite3_file *base, int *out_reserved)
{
	(void)base;
	*out_reserved = 0;
	return SQLITE_OK;
}

static int on_control(sqlite3_file *base, int op, void *arg)
{
	(void)base;
	if (op != SQLITE_FCNTL_VFSNAME)
		return SQLITE_NOTFOUND;
	*(char **)arg = vfs.calls.mprintf("exo");
	return SQLITE_OK;
}

static int on_sector(sqlite3_file *base)
{
	(void)base;
	return VFS_BLOCK;
}

static int on_characteristics(sqlite3_file *base)
{
	(void)base;
	return SQLITE_IOCAP_ATOMIC | SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL |
	       SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods memory_methods = {
	.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_lock,
	.xCheckReservedLock = on_check_reserved,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_characteristics,
};

size_t memory_size(void)
{
	return sizeof(struct temporary);
}

int memory_open(sqlite3_file *base, int flags, int *out_flags)
{
	memset(base, 0, sizeof(struct temporary));
	base->pMethods = &memory_methods;
	if (out_flags)
		*out_flags = flags;
	return SQLITE_OK;
}
