// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Graft files: what is taken from a good one, what is said of a bad one, and that no damaged one
 * gets further than a sentence. Built with ASan and UBSan; needs no module.
 */
#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <exo/libexo.h>

#include "tap.h"

bool tap_failed;

#define MUTATIONS 20000
#define SEED 0x6772616674ULL

struct file {
	char *data;
	size_t size;
};

static struct file read_whole(const char *path)
{
	FILE *in = fopen(path, "re");
	struct file file = { NULL, 0 };

	CHECK(in);
	if (!in)
		exit(1);
	file.data = malloc(1 << 20);
	file.size = fread(file.data, 1, 1 << 20, in);
	fclose(in);
	return file;
}

static int open_text(const char *path, const char *name, struct exo_graft_object **out,
		     char *error, size_t size)
{
	return exo_graft_open(out, path, &EXO_OPTS(exo_graft_open, .name = name, .error = error,
						   .error_size = size));
}

/* Is path refused with a sentence that holds text? */
static bool refused(const char *path, const char *name, const char *text)
{
	struct exo_graft_object *object;
	char error[512] = "";
	int ret = open_text(path, name, &object, error, sizeof(error));

	if (!ret) {
		printf("# %s was opened\n", path);
		exo_graft_close(object);
		return false;
	}
	if (!strstr(error, text)) {
		printf("# %s: %s\n", path, error);
		return false;
	}
	return ret == -EINVAL;
}

static struct exo_graft_object *opened(const char *path, const char *name)
{
	struct exo_graft_object *object = NULL;
	char error[512] = "";
	int ret = open_text(path, name, &object, error, sizeof(error));

	if (ret)
		printf("# %s: %d %s\n", path, ret, error);
	CHECK(!ret);
	return object;
}

static const struct exo_graft_var *find_var(const struct exo_graft_parts *parts, const char *name)
{
	uint32_t i;

	for (i = 0; i < parts->nr_vars; i++)
		if (!strcmp(parts->vars[i].name, name))
			return &parts->vars[i];
	return NULL;
}

static void open__takes_the_parts(void)
{
	struct exo_graft_object *object = opened("graft/state.bpf.o", "first");
	const struct exo_graft_var *counter, *limits, *last;
	static const uint64_t table[] = { 3, 5, 7, 11 };
	const struct exo_graft_parts *parts;
	const uint64_t *value;

	if (!object)
		return;
	parts = exo_graft_object_parts(object);
	CHECK(!strcmp(parts->name, "first"));
	CHECK(parts->hook == EXO_HOOK_TXN);
	CHECK(parts->const_size == sizeof(table) && !memcmp(parts->consts, table, sizeof(table)));
	counter = find_var(parts, "counter");
	limits = find_var(parts, "limits");
	last = find_var(parts, "last");
	CHECK(counter && limits && last);
	if (counter && limits && last) {
		value = (const void *)((const char *)parts->state + counter->offset);
		CHECK(counter->size == 8 && *value == 41);
		CHECK(limits->size == 12);
		CHECK(((const uint32_t *)((const char *)parts->state + limits->offset))[2] == 3);
		value = (const void *)((const char *)parts->state + last->offset);
		CHECK(last->size == 8 && !*value);
	}
	exo_graft_close(object);
}

/* Does the code take the address of this variable? */
static bool refers_to(const struct exo_graft_parts *parts, const char *name)
{
	const struct exo_graft_var *var = find_var(parts, name);
	const uint8_t *insn = parts->insns;
	uint32_t i;
	int32_t imm;

	for (i = 0; var && i < parts->nr_insns; i++, insn += 8) {
		memcpy(&imm, insn + 4, 4);
		if (insn[0] == 0x18 && insn[1] >> 4 == EXO_PSEUDO_STATE &&
		    imm == (int32_t)var->offset)
			return true;
	}
	return false;
}

/* Every address in the code is one of the constants or of the state. */
static void open__relocates(void)
{
	struct exo_graft_object *object = opened("graft/state.bpf.o", "first");
	const struct exo_graft_parts *parts;
	uint32_t i, consts = 0, state = 0;
	const uint8_t *insn;
	int32_t imm[2];

	if (!object)
		return;
	parts = exo_graft_object_parts(object);
	for (i = 0; i < parts->nr_insns; i++) {
		insn = (const uint8_t *)parts->insns + i * 8;
		if (insn[0] != 0x18)
			continue;
		memcpy(&imm[0], insn + 4, 4);
		memcpy(&imm[1], insn + 12, 4);
		consts += insn[1] >> 4 == EXO_PSEUDO_CONST;
		state += insn[1] >> 4 == EXO_PSEUDO_STATE;
		CHECK(insn[1] >> 4 && imm[0] >= 0 && !imm[1]);
		CHECK((uint32_t)imm[0] < (insn[1] >> 4 == EXO_PSEUDO_CONST ? parts->const_size :
									     parts->state_size));
		i++;
	}
	CHECK(consts == 1 && state == 3);
	CHECK(find_var(parts, "limits")->offset != find_var(parts, "counter")->offset);
	CHECK(refers_to(parts, "counter") && refers_to(parts, "limits") && refers_to(parts, "last"));
	exo_graft_close(object);
}

