// SPDX-License-Identifier: GPL-2.0
/*
 * A power failure at every write and flush while a disk is recovered and its owners are mapped, and at every one of the
 * attach after that: all have their old owners, or all their new ones, and whoever attaches again with the same map
 * finds them mapped once (INV-XN-31). The map changes places: applied twice it would be undone.
 */
#include "unit.h"
#include "xn_sim.h"

#define BLOCKS 640U
#define LOG 48U
#define ROOTS 40U
#define TEMPLATES 12U
#define NR (ROOTS + TEMPLATES)
#define FIRST 1000U	/* owners are FIRST .. FIRST + 3; these change places with their neighbours */

struct owners {
	u32 uid[NR];
	u64 limit[4];
};

static const struct exo_xn_uids places[] = {
	{ FIRST, FIRST + 1, 1, 0 }, { FIRST + 1, FIRST, 1, 0 }, { FIRST + 2, FIRST + 3, 1, 0 }, { FIRST + 3, FIRST + 2, 1, 0 },
};

static u64 points, violations;

static void create(struct exo_xn *xn, u32 i)
{
	struct sim_unit head = { .bytes = EXO_XN_BLOCK };
	struct exo_xn_who who = { .uid = FIRST + i % 4 };
	u8 unit[EXO_XN_BLOCK] = {};
	char name[16];
	u32 root;

	memcpy(unit, &head, sizeof(head));
	snprintf(name, sizeof(name), "root %u", i);
	CHECK_EQ(exo_xn_root_create(xn, &who, name, 1 + i % TEMPLATES, 0, 0, 0, NULL, unit, sizeof(unit), &root), 0);
	CHECK_EQ(root, i + 1);
}

static void add(struct exo_xn *xn, u32 i)
{
	struct sim_content content = { .magic = SIM_MAGIC, .kind = SIM_LIST, .salt = i };
	struct exo_xn_who who = { .uid = FIRST + i % 4 };
	u32 refs[EXO_XN_REFS] = {}, func, number;
	struct exo_graft_error err;
	char name[16];

	snprintf(name, sizeof(name), "list %u", i);
	CHECK_EQ(exo_xn_template_add(xn, &who, name, refs, SIM_PART, SIM_PART, &content, sizeof(content), &err, &func,
				     &number), 0);
	CHECK_EQ(number, i + 1);
}

/* Roots and templates of four users; some of it is home, the rest in the log. */
static void prepare(struct sim_image *image)
{
	struct exo_xn_format_opts opts = { .blocks = BLOCKS, .log_blocks = LOG, .uuid = { 7 } };
	struct sim *sim = sim_new(BLOCKS);
	struct exo_xn *xn;
	u32 i;

	CHECK_EQ(exo_xn_format(&sim->host, sim, &opts), 0);
	CHECK_EQ(exo_xn_attach(&sim->host, sim, BLOCKS, 0, &xn), 0);
	for (i = 0; i < TEMPLATES; i++)
		add(xn, i);
	for (i = 0; i < ROOTS; i++)
		create(xn, i);
	for (i = 0; i < 4; i++)
		CHECK_EQ(exo_xn_quota_set(xn, FIRST + i, 100 + i), 0);
	/* That was a checkpoint. */
	for (i = 0; i < 8; i++)
		CHECK_EQ(exo_xn_root_limit(xn, 1 + i, 50), 0);
	sim_image_copy(image, &sim->now);
	exo_xn_free(xn);
	sim_free(sim);
}

static void look(struct exo_xn *xn, struct owners *out)
{
	bool own;
	u32 i;

	for (i = 0; i < 4; i++)
		out->limit[i] = exo_xn_uid_limit(xn, FIRST + i, &own);
	for (i = 0; i < ROOTS; i++)
		out->uid[i] = exo_xn_root(xn, i + 1)->uid;
	for (i = 0; i < TEMPLATES; i++)
		out->uid[ROOTS + i] = exo_xn_template(xn, i + 1)->uid;
}

static struct owners owners(bool mapped)
{
	struct owners o;
	u32 i;

