// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_model.h"

struct m_unit *m_unit_at(struct m_state *s, u64 block)
{
	u32 i;

	for (i = 0; i < M_UNITS; i++)
		if (s->unit[i].root && s->unit[i].block == block)
			return &s->unit[i];
	return NULL;
}

bool m_is_free(const struct model *m, u64 block)
{
	return block >= m->first && block < m->blocks && !m->now.block[block].root &&
	       !m->now.block[block].waiting;
}

u64 m_blocks_of(const struct model *m, u32 root)
{
	u64 i, n = 0;

	for (i = 0; i < M_BLOCKS; i++)
		n += m->now.block[i].root == root;
	return n;
}

static u64 waiting_of(const struct model *m, u32 root)
{
	u64 i, n = 0;

	for (i = 0; i < M_BLOCKS; i++)
		n += m->now.block[i].waiting == root;
	return n;
}

u64 m_blocks_of_uid(const struct model *m, u32 uid)
{
	/* The template is the admin's. */
	u64 n = !uid;
	u32 i;

	for (i = 0; i < M_ROOTS; i++)
		if (m->now.root[i].used && m->now.root[i].uid == uid)
			n += m_blocks_of(m, i + 1) + waiting_of(m, i + 1);
	return n;
}

u64 m_room(const struct model *m, u32 uid)
{
	bool own = uid >= M_UID && uid < M_UID + M_USERS && m->own[uid - M_UID];
	u64 limit = own ? m->limit[uid - M_UID] : m->all, used = m_blocks_of_uid(m, uid);

	return !limit ? ~0ULL : limit > used ? limit - used : 0;
}

void m_bytes(const struct m_unit *unit, u8 *bytes)
{
	struct sim_unit *head = (struct sim_unit *)bytes;
	struct sim_record *record = (struct sim_record *)(head + 1);
	u32 i;

	memset(bytes, 0, EXO_XN_BLOCK);
	head->bytes = EXO_XN_BLOCK;
	head->mode = unit->mode;
	head->payload[0] = unit->payload;
	for (i = 0; i < M_POINTERS; i++)
		if (unit->at[i].count)
			record[i] = (struct sim_record){ unit->at[i].block, unit->at[i].count, unit->at[i].slot };
}

bool m_may(const struct m_state *s, const struct m_unit *unit, const struct m_who *who, u32 right)
{
	const struct m_root *root = &s->root[unit->root - 1];

	if (who->admin || who->uid == root->uid)
		return true;
	if (unit->mode & SIM_ALL_DO || (unit->mode & SIM_KEY_DOES && root->key && who->key))
		return true;
	return unit->mode & SIM_ALL_READ && right == EXO_XN_MAY_READ;
}

static struct m_pointer *pointer_at(struct m_unit *unit, u64 block)
{
	u32 i;

	for (i = 0; i < M_POINTERS; i++)
		if (unit->at[i].count && block >= unit->at[i].block &&
		    block - unit->at[i].block < unit->at[i].count)
			return &unit->at[i];
	return NULL;
}

static bool owns_any(struct m_unit *unit, u64 block, u32 count)
{
	u64 i;

	for (i = block; i < block + count; i++)
		if (pointer_at(unit, i))
			return true;
	return false;
}

static u32 units_below(const struct m_unit *unit)
{
	u32 i, n = 0;

	for (i = 0; i < M_POINTERS; i++)
		n += unit->at[i].count && unit->at[i].slot == EXO_XN_SELF;
	return n;
}

/* A change on a copy. @before: what acl is asked with. */
struct change {
	struct model *m;
	const struct m_state *before;
	const struct m_who *who;
	u32 root;
	u64 room;
	bool wrong;	/* owns will not agree */
	bool owning;	/* a unit that goes owns something */
	bool loop;	/* a unit would be above itself, by one of several ways */
};

static struct m_unit *touch(struct change *c, u64 block)
{
	struct m_unit *unit = m_unit_at(&c->m->now, block);

	return unit && unit->root == c->root ? unit : NULL;
}

static bool may(struct change *c, u64 block, u32 right)
{
	const struct m_unit *was = m_unit_at((struct m_state *)c->before, block);

	return !was || was->root != c->root || m_may(c->before, was, c->who, right);
}

static struct m_pointer *room_for_pointer(struct m_unit *unit)
{
	u32 i;

	for (i = 0; i < M_POINTERS; i++)
		if (!unit->at[i].count)
			return &unit->at[i];
	return NULL;
}

/* It says so in its bytes; or not. */
static void point(struct change *c, struct m_unit *unit, const struct m_step *s)
{
	struct m_pointer *p = room_for_pointer(unit);

	if (s->lie || !p)
		c->wrong = true;
	else
		*p = (struct m_pointer){ s->block, s->count, s->slot };
}

