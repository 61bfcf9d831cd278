// SPDX-License-Identifier: GPL-2.0
/*
 * What the engine asks of its surroundings: memory, hashes, and I/O that it waits for. It is in
 * process context and holds the disk's lock.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include <crypto/sha2.h>

#include "compat/crc32c.h"
#include "xn/xn.h"

#define SECTORS (EXO_XN_BLOCK >> SECTOR_SHIFT)

static struct exo_xn_disk_dev *disk_of(struct exo_xn *xn)
{
	return exo_xn_priv(xn);
}

/* Of a power of two the slab allocator promises that it is aligned to that. */
static void *host_alloc(struct exo_xn *xn, size_t bytes)
{
	if (bytes <= PAGE_SIZE || (is_power_of_2(bytes) && bytes <= 8 * PAGE_SIZE))
		return kzalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return __vmalloc(bytes, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
}

static void host_free(struct exo_xn *xn, void *mem)
{
	kvfree(mem);
}

static struct page *page_at(const void *at)
{
	return is_vmalloc_addr(at) ? vmalloc_to_page(at) : virt_to_page(at);
}

/* Up to BIO_MAX_VECS blocks. @at is page aligned. */
static int transfer(struct exo_xn_disk_dev *disk, u64 block, u32 count, const u8 *at,
		    blk_opf_t opf)
{
	struct bio *bio;
	u32 i;
	int ret;

	bio = bio_alloc_bioset(disk->bdev.bdev, count, opf, GFP_KERNEL, &disk->bios);
	bio->bi_iter.bi_sector = block * SECTORS;
	for (i = 0; i < count; i++)
		__bio_add_page(bio, page_at(at + (size_t)i * EXO_XN_BLOCK), EXO_XN_BLOCK, 0);
	ret = submit_bio_wait(bio);
	bio_put(bio);
	return ret ? -EIO : 0;
}

static int transfer_all(struct exo_xn_disk_dev *disk, u64 block, u32 count, const u8 *at,
			blk_opf_t opf)
{
	u32 n;
	int ret;

	if (WARN_ON_ONCE(offset_in_page(at)))
		return -EIO;
	for (; count; count -= n) {
		n = min_t(u32, count, BIO_MAX_VECS);
		ret = transfer(disk, block, n, at, opf);
		if (ret)
			return ret;
		block += n;
		at += (size_t)n * EXO_XN_BLOCK;
		/* What was flushed before the first is before them all. */
		opf &= ~REQ_PREFLUSH;
	}
	return 0;
}

static int host_read(struct exo_xn *xn, u64 block, u32 count, void *to)
{
	return transfer_all(disk_of(xn), block, count, to, REQ_OP_READ | REQ_SYNC | REQ_META);
}

static int host_write(struct exo_xn *xn, u64 block, u32 count, const void *from, u32 flags)
{
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC | REQ_META;

	if (flags & EXO_XN_PREFLUSH)
		opf |= REQ_PREFLUSH;
	if (flags & EXO_XN_FUA)
		opf |= REQ_FUA;
	return transfer_all(disk_of(xn), block, count, from, opf);
}

static int host_flush(struct exo_xn *xn)
{
	return blkdev_issue_flush(disk_of(xn)->bdev.bdev) ? -EIO : 0;
}

static void host_discard(struct exo_xn *xn, u64 block, u64 count)
{
	struct block_device *bdev = disk_of(xn)->bdev.bdev;

	if (bdev_max_discard_sectors(bdev))
		blkdev_issue_discard(bdev, block * SECTORS, count * SECTORS, GFP_KERNEL);
}

static void host_hash(const void *bytes, size_t length, u8 out[32])
{
	sha256(bytes, length, out);
}

static u64 host_seconds(struct exo_xn *xn)
{
	return ktime_get_real_seconds();
}

const struct exo_xn_host exo_xn_host = {
	.alloc = host_alloc,
	.free = host_free,
	.read = host_read,
	.write = host_write,
	.flush = host_flush,
	.discard = host_discard,
	.crc = exo_crc32c,
	.hash = host_hash,
	.seconds = host_seconds,
	.compile = exo_xn_template_compile,
	.release = exo_xn_template_release,
	.owns = exo_xn_template_owns,
	.acl = exo_xn_template_acl,
	.size = exo_xn_template_size,
	.drain = exo_xn_drain,
};
