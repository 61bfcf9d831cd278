// SPDX-License-Identifier: GPL-2.0
#include "xn_host.h"
#include "unit.h"

#include <malloc.h>

const struct exo_xn_who host_user = { .uid = 1000 }, host_other = { .uid = 1001 };

static struct host *of(struct exo_xn *xn)
{
	return exo_xn_priv(xn);
}

static bool due(u64 *count)
{
	return *count && !--*count;
}

static void *host_alloc(struct exo_xn *xn, size_t bytes)
{
	struct host *h = of(xn);
	void *mem;

	if (due(&h->fail_alloc))
		return NULL;
	mem = calloc(1, bytes);
	CHECK(mem);
	h->live++;
	h->bytes += malloc_usable_size(mem);
	if (h->bytes > h->peak)
		h->peak = h->bytes;
	return mem;
}

static void host_free(struct exo_xn *xn, void *mem)
{
	of(xn)->live -= !!mem;
	of(xn)->bytes -= malloc_usable_size(mem);
	free(mem);
}

static int host_read(struct exo_xn *xn, u64 block, u32 count, void *to)
{
	CHECK(block < of(xn)->blocks && count <= of(xn)->blocks - block);
	memcpy(to, of(xn)->disk[block], (size_t)count * EXO_XN_BLOCK);
	return 0;
}

static int host_write(struct exo_xn *xn, u64 block, u32 count, const void *from, u32 flags)
{
	(void)flags;
	CHECK(block < of(xn)->blocks && count <= of(xn)->blocks - block);
	if (due(&of(xn)->fail_write))
		return -EIO;
	memcpy(of(xn)->disk[block], from, (size_t)count * EXO_XN_BLOCK);
	return 0;
}

static int host_flush(struct exo_xn *xn)
{
	return due(&of(xn)->fail_write) ? -EIO : 0;
}

static void host_discard(struct exo_xn *xn, u64 block, u64 count)
{
	memset(of(xn)->disk[block], 0xee, count * EXO_XN_BLOCK);
}

u32 host_crc(u32 seed, const void *bytes, size_t length)
{
	const u8 *at = bytes;
	u32 bit;

	while (length--) {
		seed ^= *at++;
		for (bit = 0; bit < 8; bit++)
			seed = seed >> 1 ^ (seed & 1 ? 0x82f63b78U : 0);
	}
	return seed;
}

static void host_hash(const void *bytes, size_t length, u8 out[32])
{
	u32 i, crc;

	for (i = 0; i < 8; i++) {
		crc = host_crc(i + 1, bytes, length);
		memcpy(out + 4 * i, &crc, sizeof(crc));
	}
}

static u64 host_seconds(struct exo_xn *xn)
{
	(void)xn;
	return 0;
}

static int host_compile(struct exo_xn *xn, struct exo_xn_template_core *t, const void *content,
			u32 length, struct exo_graft_error *err, u32 *func)
{
	struct host *h = of(xn);

	(void)content;
	(void)err;
	(void)func;
	t->funcs = t;
	h->code += length;
	if (h->code > h->peak_code)
		h->peak_code = h->code;
	return 0;
}

static void host_release(struct exo_xn *xn, struct exo_xn_template_core *t)
{
	of(xn)->code -= t->length;
	t->funcs = NULL;
}

static int host_owns(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		     u32 length, u32 part, u64 block, struct exo_xn_extents *out)
{
	const struct exo_xn_extent *e = bytes;
	u32 i, k;

	(void)t;
	(void)part;
	(void)block;
	of(xn)->runs++;
	exo_xn_worked(xn, of(xn)->cost);
	for (i = 0; i < length / sizeof(*e); i++) {
		for (k = 0; e[i].slot == HOST_MANY && k < e[i].count; k++) {
			if (out->nr == out->max)
				return -E2BIG;
			out->at[out->nr++] = (struct exo_xn_extent){ e[i].block + 2 * k, 1, EXO_XN_DATA };
		}
		if (!e[i].count || e[i].slot == HOST_MANY)
			continue;
		if (out->nr == out->max)
			return -E2BIG;
		out->at[out->nr++] = e[i];
	}
	return 0;
}

static bool host_acl(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		     u32 length, const struct exo_xn_question *q, const struct exo_xn_who *who)
{
	(void)xn;
	(void)t;
	(void)bytes;
	(void)length;
	(void)who;
	return q->uid == q->owner || q->right == EXO_XN_MAY_READ;
}

