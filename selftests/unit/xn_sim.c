// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "core/xn_disk.h"
#include "xn_sim.h"

/* Images -------------------------------------------------------------------------------------------- */

static const u8 zeros[EXO_XN_BLOCK];

static struct sim_page *page_new(const void *bytes)
{
	struct sim_page *page = malloc(sizeof(*page));

	page->refs = 1;
	memcpy(page->bytes, bytes, sizeof(page->bytes));
	return page;
}

static struct sim_page *page_get(struct sim_page *page)
{
	if (page)
		page->refs++;
	return page;
}

static void page_put(struct sim_page *page)
{
	if (page && !--page->refs)
		free(page);
}

static void image_put(struct sim_image *image, u64 block, struct sim_page *page)
{
	page_put(image->at[block]);
	image->at[block] = page;
}

void sim_image_copy(struct sim_image *to, const struct sim_image *from)
{
	u64 i;

	to->blocks = from->blocks;
	to->at = malloc(from->blocks * sizeof(*to->at));
	for (i = 0; i < from->blocks; i++)
		to->at[i] = page_get(from->at[i]);
}

void sim_image_free(struct sim_image *image)
{
	u64 i;

	for (i = 0; i < image->blocks; i++)
		page_put(image->at[i]);
	free(image->at);
	image->at = NULL;
	image->blocks = 0;
}

const u8 *sim_bytes(const struct sim_image *image, u64 block)
{
	return image->at[block] ? image->at[block]->bytes : zeros;
}

void sim_poke(struct sim_image *image, u64 block, u32 offset, const void *bytes, u32 length)
{
	struct sim_page *page = page_new(sim_bytes(image, block));

	memcpy(page->bytes + offset, bytes, length);
	image_put(image, block, page);
}

/* The disk ------------------------------------------------------------------------------------------ */

static struct sim *sim_of(struct exo_xn *xn)
{
	return exo_xn_priv(xn);
}

/* The n-th from now on? */
static bool comes_due(u64 *counter)
{
	return *counter && !--*counter;
}

static struct sim_event *event_add(struct sim *sim, enum sim_kind kind)
{
	struct sim_event *event;

	if (sim->nr_events == sim->room) {
		sim->room = sim->room * 2 + 16;
		sim->event = realloc(sim->event, sim->room * sizeof(*sim->event));
	}
	event = &sim->event[sim->nr_events++];
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	return event;
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "xn_sim: %s\n", what);
	abort();
}

static struct sim_event *write_add(struct sim *sim, u64 block, u32 count, const void *from, u32 flags)
{
	struct sim_event *event;
	u32 i;

	must(count && block < sim->now.blocks && count <= sim->now.blocks - block,
	     "a write beyond the disk");
	event = event_add(sim, SIM_WRITE);
	event->block = block;
	event->count = count;
	event->flags = flags;
	event->pages = malloc(count * sizeof(*event->pages));
	for (i = 0; i < count; i++) {
		event->pages[i] = page_new((const u8 *)from + (size_t)i * EXO_XN_BLOCK);
		image_put(&sim->now, block + i, page_get(event->pages[i]));
	}
	return event;
}

static void event_drop(struct sim_event *event)
{
	u32 i;

	for (i = 0; i < event->count; i++)
		page_put(event->pages[i]);
	free(event->pages);
}

static bool write_fails(struct sim *sim)
{
	sim->writes++;
	if (comes_due(&sim->fail_write))
		sim->failed = true;
	else if (!sim->gone)
		sim->failed = false;
	return sim->failed;
}

static int host_read(struct exo_xn *xn, u64 block, u32 count, void *to)
{
	struct sim *sim = sim_of(xn);
	u32 i;

	must(count && block < sim->now.blocks && count <= sim->now.blocks - block,
	     "a read beyond the disk");
	sim->reads += count;
	if (comes_due(&sim->fail_read))
		return -EIO;
	for (i = 0; i < count; i++)
		memcpy((u8 *)to + (size_t)i * EXO_XN_BLOCK, sim_bytes(&sim->now, block + i),
		       EXO_XN_BLOCK);
	return 0;
}

