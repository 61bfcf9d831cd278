// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Volumes: a root each, whose first unit is a directory. Made when they are first used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vfs.h"

#define TRIES 16

__asm__(".section .rodata\n.balign 16\nvfs_template_start:\n.incbin \"vfs_format.bpf.o\"\nvfs_template_end:\n.previous\n");
extern const char vfs_template_start[], vfs_template_end[];

_Static_assert(sizeof(struct vfs_dir) == VFS_DIR_BLOCKS * VFS_BLOCK, "the directory is whole blocks");
_Static_assert(sizeof(struct vfs_unit) == VFS_BLOCK, "a unit is a block");

/* Roots ---------------------------------------------------------------------------------------- */

static int install(const char *variant, uint32_t ref, const char *what)
{
	char name[EXO_XN_NAME], error[512] = "";
	int ret;

	snprintf(name, sizeof(name), "sqlite-%s", what);
	ret = exo_xn_template_install_memory(vfs.xn, vfs_template_start,
					     (size_t)(vfs_template_end - vfs_template_start),
					     &EXO_OPTS(exo_xn_template, .name = name,
						       .variant = variant, .refs = { ref },
						       .error = error,
						       .error_size = sizeof(error)));
	if (ret < 0)
		vfs_say(SQLITE_CANTOPEN, "template \"%s\": %s", name, error);
	return ret;
}

static int make_root(const char *name)
{
	struct vfs_dir *dir = calloc(1, sizeof(*dir));
	int ret;

	if (!dir)
		return -ENOMEM;
	dir->magic = VFS_DIR_MAGIC;
	ret = install("file", 0, "file");
	if (ret >= 0)
		ret = install("dir", (uint32_t)ret, "dir");
	if (ret >= 0)
		ret = exo_xn_root_create(vfs.xn, name, (uint32_t)ret, dir, sizeof(*dir), NULL, NULL);
	free(dir);
	return ret < 0 && ret != -EEXIST ? ret : 0;
}

static int find_root(const char *name, struct exo_xn_root *root)
{
	int ret = exo_xn_root_find(vfs.xn, name, root);

	if (ret == -ENOENT) {
		ret = make_root(name);
		if (!ret)
			ret = exo_xn_root_find(vfs.xn, name, root);
	}
	if (!ret && root->out_flags & EXO_XN_ROOT_QUARANTINED) {
		vfs_say(SQLITE_CANTOPEN, "volume \"%s\" is quarantined: 'exoctl root list', "
			"'exoctl root release'", name);
		ret = -EACCES;
	}
	return ret;
}

static int read_content(struct volume *volume)
{
	int ret;

	ret = exo_xn_read(vfs.xn, volume->root, volume->block, volume->block, &volume->dir,
			  sizeof(volume->dir));
	if (ret < 0)
		return ret;
	return volume->dir.magic != VFS_DIR_MAGIC || volume->dir.files > VFS_FILES ? -EUCLEAN : 0;
}

static int read_dir(struct volume *volume)
{
	volume->dir_seen = share_dir_version(volume->share);
	return read_content(volume);
}

static void names_free(struct file *names)
{
	if (names)
		extent_unload(names);
	free(names);
}

static int open_volume(const char *name, struct volume **out_volume)
{
	struct volume *volume = calloc(1, sizeof(*volume));
	struct exo_xn_root root;
	int ret;

	if (!volume)
		return -ENOMEM;
	snprintf(volume->name, sizeof(volume->name), "%s", name);
	ret = find_root(name, &root);
	if (ret)
		goto err_free;
	volume->root = root.root;
	volume->block = volume->near = root.out_block;
	/* Whoever may not read it has nothing to share with those who do. */
	ret = exo_xn_read(vfs.xn, root.root, root.out_block, root.out_block, &volume->dir,
			  sizeof(volume->dir));
	if (ret < 0) {
		vfs_say(SQLITE_CANTOPEN, "volume \"%s\": %s", name, ret == -EACCES ?
			"it is another user's: name one of your own (EXO_SQLITE_VOLUME)" :
			exo_strerror(ret));
		goto err_free;
	}
	ret = exo_xn_change_begin(vfs.xn, volume->root, &volume->change);
	if (!ret)
		ret = share_open(volume);
	if (!ret)
		ret = read_dir(volume);
	if (ret == -EUCLEAN)
		vfs_say(SQLITE_CANTOPEN, "root \"%s\" is not a volume of this VFS", name);
	/* What a process that is dead applied, and did not commit. */
	if (!ret)
		ret = exo_xn_commit(vfs.xn, volume->root, NULL);
	if (ret)
		goto err_free;
	volume->next = vfs.volumes;
	vfs.volumes = volume;
	*out_volume = volume;
	return 0;

err_free:
	if (ret != -EACCES && ret != -EUCLEAN)
		vfs_say(SQLITE_CANTOPEN, "volume \"%s\" can't be opened: %s", name, exo_strerror(ret));
	share_close(volume->share);
	names_free(volume->names);
	exo_xn_change_end(volume->change);
	free(volume);
	return ret;
}

