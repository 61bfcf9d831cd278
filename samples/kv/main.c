// SPDX-License-Identifier: GPL-2.0
/*
 * A key-value store that is its own file system: filled, killed while it works, recovered, compared.
 *
 *	kv /dev/vdb [RECORDS [FRAMES]]	as root, over whatever is there unless it is a disk of exo's
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../graft/embed.h"
#include "kv.h"

#define GROUP 10U
#define VALUE 400U

static struct exo_env *env;
static struct exo_xn *xn;
static uint32_t records = 20000;
static struct kv_opts opts = { .frames = 512 };

static const char *hint(int ret)
{
	if (ret == -EBUSY)
		return "another process has it open: close that one, or kill it";
	if (ret == -EBADMSG)
		return "the device gave other bytes than were written to it: restore the store from a copy";
	if (ret == -EPROTONOSUPPORT)
		return "it was made by another version of this program: make it anew";
	return exo_strerror(ret);
}

static void need(int ret, const char *what)
{
	if (ret < 0)
		die(what, hint(ret));
}

static int open_store(struct kv **out_kv)
{
	int ret = exo_env_open(&env, NULL);

	if (ret)
		die("kv", exo_open_hint(ret));
	need(exo_xn_open(env, NULL, &xn), "no disk");
	return kv_open(xn, "store", &opts, out_kv);
}

/* Whenever exo asks, between two groups: the pages that are wanted least leave. */
static void give_back(const struct exo_revoke *revoke, void *ctx)
{
	int ret = kv_shrink(ctx, revoke->wanted);

	if (ret < 0)
		die("frames can't be given back", hint(ret));
}

static struct kv *begin(void)
{
	struct kv *kv;
	int ret = open_store(&kv);

	if (ret == -ENOSPC || ret == -EDQUOT)
		die("kv", "not enough free frames: 'exoctl pool grow 1024' as root");
	need(ret, "the store can't be opened");
	need(exo_env_on_revoke(env, give_back, kv), "events");
	return kv;
}

static void leave(void)
{
	exo_xn_close(xn);
	exo_env_close(env);
}

static void end(struct kv *kv)
{
	need(exo_env_on_revoke(env, NULL, NULL), "events");
	need(kv_close(kv), "close");
	leave();
}

/* Keys in no order; a value tells its key, and how often it was written. */
static uint32_t key_of(uint32_t n, char key[24])
{
	return (uint32_t)snprintf(key, 24, "user%010u", n * 2654435761U);
}

static void value_of(uint32_t n, uint32_t version, char value[VALUE])
{
	memset(value, '.', VALUE);
	snprintf(value, VALUE, "record %u, version %u", n, version);
}

static void put(struct kv *kv, uint32_t n, uint32_t version)
{
	char key[24], value[VALUE];
	uint32_t key_len = key_of(n, key);

	value_of(n, version, value);
	need(kv_put(kv, key, key_len, value, VALUE), "put");
}

static void fill(void)
{
	struct kv *kv = begin();
	struct kv_stats stats;
	uint32_t n;

	for (n = 0; n < records; n++) {
		if (n % 100 == 0) {
			need(exo_env_dispatch(env, 0), "events");
			need(kv_begin(kv), "begin");
		}
		put(kv, n, 0);
		if (n % 100 == 99 || n + 1 == records)
			need(kv_commit(kv), "commit");
	}
	kv_stats(kv, &stats);
	printf("%u records in %" PRIu64 " groups, %" PRIu64 " checkpoints, %" PRIu64
	       " pages written in %" PRIu64 " requests\n", records, stats.groups, stats.checkpoints,
	       stats.writes, stats.requests);
	end(kv);
}

/* Round r writes version r of ten records that nobody else writes. */
static void update(volatile uint32_t *done)
{
	struct kv *kv = begin();
	uint32_t i;

	for (;;) {
		need(exo_env_dispatch(env, 0), "events");
		need(kv_begin(kv), "begin");
		for (i = 0; i < GROUP; i++)
			put(kv, (*done % (records / GROUP)) * GROUP + i, *done + 1);
		need(kv_commit(kv), "commit");
		++*done;
	}
}

