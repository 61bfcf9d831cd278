// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_world.h"
#include "xn_world_tag.h"

const char *const w_violation_name[W_VIOLATIONS] = {
	"fine", "attach", "quarantine", "state", "twice", "map", "leak", "lost", "torn", "walk", "again",
};

/* Bytes and states ---------------------------------------------------------------------------------- */

static void fatal(const char *what, int ret)
{
	fprintf(stderr, "xn_world: %s: %d\n", what, ret);
	abort();
}

struct w_bytes *w_bytes_new(u32 length)
{
	struct w_bytes *bytes = calloc(1, sizeof(*bytes) + length);

	bytes->refs = 1;
	bytes->length = length;
	return bytes;
}

void w_bytes_put(struct w_bytes *bytes)
{
	if (!--bytes->refs)
		free(bytes);
}

struct w_bytes *w_bytes_own(struct w_bytes *bytes)
{
	struct w_bytes *own;

	if (bytes->refs == 1)
		return bytes;
	own = w_bytes_new(bytes->length);
	memcpy(own->at, bytes->at, bytes->length);
	w_bytes_put(bytes);
	return own;
}

void w_state_clear(struct w_state *s)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		w_bytes_put(s->unit[i].bytes);
	memset(s, 0, sizeof(*s));
}

void w_state_copy(struct w_state *to, const struct w_state *from)
{
	u32 i;

	for (i = 0; i < from->nr; i++)
		from->unit[i].bytes->refs++;
	w_state_clear(to);
	*to = *from;
}

/* @to takes what @from has. */
void w_state_move(struct w_state *to, struct w_state *from)
{
	w_state_clear(to);
	*to = *from;
	memset(from, 0, sizeof(*from));
}

struct w_unit *w_unit(struct w_state *s, u64 block)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (s->unit[i].block == block)
			return &s->unit[i];
	return NULL;
}

const struct w_unit *w_root_unit(const struct w_root *root)
{
	return w_unit((struct w_state *)&root->now, root->block);
}

u32 w_pointers(const struct w_unit *unit, struct exo_xn_extent *out)
{
	struct exo_xn_extents set = { .at = out, .max = W_POINTERS };

	if (sim_owns_all(unit->kind, unit->bytes->at, unit->bytes->length, W_BLOCKS, &set))
		fatal("a unit of the model owns too much", (int)set.nr);
	return set.nr;
}

u32 w_refs(const struct w_state *s, u64 block)
{
	static struct exo_xn_extent e[W_POINTERS];
	u32 i, n, nr, refs = 0;

	for (i = 0; i < s->nr; i++) {
		nr = w_pointers(&s->unit[i], e);
		for (n = 0; n < nr; n++)
			refs += block >= e[n].block && block - e[n].block < e[n].count;
	}
	return refs;
}

bool w_has(const struct w_state *s, u64 block)
{
	u32 i;

	if (s->life[block])
		return true;
	for (i = 0; i < s->nr; i++)
		if (block >= s->unit[i].block &&
		    block - s->unit[i].block < s->unit[i].bytes->length / EXO_XN_BLOCK)
			return true;
	return false;
}

static bool is_system(const struct world *w, u64 block)
{
	return w->system[block];
}

bool w_is_free(const struct world *w, u64 block)
{
	bool reuse = w->broken & EXO_XN_BREAK_REUSE;
	u32 i;

	if (block >= w->sim->now.blocks || is_system(w, block))
		return false;
	for (i = 0; i < W_ROOTS; i++)
		if (w->root[i].used && (w_has(&w->root[i].now, block) ||
					(!reuse && (w->root[i].waiting[block] ||
						    w_has(&w->root[i].acked, block)))))
			return false;
	return true;
}

u64 w_find_free(const struct world *w, u64 from, u32 count)
{
	u64 block, run = 0;

	for (block = from; block < w->sim->now.blocks; block++) {
		run = w_is_free(w, block) ? run + 1 : 0;
		if (run == count)
			return block + 1 - count;
	}
	return 0;
}

u64 w_count_free(const struct world *w)
{
	u64 block, count = 0;

	for (block = 0; block < w->sim->now.blocks; block++)
		count += w_is_free(w, block);
	return count;
}

