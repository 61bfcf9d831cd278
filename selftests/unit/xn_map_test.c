// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_host.h"

#define AT 250U

/* Against a model: an array of root and references. */
TEST(exo_xn_map_change__agrees_with_a_model)
{
	u32 root[HOST_BLOCKS] = {}, refs[HOST_BLOCKS] = {}, i, k, r, n, op;
	u64 block, bad;
	struct host h;
	bool right;

	host_begin(&h);
	for (i = 0; i < unit_rounds(20000); i++) {
		block = AT + unit_below(HOST_BLOCKS - AT + 2);
		n = 1 + unit_below(6);
		r = 10 + unit_below(3);
		op = unit_below(4);
		right = block + n <= HOST_BLOCKS;
		for (k = 0; right && k < n; k++) {
			u32 was = root[block + k], has = refs[block + k];

			right = op == EXO_XN_OP_TAKE ? !was :
				op == EXO_XN_OP_GIVE ? was == r && has == 1 :
				op == EXO_XN_OP_REF ? was == r : was == r && has > 1;
		}
		CHECK_EQ(!exo_xn_map_change(h.xn, op, r, block, n, &bad), right);
		if (!right) {
			CHECK(bad >= block && bad < block + n);
			continue;
		}
		if (unit_below(2) || op == EXO_XN_OP_GIVE) {
			exo_xn_map_undo(h.xn, op, r, block, n);
			continue;
		}
		for (k = 0; k < n; k++) {
			root[block + k] = r;
			refs[block + k] += op == EXO_XN_OP_UNREF ? -1 : 1;
		}
	}
	for (block = AT; block < HOST_BLOCKS; block++) {
		u32 entry;

		CHECK_EQ(exo_xn_map_look(h.xn, block, &entry), 0);
		CHECK_EQ(!!(entry & EXO_XN_ENTRY_TAKEN), !!root[block]);
		if (root[block])
			CHECK_EQ(entry & EXO_XN_ENTRY_REFS, refs[block] * EXO_XN_ENTRY_REF);
	}
	host_end(&h);
}

TEST(exo_xn_map_geometry__is_a_bijection)
{
	u64 index, group = EXO_XN_GROUP;

	CHECK_EQ(exo_xn_map_home(0), EXO_XN_MAP_AT);
	CHECK_EQ(exo_xn_map_home(EXO_XN_GROUP_MAPS), group);
	for (index = 0; index < 4 * EXO_XN_GROUP_MAPS; index++) {
		CHECK(exo_xn_map_home(index) < exo_xn_map_home(index + 1));
		CHECK(exo_xn_map_first(index + 1) - exo_xn_map_first(index) <= EXO_XN_MAP_ENTRIES);
	}
	CHECK_EQ(exo_xn_maps_of(group), EXO_XN_GROUP_MAPS);
	CHECK_EQ(exo_xn_maps_of(group + 1), 2 * EXO_XN_GROUP_MAPS);
	CHECK_EQ(exo_xn_system_of(group, 300), 300);
	CHECK_EQ(exo_xn_system_of(group + 5, 300), 305);
	CHECK_EQ(exo_xn_system_of(3 * group, 300), 300 + 2 * EXO_XN_GROUP_MAPS);
}

TEST(exo_xn_map_run__finds_room)
{
	struct host h;
	u64 block, bad;

	host_begin(&h);
	CHECK_EQ(exo_xn_map_run(h.xn, AT, 4, &block), 0);
	CHECK_EQ(block, AT);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, AT + 2, HOST_BLOCKS - AT - 2, &bad), 0);
	CHECK_EQ(exo_xn_map_run(h.xn, AT, 4, &block), 0);
	CHECK(block + 4 <= AT + 2 && block > h.xn->first);
	CHECK_EQ(exo_xn_map_run(h.xn, AT, HOST_BLOCKS, &block), -ENOSPC);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, AT, 3, &bad), -EBUSY);
	CHECK_EQ(bad, AT + 2);
	host_end(&h);
}

/* INV-XN-25: what can't be, because groups begin with exo's own blocks, costs no memory to refuse. */
TEST(exo_xn_map_change__loads_no_more_than_a_group)
{
	u64 block, bad, maps, group = EXO_XN_GROUP;
	struct host h;

	host_begin_of(&h, 4 * group, 0);
	block = h.xn->first + 100;
	maps = h.xn->nr_maps_in;
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, block, 3 * group, &bad), -EBUSY);
	CHECK_EQ(bad, group);
	CHECK_EQ(exo_xn_map_owned(h.xn, h.root, block, 3 * group), -EINVAL);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, block, 3 * group, EXO_XN_DATA), -EBUSY);
	CHECK_EQ(h.xn->nr_maps_in, maps);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, block, 4 * group, &bad), -EINVAL);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, block, ~0ULL - block, &bad), -EINVAL);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, block, group - block, &bad), 0);
	CHECK_EQ(h.xn->nr_maps_in, EXO_XN_GROUP_MAPS);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 9, group + EXO_XN_GROUP_MAPS,
				   group - EXO_XN_GROUP_MAPS, &bad), 0);
	host_end(&h);
}