static int host_write(struct exo_xn *xn, u64 block, u32 count, const void *from, u32 flags)
{
	struct sim *sim = sim_of(xn);

	if (write_fails(sim))
		return -EIO;
	write_add(sim, block, count, from, flags)->completed = true;
	return 0;
}

void sim_flush(struct sim *sim)
{
	event_add(sim, SIM_FLUSH)->completed = true;
}

static int host_flush(struct exo_xn *xn)
{
	struct sim *sim = sim_of(xn);

	if (write_fails(sim))
		return -EIO;
	sim_flush(sim);
	return 0;
}

/* A disk may answer anything for what was discarded: something that nobody wrote. */
static void host_discard(struct exo_xn *xn, u64 block, u64 count)
{
	struct sim *sim = sim_of(xn);
	u8 junk[EXO_XN_BLOCK];
	u64 i;

	memset(junk, 0xdd, sizeof(junk));
	for (i = 0; i < count; i++)
		write_add(sim, block + i, 1, junk, 0)->completed = true;
}

void sim_write_begin(struct sim *sim, u64 block, const void *bytes, u32 flags)
{
	write_add(sim, block, 1, bytes, flags);
}

/* No flush that was recorded before covers it: it moves to the end. */
void sim_write_end(struct sim *sim, u64 block)
{
	struct sim_event event;
	u32 i;

	for (i = 0; i < sim->nr_events; i++)
		if (!sim->event[i].completed && sim->event[i].block == block)
			break;
	must(i < sim->nr_events, "the end of a write that did not begin");
	event = sim->event[i];
	event.completed = true;
	memmove(&sim->event[i], &sim->event[i + 1], (sim->nr_events - i - 1) * sizeof(event));
	sim->event[sim->nr_events - 1] = event;
}

/* Before event @upto: which events had to be durable by its beginning? Returns the last flush, or 0. */
static u32 last_flush(const struct sim *sim, u32 upto)
{
	u32 i;

	for (i = upto; i-- > 0;)
		if (sim->event[i].kind == SIM_FLUSH ||
		    (sim->event[i].completed && sim->event[i].flags & EXO_XN_PREFLUSH))
			return i;
	return 0;
}

bool sim_is_barrier(const struct sim_event *event)
{
	return event->kind == SIM_FLUSH || event->flags;
}

static void image_write(struct sim_image *image, const struct sim_event *event)
{
	u32 i;

	for (i = 0; i < event->count; i++)
		image_put(image, event->block + i, page_get(event->pages[i]));
}

static void image_tear(struct sim_image *image, const struct sim_event *event)
{
	u32 i, s;

	for (i = 0; i < event->count; i++) {
		u64 which = unit_random();

		for (s = 0; s < SIM_SECTORS; s++)
			if (which >> s & 1)
				sim_poke(image, event->block + i, s * SIM_SECTOR,
					 event->pages[i]->bytes + s * SIM_SECTOR, SIM_SECTOR);
	}
}

static void image_some(struct sim_image *image, const struct sim_event *event)
{
	u32 i;

	for (i = 0; i < event->count; i++)
		if (unit_random() & 1)
			image_put(image, event->block + i, page_get(event->pages[i]));
}

/* An incomplete write before a flush isn't covered by it: completion of a later one doesn't matter either. */
static bool is_durable(const struct sim *sim, u32 i, u32 flush)
{
	const struct sim_event *event = &sim->event[i];

	return event->completed && (i < flush || event->flags & EXO_XN_FUA);
}

