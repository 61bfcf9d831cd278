// SPDX-License-Identifier: GPL-2.0
/* libexo's disks on the module: each function once, by behaviour. It writes over a disk. */
#include <exo/uring.h>

#include "libexo_xn_setup.h"

#define ASSERT_TEXT(a, b) \
	do { \
		if (strcmp(a, b)) \
			FAIL("\"%s\", not \"%s\"", a, b); \
	} while (0)
#define FRAMES 300

GRAFT(bounds, GRAFT_TOP "/libexo/test/graft/bounds.bpf.o");

/* Disks --------------------------------------------------------------------------------------------- */

XN_TEST(xn_open__number_name_uuid)
{
	struct exo_xn_open_opts opts = { .sz = sizeof(opts) };
	struct exo_xn_disk disk;
	struct exo_xn *other;
	uint8_t uuid[16];

	CHECK(exo_xn_env(xn) == env);
	GOOD(exo_xn_disk(xn, &disk));
	CHECK(disk.disk == exo_xn_number(xn) && disk.out_blocks >= 4096 && disk.out_roots == 0);
	CHECK(disk.out_first > 163 && disk.out_free < disk.out_blocks - disk.out_first + 1);
	ASSERT_TEXT(disk.out_name, strrchr(device, '/') + 1);
	opts.name = disk.out_name;
	GOOD(exo_xn_open(env, &opts, &other));
	CHECK(exo_xn_number(other) == disk.disk);
	GOOD(exo_xn_close(other));
	opts.name = NULL;
	opts.uuid = memcpy(uuid, disk.out_uuid, sizeof(uuid));
	GOOD(exo_xn_open(env, &opts, &other));
	GOOD(exo_xn_close(other));
	uuid[3] ^= 1;
	ASSERT_EQ(exo_xn_open(env, &opts, &other), -ENOENT);
	opts.uuid = NULL;
	opts.disk = disk.disk + 1;
	ASSERT_EQ(exo_xn_open(env, &opts, &other), -ENOENT);
	ASSERT_EQ(exo_xn_disk_next(env, disk.disk, &disk), -ENOENT);
	ASSERT_EQ(exo_env_close(env), -EBUSY);
}

XN_TEST(xn_format__not_over_a_disk)
{
	struct exo_xn_attach said;

	ASSERT_EQ(exo_xn_format(env, device, NULL), -EBUSY);	/* it is attached */
	ASSERT_EQ(exo_xn_attach(env, device, 0, &said), -EBUSY);
	detach();
	ASSERT_EQ(exo_xn_format(env, device, NULL), -EBUSY);	/* it is one of exo's */
	CHECK(exo_xn_format(env, "/dev/null", NULL) < 0);
	CHECK(exo_xn_format(env, "/nonexistent", NULL) == -ENOENT);
	attach();
}

static int count_steps(const struct exo_xn_check *now, void *ctx)
{
	(void)now;
	++*(int *)ctx;
	return 0;
}

XN_TEST(xn_check__finds_nothing)
{
	struct exo_xn_change *change;
	struct exo_xn_check found;
	uint64_t unit, block;
	uint32_t root = make_list("list", &unit);
	int steps = 0;

	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, unit, 20, &block));
	append(change, root, unit, block, 20);
	GOOD(exo_xn_commit(xn, root, NULL));
	GOOD(exo_xn_check(xn, 0, count_steps, &steps, &found));
	CHECK(steps && found.out_done && !found.out_leaked && !found.out_bad && !found.out_errors);
	CHECK(found.out_visited >= 21);
	GOOD(exo_xn_check(xn, EXO_XN_CHECK_SCRUB, NULL, NULL, &found));
	CHECK(!found.out_errors);
	exo_xn_change_end(change);
}