static void open__gives_state_only_to_those_who_use_it(void)
{
	struct exo_graft_object *object = opened("graft/bounds.bpf.o", NULL);

	if (!object)
		return;
	CHECK(!exo_graft_object_parts(object)->state_size);
	CHECK(!exo_graft_object_parts(object)->const_size);
	CHECK(!exo_graft_object_parts(object)->vars);
	exo_graft_close(object);
	object = opened("graft/state.bpf.o", "second");
	if (!object)
		return;
	CHECK(!exo_graft_object_parts(object)->const_size);
	CHECK(exo_graft_object_parts(object)->state_size);
	exo_graft_close(object);
}

static void open__says_what_is_wrong(void)
{
	CHECK(refused("graft/state.bpf.o", NULL, "several grafts; say which: first, second"));
	CHECK(refused("graft/state.bpf.o", "third", "no graft \"third\""));
	CHECK(refused("graft/call.bpf.o", NULL, "line 14: helper() is called"));
	CHECK(refused("graft/missing.bpf.o", NULL, "elsewhere is used, but is not in the file"));
	CHECK(refused("graft/pointer.bpf.o", NULL, "section .data holds addresses"));
	CHECK(refused("graft/nohook.bpf.o", NULL, "named like a hook"));
	CHECK(refused("graft/state.bpf.c", NULL, "not an ELF file"));
	CHECK(refused("graft_test", NULL, "not a little-endian BPF object"));
}

static void open__says_that_there_is_no_file(void)
{
	struct exo_graft_object *object;
	char error[128];

	CHECK(open_text("graft/no.bpf.o", NULL, &object, error, sizeof(error)) == -ENOENT);
	CHECK(strstr(error, "can't read graft/no.bpf.o"));
	CHECK(open_text("graft", NULL, &object, error, sizeof(error)) == -EINVAL);
}

static void text__names_line_instruction_and_register(void)
{
	struct exo_graft_object *object = opened("graft/bounds.bpf.o", NULL);
	struct exo_graft_error error = {
		.code = EXO_GRAFT_E_BOUNDS,
		.reg = 3,
		.region = 4,
		.size = 1,
		.lo = 0,
		.hi = 4096,
		.bound = 4096,
	};
	char text[512];
	int length;

	if (!object)
		return;
	error.slot = exo_graft_object_parts(object)->nr_insns - 2;
	length = exo_graft_error_text(object, &error, text, sizeof(text));
	printf("# %s\n", text);
	CHECK(length == (int)strlen(text));
	CHECK(strstr(text, "bounds.bpf.c, line 14: r3 may be 0..4096 here, the data have 4096 bytes"));
	CHECK(strstr(text, "; instruction ") && strstr(text, "*(u8 *)("));
	CHECK(exo_graft_error_text(object, &error, text, 10) == length && strlen(text) == 9);
	CHECK(exo_graft_error_text(NULL, &error, NULL, 0) > 0);
	exo_graft_close(object);
}

/* All codes, known and unknown, with fields that make no sense, are sentences. */
static void text__copes_with_any_error(void)
{
	struct exo_graft_object *object = opened("graft/bounds.bpf.o", NULL);
	struct exo_graft_error error;
	uint32_t code, kind;
	char text[600];

	for (code = 1; object && code < 80; code++) {
		for (kind = 0; kind < 4; kind++) {
			memset(&error, kind == 1 ? 0xff : kind == 2 ? 0x80 : 0, sizeof(error));
			error.code = code;
			if (kind == 3)
				error.slot = 5;
			CHECK(exo_graft_error_text(object, &error, text, sizeof(text)) > 15);
			CHECK(strlen(text) < sizeof(text) - 1);
		}
	}
	exo_graft_close(object);
}

static void verify__names_the_helper(void)
{
	struct exo_graft_object *object = opened("graft/helper.bpf.o", NULL);
	struct exo_graft_verdict verdict;
	char text[512];

	if (!object)
		return;
	CHECK(!exo_graft_verify(object, &verdict) && !verdict.decoded);
	exo_graft_error_text(object, &verdict.error, text, sizeof(text));
	CHECK(strstr(text, "line 8: exo_bind() may not be called at the hook \"pure\""));
	exo_graft_close(object);
}

static void count_row(const struct exo_graft_listing *row, void *ctx)
{
	(*(uint32_t *)ctx)++;
	CHECK(row->second || strlen(row->text) > 3);
}

