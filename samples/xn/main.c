// SPDX-License-Identifier: GPL-2.0
/*
 * Two users' databases of different formats on one raw disk. The kernel knows neither format; it runs their
 * own functions (tree.bpf.c, diary.bpf.c) to tell whose a block is.
 *
 *	xn /dev/vdb	as root, over whatever is there unless it is a disk of exo's
 */
#include <grp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../graft/embed.h"
#include "diary.h"
#include "tree.h"

#define ALICE 4711
#define BOB 4712
#define PEOPLE 400
#define DAYS 60

static struct exo_env *env;
static struct exo_xn *xn;
static struct store store;

static void need(int ret, const char *what)
{
	if (ret < 0)
		die(what, exo_strerror(ret));
}

/* Everybody's step: with an environment of one's own, and the disk. */
static void begin(void)
{
	int ret = exo_env_open(&env, NULL);

	if (ret)
		die("xn", exo_open_hint(ret));
	need(exo_xn_open(env, NULL, &xn), "no disk");
	ret = store_init(&store, env, xn);
	if (ret)
		die("xn", ret == -ENOSPC ? "no free frames: 'exoctl pool grow 512' as root" :
					   exo_strerror(ret));
}

static void end(void)
{
	store_close(&store);
	exo_xn_close(xn);
	exo_env_close(env);
}

/* Phone numbers in no order. */
static uint64_t person(uint32_t n)
{
	return (n * 2654435761U) % 1000000;
}

static void alice_writes(void)
{
	struct exo_xn_disk disk;
	char text[64];
	uint32_t i;

	begin();
	need(tree_create(&store, "phone-book"), "alice can't make her root");
	for (i = 0; i < PEOPLE; i++) {
		snprintf(text, sizeof(text), "person %u", i);
		need(tree_put(&store, person(i), text), "put");
	}
	need(exo_xn_disk(xn, &disk), "disk");
	printf("alice: a B+tree, \"phone-book\": %u durable puts, %" PRIu64 " blocks\n", PEOPLE,
	       (uint64_t)disk.out_my_blocks);
	end();
}

static void alice_reads(void)
{
	char value[TREE_VALUE], text[64];
	uint32_t i;

	begin();
	need(store_find(&store, "phone-book"), "alice can't find her root");
	for (i = 0; i < PEOPLE; i++) {
		snprintf(text, sizeof(text), "person %u", i);
		need(tree_get(&store, person(i), value), "get");
		if (strcmp(value, text))
			die("alice", "a value is not the one that was put");
	}
	if (tree_get(&store, 1000001, value) != -ENOENT)
		die("alice", "a key is there that was never put");
	printf("alice: all %u are there\n", PEOPLE);
	end();
}

static int day(char *text, size_t size, uint32_t i)
{
	return snprintf(text, size, "day %u: %.*s.\n", i, (int)(i * 7 % 300),
			"................................................................................"
			"................................................................................"
			"................................................................................"
			"............................................................");
}

static void bob_writes(void)
{
	struct exo_xn_disk disk;
	char text[400];
	uint32_t i;

	begin();
	need(diary_create(&store, "diary"), "bob can't make his root");
	for (i = 0; i < DAYS; i++) {
		day(text, sizeof(text), i);
		need(diary_append(&store, text), "append");
	}
	need(exo_xn_disk(xn, &disk), "disk");
	printf("bob: a diary, \"diary\": %u durable entries, %" PRIu64 " blocks\n", DAYS,
	       (uint64_t)disk.out_my_blocks);
	end();
}

static void bob_reads(void)
{
	char text[400], found[400];
	uint64_t at = 0;
	uint32_t i;
	int length, got, ret;

	begin();
	need(store_find(&store, "diary"), "bob can't find his root");
	for (i = 0; i < DAYS; i++) {
		length = day(text, sizeof(text), i);
		for (got = 0; got < length; got += ret) {
			ret = diary_read(&store, at, found + got, (uint32_t)(length - got));
			need(ret, "read");
			if (!ret)
				die("bob", "the diary is too short");
			at += (uint64_t)ret;
		}
		if (memcmp(text, found, (size_t)length))
			die("bob", "a day is not as it was written");
	}
	printf("bob: all %u are there\n", DAYS);
	end();
}

static const char *why(int ret)
{
	switch (ret) {
	case -EACCES:
		return "its acl doesn't allow it, or it is hers";
	case -ENOENT:
		return "his unit doesn't point there";
	case -EBUSY:
		return "the block is taken";
	case -EINVAL:
		return "owns says something else than the change";
	default:
		return exo_strerror(ret);
	}
}

static void refused(int ret, int wanted, const char *what)
{
	if (ret != wanted) {
		fprintf(stderr, "bob %s: %s, which should have been: %s\n", what, exo_strerror(ret),
			exo_strerror(wanted));
		exit(1);
	}
	printf("bob %s: refused (%s)\n", what, why(ret));
}

