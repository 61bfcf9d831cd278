// SPDX-License-Identifier: GPL-2.0
/*
 * A disk comes to a machine where the same numbers may be other users. With a map of uids all roots and templates get
 * their owners of this machine, in one transaction, before anybody can use the disk (INV-XN-31).
 *
 * Most maps can't be applied twice: 1000 becomes 1001, and 1001 becomes 1000. So the transaction also says which map it
 * was, and where. Whoever attaches the disk there again with the same map, after a crash or at each boot, finds that it
 * is done. Once it was attached on another machine, its numbers are that one's: then any map is applied.
 */
#include "core/xn_core.h"

/**
 * exo_xn_uids_tidy() - a map as others can use it
 * @uids: ranges; afterwards in order, and such that continue each other are one
 * @nr: how many; at most EXO_XN_UIDS
 *
 * Context: any. Return: 0; -EINVAL: a range that is empty or has EXO_XN_NOBODY, or two that begin with the same uid.
 */
int exo_xn_uids_tidy(struct exo_xn_uids *uids, u32 *nr)
{
	struct exo_xn_uids one, *last = uids;
	u32 i, k;

	if (*nr > EXO_XN_UIDS)
		return -EINVAL;
	for (i = 0; i < *nr; i++) {
		one = uids[i];
		if (one.reserved || !one.count || one.count > EXO_XN_NOBODY - one.from ||
		    one.count > EXO_XN_NOBODY - one.to)
			return -EINVAL;
		for (k = i; k && uids[k - 1].from > one.from; k--)
			uids[k] = uids[k - 1];
		uids[k] = one;
	}
	for (i = 1; i < *nr; i++) {
		one = uids[i];
		if (one.from - last->from < last->count)
			return -EINVAL;
		if (one.from - last->from == last->count && one.to == last->to + last->count)
			last->count += one.count;
		else
			*++last = one;
	}
	*nr = *nr ? last - uids + 1 : 0;
	return 0;
}

/**
 * exo_xn_uids_to() - who a uid is by a map
 * @uids: tidied
 * @nr: ranges
 * @uid: any
 *
 * Context: any. Return: a uid; EXO_XN_NOBODY: it isn't in the map.
 */
u32 exo_xn_uids_to(const struct exo_xn_uids *uids, u32 nr, u32 uid)
{
	u32 i;

	for (i = 0; i < nr && uids[i].from <= uid; i++)
		if (uid - uids[i].from < uids[i].count)
			return uids[i].to + (uid - uids[i].from);
	return EXO_XN_NOBODY;
}

/* The table's entry of what gets another owner: 256 bytes, aligned to 8. */
void exo_xn_owner_entry(struct exo_xn *xn, const struct exo_xn_owner *owner, void *entry)
{
	struct exo_xn_template_core t;
	struct exo_xn_root_core root;

	if (owner->root) {
		root = xn->roots[owner->number]->pub;
		root.uid = owner->to;
		exo_xn_root_build(xn->host->crc, xn->seed, entry, &root, xn->roots[owner->number]->state);
		return;
	}
	t = *xn->templates[owner->number];
	t.uid = owner->to;
	exo_xn_template_build(xn->host->crc, xn->seed, entry, &t);
}

static void add(struct exo_xn_owners *owners, struct exo_xn_arrival *arrival, bool root, u32 number, u32 uid)
{
	struct exo_xn_owner *owner = &owners->at[owners->nr++];

	owner->root = root;
	owner->number = number;
	owner->was = uid;
	owner->to = exo_xn_uids_to(arrival->uids, arrival->nr, uid);
	if (owner->to == uid)
		return;
	arrival->changed++;
	arrival->nobody += owner->to == EXO_XN_NOBODY;
}

static void collect(struct exo_xn *xn, struct exo_xn_owners *owners, struct exo_xn_arrival *arrival)
{
	u32 i;

	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i])
			add(owners, arrival, true, i, xn->roots[i]->pub.uid);
	for (i = 1; i <= EXO_XN_TEMPLATES; i++)
		if (xn->templates[i])
			add(owners, arrival, false, i, xn->templates[i]->uid);
}

