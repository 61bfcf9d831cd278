/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine's inside. All of it is under the disk's lock, but for the three words that are said so.
 *
 * An entry of the map has three versions: what the disk's home has, what the log has (@committed, with
 * @durable), and what everybody sees (@now, with @readable). A unit has them, too: home, @base, @pub.now.
 * A commit makes the second of the third, a checkpoint the first of the second.
 *
 *	free		now: not TAKEN, no references
 *	taken		now: TAKEN
 *	waiting		now: not TAKEN, a reference: freed, and the log doesn't know it yet (INV-XN-5)
 */
#ifndef EXO_CORE_XN_CORE_H
#define EXO_CORE_XN_CORE_H

#include "core/xn.h"
#include "core/xn_disk.h"

#define EXO_XN_PARTS 1025U
#define EXO_XN_PART_MIN 64U		/* bytes */
#define EXO_XN_MAP_WORDS ((EXO_XN_MAP_ENTRIES + 63) / 64)
#define EXO_XN_RETIRED 8U		/* times that a disk grows while it is attached */
#define EXO_XN_CONTENT_MAX (1U << 20)	/* bytes of a template */
#define EXO_XN_UID_TEMPLATES 64U
#define EXO_XN_UID_CONTENT (4U << 20)	/* bytes: what is compiled of it is in proportion */
#define EXO_XN_REFS_MAX (EXO_XN_ENTRY_REFS / EXO_XN_ENTRY_REF)

struct exo_xn_link {
	struct exo_xn_link *prev;
	struct exo_xn_link *next;
};

#define exo_xn_entry(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static inline void exo_xn_list_init(struct exo_xn_link *head)
{
	head->prev = head;
	head->next = head;
}

static inline bool exo_xn_listed(const struct exo_xn_link *link)
{
	return link->next && link->next != link;
}

static inline void exo_xn_list_del(struct exo_xn_link *link)
{
	if (!link->next)
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = NULL;
	link->next = NULL;
}