XN_TEST(xn_map__find_free)
{
	struct exo_xn_change *change;
	struct exo_xn_disk disk;
	uint64_t unit, first, block;
	uint32_t root = make_list("list", &unit);
	uint8_t map[64];
	int i;

	GOOD(exo_xn_disk(xn, &disk));
	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, disk.out_first + 1000, 10, &first));
	ASSERT_EQ(first, disk.out_first + 1000);
	append(change, root, unit, first, 10);
	ASSERT_EQ(exo_xn_map(xn, first - 1, map, 12), 12);
	CHECK(map[0] == EXO_XN_FREE && map[11] == EXO_XN_FREE);
	for (i = 1; i < 11; i++)
		ASSERT_EQ(map[i], EXO_XN_MINE);
	GOOD(exo_xn_find_free(xn, first - 2, 3, &block));
	ASSERT_EQ(block, first + 10);
	GOOD(exo_xn_find_free(xn, first - 3, 3, &block));
	ASSERT_EQ(block, first - 3);
	/* None behind the last block: the search begins anew. */
	GOOD(exo_xn_find_free(xn, disk.out_blocks - 1, 3, &block));
	CHECK(block >= disk.out_first && block < first);
	ASSERT_EQ(exo_xn_find_free(xn, 0, (uint32_t)disk.out_blocks, &block), -ENOSPC);
	ASSERT_EQ(exo_xn_map(xn, 0, map, 2), 2);
	CHECK(map[0] == EXO_XN_SYSTEM && map[1] == EXO_XN_SYSTEM);
	ASSERT_EQ(exo_xn_map_root(xn, root, first - 1, map, 12), 12);
	CHECK(map[0] != EXO_XN_MINE && map[1] == EXO_XN_MINE && map[10] == EXO_XN_MINE &&
	      map[11] != EXO_XN_MINE);
	exo_xn_change_end(change);
}

/* Templates and roots ------------------------------------------------------------------------------- */

XN_TEST(xn_template__install_find_remove)
{
	uint32_t list = install("list", NULL, 0), folder;
	struct exo_xn_template_opts opts = { .sz = sizeof(opts), .name = "other" };
	struct exo_xn_template found;
	char error[512];

	ASSERT_EQ(install("list", NULL, 0), list);
	folder = install("folder", "folder", list);
	CHECK(folder != list);
	GOOD(exo_xn_template(xn, folder, &found));
	ASSERT_TEXT(found.out_name, "folder");
	ASSERT_EQ(found.out_mode[0], EXO_GRAFT_PROOF);
	GOOD(exo_xn_template_next(xn, 0, &found));
	ASSERT_EQ(exo_xn_template_next(xn, list > folder ? list : folder, &found), -ENOENT);
	ASSERT_EQ(exo_xn_template_remove(xn, list), -EBUSY);	/* folder names it */
	GOOD(exo_xn_template_remove(xn, folder));
	GOOD(exo_xn_template_remove(xn, list));
	ASSERT_EQ(exo_xn_template(xn, list, &found), -ENOENT);

	opts.error = error;
	opts.error_size = sizeof(error);
	ASSERT_EQ(exo_xn_template_install_memory(xn, bounds_start, (size_t)(bounds_end - bounds_start),
						 &opts), -EINVAL);
	CHECK(strstr(error, "section \"owns\""));
	opts.refs[0] = 77;
	ASSERT_LT(exo_xn_template_install_memory(xn, keyed_start, (size_t)(keyed_end - keyed_start),
						 &opts), 0);
	CHECK(error[0]);
}

