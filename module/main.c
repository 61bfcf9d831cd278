// SPDX-License-Identifier: GPL-2.0
/*
 * The init / exit ladder.
 */
#include <linux/module.h>

static int __init exo_init(void)
{
	return 0;
}

static void __exit exo_exit(void)
{
}

module_init(exo_init);
module_exit(exo_exit);

MODULE_DESCRIPTION("An exokernel as a loadable module");
MODULE_LICENSE("GPL");
