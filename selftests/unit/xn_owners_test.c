// SPDX-License-Identifier: GPL-2.0
/* A disk that comes to another machine: which maps there can be, who owns what afterwards, and what is refused (INV-XN-31). */
#include "unit.h"
#include "xn_host.h"

#define QUOTA 20U

static const u8 zeros[EXO_XN_BLOCK];
static const struct exo_xn_who host_third = { .uid = 1002 };
static const struct exo_xn_who admin = { .uid = 0, .admin = true };

static int create(struct host *h, const struct exo_xn_who *who, const char *name, u32 *root)
{
	return exo_xn_root_create(h->xn, who, name, h->template, 0, 0, 0, NULL, zeros, sizeof(zeros), root);
}

static int add(struct host *h, const struct exo_xn_who *who, const char *name, u32 length, u32 *number)
{
	u8 *content = calloc(1, length);
	u32 refs[EXO_XN_REFS] = {}, func;
	struct exo_graft_error err;
	int ret;

	snprintf((char *)content, length, "%s of %u", name, who->uid);
	ret = exo_xn_template_add(h->xn, who, name, refs, 64, 512, content, length, &err, &func, number);
	free(content);
	return ret;
}

/* As an attach does it, on a machine that has this number. */
static int arrive_as(struct host *h, u8 machine, const struct exo_xn_uids *uids, u32 nr, bool again,
		     struct exo_xn_arrival *a)
{
	static struct exo_xn_uids copy[EXO_XN_UIDS];

	*a = (struct exo_xn_arrival){ .machine = { machine }, .map = uids, .again = again, .uids = copy, .nr = nr };
	if (nr)
		memcpy(copy, uids, nr * sizeof(*uids));
	CHECK_EQ(exo_xn_uids_tidy(copy, &a->nr), 0);
	return exo_xn_arrive(h->xn, a);
}

#define ARRIVE(h, machine, again, a, ...) \
	arrive_as(h, machine, (const struct exo_xn_uids[]){ __VA_ARGS__ }, \
		  sizeof((const struct exo_xn_uids[]){ __VA_ARGS__ }) / sizeof(struct exo_xn_uids), again, a)

#define SWAP { 1000, 1001, 1, 0 }, { 1001, 1000, 1, 0 }

static u32 owner(struct host *h, u32 root)
{
	return exo_xn_root(h->xn, root)->uid;
}

/* Maps ------------------------------------------------------------------------------------------ */

TEST(exo_xn_uids__maps_that_cannot_be)
{
	static const struct exo_xn_uids bad[] = {
		{ 1, 1, 0, 0 }, { 1, 1, 1, 1 }, { EXO_XN_NOBODY, 1, 1, 0 }, { 1, EXO_XN_NOBODY, 1, 0 },
		{ EXO_XN_NOBODY - 1, 1, 2, 0 }, { 1, EXO_XN_NOBODY - 1, 2, 0 }, { 1, 1, EXO_XN_NOBODY, 0 },
		{ EXO_XN_NOBODY, EXO_XN_NOBODY, EXO_XN_NOBODY, 0 },
	};
	struct exo_xn_uids uids[EXO_XN_UIDS + 1] = {};
	u32 i, nr;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		nr = 1;
		uids[0] = bad[i];
		CHECK_EQ(exo_xn_uids_tidy(uids, &nr), -EINVAL);
	}
	nr = 0;
	CHECK_EQ(exo_xn_uids_tidy(NULL, &nr), 0);
	CHECK_EQ(exo_xn_uids_to(NULL, 0, 0), EXO_XN_NOBODY);
	nr = EXO_XN_UIDS + 1;
	CHECK_EQ(exo_xn_uids_tidy(uids, &nr), -EINVAL);
	/* All that there are. */
	nr = 1;
	uids[0] = (struct exo_xn_uids){ 0, 0, EXO_XN_NOBODY, 0 };
	CHECK_EQ(exo_xn_uids_tidy(uids, &nr), 0);
	CHECK_EQ(exo_xn_uids_to(uids, 1, 0), 0);
	CHECK_EQ(exo_xn_uids_to(uids, 1, EXO_XN_NOBODY - 1), EXO_XN_NOBODY - 1);
	CHECK_EQ(exo_xn_uids_to(uids, 1, EXO_XN_NOBODY), EXO_XN_NOBODY);
	/* What continues is one range, in whatever order it came. */
	nr = 3;
	uids[0] = (struct exo_xn_uids){ 12, 22, 2, 0 };
	uids[1] = (struct exo_xn_uids){ 20, 24, 1, 0 };
	uids[2] = (struct exo_xn_uids){ 10, 20, 2, 0 };
	CHECK_EQ(exo_xn_uids_tidy(uids, &nr), 0);
	CHECK_EQ(nr, 2);
	CHECK_EQ(uids[0].count, 4);
}

