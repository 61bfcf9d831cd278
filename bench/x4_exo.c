// SPDX-License-Identifier: GPL-2.0
/* The store of samples/kv. */
#include <stdio.h>

#include "../samples/kv/kv.h"
#include "x4.h"

static struct exo_env *env;
static struct exo_xn *xn;
static struct kv *kv;
static char value[YCSB_VALUE + 1];
static int in_group;

static void must(int ret, const char *what)
{
	if (ret < 0)
		x4_fail("%s: %s", what, exo_strerror(ret));
}

static void open_store(const char *where)
{
	const struct kv_opts opts = { .frames = X4_FRAMES, .group_blocks = 64, .log_blocks = 4096,
				      .blocks = 32768 };

	(void)where;
	must(exo_env_open(&env, NULL), "environment");
	must(exo_xn_open(env, NULL, &xn), "disk");
	must(kv_create(xn, "x4", &opts), "create");
	must(kv_open(xn, "x4", &opts, &kv), "open");
}

static int get(const char *key, uint32_t key_len, const void **out_value)
{
	*out_value = value;
	return kv_get(kv, key, key_len, value, sizeof(value));
}

static void put(const char *key, uint32_t key_len, const void *bytes, uint32_t length)
{
	int ret;

	if (!in_group)
		must(kv_begin(kv), "begin");
	in_group = 1;
	ret = kv_put(kv, key, key_len, bytes, length);
	must(ret, "put");
}

static void commit(void)
{
	must(kv_commit(kv), "commit");
	in_group = 0;
}

static void settle(void)
{
	must(kv_checkpoint(kv), "checkpoint");
}

static void close_store(void)
{
	struct kv_stats stats;

	kv_stats(kv, &stats);
	printf("# exo: %llu hits, %llu misses, %llu evictions, %llu pages written, %llu requests, %llu groups, %llu checkpoints, %llu extents\n",
	       (unsigned long long)stats.hits, (unsigned long long)stats.misses,
	       (unsigned long long)stats.evictions, (unsigned long long)stats.writes,
	       (unsigned long long)stats.requests, (unsigned long long)stats.groups,
	       (unsigned long long)stats.checkpoints, (unsigned long long)stats.extents);
	must(kv_check(kv), "check");
	must(kv_close(kv), "close");
	exo_xn_close(xn);
	exo_env_close(env);
}

const struct x4_store x4_exo = {
	.name = "exo",
	.open = open_store,
	.get = get,
	.put = put,
	.commit = commit,
	.settle = settle,
	.close = close_store,
};
