// SPDX-License-Identifier: GPL-2.0
/* libexo's functions for the store, on the engine and a simulated disk. See kv_native.h. */
#include "unit.h"
#include "core/xn_core.h"
#include "xn_sim.h"

#include "kv_disk.h"
#include "../../samples/kv/format.h"

#define STEPS 4U
#define BINDINGS 512U
#define LOG_BLOCKS 64U

struct binding {
	u64 block;
	u32 count;
};

struct kv_disk {
	struct sim *sim;
	struct exo_xn *xn;
	bool lies;
	struct exo_xn_step_core step[STEPS];
	u32 nr_steps;
	u32 root;
	struct binding binding[BINDINGS];
	u32 nr_entries;
	u32 locked;	/* number of the entry that has the lock */
	u8 *memory;
	u32 frames;
};

static const struct exo_xn_who owner = { .uid = 1000 };

/* What kv.bpf.c says. */
static int kv_owns(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		   u32 length, u32 part, u64 block, struct exo_xn_extents *out)
{
	const struct kv_super *super = bytes;
	u32 i;

	for (i = 0; i < super->extents && i < KV_EXTENTS; i++) {
		if (out->nr == out->max)
			return -E2BIG;
		out->at[out->nr++] = (struct exo_xn_extent){ .block = super->extent[i].block,
							     .count = super->extent[i].count,
							     .slot = EXO_XN_DATA };
	}
	return 0;
}

static bool kv_acl(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		   u32 length, const struct exo_xn_question *q, const struct exo_xn_who *who)
{
	return q->uid == q->owner;
}

static u32 kv_size(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		   u32 length)
{
	return KV_BLOCK;
}

/* Disks ---------------------------------------------------------------------------------------------- */

static struct kv_disk *disk_of(struct sim *sim)
{
	struct kv_disk *disk = calloc(1, sizeof(*disk));

	disk->sim = sim;
	sim->host.owns = kv_owns;
	sim->host.acl = kv_acl;
	sim->host.size = kv_size;
	return disk;
}

struct kv_disk *kv_disk_new(uint64_t blocks)
{
	struct exo_xn_format_opts opts = { .blocks = blocks, .log_blocks = LOG_BLOCKS };
	struct kv_disk *disk = disk_of(sim_new(blocks));

	CHECK_EQ(exo_xn_format(&disk->sim->host, disk->sim, &opts), 0);
	CHECK_EQ(exo_xn_attach(&disk->sim->host, disk->sim, blocks, 0, &disk->xn), 0);
	return disk;
}

struct kv_disk *kv_disk_crash(const struct kv_disk *disk, uint32_t upto, enum kv_disk_crash how)
{
	struct sim_image image;
	struct kv_disk *copy;

	sim_crash(disk->sim, upto, (enum sim_crash)how, &image);
	copy = disk_of(sim_from(&image));
	sim_image_free(&image);
	if (!exo_xn_attach(&copy->sim->host, copy->sim, copy->sim->now.blocks, 0, &copy->xn))
		return copy;
	sim_free(copy->sim);
	free(copy);
	return NULL;
}

void kv_disk_free(struct kv_disk *disk)
{
	exo_xn_free(disk->xn);
	sim_free(disk->sim);
	free(disk);
}

uint32_t kv_disk_events(const struct kv_disk *disk)
{
	return disk->sim->nr_events;
}

void kv_disk_settle(struct kv_disk *disk)
{
	sim_settle(disk->sim);
}

void kv_disk_lie(struct kv_disk *disk)
{
	disk->lies = true;
}

bool kv_disk_flip(struct kv_disk *disk, uint64_t block, uint32_t bit)
{
	u8 whose, bytes[KV_BLOCK];

	CHECK_EQ(exo_xn_map_show(disk->xn, block, 1, owner.uid, &whose), 0);
	if (whose != EXO_XN_MINE)
		return false;
	memcpy(bytes, sim_bytes(&disk->sim->now, block), KV_BLOCK);
	bytes[bit / 8] ^= (u8)(1U << bit % 8);
	CHECK_EQ(disk->sim->host.write(disk->xn, block, 1, bytes, EXO_XN_FUA), 0);
	return true;
}

/* Memory --------------------------------------------------------------------------------------------- */

struct kv_disk *native_env(struct kv_disk *disk);
int native_mem_alloc(struct kv_disk *disk, u32 *frames, u32 count);
int native_mem_free(struct kv_disk *disk, const u32 *frames, u32 count, u32 *out_done);
int native_window_map(struct kv_disk *disk, const u32 *frames, u32 count, int prot,
		      struct kv_disk **out);
void *native_window_base(struct kv_disk *disk);
int native_window_unmap(struct kv_disk *disk);

struct kv_disk *native_env(struct kv_disk *disk)
{
	return disk;
}

/* Frame n is the n-th page of the memory. */
int native_mem_alloc(struct kv_disk *disk, u32 *frames, u32 count)
{
	u32 i;

	CHECK(!disk->memory);
	disk->memory = malloc((size_t)count * KV_BLOCK);
	disk->frames = count;
	for (i = 0; i < count; i++)
		frames[i] = i + 1;
	return 0;
}

