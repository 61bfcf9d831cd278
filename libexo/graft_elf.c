// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libexo-graft: grafts from ELF files. libbpf reads the programs and the BTF; what it would only do
 * on the way into bpf(2), the relocations, is done here, since a graft's addresses are places in its
 * constants and its state.
 *
 * It is a library of its own, and a member of its own in libexo.a, so that only those who open ELF
 * files need libbpf.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft_elf_parts.h"

#define EXPORT __attribute__((visibility("default")))

/* libbpf says what is wrong through one function for the whole process. */
static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;
static char print_text[256];

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !print_text[0])
		vsnprintf(print_text, sizeof(print_text), fmt, ap);
	return 0;
}

static libbpf_print_fn_t print_begin(void)
{
	pthread_mutex_lock(&print_lock);
	print_text[0] = 0;
	return libbpf_set_print(keep_warning);
}

static void print_end(libbpf_print_fn_t old)
{
	libbpf_set_print(old);
	pthread_mutex_unlock(&print_lock);
}

/*
 * libbpf would look for each variable of the BTF in the file, and stumble over constants that clang
 * has merged (.rodata.cst32). In a copy the BTF is hidden from it; elf_parts_lines() reads it.
 */
static void *copy_without_btf(const struct elf_file *file)
{
	uint8_t *copy = malloc(file->size);
	uint32_t i, type = SHT_STRTAB;
	const char *name;

	if (!copy)
		return NULL;
	memcpy(copy, file->data, file->size);
	for (i = 1; i < file->sections; i++) {
		name = elf_section_name(file, i);
		if (!strcmp(name, ".BTF") || !strcmp(name, ".BTF.ext"))
			memcpy(copy + file->header.e_shoff + i * sizeof(Elf64_Shdr) +
			       offsetof(Elf64_Shdr, sh_type), &type, sizeof(type));
	}
	return copy;
}

static struct bpf_object *object_open(const struct elf_parts *parts, const void *copy)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "graft");
	struct bpf_object *object;
	libbpf_print_fn_t old;

	old = print_begin();
	object = bpf_object__open_mem(copy, parts->file.size, &opts);
	if (!object) {
		print_text[strcspn(print_text, "\n")] = 0;
		elf_complain(parts->complaint, "libbpf can't read the file: %s",
			     print_text[0] ? print_text : strerror(errno));
	}
	print_end(old);
	return object;
}

/* NULL if there is none, or it makes no sense: it is only for people. */
static struct btf *btf_open(const struct elf_parts *parts)
{
	uint32_t index = elf_section_find(&parts->file, ".BTF");
	libbpf_print_fn_t old;
	struct btf *btf;

	if (!index || elf_section(&parts->file, index).sh_type != SHT_PROGBITS)
		return NULL;
	old = print_begin();
	btf = btf__new(elf_section_data(&parts->file, index),
		       (uint32_t)elf_section(&parts->file, index).sh_size);
	print_end(old);
	return btf;
}

/* Is it a graft, or something that libbpf takes for a program? */
static bool is_graft(const struct bpf_program *program)
{
	return exo_graft_hook_number(bpf_program__section_name(program)) > 0;
}

/* All names, for the sentence that asks for one of them. */
static void list_names(const struct bpf_object *object, char *text, size_t size)
{
	const struct bpf_program *program = NULL;
	size_t used = 0;

	text[0] = 0;
	while ((program = bpf_object__next_program(object, (void *)(uintptr_t)program)))
		if (is_graft(program) && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s",
						 used ? ", " : "", bpf_program__name(program));
}

static const struct bpf_program *find_program(const struct bpf_object *object, const char *name,
					      const char *section,
					      const struct elf_complaint *complaint)
{
	const struct bpf_program *program = NULL, *found = NULL;
	uint32_t count = 0, others = 0;
	char names[160];

	while ((program = bpf_object__next_program(object, (void *)(uintptr_t)program))) {
		if (!is_graft(program)) {
			others++;
			continue;
		}
		if (name && strcmp(name, bpf_program__name(program)))
			continue;
		if (section && strcmp(section, bpf_program__section_name(program)))
			continue;
		found = program;
		count++;
	}
	if (count == 1)
		return found;
	list_names(object, names, sizeof(names));
	if (section)
		elf_complain(complaint, "the file has %s function in the section \"%s\"",
			     count ? "more than one" : "no", section);
	else if (name)
		elf_complain(complaint, "there is no graft \"%s\" in the file; there is: %s", name,
			     names);
	else if (count)
		elf_complain(complaint, "the file has several grafts; say which: %s", names);
	else if (others)
		elf_complain(complaint, "no function of the file is in a section that is named "
			     "like a hook: SEC(\"pure\"), SEC(\"fault\") ...");
	else
		elf_complain(complaint, "there is no function in the file");
	return NULL;
}

/* The function's symbol: libbpf doesn't say where in its section a program begins. */
static int find_place(struct elf_parts *parts, const char *section, const char *name)
{
	Elf64_Sym symbol;
	uint32_t i;

	for (i = 0; i < parts->file.symbols; i++) {
		symbol = elf_symbol(&parts->file, i);
		if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx &&
		    symbol.st_shndx < parts->file.sections &&
		    !strcmp(elf_symbol_name(&parts->file, i), name) &&
		    !strcmp(elf_section_name(&parts->file, symbol.st_shndx), section)) {
			parts->section = symbol.st_shndx;
			parts->start = symbol.st_value;
			return 0;
		}
	}
	return elf_complain(parts->complaint, "the file is damaged: the function %s has no symbol",
			    name);
}

