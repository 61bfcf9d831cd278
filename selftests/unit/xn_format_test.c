// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_host.h"

static void flip(void *at, u32 bit)
{
	((u8 *)at)[bit / 8] ^= 1U << bit % 8;
}

TEST(exo_xn_super_parse__every_bit_counts)
{
	struct exo_xn_super super = { .seq = 3, .blocks = 1000, .log_blocks = 64, .tail = 5, .tail_seq = 9 };
	u32 bit;

	exo_xn_super_build(host_crc, &super);
	CHECK(exo_xn_super_parse(host_crc, &super, 1000));
	CHECK(!exo_xn_super_parse(host_crc, &super, 999));
	for (bit = 0; bit < 8 * sizeof(super); bit++) {
		flip(&super, bit);
		CHECK(!exo_xn_super_parse(host_crc, &super, 1000));
		flip(&super, bit);
	}
	super.tail = 64;
	exo_xn_super_build(host_crc, &super);
	CHECK(!exo_xn_super_parse(host_crc, &super, 1000));
}

TEST(exo_xn_root_parse__every_bit_counts)
{
	struct exo_xn_root_core root = { .number = 7, .template = 1, .unit_blocks = 2, .block = 500, .name = "a" };
	struct exo_xn_root_entry entry;
	u32 bit;

	exo_xn_root_build(host_crc, 1, &entry, &root, EXO_XN_ROOT_USED);
	CHECK_EQ(exo_xn_root_parse(host_crc, 1, &entry, 7, 1000), 1);
	CHECK_EQ(exo_xn_root_parse(host_crc, 2, &entry, 7, 1000), -EINVAL);
	CHECK_EQ(exo_xn_root_parse(host_crc, 1, &entry, 8, 1000), -EINVAL);
	CHECK_EQ(exo_xn_root_parse(host_crc, 1, &entry, 7, 501), -EINVAL);
	for (bit = 0; bit < 8 * sizeof(entry); bit++) {
		flip(&entry, bit);
		CHECK_EQ(exo_xn_root_parse(host_crc, 1, &entry, 7, 1000), -EINVAL);
		flip(&entry, bit);
	}
	exo_xn_root_build(host_crc, 1, &entry, &root, 0);
	CHECK_EQ(exo_xn_root_parse(host_crc, 1, &entry, 7, 1000), 0);
	memset(&entry, 0, sizeof(entry));
	CHECK_EQ(exo_xn_root_parse(host_crc, 1, &entry, 7, 1000), 0);
}

/* Blocks of two attempts at one transaction are no transaction. */
TEST(exo_xn_log_parse__chains)
{
	static u8 a[2][EXO_XN_BLOCK], b[2][EXO_XN_BLOCK];
	u32 chain = 1;

	memset(b[0] + 100, 1, 8);
	exo_xn_log_build(host_crc, &chain, (void *)a[0], 5, 0, 2, EXO_XN_LOG_BYTES);
	exo_xn_log_build(host_crc, &chain, (void *)a[1], 5, 1, 2, 8);
	chain = 1;
	exo_xn_log_build(host_crc, &chain, (void *)b[0], 5, 0, 2, EXO_XN_LOG_BYTES);
	exo_xn_log_build(host_crc, &chain, (void *)b[1], 5, 1, 2, 8);
	chain = 1;
	CHECK(!exo_xn_log_parse(host_crc, &chain, (void *)a[0], 6, 0, 0));
	CHECK(!exo_xn_log_parse(host_crc, &chain, (void *)a[1], 5, 0, 0));
	CHECK(exo_xn_log_parse(host_crc, &chain, (void *)a[0], 5, 0, 0));
	CHECK(!exo_xn_log_parse(host_crc, &chain, (void *)b[1], 5, 1, 2));
	CHECK(exo_xn_log_parse(host_crc, &chain, (void *)a[1], 5, 1, 2));
}

/* INV-XN-13: what is accepted lies within the bytes, and within the disk. */
TEST(exo_xn_record_parse__trusts_nothing)
{
	u32 i, k, length, taken = 0;
	u64 *rec;
	int ret;

	for (i = 0; i < unit_rounds(200000); i++) {
		length = 8 * (1 + unit_below(12));
		rec = malloc(length);
		CHECK(rec);
		for (k = 0; k < length / 8; k++)
			rec[k] = unit_below(3) ? unit_below(1000) : unit_edge();
		((struct exo_xn_record *)rec)->kind = unit_below(8);
		if (unit_below(2))
			((struct exo_xn_record *)rec)->length = unit_below(2) ? length : 24;
		ret = exo_xn_record_parse(rec, length, 100, 1000);
		CHECK(ret == -EINVAL || (ret >= 8 && (u32)ret <= length && !(ret % 8)));
		if (ret > 0 && ((struct exo_xn_record *)rec)->kind == EXO_XN_REC_MAP) {
			struct exo_xn_rec_map *map = (void *)rec;

			CHECK(map->count && map->block >= 100 && map->block + map->count <= 1000);
		}
		taken += ret > 0;
		free(rec);
	}
	CHECK(taken);
}
