// SPDX-License-Identifier: GPL-2.0
/*
 * The contract of every command: sizes, flags, reserved fields, pointers, who may call it. A command that
 * is not in abi_table.h fails table__complete. The same through io_uring is in abi_uring_test.
 */
#include "abi_table.h"

/* Two pages, the second one not there; returns the end of the first. */
static char *page_end(int prot)
{
	char *mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(mem, MAP_FAILED);
	memset(mem, 0, PAGE);
	munmap(mem + PAGE, PAGE);
	mprotect(mem, PAGE, prot);
	return mem + PAGE;
}

/* Catches: a command that was added without a row here, so without these tests. */
TEST(table__complete)
{
	unsigned int nr, i;
	int fd = t_open();

	for (nr = 0; nr < 256; nr++) {
		unsigned char buf[BUF] = { 0 };
		const struct command *c = NULL;
		int ret;

		for (i = 0; i < NR_COMMANDS; i++)
			if (each(i)->cmd == _IO(EXO_TYPE, nr))
				c = each(i);
		/* Size 0 is too short for every command, so nothing is done. */
		ret = t_ioctl(fd, _IO(EXO_TYPE, nr), buf);
		ASSERT_EQ_FOR(ret, c ? refusal(c, -EINVAL) : -ENOTTY, "nr %#x", nr);
	}
}

/* Catches: commands that are matched by their number alone (INV-REQ-2). */
TEST(unknown__other_type)
{
	unsigned char buf[BUF] = { 0 };
	int fd = t_open();
	unsigned int i;

	for (i = 0; i < NR_COMMANDS; i++) {
		unsigned int nr = _IOC_NR(each(i)->cmd);

		ASSERT_EQ(call(fd, &(struct command){ .cmd = _IO(0xEE, nr) }, buf, 64), -ENOTTY);
		ASSERT_EQ(call(fd, &(struct command){ .cmd = _IOC(_IOC_WRITE, EXO_TYPE, nr, 64) }, buf,
			       64), -ENOTTY);
	}
	ASSERT_EQ(t_ioctl(fd, 0, buf), -ENOTTY);
	ASSERT_EQ(t_ioctl(fd, 0xffffffffUL, buf), -ENOTTY);
}

/* Catches: a handler that reads past what the caller gave (INV-REQ-2). */
TEST(size__short)
{
	int fd = t_open();
	unsigned int i, len;

	for (i = 0; i < NR_COMMANDS; i++) {
		unsigned int first = each(i)->first ? each(i)->first : each(i)->size;

		for (len = 0; len < first; len++)
			ASSERT_EQ_FOR(call_zero(fd, each(i), len), refusal(each(i), -EINVAL),
				      "%s with size %u", each(i)->name, len);
	}
}

/* Catches: an older program whose struct was shorter, and who is refused, or written behind (INV-REQ-2). */
TEST(size__grown)
{
	unsigned char junk[256];
	int fd = t_open();
	unsigned int i, len;

	memset(junk, 0xa5, sizeof(junk));
	for (i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = each(i);
		int exact = call_zero(fd, c, c->size);

		for (len = c->first; len && len < c->size; len++) {
			unsigned char buf[BUF];

			/* What is behind the struct is the caller's: neither read nor written. */
			memset(buf, 0xa5, sizeof(buf));
			memset(buf, 0, len);
			ASSERT_EQ_FOR(call(fd, c, buf, len), exact, "%s with size %u", c->name, len);
			ASSERT_EQ(memcmp(buf + len, junk, c->size - len), 0);
		}
	}
}

/* Catches: an older module that refuses, or half obeys, a newer program (INV-REQ-2). */
TEST(size__long)
{
	int fd = t_open();
	unsigned int i, len, at;

	for (i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = each(i);
		int exact = call_zero(fd, c, c->size);

		ASSERT_NE(exact, -E2BIG);
		ASSERT_NE(exact, -ENOTTY);
		/* EXO_MEM_RESUME reads the registers that @regs points to, and that is 0 here. */
		if (c->cmd != EXO_MEM_RESUME)
			ASSERT_NE(exact, -EFAULT);
		for (len = c->size + 1; len < c->size + 70; len += 23)
			ASSERT_EQ_FOR(call_zero(fd, c, len), exact, "%s with size %u", c->name, len);
		for (at = c->size; at < c->size + 40; at += 13) {
			unsigned char buf[BUF] = { 0 };

			buf[at] = 1;
			ASSERT_EQ_FOR(call(fd, c, buf, c->size + 40), refusal(c, -E2BIG),
				      "%s, byte %u", c->name, at);
		}
	}
}

