// SPDX-License-Identifier: GPL-2.0
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "harness.h"
#include "lib.h"

const char *t_device(void)
{
	const char *path = getenv("EXO_DEVICE");

	return path ? path : "/dev/exo";
}

int t_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

bool t_prepare(uint32_t frames, uint32_t huge, char *why, size_t len)
{
	int fd = open(t_device(), O_RDWR | O_CLOEXEC), ret = 0;
	const struct exo_table *table;
	struct exo_info info;

	if (fd < 0) {
		snprintf(why, len, "%s: %s (is the module loaded, and are you in group exo?)",
			 t_device(), strerror(errno));
		return false;
	}
	t_info(fd, &info);
	table = mmap(NULL, info.out_table_bytes, PROT_READ, MAP_SHARED, fd, (off_t)EXO_MMAP_TABLE);
	if (table == MAP_FAILED) {
		snprintf(why, len, "the frame table can't be mapped: %s", strerror(errno));
		close(fd);
		return false;
	}
	if (table->free - table->free_huge * 512 < frames)
		ret = t_pool(fd, EXO_POOL_GROW, frames, NULL);
	if (!ret && table->free_huge < huge)
		ret = t_pool(fd, EXO_POOL_GROW | EXO_POOL_HUGE, huge * 512, NULL);
	if (table->free < frames) {
		snprintf(why, len, "the pool has %llu free frames, but %u are needed (%s): exoctl pool grow",
			 (unsigned long long)table->free, frames, strerror(-ret));
		close(fd);
		return false;
	}
	munmap((void *)table, info.out_table_bytes);
	close(fd);
	return true;
}

/* ---- environments ------------------------------------------------------------------------------ */

int t_open(void)
{
	int fd = open(t_device(), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		FAIL("open %s: %s", t_device(), strerror(errno));
	return fd;
}

void t_info(int fd, struct exo_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	ASSERT_EQ(t_ioctl(fd, EXO_INFO, info), 0);
}

void t_status(int fd, struct exo_env_status *st)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	ASSERT_EQ(t_ioctl(fd, EXO_ENV_STATUS, st), 0);
}

static void *map(int fd, size_t len, int prot, uint64_t offset)
{
	void *mem = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);

	if (mem == MAP_FAILED)
		FAIL("mmap of %zu bytes at %#llx: %s", len, (unsigned long long)offset, strerror(errno));
	return mem;
}

const struct exo_table *t_table(int fd)
{
	struct exo_info info;

	t_info(fd, &info);
	return map(fd, info.out_table_bytes, PROT_READ, EXO_MMAP_TABLE);
}

struct exo_ring *t_ring(int fd)
{
	struct exo_info info;

	t_info(fd, &info);
	return map(fd, info.out_ring_bytes, PROT_READ | PROT_WRITE, EXO_MMAP_RING);
}

bool t_event(struct exo_ring *ring, uint64_t *seen, uint32_t type, unsigned int ms,
	     struct exo_event *event)
{
	uint64_t until = test_now_ns() + test_limit_ms(ms) * 1000000ULL, head;

	for (;;) {
		head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
		while (*seen < head) {
			*event = ring->ev[*seen % EXO_RING_EVENTS];
			++*seen;
			__atomic_store_n(&ring->tail, *seen, __ATOMIC_RELEASE);
			if (event->type == type)
				return true;
		}
		if (test_now_ns() > until)
			return false;
		test_sleep_ms(1);
	}
}

void t_become(uid_t uid)
{
	struct stat st;

	if (stat(t_device(), &st))
		FAIL("stat %s: %s", t_device(), strerror(errno));
	ASSERT_EQ(setgroups(1, &st.st_gid), 0);
	ASSERT_EQ(setresgid(st.st_gid, st.st_gid, st.st_gid), 0);
	ASSERT_EQ(setresuid(uid, uid, uid), 0);
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void t_need_root(void)
{
	if (geteuid())
		SKIP("needs root");
}

void t_need_feature(int fd, uint64_t features, const char *what)
{
	struct exo_info info;

	t_info(fd, &info);
	if ((info.out_features & features) != features)
		SKIP("this kernel or machine has no %s", what);
}

void t_quota_set(int fd, struct exo_quota *quota)
{
	quota->size = sizeof(*quota);
	ASSERT_EQ(t_ioctl(fd, EXO_QUOTA_SET, quota), 0);
}

struct exo_quota t_quota(int fd, uint32_t uid)
{
	struct exo_quota quota = { .size = sizeof(quota), .uid = uid };

	ASSERT_EQ(t_ioctl(fd, EXO_QUOTA_GET, &quota), 0);
	return quota;
}

void t_wait_charged(int fd, uint32_t uid, uint64_t frames)
{
	uint64_t start = test_now_ns();

	while (t_quota(fd, uid).out_frames != frames && !test_overdue(start, 5000))
		test_sleep_ms(2);
	ASSERT_EQ(t_quota(fd, uid).out_frames, frames);
}

/* ---- frames ------------------------------------------------------------------------------------ */

int t_alloc(int fd, uint32_t flags, uint32_t *frames, uint32_t count, uint32_t *done)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = flags, .count = count,
				     .frames_ptr = (uintptr_t)frames };
	int ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);

	if (done)
		*done = arg.out_done;
	return ret;
}