/* What is shared is lost, and no file is open: nothing of what is known of it holds. */
static void close_volume(struct volume *volume)
{
	struct volume **at = &vfs.volumes;
	uint32_t i;

	while (*at != volume)
		at = &(*at)->next;
	*at = volume->next;
	for (i = 0; i < HASH; i++)
		while (volume->hash[i])
			file_free(volume->hash[i]);
	share_close(volume->share);
	names_free(volume->names);
	exo_xn_change_end(volume->change);
	free(volume);
}

/**
 * volume_get() - the volume of a path
 * @path: NAME, or @VOLUME/NAME
 * @out_volume: opened if need be
 * @out_name: NAME
 *
 * Return: 0; -ENAMETOOLONG; -EIO: what is shared was lost, and files are open; -errno.
 */
int volume_get(const char *path, struct volume **out_volume, const char **out_name)
{
	char name[EXO_XN_NAME];
	const char *slash;
	struct volume *volume;

	snprintf(name, sizeof(name), "%s", vfs.volume);
	if (*path == '@') {
		slash = strchr(path, '/');
		if (!slash || slash == path + 1 || slash - path > EXO_XN_NAME - 1)
			return -ENAMETOOLONG;
		snprintf(name, sizeof(name), "%.*s", (int)(slash - path - 1), path + 1);
		path = slash + 1;
	}
	if (!*path || strlen(path) >= VFS_NAME)
		return -ENAMETOOLONG;
	*out_name = path;
	for (volume = vfs.volumes; volume && strcmp(volume->name, name); volume = volume->next)
		;
	if (volume && share_lost(volume->share)) {
		if (volume->refs)
			return -EIO;
		close_volume(volume);
		volume = NULL;
	}
	*out_volume = volume;
	return volume ? 0 : open_volume(name, out_volume);
}

/* Files ---------------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619U;
	return hash;
}

/* "x-journal" is x's: how long is "x"? */
static size_t main_length(const char *name, const char *ending)
{
	size_t length = strlen(name), end = strlen(ending);

	return length > end && !strcmp(name + length - end, ending) ? length - end : 0;
}

static uint32_t kind_of(const char *name)
{
	if (main_length(name, "-journal"))
		return VFS_KIND_JOURNAL;
	return main_length(name, "-wal") ? VFS_KIND_WAL : VFS_KIND_PLAIN;
}

static struct file *known(struct volume *volume, const char *name, uint32_t hash)
{
	struct file *file = volume->hash[hash % HASH];

	while (file && (file->hash != hash || strcmp(file->name, name)))
		file = file->hash_next;
	return file;
}

static struct file *known_as(struct volume *volume, const char *name, size_t length,
			     const char *ending)
{
	char whole[2 * VFS_NAME];

	snprintf(whole, sizeof(whole), "%.*s%s", (int)length, name, ending);
	return known(volume, whole, hash_of(whole));
}

/* A journal and its database know each other. */
static void relate(struct file *file)
{
	struct volume *volume = file->volume;
	size_t length = strlen(file->name);

	switch (file->kind) {
	case VFS_KIND_JOURNAL:
		file->main = known_as(volume, file->name, length - strlen("-journal"), "");
		if (file->main)
			file->main->journal = file;
		break;
	case VFS_KIND_WAL:
		file->main = known_as(volume, file->name, length - strlen("-wal"), "");
		if (file->main)
			file->main->wal = file;
		break;
	default:
		file->journal = known_as(volume, file->name, length, "-journal");
		file->wal = known_as(volume, file->name, length, "-wal");
		if (file->journal)
			file->journal->main = file;
		if (file->wal)
			file->wal->main = file;
	}
}

static void unhash(struct file *file)
{
	struct file **at = &file->volume->hash[file->hash % HASH];

	while (*at && *at != file)
		at = &(*at)->hash_next;
	if (*at)
		*at = file->hash_next;
}

