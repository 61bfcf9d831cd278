/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Capabilities: 32 bytes, self-authenticating, sent through any channel as plain bytes.
 *
 * The module keeps one secret key and, per object, a generation (64 bits, global, never reused).
 * A capability is good if its MAC is right and its generation is the object's. Owners create them,
 * anyone who holds one with EXO_RIGHT_DERIVE makes weaker ones, and a new generation revokes all
 * that are out. A wrong one is EACCES, never a hint why; whoever keeps guessing is slowed down.
 */
#ifndef _UAPI_EXO_CAP_H
#define _UAPI_EXO_CAP_H

#include <exo/types.h>

enum exo_cap_kind {
	EXO_CAP_FRAME = 1,	/* object: frame number (of a 2 MiB frame: its first) */
	EXO_CAP_GRAFT = 2,	/* object: graft number; EXO_RIGHT_READ: attach it */
};

#define EXO_RIGHT_READ (1U << 0)
#define EXO_RIGHT_WRITE (1U << 1)
#define EXO_RIGHT_WINDOW (1U << 2)	/* map in a window too: I/O may pin the frame */
#define EXO_RIGHT_DERIVE (1U << 3)	/* make weaker capabilities */
#define EXO_RIGHT_REVOKE (1U << 4)	/* revoke all capabilities of the object */
#define EXO_RIGHTS_ALL 0x1fU

/**
 * struct exo_cap - a capability
 * @kind: enum exo_cap_kind
 * @rights: EXO_RIGHT_*
 * @reserved: 0
 * @object: what it names
 * @generation: the object's at the time of making
 * @mac: over all of the above
 */
struct exo_cap {
	__u16 kind;
	__u16 rights;
	__u32 reserved;
	__aligned_u64 object;
	__aligned_u64 generation;
	__aligned_u64 mac;
};

/**
 * struct exo_cap_create - EXO_CAP_CREATE: make a capability for an object that this environment owns
 */
struct exo_cap_create {
	__u32 size;
	__u32 flags;
	__u16 kind;
	__u16 rights;
	__u32 reserved;
	__aligned_u64 object;
	struct exo_cap out_cap;
};
#define EXO_CAP_CREATE _IO(EXO_TYPE, EXO_NR_CAP_CREATE)

/**
 * struct exo_cap_derive - EXO_CAP_DERIVE: a weaker one from one that is held
 * @rights: a subset of @cap's, which has EXO_RIGHT_DERIVE
 */
struct exo_cap_derive {
	__u32 size;
	__u32 flags;
	struct exo_cap cap;
	__u32 rights;
	__u32 reserved;
	struct exo_cap out_cap;
};
#define EXO_CAP_DERIVE _IO(EXO_TYPE, EXO_NR_CAP_DERIVE)

/**
 * struct exo_cap_revoke - EXO_CAP_REVOKE: all capabilities of an object become stale
 * @kind: with @object: by its owner; 0: @cap names it and has EXO_RIGHT_REVOKE
 *
 * Returns after the object is unmapped in every environment but its owner's.
 * EBUSY: it is revoked, but somebody who has it is just unmapping it, and takes his time.
 */
struct exo_cap_revoke {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 reserved;
	__aligned_u64 object;
	struct exo_cap cap;
};
#define EXO_CAP_REVOKE _IO(EXO_TYPE, EXO_NR_CAP_REVOKE)

/**
 * struct exo_cap_check - EXO_CAP_CHECK: is this good, for at least these rights?
 */
struct exo_cap_check {
	__u32 size;
	__u32 flags;
	struct exo_cap cap;
	__u32 rights;
	__u32 reserved;
};
#define EXO_CAP_CHECK _IO(EXO_TYPE, EXO_NR_CAP_CHECK)

#endif