/* Catches: a size that makes the kernel read for ever, allocate, or wrap. */
TEST(size__huge)
{
	static const uint32_t sizes[] = { 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff };
	int fd = t_open();
	unsigned int i, k;

	for (i = 0; i < NR_COMMANDS; i++)
		for (k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			char *end = page_end(PROT_READ | PROT_WRITE);
			int ret;

			ret = call(fd, each(i), (unsigned char *)end - PAGE, sizes[k]);
			if (ret != refusal(each(i), -E2BIG) && ret != -EFAULT)
				FAIL("%s with size %#x: %d", each(i)->name, sizes[k], ret);
			munmap(end - PAGE, PAGE);
		}
}

/* Catches: flags that are ignored today and so can't be used tomorrow (INV-REQ-2). */
TEST(flags__unknown)
{
	int fd = t_open();
	unsigned int i, bit;

	for (i = 0; i < NR_COMMANDS; i++)
		for (bit = 0; bit < 32; bit++) {
			uint32_t buf[BUF / 4] = { 0 };

			if (each(i)->flags & (1U << bit))
				continue;
			buf[1] = 1U << bit;
			ASSERT_EQ_FOR(call(fd, each(i), (unsigned char *)buf, each(i)->size),
				      refusal(each(i), -EINVAL), "%s with flags %#x", each(i)->name,
				      buf[1]);
		}
}

/*
 * Catches: reserved fields that are ignored today and so can't be used tomorrow. The rest of the
 * struct is zeroed, which is EINVAL for many commands anyway: the second half names commands whose
 * zeroed (or nearly zeroed) struct succeeds.
 */
TEST(reserved__nonzero)
{
	int fd = t_open();
	unsigned int i, k, byte;
	struct view view;

	for (i = 0; i < NR_COMMANDS; i++)
		for (k = 0; k < MAX_RESERVED && each(i)->reserved[k].len; k++)
			for (byte = 0; byte < each(i)->reserved[k].len; byte++) {
				unsigned char buf[BUF] = { 0 };

				buf[each(i)->reserved[k].at + byte] = 1;
				ASSERT_EQ_FOR(call(fd, each(i), buf, each(i)->size),
					      refusal(each(i), -EINVAL), "%s", each(i)->name);
			}

	t_view(fd, 512, 0, 0, &view);
	{
		struct exo_env_eventfd ev = { sizeof(ev), 0, -1, 1 };
		struct exo_mem_view_create vc = { .size = sizeof(vc), .pages = 8, .reserved = 1 };
		struct exo_mem_view vd = { sizeof(vd), 0, view.id, 1 };
		struct exo_mem_harvest hv = { .size = sizeof(hv), .view = view.id, .count = 1,
					      .reserved = 1, .bits = (uintptr_t)&i };
		struct exo_mem_wake wk = { .size = sizeof(wk), .view = view.id, .count = 1,
					   .reserved = 1 };
		struct exo_mem_log lg = { .size = sizeof(lg), .reserved = 1 };
		struct exo_frame_info row;
		struct exo_mem_query qu = { .size = sizeof(qu), .count = 1, .reserved = 1,
					    .infos = (uintptr_t)&row };
		struct exo_mem_op op = { .count = 1 };
		struct exo_mem_batch ba = { .size = sizeof(ba), .view = view.id, .count = 1,
					    .reserved = 1, .ops = (uintptr_t)&op };
		struct exo_cap_create cc = { .size = sizeof(cc), .kind = EXO_CAP_FRAME, .rights = 1,
					     .object = t_frame(fd), .reserved = 1 };

		ASSERT_EQ(t_ioctl(fd, EXO_ENV_EVENTFD, &ev), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_VIEW_CREATE, &vc), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_VIEW_DESTROY, &vd), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_FLUSH, &vd), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_HARVEST, &hv), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_WAKE, &wk), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_LOG, &lg), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_QUERY, &qu), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_UNBIND, &ba), -EINVAL);
		ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &cc), -EINVAL);
	}
}