/* Any ranges at either end of all uids: refused, or what the ranges say one by one. */
TEST(exo_xn_uids__as_the_ranges_say)
{
	struct exo_xn_uids uids[6], was[6];
	u32 round, i, k, nr, n, base, to, found, taken = 0;
	bool good;

	for (round = 0; round < unit_rounds(20000); round++) {
		n = nr = unit_below(7);
		base = unit_below(2) ? EXO_XN_NOBODY - 20 : 0;
		for (i = 0; i < n; i++)
			uids[i] = (struct exo_xn_uids){ base + unit_below(24), unit_below(2) ? base + unit_below(24) : unit_edge(),
							unit_below(20) ? unit_below(5) : unit_edge(), !unit_below(200) };
		memcpy(was, uids, sizeof(was));
		good = true;
		for (i = 0; i < n; i++) {
			good &= was[i].count && !was[i].reserved &&
				(u64)was[i].from + was[i].count <= EXO_XN_NOBODY &&
				(u64)was[i].to + was[i].count <= EXO_XN_NOBODY;
			for (k = 0; k < i; k++)
				good &= (u64)was[i].from + was[i].count <= was[k].from ||
					(u64)was[k].from + was[k].count <= was[i].from;
		}
		CHECK_EQ(exo_xn_uids_tidy(uids, &nr), good ? 0 : -EINVAL);
		taken += good;
		for (i = 0; good && i < 30; i++) {
			to = EXO_XN_NOBODY;
			for (k = 0; k < n; k++)
				if (base + i >= was[k].from && base + i - was[k].from < was[k].count)
					to = was[k].to + (base + i - was[k].from);
			found = exo_xn_uids_to(uids, nr, base + i);
			CHECK_EQ(found, to);
		}
	}
	CHECK(taken > round / 20);
}

/* Owners ---------------------------------------------------------------------------------------- */

/* Who was 1000 is 1001: he alone is let in, after a crash, too; and the map isn't applied twice. */
TEST(exo_xn_arrive__owners_change_places_once)
{
	struct exo_xn_arrival a;
	struct exo_xn_unit *unit;
	struct host h;
	u32 other, t;

	host_begin(&h);
	CHECK_EQ(create(&h, &host_other, "other", &other), 0);
	CHECK_EQ(add(&h, &host_other, "t", 64, &t), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), 0);
	CHECK(a.mapped && !a.before && !a.moved);
	CHECK_EQ(a.changed, 4);
	CHECK_EQ(a.nobody, 0);
	CHECK_EQ(owner(&h, h.root), 1001);
	CHECK_EQ(owner(&h, other), 1000);
	CHECK_EQ(exo_xn_template(h.xn, h.template)->uid, 1001);
	CHECK_EQ(exo_xn_template(h.xn, t)->uid, 1000);
	host_crash(&h);
	unit = host_load(&h, host_root_block(&h), host_root_block(&h));
	CHECK(!exo_xn_may(h.xn, unit, &host_user, EXO_XN_MAY_WRITE, EXO_XN_SELF, unit->block, 1));
	CHECK(exo_xn_may(h.xn, unit, &host_other, EXO_XN_MAY_WRITE, EXO_XN_SELF, unit->block, 1));
	/* At the next boot, after a crash, once more: in another order it is the same map. */
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1001, 1000, 1, 0 }, { 1000, 1001, 1, 0 }), 0);
	CHECK(a.before && !a.mapped && !a.changed);
	CHECK_EQ(owner(&h, h.root), 1001);
	/* Also when it was attached without a map here. */
	CHECK_EQ(arrive_as(&h, 1, NULL, 0, false, &a), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), 0);
	CHECK(a.before);
	/* Unless somebody says so; then home again, by the same map. */
	CHECK_EQ(ARRIVE(&h, 1, true, &a, SWAP), 0);
	CHECK(a.mapped);
	CHECK_EQ(owner(&h, h.root), 1000);
	CHECK_EQ(ARRIVE(&h, 2, false, &a, SWAP), 0);
	CHECK(a.mapped && a.moved);
	CHECK_EQ(owner(&h, h.root), 1001);
	/* Another map, on the same machine, is another matter. */
	CHECK_EQ(ARRIVE(&h, 2, false, &a, { 1000, 7, 1, 0 }, { 1001, 8, 1, 0 }), 0);
	CHECK(a.mapped && !a.moved);
	CHECK_EQ(owner(&h, h.root), 8);
	host_end(&h);
}

