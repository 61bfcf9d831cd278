// SPDX-License-Identifier: GPL-2.0
/*
 * The log: one group after the other, each from the beginning of a block on, each one durable write. After a
 * checkpoint it begins anew.
 */
#include "store.h"

static struct kv_group *group(struct kv *kv)
{
	return kv_frame_at(kv, 0);
}

static uint32_t blocks(uint32_t bytes)
{
	return (bytes + KV_BLOCK - 1) / KV_BLOCK;
}

static uint32_t crc_of(struct kv_group *head)
{
	uint32_t was = head->crc, crc;

	head->crc = 0;
	crc = kv_crc(head, head->bytes);
	head->crc = was;
	return crc;
}

int kv_log_room(struct kv *kv, uint32_t key_len, uint32_t length)
{
	uint32_t bytes = sizeof(struct kv_record) + key_len + length;

	return kv->fill + bytes > kv->super.group_blocks * KV_BLOCK ? -E2BIG : 0;
}

void kv_log_add(struct kv *kv, uint32_t what, const void *key, uint32_t key_len,
		const void *value, uint32_t length)
{
	struct kv_record record = { .key = (uint16_t)key_len, .what = (uint16_t)what,
				    .value = length };
	uint8_t *at = (uint8_t *)group(kv) + kv->fill;

	memcpy(at, &record, sizeof(record));
	memcpy(at + sizeof(record), key, key_len);
	if (length)
		memcpy(at + sizeof(record) + key_len, value, length);
	kv->fill += (uint32_t)sizeof(record) + key_len + length;
	kv->count++;
}

void kv_log_reset(struct kv *kv)
{
	kv->fill = sizeof(struct kv_group);
	kv->count = 0;
}

int kv_log_write(struct kv *kv)
{
	struct kv_group *head = group(kv);
	uint32_t n = blocks(kv->fill);

	*head = (struct kv_group){ .magic = KV_GROUP, .epoch = kv->super.epoch, .seq = kv->seq,
				   .bytes = kv->fill, .count = kv->count };
	head->crc = crc_of(head);
	CHECK(exo_xn_io_write(kv->xn, kv->log, kv->log_at, kv->frames, n, EXO_XN_IO_DURABLE));
	kv->log_at += n;
	kv->seq++;
	kv->stats.groups++;
	kv->stats.log_bytes += (uint64_t)n * KV_BLOCK;
	kv_log_reset(kv);
	return 0;
}

/* ---- recovery ---- */

static int replay_record(struct kv *kv, const struct kv_record *record, const uint8_t *key)
{
	int ret;

	if (record->what == KV_RECORD_PUT)
		return kv_tree_put(kv, key, record->key, key + record->key, record->value);
	ret = kv_tree_delete(kv, key, record->key);
	return ret == -ENOENT ? 0 : ret;
}

static int replay_group(struct kv *kv)
{
	const struct kv_group *head = group(kv);
	uint32_t at = sizeof(*head), left = head->count;
	struct kv_record record;

	for (; left; left--) {
		if (head->bytes - at < sizeof(record))
			return -EBADMSG;
		memcpy(&record, (uint8_t *)head + at, sizeof(record));
		at += (uint32_t)sizeof(record);
		if (record.key > KV_KEY_MAX || record.value > KV_VALUE_MAX ||
		    head->bytes - at < record.key + record.value)
			return -EBADMSG;
		CHECK(replay_record(kv, &record, (uint8_t *)head + at));
		at += record.key + record.value;
	}
	return 0;
}

/* The group at log_at into the buffer: how many blocks; 0: there is none that is whole and next. */
static int read_group(struct kv *kv)
{
	uint32_t total = kv->extent[0].count, n;
	struct kv_group *head = group(kv);

	if (kv->log_at == total)
		return 0;
	CHECK(exo_xn_io_read(kv->xn, kv->log, kv->log_at, kv->frames, 1));
	n = blocks(head->bytes);
	if (head->magic != KV_GROUP || head->epoch != kv->super.epoch || head->seq != kv->seq ||
	    head->bytes < sizeof(*head) || n > kv->super.group_blocks || n > total - kv->log_at)
		return 0;
	if (n > 1)
		CHECK(exo_xn_io_read(kv->xn, kv->log, kv->log_at + 1, kv->frames + 1, n - 1));
	return head->crc == crc_of(head) ? (int)n : 0;
}

int kv_log_replay(struct kv *kv)
{
	int n;

	for (;;) {
		n = read_group(kv);
		if (n <= 0)
			break;
		CHECK(replay_group(kv));
		kv->log_at += (uint32_t)n;
		kv->seq++;
		kv->stats.replayed++;
	}
	kv_log_reset(kv);
	return n;
}

int kv_log_prepare(struct kv *kv)
{
	uint32_t at, n;

	memset(group(kv), 0, (size_t)kv->super.group_blocks * KV_BLOCK);
	for (at = 0; at < kv->extent[0].count; at += n) {
		n = kv->extent[0].count - at;
		if (n > kv->super.group_blocks)
			n = kv->super.group_blocks;
		CHECK(exo_xn_io_write(kv->xn, kv->log, at, kv->frames, n, 0));
	}
	return 0;
}