int native_mem_free(struct kv_disk *disk, const u32 *frames, u32 count, u32 *out_done)
{
	return 0;
}

int native_window_map(struct kv_disk *disk, const u32 *frames, u32 count, int prot,
		      struct kv_disk **out)
{
	CHECK(count == disk->frames && frames[0] == 1);
	*out = disk;
	return 0;
}

void *native_window_base(struct kv_disk *disk)
{
	return disk->memory;
}

int native_window_unmap(struct kv_disk *disk)
{
	free(disk->memory);
	disk->memory = NULL;
	return 0;
}

/* Roots and units ------------------------------------------------------------------------------------ */

int native_template_install(struct kv_disk *disk, const void *data, size_t size, const void *opts);
int native_root_create(struct kv_disk *disk, const char *name, u32 template_number,
		       const void *bytes, u32 length, const void *opts, u64 *out_block);
int native_root_find(struct kv_disk *disk, const char *name, struct exo_xn_root *out);
int native_read(struct kv_disk *disk, u32 root, u64 parent, u64 block, void *bytes, u32 length);
int native_find_free(struct kv_disk *disk, u64 near, u32 count, u64 *out_block);
int native_change_begin(struct kv_disk *disk, u32 root, struct kv_disk **out);
void native_change_end(struct kv_disk *disk);
void native_change_clear(struct kv_disk *disk);
int native_change_alloc(struct kv_disk *disk, u64 unit, u64 block, u32 count, u32 slot);
int native_change_write(struct kv_disk *disk, u64 unit, u32 offset, const void *bytes, u32 length);
int native_change_apply(struct kv_disk *disk, u32 flags, void *out_said);

int native_template_install(struct kv_disk *disk, const void *data, size_t size, const void *opts)
{
	struct sim_content content = { .magic = SIM_MAGIC, .kind = SIM_LIST };
	struct exo_graft_error err;
	u32 refs[EXO_XN_REFS] = { 0 }, func, number;
	int ret = exo_xn_template_add(disk->xn, &owner, "kv", refs, 0, 0, &content,
				      sizeof(content), &err, &func, &number);

	return ret ?: (int)number;
}

int native_root_create(struct kv_disk *disk, const char *name, u32 template_number,
		       const void *bytes, u32 length, const void *opts, u64 *out_block)
{
	static const u8 key[32];
	u32 number;
	int ret;

	ret = (exo_xn_root_create)(disk->xn, &owner, name, template_number, 0, 0, 0, key, bytes,
				   length, &number);
	return ret ?: (int)number;
}

int native_root_find(struct kv_disk *disk, const char *name, struct exo_xn_root *out)
{
	const struct exo_xn_root_core *root;
	u32 i;

	for (i = 1; i <= EXO_XN_ROOTS; i++) {
		root = exo_xn_root(disk->xn, i);
		if (!root || strcmp(root->name, name))
			continue;
		out->root = i;
		out->out_block = root->block;
		return root->flags & EXO_XN_ROOT_QUARANTINED ? -EACCES : 0;
	}
	return -ENOENT;
}

int native_read(struct kv_disk *disk, u32 root, u64 parent, u64 block, void *bytes, u32 length)
{
	struct exo_xn_unit *unit;
	int ret = exo_xn_unit_load(disk->xn, root, parent, block, &unit);

	if (ret)
		return ret;
	memcpy(bytes, unit->now, length);
	return (int)length;
}

int native_find_free(struct kv_disk *disk, u64 near, u32 count, u64 *out_block)
{
	u64 block, end = disk->sim->now.blocks;
	u32 run = 0;
	u8 byte;

	for (block = 0; block < end; block++) {
		CHECK_EQ(exo_xn_map_show(disk->xn, block, 1, owner.uid, &byte), 0);
		run = byte == EXO_XN_FREE ? run + 1 : 0;
		if (run == count) {
			*out_block = block + 1 - count;
			return 0;
		}
	}
	return -ENOSPC;
}

int native_change_begin(struct kv_disk *disk, u32 root, struct kv_disk **out)
{
	disk->root = root;
	*out = disk;
	return 0;
}

void native_change_end(struct kv_disk *disk)
{
}

void native_change_clear(struct kv_disk *disk)
{
	disk->nr_steps = 0;
}

int native_change_alloc(struct kv_disk *disk, u64 unit, u64 block, u32 count, u32 slot)
{
	disk->step[disk->nr_steps++] = (struct exo_xn_step_core){
		.kind = EXO_XN_ALLOC, .parent = unit, .block = block, .count = count, .slot = slot };
	return 0;
}

int native_change_write(struct kv_disk *disk, u64 unit, u32 offset, const void *bytes, u32 length)
{
	disk->step[disk->nr_steps++] = (struct exo_xn_step_core){
		.kind = EXO_XN_WRITE, .parent = unit, .offset = offset, .length = length,
		.bytes = bytes };
	return 0;
}

