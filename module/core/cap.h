/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Capability decisions: form, comparison, weakening, and how long a guesser waits. What stands on
 * the way of every check is in line: a check is some hundred instructions, most of them the MAC's.
 */
#ifndef EXO_CORE_CAP_H
#define EXO_CORE_CAP_H

#include "core/types.h"

/* This many recent failures cost nothing: people mistype. */
#define EXO_CAP_FREE_FAILURES 16U
/* One failure is forgotten after so long. */
#define EXO_CAP_FORGET_MS 64U
/* The longest time that one failure costs. */
#define EXO_CAP_DELAY_MAX_MS 100U

int exo_cap_weaken(const struct exo_cap *from, u32 rights, struct exo_cap *to);
u32 exo_cap_decay(u32 failures, u64 elapsed_ms);
u32 exo_cap_delay_ms(u32 failures);

/**
 * exo_cap_word() - kind, rights and object as one word
 * @cap: capability
 *
 * With the generation this is what the MAC covers. It is all there is of a capability that
 * exo_cap_is_whole(): two that differ before the MAC differ in one of the two words.
 *
 * Return: the word.
 */
static inline u64 exo_cap_word(const struct exo_cap *cap)
{
	return cap->object << 32 | (u32)cap->rights << 16 | cap->kind;
}

/**
 * exo_cap_is_whole() - is there nothing in it that the MAC doesn't cover?
 * @cap: capability
 *
 * Objects have numbers of 32 bits. With others, or with something in the reserved field, it was not
 * made by the module, whatever its MAC.
 *
 * Return: true if nothing is.
 */
static inline bool exo_cap_is_whole(const struct exo_cap *cap)
{
	return !(cap->reserved | cap->object >> 32);
}

/**
 * exo_cap_mac_equal() - compare in constant time
 * @a: one MAC
 * @b: the other
 *
 * One 64-bit exclusive or and one comparison with zero: how many bytes agree can't be timed
 * (INV-CAP-4).
 *
 * Return: true if they are equal.
 */
static inline bool exo_cap_mac_equal(u64 a, u64 b)
{
	u64 diff = a ^ b;

	/* Keeps the compiler from comparing piecewise. */
	__asm__("" : "+r" (diff));
	return diff == 0;
}

/**
 * exo_cap_form_ok() - could the module have made this?
 * @cap: capability
 * @kind: the kind it must have, 0 for any
 *
 * Return: true if kind, rights and reserved are such.
 */
static inline bool exo_cap_form_ok(const struct exo_cap *cap, u16 kind)
{
	if (kind && cap->kind != kind)
		return false;
	return cap->kind && !cap->reserved && cap->rights && !(cap->rights & ~EXO_RIGHTS_ALL);
}

/**
 * exo_cap_allows() - is an authentic capability good for these rights now?
 * @cap: its MAC has been found right
 * @generation: the object's now
 * @rights: EXO_RIGHT_* that are needed
 *
 * Return: 0; -ESTALE if it was revoked; -EACCES if a right is missing.
 */
static inline int exo_cap_allows(const struct exo_cap *cap, u64 generation, u32 rights)
{
	if (cap->generation != generation)
		return -ESTALE;
	if (rights & ~(u32)cap->rights)
		return -EACCES;
	return 0;
}

#endif