void sim_crash(const struct sim *sim, u32 upto, enum sim_crash how, struct sim_image *out)
{
	const struct sim_event *last = upto < sim->nr_events ? &sim->event[upto] : NULL;
	u32 flush = last_flush(sim, upto), i;
	bool begun = how == SIM_SOME || how == SIM_TORN;

	/* Nothing of it is there before all that it has to flush. */
	if (begun && last && last->flags & EXO_XN_PREFLUSH) {
		begun = unit_random() & 1;
		flush = begun ? upto : flush;
	}

	sim_image_copy(out, &sim->durable);
	for (i = 0; i < sim->nr_events && i <= upto; i++) {
		const struct sim_event *event = &sim->event[i];

		if (event->kind == SIM_FLUSH || (i == upto && !begun))
			continue;
		if (i < upto && (how == SIM_ALL || is_durable(sim, i, flush)))
			image_write(out, event);
		else if (how == SIM_TORN)
			image_tear(out, event);
		else if (how == SIM_SOME)
			image_some(out, event);
	}
}

/*
 * A write that was in flight while the disk was flushed stays; it is the last to its block, as data writes to
 * the same block are not in flight together.
 */
void sim_settle(struct sim *sim)
{
	u32 flush = last_flush(sim, sim->nr_events), i, kept = 0;

	for (i = 0; i < flush; i++) {
		struct sim_event *event = &sim->event[i];

		if (event->kind == SIM_WRITE && !event->completed) {
			sim->event[kept++] = *event;
			continue;
		}
		if (event->kind == SIM_WRITE)
			image_write(&sim->durable, event);
		event_drop(event);
	}
	memmove(&sim->event[kept], &sim->event[flush], (sim->nr_events - flush) * sizeof(*sim->event));
	sim->nr_events -= flush - kept;
}

/* The rest of the host -------------------------------------------------------------------------------- */

static void *host_alloc(struct exo_xn *xn, size_t bytes)
{
	struct sim *sim = sim_of(xn);
	void *mem;

	sim->allocs++;
	if (comes_due(&sim->fail_alloc))
		return NULL;
	mem = calloc(1, bytes);
	must(mem, "no memory");
	sim->live++;
	return mem;
}

static void host_free(struct exo_xn *xn, void *mem)
{
	if (mem)
		sim_of(xn)->live--;
	free(mem);
}

__attribute__((target("sse4.2")))
u32 sim_crc(u32 seed, const void *bytes, size_t length)
{
	const u8 *at = bytes;
	u64 crc = seed, word;

	for (; length >= 8; length -= 8, at += 8) {
		memcpy(&word, at, 8);
		crc = __builtin_ia32_crc32di(crc, word);
	}
	for (; length; length--)
		crc = __builtin_ia32_crc32qi((u32)crc, *at++);
	return (u32)crc;
}

void sim_map_entry(const struct sim *sim, void *map, u64 block, u32 refs)
{
	struct exo_xn_super super;
	struct exo_xn_map_disk *disk = map;
	u32 *entry = &disk->entry[block];

	memcpy(&super, sim_bytes(&sim->now, 0), sizeof(super));
	*entry = (*entry & ~EXO_XN_ENTRY_REFS) | refs * EXO_XN_ENTRY_REF;
	exo_xn_map_build(sim_crc, exo_xn_seed(sim_crc, super.uuid), disk, disk->block);
}

/* Any good mixing will do here. */
static void host_hash(const void *bytes, size_t length, u8 out[32])
{
	const u8 *at = bytes;
	u64 lane[4] = { 1, 2, 3, 4 };
	size_t i;
	int n;

	for (i = 0; i < length; i++)
		for (n = 0; n < 4; n++)
			lane[n] = (lane[n] ^ (at[i] + n)) * 0x100000001b3ULL + (lane[n] >> 29);
	memcpy(out, lane, 32);
}

static u64 host_seconds(struct exo_xn *xn)
{
	return ++sim_of(xn)->clock;
}

