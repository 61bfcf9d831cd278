// SPDX-License-Identifier: LGPL-2.1-or-later
/* What SQLite asks about names; registration; fork. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vfs.h"

#define FRAMES_DEFAULT 8192U

struct vfs vfs = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Into SQLite's log, and on stderr unless $EXO_SQLITE_QUIET. */
void vfs_say(int code, const char *fmt, ...)
{
	const char *quiet = getenv("EXO_SQLITE_QUIET");
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vfs.calls.log(code, "exo: %s", text);
	if (!quiet || !*quiet || !strcmp(quiet, "0"))
		fprintf(stderr, "exo-sqlite-vfs: %s\n", text);
}

int vfs_code(int err, int io)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
	case -EOVERFLOW:
		return SQLITE_FULL;
	case -ENOMEM:
		return SQLITE_IOERR_NOMEM;
	case -EROFS:
		return SQLITE_READONLY;
	case -EUCLEAN:
		return SQLITE_CORRUPT;
	default:
		vfs.calls.log(io, "exo: %s", exo_strerror(err));
		return io;
	}
}

/* /dev/exo and the disk ---------------------------------------------------------------------- */

static int open_disk(char *error, size_t size)
{
	const char *name = vfs.disk[0] ? vfs.disk : NULL;
	struct exo_xn_disk disk;
	int ret;

	ret = exo_xn_open(vfs.env, &EXO_OPTS(exo_xn_open, .name = name), &vfs.xn);
	if (ret == -ENOENT)
		snprintf(error, size, "no disk%s%s is attached: 'exoctl disk attach DEVICE' as root",
			 name ? " on " : "", name ? name : "");
	else if (ret == -EINVAL)
		snprintf(error, size, "several disks are attached: say which (EXO_SQLITE_DISK=vdb)");
	else if (ret)
		snprintf(error, size, "raw disks can't be used: %s", exo_strerror(ret));
	if (ret)
		return ret;
	ret = exo_xn_disk(vfs.xn, &disk);
	if (ret) {
		snprintf(error, size, "the disk: %s", exo_strerror(ret));
		exo_xn_close(vfs.xn);
		return ret;
	}
	vfs.logical = disk.out_logical;
	memcpy(vfs.uuid, disk.out_uuid, sizeof(vfs.uuid));
	return 0;
}

static int open_frames(char *error, size_t size)
{
	int ret = exo_mem_alloc_any(vfs.env, &vfs.zero_frame, 1);

	if (!ret)
		ret = cache_open();
	if (ret)
		snprintf(error, size, "no frames: %s", ret == -ENOSPC ?
			 "the pool is empty: fill it ('exoctl pool grow 64M' as root)" :
			 exo_strerror(ret));
	return ret;
}

int vfs_open(char *error, size_t size)
{
	int ret;

	if (vfs.env)
		return 0;
	ret = exo_env_open(&vfs.env, NULL);
	if (ret) {
		snprintf(error, size, "%s", exo_open_hint(ret));
		vfs.env = NULL;
		return ret;
	}
	ret = open_disk(error, size);
	if (ret)
		goto err_env;
	ret = open_frames(error, size);
	if (ret)
		goto err_disk;
	return 0;

err_disk:
	exo_xn_close(vfs.xn);
	vfs.xn = NULL;
err_env:
	exo_env_close(vfs.env);
	vfs.env = NULL;
	return ret;
}

/* fork: frames, bindings and locks stay the parent's; the child begins anew ------------------------- */

static void before_fork(void)
{
	pthread_mutex_lock(&vfs.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&vfs.lock);
}

static void after_fork_child(void)
{
	struct volume *volume;

	for (volume = vfs.volumes; volume; volume = volume->next)
		share_forget(volume->share);
	if (vfs.env)
		close(exo_env_fd(vfs.env));
	vfs.volumes = NULL;
	vfs.env = NULL;
	vfs.xn = NULL;
	vfs.slabs = vfs.hand_slab = NULL;
	vfs.free = NULL;
	vfs.frames = vfs.nr_free = vfs.hand = vfs.zero_frame = 0;
	vfs.service = vfs.scarce = false;
	pthread_mutex_unlock(&vfs.lock);
}