/* A limit goes with its user. Of two who become one the larger: 0 is none, and more than any. */
static void add_limit(struct exo_xn_quotas *quotas, u32 uid, u64 blocks)
{
	u32 i = 0, n;

	while (i < quotas->nr && quotas->uid[i] < uid)
		i++;
	if (i < quotas->nr && quotas->uid[i] == uid) {
		if (quotas->blocks[i] && (!blocks || blocks > quotas->blocks[i]))
			quotas->blocks[i] = blocks;
		return;
	}
	for (n = quotas->nr++; n > i; n--) {
		quotas->uid[n] = quotas->uid[n - 1];
		quotas->blocks[n] = quotas->blocks[n - 1];
	}
	quotas->uid[i] = uid;
	quotas->blocks[i] = blocks;
}

static void collect_limits(struct exo_xn *xn, struct exo_xn_owners *owners, const struct exo_xn_arrival *arrival)
{
	u32 i, to;

	owners->quotas.all = xn->quotas.all;
	for (i = 0; i < xn->quotas.nr; i++) {
		to = exo_xn_uids_to(arrival->uids, arrival->nr, xn->quotas.uid[i]);
		if (to != EXO_XN_NOBODY)
			add_limit(&owners->quotas, to, xn->quotas.blocks[i]);
	}
}

static u64 limit_of(const struct exo_xn_quotas *quotas, u32 uid)
{
	u32 i;

	for (i = 0; i < quotas->nr; i++)
		if (quotas->uid[i] == uid)
			return quotas->blocks[i];
	return quotas->all;
}

static int clash(struct exo_xn_arrival *arrival, const struct exo_xn_owner *a, const struct exo_xn_owner *b, int ret)
{
	arrival->uid[0] = a->was;
	arrival->uid[1] = b->was;
	arrival->to = a->to;
	return ret;
}

/* Names of a uid's templates differ, also of two who become one. */
static int same_names(struct exo_xn *xn, const struct exo_xn_owners *owners, struct exo_xn_arrival *arrival)
{
	const struct exo_xn_owner *a, *b, *end = owners->at + owners->nr;
	const char *both;

	for (a = owners->at; a < end; a++) {
		if (a->root || a->to == EXO_XN_NOBODY)
			continue;
		both = xn->templates[a->number]->name;
		for (b = a + 1; b < end; b++) {
			if (b->to != a->to || b->was == a->was ||
			    __builtin_memcmp(xn->templates[b->number]->name, both, EXO_XN_NAME))
				continue;
			__builtin_memcpy(arrival->name, both, EXO_XN_NAME);
			return clash(arrival, a, b, -EEXIST);
		}
	}
	return 0;
}

/* Two or more who become one have no more together than one may. Who has more alone keeps it. */
static int too_much(struct exo_xn *xn, const struct exo_xn_owners *owners, const struct exo_xn_owner *first,
		    struct exo_xn_arrival *arrival)
{
	const struct exo_xn_owner *other = NULL, *at, *end = owners->at + owners->nr;
	u64 limit = limit_of(&owners->quotas, first->to);
	const struct exo_xn_template_core *t;
	u64 blocks = 0, bytes = 0;
	u32 templates = 0;

	for (at = first; at < end; at++) {
		if (at->to != first->to)
			continue;
		other = other || at->was == first->was ? other : at;
		if (at->root) {
			blocks += xn->roots[at->number]->pub.blocks + xn->roots[at->number]->pub.waiting;
			continue;
		}
		t = xn->templates[at->number];
		blocks += t->blocks;
		bytes += t->length;
		templates++;
	}
	if (!other || (templates <= EXO_XN_UID_TEMPLATES && bytes <= EXO_XN_UID_CONTENT &&
		       (!limit || blocks <= limit)))
		return 0;
	return clash(arrival, first, other, -EDQUOT);
}