/* Catches: what the caller leaves in out_ fields being taken for something. */
TEST(out__garbage)
{
	int fd = t_open();
	unsigned int i, k;

	for (i = 0; i < NR_COMMANDS; i++) {
		int exact = call_zero(fd, each(i), each(i)->size);
		unsigned char buf[BUF] = { 0 };

		for (k = 0; k < MAX_OUT && each(i)->out[k].len; k++)
			memset(buf + each(i)->out[k].at, 0xff, each(i)->out[k].len);
		ASSERT_EQ_FOR(call(fd, each(i), buf, each(i)->size), exact, "%s", each(i)->name);
	}
}

/* Catches: an unchecked pointer. The kernel's own addresses and the end of memory are among them. */
TEST(pointer__bad)
{
	char *end = page_end(PROT_READ | PROT_WRITE);
	unsigned long bad[] = {
		0, 8, 0xfffffffffffff000UL, 0xffff888000000000UL, 0x00007ffffffff000UL,
		0x8000000000000000UL, (unsigned long)end, (unsigned long)end - 2,
	};
	int fd = t_open();
	unsigned int i, k;

	for (i = 0; i < NR_COMMANDS; i++) {
		uint32_t size = each(i)->size;

		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
			ASSERT_EQ_FOR(t_ioctl(fd, each(i)->cmd, (void *)bad[k]),
				      refusal(each(i), -EFAULT), "%s at %#lx", each(i)->name, bad[k]);
		/* The size is readable, the last byte of the struct is not. */
		memcpy(end - size + 1, &size, sizeof(size));
		ASSERT_EQ_FOR(t_ioctl(fd, each(i)->cmd, end - size + 1),
			      refusal(each(i), -EFAULT), "%s", each(i)->name);
		memset(end - size, 0, size);
	}
}

/* Catches: a struct that can't be written back, and whose call says that all is well. */
TEST(pointer__read_only)
{
	char *end = page_end(PROT_READ | PROT_WRITE);
	struct exo_info *info = (struct exo_info *)(end - sizeof(*info));
	int fd = t_open();

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	ASSERT_EQ(t_ioctl(fd, EXO_INFO, info), 0);
	mprotect(end - PAGE, PAGE, PROT_READ);
	ASSERT_EQ(t_ioctl(fd, EXO_INFO, info), -EFAULT);
}

/* Catches: arrays that are trusted. Nothing may be left allocated behind the caller's back. */
TEST(pointer__arrays)
{
	struct exo_env_status before, after;
	uint32_t frame = 0;
	struct view view;
	int fd = t_open();
	char *ro;

	t_view(fd, 512, 0, 0, &view);
	frame = t_frame(fd);
	t_status(fd, &before);

	ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_ANY, NULL, 1, NULL), -EFAULT);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_ANY, (uint32_t *)ro, 3, NULL), -EFAULT);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_ANY, (uint32_t *)0xffff888000000000UL, 1, NULL), -EFAULT);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, NULL, 1, NULL), -EFAULT);
	ASSERT_EQ(t_free(fd, NULL, 1, NULL), -EFAULT);
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, NULL, 1, 0, NULL), -EFAULT);
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, (void *)0xffff888000000000UL, 1, 0, NULL), -EFAULT);
	ASSERT_EQ(t_query(fd, 0, 4, NULL), -EFAULT);
	ASSERT_EQ(t_query(fd, 0, 4, (void *)ro), -EFAULT);
	ASSERT_EQ(t_harvest(&view, 0, 4, 0, (void *)ro, NULL, NULL), -EFAULT);
	t_status(fd, &after);
	ASSERT_EQ(after.out_frames, before.out_frames);
	ASSERT_EQ(after.out_bound, 0);
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RW), 0);
}