struct exo_xn_who w_who(u32 uid)
{
	return (struct exo_xn_who){ .uid = uid, .admin = uid == W_ADMIN };
}

/* Data ---------------------------------------------------------------------------------------------- */

static void tag_fill(u8 *bytes, u64 block, u32 life, u64 seq)
{
	struct w_tag tag = { W_TAG_MAGIC, block, 0, life, seq, 0 };
	u32 i;

	memset(bytes, (int)seq, EXO_XN_BLOCK);
	for (i = 0; i < SIM_SECTORS; i++) {
		tag.sector = i;
		tag.check = w_tag_check(&tag);
		memcpy(bytes + i * SIM_SECTOR, &tag, sizeof(tag));
	}
}

/* Before anybody has written it: what the last owner of the device left. */
static void foreign_fill(struct sim *sim)
{
	u8 bytes[EXO_XN_BLOCK];
	u64 i;

	for (i = 0; i < sim->now.blocks; i++) {
		tag_fill(bytes, i, 0, i);
		sim_poke(&sim->now, i, 0, bytes, sizeof(bytes));
		sim_poke(&sim->durable, i, 0, bytes, sizeof(bytes));
	}
}

bool w_in_flight(const struct world *w, u64 block)
{
	return w->data[block].submitted != w->data[block].done;
}

void w_write_begin(struct world *w, struct w_root *root, u64 block, bool fua)
{
	struct w_data *d = &w->data[block];
	u8 bytes[EXO_XN_BLOCK];

	d->submitted = ++w->seq;
	d->fua = fua;
	tag_fill(bytes, block, root->now.life[block], d->submitted);
	sim_write_begin(w->sim, block, bytes, fua ? EXO_XN_FUA : 0);
}

void w_write_end(struct world *w, u64 block)
{
	struct w_data *d = &w->data[block];

	sim_write_end(w->sim, block);
	exo_xn_written(w->xn, block, 1);
	d->done = d->submitted;
	if (!d->fua)
		return;
	if (exo_xn_init_durable(w->xn, block, 1) || !exo_xn_commit_written(w->xn))
		d->acking = d->done;
}

/* The host's drain: what is in flight there comes to its end. */
static void drain(struct sim *sim, u64 block, u64 count)
{
	struct world *w = sim->priv;
	u64 i;

	for (i = block; w && i < block + count && i < W_BLOCKS; i++)
		if (w_in_flight(w, i)) {
			sim_write_end(w->sim, i);
			exo_xn_written(w->xn, i, 1);
			w->data[i].done = w->data[i].submitted;
		}
}

/* Of blocks that are somebody's now: what was freed unwritten needn't come back written. */
static void ack_data(struct world *w)
{
	u32 i, n;

	for (n = 0; n < W_ROOTS; n++)
		for (i = 0; i < W_BLOCKS; i++)
			if (w->root[n].used && w->root[n].now.life[i])
				w->data[i].acking = w->data[i].done;
}

void w_finish(struct world *w)
{
	u32 i;

	for (i = 0; i < W_BLOCKS; i++)
		w->data[i].acked = w->data[i].acking;
	if (w->unsure)
		return;
	for (i = 0; i < W_ROOTS; i++) {
		struct w_root *root = &w->root[i];

		if (!root->trying)
			continue;
		root->trying = false;
		w_state_move(&root->acked, &root->tried);
		if (!root->acked.exists && !root->now.exists) {
			w_state_clear(&root->acked);
			memset(root, 0, sizeof(*root));
		}
	}
}

u32 w_mark(struct world *w)
{
	w_finish(w);
	sim_settle(w->sim);
	return w->sim->nr_events;
}

/* A whole world ------------------------------------------------------------------------------------- */

static const char *const kind_name[SIM_KINDS] = { "list", "tree", "evil" };

/* Data may be written where the map is in memory: a binding takes care of that. */
static int load_map(struct world *w)
{
	u8 map[W_BLOCKS];
	int ret = exo_xn_map_show(w->xn, 0, (u32)w->sim->now.blocks, 1, map);

	if (!ret)
		ret = exo_xn_map_hold(w->xn, 0, w->sim->now.blocks);
	exo_xn_limit(w->xn, w->memory ? w->memory : EXO_XN_MEMORY);
	return ret;
}

