// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The parts of a graft in an ELF file: where constants and variables go, what the addresses in the
 * code become, which source lines it comes from.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft_elf_parts.h"

/* Relocations that clang makes for BPF. */
#define REL_64_64 1	/* address in an LD_IMM64 */
#define REL_64_32 10	/* function in a call */

#define LD_IMM64 (BPF_LD | BPF_IMM | BPF_DW)
#define CALL (BPF_JMP | BPF_CALL)

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static int place_section(struct elf_parts *parts, uint32_t index)
{
	const char *name = elf_section_name(&parts->file, index);
	Elf64_Shdr section = elf_section(&parts->file, index);
	uint64_t align = section.sh_addralign ? section.sh_addralign : 1;
	uint32_t *size, limit;

	if (!(section.sh_flags & SHF_ALLOC) || (section.sh_flags & SHF_EXECINSTR))
		return 0;
	if (begins(name, ".rodata")) {
		parts->places[index].region = EXO_PSEUDO_CONST;
		size = &parts->const_size;
		limit = ELF_MAX_CONST;
	} else if (begins(name, ".data") || begins(name, ".bss")) {
		parts->places[index].region = EXO_PSEUDO_STATE;
		size = &parts->state_size;
		limit = ELF_MAX_STATE;
	} else {
		return 0;
	}
	if (align & (align - 1) || align > EXO_PAGE_SIZE)
		return elf_complain(parts->complaint, "section %s wants an alignment of more than "
				    "a page", name);
	*size = (uint32_t)((*size + align - 1) & ~(align - 1));
	parts->places[index].offset = *size;
	if (*size > limit || section.sh_size > limit - *size)
		return elf_complain(parts->complaint, "%s %u bytes",
				    limit == ELF_MAX_CONST ? "the constants have more than" :
							     "the variables have more than", limit);
	*size += (uint32_t)section.sh_size;
	return 0;
}

/* What is not in the file; libbpf would take it for something of the kernel's configuration. */
static int check_undefined(const struct elf_parts *parts)
{
	const char *name;
	Elf64_Sym symbol;
	uint32_t i;

	for (i = 1; i < parts->file.symbols; i++) {
		symbol = elf_symbol(&parts->file, i);
		name = elf_symbol_name(&parts->file, i);
		if (symbol.st_shndx != SHN_UNDEF || !*name)
			continue;
		return elf_complain(parts->complaint, "%s is used, but is not in the file%s", name,
				    begins(name, "mem") ? "; clang made the call from a copy or a "
				    "comparison: use __builtin_memcpy() of a small constant size, or "
				    "a loop" : ", and it is no helper");
	}
	return 0;
}

int elf_parts_layout(struct elf_parts *parts)
{
	uint32_t i;
	int ret;

	parts->places = calloc(parts->file.sections, sizeof(*parts->places));
	if (!parts->places)
		return -ENOMEM;
	for (i = 1; i < parts->file.sections; i++) {
		ret = place_section(parts, i);
		if (ret)
			return ret;
	}
	/* The last byte of a variable may be loaded as part of a word. */
	parts->const_size = (parts->const_size + 7) & ~7U;
	parts->state_size = (parts->state_size + 7) & ~7U;
	return check_undefined(parts);
}

/* Source lines ----------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static const char *skip_blanks(const char *text)
{
	while (text && (*text == ' ' || *text == '\t'))
		text++;
	return text && *text ? text : NULL;
}

static void add_line(struct elf_parts *parts, const struct bpf_line_info *info,
		     const struct btf *btf)
{
	struct exo_graft_line *line = &parts->lines[parts->nr_lines];
	uint64_t end = parts->start + parts->nr_insns * sizeof(struct bpf_insn);

	if (info->insn_off < parts->start || info->insn_off >= end)
		return;
	line->slot = (uint32_t)((info->insn_off - parts->start) / sizeof(struct bpf_insn));
	if (parts->nr_lines && line->slot < line[-1].slot)
		return;
	line->line = BPF_LINE_INFO_LINE_NUM(info->line_col);
	line->column = BPF_LINE_INFO_LINE_COL(info->line_col);
	line->file = base_name(btf__name_by_offset(btf, info->file_name_off));
	line->text = skip_blanks(btf__name_by_offset(btf, info->line_off));
	parts->nr_lines++;
}

/*
 * .BTF.ext: a header, then, at an offset that it gives, for each section of code its name, a count
 * and that many records. Debug information that makes no sense is left out: it is only for people.
 */
