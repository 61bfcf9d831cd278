// SPDX-License-Identifier: GPL-2.0
/*
 * Templates: kept in blocks of exo's own, compiled when they are first needed, never changed.
 */
#include "core/xn_core.h"

/* Forget a template. Context: disk lock, or nobody uses the disk. */
void exo_xn_template_drop(struct exo_xn *xn, struct exo_xn_template_core *t)
{
	if (t->funcs)
		xn->host->release(xn, t);
	if (xn->templates[t->number] == t)
		xn->templates[t->number] = NULL;
	exo_xn_mem_free(xn, t);
}

static int load_content(struct exo_xn *xn, struct exo_xn_template_core *t, u8 *content)
{
	struct exo_graft_error err;
	u8 hash[32];
	u32 func;
	int ret;

	ret = exo_xn_read_blocks(xn, t->block, t->blocks, content);
	if (ret)
		return ret;
	xn->host->hash(content, t->length, hash);
	if (__builtin_memcmp(hash, t->hash, sizeof(hash)))
		return -EINVAL;
	return xn->host->compile(xn, t, content, t->length, &err, &func);
}

/**
 * exo_xn_template_load() - a template with its functions
 * @xn: disk
 * @number: any
 * @out: set to it
 *
 * Its content is what was added, or it isn't used: its hash is compared, and the functions are checked as at first.
 *
 * Context: disk lock; reads, allocates. Return: 0; -EINVAL: there is none, or it is damaged; -EIO; -ENOMEM.
 */
int exo_xn_template_load(struct exo_xn *xn, u32 number, const struct exo_xn_template_core **out)
{
	struct exo_xn_template_core *t;
	void *content;
	int ret;

	if (!number || number > EXO_XN_TEMPLATES || !xn->templates[number])
		return -EINVAL;
	t = xn->templates[number];
	*out = t;
	if (t->funcs)
		return 0;
	content = exo_xn_alloc(xn, (size_t)t->blocks * EXO_XN_BLOCK);
	if (!content)
		return -ENOMEM;
	ret = load_content(xn, t, content);
	exo_xn_mem_free(xn, content);
	return ret;
}

/* No more functions than one uid may have, and those of one template. Context: attach: nobody runs any. */
void exo_xn_templates_bound(struct exo_xn *xn)
{
	u64 bytes = 0;
	u32 i;

	for (i = 1; i <= EXO_XN_TEMPLATES; i++)
		bytes += xn->templates[i] && xn->templates[i]->funcs ? xn->templates[i]->length : 0;
	for (i = 1; bytes > EXO_XN_UID_CONTENT && i <= EXO_XN_TEMPLATES; i++)
		if (xn->templates[i] && xn->templates[i]->funcs)
			xn->host->release(xn, xn->templates[i]);
}

/**
 * exo_xn_template() - a template, with its functions if they can be had
 * @xn: disk
 * @number: any
 *
 * Context: disk lock; reads, allocates. Return: it; NULL: there is none, or its functions can't be had now.
 */
struct exo_xn_template_core *exo_xn_template(struct exo_xn *xn, u32 number)
{
	const struct exo_xn_template_core *t;

	return exo_xn_template_load(xn, number, &t) ? NULL : (struct exo_xn_template_core *)t;
}

/* One more, or one less, uses what @t refers to. */
static void count_refs(struct exo_xn *xn, const struct exo_xn_template_core *t, int by)
{
	u32 i;

	for (i = 0; i < EXO_XN_REFS; i++)
		if (t->refs[i] && t->refs[i] != t->number && xn->templates[t->refs[i]])
			xn->templates[t->refs[i]]->users += by;
}

static bool equal(const struct exo_xn_template_core *a, const struct exo_xn_template_core *b)
{
	return a->uid == b->uid && a->head_bytes == b->head_bytes &&
	       a->part_bytes == b->part_bytes &&
	       !__builtin_memcmp(a->refs, b->refs, sizeof(a->refs)) &&
	       !__builtin_memcmp(a->hash, b->hash, sizeof(a->hash));
}