void file_free(struct file *file)
{
	unhash(file);
	if (file->main && file->main->journal == file)
		file->main->journal = NULL;
	if (file->main && file->main->wal == file)
		file->main->wal = NULL;
	if (file->journal)
		file->journal->main = NULL;
	if (file->wal)
		file->wal->main = NULL;
	cache_drop(file, 0);
	extent_unload(file);
	free(file->map);
	free(file->dirty);
	free(file->memory);
	free(file);
}

static int file_new(struct volume *volume, uint32_t index, struct file **out_file)
{
	const struct vfs_entry *entry = &volume->dir.entry[index];
	struct file *file = calloc(1, sizeof(*file));
	int ret;

	if (!file)
		return -ENOMEM;
	file->volume = volume;
	file->index = index;
	file->kind = entry->kind;
	memcpy(file->name, entry->name, VFS_NAME - 1);
	file->hash = hash_of(file->name);
	file->shared = share_file(volume->share, index);
	file->data_seen = __atomic_load_n(&file->shared->data, __ATOMIC_ACQUIRE);
	file->map_seen = __atomic_load_n(&file->shared->map, __ATOMIC_ACQUIRE);
	ret = extent_load(file);
	if (ret) {
		extent_unload(file);
		free(file);
		return ret;
	}
	file->size = file->kind == VFS_KIND_PLAIN ? file->said : 0;
	file->hash_next = volume->hash[file->hash % HASH];
	volume->hash[file->hash % HASH] = file;
	relate(file);
	*out_file = file;
	return 0;
}

/* Files that others deleted aren't found any more. */
static void forget_deleted(struct volume *volume)
{
	struct file *file, *next;
	uint32_t i;

	for (i = 0; i < HASH; i++) {
		for (file = volume->hash[i]; file; file = next) {
			next = file->hash_next;
			if (!strncmp(volume->dir.entry[file->index].name, file->name, VFS_NAME) &&
			    volume->dir.entry[file->index].unit == file->units[0])
				continue;
			file->deleted = true;
			if (file->refs)
				unhash(file);
			else
				file_free(file);
		}
	}
}

static int refresh(struct volume *volume)
{
	int ret;

	if (likely(share_dir_version(volume->share) == volume->dir_seen))
		return 0;
	if (share_lost(volume->share))
		return -EIO;
	ret = read_dir(volume);
	if (!ret)
		forget_deleted(volume);
	return ret;
}

static uint32_t entry_find(const struct volume *volume, const char *name)
{
	uint32_t i;

	for (i = 0; i < volume->dir.files; i++)
		if (volume->dir.entry[i].unit &&
		    !strncmp(volume->dir.entry[i].name, name, VFS_NAME))
			break;
	return i;
}

static int apply(struct volume *volume)
{
	int ret = -EIO;

	if (!share_lost(volume->share))
		ret = exo_xn_change_apply(volume->change, 0, NULL);
	if (ret == -ENOSPC) {
		ret = exo_xn_commit(vfs.xn, volume->root, NULL);
		if (!ret)
			ret = exo_xn_change_apply(volume->change, 0, NULL);
	}
	if (ret)
		exo_xn_change_clear(volume->change);
	return ret;
}

/* With the directory's lock, or before anything is shared; there is no such file. */
static int make_entry(struct volume *volume, const char *name, uint32_t kind, uint32_t *out_index)
{
	struct exo_xn_change *change = volume->change;
	struct vfs_dir *dir = &volume->dir;
	uint32_t i, files = dir->files;
	struct vfs_entry *entry;
	uint64_t block;
	int ret, tries = TRIES;

	for (i = 0; i < files && dir->entry[i].unit; i++)
		;
	if (i == VFS_FILES)
		return -ENOSPC;
	memset(&volume->unit, 0, sizeof(volume->unit));
	volume->unit.magic = VFS_FILE_MAGIC;
	entry = &dir->entry[i];
	do {
		ret = exo_xn_find_free(vfs.xn, volume->near, 1, &block);
		if (ret)
			break;
		*entry = (struct vfs_entry){ .unit = block, .kind = kind };
		snprintf(entry->name, sizeof(entry->name), "%s", name);
		if (i == files)
			dir->files = files + 1;
		exo_xn_change_alloc(change, volume->block, block, 1, VFS_SLOT_FILE);
		exo_xn_change_new(change, block, &volume->unit, sizeof(volume->unit));
		exo_xn_change_write(change, volume->block, offsetof(struct vfs_dir, files),
				    &dir->files, sizeof(dir->files));
		exo_xn_change_write(change, volume->block,
				    (uint32_t)((char *)entry - (char *)dir), entry, sizeof(*entry));
		ret = apply(volume);
	} while (ret == -EBUSY && --tries);
	if (ret) {
		memset(entry, 0, sizeof(*entry));
		dir->files = files;
		return ret;
	}
	volume->near = block;
	*out_index = i;
	return 0;
}