int elf_parts_lines(struct elf_parts *parts, const struct btf *btf)
{
	uint32_t index = elf_section_find(&parts->file, ".BTF.ext"), at, end, record, count, i;
	const char *wanted = elf_section_name(&parts->file, parts->section), *name;
	struct bpf_line_info info;
	const uint8_t *data;
	uint64_t size;

	if (!index || !btf || elf_section(&parts->file, index).sh_type != SHT_PROGBITS)
		return 0;
	data = elf_section_data(&parts->file, index);
	size = elf_section(&parts->file, index).sh_size;
	/* magic, version, flags; header's length; functions' offset, length; lines' offset, length */
	if (size < 24 || size > INT32_MAX || get32(data + 4) > size ||
	    get32(data + 16) > size - get32(data + 4) ||
	    get32(data + 20) > size - get32(data + 4) - get32(data + 16) || get32(data + 20) < 4)
		return 0;
	at = get32(data + 4) + get32(data + 16);
	end = at + get32(data + 20);
	record = get32(data + at);
	if (record < sizeof(info) || record > 256)
		return 0;
	for (at += 4; end - at >= 8; at += count * record) {
		name = btf__name_by_offset(btf, get32(data + at));
		count = get32(data + at + 4);
		at += 8;
		if (count > (end - at) / record)
			return 0;
		if (!name || strcmp(name, wanted) || parts->lines)
			continue;
		parts->lines = calloc(count ? count : 1, sizeof(*parts->lines));
		if (!parts->lines)
			return -ENOMEM;
		for (i = 0; i < count; i++) {
			memcpy(&info, data + at + i * record, sizeof(info));
			add_line(parts, &info, btf);
		}
	}
	return 0;
}

/* "line 14: ", or nothing. */
static const char *line_text(const struct elf_parts *parts, uint32_t slot, char *text, size_t size)
{
	uint32_t i, line = 0;

	for (i = 0; i < parts->nr_lines && parts->lines[i].slot <= slot; i++)
		line = parts->lines[i].line;
	text[0] = 0;
	if (line)
		snprintf(text, size, "line %u: ", line);
	return text;
}

/* Relocations ------------------------------------------------------------------------------------ */

static const char *function_at(const struct elf_parts *parts, uint32_t section, uint64_t value)
{
	Elf64_Sym symbol;
	uint32_t i;

	for (i = 0; i < parts->file.symbols; i++) {
		symbol = elf_symbol(&parts->file, i);
		if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx == section &&
		    symbol.st_value == value)
			return elf_symbol_name(&parts->file, i);
	}
	return "a function";
}

static int refuse_call(const struct elf_parts *parts, uint32_t slot, const char *name)
{
	char line[32];

	return elf_complain(parts->complaint, "%s%s() is called, but a graft is one function: make "
			    "it EXO_INLINE (static inline, always_inline); recursion is not "
			    "possible", line_text(parts, slot, line, sizeof(line)), name);
}

static int relocate_call(const struct elf_parts *parts, uint32_t slot, uint32_t symbol_index)
{
	Elf64_Sym symbol = elf_symbol(&parts->file, symbol_index);
	const char *name = elf_symbol_name(&parts->file, symbol_index);

	if (ELF64_ST_TYPE(symbol.st_info) == STT_SECTION)
		name = function_at(parts, symbol.st_shndx,
				   symbol.st_value + ((uint64_t)parts->insns[slot].imm + 1) * 8);
	return refuse_call(parts, slot, name);
}

static int relocate_address(struct elf_parts *parts, uint32_t slot, uint32_t symbol_index)
{
	const char *name = elf_symbol_name(&parts->file, symbol_index);
	Elf64_Sym symbol = elf_symbol(&parts->file, symbol_index);
	struct bpf_insn *insn = &parts->insns[slot];
	struct elf_place place = { 0, 0 };
	uint64_t addend, offset;
	char line[32];

	line_text(parts, slot, line, sizeof(line));
	if (insn->code != LD_IMM64 || slot + 1 >= parts->nr_insns)
		return elf_complain(parts->complaint, "%sthe file is damaged: a relocation of "
				    "something that is no address", line);
	if (symbol.st_shndx < parts->file.sections)
		place = parts->places[symbol.st_shndx];
	if (!place.region)
		return elf_complain(parts->complaint, "%sthe address of %s can't be had: a graft has "
				    "constants (.rodata) and variables (.data, .bss), no maps and no "
				    "addresses of functions", line,
				    *name ? name : "something outside the graft");
	addend = (uint32_t)insn->imm | (uint64_t)(uint32_t)insn[1].imm << 32;
	offset = place.offset + symbol.st_value + addend;
	if (offset > INT32_MAX)
		return elf_complain(parts->complaint, "%san address behind the end of %s", line,
				    *name ? name : "its section");
	insn->src_reg = place.region & 15;
	insn->imm = (int32_t)offset;
	insn[1].imm = 0;
	parts->uses_const |= place.region == EXO_PSEUDO_CONST;
	parts->uses_state |= place.region == EXO_PSEUDO_STATE;
	return 0;
}