/* What happened to the numbers elsewhere isn't known: whatever was applied here before, a map is applied now. */
TEST(exo_xn_arrive__from_another_machine)
{
	struct exo_xn_arrival a;
	struct host h;

	host_begin(&h);
	CHECK_EQ(arrive_as(&h, 0, NULL, 0, false, &a), 0);
	CHECK(!a.moved);
	CHECK_EQ(ARRIVE(&h, 0, false, &a, SWAP), -EINVAL);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), 0);
	CHECK_EQ(owner(&h, h.root), 1001);
	CHECK_EQ(arrive_as(&h, 2, NULL, 0, false, &a), 0);
	CHECK(a.moved);
	CHECK_EQ(arrive_as(&h, 2, NULL, 0, false, &a), 0);
	CHECK(!a.moved);
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, 1000), 0);
	host_crash(&h);
	/* Back, by way of an attach without a map, which says that it was elsewhere. */
	CHECK_EQ(arrive_as(&h, 1, NULL, 0, false, &a), 0);
	CHECK(a.moved);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), 0);
	CHECK(a.mapped);
	CHECK_EQ(owner(&h, h.root), 1001);
	host_end(&h);
}

/* Who isn't listed: nobody is let in, though acl lets everybody read; of others' roots everybody may. */
TEST(exo_xn_arrive__who_is_not_listed_loses_it)
{
	struct exo_xn_arrival a;
	struct exo_xn_unit *unit;
	struct host h;
	u32 other, i;

	for (i = 0; i < 2; i++) {
		host_begin(&h);
		CHECK_EQ(create(&h, &host_other, "other", &other), 0);
		unit = host_load(&h, host_root_block(&h), host_root_block(&h));
		CHECK(exo_xn_may(h.xn, unit, &host_other, EXO_XN_MAY_READ, EXO_XN_SELF, unit->block, 1));
		if (i)
			CHECK_EQ(arrive_as(&h, 1, (void *)&host_ops, 0, false, &a), 0);
		else
			CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1001, 1000, 1, 0 }), 0);
		CHECK_EQ(a.changed, 3);
		CHECK_EQ(a.nobody, i ? 3 : 2);
		CHECK_EQ(owner(&h, h.root), EXO_XN_NOBODY);
		CHECK_EQ(owner(&h, other), i ? EXO_XN_NOBODY : 1000);
		CHECK_EQ(exo_xn_template(h.xn, h.template)->uid, EXO_XN_NOBODY);
		CHECK(!exo_xn_may(h.xn, unit, &host_user, EXO_XN_MAY_READ, EXO_XN_SELF, unit->block, 1));
		CHECK(!exo_xn_may(h.xn, unit, &host_other, EXO_XN_MAY_READ, EXO_XN_SELF, unit->block, 1));
		CHECK(exo_xn_may(h.xn, unit, &admin, EXO_XN_MAY_WRITE, EXO_XN_SELF, unit->block, 1));
		CHECK_EQ(exo_xn_root_delete(h.xn, &host_user, h.root), -EACCES);
		/* Nobody stays nobody, and an admin gives it to somebody. */
		CHECK_EQ(ARRIVE(&h, 2, false, &a, { 0, 5, EXO_XN_NOBODY - 5, 0 }), 0);
		CHECK_EQ(owner(&h, h.root), EXO_XN_NOBODY);
		CHECK_EQ(exo_xn_root_chown(h.xn, h.root, host_third.uid), 0);
		CHECK(exo_xn_may(h.xn, unit, &host_other, EXO_XN_MAY_READ, EXO_XN_SELF, unit->block, 1));
		CHECK(exo_xn_may(h.xn, unit, &host_third, EXO_XN_MAY_WRITE, EXO_XN_SELF, unit->block, 1));
		host_end(&h);
	}
}

/* Refused: who becomes one can't have two templates of a name, nor more than one may. All is as it was, on the disk, too. */
static void refuse(struct host *h, int want, struct exo_xn_arrival *a)
{
	u8 *before = malloc(h->blocks * EXO_XN_BLOCK);

	memcpy(before, h->disk, h->blocks * EXO_XN_BLOCK);
	CHECK_EQ(ARRIVE(h, 1, false, a, { 1000, 50, 2, 0 }, { 1002, 51, 1, 0 }), want);
	CHECK(!a->mapped && !a->changed && !a->nobody);
	CHECK(!memcmp(before, h->disk, h->blocks * EXO_XN_BLOCK));
	CHECK_EQ(owner(h, h->root), 1000);
	free(before);
	if (!want)
		return;
	CHECK_EQ(a->uid[0] ^ a->uid[1], 1001 ^ 1002);
	CHECK_EQ(a->to, 51);
}