void t_alloc_any(int fd, uint32_t *frames, uint32_t count)
{
	uint32_t done = 0, got;

	while (done < count) {
		uint32_t n = count - done > 4096 ? 4096 : count - done;
		int ret = t_alloc(fd, EXO_ALLOC_ANY, frames + done, n, &got);

		if (ret)
			FAIL("only %u of %u frames: %s", done + got, count, strerror(-ret));
		done += n;
	}
}

uint32_t t_frame(int fd)
{
	uint32_t frame;

	t_alloc_any(fd, &frame, 1);
	return frame;
}

uint32_t t_huge(int fd)
{
	uint32_t frame;
	int ret;

	t_need_feature(fd, EXO_FEATURE_HUGE, "2 MiB frames");
	ret = t_alloc(fd, EXO_ALLOC_HUGE, &frame, 1, NULL);
	if (ret == -ENOSPC)
		SKIP("there is no free 2 MiB frame in the pool");
	ASSERT_EQ(ret, 0);
	return frame;
}

int t_free(int fd, const uint32_t *frames, uint32_t count, uint32_t *done)
{
	struct exo_mem_frames arg = { .size = sizeof(arg), .count = count,
				      .frames_ptr = (uintptr_t)frames };
	int ret = t_ioctl(fd, EXO_MEM_FREE, &arg);

	if (done)
		*done = arg.out_done;
	return ret;
}

int t_free1(int fd, uint32_t frame)
{
	return t_free(fd, &frame, 1, NULL);
}

int t_query(int fd, uint32_t first, uint32_t count, struct exo_frame_info *infos)
{
	struct exo_mem_query arg = { .size = sizeof(arg), .frame = first, .count = count,
				     .infos = (uintptr_t)infos };
	int ret = t_ioctl(fd, EXO_MEM_QUERY, &arg);

	return ret ? ret : (int)arg.out_done;
}

int t_pool(int fd, uint32_t flags, uint32_t frames, uint32_t *done)
{
	struct exo_mem_pool arg = { .size = sizeof(arg), .flags = flags, .frames = frames };
	int ret = t_ioctl(fd, EXO_MEM_POOL, &arg);

	if (done)
		*done = arg.out_done;
	return ret;
}

int t_revoke(int fd, uint64_t env, uint32_t frames, uint32_t deadline_ms, uint32_t *asked)
{
	struct exo_mem_revoke arg = { .size = sizeof(arg), .env = env, .frames = frames,
				      .deadline_ms = deadline_ms };
	int ret = t_ioctl(fd, EXO_MEM_REVOKE, &arg);

	if (asked)
		*asked = arg.out_asked;
	return ret;
}

int t_log(int fd, struct exo_mem_taken *entries, uint32_t count, uint32_t *left)
{
	struct exo_mem_log arg = { .size = sizeof(arg), .count = count,
				   .entries = (uintptr_t)entries };
	int ret = t_ioctl(fd, EXO_MEM_LOG, &arg);

	if (left)
		*left = arg.out_left;
	return ret ? ret : (int)arg.out_done;
}

int t_cap(int fd, uint32_t frame, uint32_t rights, struct exo_cap *cap)
{
	struct exo_cap_create arg = { .size = sizeof(arg), .kind = EXO_CAP_FRAME,
				      .rights = (uint16_t)rights, .object = frame };
	int ret = t_ioctl(fd, EXO_CAP_CREATE, &arg);

	*cap = arg.out_cap;
	return ret;
}

int t_cap_derive(int fd, const struct exo_cap *cap, uint32_t rights, struct exo_cap *out)
{
	struct exo_cap_derive arg = { .size = sizeof(arg), .cap = *cap, .rights = rights };
	int ret = t_ioctl(fd, EXO_CAP_DERIVE, &arg);

	*out = arg.out_cap;
	return ret;
}

