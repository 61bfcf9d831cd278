// SPDX-License-Identifier: GPL-2.0
/* The diary. See diary.h for the format. */
#include <stdio.h>
#include <string.h>

#include "../graft/embed.h"
#include "diary.h"

EMBED(diary_template, "xn/diary.bpf.o");

_Static_assert(sizeof(struct diary_head) == DIARY_BLOCK, "the head is a block");

static int read_head(struct store *store, struct diary_head *out)
{
	int ret = exo_xn_read(store->xn, store->root, store->first, store->first, out, sizeof(*out));

	if (ret < 0)
		return ret;
	return out->magic == DIARY_HEAD && out->runs <= DIARY_RUNS ? 0 : -EINVAL;
}

static uint64_t block_at(const struct diary_head *head, uint64_t byte)
{
	uint64_t block = byte / DIARY_BLOCK;

	return head->run[block / DIARY_RUN] + block % DIARY_RUN;
}

/* A run of blocks more; durable with the text that needs it. */
static int grow(struct store *store, struct diary_head *head)
{
	uint64_t near = head->runs ? head->run[head->runs - 1] + DIARY_RUN : store->first;
	uint32_t tries, run = head->runs;
	uint64_t block;
	int ret = -EBUSY;

	if (run == DIARY_RUNS)
		return -ENOSPC;
	head->runs++;
	/* What is free may be somebody else's a moment later: then another run. */
	for (tries = 0; ret == -EBUSY && tries < STORE_TRIES; tries++) {
		ret = exo_xn_find_free(store->xn, near, DIARY_RUN, &block);
		if (ret)
			return ret;
		head->run[run] = block;
		exo_xn_change_clear(store->change);
		exo_xn_change_alloc(store->change, store->first, block, DIARY_RUN, EXO_XN_DATA);
		exo_xn_change_write(store->change, store->first, 0, head, sizeof(*head));
		ret = exo_xn_change_apply(store->change, 0, NULL);
	}
	return ret;
}

/* As much of a text as goes into one block: how much. */
static int append_piece(struct store *store, struct diary_head *head, const char *text,
			uint32_t length)
{
	uint32_t in_block = (uint32_t)(head->bytes % DIARY_BLOCK);
	uint64_t block;
	int ret = 0;

	if (head->bytes == (uint64_t)head->runs * DIARY_RUN * DIARY_BLOCK)
		ret = grow(store, head);
	if (ret)
		return ret;
	block = block_at(head, head->bytes);
	if (length > DIARY_BLOCK - in_block)
		length = DIARY_BLOCK - in_block;
	/* What was never written reads as zeros, so the first piece of a block needs no special case. */
	ret = store_read(store, store->first, block);
	if (ret)
		return ret;
	memcpy((char *)store->memory + in_block, text, length);
	ret = store_write(store, store->first, block);
	return ret ? ret : (int)length;
}

int diary_append(struct store *store, const char *text)
{
	uint32_t left = (uint32_t)strlen(text);
	struct diary_head head;
	int ret = read_head(store, &head);

	while (!ret && left) {
		ret = append_piece(store, &head, text, left);
		if (ret < 0)
			return ret;
		head.bytes += (uint32_t)ret;
		text += ret;
		left -= (uint32_t)ret;
		ret = 0;
	}
	if (ret)
		return ret;
	exo_xn_change_write(store->change, store->first, 0, &head, sizeof(head));
	return exo_xn_change_apply(store->change, EXO_XN_APPLY_COMMIT, NULL);
}

int diary_read(struct store *store, uint64_t from, char *text, uint32_t length)
{
	struct diary_head head;
	uint32_t in_block;
	int ret = read_head(store, &head);

	if (ret)
		return ret;
	if (from >= head.bytes)
		return 0;
	in_block = (uint32_t)(from % DIARY_BLOCK);
	if (length > DIARY_BLOCK - in_block)
		length = DIARY_BLOCK - in_block;
	if (length > head.bytes - from)
		length = (uint32_t)(head.bytes - from);
	ret = store_read(store, store->first, block_at(&head, from));
	if (ret)
		return ret;
	memcpy(text, (char *)store->memory + in_block, length);
	return (int)length;
}

int diary_create(struct store *store, const char *name)
{
	static const struct diary_head empty = { .magic = DIARY_HEAD };

	return store_create(store, name, "diary", diary_template_start,
			    (size_t)(diary_template_end - diary_template_start), &empty);
}