XN_TEST(xn_root__create_find_delete)
{
	struct exo_xn_disk before, after;
	struct exo_xn_root root;
	uint64_t words[WORDS] = { 0 }, unit;
	uint32_t number, template;

	GOOD(exo_xn_disk(xn, &before));
	number = make_list("numbers", &unit);
	GOOD(exo_xn_root_find(xn, "numbers", &root));
	CHECK(root.root == number && root.out_uid == 0 && root.out_block == unit &&
	      root.out_blocks == 1 && root.out_unit_blocks == 1);
	template = root.out_template;
	GOOD(exo_xn_root(xn, number, &root));
	ASSERT_TEXT(root.name, "numbers");
	GOOD(exo_xn_root_next(xn, 0, &root));
	ASSERT_EQ(root.root, number);
	ASSERT_EQ(exo_xn_root_next(xn, number, &root), -ENOENT);
	ASSERT_EQ(exo_xn_root_find(xn, "letters", &root), -ENOENT);
	ASSERT_EQ(exo_xn_root_create(xn, "numbers", template, words, sizeof(words), NULL, NULL), -EEXIST);
	words[0] = 1;
	words[1] = unit;
	ASSERT_EQ(exo_xn_root_create(xn, "letters", template, words, sizeof(words), NULL, NULL), -EINVAL);
	GOOD(exo_xn_root_limit(xn, number, 5));
	GOOD(exo_xn_root_chown(xn, number, ALICE));
	GOOD(exo_xn_root(xn, number, &root));
	CHECK(root.out_max_blocks == 5 && root.out_uid == ALICE);
	ASSERT_EQ(exo_xn_template_remove(xn, template), -EBUSY);
	GOOD(exo_xn_root_delete(xn, number));
	ASSERT_EQ(exo_xn_root(xn, number, &root), -ENOENT);
	GOOD(exo_xn_template_remove(xn, template));
	GOOD(exo_xn_disk(xn, &after));
	ASSERT_EQ(after.out_free, before.out_free);
}

/* Units and data ------------------------------------------------------------------------------------ */

XN_TEST(xn_change__survives_detach)
{
	struct exo_xn_change *change;
	struct exo_xn_root found;
	struct exo_window *window;
	uint64_t words[WORDS], unit, block;
	uint32_t root = make_list("list", &unit), frames[FRAMES], binding, i;
	char *memory;

	GOOD(exo_mem_alloc_any(env, frames, FRAMES));
	GOOD(exo_window_map_frames(env, frames, FRAMES, PROT_READ | PROT_WRITE, &window));
	memory = exo_window_base(window);
	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, unit, FRAMES, &block));
	append(change, root, unit, block, FRAMES);
	exo_xn_change_end(change);
	GOOD(exo_xn_bind(xn, root, unit, block, FRAMES, RW, &binding));
	/* What was not written reads as zeros. */
	memset(memory, 0xa5, FRAMES * PAGE);
	GOOD(exo_xn_io_read(xn, binding, 0, frames, FRAMES));
	for (i = 0; i < FRAMES * PAGE; i++)
		if (memory[i])
			FAIL("byte %u of new blocks is %#x", i, memory[i]);
	for (i = 0; i < FRAMES; i++)
		memset(memory + i * PAGE, (int)(1 + i % 255), PAGE);
	GOOD(exo_xn_io_write(xn, binding, 0, frames, FRAMES, 0));
	GOOD(exo_xn_io_zero(xn, binding, 7, 2, 0));
	GOOD(exo_xn_io_flush(xn, binding));
	GOOD(exo_xn_commit(xn, root, NULL));
	ASSERT_EQ(exo_xn_io_write(xn, binding, FRAMES, frames, 1, 0), -EINVAL);
	GOOD(exo_xn_unbind(xn, binding));
	ASSERT_EQ(exo_xn_unbind(xn, binding), -ENOENT);
	detach();
	attach();
	GOOD(exo_xn_root_find(xn, "list", &found));
	CHECK(found.out_blocks == FRAMES + 1 && found.out_block == unit);
	GOOD(exo_xn_read(xn, root, unit, unit, words, sizeof(words)));
	CHECK(words[0] == FRAMES && words[FRAMES] == block + FRAMES - 1);
	GOOD(exo_xn_bind(xn, root, unit, block, FRAMES, EXO_RIGHT_READ, &binding));
	memset(memory, 0, FRAMES * PAGE);
	GOOD(exo_xn_io_read(xn, binding, 0, frames, FRAMES));
	for (i = 0; i < FRAMES; i++)
		ASSERT_EQ((uint8_t)memory[i * PAGE + 99], i == 7 || i == 8 ? 0 : 1 + i % 255);
	ASSERT_EQ(exo_xn_io_write(xn, binding, 0, frames, 1, 0), -EACCES);
	GOOD(exo_xn_unbind(xn, binding));
	GOOD(exo_window_unmap(window));
	GOOD(exo_mem_free(env, frames, FRAMES, NULL));
}