/* Bob knows where everything is, and tries. */
static void bob_tries(uint64_t node, uint64_t leaf)
{
	struct exo_xn_root book;
	struct diary_head head;
	uint8_t bytes[EXO_XN_BLOCK];
	uint32_t binding;

	begin();
	need(store_find(&store, "diary"), "bob can't find his root");
	need(exo_xn_root_find(xn, "phone-book", &book), "bob can't find alice's root");
	refused(exo_xn_read(xn, book.root, book.out_block, book.out_block, bytes, sizeof(bytes)), -EACCES,
		"reads alice's tree");
	refused(exo_xn_bind(xn, book.root, node, leaf, 1, EXO_RIGHT_READ, &binding), -EACCES,
		"binds one of her leaves");
	refused(exo_xn_bind(xn, store.root, store.first, leaf, 1, EXO_RIGHT_READ, &binding), -ENOENT,
		"binds it as if it were his diary's");
	refused(exo_xn_root_delete(xn, book.root), -EACCES, "deletes her tree");

	need(exo_xn_read(xn, store.root, store.first, store.first, &head, sizeof(head)), "read");
	head.run[head.runs++] = leaf;
	exo_xn_change_write(store.change, store.first, 0, &head, sizeof(head));
	refused(exo_xn_change_apply(store.change, 0, NULL), -EINVAL,
		"lets his diary point at her leaf, and doesn't say so");
	exo_xn_change_clear(store.change);
	exo_xn_change_alloc(store.change, store.first, leaf, DIARY_RUN, EXO_XN_DATA);
	exo_xn_change_write(store.change, store.first, 0, &head, sizeof(head));
	refused(exo_xn_change_apply(store.change, 0, NULL), -EBUSY, "says so");

	exo_xn_change_clear(store.change);
	need(exo_xn_read(xn, store.root, store.first, store.first, &head, sizeof(head)), "read");
	exo_xn_change_free(store.change, store.first, head.run[--head.runs], DIARY_RUN, EXO_XN_DATA);
	head.run[head.runs] = 0;
	exo_xn_change_write(store.change, store.first, 0, &head, sizeof(head));
	refused(exo_xn_change_apply(store.change, 0, NULL), -EACCES,
		"tears a page out of his own diary, which its acl forbids");
	end();
}

/* Runs as somebody else; he must be in the device's group. */
static void as(uid_t uid, void (*fn)(void))
{
	struct stat st = { 0 };
	int status;
	pid_t pid;

	fflush(stdout);
	if (stat("/dev/exo", &st))
		die("xn", "there is no /dev/exo");
	pid = fork();
	if (!pid) {
		if (setgroups(1, &st.st_gid) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			die("xn", "can't become another user");
		fn();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		exit(1);
}

/* Where one of alice's leaves is: a pipe tells those who are told nothing by the kernel. */
static int tell[2];
static uint64_t told[2];

static void alice_tells(void)
{
	begin();
	need(store_find(&store, "phone-book"), "alice can't find her root");
	need(tree_place(&store, person(7), &told[0], &told[1]), "place");
	if (write(tell[1], told, sizeof(told)) != sizeof(told))
		die("xn", "can't write to a pipe");
	end();
}

static void bob_tries_that(void)
{
	bob_tries(told[0], told[1]);
}

static void attach(const char *device)
{
	struct exo_xn_attach said;

	need(exo_xn_attach(env, device, 0, &said), "the disk can't be attached");
	printf("attached: %u roots, %" PRIu64 " transactions replayed\n", said.out_roots,
	       (uint64_t)said.out_replayed);
}

static void detach(void)
{
	need(exo_xn_open(env, NULL, &xn), "no disk");
	need(exo_xn_detach(xn, 0), "the disk can't be detached");
	exo_xn_close(xn);
}

static void run(const char *device)
{
	attach(device);
	as(ALICE, alice_writes);
	as(BOB, bob_writes);
	if (pipe(tell))
		die("xn", "no pipe");
	as(ALICE, alice_tells);
	if (read(tell[0], told, sizeof(told)) != sizeof(told))
		die("xn", "alice told nothing");
	as(BOB, bob_tries_that);
	detach();
	printf("detached, and ");
	attach(device);
	as(ALICE, alice_reads);
	as(BOB, bob_reads);
	detach();
}

int main(int argc, char **argv)
{
	int ret;

	if (argc != 2)
		die("xn", "say which block device may be written over: xn /dev/vdb");
	ret = exo_env_open(&env, NULL);
	if (ret)
		die("xn", exo_open_hint(ret));
	ret = exo_xn_format(env, argv[1], NULL);
	if (ret == -EBUSY)
		die("xn", "the device is in use, or has a disk of exo's on it already");
	if (ret == -EPERM)
		die("xn", "run it as root: it formats a disk, and becomes two users");
	need(ret, "the device can't be formatted");
	run(argv[1]);
	return exo_env_close(env) != 0;
}