static int make_file(struct volume *volume, const char *name, uint32_t *out_index)
{
	int ret = make_entry(volume, name, kind_of(name), out_index);

	if (ret)
		return ret;
	share_dir_changed(volume->share);
	volume->dir_seen++;
	share_file_reset(volume->share, *out_index);
	share_file(volume->share, *out_index)->uncommitted = 1;
	return 0;
}

static int names_entry(struct volume *volume, uint32_t *out_index)
{
	const struct vfs_dir *dir = &volume->dir;
	uint32_t i;

	for (i = 0; i < dir->files; i++) {
		if (dir->entry[i].unit && dir->entry[i].kind == VFS_KIND_NAMES) {
			*out_index = i;
			return 0;
		}
	}
	return make_entry(volume, "", VFS_KIND_NAMES, out_index);
}

/* It isn't among the files that have a name. That it grew needn't be durable: nothing is in it. */
int volume_names(struct volume *volume)
{
	struct file *names;
	int ret = read_content(volume);

	if (ret)
		return ret;
	names = calloc(1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	volume->names = names;
	names->volume = volume;
	names->kind = VFS_KIND_PLAIN;
	names->shared = &volume->unshared;
	ret = names_entry(volume, &names->index);
	if (!ret)
		ret = extent_load(names);
	return ret ? ret : extent_grow(names, SHARE_HEAD_PAGES + SHARE_SEGMENT_PAGES);
}

int volume_file(struct volume *volume, const char *name, bool create, struct file **out_file)
{
	uint32_t index;
	int ret;

	ret = refresh(volume);
	*out_file = ret ? NULL : known(volume, name, hash_of(name));
	if (ret || *out_file)
		return ret;
	index = entry_find(volume, name);
	if (index == volume->dir.files) {
		if (!create)
			return 0;
		ret = share_dir_lock(volume->share);
		if (!ret)
			ret = refresh(volume);
		index = ret ? 0 : entry_find(volume, name);
		if (!ret && index == volume->dir.files)
			ret = make_file(volume, name, &index);
		share_dir_unlock(volume->share);
		if (ret)
			return ret;
	}
	return file_new(volume, index, out_file);
}

int volume_exists(struct volume *volume, const char *name, bool *out_there)
{
	struct file *file;
	int ret;

	*out_there = false;
	ret = volume_file(volume, name, false, &file);
	if (ret || !file)
		return ret;
	ret = file_look(file);
	if (!ret && file->kind != VFS_KIND_PLAIN && !file->known)
		ret = journal_know(file);
	*out_there = file->kind == VFS_KIND_PLAIN || file->there;
	return ret;
}

/**
 * volume_delete() - a file goes, and its blocks are free
 * @file: not open; it is freed if this returns 0
 *
 * Return: 0: durably so; -errno.
 */
int volume_delete(struct file *file)
{
	struct volume *volume = file->volume;
	struct vfs_entry *entry = &volume->dir.entry[file->index], none = { 0 };
	uint64_t block = file->units[0];
	int ret;

	ret = extent_cut(file, 0);
	if (ret)
		return ret;
	ret = share_dir_lock(volume->share);
	if (!ret)
		ret = refresh(volume);
	if (!ret) {
		exo_xn_change_free(volume->change, volume->block, block, 1, VFS_SLOT_FILE);
		exo_xn_change_write(volume->change, volume->block,
				    (uint32_t)((char *)entry - (char *)&volume->dir), &none,
				    sizeof(none));
		ret = apply(volume);
	}
	if (!ret) {
		*entry = none;
		volume->near = MIN(volume->near, block);
		share_dir_changed(volume->share);
		volume->dir_seen++;
		share_file_reset(volume->share, file->index);
	}
	share_dir_unlock(volume->share);
	if (ret)
		return ret;
	file_free(file);
	vfs.stats.commits++;
	return exo_xn_commit(vfs.xn, volume->root, NULL);
}
