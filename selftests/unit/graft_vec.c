// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graft_insn.h"
#include "graft_vec.h"

static const char *const refusals[] = {
	[EXO_GRAFT_E_SIZE] = "size", [EXO_GRAFT_E_OPCODE] = "opcode", [EXO_GRAFT_E_RESERVED] = "reserved",
	[EXO_GRAFT_E_REG] = "reg", [EXO_GRAFT_E_IMM] = "imm", [EXO_GRAFT_E_JUMP] = "jump",
	[EXO_GRAFT_E_END] = "end", [EXO_GRAFT_E_UNREACHABLE] = "unreachable",
	[EXO_GRAFT_E_HELPER] = "helper", [EXO_GRAFT_E_STACK] = "stack", [EXO_GRAFT_E_PSEUDO] = "pseudo",
};

static const char *const aborts[] = { "ok", "access", "budget", "killed", "lock", "helper" };

static const char *const hook_names[] = { "", "pure", "stream", "txn", "fault", "victim", "owns", "acl",
					  "size" };

struct file {
	const char *path;
	u32 line;
	vec_fn fn;
	void *arg;
	unsigned int nr;
	struct vec vec;
	bool open;
};

static void wrong(const struct file *file, const char *what)
{
	fprintf(stderr, "%s:%u: %s\n", file->path, file->line, what);
	exit(2);
}

static u32 name_index(const struct file *file, const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	wrong(file, "unknown name");
	return 0;
}

static u64 value(const struct file *file, const char *text)
{
	char *end;
	u64 v = text && text[0] == '-' ? (u64)strtoll(text, &end, 0) : text ? strtoull(text, &end, 0) : 0;

	if (!text || !*text || *end)
		wrong(file, "not a number");
	return v;
}

/* Hex digits, or "zero N". */
static u32 bytes(const struct file *file, u8 *out, const char *text, const char *count)
{
	u32 n = 0;

	if (text && !strcmp(text, "zero")) {
		n = value(file, count);
		if (n > VEC_MAX_BYTES)
			wrong(file, "too long");
		memset(out, 0, n);
		return n;
	}
	for (; text && text[0] && text[1] && n < VEC_MAX_BYTES; text += 2) {
		char two[3] = { text[0], text[1] };

		out[n++] = strtoul(two, NULL, 16);
	}
	return n;
}

static void done(struct file *file)
{
	if (!file->open)
		return;
	file->fn(&file->vec, file->arg);
	file->nr++;
	file->open = false;
}

static void begin(struct file *file, const char *name)
{
	struct vec *vec = &file->vec;

	done(file);
	memset(vec, 0, sizeof(*vec));
	snprintf(vec->name, sizeof(vec->name), "%s", name);
	vec->line = file->line;
	vec->hook = EXO_HOOK_PURE;
	vec->budget = 65536;
	file->open = true;
}

static void code(struct file *file, const char *text)
{
	const char *bad = vec_assemble(text, file->vec.insns, &file->vec.len, VEC_MAX_INSNS);

	if (bad)
		wrong(file, bad);
}

static void expect_word(struct file *file, u32 region, u32 off, u64 v)
{
	struct vec *vec = &file->vec;

	if (vec->nr_words == 8)
		wrong(file, "too many words");
	vec->words[vec->nr_words++] = (struct vec_word){ region, off, v };
}

/* "alu NAME A B R": with B in a register; again with B as the immediate, if it can be one. */
static void alu(struct file *file, char **w, int n)
{
	u64 a = value(file, w[1]), b = n == 4 ? value(file, w[2]) : 0, r = value(file, w[n - 1]);
	u32 form;

	for (form = 0; form < (n == 4 ? 3 : 1); form++) {
		bool narrow = strstr(w[0], "32") != NULL;
		char text[160], name[80];
		s32 imm = (s32)b;

		if (form == 1 && (narrow ? (u64)(u32)imm != b && (u64)(s64)imm != b : (u64)(s64)imm != b))
			continue;
		if (form == 1 && (!strncmp(w[0], "div", 3) || !strncmp(w[0], "mod", 3)) && !imm)
			continue;
		if (form == 1 && strstr(w[0], "sh") && b >= (narrow ? 32 : 64))
			continue;
		/* The third: an operand's register is r0, the fourth argument or the first. */
		snprintf(name, sizeof(name), "%s %s %s %s", w[0], w[1], n == 4 ? w[2] : "",
			 form == 1 ? "imm" : form ? "r3 r4" : "");
		begin(file, name);
		file->vec.arg[0] = a;
		file->vec.arg[1] = b;
		if (n == 3)
			snprintf(text, sizeof(text), "ldxdw r0 r1+16; %s r0; stxdw r1+48 r0; exit", w[0]);
		else if (form == 1)
			snprintf(text, sizeof(text), "ldxdw r0 r1+16; %s r0 %d; stxdw r1+48 r0; exit", w[0], imm);
		else if (form == 2)
			snprintf(text, sizeof(text), "ldxdw r4 r1+16; ldxdw r3 r1+24; %s r4 r3; stxdw r1+48 r4; "
				 "mov r0 r4; exit", w[0]);
		else
			snprintf(text, sizeof(text), "ldxdw r0 r1+16; ldxdw r5 r1+24; %s r0 r5; stxdw r1+48 r0; exit",
				 w[0]);
		code(file, text);
		file->vec.result = (u32)r;
		expect_word(file, EXO_REGION_CTX, 48, r);
	}
	done(file);
}