static int relocate_one(struct elf_parts *parts, const Elf64_Rel *rel)
{
	uint32_t symbol = (uint32_t)ELF64_R_SYM(rel->r_info), slot;
	uint64_t size = parts->nr_insns * sizeof(struct bpf_insn);

	if (rel->r_offset < parts->start || rel->r_offset - parts->start >= size)
		return 0;
	slot = (uint32_t)((rel->r_offset - parts->start) / sizeof(struct bpf_insn));
	if (ELF64_R_TYPE(rel->r_info) == REL_64_32)
		return relocate_call(parts, slot, symbol);
	if (ELF64_R_TYPE(rel->r_info) == REL_64_64)
		return relocate_address(parts, slot, symbol);
	return elf_complain(parts->complaint, "the code has a relocation of a kind that a graft "
			    "can't have (%u)", (unsigned int)ELF64_R_TYPE(rel->r_info));
}

int elf_parts_relocate(struct elf_parts *parts)
{
	uint32_t relocations = elf_relocations_of(&parts->file, parts->section), i;
	const struct bpf_insn *insn;
	uint64_t count, target;
	Elf64_Rel rel;
	int ret;

	count = relocations ? elf_section(&parts->file, relocations).sh_size / sizeof(rel) : 0;
	for (i = 0; i < count; i++) {
		rel = elf_relocation(&parts->file, relocations, i);
		ret = relocate_one(parts, &rel);
		if (ret)
			return ret;
	}
	/* A call inside the section needs no relocation. */
	for (i = 0; i < parts->nr_insns; i++) {
		insn = &parts->insns[i];
		if (insn->code != CALL || insn->src_reg != BPF_PSEUDO_CALL)
			continue;
		target = parts->start + ((uint64_t)i + 1 + (uint64_t)(int64_t)insn->imm) * 8;
		return refuse_call(parts, i, function_at(parts, parts->section, target));
	}
	return 0;
}

/* Constants and variables ------------------------------------------------------------------------ */

static int fill(const struct elf_parts *parts, uint32_t region, uint8_t *to)
{
	Elf64_Shdr section;
	uint32_t i;

	for (i = 1; i < parts->file.sections; i++) {
		if (parts->places[i].region != region)
			continue;
		section = elf_section(&parts->file, i);
		if (elf_relocations_of(&parts->file, i))
			return elf_complain(parts->complaint, "section %s holds addresses (a pointer "
					    "with a first value, a table of pointers or of a switch), "
					    "which a graft can't have",
					    elf_section_name(&parts->file, i));
		if (section.sh_type != SHT_NOBITS && section.sh_size)
			memcpy(to + parts->places[i].offset, elf_section_data(&parts->file, i),
			       section.sh_size);
	}
	return 0;
}

static int list_vars(struct elf_parts *parts, struct exo_graft_parts *out)
{
	Elf64_Sym symbol;
	uint32_t i, n = 0;

	parts->vars = calloc(parts->file.symbols ? parts->file.symbols : 1, sizeof(*parts->vars));
	if (!parts->vars)
		return -ENOMEM;
	for (i = 0; i < parts->file.symbols; i++) {
		symbol = elf_symbol(&parts->file, i);
		if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT ||
		    symbol.st_shndx >= parts->file.sections ||
		    parts->places[symbol.st_shndx].region != EXO_PSEUDO_STATE)
			continue;
		parts->vars[n].name = elf_symbol_name(&parts->file, i);
		parts->vars[n].offset = parts->places[symbol.st_shndx].offset +
					(uint32_t)symbol.st_value;
		parts->vars[n].size = (uint32_t)symbol.st_size;
		n++;
	}
	out->vars = parts->vars;
	out->nr_vars = n;
	return 0;
}

int elf_parts_data(struct elf_parts *parts, struct exo_graft_parts *out)
{
	int ret;

	if (parts->uses_const) {
		parts->consts = calloc(1, parts->const_size ? parts->const_size : 1);
		if (!parts->consts)
			return -ENOMEM;
		ret = fill(parts, EXO_PSEUDO_CONST, parts->consts);
		if (ret)
			return ret;
		out->consts = parts->consts;
		out->const_size = parts->const_size;
	}
	if (!parts->uses_state)
		return 0;
	parts->state = calloc(1, parts->state_size ? parts->state_size : 1);
	if (!parts->state)
		return -ENOMEM;
	ret = fill(parts, EXO_PSEUDO_STATE, parts->state);
	if (ret)
		return ret;
	out->state = parts->state;
	out->state_size = parts->state_size;
	return list_vars(parts, out);
}

void elf_parts_free(struct elf_parts *parts)
{
	free(parts->places);
	free(parts->lines);
	free(parts->vars);
	free(parts->consts);
	free(parts->state);
	free(parts);
}