/* Catches: an entry's frame that isn't the same for two handles; locks, states and a table that don't agree. */
XN_TEST(xn_entry__two_handles)
{
	const struct exo_xn_reg_table *table;
	const struct exo_xn_reg_row *row;
	struct exo_xn_change *change;
	struct exo_xn_entry mine, theirs;
	struct exo_window *window;
	struct exo_env *env2;
	struct exo_xn *xn2;
	uint64_t words[WORDS], unit, block;
	uint32_t root = make_list("list", &unit), done;

	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, unit, 80, &block));
	append(change, root, unit, block, 80);
	exo_xn_change_end(change);
	GOOD(exo_env_open(&env2, NULL));
	GOOD(exo_xn_open(env2, NULL, &xn2));
	GOOD(exo_xn_read(xn2, root, unit, unit, words, sizeof(words)));
	GOOD(exo_xn_entry(xn, root, unit, block, RW, EXO_XN_ENTRY_FRAME, &mine));
	GOOD(exo_xn_entry(xn2, root, unit, block, RW, EXO_XN_ENTRY_FRAME, &theirs));
	CHECK(mine.out_frame == theirs.out_frame && mine.out_index == theirs.out_index);
	GOOD(exo_window_map_frames(env, &mine.out_frame, 1, PROT_READ | PROT_WRITE, &window));
	memcpy(exo_window_base(window), "shared", 7);
	GOOD(exo_xn_entry_dirty(xn, &mine.out_entry, 1, &done));
	ASSERT_EQ(done, 1);
	GOOD(exo_xn_entry_table(xn2, &table));
	row = (const struct exo_xn_reg_row *)(table + 1) + mine.out_index;
	CHECK(row->block == block && row->holders == 2 && (row->state & EXO_XN_REG_DIRTY));
	GOOD(exo_xn_entry_write(xn2, &theirs.out_entry, 1, EXO_XN_IO_DURABLE, NULL));
	GOOD(exo_xn_entry_read(xn2, &theirs.out_entry, 1, NULL));
	ASSERT_EQ(row->state & EXO_XN_REG_DIRTY, 0);
	GOOD(exo_xn_entry_lock(xn, mine.out_entry, 3, EXO_XN_SHARED, 0));
	ASSERT_EQ(exo_xn_entry_lock(xn2, theirs.out_entry, 2, EXO_XN_EXCLUSIVE, EXO_XN_LOCK_TRY), -EBUSY);
	GOOD(exo_xn_unbind(xn, mine.out_entry));
	GOOD(exo_xn_entry_lock(xn2, theirs.out_entry, 2, EXO_XN_EXCLUSIVE, EXO_XN_LOCK_TRY));
	GOOD(exo_xn_entry_ahead(xn, block, 80));
	ASSERT_EQ(table->entries, 80);
	ASSERT_EQ(exo_xn_entry_ahead(xn, 0, 1), -ENOENT);
	ASSERT_EQ(exo_xn_entry_read(xn, &mine.out_entry, 1, NULL), -ENOENT);
	exo_xn_entry_table_end(table);
	GOOD(exo_window_unmap(window));
	exo_xn_close(xn2);
	exo_env_close(env2);
}