TEST(exo_xn_arrive__two_templates_of_one_name)
{
	struct exo_xn_arrival a;
	struct host h;
	u32 t;

	host_begin(&h);
	CHECK_EQ(add(&h, &host_other, "one", 64, &t), 0);
	CHECK_EQ(add(&h, &host_other, "both", 64, &t), 0);
	CHECK_EQ(add(&h, &host_third, "both", 64, &t), 0);
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	refuse(&h, -EEXIST, &a);
	CHECK(!strcmp(a.name, "both"));
	/* Nobody has no names. */
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1000, 50, 1, 0 }), 0);
	CHECK_EQ(a.nobody, 3);
	host_end(&h);
}

TEST(exo_xn_arrive__two_quotas_are_one)
{
	struct exo_xn_arrival a;
	struct host h;
	u32 t, root;

	host_begin_quota(&h, QUOTA);
	CHECK_EQ(add(&h, &host_other, "other", 10 * EXO_XN_BLOCK, &t), 0);
	CHECK_EQ(add(&h, &host_third, "third", 9 * EXO_XN_BLOCK, &t), 0);
	CHECK_EQ(create(&h, &host_third, "third", &root), 0);
	CHECK_EQ(create(&h, &host_third, "too much", &root), 0);
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	refuse(&h, -EDQUOT, &a);
	CHECK(!a.name[0]);
	/* What both have together is what he has: not a block more. */
	CHECK_EQ(exo_xn_root_delete(h.xn, &host_third, root), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1000, 50, 2, 0 }, { 1002, 51, 1, 0 }), 0);
	CHECK_EQ(exo_xn_uid_blocks(h.xn, 51), QUOTA);
	CHECK_EQ(create(&h, &(struct exo_xn_who){ .uid = 51 }, "another", &root), -EDQUOT);
	CHECK_EQ(create(&h, &host_third, "another", &root), 0);
	host_end(&h);
}

TEST(exo_xn_arrive__who_has_too_much_alone_keeps_it)
{
	struct exo_xn_arrival a;
	struct host h;
	u32 t;

	host_begin_quota(&h, QUOTA);
	CHECK_EQ(add(&h, &(struct exo_xn_who){ .uid = 1001, .admin = true }, "large", 30 * EXO_XN_BLOCK, &t), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1000, 50, 1, 0 }, { 1001, 51, 1, 0 }), 0);
	CHECK_EQ(exo_xn_uid_blocks(h.xn, 51), 30);
	/* Nobody has no quota. */
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 50, 51, 1, 0 }), 0);
	CHECK_EQ(a.nobody, 1);
	host_end(&h);
}

TEST(exo_xn_arrive__templates_of_one_uid_are_bounded)
{
	struct exo_xn_arrival a;
	char name[16];
	struct host h;
	u32 i, n, t;

	for (i = 0; i < 2; i++) {
		host_begin(&h);
		for (n = 0; n < EXO_XN_UID_TEMPLATES + i; n++) {
			snprintf(name, sizeof(name), "t%u", n);
			CHECK_EQ(add(&h, n % 2 ? &host_other : &host_third, name, 64, &t), 0);
		}
		CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
		if (i)
			refuse(&h, -EDQUOT, &a);
		else
			CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1000, 50, 2, 0 }, { 1002, 51, 1, 0 }), 0);
		host_end(&h);
	}
}

/* A root in quarantine changes hands, and stays there. */
TEST(exo_xn_arrive__in_quarantine)
{
	struct exo_xn_arrival a;
	struct host h;

	host_begin(&h);
	exo_xn_quarantine(h.xn, (struct exo_xn_core_root *)exo_xn_root(h.xn, h.root));
	CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), 0);
	host_crash(&h);
	CHECK_EQ(owner(&h, h.root), 1001);
	CHECK(exo_xn_root(h.xn, h.root)->flags & EXO_XN_ROOT_QUARANTINED);
	CHECK_EQ(exo_xn_root_release(h.xn, h.root), 0);
	host_end(&h);
}

