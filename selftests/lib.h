/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The raw ABI, without libexo: what a hostile program would use. Functions return 0 or more, or
 * -errno; those that say "must" end the test on a failure.
 */
#ifndef EXO_TEST_LIB_H
#define EXO_TEST_LIB_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include <exo/exo.h>

#define PAGE 4096UL
#define HUGE_PAGE (512 * PAGE)
#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define RO EXO_RIGHT_READ
#define ALICE 1000
#define BOB 1001

/* $EXO_DEVICE, else /dev/exo */
const char *t_device(void);
/* Is there a device with at least this much free? If not, and root: grow the pool. Else says why. */
bool t_prepare(uint32_t frames, uint32_t huge, char *why, size_t len);

/* ---- environments ------------------------------------------------------------------------------ */

int t_open(void);				/* must */
int t_ioctl(int fd, unsigned long cmd, void *arg);
void t_info(int fd, struct exo_info *info);	/* must */
void t_status(int fd, struct exo_env_status *st);	/* must */
const struct exo_table *t_table(int fd);	/* must */
/* Must: the group of the device, and an ordinary user's credentials, for the rest of this process. */
void t_become(uid_t uid);
/* Ends the test with a SKIP unless this process is root. */
void t_need_root(void);
/* Ends it unless the module has all these features. */
void t_need_feature(int fd, uint64_t features, const char *what);
void t_quota_set(int fd, struct exo_quota *quota);	/* must */
struct exo_quota t_quota(int fd, uint32_t uid);		/* must */
/* Must: the uid is charged for so many frames, perhaps after a while, since workers give frames back. */
void t_wait_charged(int fd, uint32_t uid, uint64_t frames);
/* The environment's ring. */
struct exo_ring *t_ring(int fd);		/* must */
/* Wait up to test_limit_ms(ms) for an event of this type after *seen, which moves on: false if none came. */
bool t_event(struct exo_ring *ring, uint64_t *seen, uint32_t type, unsigned int ms,
	     struct exo_event *event);

/* ---- frames ------------------------------------------------------------------------------------ */

int t_alloc(int fd, uint32_t flags, uint32_t *frames, uint32_t count, uint32_t *done);
void t_alloc_any(int fd, uint32_t *frames, uint32_t count);	/* must */
uint32_t t_frame(int fd);					/* must: one frame */
uint32_t t_huge(int fd);					/* must, or SKIP if there is none */
int t_free(int fd, const uint32_t *frames, uint32_t count, uint32_t *done);
int t_free1(int fd, uint32_t frame);
int t_query(int fd, uint32_t first, uint32_t count, struct exo_frame_info *infos);
int t_pool(int fd, uint32_t flags, uint32_t frames, uint32_t *done);
int t_revoke(int fd, uint64_t env, uint32_t frames, uint32_t deadline_ms, uint32_t *asked);
int t_log(int fd, struct exo_mem_taken *entries, uint32_t count, uint32_t *left);

int t_cap(int fd, uint32_t frame, uint32_t rights, struct exo_cap *cap);
int t_cap_derive(int fd, const struct exo_cap *cap, uint32_t rights, struct exo_cap *out);
int t_cap_check(int fd, const struct exo_cap *cap, uint32_t rights);
int t_cap_revoke(int fd, const struct exo_cap *cap);
int t_cap_revoke_own(int fd, uint32_t frame);
int t_import(int fd, const struct exo_cap *cap, uint32_t *frame, uint32_t *rights);
int t_drop(int fd, uint32_t frame);

/* A window on frames; NULL on failure, with errno. */
void *t_window(int fd, uint32_t first, uint32_t count, int prot);
/* Write a frame's first words through a window of its own. Must. */
void t_fill(int fd, uint32_t frame, uint64_t value);
/* The same with n frames, the i-th with value + i, in one window. Must. */
void t_fill_each(int fd, const uint32_t *frames, uint32_t n, uint64_t value);
uint64_t t_peek(int fd, uint32_t frame);	/* must */

/* ---- views -------------------------------------------------------------------------------------- */

struct view {
	int fd;
	uint32_t id;
	uint32_t pages;
	uint64_t offset;
	uint64_t length;
	char *base;
	const uint64_t *slots;
};

int t_view_create(int fd, uint32_t pages, uint32_t flags, uint32_t stlb, struct view *view);
int t_view_destroy(const struct view *view);
/* Map at addr (MAP_FIXED) or at a place that is align bytes beyond a 2 MiB boundary. */
int t_view_map(struct view *view, void *addr, size_t align);
/* Must: create and map. */
void t_view(int fd, uint32_t pages, uint32_t flags, uint32_t stlb, struct view *view);
void t_view_end(struct view *view);		/* must: unmap and destroy */

int t_batch(const struct view *view, unsigned int cmd, struct exo_mem_op *ops, uint32_t count,
	    uint32_t flags, uint32_t *done);
int t_bind(const struct view *view, uint32_t page, uint32_t count, uint32_t frame, uint32_t rights);
int t_unbind(const struct view *view, uint32_t page, uint32_t count);
int t_rebind(const struct view *view, uint32_t page, uint32_t count, uint32_t frame, uint32_t rights);
int t_protect(const struct view *view, uint32_t page, uint32_t count, uint32_t rights);
int t_flush(const struct view *view);
int t_harvest(const struct view *view, uint32_t page, uint32_t count, uint32_t flags, uint8_t *bits,
	      uint32_t *accessed, uint32_t *dirty);
int t_wake(const struct view *view, uint32_t page, uint32_t count);

static inline volatile uint64_t *t_page(const struct view *view, uint32_t page)
{
	return (volatile uint64_t *)(view->base + (uint64_t)page * PAGE);
}

/* ---- accesses that may fail --------------------------------------------------------------------- */

/* 0, or the signal that the access raised. */
int t_load(const volatile void *addr, uint64_t *value);
int t_store(volatile void *addr, uint64_t value);

/* Write text to a file of /proc or /sys: 0 or -errno. */
int t_write_file(const char *path, const char *text);

#endif
