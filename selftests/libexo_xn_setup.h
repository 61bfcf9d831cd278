/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of libexo's disks begin with: a freshly formatted disk and a root on it. They write over a disk:
 * $EXO_TEST_DISK, in our VM the first. Each program includes this once.
 */
#ifndef EXO_LIBEXO_XN_SETUP_H
#define EXO_LIBEXO_XN_SETUP_H

#include <exo/libexo.h>

#include "good.h"
#include "graft_embed.h"
#include "harness.h"
#include "lib.h"

#define CHECK(condition) ASSERT_TRUE(condition)
#define WORDS (EXO_XN_BLOCK / 8)

uint32_t test_pool_frames = 1024;

GRAFT(keyed, GRAFT_TOP "/libexo/test/graft/keyed.bpf.o");

static struct exo_env *env;
static struct exo_xn *xn;
static const char *device;

/* Whatever a test that failed left attached. */
static void detach_all(void)
{
	struct exo_xn_open_opts opts = { .sz = sizeof(opts) };
	struct exo_xn_disk disk = { 0 };
	struct exo_xn *old;

	while (!exo_xn_disk_next(env, 0, &disk)) {
		opts.disk = disk.disk;
		GOOD(exo_xn_open(env, &opts, &old));
		GOOD(exo_xn_detach(old, EXO_XN_DETACH_FORCE));
		GOOD(exo_xn_close(old));
	}
}

static void attach(void)
{
	struct exo_xn_attach said;

	GOOD(exo_xn_attach(env, device, 0, &said));
	CHECK(!said.out_quarantined);
	GOOD(exo_xn_open(env, NULL, &xn));
}

static void detach(void)
{
	GOOD(exo_xn_detach(xn, 0));
	GOOD(exo_xn_close(xn));
}

static void set_up(void)
{
	struct exo_xn_disk disk;
	int ret;

	t_need_root();
	device = getenv("EXO_TEST_DISK");
	if (!device && !access("/etc/vm/cmd", F_OK))
		device = "/dev/vda";
	if (!device)
		SKIP("no disk to overwrite: set EXO_TEST_DISK");
	ret = exo_env_open(&env, NULL);
	if (ret)
		FAIL("%s", exo_open_hint(ret));
	ret = exo_xn_disk_next(env, 0, &disk);
	if (ret == -ENOTTY || ret == -EOPNOTSUPP)
		SKIP("this module has no disks");
	detach_all();
	GOOD(exo_xn_format(env, device, &EXO_OPTS(exo_xn_format, .flags = EXO_XN_FORMAT_FORCE)));
	attach();
}

/* A test with a freshly formatted disk, which it must be able to detach afterwards. */
#define XN_TEST(name) \
	static void name##_body(void); \
	TEST_LONG(name, 120) \
	{ \
		set_up(); \
		name##_body(); \
		detach(); \
		CHECK(exo_env_close(env) == 0); \
	} \
	static void name##_body(void)

static uint32_t install(const char *name, const char *variant, uint32_t ref)
{
	struct exo_xn_template_opts opts = { .sz = sizeof(opts), .name = name, .variant = variant };
	char error[512] = "";
	int ret;

	opts.refs[0] = ref;
	opts.error = error;
	opts.error_size = sizeof(error);
	ret = exo_xn_template_install_memory(xn, keyed_start, (size_t)(keyed_end - keyed_start), &opts);
	if (ret < 0)
		FAIL("%s: %s (%d)", name, error, ret);
	return (uint32_t)ret;
}

/* An empty list of data blocks, known to the kernel. */
static uint32_t make_list(const char *name, uint64_t *out_unit)
{
	uint64_t words[WORDS] = { 0 };
	int root = exo_xn_root_create(xn, name, install("list", NULL, 0), words, sizeof(words), NULL,
				      out_unit);

	GOOD(root);
	GOOD(exo_xn_read(xn, (uint32_t)root, *out_unit, *out_unit, words, sizeof(words)));
	return (uint32_t)root;
}

/* The list points at count more blocks in a row. */
static void append(struct exo_xn_change *change, uint32_t root, uint64_t unit, uint64_t block,
		   uint32_t count)
{
	uint64_t words[WORDS];
	uint32_t i;

	GOOD(exo_xn_read(xn, root, unit, unit, words, sizeof(words)));
	for (i = 0; i < count; i++)
		words[1 + words[0] + i] = block + i;
	words[0] += count;
	GOOD(exo_xn_change_alloc(change, unit, block, count, EXO_XN_DATA));
	GOOD(exo_xn_change_write(change, unit, 0, words, sizeof(words)));
	GOOD(exo_xn_change_apply(change, 0, NULL));
}

#endif
