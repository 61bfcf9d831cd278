// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Graft objects: the code of a graft, its constants, the first content of its state, and what is
 * known of its source. All of it is copied into one piece of memory.
 */
#include <stdlib.h>
#include <string.h>

#include "graft.h"

#define ALIGNMENT 16

/* The piece of memory, filled from its start; with base NULL it is only measured. */
struct room {
	char *base;
	size_t used;
};

static void *take(struct room *room, const void *from, size_t size)
{
	size_t at = room->used;

	room->used += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!room->base)
		return NULL;
	if (from && size)
		memcpy(room->base + at, from, size);
	return room->base + at;
}

static const char *take_text(struct room *room, const char *text)
{
	return text ? take(room, text, strlen(text) + 1) : NULL;
}

/* Consecutive lines mostly name the same file: it is kept once for a run of them. */
static void take_lines(struct room *room, struct exo_graft_parts *to,
		       const struct exo_graft_parts *from)
{
	struct exo_graft_line *lines = take(room, from->lines,
					    from->nr_lines * sizeof(*from->lines));
	const char *file = NULL, *was = NULL, *text;
	uint32_t i;

	for (i = 0; i < from->nr_lines; i++) {
		if (from->lines[i].file != was || !i)
			file = take_text(room, from->lines[i].file);
		was = from->lines[i].file;
		text = take_text(room, from->lines[i].text);
		if (!lines)
			continue;
		lines[i].file = file;
		lines[i].text = text;
	}
	to->lines = from->nr_lines ? lines : NULL;
}

static void take_vars(struct room *room, struct exo_graft_parts *to,
		      const struct exo_graft_parts *from)
{
	struct exo_graft_var *vars = take(room, from->vars, from->nr_vars * sizeof(*from->vars));
	const char *name;
	uint32_t i;

	for (i = 0; i < from->nr_vars; i++) {
		name = take_text(room, from->vars[i].name);
		if (vars)
			vars[i].name = name;
	}
	to->vars = from->nr_vars ? vars : NULL;
}

static void take_parts(struct room *room, struct exo_graft_parts *to,
		       const struct exo_graft_parts *from)
{
	*to = *from;
	to->sz = sizeof(*to);
	to->name = take_text(room, from->name ? from->name : "");
	to->insns = take(room, from->insns, (size_t)from->nr_insns * sizeof(struct exo_insn));
	to->consts = from->const_size ? take(room, from->consts, from->const_size) : NULL;
	to->state = from->state ? take(room, from->state, from->state_size) : NULL;
	to->cert = from->cert_size ? take(room, from->cert, from->cert_size) : NULL;
	take_lines(room, to, from);
	take_vars(room, to, from);
}

static bool parts_fit(const struct exo_graft_parts *parts)
{
	uint32_t i;

	if (!exo_hook_find(parts->hook) || !parts->insns || !parts->nr_insns ||
	    parts->nr_insns > EXO_GRAFT_MAX_INSNS || parts->const_size > EXO_GRAFT_MAX_CONST ||
	    parts->state_size > EXO_GRAFT_MAX_STATE * EXO_PAGE_SIZE ||
	    parts->cert_size > EXO_GRAFT_MAX_CERT)
		return false;
	if ((parts->const_size && !parts->consts) || (parts->nr_lines && !parts->lines) ||
	    (parts->nr_vars && !parts->vars) || (parts->cert_size && !parts->cert))
		return false;
	for (i = 1; i < parts->nr_lines; i++)
		if (parts->lines[i].slot < parts->lines[i - 1].slot)
			return false;
	for (i = 0; i < parts->nr_vars; i++)
		if (!parts->vars[i].name || parts->vars[i].offset > parts->state_size ||
		    parts->vars[i].size > parts->state_size - parts->vars[i].offset)
			return false;
	return true;
}

/**
 * exo_graft_object_create() - an object from its parts
 * @out_object: the object, until exo_graft_close()
 * @parts: copied
 *
 * Return: 0; -EINVAL: no such hook, a size beyond the limits, lines out of order, a variable
 * outside the state; -E2BIG; -ENOMEM. Whether the code is in the language is asked later. Thread-safe.
 */
EXPORT int exo_graft_object_create(struct exo_graft_object **out_object,
				   const struct exo_graft_parts *parts)
{
	struct exo_graft_object *object;
	struct exo_graft_parts known = { 0 };
	struct room room = { 0 };
	int ret;

	if (!parts)
		return -EINVAL;
	ret = lib_opts_check(parts, sizeof(*parts));
	if (ret)
		return ret;
	memcpy(&known, parts, parts->sz < sizeof(known) ? parts->sz : sizeof(known));
	if (!parts_fit(&known))
		return -EINVAL;
	object = lib_zalloc(sizeof(*object));
	if (!object)
		return -ENOMEM;
	take_parts(&room, &object->parts, &known);
	room.base = lib_zalloc(room.used);
	if (!room.base) {
		lib_free(object);
		return -ENOMEM;
	}
	room.used = 0;
	take_parts(&room, &object->parts, &known);
	object->memory = room.base;
	pthread_mutex_init(&object->lock, NULL);
	*out_object = object;
	return 0;
}

/**
 * exo_graft_close() - forget an object
 * @object: NULL: nothing happens. Grafts that were loaded from it stay.
 */
EXPORT void exo_graft_close(struct exo_graft_object *object)
{
	if (!object)
		return;
	pthread_mutex_destroy(&object->lock);
	lib_free(object->cert);
	lib_free(object->memory);
	lib_free(object);
}

/**
 * exo_graft_object_parts() - what an object consists of
 * @object: an object
 *
 * Return: the parts, valid until the object is closed. The certificate is there after
 * exo_graft_verify() or exo_graft_load() made one.
 */
EXPORT const struct exo_graft_parts *exo_graft_object_parts(const struct exo_graft_object *object)
{
	return &object->parts;
}

/* The source of a slot: the last line that begins at it or before. */
const struct exo_graft_line *graft_line_of(const struct exo_graft_object *object, uint32_t slot)
{
	const struct exo_graft_line *found = NULL;
	uint32_t i;

	for (i = 0; object && i < object->parts.nr_lines && object->parts.lines[i].slot <= slot; i++)
		found = &object->parts.lines[i];
	return found;
}

/**
 * exo_graft_hook_name() - a hook's name
 * @hook: enum exo_graft_hook_id
 *
 * Return: what stands in SEC(), NULL if there is no such hook.
 */
EXPORT const char *exo_graft_hook_name(uint32_t hook)
{
	const struct exo_hook *found = exo_hook_find(hook);

	return found ? found->name : NULL;
}

/**
 * exo_graft_hook_number() - a hook by its name
 * @name: what stands in SEC(); what follows a slash doesn't matter
 *
 * Return: enum exo_graft_hook_id, or -ENOENT.
 */
EXPORT int exo_graft_hook_number(const char *name)
{
	size_t length = strcspn(name, "/");
	const struct exo_hook *hook;
	uint32_t id;

	for (id = 1; (hook = exo_hook_find(id)); id++)
		if (strlen(hook->name) == length && !strncmp(hook->name, name, length))
			return (int)id;
	return -ENOENT;
}