int t_cap_check(int fd, const struct exo_cap *cap, uint32_t rights)
{
	struct exo_cap_check arg = { .size = sizeof(arg), .cap = *cap, .rights = rights };

	return t_ioctl(fd, EXO_CAP_CHECK, &arg);
}

int t_cap_revoke(int fd, const struct exo_cap *cap)
{
	struct exo_cap_revoke arg = { .size = sizeof(arg), .cap = *cap };

	return t_ioctl(fd, EXO_CAP_REVOKE, &arg);
}

int t_cap_revoke_own(int fd, uint32_t frame)
{
	struct exo_cap_revoke arg = { .size = sizeof(arg), .kind = EXO_CAP_FRAME, .object = frame };

	return t_ioctl(fd, EXO_CAP_REVOKE, &arg);
}

int t_import(int fd, const struct exo_cap *cap, uint32_t *frame, uint32_t *rights)
{
	struct exo_mem_import arg = { .size = sizeof(arg), .cap = *cap };
	int ret = t_ioctl(fd, EXO_MEM_IMPORT, &arg);

	if (frame)
		*frame = arg.out_frame;
	if (rights)
		*rights = arg.out_rights;
	return ret;
}

int t_drop(int fd, uint32_t frame)
{
	struct exo_mem_frames arg = { .size = sizeof(arg), .count = 1,
				      .frames_ptr = (uintptr_t)&frame };

	return t_ioctl(fd, EXO_MEM_DROP, &arg);
}

void *t_window(int fd, uint32_t first, uint32_t count, int prot)
{
	void *mem = mmap(NULL, count * PAGE, prot, MAP_SHARED, fd,
			 (off_t)(EXO_MMAP_WINDOW + first * PAGE));

	return mem == MAP_FAILED ? NULL : mem;
}

void t_fill(int fd, uint32_t frame, uint64_t value)
{
	volatile uint64_t *mem = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	unsigned int i;

	if (!mem)
		FAIL("window on frame %u: %s", frame, strerror(errno));
	for (i = 0; i < PAGE / 8; i++)
		mem[i] = value;
	munmap((void *)mem, PAGE);
}

void t_fill_each(int fd, const uint32_t *frames, uint32_t n, uint64_t value)
{
	uint32_t i, k, first = frames[0], last = frames[0];
	volatile uint64_t *mem;

	for (i = 1; i < n; i++) {
		first = frames[i] < first ? frames[i] : first;
		last = frames[i] > last ? frames[i] : last;
	}
	mem = t_window(fd, first, last - first + 1, PROT_READ | PROT_WRITE);
	if (!mem)
		FAIL("window on frames %u to %u: %s", first, last, strerror(errno));
	for (i = 0; i < n; i++)
		for (k = 0; k < PAGE / 8; k++)
			mem[(frames[i] - first) * (PAGE / 8) + k] = value + i;
	munmap((void *)mem, (last - first + 1) * PAGE);
}

uint64_t t_peek(int fd, uint32_t frame)
{
	volatile uint64_t *mem = t_window(fd, frame, 1, PROT_READ);
	uint64_t value;

	if (!mem)
		FAIL("window on frame %u: %s", frame, strerror(errno));
	value = *mem;
	munmap((void *)mem, PAGE);
	return value;
}

/* ---- views -------------------------------------------------------------------------------------- */

int t_view_create(int fd, uint32_t pages, uint32_t flags, uint32_t stlb, struct view *view)
{
	struct exo_mem_view_create arg = { .size = sizeof(arg), .flags = flags, .pages = pages,
					   .stlb = stlb };
	int ret = t_ioctl(fd, EXO_MEM_VIEW_CREATE, &arg);

	memset(view, 0, sizeof(*view));
	view->fd = fd;
	view->pages = pages;
	view->id = arg.out_view;
	view->offset = arg.out_offset;
	view->length = arg.out_length;
	return ret;
}

int t_view_destroy(const struct view *view)
{
	struct exo_mem_view arg = { .size = sizeof(arg), .view = view->id };

	return t_ioctl(view->fd, EXO_MEM_VIEW_DESTROY, &arg);
}

int t_view_map(struct view *view, void *addr, size_t align)
{
	size_t room = view->length + 2 * HUGE_PAGE;
	int flags = MAP_SHARED;
	char *hint = addr;
	void *mem;

	if (!addr) {
		/* Find a place, then take it. */
		hint = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (hint == MAP_FAILED)
			return -errno;
		munmap(hint, room);
		hint = (char *)(((uintptr_t)hint + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)) + align;
	}
	mem = mmap(hint, view->length, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, view->fd,
		   (off_t)view->offset);
	if (mem == MAP_FAILED)
		return -errno;
	view->base = mem;
	return 0;
}