int native_change_apply(struct kv_disk *disk, u32 flags, void *out_said)
{
	u32 at;
	u64 block, seq;
	int ret;

	ret = exo_xn_apply(disk->xn, &owner, disk->root, disk->step, disk->nr_steps, &at, &block);
	if (ret || !(flags & EXO_XN_APPLY_COMMIT))
		return ret;
	exo_xn_root(disk->xn, disk->root)->requested = true;
	return exo_xn_commit(disk->xn, &seq);
}

/* Data ----------------------------------------------------------------------------------------------- */

int native_bind(struct kv_disk *disk, u32 root, u64 unit, u64 block, u32 count, u32 rights,
		u32 *out_binding);
int native_unbind(struct kv_disk *disk, u32 binding);
int native_entry(struct kv_disk *disk, u32 root, u64 unit, u64 block, u32 rights, u32 flags,
		 struct exo_xn_entry *out);
int native_entry_lock(struct kv_disk *disk, u32 entry, u32 slots, u32 mode, u32 flags);
int native_io_read(struct kv_disk *disk, u32 binding, u32 offset, const u32 *frames, u32 count);
int native_io_write(struct kv_disk *disk, u32 binding, u32 offset, const u32 *frames, u32 count,
		    u32 flags);

int native_bind(struct kv_disk *disk, u32 root, u64 unit, u64 block, u32 count, u32 rights,
		u32 *out_binding)
{
	struct exo_xn_unit *found;
	u32 n = 1;
	int ret = exo_xn_unit_load(disk->xn, root, unit, unit, &found);

	if (!ret)
		ret = exo_xn_bind_check(disk->xn, found, &owner, block, count, rights);
	if (!ret)
		ret = exo_xn_map_hold(disk->xn, block, count);
	if (ret)
		return ret;
	while (disk->binding[n].count)
		CHECK(++n < BINDINGS);
	disk->binding[n] = (struct binding){ block, count };
	*out_binding = n;
	return 0;
}

int native_unbind(struct kv_disk *disk, u32 binding)
{
	if (binding < BINDINGS)
		disk->binding[binding].count = 0;
	else if (disk->locked == binding)
		disk->locked = 0;
	return 0;
}

/* Entries are of one unit, for one lock; their numbers are no bindings'. */
int native_entry(struct kv_disk *disk, u32 root, u64 unit, u64 block, u32 rights, u32 flags,
		 struct exo_xn_entry *out)
{
	CHECK(unit == block && flags == EXO_XN_ENTRY_UNIT);
	out->out_entry = BINDINGS + disk->nr_entries++;
	return 0;
}

int native_entry_lock(struct kv_disk *disk, u32 entry, u32 slots, u32 mode, u32 flags)
{
	CHECK(mode == EXO_XN_EXCLUSIVE && flags == EXO_XN_LOCK_TRY);
	if (disk->locked)
		return -EBUSY;
	disk->locked = entry;
	return 0;
}

static u8 *frame(struct kv_disk *disk, u32 number)
{
	CHECK(number && number <= disk->frames);
	return disk->memory + (size_t)(number - 1) * KV_BLOCK;
}

static u64 place(struct kv_disk *disk, u32 binding, u32 offset, u32 count)
{
	CHECK(binding && binding < BINDINGS);
	CHECK(count && (u64)offset + count <= disk->binding[binding].count);
	return disk->binding[binding].block + offset;
}

int native_io_read(struct kv_disk *disk, u32 binding, u32 offset, const u32 *frames, u32 count)
{
	u64 block = place(disk, binding, offset, count);
	u32 i;

	for (i = 0; i < count; i++) {
		if (exo_xn_readable(disk->xn, block + i, 1) & 1)
			memcpy(frame(disk, frames[i]), sim_bytes(&disk->sim->now, block + i),
			       KV_BLOCK);
		else
			memset(frame(disk, frames[i]), 0, KV_BLOCK);
	}
	return 0;
}

/* One request, of whose blocks a crash leaves any. */
int native_io_write(struct kv_disk *disk, u32 binding, u32 offset, const u32 *frames, u32 count,
		    u32 flags)
{
	u64 block = place(disk, binding, offset, count);
	bool durable = flags & EXO_XN_IO_DURABLE && !disk->lies;
	bool commit = durable && !exo_xn_init_durable(disk->xn, block, count);
	u8 *bytes = malloc((size_t)count * KV_BLOCK);
	u32 i;
	int ret;

	for (i = 0; i < count; i++)
		memcpy(bytes + (size_t)i * KV_BLOCK, frame(disk, frames[i]), KV_BLOCK);
	ret = disk->sim->host.write(disk->xn, block, count, bytes,
				    durable && !commit ? EXO_XN_FUA : 0);
	free(bytes);
	if (ret)
		return ret;
	exo_xn_written(disk->xn, block, count);
	return commit ? exo_xn_commit_written(disk->xn) : 0;
}