static void point_no_more(struct change *c, struct m_unit *unit, const struct m_step *s)
{
	struct m_pointer *p = pointer_at(unit, s->block);

	if (s->lie || !p || p->block != s->block || p->count != s->count || p->slot != s->slot)
		c->wrong = true;
	else
		p->count = 0;
}

static int do_alloc(struct change *c, struct m_unit *parent, const struct m_step *s)
{
	const struct m_root *root = &c->m->now.root[c->root - 1];
	u64 i;
	u32 at;

	if (!may(c, s->parent, EXO_XN_MAY_ALLOC))
		return -EACCES;
	if (s->count > c->room)
		return -EDQUOT;
	if (root->max && !c->who->admin &&
	    m_blocks_of(c->m, c->root) + waiting_of(c->m, c->root) + s->count > root->max)
		return -EDQUOT;
	c->room -= s->count;
	if (s->block >= c->m->blocks || s->count > c->m->blocks - s->block)
		return -EINVAL;
	for (i = s->block; i < s->block + s->count; i++)
		if (!m_is_free(c->m, i))
			return -EBUSY;
	for (i = s->block; i < s->block + s->count; i++)
		c->m->now.block[i] = (struct m_block){ .root = c->root, .refs = 1 };
	point(c, parent, s);
	if (s->slot == EXO_XN_DATA)
		return 0;
	for (at = 0; c->m->now.unit[at].root || c->m->done.unit[at].root; at++)
		;
	c->m->now.unit[at] = (struct m_unit){ .root = c->root, .block = s->block };
	return 0;
}

static int give(struct change *c, const struct m_step *s, u32 refs)
{
	struct m_block *b;
	u64 i;

	if (s->block >= c->m->blocks || s->count > c->m->blocks - s->block)
		return -EINVAL;
	for (i = s->block; i < s->block + s->count; i++) {
		b = &c->m->now.block[i];
		if (i < c->m->first)
			return -EBUSY;
		if (b->root != c->root)
			return -EINVAL;
		if (refs == 1 && b->refs != 1)
			return -EBUSY;
		if (refs == 2 && b->refs == 1)
			return -EINVAL;
	}
	for (i = s->block; i < s->block + s->count; i++) {
		b = &c->m->now.block[i];
		if (--b->refs)
			continue;
		b->root = 0;
		b->waiting = c->root;
	}
	return 0;
}

static int do_free(struct change *c, struct m_unit *parent, const struct m_step *s)
{
	struct m_unit *unit = NULL;
	u32 i;
	int ret;

	if (!may(c, s->parent, EXO_XN_MAY_FREE))
		return -EACCES;
	if (s->kind == EXO_XN_FREE_STEP && s->slot != EXO_XN_DATA) {
		unit = touch(c, s->block);
		if (!unit)
			return -ENOENT;
		if (s->block == c->m->now.root[c->root - 1].block || s->count != 1)
			return -EINVAL;
	}
	ret = give(c, s, s->kind == EXO_XN_FREE_STEP ? 1 : 2);
	if (ret)
		return ret;
	point_no_more(c, parent, s);
	for (i = 0; unit && i < M_POINTERS; i++)
		c->owning |= unit->at[i].count || unit == parent;
	if (unit)
		unit->root = 0;
	return 0;
}

static bool owns_unit(const struct m_unit *unit, u64 block)
{
	u32 i;

	for (i = 0; i < M_POINTERS; i++)
		if (unit->at[i].count && unit->at[i].slot == EXO_XN_SELF && unit->at[i].block == block)
			return true;
	return false;
}

/* From @under upwards, by all ways but those through @not: is @to found? */
static bool climb(struct change *c, u64 under, u64 not, u64 to)
{
	const struct m_unit *unit = c->m->now.unit;
	bool seen[M_UNITS] = {};
	u64 todo[M_UNITS + 1];
	u32 nr = 0, i;

	for (todo[nr++] = under; nr;) {
		under = todo[--nr];
		if (under == not)
			continue;
		if (under == to)
			return true;
		for (i = 0; i < M_UNITS; i++)
			if (unit[i].root == c->root && !seen[i] && owns_unit(&unit[i], under)) {
				seen[i] = true;
				todo[nr++] = unit[i].block;
			}
	}
	return false;
}

