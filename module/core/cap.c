// SPDX-License-Identifier: GPL-2.0
#include "core/cap.h"

/**
 * exo_cap_words() - what the MAC is computed over
 * @cap: capability
 * @words: kind, rights and reserved; object; generation
 *
 * Injective: two capabilities that differ before the MAC have different words.
 */
void exo_cap_words(const struct exo_cap *cap, u64 words[EXO_CAP_WORDS])
{
	words[0] = (u64)cap->reserved << 32 | (u32)cap->rights << 16 | cap->kind;
	words[1] = cap->object;
	words[2] = cap->generation;
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
bool exo_cap_mac_equal(u64 a, u64 b)
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
bool exo_cap_form_ok(const struct exo_cap *cap, u16 kind)
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
int exo_cap_allows(const struct exo_cap *cap, u64 generation, u32 rights)
{
	if (cap->generation != generation)
		return -ESTALE;
	if (rights & ~(u32)cap->rights)
		return -EACCES;
	return 0;
}

/**
 * exo_cap_weaken() - a weaker capability from one that is authentic and fresh
 * @from: needs EXO_RIGHT_DERIVE
 * @rights: subset of @from's
 * @to: everything but the MAC is filled in; untouched on error
 *
 * Return: 0; -EINVAL if @rights are none or unknown; -EACCES if @from doesn't have them, or may not
 * be derived from.
 */
int exo_cap_weaken(const struct exo_cap *from, u32 rights, struct exo_cap *to)
{
	if (!rights || (rights & ~EXO_RIGHTS_ALL))
		return -EINVAL;
	if ((rights | EXO_RIGHT_DERIVE) & ~(u32)from->rights)
		return -EACCES;
	*to = *from;
	to->rights = rights;
	to->mac = 0;
	return 0;
}

/**
 * exo_cap_decay() - recent failures after some time without one
 * @failures: count at the last failure
 * @elapsed_ms: time since
 *
 * Return: the count now.
 */
u32 exo_cap_decay(u32 failures, u64 elapsed_ms)
{
	u64 forgotten = elapsed_ms / EXO_CAP_FORGET_MS;

	return forgotten >= failures ? 0 : failures - (u32)forgotten;
}

/**
 * exo_cap_delay_ms() - what a failure costs
 * @failures: recent failures, this one included
 *
 * Return: milliseconds to sleep.
 */
u32 exo_cap_delay_ms(u32 failures)
{
	u32 over;

	if (failures <= EXO_CAP_FREE_FAILURES)
		return 0;
	over = failures - EXO_CAP_FREE_FAILURES;
	return over < EXO_CAP_DELAY_MAX_MS ? over : EXO_CAP_DELAY_MAX_MS;
}