/* Names ---------------------------------------------------------------------------------------- */

/* The volume's, with the lock. */
static int look_up(const char *path, struct volume **out_volume, const char **out_name)
{
	char error[256] = "";
	int ret = vfs_open(error, sizeof(error));

	if (ret) {
		vfs_say(SQLITE_CANTOPEN, "%s", error);
		return ret;
	}
	ret = volume_get(path, out_volume, out_name);
	if (ret == -ENAMETOOLONG)
		vfs_say(SQLITE_CANTOPEN, "\"%s\": a name is NAME or @VOLUME/NAME, NAME shorter than %u bytes",
			path, VFS_NAME);
	return ret;
}

static int open_locked(struct conn *conn, const char *path, int flags)
{
	bool create = flags & SQLITE_OPEN_CREATE;
	struct volume *volume;
	struct share *share;
	struct file *file;
	const char *name;
	int ret;

	ret = look_up(path, &volume, &name);
	if (!ret)
		ret = volume_file(volume, name, create, &file);
	if (!ret && !file)
		ret = -ENOENT;
	if (!ret)
		ret = file_look(file);
	if (!ret && file->kind != VFS_KIND_PLAIN && !file->known)
		ret = journal_know(file);
	if (!ret && file->kind != VFS_KIND_PLAIN && !file->there && !create)
		ret = -ENOENT;
	if (ret)
		return ret;
	if (create && flags & SQLITE_OPEN_EXCLUSIVE && file->kind == VFS_KIND_PLAIN && file->size)
		return -EEXIST;
	if (file->kind != VFS_KIND_PLAIN && !file->there)
		journal_make(file);
	if (!file->refs) {
		share = volume->share;
		if (share_guard(share))
			return -EIO;
		file->shared->users |= share_bit(share_seat(share));
		if (share_unguard(share))
			return -EIO;
		volume->refs++;
	}
	file->refs++;
	conn->file = file;
	conn->read_only = flags & SQLITE_OPEN_READONLY;
	conn->delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
	conn->base.pMethods = &file_methods;
	return 0;
}

static int on_open(sqlite3_vfs *self, const char *path, sqlite3_file *base, int flags, int *out_flags)
{
	struct conn *conn = (struct conn *)base;
	int ret;

	(void)self;
	base->pMethods = NULL;
	if (!path || flags & (SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL |
			      SQLITE_OPEN_SUBJOURNAL))
		return memory_open(base, flags, out_flags);
	memset(conn, 0, sizeof(*conn));
	pthread_mutex_lock(&vfs.lock);
	ret = open_locked(conn, path, flags);
	pthread_mutex_unlock(&vfs.lock);
	if (ret == -ENOSPC || ret == -EDQUOT)
		return SQLITE_FULL;
	if (ret)
		return vfs_code(ret, SQLITE_CANTOPEN);
	if (out_flags)
		*out_flags = flags;
	return SQLITE_OK;
}

/* What is open, in whichever process, isn't deleted: UNDELETABLE_WHEN_OPEN. */
static int delete_plain(struct file *file)
{
	struct share *share = file->volume->share;
	uint64_t others;

	if (file->refs)
		return -EBUSY;
	if (share_guard(share))
		return -EIO;
	others = share_alive(share, file->shared->users);
	if (share_unguard(share))
		return -EIO;
	return others ? -EBUSY : volume_delete(file);
}

static int delete_locked(const char *path)
{
	struct volume *volume;
	struct file *file;
	const char *name;
	bool there;
	int ret;

	ret = look_up(path, &volume, &name);
	if (!ret)
		ret = volume_exists(volume, name, &there);
	if (ret)
		return ret;
	if (!there)
		return -ENOENT;
	ret = volume_file(volume, name, false, &file);
	if (ret)
		return ret;
	if (file->kind == VFS_KIND_PLAIN)
		return delete_plain(file);
	ret = journal_zero(file);
	if (!ret)
		file->there = false;
	return ret;
}

static int on_delete(sqlite3_vfs *self, const char *path, int sync)
{
	int ret;

	(void)self;
	(void)sync;
	pthread_mutex_lock(&vfs.lock);
	ret = delete_locked(path);
	pthread_mutex_unlock(&vfs.lock);
	if (ret == -ENOENT)
		return SQLITE_IOERR_DELETE_NOENT;
	return ret ? vfs_code(ret, SQLITE_IOERR_DELETE) : SQLITE_OK;
}