/* "jump NAME A B yes|no": forward and backward, with a register and an immediate. */
static void jump(struct file *file, char **w)
{
	u64 a = value(file, w[1]), b = value(file, w[2]);
	bool taken = !strcmp(w[3], "yes");
	u32 form;

	if (!taken && strcmp(w[3], "no"))
		wrong(file, "yes or no");
	for (form = 0; form < 4; form++) {
		bool narrow = strstr(w[0], "32") != NULL, imm = form & 1, back = form & 2;
		char text[240], name[80], other[24];

		if (imm && (narrow ? (u64)(u32)b != b && (u64)(s64)(s32)b != b : (u64)(s64)(s32)b != b))
			continue;
		snprintf(other, sizeof(other), imm ? "%d" : "r3", (s32)b);
		snprintf(name, sizeof(name), "%s %s %s%s%s", w[0], w[1], w[2], imm ? " imm" : "", back ? " back" : "");
		begin(file, name);
		file->vec.arg[0] = a;
		file->vec.arg[1] = b;
		if (back)
			snprintf(text, sizeof(text), "ldxdw r2 r1+16; ldxdw r3 r1+24; mov r0 0; ja over\nyes:\nmov r0 1\n"
				 "exit\nover:\n%s r2 %s yes\nexit\n", w[0], other);
		else
			snprintf(text, sizeof(text), "ldxdw r2 r1+16; ldxdw r3 r1+24; mov r0 1; %s r2 %s yes\nmov r0 0\n"
				 "yes:\nexit\n", w[0], other);
		code(file, text);
		file->vec.result = taken;
	}
	done(file);
}

static void directive(struct file *file, char **w, int n)
{
	struct vec *vec = &file->vec;

	if (!strcmp(w[0], "hook") && n == 2)
		vec->hook = name_index(file, hook_names, 9, w[1]);
	else if (!strcmp(w[0], "arg") && n == 3)
		vec->arg[value(file, w[1]) & 3] = value(file, w[2]);
	else if (!strcmp(w[0], "const") && n >= 2)
		vec->const_size = bytes(file, vec->consts, w[1], w[2]);
	else if (!strcmp(w[0], "state") && n == 2)
		vec->state_pages = value(file, w[1]);
	else if (!strcmp(w[0], "data") && n >= 2)
		vec->data_size = bytes(file, vec->data, w[1], w[2]);
	else if (!strcmp(w[0], "budget") && n == 2)
		vec->budget = value(file, w[1]);
	else if (!strcmp(w[0], "result") && n == 2)
		vec->result = (u32)value(file, w[1]);
	else if (!strcmp(w[0], "abort") && n == 2)
		vec->status = name_index(file, aborts, 6, w[1]);
	else if (!strcmp(w[0], "refuse") && n == 2)
		vec->error = name_index(file, refusals, sizeof(refusals) / sizeof(*refusals), w[1]);
	else if (!strcmp(w[0], "out") && n == 3)
		expect_word(file, EXO_REGION_CTX, value(file, w[1]), value(file, w[2]));
	else if (!strcmp(w[0], "state-is") && n == 3)
		expect_word(file, EXO_REGION_STATE, value(file, w[1]), value(file, w[2]));
	else if (!strcmp(w[0], "data-is") && n >= 2)
		vec->check_data = bytes(file, vec->data_after, w[1], w[2]) == vec->data_size;
	else
		wrong(file, "unknown directive");
}

static void line(struct file *file, char *text, char *program)
{
	char copy[512], *w[8] = {};
	int n = 0;
	char *at;

	snprintf(copy, sizeof(copy), "%s", text);
	at = strchr(copy, '#');
	if (at)
		*at = 0;
	for (at = strtok(copy, " \t\n"); at && n < 8; at = strtok(NULL, " \t\n"))
		w[n++] = at;
	if (!n)
		return;
	if (isspace((unsigned char)text[0]) || strchr(w[0], ':')) {
		strcat(strcat(program, text), "\n");
		return;
	}
	if (*program) {
		code(file, program);
		*program = 0;
	}
	if (!strcmp(w[0], "vec") && n == 2)
		begin(file, w[1]);
	else if (!strcmp(w[0], "alu") && (n == 4 || n == 5))
		alu(file, w + 1, n - 1);
	else if (!strcmp(w[0], "jump") && n == 5)
		jump(file, w + 1);
	else
		directive(file, w, n);
}

static unsigned int read_all(FILE *in, const char *path, vec_fn fn, void *arg)
{
	struct file *file = calloc(1, sizeof(*file));
	static char program[16384];
	char text[512];
	unsigned int nr;

	if (!file || !in) {
		perror(path);
		exit(2);
	}
	file->path = path;
	file->fn = fn;
	file->arg = arg;
	program[0] = 0;
	while (fgets(text, sizeof(text), in)) {
		file->line++;
		line(file, text, program);
	}
	if (*program)
		code(file, program);
	done(file);
	fclose(in);
	nr = file->nr;
	free(file);
	return nr;
}

unsigned int vec_file(const char *path, vec_fn fn, void *arg)
{
	return read_all(fopen(path, "r"), path, fn, arg);
}

unsigned int vec_text(const char *name, const char *text, size_t len, vec_fn fn, void *arg)
{
	return read_all(fmemopen((void *)text, len, "r"), name, fn, arg);
}

#ifndef EXO_VECTORS
#define EXO_VECTORS "."
#endif

unsigned int vec_all(vec_fn fn, void *arg)
{
	struct dirent **list;
	unsigned int nr = 0;
	int i, n = scandir(EXO_VECTORS, &list, NULL, alphasort);

	for (i = 0; i < n; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", EXO_VECTORS, list[i]->d_name);
		if (strstr(path, ".vec"))
			nr += vec_file(path, fn, arg);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return nr;
}