static void object__checks_its_parts(void)
{
	static const uint64_t insns[] = { 0xb7, 0x95 };
	struct exo_graft_parts parts = {
		.sz = sizeof(parts),
		.hook = EXO_HOOK_PURE,
		.nr_insns = 2,
		.insns = insns,
	};
	struct exo_graft_object *object;
	struct exo_graft_verdict verdict;
	char text[256];

	CHECK(!exo_graft_object_create(&object, &parts));
	CHECK(!exo_graft_verify(object, &verdict) && verdict.decoded);
	exo_graft_close(object);
	parts.state_size = 8;
	CHECK(!exo_graft_object_create(&object, &parts));
	CHECK(!exo_graft_verify(object, &verdict) && !verdict.decoded);
	exo_graft_error_text(object, &verdict.error, text, sizeof(text));
	CHECK(strstr(text, "it can't have variables"));
	exo_graft_close(object);
	parts.state_size = 0;
	parts.hook = 99;
	CHECK(exo_graft_object_create(&object, &parts) == -EINVAL);
	parts.hook = EXO_HOOK_PURE;
	parts.nr_insns = 4097;
	CHECK(exo_graft_object_create(&object, &parts) == -EINVAL);
	parts.nr_insns = 2;
	parts.const_size = 8;
	CHECK(exo_graft_object_create(&object, &parts) == -EINVAL);
	exo_graft_close(NULL);
}

static void join_record(uint32_t slot, const char *text, void *ctx)
{
	char *all = ctx;

	snprintf(all + strlen(all), 2048 - strlen(all), "%u: %s\n", slot, text);
}

/* A loop towards data_end: its head says what is left, and what measures it. */
static void certificate__is_shown(void)
{
	struct exo_graft_object *object = opened("graft/loop.bpf.o", NULL);
	struct exo_graft_verdict verdict;
	char text[2048] = "";
	int count;

	if (!object)
		return;
	CHECK(exo_graft_certificate(object, join_record, text) == -ENOENT);
	CHECK(!exo_graft_verify(object, &verdict) && verdict.proved);
	count = exo_graft_certificate(object, join_record, text);
	CHECK(count > 0);
	CHECK(strstr(text, "loop, measured by r"));
	CHECK(strstr(text, " = data_end + 0"));
	CHECK(strstr(text, " = data + "));
	printf("# %.*s\n", (int)strcspn(text, "\n"), text);
	exo_graft_close(object);
}

/* A certificate is kept in the file, found again, and replaced when it is made anew. */
static void save__keeps_the_certificate(void)
{
	static const char to[] = "graft/saved.o";
	struct exo_graft_object *object = opened("graft/state.bpf.o", "first"), *saved;
	struct exo_graft_verdict verdict, again;
	uint32_t turn;

	if (!object)
		return;
	CHECK(exo_graft_save(object, "graft/state.bpf.o", to) == -EINVAL);
	CHECK(!exo_graft_verify(object, &verdict) && verdict.proved);
	CHECK(exo_graft_save(object, "graft/no.o", to) == -ENOENT);
	CHECK(exo_graft_save(object, "graft_test", to) == -EINVAL);
	for (turn = 0; turn < 2; turn++) {
		CHECK(!exo_graft_save(object, turn ? to : "graft/state.bpf.o", to));
		saved = opened(to, "first");
		if (!saved)
			break;
		CHECK(exo_graft_object_parts(saved)->cert_size == verdict.cert_size);
		CHECK(!exo_graft_verify(saved, &again) && again.proved);
		CHECK(!memcmp(&again, &verdict, sizeof(verdict)));
		exo_graft_close(saved);
		/* The other graft of the file has none. */
		saved = opened(to, "second");
		CHECK(saved && !exo_graft_object_parts(saved)->cert);
		exo_graft_close(saved);
	}
	exo_graft_close(object);
	remove(to);
}

static void skip_record(uint32_t slot, const char *text, void *ctx)
{
	(void)ctx;
	CHECK(slot < 65536 && strlen(text) < 1024);
}

/* Opens a file of exactly this size; whatever it is, the answer is an object or a sentence. */
static bool try_bytes(const char *data, size_t size, const char *name)
{
	struct exo_graft_object *object = NULL;
	struct exo_graft_verdict verdict;
	char error[512] = "", *copy = malloc(size ? size : 1);
	uint32_t rows = 0;
	int ret;

	memcpy(copy, data, size);
	ret = exo_graft_open_memory(&object, copy, size,
				    &EXO_OPTS(exo_graft_open, .name = name, .error = error,
					      .error_size = sizeof(error)));
	free(copy);
	if (ret) {
		CHECK(ret == -EINVAL && strlen(error) > 15);
		return false;
	}
	exo_graft_disassemble(object, 0, count_row, &rows);
	exo_graft_certificate(object, skip_record, NULL);
	CHECK(rows == exo_graft_object_parts(object)->nr_insns);
	CHECK(!exo_graft_verify(object, &verdict));
	exo_graft_error_text(object, &verdict.error, error, sizeof(error));
	exo_graft_close(object);
	return true;
}