static int on_access(sqlite3_vfs *self, const char *path, int flags, int *out_answer)
{
	struct volume *volume;
	const char *name;
	bool there = false;
	int ret;

	(void)self;
	(void)flags;
	pthread_mutex_lock(&vfs.lock);
	ret = look_up(path, &volume, &name);
	if (!ret)
		ret = volume_exists(volume, name, &there);
	pthread_mutex_unlock(&vfs.lock);
	*out_answer = there;
	return ret ? vfs_code(ret, SQLITE_IOERR_ACCESS) : SQLITE_OK;
}

static int on_full_path(sqlite3_vfs *self, const char *path, int size, char *out)
{
	(void)self;
	if (snprintf(out, (size_t)size, "%s", path) >= size)
		return SQLITE_CANTOPEN;
	return SQLITE_OK;
}

/* As SQLite's own VFS does it ------------------------------------------------------------------ */

static void *on_dl_open(sqlite3_vfs *self, const char *path)
{
	(void)self;
	return vfs.base->xDlOpen(vfs.base, path);
}

static void on_dl_error(sqlite3_vfs *self, int size, char *text)
{
	(void)self;
	vfs.base->xDlError(vfs.base, size, text);
}

static void (*on_dl_sym(sqlite3_vfs *self, void *handle, const char *symbol))(void)
{
	(void)self;
	return vfs.base->xDlSym(vfs.base, handle, symbol);
}

static void on_dl_close(sqlite3_vfs *self, void *handle)
{
	(void)self;
	vfs.base->xDlClose(vfs.base, handle);
}

static int on_randomness(sqlite3_vfs *self, int size, char *out)
{
	(void)self;
	return vfs.base->xRandomness(vfs.base, size, out);
}

static int on_sleep(sqlite3_vfs *self, int microseconds)
{
	(void)self;
	return vfs.base->xSleep(vfs.base, microseconds);
}

static int on_time(sqlite3_vfs *self, double *out)
{
	(void)self;
	return vfs.base->xCurrentTime(vfs.base, out);
}

static int on_last_error(sqlite3_vfs *self, int size, char *out)
{
	(void)self;
	(void)size;
	(void)out;
	return 0;
}

static int on_time64(sqlite3_vfs *self, sqlite3_int64 *out)
{
	(void)self;
	return vfs.base->xCurrentTimeInt64(vfs.base, out);
}

static sqlite3_vfs methods = {
	.iVersion = 2,
	.mxPathname = PATH_MAX_VFS,
	.zName = "exo",
	.xOpen = on_open,
	.xDelete = on_delete,
	.xAccess = on_access,
	.xFullPathname = on_full_path,
	.xDlOpen = on_dl_open,
	.xDlError = on_dl_error,
	.xDlSym = on_dl_sym,
	.xDlClose = on_dl_close,
	.xRandomness = on_randomness,
	.xSleep = on_sleep,
	.xCurrentTime = on_time,
	.xGetLastError = on_last_error,
	.xCurrentTimeInt64 = on_time64,
};

/* Registration --------------------------------------------------------------------------------- */

static void copy_name(char *to, size_t size, const char *given, const char *variable)
{
	const char *value = given ? given : getenv(variable);

	snprintf(to, size, "%s", value ? value : "");
}

static void read_limit(uint32_t frames)
{
	const char *text = getenv("EXO_SQLITE_VFS_FRAMES");
	unsigned long value = frames;
	char *end;

	if (!value && text && *text) {
		value = strtoul(text, &end, 10);
		if (*end || value > UINT32_MAX)
			value = 0;
	}
	vfs.limit = value ? (uint32_t)value : FRAMES_DEFAULT;
	if (vfs.limit < SLAB)
		vfs.limit = SLAB;
}