static int all_quotas(struct exo_xn *xn, const struct exo_xn_owners *owners, struct exo_xn_arrival *arrival)
{
	const struct exo_xn_owner *at, *before, *end = owners->at + owners->nr;
	int ret = 0;

	for (at = owners->at; !ret && at < end; at++) {
		for (before = owners->at; before < at && before->to != at->to; before++)
			;
		if (before == at && at->to != EXO_XN_NOBODY)
			ret = too_much(xn, owners, at, arrival);
	}
	return ret;
}

/* Half of a SHA-256. */
static void name(struct exo_xn *xn, const void *bytes, size_t length, u8 out[16])
{
	u8 hash[32];

	xn->host->hash(bytes, length, hash);
	__builtin_memcpy(out, hash, 16);
}

/* Nobody reads from the disk what a machine's id is. */
static void name_machine(struct exo_xn *xn, const u8 machine[16], u8 out[16])
{
	u8 bytes[32];

	__builtin_memcpy(bytes, xn->uuid, 16);
	__builtin_memcpy(bytes + 16, machine, 16);
	name(xn, bytes, sizeof(bytes), out);
}

static int map(struct exo_xn *xn, struct exo_xn_arrival *arrival, struct exo_xn_owners *owners)
{
	int ret;

	collect(xn, owners, arrival);
	collect_limits(xn, owners, arrival);
	ret = same_names(xn, owners, arrival);
	if (!ret)
		ret = all_quotas(xn, owners, arrival);
	if (!ret)
		ret = exo_xn_commit_owners(xn, owners);
	arrival->mapped = !ret;
	if (ret) {
		arrival->changed = 0;
		arrival->nobody = 0;
	}
	return ret;
}

static int map_once(struct exo_xn *xn, struct exo_xn_arrival *arrival, const u8 machine[16])
{
	struct exo_xn_owners *owners = exo_xn_alloc(xn, sizeof(*owners));
	int ret = 0;

	if (!owners)
		return -ENOMEM;
	__builtin_memcpy(owners->machine, machine, sizeof(owners->machine));
	name(xn, arrival->uids, arrival->nr * sizeof(*arrival->uids), owners->uids);
	arrival->before = !arrival->again && !__builtin_memcmp(xn->machine, machine, 16) &&
			  !__builtin_memcmp(xn->uids, owners->uids, 16);
	if (!arrival->before)
		ret = map(xn, arrival, owners);
	exo_xn_mem_free(xn, owners);
	return ret;
}

/**
 * exo_xn_arrive() - where a disk was attached
 * @xn: disk that was attached just now; nobody uses it
 * @arrival: the machine, and a map of its owners
 *
 * When this fails nothing changed hands, but for -EIO: then all may have, or nothing, and the next attach finds out.
 *
 * Context: disk lock; allocates, writes. Return: 0; -EINVAL: a map, and no machine; -EEXIST, -EDQUOT: two owners can't
 * become one, see @arrival; -ENOSPC: the log is too short for all that would change; -ENOMEM; -EIO.
 */
int exo_xn_arrive(struct exo_xn *xn, struct exo_xn_arrival *arrival)
{
	static const u8 none[16];
	u8 machine[16];
	bool elsewhere;
	int ret = 0;

	if (!__builtin_memcmp(arrival->machine, none, sizeof(arrival->machine)))
		return arrival->map ? -EINVAL : 0;
	name_machine(xn, arrival->machine, machine);
	elsewhere = __builtin_memcmp(xn->machine, machine, sizeof(machine));
	arrival->moved = elsewhere && __builtin_memcmp(xn->machine, none, sizeof(none));
	if (arrival->map)
		ret = map_once(xn, arrival, machine);
	if (ret)
		return ret;
	if (elsewhere && !arrival->mapped) {
		/* From now on the numbers are taken for this machine's: no map was applied to these. */
		__builtin_memcpy(xn->machine, machine, sizeof(machine));
		__builtin_memset(xn->uids, 0, sizeof(xn->uids));
	}
	return elsewhere || arrival->mapped ? exo_xn_checkpoint(xn) : 0;
}
