// SPDX-License-Identifier: GPL-2.0
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fault-inject.h>
#include <linux/kernel.h>

#include "mem/fail.h"

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS

static const char *const names[] = {
	[EXO_FAIL_GROW] = "fail_exo_grow",
	[EXO_FAIL_PIN] = "fail_exo_pin",
	[EXO_FAIL_TAKER] = "fail_exo_taker",
};

static struct fault_attr attrs[] = {
	[EXO_FAIL_GROW] = FAULT_ATTR_INITIALIZER,
	[EXO_FAIL_PIN] = FAULT_ATTR_INITIALIZER,
	[EXO_FAIL_TAKER] = FAULT_ATTR_INITIALIZER,
};

static struct dentry *dirs[ARRAY_SIZE(attrs)];

/**
 * exo_fail() - is this to fail now?
 * @what: what
 *
 * Not if only the task's fail-nth says so: that is for the allocations of Linux.
 *
 * Context: any.
 * Return: true if it is.
 */
bool exo_fail(enum exo_fail what)
{
	return READ_ONCE(attrs[what].probability) && should_fail(&attrs[what], 1);
}

/**
 * exo_fail_init() - at module load
 *
 * A directory that can't be made is one that nobody can write to.
 */
void exo_fail_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		attrs[i].verbose = 0;
		dirs[i] = fault_create_debugfs_attr(names[i], NULL, &attrs[i]);
	}
}

/**
 * exo_fail_exit() - at unload
 */
void exo_fail_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(attrs); i++)
		if (!IS_ERR_OR_NULL(dirs[i]))
			debugfs_remove(dirs[i]);
}

#endif
