// SPDX-License-Identifier: GPL-2.0
#include "core/cap.h"

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
