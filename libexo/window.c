// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Windows: frames at fixed places. The kernel can pin what a window shows, so it serves O_DIRECT
 * and registered buffers, which a view can't.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "lib.h"

struct place {
	uint32_t frame;
	uint32_t index;
};

/**
 * struct exo_window
 * @places: where each frame is, sorted by frame; NULL if the frames are consecutive from @first
 */
struct exo_window {
	struct exo_env *env;
	char *base;
	uint32_t first;
	uint32_t count;
	struct place *places;
};

static int compare_places(const void *a, const void *b)
{
	uint32_t x = ((const struct place *)a)->frame, y = ((const struct place *)b)->frame;

	return (x > y) - (x < y);
}

static void sort_places(struct place *places, uint32_t count)
{
	int saved = errno;

	qsort(places, count, sizeof(*places), compare_places);
	errno = saved;
}

static struct exo_window *window_new(struct exo_env *env, uint32_t first, uint32_t count)
{
	struct exo_window *window = lib_zalloc(sizeof(*window));

	if (!window)
		return NULL;
	window->env = env;
	window->first = first;
	window->count = count;
	return window;
}

static void *map_run(struct exo_env *env, void *addr, uint32_t first, uint32_t count, int prot,
		     int flags)
{
	return sys_mmap(addr, (size_t)count * EXO_PAGE_SIZE, prot, MAP_SHARED | flags, env->fd,
			EXO_MMAP_WINDOW + ((uint64_t)first << EXO_PAGE_SHIFT));
}

/**
 * exo_window_map() - map consecutive frames
 * @env: owns them, or imported them with EXO_RIGHT_WINDOW
 * @first: first frame
 * @count: how many
 * @prot: PROT_READ, with or without PROT_WRITE
 * @out_window: the window, until exo_window_unmap()
 *
 * Return: 0; -EACCES: a frame may not be mapped here; -EINVAL; -ENOMEM. Thread-safe.
 */
EXPORT int exo_window_map(struct exo_env *env, uint32_t first, uint32_t count, int prot,
			  struct exo_window **out_window)
{
	struct exo_window *window;
	int ret;

	if (!count)
		return -EINVAL;
	window = window_new(env, first, count);
	if (!window)
		return -ENOMEM;
	window->base = map_run(env, NULL, first, count, prot, 0);
	if (sys_is_err(window->base)) {
		ret = sys_err(window->base);
		lib_free(window);
		return ret;
	}
	env_get(env);
	*out_window = window;
	return 0;
}

static int map_places(struct exo_window *window, const uint32_t *frames, int prot)
{
	uint32_t done, run;
	void *at;

	for (done = 0; done < window->count; done += run) {
		for (run = 1; done + run < window->count; run++)
			if (frames[done + run] != frames[done] + run)
				break;
		at = map_run(window->env, window->base + (size_t)done * EXO_PAGE_SIZE,
			     frames[done], run, prot, MAP_FIXED);
		if (sys_is_err(at))
			return sys_err(at);
	}
	return 0;
}

/**
 * exo_window_map_frames() - map any frames side by side
 * @env: as for exo_window_map()
 * @frames: which, in the order in which they shall appear
 * @count: how many
 * @prot: PROT_READ, with or without PROT_WRITE
 * @out_window: the window, until exo_window_unmap()
 *
 * Each run of consecutive numbers is a mapping of its own, of which Linux allows a process 65,530,
 * and exo a user 16,384 (-EOVERFLOW).
 *
 * Return: 0; -EACCES: a frame may not be mapped here; -EINVAL; -ENOMEM. Thread-safe.
 */
EXPORT int exo_window_map_frames(struct exo_env *env, const uint32_t *frames, uint32_t count,
				 int prot, struct exo_window **out_window)
{
	struct exo_window *window;
	uint32_t i;
	int ret;

	if (!count)
		return -EINVAL;
	window = window_new(env, frames[0], count);
	if (!window)
		return -ENOMEM;
	ret = -ENOMEM;
	window->places = lib_zalloc(count * sizeof(*window->places));
	if (!window->places)
		goto err_free;
	for (i = 0; i < count; i++)
		window->places[i] = (struct place){ .frame = frames[i], .index = i };
	sort_places(window->places, count);

	window->base = sys_mmap(NULL, exo_window_length(window), PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_is_err(window->base)) {
		ret = sys_err(window->base);
		goto err_places;
	}
	ret = map_places(window, frames, prot);
	if (ret)
		goto err_unmap;
	env_get(env);
	*out_window = window;
	return 0;

err_unmap:
	sys_munmap(window->base, exo_window_length(window));
err_places:
	lib_free(window->places);
err_free:
	lib_free(window);
	return ret;
}

/**
 * exo_window_unmap() - unmap a window and free the handle
 * @window: the window; NULL is nothing
 *
 * The frames stay the environment's. Nobody else may be using @window.
 *
 * Return: 0 or -errno of munmap(2).
 */
EXPORT int exo_window_unmap(struct exo_window *window)
{
	int ret;

	if (!window)
		return 0;
	ret = sys_munmap(window->base, exo_window_length(window));
	if (ret)
		return ret;
	env_put(window->env);
	lib_free(window->places);
	lib_free(window);
	return 0;
}

/**
 * exo_window_base() - where a window begins
 * @window: the window
 *
 * Return: the address of its first frame. Async-signal-safe.
 */
EXPORT void *exo_window_base(const struct exo_window *window)
{
	return window->base;
}

/**
 * exo_window_length() - how long a window is
 * @window: the window
 *
 * Return: bytes. Async-signal-safe.
 */
EXPORT size_t exo_window_length(const struct exo_window *window)
{
	return (size_t)window->count * EXO_PAGE_SIZE;
}

/**
 * exo_window_addr() - where a frame is in a window
 * @window: the window
 * @frame: the frame
 *
 * Return: its address; NULL if the window does not show it. Async-signal-safe.
 */
EXPORT void *exo_window_addr(const struct exo_window *window, uint32_t frame)
{
	uint32_t low = 0, high = window->count;

	if (!window->places) {
		uint32_t index = frame - window->first;

		return index < window->count ? window->base + (size_t)index * EXO_PAGE_SIZE : NULL;
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (window->places[middle].frame < frame)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == window->count || window->places[low].frame != frame)
		return NULL;
	return window->base + (size_t)window->places[low].index * EXO_PAGE_SIZE;
}
