// SPDX-License-Identifier: GPL-2.0
/*
 * The init / exit ladder: each step needs those above it.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "dev.h"
#include "env/env.h"

static int __init exo_init(void)
{
	int ret;

	ret = exo_nouns_init();
	if (ret)
		return ret;
	ret = exo_dev_init();
	if (ret)
		goto err_nouns;
	return 0;

err_nouns:
	exo_nouns_exit();
	return ret;
}

/*
 * Every open file holds the module, so no environment lives. What may still be under way is the
 * freeing of the last ones.
 */
static void __exit exo_exit(void)
{
	exo_dev_exit();
	/* Who gave up his reference in a task work (upcall.c) has left it, instructions and all. */
	synchronize_rcu_tasks();
	exo_envs_flush();
	exo_nouns_exit();
}

module_init(exo_init);
module_exit(exo_exit);

MODULE_DESCRIPTION("An exokernel as a loadable module");
MODULE_LICENSE("GPL");