static inline void exo_xn_list_add(struct exo_xn_link *head, struct exo_xn_link *link)
{
	if (link->next)
		return;
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/**
 * struct exo_xn_map_block - a block of the map in memory; stays while it is held, or not as its home
 * @index: which
 * @queue: next one that has something readable and not durable. Lock-free
 * @queued: it is in that queue. Lock-free
 * @readable: bit: written since it was allocated. Lock-free
 * @durable: bit: INIT, in the log or at home. Lock-free for readers
 * @snap: bits that the commit under way makes durable
 * @snapped: in the list of those that have any
 * @home: in the list of those whose home is older than @committed
 * @clock: in the list of all, for exo_xn_shrink()
 * @holds: bindings of what it describes; exo_xn_map_hold(). Becomes less without the lock
 * @used: since the clock's hand was here
 * @now: entries without INIT, as everybody sees them
 * @committed: entries without INIT, as the log has them
 */
struct exo_xn_map_block {
	u64 index;
	struct exo_xn_map_block *queue;
	u32 queued;
	u64 readable[EXO_XN_MAP_WORDS];
	u64 durable[EXO_XN_MAP_WORDS];
	u64 snap[EXO_XN_MAP_WORDS];
	struct exo_xn_link snapped;
	struct exo_xn_link home;
	struct exo_xn_link clock;
	u64 holds;
	bool used;
	u32 now[EXO_XN_MAP_ENTRIES];
	u32 committed[EXO_XN_MAP_ENTRIES];
};

/* What one part of a unit owns, tidied. @own: @at is memory of its own, not of the unit's @slab. */
struct exo_xn_part {
	struct exo_xn_extent *at;
	u32 nr;
	bool own;
};

#define EXO_XN_UNIT_NEW (1U << 0)	/* no commit has had it yet */
#define EXO_XN_UNIT_DEAD (1U << 1)	/* freed, and no commit has had that yet; found by nobody */
#define EXO_XN_UNIT_GONE (1U << 2)	/* freed; its memory lives for those who hold it */
#define EXO_XN_UNIT_STUB (1U << 3)	/* its bytes and sets were given back; exo_xn_unit_wake() */

/**
 * struct exo_xn_core_unit - a unit in memory
 * @pub: for all; first
 * @hash: next one of its bucket
 * @parent: the unit through which it was loaded; NULL: it is the root's, or that one owns it no longer
 * @children: units whose @parent this is
 * @holds: who keeps its memory; exo_xn_unit_get()
 * @flags: EXO_XN_UNIT_*
 * @base: what the log has, if that isn't @pub.now
 * @part: sets of its parts
 * @slab: memory of the sets as they were when it was loaded
 * @nr_slab: extents that it has room for
 * @nr_own: extents that parts have in memory of their own
 * @nr_parts: how many
 * @nr_extents: in all parts
 * @nr_units: of these, units
 * @root: list of the root's units
 * @dirty: list of the root's units that differ from what the log has
 * @home: list of the disk's units whose home is older than what the log has
 * @clock: list of the disk's units that have bytes, for exo_xn_shrink()
 * @used: since the clock's hand was here
 * @charged: bytes that count as the disk's memory
 * @held: of these, those that count as its root's, because they differ from what the log has
 * @touched: of the change under way, 1 + its number there
 */
struct exo_xn_core_unit {
	struct exo_xn_unit pub;
	struct exo_xn_core_unit *hash;
	struct exo_xn_core_unit *parent;
	u32 children;
	u32 holds;
	u32 flags;
	u8 *base;
	struct exo_xn_part *part;
	struct exo_xn_extent *slab;
	u32 nr_slab;
	u32 nr_own;
	u32 nr_parts;
	u32 nr_extents;
	u32 nr_units;
	struct exo_xn_link root;
	struct exo_xn_link dirty;
	struct exo_xn_link home;
	struct exo_xn_link clock;
	bool used;
	u64 charged;
	u64 held;
	u32 touched;
};

/**
 * struct exo_xn_core_root - a root in memory
 * @pub: for all; first
 * @state: EXO_XN_ROOT_USED, EXO_XN_ROOT_DELETING
 * @committed: there is an entry of it in the log or at home
 * @entry: its entry must be logged with the next commit
 * @going: it is in the transaction under way
 * @changes: another number with each change of its units, unlike any other root's
 * @budget: most bytes that its commit will take in the log
 * @wiped: while it is being deleted: blocks of the map that have nothing of it any more
 * @held: bytes of memory that stay until its commit: of the units of @dirty, and of @pending
 * @units: its units in memory
 * @nr_stubs: of these, without bytes
 * @dirty: of these, those to be committed
 * @pending: blocks whose entries are to be committed; may overlap
 */
struct exo_xn_core_root {
	struct exo_xn_root_core pub;
	u32 state;
	bool committed;
	bool entry;
	bool going;
	u64 changes;
	u64 budget;
	u64 wiped;
	u64 held;
	struct exo_xn_link units;
	u64 nr_stubs;
	struct exo_xn_link dirty;
	struct exo_xn_extents pending;
};

struct exo_xn {
	const struct exo_xn_host *host;
	void *priv;
	u32 broken;
	u32 seed;
	bool failed;
	bool replaying;
	u64 blocks;
	u64 first;
	u64 system;		/* blocks that are exo's by geometry */
	struct exo_xn_quotas quotas;
	u64 taken;		/* taken or waiting */
	u64 taken_committed;
	u64 waiting;
	u64 hint;		/* where to look for room next */
	u64 generation;
	u64 work;		/* done for whoever has the lock, ever; wraps never */
	u64 work_end;		/* where a change ends with an error; ~0: there is none */
	u64 commits;
	u64 replayed;
	u64 read;
	u8 uuid[16];
	u8 machine[16];		/* as in struct exo_xn_super */
	u8 uids[16];

	struct exo_xn_map_block **maps;	/* lock-free */
	struct exo_xn_map_block **retired[EXO_XN_RETIRED];/* earlier arrays */
	u32 nr_retired;
	u64 nr_maps;
	u64 nr_maps_in;		/* of these, in memory */
	struct exo_xn_map_block *queue;	/* lock-free: has something readable and not durable */
	struct exo_xn_map_block *queue_rest;	/* taken from it, for the next transaction */
	u32 wrote;		/* lock-free: data writes have completed since the last flush */
	struct exo_xn_link snapped;

	struct exo_xn_core_unit **units;
	u32 nr_buckets;
	u32 nr_units;
	u64 nr_stubs;
	u64 memory;		/* of units and map */
	u64 memory_max;
	u64 memory_next;	/* above this exo_xn_shrink() looks what it can do */
	u64 budgets;		/* of all roots */
	u64 held;		/* the same */
	struct exo_xn_link clock_units;
	struct exo_xn_link clock_maps;
	struct exo_xn_core_root **roots;	/* by number; none above last_root */
	u32 last_root;
	struct exo_xn_template_core **templates;
	u64 home_roots;		/* bit: a block of the table whose home is old */
	u64 home_templates;
	u8 *root_table;		/* entries as the log has them */
	u8 *template_table;
	struct exo_xn_link home_units;
	struct exo_xn_link home_maps;

	u32 log_blocks;
	u32 log_head;
	u32 log_used;		/* blocks from the tail to the head */
	u64 log_units;		/* bytes of the units that it has there, each of them whole */
	u64 log_seq;		/* of the next transaction */
	u64 super_seq;
	u8 *io;			/* EXO_XN_UNIT_BLOCKS blocks */
	u8 *log;		/* EXO_XN_LOG_SMALL blocks: of small transactions */
	struct exo_xn_extent *room[2];	/* EXO_XN_EXTENTS each */
};

#define EXO_XN_LOG_SMALL 8U

/* What a uid may always hold: a change of the largest unit, that was changed before, takes less. */
#define EXO_XN_HOLD_MIN (1U << 20)

_Static_assert(EXO_XN_HOLD_MIN > 3 * (EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK + EXO_XN_EXTENTS * sizeof(struct exo_xn_extent)) +
	       3 * EXO_XN_PARTS * sizeof(struct exo_xn_part) + sizeof(struct exo_xn_core_unit), "the largest unit");

/*
 * Most bytes of units that a log may have, each of them whole however little of it changed: recovery has all of them in
 * memory (INV-XN-34). A commit that would make it more is preceded by a checkpoint; one commit alone always fits.
 */
static inline u64 exo_xn_log_most(const struct exo_xn *xn)
{
	return 2ULL * xn->log_blocks * EXO_XN_BLOCK;
}

_Static_assert(2 * EXO_XN_LOG_MIN >= EXO_XN_UNIT_BLOCKS, "a root's first unit fits into any log");

static inline void *exo_xn_alloc(struct exo_xn *xn, size_t bytes)
{
	return xn->host->alloc(xn, bytes);
}

static inline void exo_xn_mem_free(struct exo_xn *xn, void *mem)
{
	xn->host->free(xn, mem);
}

/* INV-XN-33: the change under way has done what one may do. */
static inline bool exo_xn_spent(const struct exo_xn *xn)
{
	return xn->work >= xn->work_end;
}

static inline u32 exo_xn_blocks_of(u32 bytes)
{
	return bytes / EXO_XN_BLOCK + !!(bytes % EXO_XN_BLOCK);
}

/* core/xn_format.c */
bool exo_xn_name_copy(char *to, const char *from);
bool exo_xn_parts_valid(u32 head_bytes, u32 part_bytes);

/* core/xn_io.c: the only places that read and write; an error of a write fails the disk */
int exo_xn_read_blocks(struct exo_xn *xn, u64 block, u32 count, void *to);
int exo_xn_write_blocks(struct exo_xn *xn, u64 block, u32 count, const void *from, u32 flags);
int exo_xn_flush(struct exo_xn *xn);
int exo_xn_super_write(struct exo_xn *xn);

/* core/xn_cache.c */
void exo_xn_unit_charge(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_uncharge(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_unstub(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_bury(struct exo_xn *xn, struct exo_xn_core_unit *unit);
u64 exo_xn_may_hold(const struct exo_xn *xn, u32 uid);
void exo_xn_shrink(struct exo_xn *xn);
int exo_xn_map_bound(struct exo_xn *xn);

/* core/xn_map.c */
enum exo_xn_map_op {
	EXO_XN_OP_TAKE,		/* free: one reference */
	EXO_XN_OP_GIVE,		/* the last reference: waiting */
	EXO_XN_OP_REF,
	EXO_XN_OP_UNREF,	/* not the last */
};
bool exo_xn_is_system(const struct exo_xn *xn, u64 block);
u64 exo_xn_maps_of(u64 blocks);
u64 exo_xn_system_of(u64 blocks, u64 first);
u64 exo_xn_map_home(u64 index);
u64 exo_xn_map_first(u64 index);
int exo_xn_map_load(struct exo_xn *xn, u64 block, u64 count);
u32 exo_xn_map_span(const struct exo_xn *xn, u64 block, u64 count, struct exo_xn_map_block **map,
		    u32 *slot);
int exo_xn_map_change(struct exo_xn *xn, enum exo_xn_map_op op, u32 root, u64 block, u64 count,
		      u64 *bad);
void exo_xn_map_undo(struct exo_xn *xn, enum exo_xn_map_op op, u32 root, u64 block, u64 count);
u64 exo_xn_map_seams(const struct exo_xn *xn, u64 block, u64 count);
int exo_xn_map_owned(struct exo_xn *xn, u32 root, u64 block, u64 count);
u32 exo_xn_map_entry(const struct exo_xn *xn, u64 block);
int exo_xn_map_run(struct exo_xn *xn, u64 near, u32 count, u64 *block);
void exo_xn_map_queue(struct exo_xn *xn, struct exo_xn_map_block *map);
void exo_xn_map_forget(struct exo_xn_map_block *map, u32 slot);
int exo_xn_map_write_home(struct exo_xn *xn, struct exo_xn_map_block *map);

/* core/xn_unit.c */
struct exo_xn_core_unit *exo_xn_unit_at(const struct exo_xn *xn, u64 block);
void exo_xn_unit_insert(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_remove(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_parent(struct exo_xn_core_unit *unit, struct exo_xn_core_unit *parent);
struct exo_xn_core_unit *exo_xn_unit_make(struct exo_xn *xn, u32 root,
					  const struct exo_xn_template_core *t, u64 block, u32 blocks);
int exo_xn_unit_wake(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_forget(struct exo_xn *xn, struct exo_xn_core_unit *unit);
void exo_xn_unit_drop(struct exo_xn *xn, struct exo_xn_core_unit *unit);
u32 exo_xn_parts_of(const struct exo_xn_template_core *t, u32 blocks);
u32 exo_xn_part_at(const struct exo_xn_template_core *t, u32 offset);
u32 exo_xn_slot_template(const struct exo_xn_template_core *t, u32 slot);
int exo_xn_unit_owns(struct exo_xn *xn, const struct exo_xn_template_core *t, const u8 *bytes,
		     u32 blocks, u32 part, u64 block, struct exo_xn_extents *out);
u32 exo_xn_units_in(const struct exo_xn_extent *at, u32 nr);
int exo_xn_unit_learn(struct exo_xn *xn, struct exo_xn_core_unit *unit,
		      const struct exo_xn_template_core *t, const u8 *bytes);
const struct exo_xn_extent *exo_xn_unit_extent(const struct exo_xn_core_unit *unit, u64 block, u32 count);

/* core/xn_root.c */
struct exo_xn_core_root *exo_xn_root_at(const struct exo_xn *xn, u32 number);
struct exo_xn_core_root *exo_xn_root_make(struct exo_xn *xn, u32 number);
int exo_xn_root_wipe(struct exo_xn *xn, struct exo_xn_core_root *root, u64 maps);
int exo_xn_roots_load(struct exo_xn *xn);
void exo_xn_root_ask(struct exo_xn *xn, struct exo_xn_core_root *root);
void exo_xn_root_drop(struct exo_xn *xn, struct exo_xn_core_root *root);

/* core/xn_template.c */
int exo_xn_tables_load(struct exo_xn *xn);
void exo_xn_template_drop(struct exo_xn *xn, struct exo_xn_template_core *t);
int exo_xn_template_load(struct exo_xn *xn, u32 number, const struct exo_xn_template_core **out);
void exo_xn_templates_bound(struct exo_xn *xn);

/* core/xn_walk.c */
int exo_xn_walk_root(struct exo_xn *xn, struct exo_xn_core_root *root);

/* core/xn_owners.c */
struct exo_xn_owner {
	bool root;		/* else a template */
	u32 number;
	u32 was;
	u32 to;
};

/**
 * struct exo_xn_owners - who gets what
 * @nr: of @at
 * @machine: where; as in struct exo_xn_super
 * @uids: by which map; the same
 * @quotas: what they may have then
 * @at: all roots and templates, those that stay whose they are, too
 */
struct exo_xn_owners {
	u32 nr;
	u8 machine[16];
	u8 uids[16];
	struct exo_xn_quotas quotas;
	struct exo_xn_owner at[EXO_XN_ROOTS + EXO_XN_TEMPLATES];
};

void exo_xn_owner_entry(struct exo_xn *xn, const struct exo_xn_owner *owner, void *entry);

/* core/xn_log.c */
/* A transaction that is being built. @blocks NULL: it is only measured. */
struct exo_xn_tx {
	struct exo_xn *xn;
	u8 *blocks;
	u64 bytes;
	u32 records;
	u64 units;		/* what it adds to @log_units */
	s64 taken;		/* what it adds to the blocks that somebody has */
	struct exo_xn_template_core *template;
	const struct exo_xn_owners *owners;
};

u64 exo_xn_budget(const struct exo_xn *xn);
u32 exo_xn_budget_init(const struct exo_xn *xn);
void exo_xn_each_pending(struct exo_xn_core_root *root, void *to,
			 void (*call)(void *to, struct exo_xn_core_root *root, u64 block, u64 count));
void exo_xn_tx_emit(struct exo_xn_tx *tx);
int exo_xn_unit_home(struct exo_xn *xn, struct exo_xn_core_unit *unit);
int exo_xn_maps_home(struct exo_xn *xn);
int exo_xn_tx_write(struct exo_xn *xn, u8 *blocks, u32 count, u64 bytes, bool preflush);
u64 exo_xn_budget_map(u64 count);
u64 exo_xn_budget_unit(u32 blocks);
u64 exo_xn_pending_bytes(const struct exo_xn_core_root *root, u32 more);
int exo_xn_pending_add(struct exo_xn *xn, struct exo_xn_core_root *root, u32 more);
void exo_xn_pending_clear(struct exo_xn *xn, struct exo_xn_core_root *root);

/* core/xn_commit.c */
int exo_xn_commit_root(struct exo_xn *xn, struct exo_xn_core_root *root,
		       struct exo_xn_template_core *t);
int exo_xn_commit_owners(struct exo_xn *xn, const struct exo_xn_owners *owners);

/* core/xn_replay.c */
int exo_xn_replay(struct exo_xn *xn, u32 tail, u64 seq);
void exo_xn_quarantine(struct exo_xn *xn, struct exo_xn_core_root *root);

#endif
