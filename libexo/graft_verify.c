// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What can be said of a graft without a module: the engine of the module, run here. A certificate is
 * made, checked as the module will check it, and the lowered code is shown.
 */
#include <stdlib.h>
#include <string.h>

#include "core/graft_insn.h"
#include "graft.h"
#include "graft_prove.h"

/**
 * struct engine - a graft in the engine's hands
 * @prog: decoded
 * @slots: for @prog
 * @lowered: room for lowered code
 * @origin: where each slot of it is from
 * @work: scratch memory of the lowering
 */
struct engine {
	struct exo_graft_prog prog;
	uint8_t slots[EXO_GRAFT_MAX_INSNS];
	struct exo_insn lowered[EXO_GRAFT_MAX_LOWERED];
	uint16_t origin[EXO_GRAFT_MAX_LOWERED];
	void *work;
};

static uint32_t pages(uint32_t size)
{
	return (uint32_t)((size + EXO_PAGE_SIZE - 1) & ~(EXO_PAGE_SIZE - 1));
}

int graft_decode(const struct exo_graft_object *object, uint8_t *slots,
		 struct exo_graft_prog *out_prog, struct exo_graft_error *error)
{
	const struct exo_graft_parts *parts = &object->parts;

	memset(slots, 0, EXO_GRAFT_MAX_INSNS);
	*out_prog = (struct exo_graft_prog){
		.hook = exo_hook_find(parts->hook),
		.insns = parts->insns,
		.len = parts->nr_insns,
		.slots = slots,
		.const_size = parts->const_size,
		.state_size = pages(parts->state_size),
	};
	return exo_graft_decode(out_prog, error);
}

static int decode(struct engine *engine, const struct exo_graft_object *object,
		  struct exo_graft_error *error)
{
	return graft_decode(object, engine->slots, &engine->prog, error);
}

/* A certificate that came with the object counts if it is good; else one is made. */
static int prove(struct engine *engine, struct exo_graft_object *object)
{
	struct exo_graft_parts *parts = &object->parts;
	struct exo_graft_error *error = &object->verdict.error;
	size_t size = 0;
	void *room, *cert = NULL;
	int ret = -EINVAL;

	room = lib_zalloc(exo_graft_check_room(&engine->prog));
	if (!room)
		return -ENOMEM;
	if (parts->cert)
		ret = exo_graft_check(&engine->prog, parts->cert, parts->cert_size, room, error);
	if (ret) {
		memset(error, 0, sizeof(*error));
		ret = exo_graft_prove(&engine->prog, &cert, &size, error);
	}
	if (!ret && cert) {
		object->cert = cert;
		parts->cert = cert;
		parts->cert_size = size;
		ret = exo_graft_check(&engine->prog, cert, size, room, error);
	}
	lib_free(room);
	if (ret == -ENOMEM)
		return ret;
	object->verdict.proved = !ret;
	return 0;
}

static int lower(struct engine *engine, uint32_t mode, struct exo_graft_target *out_target)
{
	int32_t helper_imm[EXO_GRAFT_MAX_HELPERS];
	struct exo_graft_layout layout;
	struct exo_graft_error error;
	int ret;
	int32_t i;

	for (i = 0; i < (int32_t)EXO_GRAFT_MAX_HELPERS; i++)
		helper_imm[i] = i;
	exo_graft_layout(&engine->prog, &layout);
	*out_target = (struct exo_graft_target){
		.mode = mode,
		.barriers = true,
		.layout = &layout,
		.consts = layout.start[EXO_REGION_CONST],
		.state = layout.start[EXO_REGION_STATE],
		.helper_imm = helper_imm,
		.insns = engine->lowered,
		.room = EXO_GRAFT_MAX_LOWERED,
		.origin = engine->origin,
		.work = engine->work,
	};
	ret = exo_graft_lower(&engine->prog, out_target, &error);
	out_target->layout = NULL;
	out_target->helper_imm = NULL;
	return ret;
}

static uint32_t count_barriers(const struct engine *engine, uint32_t len)
{
	uint32_t i, n = 0;

	for (i = 0; i < len; i++)
		n += engine->lowered[i].code == EXO_NOSPEC;
	return n;
}

static struct engine *engine_new(void)
{
	struct engine *engine = lib_zalloc(sizeof(*engine));

	return engine;
}

static void engine_free(struct engine *engine)
{
	lib_free(engine->work);
	lib_free(engine);
}

/* Fills in the verdict, once. */
static int judge(struct engine *engine, struct exo_graft_object *object)
{
	struct exo_graft_verdict *verdict = &object->verdict;
	struct exo_graft_target target;
	int ret;

	memset(verdict, 0, sizeof(*verdict));
	if (decode(engine, object, &verdict->error))
		return 0;
	engine->work = lib_zalloc(exo_graft_lower_room(&engine->prog));
	if (!engine->work)
		return -ENOMEM;
	verdict->decoded = 1;
	verdict->budget = engine->prog.hook->budget;
	verdict->stack = engine->prog.stack;
	verdict->worst = ~0ULL;
	ret = prove(engine, object);
	if (ret)
		return ret;
	if (verdict->proved && !lower(engine, EXO_GRAFT_PROOF, &target)) {
		verdict->mixed = engine->prog.mixed;
		verdict->worst = engine->prog.worst;
		verdict->cert_size = object->parts.cert_size;
		verdict->proof_len = target.len;
		verdict->barriers = count_barriers(engine, target.len);
	}
	if (!lower(engine, EXO_GRAFT_SANDBOX, &target))
		verdict->sandbox_len = target.len;
	return 0;
}