static int do_register(const struct calls *calls, const struct exo_sqlite_vfs_opts *opts, char *error,
		       size_t size)
{
	static bool registered;
	int ret;

	vfs.calls = *calls;
	if (!registered) {
		copy_name(vfs.disk, sizeof(vfs.disk), opts->disk, "EXO_SQLITE_DISK");
		copy_name(vfs.volume, sizeof(vfs.volume), opts->volume, "EXO_SQLITE_VOLUME");
		if (!vfs.volume[0])
			snprintf(vfs.volume, sizeof(vfs.volume), "sqlite-%u", (unsigned int)geteuid());
		read_limit(opts->frames);
		ret = vfs_open(error, size);
		if (ret)
			return ret;
		vfs.base = vfs.calls.vfs_find(NULL);
		if (!vfs.base || pthread_atfork(before_fork, after_fork_parent, after_fork_child)) {
			snprintf(error, size, "SQLite has no VFS of its own, or memory is short");
			return -ENOMEM;
		}
		methods.szOsFile = (int)(sizeof(struct conn) > memory_size() ? sizeof(struct conn) :
					 memory_size());
		registered = true;
	}
	if (vfs.calls.vfs_register(&methods, opts->make_default != 0) == SQLITE_OK)
		return 0;
	snprintf(error, size, "SQLite doesn't take it");
	return -ENOMEM;
}

int load_with(const struct calls *calls, int make_default, char *error, size_t size)
{
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .make_default = make_default != 0 };

	return do_register(calls, &opts, error, size);
}

/* As all options of libexo: an older caller's struct is shorter, a newer one's longer, with zeroes. */
static int read_opts(const struct exo_sqlite_vfs_opts *opts, struct exo_sqlite_vfs_opts *out)
{
	const unsigned char *bytes = (const void *)opts;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (!opts)
		return 0;
	if (opts->sz < sizeof(opts->sz))
		return -EINVAL;
	for (i = sizeof(*out); i < opts->sz; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(out, opts, MIN(opts->sz, sizeof(*out)));
	return 0;
}

/**
 * exo_sqlite_vfs_register() - make the VFS "exo" known to SQLite
 * @opts: options, or NULL
 *
 * It opens /dev/exo and the disk; volumes are opened, and made, when they are used. Not while another thread
 * calls it.
 *
 * Return: 0, also if it is known already; -ENOENT: no such disk is attached; -EINVAL: several are, or bad
 * options; -E2BIG: options that this library does not know; -ENOSPC: the pool of frames is empty; else what
 * exo_env_open() returned. SQLite's VFSes stay what they are then.
 */
EXPORT int exo_sqlite_vfs_register(const struct exo_sqlite_vfs_opts *opts)
{
	struct exo_sqlite_vfs_opts known;
	char error[256] = "";
	struct calls calls;
	int ret;

	ret = read_opts(opts, &known);
	if (ret)
		return ret;
	load_linked(&calls);
	ret = do_register(&calls, &known, error, sizeof(error));
	if (known.error && known.error_size)
		snprintf(known.error, known.error_size, "%s", error);
	return ret;
}

/* A preloaded library registers itself; one that is linked leaves that to the program. */
__attribute__((constructor)) static void on_load(void)
{
	const char *preload = getenv("LD_PRELOAD"), *value = getenv("EXO_SQLITE_VFS_DEFAULT");
	char error[256] = "";
	struct calls calls;

	if (!preload || !strstr(preload, "libexo-sqlite-vfs"))
		return;
	load_linked(&calls);
	if (load_with(&calls, value && *value == '1', error, sizeof(error)))
		vfs_say(SQLITE_CANTOPEN, "%s", error);
}

/**
 * exo_sqlite_vfs_stats() - what the VFS did in this process
 * @out_stats: the figures
 * @size: sizeof(*out_stats)
 *
 * Return: 0; -ENODEV: not registered; -EINVAL. Thread-safe.
 */
EXPORT int exo_sqlite_vfs_stats(struct exo_sqlite_vfs_stats *out_stats, size_t size)
{
	if (size > sizeof(*out_stats))
		return -EINVAL;
	if (!vfs.base)
		return -ENODEV;
	pthread_mutex_lock(&vfs.lock);
	vfs.stats.frames = vfs.frames;
	memcpy(out_stats, &vfs.stats, size);
	pthread_mutex_unlock(&vfs.lock);
	return 0;
}