static uint32_t version_at(struct kv *kv, uint32_t n)
{
	char key[24], value[VALUE], expect[VALUE];
	uint32_t key_len = key_of(n, key), version, number;
	int length = kv_get(kv, key, key_len, value, VALUE);

	if (length != -ENOENT)
		need(length, "a record can't be read");
	if (length != VALUE ||
	    sscanf(value, "record %u, version %u", &number, &version) != 2)
		die("kv", "a record is gone");
	value_of(n, version, expect);
	if (number != n || memcmp(value, expect, VALUE))
		die("kv", "a record is not as it was written");
	return version;
}

/* The last round that wrote these ten, of those before @rounds. */
static uint32_t last_round(uint32_t ten, uint32_t rounds)
{
	uint32_t turn = records / GROUP;

	return ten < rounds ? (rounds - 1 - ten) / turn * turn + ten + 1 : 0;
}

/* All that was acknowledged is there; of what was not, all ten of a group, or none. */
static void compare(uint32_t rounds)
{
	struct kv *kv = begin();
	uint32_t ten, i, version, more = 0;
	struct kv_stats stats;

	kv_stats(kv, &stats);
	need(kv_check(kv), "the tree is damaged");
	for (ten = 0; ten < records / GROUP; ten++) {
		version = version_at(kv, ten * GROUP);
		for (i = 1; i < GROUP; i++)
			if (version_at(kv, ten * GROUP + i) != version)
				die("kv", "a group is there in part");
		if (version == last_round(ten, rounds))
			continue;
		if (version != last_round(ten, rounds + 1) || more++)
			die("kv", "a group that was acknowledged is gone");
	}
	printf("recovered: %" PRIu64 " groups replayed; all %u acknowledged rounds are there%s\n",
	       stats.replayed, rounds, more ? ", and the one after them" : "");
	end(kv);
}

/* While another process works with it. */
static void try_second(void)
{
	struct kv *kv;
	int ret = open_store(&kv);

	if (!ret)
		die("kv", "two processes have the store open");
	printf("a second process can't open the store: %s\n", hint(ret));
	leave();
}

static void run_killed(void)
{
	volatile uint32_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (done == MAP_FAILED)
		die("kv", "no memory");
	fflush(stdout);
	pid = fork();
	if (!pid)
		update(done);
	if (pid < 0)
		die("kv", "can't start a process");
	while (*done < 300 && !waitpid(pid, NULL, WNOHANG))
		usleep(1000);
	try_second();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (*done < 300)
		die("kv", "the process that updates ended");
	printf("killed in the middle of round %u\n", *done + 1);
	compare(*done);
}

static void make(const char *device)
{
	int ret = exo_env_open(&env, NULL);

	if (ret)
		die("kv", exo_open_hint(ret));
	ret = exo_xn_format(env, device, NULL);
	if (ret == -EBUSY)
		die("kv", "the device is in use, or has a disk of exo's on it already");
	if (ret == -EPERM)
		die("kv", "run it as root: it formats a disk");
	need(ret, "the device can't be formatted");
	need(exo_xn_attach(env, device, 0, NULL), "the disk can't be attached");
	need(exo_xn_open(env, NULL, &xn), "no disk");
	need(kv_create(xn, "store", &opts), "the store can't be made");
	exo_xn_close(xn);
	exo_env_close(env);
}

static void detach(void)
{
	need(exo_env_open(&env, NULL), "kv");
	need(exo_xn_open(env, NULL, &xn), "no disk");
	need(exo_xn_detach(xn, 0), "the disk can't be detached");
	exo_xn_close(xn);
	exo_env_close(env);
}

int main(int argc, char **argv)
{
	if (argc > 2)
		records = (uint32_t)atoi(argv[2]);
	if (argc > 3)
		opts.frames = (uint32_t)atoi(argv[3]);
	if (argc < 2 || argc > 4 || records < GROUP || opts.frames < 128)
		die("kv", "say which block device may be written over: kv /dev/vdb [RECORDS [FRAMES]]");
	make(argv[1]);
	fill();
	run_killed();
	detach();
	return 0;
}
