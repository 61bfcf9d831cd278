/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The plainest model of a disk of xn's: who has which block, what the units are, what was committed. It says what
 * each call must return, in the order in which the contract (uapi/exo/xn.h, docs/xn.md) asks, and what is so afterwards.
 */
#ifndef EXO_XN_MODEL_H
#define EXO_XN_MODEL_H

#include "xn_sim.h"

#define M_BLOCKS 420U		/* of the device */
#define M_ROOTS 8U
#define M_UNITS 48U
#define M_POINTERS 8U		/* of a unit: more don't fit into its model */
#define M_STEPS 6U
#define M_UID 1000U		/* users are this one and the next; the admin is 0 */
#define M_USERS 3U

struct m_pointer {
	u64 block;
	u32 count;	/* 0: none */
	u32 slot;
};

struct m_unit {
	u32 root;	/* 1 + its index; 0: none */
	u64 block;
	u32 mode;	/* enum sim_mode */
	u32 payload;
	struct m_pointer at[M_POINTERS];
};

struct m_root {
	bool used;
	bool temporary;
	bool key;
	u32 uid;
	u32 number;
	u64 block;
	u64 max;
	char name[EXO_XN_NAME];
};

struct m_block {
	u32 root;	/* 1 + index; 0: nobody's */
	u32 refs;
	u32 waiting;	/* 1 + index of who freed it */
	bool written;
};

struct m_state {
	struct m_root root[M_ROOTS];
	struct m_unit unit[M_UNITS];
	struct m_block block[M_BLOCKS];
};

/* What one step asks for. */
struct m_step {
	u32 kind;
	u64 parent;
	u64 block;
	u64 from;
	u32 count;
	u32 slot;
	bool lie;	/* the unit's bytes say nothing of it */
};

struct model {
	struct m_state now;
	struct m_state done;	/* as committed */
	u64 blocks;
	u64 first;
	u64 limit[M_USERS];	/* 0: none */
	bool own[M_USERS];	/* else it is the default's */
	u64 all;
	u32 grown;		/* times since the attach */
};

struct m_who {
	u32 uid;
	bool admin;
	bool key;
};

struct m_unit *m_unit_at(struct m_state *s, u64 block);
bool m_is_free(const struct model *m, u64 block);
u64 m_blocks_of(const struct model *m, u32 root);
u64 m_blocks_of_uid(const struct model *m, u32 uid);
/* What a uid may still have; ~0: no limit. */
u64 m_room(const struct model *m, u32 uid);
/* The unit's bytes as they must be. */
void m_bytes(const struct m_unit *unit, u8 *bytes);
/* May he, asking the unit as it was before? */
bool m_may(const struct m_state *s, const struct m_unit *unit, const struct m_who *who, u32 right);
/* Do all steps, or none; what the engine must say. @either: or -EBUSY, or -EINVAL; NULL: owns isn't compared. */
int m_apply(struct model *m, const struct m_who *who, u32 root, const struct m_step *steps, u32 nr, bool *either);
void m_commit(struct model *m, u32 root);
void m_delete(struct model *m, u32 root);
/* What a detach and an attach leave. */
void m_again(struct model *m);

#endif