void t_view(int fd, uint32_t pages, uint32_t flags, uint32_t stlb, struct view *view)
{
	size_t bytes = (view ? pages : 0) * 8UL;

	ASSERT_EQ(t_view_create(fd, pages, flags, stlb, view), 0);
	ASSERT_EQ(t_view_map(view, NULL, 0), 0);
	bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
	view->slots = map(fd, bytes, PROT_READ,
			  EXO_MMAP_VIEW_TABLE + ((uint64_t)view->id << EXO_MMAP_VIEW_SHIFT));
}

void t_view_end(struct view *view)
{
	if (view->slots)
		munmap((void *)view->slots, (view->pages * 8UL + PAGE - 1) & ~(PAGE - 1));
	if (view->base)
		ASSERT_EQ(munmap(view->base, view->length), 0);
	ASSERT_EQ(t_view_destroy(view), 0);
}

int t_batch(const struct view *view, unsigned int cmd, struct exo_mem_op *ops, uint32_t count,
	    uint32_t flags, uint32_t *done)
{
	struct exo_mem_batch arg = { .size = sizeof(arg), .flags = flags, .view = view->id,
				     .count = count, .ops = (uintptr_t)ops };
	int ret = t_ioctl(view->fd, cmd, &arg);

	if (done)
		*done = arg.out_done;
	return ret;
}

static int one(const struct view *view, unsigned int cmd, uint32_t page, uint32_t count,
	       uint32_t frame, uint32_t rights)
{
	struct exo_mem_op op = { .page = page, .count = count, .frame = frame,
				 .rights = (uint16_t)rights };

	return t_batch(view, cmd, &op, 1, 0, NULL);
}

int t_bind(const struct view *view, uint32_t page, uint32_t count, uint32_t frame, uint32_t rights)
{
	return one(view, EXO_MEM_BIND, page, count, frame, rights);
}

int t_unbind(const struct view *view, uint32_t page, uint32_t count)
{
	return one(view, EXO_MEM_UNBIND, page, count, 0, 0);
}

int t_rebind(const struct view *view, uint32_t page, uint32_t count, uint32_t frame, uint32_t rights)
{
	return one(view, EXO_MEM_REBIND, page, count, frame, rights);
}

int t_protect(const struct view *view, uint32_t page, uint32_t count, uint32_t rights)
{
	return one(view, EXO_MEM_PROTECT, page, count, 0, rights);
}

int t_flush(const struct view *view)
{
	struct exo_mem_view arg = { .size = sizeof(arg), .view = view->id };

	return t_ioctl(view->fd, EXO_MEM_FLUSH, &arg);
}

int t_harvest(const struct view *view, uint32_t page, uint32_t count, uint32_t flags, uint8_t *bits,
	      uint32_t *accessed, uint32_t *dirty)
{
	struct exo_mem_harvest arg = { .size = sizeof(arg), .flags = flags, .view = view->id,
				       .page = page, .count = count, .bits = (uintptr_t)bits };
	int ret = t_ioctl(view->fd, EXO_MEM_HARVEST, &arg);

	if (accessed)
		*accessed = arg.out_accessed;
	if (dirty)
		*dirty = arg.out_dirty;
	return ret;
}

int t_wake(const struct view *view, uint32_t page, uint32_t count)
{
	struct exo_mem_wake arg = { .size = sizeof(arg), .view = view->id, .page = page,
				    .count = count };

	return t_ioctl(view->fd, EXO_MEM_WAKE, &arg);
}

/* ---- accesses that may fail --------------------------------------------------------------------- */

static __thread sigjmp_buf escape;
static __thread volatile sig_atomic_t escape_armed;

static void on_fault(int sig)
{
	if (escape_armed) {
		escape_armed = 0;
		siglongjmp(escape, sig);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_faults(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int t_load(const volatile void *addr, uint64_t *value)
{
	int sig;

	catch_faults();
	sig = sigsetjmp(escape, 1);
	if (sig)
		return sig;
	escape_armed = 1;
	*value = *(const volatile uint64_t *)addr;
	escape_armed = 0;
	return 0;
}

int t_store(volatile void *addr, uint64_t value)
{
	int sig;

	catch_faults();
	sig = sigsetjmp(escape, 1);
	if (sig)
		return sig;
	escape_armed = 1;
	*(volatile uint64_t *)addr = value;
	escape_armed = 0;
	return 0;
}

int t_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ret = -errno;
	close(fd);
	return ret;
}
