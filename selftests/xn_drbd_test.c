// SPDX-License-Identifier: GPL-2.0
/*
 * exo on DRBD: two nodes in one guest, a virtio disk below each, connected over the loopback. What a database on
 * the primary made durable is on the other node when that takes over, without a detach before.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "xn_lib.h"

#define BLOCKS 32U
#define PRIMARY "/dev/drbd0"
#define OTHER "/dev/drbd1"

struct database {
	int fd;
	uint32_t disk;
	uint32_t root;
	uint64_t at;
	uint64_t block;
	uint32_t binding;
	uint32_t frames[BLOCKS];
	struct xt_unit unit;
};

static void must_run(const char *const *argv)
{
	int status;
	pid_t pid = test_fork();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ_FOR(status, 0, "%s %s", argv[0], argv[1]);
}

#define RUN(...) must_run((const char *const[]){ __VA_ARGS__, NULL })

static void node_up(const char *minor, const char *resource, const char *disk, const char *own, const char *peer)
{
	RUN("drbdmeta", "--force", minor, "v08", disk, "internal", "create-md");
	RUN("drbdsetup", "new-resource", resource);
	RUN("drbdsetup", "new-minor", resource, minor, "0");
	RUN("drbdsetup", "attach", minor, disk, disk, "internal");
	RUN("drbdsetup", "connect", resource, own, peer, "--protocol=C");
}

/* Both up to date, the first one primary. */
static void nodes_up(void)
{
	static const char first[] = "ipv4:127.0.0.1:7788", second[] = "ipv4:127.0.0.1:7789";

	if (access("/etc/vm/cmd", F_OK))
		SKIP("overwrites disks: only in the VM of tools/vm");
	RUN("mkdir", "-p", "/var/lock", "/var/lib/drbd");
	RUN("ifconfig", "lo", "127.0.0.1", "up");
	node_up("0", "one", "/dev/vda", first, second);
	node_up("1", "two", "/dev/vdb", second, first);
	RUN("drbdsetup", "wait-connect", "0");
	RUN("drbdsetup", "wait-connect", "1");
	/* Nothing is on them: let them be equal without a copy of all. */
	RUN("drbdsetup", "new-current-uuid", "--clear-bitmap", "0");
	RUN("drbdsetup", "primary", "0");
}

static void fill(struct database *db, uint64_t value)
{
	t_fill_each(db->fd, db->frames, BLOCKS, value);
}

static void write_durably(struct database *db, uint64_t value)
{
	fill(db, value);
	ASSERT_EQ(xt_io(db->fd, EXO_XN_IO_WRITE, db->binding, 0, db->frames, BLOCKS, EXO_XN_IO_DURABLE), 0);
}

static void expect(struct database *db, uint64_t value)
{
	uint32_t i;

	fill(db, 1);
	ASSERT_EQ(xt_io(db->fd, EXO_XN_IO_READ, db->binding, 0, db->frames, BLOCKS, 0), 0);
	for (i = 0; i < BLOCKS; i++)
		ASSERT_EQ_FOR(t_peek(db->fd, db->frames[i]), value + i, "block %u", i);
}

static void attach(struct database *db, const char *path)
{
	struct exo_xn_attach attach;

	ASSERT_EQ(xt_attach(db->fd, path, &attach), 0);
	db->disk = attach.out_disk;
}

static void make(struct database *db)
{
	db->fd = t_open();
	t_need_feature(db->fd, EXO_FEATURE_XN, "raw disks");
	t_alloc_any(db->fd, db->frames, BLOCKS);
	ASSERT_EQ(xt_format(db->fd, PRIMARY, EXO_XN_FORMAT_FORCE), 0);
	attach(db, PRIMARY);
	db->unit = (struct xt_unit){ .blocks = 1 };
	db->block = xt_data_root(db->fd, db->disk, &db->unit, BLOCKS, &db->root, &db->at);
	ASSERT_EQ(xt_bind(db->fd, db->disk, db->root, db->at, db->block, BLOCKS, RW, &db->binding), 0);
}

/* Catches: a durable write or a commit that is acknowledged before DRBD has it; a disk that only attaches where it was. */
TEST(replica__takes_over)
{
	struct database db = { 0 };

	t_need_root();
	nodes_up();
	make(&db);
	write_durably(&db, 1000);
	expect(&db, 1000);
	/* The first node is lost: nothing more gets to the other, and the detach is none. */
	RUN("drbdsetup", "disconnect", "ipv4:127.0.0.1:7788", "ipv4:127.0.0.1:7789", "--force");
	write_durably(&db, 5000);
	ASSERT_EQ(xt_detach(db.fd, db.disk, EXO_XN_DETACH_FORCE), 0);
	RUN("drbdsetup", "down", "one");

	RUN("drbdsetup", "primary", "1", "--force");
	attach(&db, OTHER);
	ASSERT_EQ(xt_find(db.fd, db.disk, "root", &(struct exo_xn_root){ 0 }), 0);
	ASSERT_EQ(xt_read(db.fd, db.disk, db.root, db.at, db.at, &db.unit, sizeof(db.unit)), sizeof(db.unit));
	ASSERT_EQ(xt_bind(db.fd, db.disk, db.root, db.at, db.block, BLOCKS, RW, &db.binding), 0);
	expect(&db, 1000);
	write_durably(&db, 2000);
	expect(&db, 2000);
	ASSERT_EQ(xt_unbind(db.fd, db.binding), 0);
	ASSERT_EQ(xt_detach(db.fd, db.disk, 0), 0);
	RUN("drbdsetup", "down", "two");
}

