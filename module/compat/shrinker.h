/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/shrinker.h: since 6.7 a shrinker is allocated, filled in, and then registered, which can't
 * fail; before, registering could.
 */
#ifndef EXO_COMPAT_SHRINKER_H
#define EXO_COMPAT_SHRINKER_H

#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker) {
		shrinker->flags = flags;
		shrinker->seeks = DEFAULT_SEEKS;
	}
	return shrinker;
}

static inline int exo_shrinker_register(struct shrinker *shrinker, const char *name)
{
	return register_shrinker(shrinker, "%s", name);
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	/* Does nothing to one that was never registered. */
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#else
static inline int exo_shrinker_register(struct shrinker *shrinker, const char *name)
{
	shrinker_register(shrinker);
	return 0;
}
#endif

#endif