/* What the admin lets somebody have goes with him; nobody has no limit of his own. */
TEST(exo_xn_arrive__own_limits)
{
	struct exo_xn_arrival a;
	struct host h;
	bool own;
	u32 i;

	host_begin_quota(&h, 100);
	CHECK_EQ(exo_xn_quota_set(h.xn, 1000, 40), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, 1001, 30), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, 1002, 50), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, 5, 20), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP, { 5, 1002, 1, 0 }), 0);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(exo_xn_uid_limit(h.xn, 1000, &own), 30);
		CHECK_EQ(exo_xn_uid_limit(h.xn, 1001, &own), 40);
		CHECK_EQ(exo_xn_uid_limit(h.xn, 1002, &own), 20);
		CHECK_EQ(exo_xn_uid_limit(h.xn, 5, &own), 100);
		CHECK(!own);
		host_crash(&h);
	}
	/* The larger, and no limit is the largest; a limit that is smaller than what two have together. */
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 1000, 7, 3, 0 }), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 7, 7, 1, 0 }, { 8, 7, 1, 0 }, { 9, 7, 1, 0 }), 0);
	CHECK_EQ(exo_xn_uid_limit(h.xn, 7, &own), 40);
	CHECK_EQ(exo_xn_quota_set(h.xn, 9, 0), 0);
	CHECK_EQ(ARRIVE(&h, 1, true, &a, { 7, 7, 1, 0 }, { 9, 7, 1, 0 }), 0);
	CHECK_EQ(exo_xn_uid_limit(h.xn, 7, &own), 0);
	CHECK(own);
	CHECK_EQ(create(&h, &host_other, "other", &i), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, 1001, 2), 0);
	CHECK_EQ(exo_xn_quota_forget(h.xn, 7), 0);
	CHECK_EQ(ARRIVE(&h, 1, false, &a, { 7, 1001, 1, 0 }, { 1001, 1001, 1, 0 }), -EDQUOT);
	CHECK_EQ(exo_xn_uid_limit(h.xn, 1001, &own), 2);
	host_end(&h);
}

/* Memory or the device fails at each step: it has changed hands or not, all of it; then it is done, once. */
TEST(exo_xn_arrive__anything_may_fail)
{
	struct exo_xn_arrival a;
	struct host h;
	u32 kind, failed = 0, mapped = 0, other;
	bool done;
	u64 n;
	int ret;

	for (kind = 0; kind < 2; kind++) {
		for (n = 1, done = false; !done; n++) {
			host_begin(&h);
			CHECK_EQ(create(&h, &host_other, "other", &other), 0);
			h.fail_alloc = kind ? 0 : n;
			h.fail_write = kind ? n : 0;
			ret = ARRIVE(&h, 1, false, &a, SWAP);
			done = h.fail_alloc || h.fail_write;
			h.fail_alloc = 0;
			h.fail_write = 0;
			CHECK_EQ(ret, done ? 0 : kind ? -EIO : -ENOMEM);
			failed += !done;
			if (!kind && ret)
				CHECK_EQ(owner(&h, h.root), 1000);
			host_crash(&h);
			CHECK_EQ(owner(&h, h.root) == 1000, owner(&h, other) == 1001);
			mapped += owner(&h, h.root) == 1001;
			CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), 0);
			CHECK_EQ(owner(&h, h.root), 1001);
			CHECK_EQ(owner(&h, other), 1000);
			host_end(&h);
		}
	}
	CHECK(failed > 4);
	CHECK(mapped > 2);
}

/* More than the log has room for is refused; what fits, in several blocks, is done. */
TEST(exo_xn_arrive__log_that_is_too_short)
{
	struct exo_xn_format_opts opts = { .log_blocks = EXO_XN_LOG_MIN, .force = true };
	struct exo_xn_arrival a;
	struct host h;
	char name[16];
	u32 i, nr, t, root;

	for (nr = 240; nr < 260; nr += 16) {
		host_begin_of(&h, 1000, 0);
		exo_xn_free(h.xn);
		opts.blocks = h.blocks;
		CHECK_EQ(exo_xn_format(&host_ops, &h, &opts), 0);
		host_attach(&h);
		CHECK_EQ(add(&h, &host_user, "t", 64, &t), 0);
		h.template = t;
		for (i = 1; i < nr; i++) {
			snprintf(name, sizeof(name), "r%u", i);
			CHECK_EQ(create(&h, &host_user, name, &root), 0);
		}
		CHECK_EQ(ARRIVE(&h, 1, false, &a, SWAP), nr > 250 ? -ENOSPC : 0);
		CHECK_EQ(owner(&h, root), nr > 250 ? 1000 : 1001);
		exo_xn_free(h.xn);
		host_attach(&h);
		CHECK_EQ(owner(&h, root), nr > 250 ? 1000 : 1001);
		CHECK_EQ(owner(&h, 1), nr > 250 ? 1000 : 1001);
		host_end(&h);
	}
}
