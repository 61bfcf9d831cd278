// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Frames that the processes of a volume share. Each page of what they share is the memory of an entry in the buffer registry
 * (EXO_XN_ENTRY_MEMORY). An entry is named by a block of the volume: so the volume has a file of its own for that, of which
 * nothing is ever read or written. Whoever passes the volume's `owns` and `acl` finds the same frames, zeroed
 * when nobody had them, and gone when the last one has.
 *
 * A frame that is taken by force is unbound from everybody's view; nobody gets another by its name before all have given it up.
 * To touch it is SIGBUS: the handler puts private memory in place of the whole view, which says "lost" wherever it is
 * looked at. The VFS then does no more I/O for the volume in this process (V8), so nothing that was made
 * of that memory is seen by anybody.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vfs.h"

static struct share *shares;	/* all there ever were */
static struct sigaction before;	/* who had SIGBUS before */

/* The loss of a frame --------------------------------------------------------------------------- */

void frames_lose(struct share *share)
{
	if (__atomic_exchange_n(&share->lost, 1, __ATOMIC_ACQ_REL))
		return;
	if (mmap(share->base, share->length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
	memset(share->base, 0xff, (size_t)SHARE_HEAD_PAGES * VFS_BLOCK);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signal, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(signal);
	} else {
		/* The access is done again, or the signal sent again. */
		sigaction(SIGBUS, &before, NULL);
		if (info->si_code <= 0)
			raise(signal);
	}
}

static void on_bus(int signal, siginfo_t *info, void *context)
{
	struct share *share = __atomic_load_n(&shares, __ATOMIC_ACQUIRE);
	int saved = errno;
	char *base;

	for (; share && info->si_code > 0; share = share->next) {
		base = __atomic_load_n(&share->base, __ATOMIC_ACQUIRE);
		if (!base || (size_t)((char *)info->si_addr - base) >= share->length)
			continue;
		frames_lose(share);
		errno = saved;
		return;
	}
	pass_on(signal, info, context);
	errno = saved;
}

static int listen(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static bool done;

	if (done)
		return 0;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &before))
		return -errno;
	done = true;
	return 0;
}

/* A SIGBUS that is blocked ends the process. */
void frames_in_thread(void)
{
	sigset_t bus;

	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
}

/* Pages ---------------------------------------------------------------------------------------- */

static void put(struct share *share, uint32_t page)
{
	if (!share->entry[page])
		return;
	/* With the last number the frame is gone: then there is nothing to drop. */
	exo_mem_drop(vfs.env, &share->frame[page], 1, NULL);
	exo_xn_unbind(vfs.xn, share->entry[page]);
	share->entry[page] = 0;
}

void frames_put(struct share *share, uint32_t page, uint32_t count)
{
	for (; count; count--, page++)
		put(share, page);
}

static int make_entry(struct volume *volume, uint64_t unit, uint64_t block, struct exo_xn_entry *out)
{
	return exo_xn_entry(vfs.xn, volume->root, unit, block, EXO_RIGHT_READ | EXO_RIGHT_WRITE,
			    EXO_XN_ENTRY_MEMORY, out);
}

/* A number of a page's entry. */
static int find_entry(struct volume *volume, uint32_t page, struct exo_xn_entry *out)
{
	uint64_t unit, block;
	int ret;

	ret = extent_where(volume->names, page, &unit, &block);
	if (!ret)
		ret = make_entry(volume, unit, block, out);
	if (ret == -ENOENT) {
		ret = extent_path(volume->names);
		if (!ret)
			ret = make_entry(volume, unit, block, out);
	}
	return ret;
}

static int get(struct share *share, uint32_t page)
{
	struct exo_xn_entry entry;
	int ret;

	ret = find_entry(share->volume, page, &entry);
	if (ret)
		return ret;
	share->entry[page] = entry.out_entry;
	share->frame[page] = entry.out_frame;
	ret = exo_view_bind1(share->view, page, entry.out_frame, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	if (ret)
		put(share, page);
	return ret;
}

int frames_get(struct share *share, uint32_t page, uint32_t count)
{
	uint32_t i;
	int ret;

	for (i = 0; i < count; i++) {
		if (share->entry[page + i])
			continue;
		ret = get(share, page + i);
		/* What all use goes before what is only cached here. */
		if ((ret == -ENOSPC || ret == -EDQUOT) && cache_give(count - i))
			ret = get(share, page + i);
		if (ret) {
			frames_put(share, page, i);
			return ret;
		}
	}
	cache_listen(0);
	return 0;
}

/* Others have another frame by this page's name, or are told that it was taken. It may still be mapped here. */
static bool is_gone(struct share *share, uint32_t page)
{
	struct exo_xn_entry again;
	bool other;
	int ret;

	ret = find_entry(share->volume, page, &again);
	if (ret)
		return ret == -ESTALE;
	other = again.out_frame != share->frame[page];
	if (other)
		exo_mem_drop(vfs.env, &again.out_frame, 1, NULL);
	exo_xn_unbind(vfs.xn, again.out_entry);
	return other;
}

void frames_told(struct share *share, uint32_t frame)
{
	uint32_t page;

	for (page = 0; page < SHARE_PAGES; page++)
		if (share->entry[page] && share->frame[page] == frame && is_gone(share, page))
			break;
	if (page < SHARE_PAGES)
		frames_lose(share);
}

/* Views ---------------------------------------------------------------------------------------- */

/* One that isn't used: they stay in the list. */
static struct share *share_new(void)
{
	struct share *share = shares;

	while (share && share->base)
		share = share->next;
	if (share)
		return share;
	share = calloc(1, sizeof(*share));
	if (!share)
		return NULL;
	share->next = shares;
	__atomic_store_n(&shares, share, __ATOMIC_RELEASE);
	return share;
}

int frames_open(struct volume *volume, struct share **out_share)
{
	struct share *share = share_new();
	int ret;

	if (!share)
		return -ENOMEM;
	ret = listen();
	if (!ret)
		ret = exo_view_create(vfs.env, &EXO_OPTS(exo_view, .pages = SHARE_PAGES), &share->view);
	if (ret)
		return ret;
	memset(share->entry, 0, sizeof(share->entry));
	share->volume = volume;
	share->lost = 0;
	share->length = exo_view_length(share->view);
	share->left = false;
	__atomic_store_n(&share->base, exo_view_base(share->view), __ATOMIC_RELEASE);
	*out_share = share;
	return 0;
}

void frames_close(struct share *share)
{
	frames_put(share, 0, SHARE_PAGES);
	__atomic_store_n(&share->base, NULL, __ATOMIC_RELEASE);
	exo_view_destroy(share->view);
	share->view = NULL;
}