static void look_at_system(struct world *w)
{
	u8 map[W_BLOCKS];
	u64 i;

	if (exo_xn_map_show(w->xn, 0, (u32)w->sim->now.blocks, 1, map))
		fatal("map", 0);
	for (i = 0; i < w->sim->now.blocks; i++)
		w->system[i] = map[i] != EXO_XN_FREE;
	exo_xn_map_hold(w->xn, 0, w->sim->now.blocks);
}

static int add_template(struct world *w, enum sim_format_kind kind)
{
	struct sim_content content = { .magic = SIM_MAGIC, .kind = kind };
	struct exo_xn_who who = w_who(W_ADMIN);
	struct exo_graft_error err;
	u32 refs[EXO_XN_REFS] = {}, func;

	if (kind != SIM_TREE)
		refs[0] = w->template[SIM_TREE];
	return exo_xn_template_add(w->xn, &who, kind_name[kind], refs, kind == SIM_TREE ? 0 : SIM_PART,
				   kind == SIM_TREE ? 0 : SIM_PART, &content, sizeof(content), &err,
				   &func, &w->template[kind]);
}

static struct world *world_alloc(struct sim *sim, u32 broken)
{
	struct world *w = calloc(1, sizeof(*w));

	w->sim = sim;
	w->broken = broken;
	sim->priv = w;
	sim->drain = drain;
	return w;
}

struct world *world_begin(u64 blocks, u32 log_blocks, u32 broken)
{
	struct exo_xn_format_opts opts = { .blocks = blocks, .log_blocks = log_blocks };
	struct world *w = world_alloc(sim_new(blocks), broken);
	static const u32 order[] = { SIM_TREE, SIM_LIST, SIM_EVIL };
	int ret;
	u32 i;

	foreign_fill(w->sim);
	memset(opts.uuid, 0x42, sizeof(opts.uuid));
	ret = exo_xn_format(&w->sim->host, w->sim, &opts);
	if (ret)
		fatal("format", ret);
	ret = exo_xn_attach(&w->sim->host, w->sim, blocks, broken, &w->xn);
	if (ret)
		fatal("attach", ret);
	for (i = 0; i < 3; i++) {
		ret = add_template(w, order[i]);
		if (ret)
			fatal("template", ret);
	}
	look_at_system(w);
	w_mark(w);
	return w;
}

struct world *world_copy(const struct world *w, u32 broken)
{
	struct world *copy = world_alloc(sim_from(&w->sim->now), broken);
	struct sim *sim = copy->sim;
	u32 i;
	int ret;

	*copy = *w;
	copy->sim = sim;
	copy->broken = broken;
	copy->unsure = false;
	memset(copy->found, 0, sizeof(copy->found));
	copy->points = 0;
	for (i = 0; i < W_ROOTS; i++) {
		struct w_root *root = &copy->root[i];

		memset(&root->now, 0, sizeof(root->now));
		memset(&root->acked, 0, sizeof(root->acked));
		memset(&root->tried, 0, sizeof(root->tried));
		root->trying = false;
		memset(root->waiting, 0, sizeof(root->waiting));
		/* What wasn't committed is lost. */
		w_state_copy(&root->now, &w->root[i].acked);
		w_state_copy(&root->acked, &w->root[i].acked);
	}
	ret = exo_xn_attach(&sim->host, sim, sim->now.blocks, broken, &copy->xn);
	if (ret)
		fatal("attach of a copy", ret);
	load_map(copy);
	for (i = 0; i < W_BLOCKS; i++)
		copy->data[i].acked = copy->data[i].acking = copy->data[i].done = copy->data[i].submitted;
	w_mark(copy);
	return copy;
}

