/* SPDX-License-Identifier: GPL-2.0 */
/* The engine and its model side by side: who does something, where, and random changes. */
#ifndef EXO_XN_TWIN_H
#define EXO_XN_TWIN_H

#include "unit.h"
#include "xn_model.h"

struct twin {
	struct model m;
	struct sim *sim;
	struct exo_xn *xn;
	u32 template;
	u32 names;
	u64 ops;
	u64 refused;
	u64 seen[160];		/* by errno */
	u32 dirty[M_ROOTS];	/* changes since its last commit */
};

extern struct twin twin;

/* What the engine said, and what it had to say. */
void twin_expect(const char *what, int ret, int want);
struct m_who twin_who(void);
struct exo_xn_who twin_who_of(const struct m_who *who);
/* A root that is there, mostly; 1 + index. */
u32 twin_root(void);
/* NULL if it has none. */
struct m_unit *twin_unit(u32 root);
/* Everything of the root is known to the engine, as if it had been read. */
void twin_load(u32 root);
/* A change of some steps, possible or not. */
void twin_change(void);

#endif
