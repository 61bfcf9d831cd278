/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Injection points of the module's own, for what a task's fail-nth doesn't reach: workers, and
 * what a caller falls back on. On a kernel with fault injection each kind is a directory in
 * debugfs, fail_exo_<kind>, as failslab is; elsewhere nothing of this is left.
 */
#ifndef EXO_MEM_FAIL_H
#define EXO_MEM_FAIL_H

/**
 * enum exo_fail - what is made to fail
 * @EXO_FAIL_GROW: an allocation when frames come into the pool; the caller is told, or tries another
 *	way
 * @EXO_FAIL_PIN: a frame that leaves its owner counts as pinned
 * @EXO_FAIL_TAKER: a worker that is to take frames gets nowhere and has to come back
 */
enum exo_fail {
	EXO_FAIL_GROW,
	EXO_FAIL_PIN,
	EXO_FAIL_TAKER,
};

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
bool exo_fail(enum exo_fail what);
void exo_fail_init(void);
void exo_fail_exit(void);
#else
static inline bool exo_fail(enum exo_fail what)
{
	return false;
}

static inline void exo_fail_init(void)
{
}

static inline void exo_fail_exit(void)
{
}
#endif

#endif