/* Find an equal one (1), or a free number (0). */
static int place(struct exo_xn *xn, struct exo_xn_template_core *t, bool admin, u32 *out)
{
	const struct exo_xn_template_core *other;
	u64 bytes = t->length;
	u32 i, mine = 0;

	for (i = 1; i <= EXO_XN_TEMPLATES; i++) {
		other = xn->templates[i];
		if (!other) {
			t->number = t->number ? t->number : i;
			continue;
		}
		if (equal(t, other)) {
			*out = i;
			return 1;
		}
		if (other->uid == t->uid && !__builtin_memcmp(other->name, t->name, sizeof(t->name)))
			return -EEXIST;
		mine += other->uid == t->uid;
		bytes += other->uid == t->uid ? other->length : 0;
	}
	if (!admin && (mine >= EXO_XN_UID_TEMPLATES || bytes > EXO_XN_UID_CONTENT))
		return -EDQUOT;
	if (!admin && t->blocks > exo_xn_uid_room(xn, t->uid))
		return -EDQUOT;
	return t->number ? 0 : -ENOSPC;
}

/* Its content goes to free blocks; then one transaction makes it, and them, known. */
static int store(struct exo_xn *xn, struct exo_xn_template_core *t, const void *content)
{
	u64 bad;
	u8 *copy;
	int ret;

	copy = exo_xn_alloc(xn, (size_t)t->blocks * EXO_XN_BLOCK);
	if (!copy)
		return -ENOMEM;
	__builtin_memcpy(copy, content, t->length);
	ret = exo_xn_map_run(xn, xn->first, t->blocks, &t->block);
	if (!ret)
		ret = exo_xn_map_change(xn, EXO_XN_OP_TAKE, EXO_XN_SYSTEM_ROOT, t->block, t->blocks,
					&bad);
	if (ret)
		goto out;
	ret = exo_xn_write_blocks(xn, t->block, t->blocks, copy, EXO_XN_FUA);
	if (!ret)
		ret = exo_xn_commit_root(xn, NULL, t);
	if (ret)
		exo_xn_map_undo(xn, EXO_XN_OP_TAKE, EXO_XN_SYSTEM_ROOT, t->block, t->blocks);
out:
	exo_xn_mem_free(xn, copy);
	return ret;
}

static int refs_valid(struct exo_xn *xn, const u32 *refs)
{
	u32 i;

	for (i = 0; i < EXO_XN_REFS; i++)
		if (refs[i] && (refs[i] > EXO_XN_TEMPLATES || !xn->templates[refs[i]]))
			return -ENOENT;
	return 0;
}

/**
 * exo_xn_template_add() - a new template, or an equal one that is there
 * @xn: disk
 * @who: becomes its owner
 * @name: a string, shorter than EXO_XN_NAME
 * @refs: EXO_XN_REFS numbers, 0: none
 * @head_bytes: of part 0 of a unit
 * @part_bytes: of the others
 * @content: what the host's compile takes
 * @length: bytes
 * @err: why it isn't taken
 * @func: which function @err is about
 * @out: its number
 *
 * Durable when this returns. Context: disk lock; writes, allocates.
 *
 * Return: 0; -EINVAL: name, parts, length or functions; -ENOENT: one of @refs; -EEXIST: the owner has another one of this
 * name; -EDQUOT; -ENOSPC: table or disk full; -ENOMEM; -EIO.
 */