XN_TEST(xn_change__refused_as_a_whole)
{
	struct exo_xn_change *change;
	struct exo_xn_apply said;
	uint64_t words[WORDS], unit, block, other_unit;
	uint32_t root = make_list("list", &unit), other = make_list("other", &other_unit);

	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, unit, 2, &block));
	GOOD(exo_xn_read(xn, root, unit, unit, words, sizeof(words)));
	/* It says two, and its owns() says one. */
	words[0] = 1;
	words[1] = block;
	exo_xn_change_alloc(change, unit, block, 2, EXO_XN_DATA);
	exo_xn_change_write(change, unit, 0, words, 16);
	ASSERT_EQ(exo_xn_change_apply(change, 0, &said), -EINVAL);
	CHECK(said.out_step == said.nr_steps && said.out_block == unit);
	/* It is as it was: the same once more. */
	ASSERT_EQ(exo_xn_change_apply(change, 0, &said), -EINVAL);
	ASSERT_EQ(said.nr_steps, 2);
	exo_xn_change_clear(change);
	/* The other root's unit. */
	words[1] = other_unit;
	exo_xn_change_write(change, unit, 0, words, 16);
	exo_xn_change_alloc(change, unit, other_unit, 1, EXO_XN_DATA);
	ASSERT_EQ(exo_xn_change_apply(change, 0, &said), -EBUSY);
	CHECK(said.out_step == 1 && said.out_block == other_unit);
	exo_xn_change_clear(change);
	ASSERT_EQ(exo_xn_read(xn, other, unit, unit, words, sizeof(words)), -ENOENT);
	GOOD(exo_xn_read(xn, root, unit, unit, words, sizeof(words)));
	CHECK(!words[0] && !words[1]);
	exo_xn_change_end(change);
}

/* Units below units, links and moves: a folder with lists in it. */
XN_TEST(xn_change__folders)
{
	uint64_t words[WORDS] = { 0 }, empty[WORDS] = { 0 }, unit, list;
	uint32_t template = install("folder", "folder", install("list", NULL, 0));
	struct exo_xn_change *change;
	int root = exo_xn_root_create(xn, "folder", template, words, sizeof(words), NULL, &unit);
	struct exo_xn_read read = { 0 };

	GOOD(root);
	GOOD(exo_xn_read(xn, (uint32_t)root, unit, unit, words, sizeof(words)));
	GOOD(exo_xn_change_begin(xn, (uint32_t)root, &change));
	GOOD(exo_xn_find_free(xn, unit, 1, &list));
	words[0] = 1;
	words[1] = list;
	exo_xn_change_write(change, unit, 0, words, 16);
	exo_xn_change_alloc(change, unit, list, 1, 1);
	exo_xn_change_new(change, list, empty, sizeof(empty));
	GOOD(exo_xn_change_apply(change, EXO_XN_APPLY_COMMIT, NULL));
	read.root = (uint32_t)root;
	read.parent = unit;
	read.block = list;
	read.bytes = (uintptr_t)words;
	read.length = 16;
	GOOD(exo_xn_read_unit(xn, &read));
	CHECK(read.out_done == 16 && read.out_blocks == 1 && read.out_template != template &&
	      read.out_template);
	words[0] = 0;
	words[1] = 0;
	exo_xn_change_write(change, unit, 0, words, 16);
	exo_xn_change_free(change, unit, list, 1, 1);
	GOOD(exo_xn_change_apply(change, 0, NULL));
	ASSERT_LT(exo_xn_read_unit(xn, &read), 0);
	exo_xn_change_end(change);
}

/* Who has the key may; who hasn't may not. */
XN_TEST(xn_keys__open_what_acl_says)
{
	struct exo_xn_key key = { .key = "a key that nobody guesses" };
	uint64_t words[WORDS] = { 0 }, unit;
	int root = exo_xn_root_create(xn, "safe", install("list", NULL, 0), words, sizeof(words),
				      &EXO_OPTS(exo_xn_root_create, .key = key.key), &unit);
	pid_t pid;

	GOOD(root);
	pid = test_fork();
	if (!pid) {
		struct exo_env *mine;
		struct exo_xn *disk;

		t_become(BOB);
		GOOD(exo_env_open(&mine, NULL));
		GOOD(exo_xn_open(mine, NULL, &disk));
		ASSERT_EQ(exo_xn_read(disk, (uint32_t)root, unit, unit, words, 16), -EACCES);
		GOOD(exo_xn_keys_set(disk, &key, 1));
		ASSERT_EQ(exo_xn_read(disk, (uint32_t)root, unit, unit, words, 16), 16);
		key.key[0] ^= 1;
		GOOD(exo_xn_keys_set(disk, &key, 1));
		ASSERT_EQ(exo_xn_read(disk, (uint32_t)root, unit, unit, words, 16), -EACCES);
		ASSERT_EQ(exo_xn_root_delete(disk, (uint32_t)root), -EACCES);
		ASSERT_EQ(exo_xn_detach(disk, 0), -EPERM);
		ASSERT_EQ(exo_xn_root_chown(disk, (uint32_t)root, BOB), -EPERM);
		ASSERT_EQ(exo_xn_map_root(disk, (uint32_t)root, 0, (uint8_t *)words, 16), -EACCES);
		_exit(0);
	}
	test_join(pid);
}