static int host_compile(struct exo_xn *xn, struct exo_xn_template_core *t, const void *content,
			u32 length, struct exo_graft_error *err, u32 *func)
{
	struct sim_content *copy;

	if (err)
		memset(err, 0, sizeof(*err));
	if (func)
		*func = 0;
	if (length < sizeof(*copy))
		return -EINVAL;
	copy = host_alloc(xn, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, content, sizeof(*copy));
	if (copy->magic != SIM_MAGIC || copy->kind >= SIM_KINDS) {
		host_free(xn, copy);
		return -EINVAL;
	}
	t->funcs = copy;
	return 0;
}

static void host_release(struct exo_xn *xn, struct exo_xn_template_core *t)
{
	host_free(xn, t->funcs);
	t->funcs = NULL;
}

static void host_drain(struct exo_xn *xn, u64 block, u64 count)
{
	struct sim *sim = sim_of(xn);

	if (sim->drain)
		sim->drain(sim, block, count);
}

static int host_owns(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		     u32 length, u32 part, u64 block, struct exo_xn_extents *out)
{
	const struct sim_content *content = t->funcs;
	struct sim *sim = sim_of(xn);

	(void)block;
	if (sim->meddle)
		sim->meddle(sim);
	return sim_owns_lying(content->kind, bytes, length, part, sim->now.blocks, &sim->lies, out);
}

static bool host_acl(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		     u32 length, const struct exo_xn_question *q, const struct exo_xn_who *who)
{
	const struct sim_unit *unit = bytes;

	(void)xn, (void)t, (void)who;
	if (q->uid == q->owner)
		return true;
	if (length < sizeof(*unit))
		return false;
	if (unit->mode & SIM_ALL_DO || (unit->mode & SIM_KEY_DOES && q->keys & 1))
		return true;
	return unit->mode & SIM_ALL_READ && q->right == EXO_XN_MAY_READ;
}

static u32 host_size(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		     u32 length)
{
	const struct sim_content *content = t->funcs;
	const struct sim_unit *unit = bytes;

	(void)xn;
	if (length < sizeof(*unit))
		return 0;
	if (content->kind != SIM_EVIL)
		return unit->bytes;
	switch (unit->evil) {
	case SIM_SIZE_0:
	case SIM_SIZE_ABORT:
		return 0;
	case SIM_SIZE_HUGE:
		return (EXO_XN_UNIT_BLOCKS + 1) * EXO_XN_BLOCK;
	case SIM_SIZE_ODD:
		return unit->bytes + 8;
	default:
		return unit->bytes;
	}
}

/* ---------------------------------------------------------------------------------------------------- */

static const struct exo_xn_host host = {
	.alloc = host_alloc,
	.free = host_free,
	.read = host_read,
	.write = host_write,
	.flush = host_flush,
	.discard = host_discard,
	.crc = sim_crc,
	.hash = host_hash,
	.seconds = host_seconds,
	.compile = host_compile,
	.release = host_release,
	.owns = host_owns,
	.acl = host_acl,
	.size = host_size,
	.drain = host_drain,
};

static struct sim *sim_alloc(void)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	sim->host = host;
	return sim;
}

struct sim *sim_new(u64 blocks)
{
	struct sim *sim = sim_alloc();

	sim->now.blocks = sim->durable.blocks = blocks;
	sim->now.at = calloc(blocks, sizeof(*sim->now.at));
	sim->durable.at = calloc(blocks, sizeof(*sim->durable.at));
	return sim;
}

struct sim *sim_from(const struct sim_image *image)
{
	struct sim *sim = sim_alloc();

	sim_image_copy(&sim->now, image);
	sim_image_copy(&sim->durable, image);
	return sim;
}

void sim_free(struct sim *sim)
{
	u32 i;

	if (!sim)
		return;
	for (i = 0; i < sim->nr_events; i++)
		event_drop(&sim->event[i]);
	free(sim->event);
	sim_image_free(&sim->now);
	sim_image_free(&sim->durable);
	free(sim);
}
