/* SPDX-License-Identifier: GPL-2.0 */
/* linux/blkdev.h: since 6.9 an open block device is a file. */
#ifndef EXO_COMPAT_BLKDEV_H
#define EXO_COMPAT_BLKDEV_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/version.h>

/**
 * struct exo_bdev - a block device that is open exclusively
 * @bdev: the device
 * @file: what keeps it open, where that is a file
 */
struct exo_bdev {
	struct block_device *bdev;
	struct file *file;
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static inline int exo_bdev_open(const char *path, void *holder, struct exo_bdev *out)
{
	out->file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL);
	if (IS_ERR(out->file))
		return PTR_ERR(out->file);
	out->bdev = file_bdev(out->file);
	return 0;
}

static inline void exo_bdev_close(struct exo_bdev *bdev)
{
	bdev_fput(bdev->file);
}
#else
static inline int exo_bdev_open(const char *path, void *holder, struct exo_bdev *out)
{
	out->bdev = blkdev_get_by_path(path, FMODE_READ | FMODE_WRITE | FMODE_EXCL, holder);
	return PTR_ERR_OR_ZERO(out->bdev);
}

static inline void exo_bdev_close(struct exo_bdev *bdev)
{
	blkdev_put(bdev->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
}
#endif

#endif