/* A certificate that was stored in the file, if there is one. */
static void find_cert(const struct elf_parts *parts, struct exo_graft_parts *out)
{
	char name[64];
	uint32_t index;
	int n;

	n = snprintf(name, sizeof(name), "%s/%s", GRAFT_CERT_SECTION, out->name);
	index = n < (int)sizeof(name) ? elf_section_find(&parts->file, name) : 0;
	if (!index)
		index = elf_section_find(&parts->file, GRAFT_CERT_SECTION);
	if (!index || elf_section(&parts->file, index).sh_type == SHT_NOBITS)
		return;
	out->cert = elf_section_data(&parts->file, index);
	out->cert_size = elf_section(&parts->file, index).sh_size;
}

static int open_program(struct elf_parts *parts, const struct bpf_program *program,
			struct exo_graft_object **out_object)
{
	struct exo_graft_parts out = { .sz = sizeof(out) };
	int ret;

	out.name = bpf_program__name(program);
	out.hook = (uint32_t)exo_graft_hook_number(bpf_program__section_name(program));
	out.nr_insns = (uint32_t)bpf_program__insn_cnt(program);
	if (!out.nr_insns || out.nr_insns > ELF_MAX_INSNS)
		return elf_complain(parts->complaint, "%s has %u instructions; a graft has 1..%u",
				    out.name, out.nr_insns, ELF_MAX_INSNS);
	memcpy(parts->insns, bpf_program__insns(program), out.nr_insns * sizeof(*parts->insns));
	parts->nr_insns = out.nr_insns;
	ret = find_place(parts, bpf_program__section_name(program), out.name);
	if (!ret)
		ret = elf_parts_lines(parts, parts->btf);
	if (!ret)
		ret = elf_parts_relocate(parts);
	if (!ret)
		ret = elf_parts_data(parts, &out);
	if (ret)
		return ret;
	out.insns = parts->insns;
	out.lines = parts->lines;
	out.nr_lines = parts->nr_lines;
	find_cert(parts, &out);
	if (out.cert_size > EXO_GRAFT_MAX_CERT)
		return elf_complain(parts->complaint, "the certificate in the file is larger than "
				    "%u bytes", EXO_GRAFT_MAX_CERT);
	ret = exo_graft_object_create(out_object, &out);
	return ret == -EINVAL ? elf_complain(parts->complaint, "the file makes no sense") : ret;
}

static int open_checked(struct elf_parts *parts, const char *name, const char *section,
			struct exo_graft_object **out_object)
{
	const struct bpf_program *program;
	struct bpf_object *object;
	int ret = elf_parts_layout(parts);
	void *copy;

	if (ret)
		return ret;
	copy = copy_without_btf(&parts->file);
	if (!copy)
		return -ENOMEM;
	object = object_open(parts, copy);
	free(copy);
	if (!object)
		return -EINVAL;
	parts->btf = btf_open(parts);
	program = find_program(object, name, section, parts->complaint);
	ret = program ? open_program(parts, program, out_object) : -EINVAL;
	btf__free(parts->btf);
	bpf_object__close(object);
	return ret;
}

/* Does the caller's options struct have the field? */
#define HAS(opts, field) \
	((opts) && (opts)->sz >= offsetof(struct exo_graft_open_opts, field) + sizeof((opts)->field))

/**
 * exo_graft_open_memory() - a graft from an ELF file in memory
 * @out_object: the object, until exo_graft_close()
 * @data: the file; not needed afterwards
 * @size: bytes
 * @opts: may be NULL
 *
 * Return: 0; -EINVAL: not an ELF file with the graft, @opts->error says why; -ENOMEM. Thread-safe,
 * if nobody else calls libbpf_set_print() at the same time.
 */
EXPORT int exo_graft_open_memory(struct exo_graft_object **out_object, const void *data,
				 size_t size, const struct exo_graft_open_opts *opts)
{
	struct elf_complaint complaint = { NULL, 0 };
	int saved = errno, ret;
	struct elf_parts *parts;

	if (HAS(opts, error_size) && opts->error && opts->error_size) {
		complaint.text = opts->error;
		complaint.size = opts->error_size;
		complaint.text[0] = 0;
	}
	if (!data || (opts && opts->sz < sizeof(opts->sz)))
		return -EINVAL;
	if (size > ELF_MAX_FILE)
		return elf_complain(&complaint, "the file is larger than %lu MiB", ELF_MAX_FILE >> 20);
	parts = calloc(1, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	parts->complaint = &complaint;
	ret = elf_file_check(&parts->file, data, size, &complaint);
	if (!ret)
		ret = open_checked(parts, HAS(opts, name) ? opts->name : NULL,
				   HAS(opts, section) ? opts->section : NULL, out_object);
	elf_parts_free(parts);
	errno = saved;
	return ret;
}

/**
 * exo_graft_open() - a graft from an ELF file
 * @out_object: the object, until exo_graft_close()
 * @path: made with clang -O2 -g -target bpf -mcpu=v3 -c
 * @opts: may be NULL
 *
 * Return: as exo_graft_open_memory(), or -errno of opening and reading the file.
 */
EXPORT int exo_graft_open(struct exo_graft_object **out_object, const char *path,
			  const struct exo_graft_open_opts *opts)
{
	struct elf_complaint complaint = { NULL, 0 };
	int saved = errno, ret;
	char *data = NULL;
	size_t size = 0;

	if (HAS(opts, error_size) && opts->error && opts->error_size) {
		complaint.text = opts->error;
		complaint.size = opts->error_size;
	}
	ret = elf_read_file(path, &data, &size);
	if (ret)
		elf_complain(&complaint, "can't read %s: %s", path,
			     ret == -EINVAL ? "not a file, or too large" : strerror(-ret));
	else
		ret = exo_graft_open_memory(out_object, data, size, opts);
	free(data);
	errno = saved;
	return ret;
}