int graft_verify_locked(struct exo_graft_object *object)
{
	struct engine *engine;
	int ret;

	if (object->verified)
		return 0;
	engine = engine_new();
	if (!engine)
		return -ENOMEM;
	ret = judge(engine, object);
	object->verified = !ret;
	engine_free(engine);
	return ret;
}

/**
 * exo_graft_verify() - prove a graft, and say what the module will say
 * @object: gets the certificate
 * @out_verdict: the findings
 *
 * Return: 0, whatever the findings are; -ENOMEM. Thread-safe; it takes time once for an object.
 */
EXPORT int exo_graft_verify(struct exo_graft_object *object, struct exo_graft_verdict *out_verdict)
{
	int ret;

	pthread_mutex_lock(&object->lock);
	ret = graft_verify_locked(object);
	if (!ret)
		*out_verdict = object->verdict;
	pthread_mutex_unlock(&object->lock);
	return ret;
}

/* Shows @len slots; @origin is NULL for the graft as it was written. */
struct show {
	const struct exo_graft_object *object;
	const struct exo_insn *insns;
	const uint16_t *origin;
	uint32_t len;
	exo_graft_listing_fn fn;
	void *ctx;
};

/*
 * Of the slots that one instruction became, the author's is the last with its opcode; where it was
 * written anew it is the last of all.
 */
static uint32_t own_slot(const struct show *show, uint32_t first)
{
	const struct exo_insn *insns = show->object->parts.insns;
	uint32_t origin = show->origin[first], i, own = first, same = UINT32_MAX;

	for (i = first; i < show->len && show->origin[i] == origin; i++) {
		own = i;
		if (insns[origin].code == show->insns[i].code)
			same = i;
	}
	return same != UINT32_MAX ? same : own;
}

static void show_slot(const struct show *show, uint32_t slot, uint32_t own, bool second)
{
	const struct exo_insn *insn = &show->insns[slot];
	struct exo_graft_listing listing = { .slot = slot, .origin = slot, .second = second };
	char text[GRAFT_LISTING] = "";

	if (!second)
		graft_listing_text(insn, slot + 1 < show->len ? insn + 1 : NULL, slot, text,
				   sizeof(text));
	memcpy(&listing.raw, insn, sizeof(listing.raw));
	listing.text = text;
	if (show->origin) {
		listing.origin = show->origin[slot];
		listing.inserted = !second && slot != own;
	}
	if (!listing.inserted)
		listing.line = graft_line_of(show->object, listing.origin);
	show->fn(&listing, show->ctx);
}

static void show_all(const struct show *show)
{
	uint32_t slot, own = 0, group = UINT32_MAX;
	bool wide;

	for (slot = 0; slot < show->len; slot++) {
		if (!show->origin || show->origin[slot] != group) {
			group = show->origin ? show->origin[slot] : slot;
			own = !show->origin ? slot :
			      group < show->object->parts.nr_insns ? own_slot(show, slot) :
								     UINT32_MAX;
		}
		wide = show->insns[slot].code == EXO_LD_IMM64 && slot + 1 < show->len;
		show_slot(show, slot, own, false);
		if (wide)
			show_slot(show, ++slot, own, true);
	}
}

static int disassemble_lowered(struct exo_graft_object *object, uint32_t mode, struct show *show)
{
	struct exo_graft_error error;
	struct exo_graft_target target;
	struct engine *engine;
	void *room = NULL;
	int ret = graft_verify_locked(object);

	if (ret)
		return ret;
	if (!object->verdict.decoded || (mode == EXO_GRAFT_PROOF && !object->verdict.proved))
		return -EINVAL;
	engine = engine_new();
	if (!engine)
		return -ENOMEM;
	ret = decode(engine, object, &error);
	engine->work = ret ? NULL : lib_zalloc(exo_graft_lower_room(&engine->prog));
	room = ret ? NULL : lib_zalloc(exo_graft_check_room(&engine->prog));
	if (!ret && (!engine->work || !room))
		ret = -ENOMEM;
	/* The barriers are what the checker found. */
	if (!ret && mode == EXO_GRAFT_PROOF)
		ret = exo_graft_check(&engine->prog, object->parts.cert, object->parts.cert_size,
				      room, &error);
	if (!ret)
		ret = lower(engine, mode, &target);
	if (!ret) {
		show->insns = engine->lowered;
		show->origin = engine->origin;
		show->len = target.len;
		show_all(show);
	}
	lib_free(room);
	engine_free(engine);
	return ret;
}

/**
 * exo_graft_disassemble() - show a graft's instructions
 * @object: the graft
 * @mode: 0: as it was written; EXO_GRAFT_PROOF or EXO_GRAFT_SANDBOX: as the kernel's JIT gets it
 * @fn: called for each slot; what it gets is only valid during the call
 * @ctx: for @fn
 *
 * Return: 0; -EINVAL: no such mode, or the object is not in the language or not proved; -ENOMEM.
 * Thread-safe; @fn must not use @object but for exo_graft_object_parts().
 */
EXPORT int exo_graft_disassemble(struct exo_graft_object *object, uint32_t mode,
				 exo_graft_listing_fn fn, void *ctx)
{
	struct show show = { .object = object, .fn = fn, .ctx = ctx };
	int ret;

	if (mode && mode != EXO_GRAFT_PROOF && mode != EXO_GRAFT_SANDBOX)
		return -EINVAL;
	if (!mode) {
		show.insns = object->parts.insns;
		show.len = object->parts.nr_insns;
		show_all(&show);
		return 0;
	}
	pthread_mutex_lock(&object->lock);
	ret = disassemble_lowered(object, mode, &show);
	pthread_mutex_unlock(&object->lock);
	return ret;
}