/* As BOB, whose root it is: so many blocks more, in one change. */
static void bob_wants(uint32_t root, uint64_t unit, uint32_t count, int want)
{
	struct exo_xn_change *change;
	uint64_t words[WORDS] = { 0 }, block;
	uint32_t i;

	GOOD(exo_xn_read(xn, root, unit, unit, words, 8));
	GOOD(exo_xn_find_free(xn, unit, count, &block));
	words[0] = count;
	for (i = 0; i < count; i++)
		words[1 + i] = block + i;
	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_change_alloc(change, unit, block, count, EXO_XN_DATA));
	GOOD(exo_xn_change_write(change, unit, 0, words, sizeof(words)));
	ASSERT_EQ(exo_xn_change_apply(change, 0, NULL), want);
	exo_xn_change_end(change);
}

static struct exo_xn_quota quota_of(uint32_t uid)
{
	struct exo_xn_quota quota;

	GOOD(exo_xn_quota(xn, uid, 0, &quota));
	return quota;
}

/*
 * INV-XN-27. Catches: a limit that doesn't hold, holds for others, is forgotten at the next attach, or is set or seen by
 * who may not. The control is the same change without a limit.
 */
XN_TEST(xn_quota__of_a_user)
{
	struct exo_xn_quota quota;
	uint64_t unit;
	uint32_t root = make_list("numbers", &unit), uid = 0, last = 0, seen = 0;
	pid_t pid;

	GOOD(exo_xn_root_chown(xn, root, BOB));
	GOOD(exo_xn_quota_set(xn, BOB, 0, 8));
	GOOD(exo_xn_quota_set(xn, 0, EXO_XN_QUOTA_DEFAULT, 2));
	detach();
	attach();
	quota = quota_of(BOB);
	CHECK(quota.out_blocks == 8 && quota.out_used == 1 && quota.out_flags == EXO_XN_QUOTA_OWN);
	CHECK(quota_of(ALICE).out_blocks == 2 && !quota_of(ALICE).out_flags);
	ASSERT_EQ(exo_xn_quota_set(xn, ALICE, EXO_XN_QUOTA_FORGET, 0), -ENOENT);
	ASSERT_EQ(exo_xn_quota_set(xn, ALICE, EXO_XN_QUOTA_DEFAULT, 1), -EINVAL);
	ASSERT_EQ(exo_xn_quota(xn, 0, EXO_XN_QUOTA_DEFAULT | EXO_XN_QUOTA_NEXT, &quota), -EINVAL);
	for (; !exo_xn_quota(xn, uid, EXO_XN_QUOTA_NEXT, &quota); uid = last + 1, seen++)
		last = quota.out_uid;
	/* Root, who installed the template, and Bob. */
	CHECK(seen == 2 && last == BOB);
	pid = test_fork();
	if (!pid) {
		t_become(BOB);
		GOOD(exo_env_open(&env, NULL));
		GOOD(exo_xn_open(env, NULL, &xn));
		ASSERT_EQ(quota_of(BOB).out_blocks, 8);
		ASSERT_EQ(exo_xn_quota(xn, ALICE, 0, &quota), -EPERM);
		ASSERT_EQ(exo_xn_quota(xn, 0, EXO_XN_QUOTA_NEXT, &quota), -EPERM);
		GOOD(exo_xn_quota(xn, 0, EXO_XN_QUOTA_DEFAULT, &quota));
		ASSERT_EQ(quota.out_blocks, 2);
		ASSERT_EQ(exo_xn_quota_set(xn, BOB, 0, 100), -EPERM);
		ASSERT_EQ(exo_xn_quota_set(xn, BOB, EXO_XN_QUOTA_FORGET, 0), -EPERM);
		bob_wants(root, unit, 8, -EDQUOT);
		bob_wants(root, unit, 7, 0);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(quota_of(BOB).out_used, 8);
	/* Less than he has: it stays his. */
	GOOD(exo_xn_quota_set(xn, BOB, 0, 3));
	ASSERT_EQ(quota_of(BOB).out_used, 8);
	GOOD(exo_xn_quota_set(xn, BOB, EXO_XN_QUOTA_FORGET, 0));
	ASSERT_EQ(quota_of(BOB).out_blocks, 2);
}

/* io_uring ------------------------------------------------------------------------------------------ */

static int submit(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	CHECK(io_uring_submit_and_wait(ring, 1) == 1);
	CHECK(!io_uring_wait_cqe(ring, &cqe));
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

XN_TEST(xn_uring__the_same)
{
	struct exo_xn_change *change;
	struct exo_xn_commit commit;
	struct exo_xn_apply apply;
	struct exo_xn_read read;
	struct exo_window *window;
	struct exo_xn_io io;
	struct io_uring ring;
	uint64_t words[WORDS], unit, block;
	uint32_t root = make_list("list", &unit), frames[2], binding;
	char *memory;

	if (!(exo_env_info(env)->out_features & EXO_FEATURE_URING))
		SKIP("no commands through io_uring on this kernel");
	CHECK(!io_uring_queue_init(8, &ring, 0));
	GOOD(exo_mem_alloc_any(env, frames, 2));
	GOOD(exo_window_map_frames(env, frames, 2, PROT_READ | PROT_WRITE, &window));
	memory = exo_window_base(window);
	GOOD(exo_xn_change_begin(xn, root, &change));
	GOOD(exo_xn_find_free(xn, unit, 2, &block));
	memset(words, 0, sizeof(words));
	words[0] = 2;
	words[1] = block;
	words[2] = block + 1;
	exo_xn_change_alloc(change, unit, block, 2, EXO_XN_DATA);
	exo_xn_change_write(change, unit, 0, words, 24);
	GOOD(exo_prep_xn_apply(io_uring_get_sqe(&ring), xn, change, 0, &apply));
	GOOD(submit(&ring));
	exo_xn_change_end(change);
	GOOD(exo_xn_bind(xn, root, unit, block, 2, RW, &binding));
	memset(memory, 0x11, PAGE);
	memset(memory + PAGE, 0x22, PAGE);
	exo_prep_xn_io(io_uring_get_sqe(&ring), xn, EXO_XN_IO_WRITE, binding, 0, frames, 2,
		       EXO_XN_IO_DURABLE, &io);
	GOOD(submit(&ring));
	exo_prep_xn_commit(io_uring_get_sqe(&ring), xn, root, &commit);
	GOOD(submit(&ring));
	exo_prep_xn_io(io_uring_get_sqe(&ring), xn, EXO_XN_IO_READ, binding, 1, frames, 1, 0, &io);
	GOOD(submit(&ring));
	CHECK(memory[0] == 0x22 && memory[PAGE] == 0x22);
	exo_prep_xn_read(io_uring_get_sqe(&ring), xn, root, unit, unit, words, 24, &read);
	GOOD(submit(&ring));
	CHECK(read.out_done == 24 && words[0] == 2);
	exo_prep_xn_io(io_uring_get_sqe(&ring), xn, EXO_XN_IO_READ, binding + 1, 0, frames, 1, 0, &io);
	CHECK(submit(&ring) < 0);
	GOOD(exo_xn_unbind(xn, binding));
	GOOD(exo_window_unmap(window));
	GOOD(exo_mem_free(env, frames, 2, NULL));
	io_uring_queue_exit(&ring);
}