int exo_xn_template_add(struct exo_xn *xn, const struct exo_xn_who *who, const char *name,
			const u32 *refs, u32 head_bytes, u32 part_bytes, const void *content,
			u32 length, struct exo_graft_error *err, u32 *func, u32 *out)
{
	struct exo_xn_template_core *t;
	int ret;

	exo_xn_shrink(xn);
	if (!exo_xn_parts_valid(head_bytes, part_bytes) ||
	    !length || length > EXO_XN_CONTENT_MAX)
		return -EINVAL;
	ret = refs_valid(xn, refs);
	if (ret)
		return ret;
	t = exo_xn_alloc(xn, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->uid = who->uid;
	t->head_bytes = head_bytes;
	t->part_bytes = part_bytes;
	t->length = length;
	t->blocks = exo_xn_blocks_of(length);
	__builtin_memcpy(t->refs, refs, sizeof(t->refs));
	xn->host->hash(content, length, t->hash);
	ret = exo_xn_name_copy(t->name, name) ? place(xn, t, who->admin, out) : -EINVAL;
	if (ret) {
		exo_xn_mem_free(xn, t);
		return ret < 0 ? ret : 0;
	}
	ret = xn->host->compile(xn, t, content, length, err, func);
	if (!ret)
		ret = store(xn, t, content);
	if (ret) {
		exo_xn_template_drop(xn, t);
		return ret;
	}
	xn->templates[t->number] = t;
	count_refs(xn, t, 1);
	*out = t->number;
	return 0;
}

/**
 * exo_xn_template_remove() - remove a template that nothing uses
 * @xn: disk
 * @who: its owner, or an admin
 * @number: of it
 *
 * Durable when this returns. Context: disk lock; writes.
 *
 * Return: 0; -ENOENT; -EACCES; -EBUSY: a root or another template uses it; -ENOMEM; -EIO.
 */
int exo_xn_template_remove(struct exo_xn *xn, const struct exo_xn_who *who, u32 number)
{
	struct exo_xn_template_core *t;
	u64 bad;
	u32 blocks;
	int ret;

	if (!number || number > EXO_XN_TEMPLATES || !xn->templates[number])
		return -ENOENT;
	t = xn->templates[number];
	if (!who->admin && who->uid != t->uid)
		return -EACCES;
	if (t->users)
		return -EBUSY;
	ret = exo_xn_map_change(xn, EXO_XN_OP_GIVE, EXO_XN_SYSTEM_ROOT, t->block, t->blocks, &bad);
	if (ret)
		return ret;
	blocks = t->blocks;
	t->blocks = 0;
	ret = exo_xn_commit_root(xn, NULL, t);
	if (ret) {
		t->blocks = blocks;
		exo_xn_map_undo(xn, EXO_XN_OP_GIVE, EXO_XN_SYSTEM_ROOT, t->block, blocks);
		return ret;
	}
	count_refs(xn, t, -1);
	exo_xn_template_drop(xn, t);
	return 0;
}

/* Templates and roots from the tables, when these are as the log says. -EINVAL: damaged. Context: attach. */
int exo_xn_tables_load(struct exo_xn *xn)
{
	const struct exo_xn_template_entry *entry = (void *)xn->template_table;
	struct exo_xn_template_core *t;
	u32 i;
	int ret;

	for (i = 1; i <= EXO_XN_TEMPLATES; i++, entry++) {
		ret = exo_xn_template_parse(xn->host->crc, xn->seed, entry, i, xn->blocks);
		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		t = exo_xn_alloc(xn, sizeof(*t));
		if (!t)
			return -ENOMEM;
		t->number = i;
		t->uid = entry->uid;
		t->head_bytes = entry->head_bytes;
		t->part_bytes = entry->part_bytes;
		t->block = entry->block;
		t->blocks = entry->blocks;
		t->length = entry->length;
		__builtin_memcpy(t->refs, entry->refs, sizeof(t->refs));
		__builtin_memcpy(t->hash, entry->hash, sizeof(t->hash));
		__builtin_memcpy(t->name, entry->name, sizeof(t->name));
		xn->templates[i] = t;
	}
	for (i = 1; i <= EXO_XN_TEMPLATES; i++)
		if (xn->templates[i])
			count_refs(xn, xn->templates[i], 1);
	return exo_xn_roots_load(xn);
}