static int do_link(struct change *c, struct m_unit *parent, const struct m_step *s)
{
	struct m_unit *from = touch(c, s->from), *child;
	struct m_pointer *p;
	u64 i;

	if (!from)
		return -ENOENT;
	if (from == parent || owns_any(parent, s->block, s->count))
		return -EINVAL;
	p = pointer_at(from, s->block);
	if (!p || s->count > p->count - (s->block - p->block) || p->slot != s->slot ||
	    (s->slot == EXO_XN_SELF && (p->block != s->block || p->count != s->count)))
		return -EINVAL;
	if (!may(c, s->from, s->kind == EXO_XN_MOVE ? EXO_XN_MAY_FREE : EXO_XN_MAY_LINK) ||
	    !may(c, s->parent, EXO_XN_MAY_ALLOC))
		return -EACCES;
	if (s->slot == EXO_XN_SELF) {
		child = touch(c, s->block);
		if (!child)
			return -ENOENT;
		if (s->kind == EXO_XN_MOVE && climb(c, s->parent, 0, s->block)) {
			/* The engine knows one way up to a unit that several point at: it says so now, or in the end. */
			if (!climb(c, s->parent, s->block, c->m->now.root[c->root - 1].block))
				return -EINVAL;
			c->loop = true;
		}
	}
	if (s->kind == EXO_XN_LINK)
		for (i = s->block; i < s->block + s->count; i++)
			c->m->now.block[i].refs++;
	else
		point_no_more(c, from, s);
	point(c, parent, s);
	return 0;
}

static int do_step(struct change *c, const struct m_step *s)
{
	struct m_unit *parent = touch(c, s->parent);

	if (!parent)
		return -ENOENT;
	if (s->kind == EXO_XN_WRITE) {
		if (!may(c, s->parent, EXO_XN_MAY_WRITE))
			return -EACCES;
		return 0;
	}
	if (!s->count || (s->slot != EXO_XN_DATA && s->slot != EXO_XN_SELF) ||
	    (s->slot == EXO_XN_SELF && s->count > EXO_XN_UNIT_BLOCKS))
		return -EINVAL;
	if (s->kind == EXO_XN_ALLOC)
		return do_alloc(c, parent, s);
	if (s->kind == EXO_XN_FREE_STEP || s->kind == EXO_XN_UNLINK)
		return do_free(c, parent, s);
	return do_link(c, parent, s);
}

/* A unit with several references owns no units. */
static bool shared_badly(const struct model *m)
{
	u32 i;

	for (i = 0; i < M_UNITS; i++)
		if (m->now.unit[i].root && m->now.block[m->now.unit[i].block].refs > 1 &&
		    units_below(&m->now.unit[i]))
			return true;
	return false;
}

int m_apply(struct model *m, const struct m_who *who, u32 root, const struct m_step *steps, u32 nr, bool *either)
{
	static struct m_state before;
	struct change c = { .m = m, .before = &before, .who = who, .root = root, .room = ~0ULL };
	u32 i;
	int ret = 0;

	before = m->now;
	if (!who->admin)
		c.room = m_room(m, m->now.root[root - 1].uid);
	for (i = 0; !ret && i < nr; i++)
		ret = do_step(&c, &steps[i]);
	c.wrong |= !ret && shared_badly(m);
	if (!either && !ret)
		return 0;
	/* Which of two units is looked at first is nobody's business. */
	if (either)
		*either = (!ret && c.owning && c.wrong) || c.loop;
	if (!ret && c.wrong)
		ret = -EINVAL;
	if (!ret && c.owning)
		ret = -EBUSY;
	if (ret)
		m->now = before;
	return ret;
}

void m_commit(struct model *m, u32 root)
{
	bool temporary = m->now.root[root - 1].temporary;
	u32 i;

	for (i = 0; i < M_BLOCKS; i++) {
		struct m_block *now = &m->now.block[i], *done = &m->done.block[i];

		if (now->waiting == root)
			*now = (struct m_block){};
		if (!temporary && done->root == root)
			*done = (struct m_block){};
		if (!temporary && now->root == root)
			*done = *now;
	}
	if (temporary)
		return;
	for (i = 0; i < M_UNITS; i++) {
		if (m->done.unit[i].root == root)
			m->done.unit[i].root = 0;
		if (m->now.unit[i].root == root)
			m->done.unit[i] = m->now.unit[i];
	}
	m->done.root[root - 1] = m->now.root[root - 1];
}

void m_delete(struct model *m, u32 root)
{
	u32 i;

	for (i = 0; i < M_BLOCKS; i++) {
		if (m->now.block[i].root == root || m->now.block[i].waiting == root)
			m->now.block[i] = (struct m_block){};
		if (m->done.block[i].root == root)
			m->done.block[i] = (struct m_block){};
	}
	for (i = 0; i < M_UNITS; i++) {
		if (m->now.unit[i].root == root)
			m->now.unit[i].root = 0;
		if (m->done.unit[i].root == root)
			m->done.unit[i].root = 0;
	}
	memset(&m->now.root[root - 1], 0, sizeof(m->now.root[0]));
	memset(&m->done.root[root - 1], 0, sizeof(m->done.root[0]));
}

/* What was written before a detach is written, if its block was committed. */
void m_again(struct model *m)
{
	u32 i;

	for (i = 0; i < M_BLOCKS; i++)
		if (m->done.block[i].root)
			m->done.block[i].written = m->now.block[i].written;
	m->now = m->done;
	m->grown = 0;
}