/* Catches: admin commands for everybody, and the reverse. */
TEST(user__ordinary)
{
	unsigned int i;
	int fd;

	if (!geteuid())
		t_become(ALICE);
	fd = t_open();
	for (i = 0; i < NR_COMMANDS; i++) {
		int ret = call_zero(fd, each(i), each(i)->size);

		/* The zeroed structs ask for the limits of root. */
		if (each(i)->cmd == EXO_QUOTA_GET || each(i)->cmd == EXO_XN_QUOTA)
			continue;
		if (each(i)->who & ADMIN)
			ASSERT_EQ_FOR(ret, -EPERM, "%s", each(i)->name);
		else
			ASSERT_EQ_FOR(ret == -EPERM, 0, "%s", each(i)->name);
	}
}

/* Catches: limits that don't fit each other. */
TEST(info__sane)
{
	int fd = t_open(), other = t_open();
	const struct exo_table *table = t_table(fd);
	struct exo_info info, info2;

	t_info(fd, &info);
	t_info(other, &info2);
	ASSERT_NE(info.out_env, info2.out_env);
	ASSERT_EQ(info.out_frames, table->frames);
	ASSERT_GE(info.out_table_bytes,
		  sizeof(*table) + info.out_frames * sizeof(struct exo_frame_entry));
	ASSERT_EQ(info.out_table_bytes % PAGE, 0);
	ASSERT_EQ(info.out_ring_bytes % PAGE, 0);
	ASSERT_GE(info.out_ring_bytes, sizeof(struct exo_ring));
	ASSERT_GE(info.out_max_ops, 64);
	ASSERT_GE(info.out_max_pages, 512);
	ASSERT_GE(info.out_nodes, 1);
	ASSERT_GE(info.out_colours, 1);
	ASSERT_GE(info.out_view_pages, 1 << 18);
	ASSERT_TRUE(info.out_features & EXO_FEATURE_UPCALL);
	ASSERT_TRUE(info.out_features & EXO_FEATURE_LAZY);
	ASSERT_TRUE(info.out_features & EXO_FEATURE_STLB);
	ASSERT_TRUE(info.out_features & EXO_FEATURE_MONITOR);
}

/* Catches: mmap offsets, lengths and protections that nobody thought of. */
TEST(mmap__bad)
{
	static const uint64_t kinds[] = { EXO_MMAP_TABLE, EXO_MMAP_RING };
	struct exo_info info;
	int fd = t_open();
	unsigned int k;
	uint64_t bytes;
	void *mem;

	t_info(fd, &info);
	for (k = 0; k < 2; k++) {
		bytes = k ? info.out_ring_bytes : info.out_table_bytes;
		mem = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)kinds[k]);
		ASSERT_NE(mem, MAP_FAILED);
		/* Private, longer, beyond, executable: none of these. */
		ASSERT_EQ(mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)kinds[k]), MAP_FAILED);
		ASSERT_EQ(mmap(NULL, bytes + PAGE, PROT_READ, MAP_SHARED, fd, (off_t)kinds[k]),
			  MAP_FAILED);
		ASSERT_EQ(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)(kinds[k] + bytes)),
			  MAP_FAILED);
		ASSERT_EQ(mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, (off_t)kinds[k]),
			  MAP_FAILED);
		ASSERT_NE(mprotect(mem, bytes, PROT_READ | PROT_EXEC), 0);
	}
	/* The table is never writable, not even later. */
	ASSERT_EQ(mmap(NULL, info.out_table_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       (off_t)EXO_MMAP_TABLE), MAP_FAILED);
	mem = mmap(NULL, info.out_table_bytes, PROT_READ, MAP_SHARED, fd, (off_t)EXO_MMAP_TABLE);
	ASSERT_NE(mem, MAP_FAILED);
	ASSERT_NE(mprotect(mem, info.out_table_bytes, PROT_READ | PROT_WRITE), 0);
	/* Unknown kinds. */
	for (k = 0; k < 128; k++) {
		if (k >= 1 && k <= 7)
			continue;
		ASSERT_EQ_FOR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
					 (off_t)((uint64_t)k << EXO_MMAP_SHIFT)), (long)MAP_FAILED,
			      "kind %u", k);
	}
	/* Views that are not there. */
	for (k = 4; k <= 6; k++)
		ASSERT_EQ((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
				     (off_t)(((uint64_t)k << EXO_MMAP_SHIFT) | (9999ULL << 40))),
			  (long)MAP_FAILED);
}