static u32 host_size(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		     u32 length)
{
	(void)xn;
	(void)t;
	(void)bytes;
	return length ? EXO_XN_BLOCK : 0;
}

static void host_drain(struct exo_xn *xn, u64 block, u64 count)
{
	(void)block;
	of(xn)->drained += count;
}

const struct exo_xn_host host_ops = {
	.alloc = host_alloc, .free = host_free, .read = host_read, .write = host_write,
	.flush = host_flush, .discard = host_discard, .crc = host_crc, .hash = host_hash,
	.seconds = host_seconds, .compile = host_compile, .release = host_release,
	.owns = host_owns, .acl = host_acl, .size = host_size, .drain = host_drain,
};

void host_attach(struct host *h)
{
	CHECK_EQ(exo_xn_attach(&host_ops, h, h->blocks, 0, &h->xn), 0);
}

void host_begin(struct host *h)
{
	host_begin_quota(h, 0);
}

void host_begin_quota(struct host *h, u64 uid_blocks)
{
	host_begin_of(h, HOST_BLOCKS, uid_blocks);
}

static void begin(struct host *h, u64 blocks, u64 uid_blocks, u32 log_blocks)
{
	struct exo_xn_format_opts opts = { .blocks = blocks, .log_blocks = log_blocks,
					   .uid_blocks = uid_blocks, .uuid = { 1, 2, 3 } };
	static const u8 unit[EXO_XN_BLOCK];
	u32 refs[EXO_XN_REFS] = {}, func;
	struct exo_graft_error err;

	*h = (struct host){ .disk = calloc(blocks, EXO_XN_BLOCK), .blocks = blocks };
	CHECK(h->disk);
	CHECK_EQ(exo_xn_format(&host_ops, h, &opts), 0);
	host_attach(h);
	CHECK_EQ(exo_xn_template_add(h->xn, &host_user, "list", refs, 64, 512, "x", 1, &err, &func,
				     &h->template), 0);
	CHECK_EQ(exo_xn_root_create(h->xn, &host_user, "root", h->template, 0, 0, 0, NULL, unit,
				    sizeof(unit), &h->root), 0);
	CHECK(host_load(h, host_root_block(h), host_root_block(h)));
}

void host_begin_of(struct host *h, u64 blocks, u64 uid_blocks)
{
	begin(h, blocks, uid_blocks, HOST_LOG);
}

void host_begin_log(struct host *h, u64 blocks, u32 log_blocks)
{
	begin(h, blocks, 0, log_blocks);
}

void host_crash(struct host *h)
{
	exo_xn_free(h->xn);
	CHECK_EQ(h->live, 0);
	host_attach(h);
	CHECK(host_load(h, host_root_block(h), host_root_block(h)));
}

void host_end(struct host *h)
{
	exo_xn_free(h->xn);
	CHECK_EQ(h->live, 0);
	free(h->disk);
}

u64 host_root_block(struct host *h)
{
	return exo_xn_root(h->xn, h->root)->block;
}

struct exo_xn_unit *host_load(struct host *h, u64 parent, u64 block)
{
	struct exo_xn_unit *unit;

	return exo_xn_unit_load(h->xn, h->root, parent, block, &unit) ? NULL : unit;
}

int host_set(struct host *h, u32 kind, u64 parent, u32 index, u64 block, u32 count, u32 slot)
{
	static const u8 zeros[8];
	struct exo_xn_extent e = { block, count, slot }, none = {};
	bool less = kind == EXO_XN_FREE_STEP || kind == EXO_XN_UNLINK;
	struct exo_xn_step_core steps[3] = {
		{ .kind = kind, .parent = parent, .block = block, .count = count, .slot = slot },
		{ .kind = EXO_XN_WRITE, .parent = parent, .offset = index * sizeof(e),
		  .length = sizeof(e), .bytes = (const u8 *)(less ? &none : &e) },
		{ .kind = EXO_XN_NEW, .parent = block, .length = sizeof(zeros), .bytes = zeros },
	};
	u64 bad;
	u32 step;

	return exo_xn_apply(h->xn, &host_user, h->root, steps,
			    kind == EXO_XN_ALLOC && slot != EXO_XN_DATA ? 3 : 2, &step, &bad);
}

int host_commit(struct host *h)
{
	u64 seq;

	exo_xn_root(h->xn, h->root)->requested = true;
	return exo_xn_commit(h->xn, &seq);
}

u8 host_map(struct host *h, u64 block)
{
	u8 out;

	CHECK_EQ(exo_xn_map_show(h->xn, block, 1, host_user.uid, &out), 0);
	return out;
}
