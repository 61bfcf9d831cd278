// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "harness.h"
#include "xn_dm.h"

#define ROOM 2048U
#define PARAMS 128U	/* bytes of a target's parameters */

union command {
	struct dm_ioctl head;
	char bytes[ROOM];
};

static void command_init(union command *cmd, const char *name)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->head.version[0] = DM_VERSION_MAJOR;
	cmd->head.data_size = sizeof(*cmd);
	cmd->head.data_start = sizeof(cmd->head);
	snprintf(cmd->head.name, sizeof(cmd->head.name), "%s", name);
}

static int control(unsigned long nr, union command *cmd)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		SKIP("no device mapper");
	return ioctl(fd, nr, cmd) ? -errno : 0;
}

/* What each part of the device is, one behind the other. */
static int load(const char *name, const struct dm_part *parts, uint32_t nr)
{
	struct dm_target_spec *spec;
	union command cmd;
	uint64_t start = 0;
	uint32_t at;

	command_init(&cmd, name);
	cmd.head.target_count = nr;
	for (at = cmd.head.data_start; nr; nr--, parts++) {
		spec = (struct dm_target_spec *)(cmd.bytes + at);
		spec->sector_start = start;
		spec->length = parts->sectors;
		spec->next = sizeof(*spec) + PARAMS;
		snprintf(spec->target_type, sizeof(spec->target_type), "%s", parts->target);
		snprintf((char *)(spec + 1), PARAMS, "%s", parts->params);
		start += parts->sectors;
		at += spec->next;
		ASSERT_LE(at, sizeof(cmd));
	}
	return control(DM_TABLE_LOAD, &cmd);
}

static void suspend(const char *name, uint32_t flags)
{
	union command cmd;

	command_init(&cmd, name);
	cmd.head.flags = flags;
	ASSERT_EQ(control(DM_DEV_SUSPEND, &cmd), 0);
}

void dm_create_parts(const char *name, const struct dm_part *parts, uint32_t nr, char path[32])
{
	union command cmd;
	dev_t dev;
	int ret;

	command_init(&cmd, name);
	control(DM_DEV_REMOVE, &cmd);	/* of a test that failed */
	command_init(&cmd, name);
	ASSERT_EQ(control(DM_DEV_CREATE, &cmd), 0);
	dev = (dev_t)cmd.head.dev;
	ret = load(name, parts, nr);
	if (ret) {
		dm_remove(name);
		if (ret == -EINVAL)
			SKIP("no target %s", parts->target);
		FAIL("%s %s: %s", parts->target, parts->params, strerror(-ret));
	}
	suspend(name, 0);	/* without DM_SUSPEND_FLAG: resume */
	snprintf(path, 32, "/dev/dm-%u", minor(dev));
	mknod(path, S_IFBLK | 0600, dev);
}

void dm_create(const char *name, const char *target, uint64_t sectors, const char *params, char path[32])
{
	dm_create_parts(name, &(struct dm_part){ target, sectors, params }, 1, path);
}

void dm_switch_parts(const char *name, const struct dm_part *parts, uint32_t nr)
{
	ASSERT_EQ(load(name, parts, nr), 0);
	suspend(name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG);
	suspend(name, 0);
}

void dm_switch(const char *name, const char *target, uint64_t sectors, const char *params)
{
	dm_switch_parts(name, &(struct dm_part){ target, sectors, params }, 1);
}

void dm_hold(const char *name)
{
	suspend(name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG);
}

void dm_go(const char *name)
{
	suspend(name, 0);
}

void dm_message(const char *name, const char *text)
{
	struct dm_target_msg *message;
	union command cmd;

	command_init(&cmd, name);
	message = (struct dm_target_msg *)(cmd.bytes + cmd.head.data_start);
	snprintf(message->message, ROOM - sizeof(cmd.head) - sizeof(*message), "%s", text);
	ASSERT_EQ(control(DM_TARGET_MSG, &cmd), 0);
}

void dm_remove(const char *name)
{
	uint64_t start = test_now_ns();
	union command cmd;
	int ret = -EBUSY;

	while (ret == -EBUSY && !test_overdue(start, 5000)) {
		command_init(&cmd, name);
		ret = control(DM_DEV_REMOVE, &cmd);
		if (ret)
			test_sleep_ms(10);
	}
	ASSERT_EQ(ret, 0);
}

/* The log --------------------------------------------------------------------------------------- */

/*
 * Documentation/admin-guide/device-mapper/log-writes.rst and the kernel's source say: little-endian; the
 * first sector is {magic, version, entries, sector size}; then each entry has a sector {sector, sectors, flags,
 * bytes of a mark, the mark}, and its data behind it.
 */
#define LW_MAGIC 0x6a736677736872ULL

static uint64_t word(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, 8);
	return value;
}

void lw_open(struct lw_log *log, const void *bytes, size_t size)
{
	memset(log, 0, sizeof(*log));
	log->bytes = bytes;
	log->size = size;
	ASSERT_EQ(word(bytes), LW_MAGIC);
	ASSERT_EQ(word(log->bytes + 8), 1);
	log->left = word(log->bytes + 16);
	memcpy(&log->sector_size, log->bytes + 24, 4);
	ASSERT_GE(log->sector_size, DM_SECTOR);
	log->at = 1;
}

bool lw_next(struct lw_log *log, struct lw_entry *entry)
{
	const uint8_t *head = log->bytes + log->at * log->sector_size;
	uint64_t data = 0;

	if (!log->left)
		return false;
	ASSERT_LE((log->at + 1) * log->sector_size, log->size);
	log->left--;
	*entry = (struct lw_entry){
		.flags = (uint32_t)word(head + 16),
		.offset = word(head) * log->sector_size,
		.length = word(head + 8) * log->sector_size,
		.data = head + log->sector_size,
	};
	if (entry->flags & LW_MARK) {
		entry->length = word(head + 24);
		entry->data = head + 32;
	} else if (!(entry->flags & LW_DISCARD)) {
		data = entry->length / log->sector_size;
	}
	log->at += 1 + data;
	ASSERT_LE(log->at * log->sector_size, log->size);
	return true;
}

uint32_t lw_read(const void *bytes, size_t size, uint64_t device, struct lw_entry *entries, uint32_t most)
{
	struct lw_log log;
	uint32_t n;

	lw_open(&log, bytes, size);
	for (n = 0; lw_next(&log, &entries[n]); n++) {
		ASSERT_LT(n + 1, most);
		if (!(entries[n].flags & LW_MARK))
			ASSERT_LE(entries[n].offset + entries[n].length, device);
	}
	ASSERT_GT(n, 0);
	return n;
}

void lw_apply(uint8_t *to, const struct lw_entry *entry)
{
	if (entry->flags & LW_DISCARD)
		memset(to + entry->offset, LW_POISON, entry->length);
	else if (!(entry->flags & LW_MARK))
		memcpy(to + entry->offset, entry->data, entry->length);
}

uint32_t lw_marked(const struct lw_entry *entry)
{
	/* The kernel's own begins with a letter. */
	return entry->flags & LW_MARK ? (uint32_t)atoi((const char *)entry->data) : 0;
}