void world_end(struct world *w)
{
	u32 i;

	for (i = 0; i < W_ROOTS; i++) {
		w_state_clear(&w->root[i].now);
		w_state_clear(&w->root[i].acked);
		w_state_clear(&w->root[i].tried);
	}
	w->sim->priv = NULL;
	if (w->xn)
		exo_xn_free(w->xn);
	w->leaked = w->sim->live;
	if (w->leaked)
		fatal("memory that the engine did not give back", (int)w->leaked);
	sim_free(w->sim);
	free(w);
}

/* Roots --------------------------------------------------------------------------------------------- */

int w_create(struct world *w, u32 uid, u32 kind, struct w_root **out)
{
	struct exo_xn_who who = w_who(uid);
	struct w_root *root = w->root;
	struct w_bytes *bytes;
	struct sim_unit *head;
	u64 block;
	int ret;

	while (root < w->root + W_ROOTS && root->used)
		root++;
	if (root == w->root + W_ROOTS)
		return -ENOSPC;
	memset(root, 0, sizeof(*root));
	snprintf(root->name, sizeof(root->name), "root%u", w->names);
	bytes = w_bytes_new(EXO_XN_BLOCK);
	head = (struct sim_unit *)bytes->at;
	head->bytes = bytes->length;
	head->payload[0] = w->names;
	ret = exo_xn_root_create(w->xn, &who, root->name, w->template[kind], 0, 0, 0, NULL, bytes->at,
				 bytes->length, &root->number);
	if (ret) {
		w_bytes_put(bytes);
		return ret;
	}
	w->names++;
	block = exo_xn_root(w->xn, root->number)->block;
	root->used = true;
	root->uid = uid;
	root->block = block;
	root->now.exists = true;
	root->now.nr = 1;
	root->now.unit[0] = (struct w_unit){ .block = block, .kind = kind, .bytes = bytes };
	root->trying = true;
	w_state_copy(&root->tried, &root->now);
	*out = root;
	return 0;
}

int w_delete(struct world *w, struct w_root *root)
{
	struct exo_xn_who who = w_who(root->uid);
	int ret = exo_xn_root_delete(w->xn, &who, root->number);

	if (ret)
		return ret;
	ack_data(w);
	w_state_clear(&root->now);
	w_state_clear(&root->tried);
	memset(root->waiting, 0, sizeof(root->waiting));
	root->trying = true;
	return 0;
}

int w_commit(struct world *w, struct w_root **roots, u32 nr)
{
	struct exo_xn_root_core *core;
	u64 seq;
	u32 i;
	int ret;

	for (i = 0; i < nr; i++) {
		core = exo_xn_root(w->xn, roots[i]->number);
		core->requested = true;
		roots[i]->trying = true;
		w_state_copy(&roots[i]->tried, &roots[i]->now);
	}
	ret = exo_xn_commit(w->xn, &seq);
	if (ret) {
		w->unsure = true;
		return ret;
	}
	ack_data(w);
	for (i = 0; i < nr; i++)
		memset(roots[i]->waiting, 0, sizeof(roots[i]->waiting));
	return 0;
}

int w_flush(struct world *w)
{
	int ret;

	sim_flush(w->sim);
	ret = exo_xn_commit_written(w->xn);
	if (!ret)
		ack_data(w);
	return ret;
}

int w_checkpoint(struct world *w)
{
	return exo_xn_checkpoint(w->xn);
}

static void all_writes_end(struct world *w)
{
	u64 i;

	for (i = 0; i < W_BLOCKS; i++)
		if (w_in_flight(w, i))
			w_write_end(w, i);
}

int w_again(struct world *w)
{
	u32 i;
	int ret;

	all_writes_end(w);
	w_finish(w);
	ret = exo_xn_detach(w->xn);
	if (ret)
		return ret;
	exo_xn_free(w->xn);
	w->xn = NULL;
	for (i = 0; i < W_ROOTS; i++) {
		w_state_copy(&w->root[i].now, &w->root[i].acked);
		memset(w->root[i].waiting, 0, sizeof(w->root[i].waiting));
		if (!w->root[i].now.exists)
			memset(&w->root[i], 0, sizeof(w->root[i]));
	}
	ack_data(w);
	ret = exo_xn_attach(&w->sim->host, w->sim, w->sim->now.blocks, w->broken, &w->xn);
	return ret ?: load_map(w);
}