	for (i = 0; i < NR; i++)
		o.uid[i] = FIRST + ((i < ROOTS ? i : i - ROOTS) % 4 ^ mapped);
	for (i = 0; i < 4; i++)
		o.limit[i] = 100 + (i ^ mapped);
	return o;
}

static int arrive(struct exo_xn *xn, bool *mapped)
{
	struct exo_xn_arrival a = { .machine = { 1 }, .map = true, .uids = places, .nr = 4 };
	int ret = exo_xn_arrive(xn, &a);

	CHECK_EQ(a.mapped, !a.before);
	*mapped = a.mapped;
	return ret;
}

static bool walk_is_good(struct exo_xn *xn)
{
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;

	CHECK_EQ(exo_xn_walk_begin(xn, 0, &walk), 0);
	while (exo_xn_walk_step(walk, 64) > 0)
		;
	exo_xn_walk_show(walk, &check);
	exo_xn_walk_end(walk);
	return !check.out_bad && !check.out_leaked;
}

/* What is wrong with a disk as a crash left it; NULL: nothing. @done: the map was said to be applied. */
static const char *wrong(const struct sim_image *image, bool done)
{
	struct owners found, old = owners(false), new = owners(true);
	struct sim *sim = sim_from(image);
	const char *what = NULL;
	struct exo_xn *xn;
	bool was, mapped;

	points++;
	if (exo_xn_attach(&sim->host, sim, BLOCKS, 0, &xn)) {
		sim_free(sim);
		return "it can't be attached";
	}
	look(xn, &found);
	was = !memcmp(&found, &new, sizeof(new));
	if (!was && memcmp(&found, &old, sizeof(old)))
		what = "some have new owners, some old ones";
	else if (done && !was)
		what = "it was done, and isn't";
	else if (arrive(xn, &mapped))
		what = "the next attach fails";
	else if (mapped == was)
		what = was ? "it is applied twice" : "it is never applied";
	look(xn, &found);
	if (!what && memcmp(&found, &new, sizeof(new)))
		what = "the next attach leaves other owners";
	if (!what && !walk_is_good(xn))
		what = "a walk complains";
	exo_xn_free(xn);
	if (!what && sim->live)
		what = "memory isn't given back";
	sim_free(sim);
	return what;
}

/* Attach with the map, and fail at every point of it; then the same with what that leaves, @depth times. */
static void crash(const struct sim_image *image, u32 broken, u32 depth)
{
	struct sim *sim = sim_from(image);
	struct sim_image left;
	const char *what;
	struct exo_xn *xn;
	bool mapped;
	u32 i, how;

	CHECK_EQ(exo_xn_attach(&sim->host, sim, BLOCKS, broken, &xn), 0);
	CHECK_EQ(arrive(xn, &mapped), 0);
	for (i = 0; i <= sim->nr_events; i++)
		for (how = SIM_ALL; how <= SIM_TORN; how++) {
			sim_crash(sim, i, how, &left);
			what = wrong(&left, i == sim->nr_events);
			violations += !!what;
			if (what && !broken)
				unit_fail(__FILE__, __LINE__, "crash %u before event %u of %u, %u to come: %s", how, i,
					  sim->nr_events, depth, what);
			if (!what && depth)
				crash(&left, broken, depth - 1);
			sim_image_free(&left);
		}
	exo_xn_free(xn);
	sim_free(sim);
}

TEST(owners_crash__at_every_point_twice)
{
	struct sim_image image;

	points = 0;
	prepare(&image);
	crash(&image, 0, 1);
	sim_image_free(&image);
	printf("# %llu crash points\n", (unsigned long long)points);
	CHECK(points > 1000);
}

/* The control: a transaction that isn't durable when it says so. */
TEST(owners_crash__without_fua)
{
	struct sim_image image;
	u32 i;

	violations = 0;
	prepare(&image);
	for (i = 0; i < 20 && !violations; i++)
		crash(&image, EXO_XN_BREAK_FUA, 0);
	sim_image_free(&image);
	CHECK(violations);
}