static void open__survives_truncation(void)
{
	struct file file = read_whole("graft/state.bpf.o");
	size_t size;

	for (size = 0; size < file.size; size++)
		CHECK(!try_bytes(file.data, size, "first"));
	CHECK(try_bytes(file.data, file.size, "first"));
	free(file.data);
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A place to damage: anywhere, or in the header, the section headers, a section's small tables. */
static size_t place(const struct file *file, uint64_t *state)
{
	Elf64_Ehdr header;
	size_t at;

	memcpy(&header, file->data, sizeof(header));
	switch (next(state) % 3) {
	case 0:
		return next(state) % sizeof(header);
	case 1:
		at = header.e_shoff + next(state) % (header.e_shnum * sizeof(Elf64_Shdr));
		return at < file->size ? at : 0;
	default:
		return next(state) % file->size;
	}
}

static void mutate(const char *path, const char *name, uint32_t count, uint32_t *out_opened)
{
	static const unsigned char edges[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct file file = read_whole(path);
	uint64_t state = SEED;
	char *was = malloc(file.size);
	uint32_t i, n;
	size_t at;

	memcpy(was, file.data, file.size);
	for (i = 0; i < count; i++) {
		for (n = 1 + next(&state) % 4; n; n--) {
			struct file whole = { was, file.size };

			at = place(&whole, &state);
			file.data[at] = next(&state) & 1 ? (char)edges[next(&state) % 5] :
							   (char)next(&state);
		}
		*out_opened += try_bytes(file.data, file.size, name);
		memcpy(file.data, was, file.size);
	}
	free(was);
	free(file.data);
}

/* A certificate that came with the file, and is damaged, is shown or not, and made anew. */
static void mutate_cert(void)
{
	struct exo_graft_object *object = opened("graft/loop.bpf.o", NULL), *bad;
	struct exo_graft_parts parts;
	struct exo_graft_verdict verdict;
	uint64_t state = SEED;
	uint8_t *cert;
	uint32_t i;

	if (!object)
		return;
	CHECK(!exo_graft_verify(object, &verdict) && verdict.proved);
	parts = *exo_graft_object_parts(object);
	for (i = 0; i < MUTATIONS / 10; i++) {
		parts.cert_size = i % 4 ? verdict.cert_size : next(&state) % verdict.cert_size;
		cert = malloc(parts.cert_size + 1);
		memcpy(cert, exo_graft_object_parts(object)->cert, parts.cert_size);
		cert[next(&state) % (parts.cert_size + 1)] = (uint8_t)next(&state);
		parts.cert = cert;
		CHECK(!exo_graft_object_create(&bad, &parts));
		free(cert);
		exo_graft_certificate(bad, skip_record, NULL);
		CHECK(!exo_graft_verify(bad, &verdict) && verdict.proved);
		exo_graft_close(bad);
		CHECK(!exo_graft_verify(object, &verdict));
	}
	exo_graft_close(object);
}

static void open__survives_mutation(void)
{
	uint32_t count = 0;

	mutate("graft/state.bpf.o", "first", MUTATIONS / 2, &count);
	mutate("graft/call.bpf.o", NULL, MUTATIONS / 4, &count);
	mutate("graft/bounds.bpf.o", NULL, MUTATIONS / 4, &count);
	mutate_cert();
	printf("# %u of %u damaged files could be opened all the same\n", count, MUTATIONS);
	CHECK(count > MUTATIONS / 100 && count < MUTATIONS);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "graft_open__takes_the_parts", open__takes_the_parts },
		{ "graft_open__relocates", open__relocates },
		{ "graft_open__gives_state_only_to_those_who_use_it",
		  open__gives_state_only_to_those_who_use_it },
		{ "graft_open__says_what_is_wrong", open__says_what_is_wrong },
		{ "graft_open__says_that_there_is_no_file", open__says_that_there_is_no_file },
		{ "graft_text__names_line_instruction_and_register",
		  text__names_line_instruction_and_register },
		{ "graft_text__copes_with_any_error", text__copes_with_any_error },
		{ "graft_verify__names_the_helper", verify__names_the_helper },
		{ "graft_object__checks_its_parts", object__checks_its_parts },
		{ "graft_certificate__is_shown", certificate__is_shown },
		{ "graft_save__keeps_the_certificate", save__keeps_the_certificate },
		{ "graft_open__survives_truncation", open__survives_truncation },
		{ "graft_open__survives_mutation", open__survives_mutation },
	};

	return TAP_RUN(tests);
}
