// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An ELF file of BPF, checked as a whole: afterwards every name, symbol and relocation that the
 * accessors below give out is inside the file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "graft_elf.h"

#define MAX_SECTIONS 4096U

int elf_complain(const struct elf_complaint *complaint, const char *fmt, ...)
{
	va_list ap;

	if (complaint->size) {
		va_start(ap, fmt);
		vsnprintf(complaint->text, complaint->size, fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

Elf64_Shdr elf_section(const struct elf_file *file, uint32_t index)
{
	Elf64_Shdr section;

	memcpy(&section, file->data + file->header.e_shoff + index * sizeof(section),
	       sizeof(section));
	return section;
}

const uint8_t *elf_section_data(const struct elf_file *file, uint32_t index)
{
	return file->data + elf_section(file, index).sh_offset;
}

const char *elf_section_name(const struct elf_file *file, uint32_t index)
{
	return (const char *)elf_section_data(file, file->header.e_shstrndx) +
	       elf_section(file, index).sh_name;
}

uint32_t elf_section_find(const struct elf_file *file, const char *name)
{
	uint32_t i;

	for (i = 1; i < file->sections; i++)
		if (!strcmp(elf_section_name(file, i), name))
			return i;
	return 0;
}

Elf64_Sym elf_symbol(const struct elf_file *file, uint32_t index)
{
	Elf64_Sym symbol;

	memcpy(&symbol, elf_section_data(file, file->symtab) + index * sizeof(symbol),
	       sizeof(symbol));
	return symbol;
}

const char *elf_symbol_name(const struct elf_file *file, uint32_t index)
{
	uint32_t strings = elf_section(file, file->symtab).sh_link;

	return (const char *)elf_section_data(file, strings) + elf_symbol(file, index).st_name;
}

uint32_t elf_relocations_of(const struct elf_file *file, uint32_t section)
{
	Elf64_Shdr header;
	uint32_t i;

	for (i = 1; i < file->sections; i++) {
		header = elf_section(file, i);
		if (header.sh_type == SHT_REL && header.sh_info == section)
			return i;
	}
	return 0;
}

Elf64_Rel elf_relocation(const struct elf_file *file, uint32_t section, uint32_t index)
{
	Elf64_Rel rel;

	memcpy(&rel, elf_section_data(file, section) + index * sizeof(rel), sizeof(rel));
	return rel;
}

static bool has_bytes(const Elf64_Shdr *section)
{
	return section->sh_type != SHT_NULL && section->sh_type != SHT_NOBITS;
}

/* A table of strings that ends with a 0, so that each string in it ends inside. */
static bool is_strings(const struct elf_file *file, uint32_t index)
{
	Elf64_Shdr section;

	if (!index || index >= file->sections)
		return false;
	section = elf_section(file, index);
	return section.sh_type == SHT_STRTAB && section.sh_size &&
	       !elf_section_data(file, index)[section.sh_size - 1];
}

static int check_header(struct elf_file *file, const struct elf_complaint *complaint)
{
	const Elf64_Ehdr *header = &file->header;

	if (file->size < sizeof(*header) || memcmp(file->data, ELFMAG, SELFMAG))
		return elf_complain(complaint, "this is not an ELF file; compile the graft with "
				    "clang -O2 -g -target bpf -mcpu=v3 -c");
	memcpy(&file->header, file->data, sizeof(*header));
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_BPF || header->e_type != ET_REL)
		return elf_complain(complaint, "this ELF file is not a little-endian BPF object; "
				    "compile the graft with clang -O2 -g -target bpf -mcpu=v3 -c");
	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_ehsize != sizeof(*header) ||
	    !header->e_shnum || header->e_shnum > MAX_SECTIONS ||
	    header->e_shoff > file->size ||
	    (file->size - header->e_shoff) / sizeof(Elf64_Shdr) < header->e_shnum)
		return elf_complain(complaint, "the file is damaged or cut off: its table of "
				    "sections is not in it");
	file->sections = header->e_shnum;
	return 0;
}

static int check_sections(struct elf_file *file, const struct elf_complaint *complaint)
{
	Elf64_Shdr section, names;
	uint32_t i;

	for (i = 0; i < file->sections; i++) {
		section = elf_section(file, i);
		if (!has_bytes(&section))
			continue;
		if (section.sh_offset > file->size ||
		    section.sh_size > file->size - section.sh_offset)
			return elf_complain(complaint, "the file is damaged or cut off: section "
					    "%u is not in it", i);
	}
	if (!is_strings(file, file->header.e_shstrndx))
		return elf_complain(complaint, "the file is damaged: its sections have no names");
	names = elf_section(file, file->header.e_shstrndx);
	for (i = 0; i < file->sections; i++)
		if (elf_section(file, i).sh_name >= names.sh_size)
			return elf_complain(complaint, "the file is damaged: section %u has no "
					    "name", i);
	return 0;
}

static int check_symbols(struct elf_file *file, const struct elf_complaint *complaint)
{
	Elf64_Shdr section, strings;
	Elf64_Sym symbol;
	uint32_t i;

	for (i = 1; i < file->sections; i++) {
		if (elf_section(file, i).sh_type != SHT_SYMTAB)
			continue;
		if (file->symtab)
			return elf_complain(complaint, "the file is damaged: it has two tables "
					    "of symbols");
		file->symtab = i;
	}
	if (!file->symtab)
		return elf_complain(complaint, "the file has no symbols; don't strip it");
	section = elf_section(file, file->symtab);
	if (section.sh_entsize != sizeof(symbol) || section.sh_size % sizeof(symbol) ||
	    section.sh_size / sizeof(symbol) > UINT32_MAX || !is_strings(file, section.sh_link))
		return elf_complain(complaint, "the file is damaged: its symbols make no sense");
	file->symbols = (uint32_t)(section.sh_size / sizeof(symbol));
	strings = elf_section(file, section.sh_link);
	for (i = 0; i < file->symbols; i++) {
		symbol = elf_symbol(file, i);
		if (symbol.st_name >= strings.sh_size)
			return elf_complain(complaint, "the file is damaged: symbol %u has no "
					    "name", i);
		if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE)
			continue;
		if (symbol.st_shndx >= file->sections)
			return elf_complain(complaint, "the file is damaged: symbol \"%s\" is in "
					    "no section", elf_symbol_name(file, i));
		section = elf_section(file, symbol.st_shndx);
		if (symbol.st_value > section.sh_size ||
		    symbol.st_size > section.sh_size - symbol.st_value)
			return elf_complain(complaint, "the file is damaged: symbol \"%s\" is "
					    "not in its section", elf_symbol_name(file, i));
	}
	return 0;
}

static int check_relocations(const struct elf_file *file, const struct elf_complaint *complaint)
{
	Elf64_Shdr section, target;
	uint64_t n, count;
	Elf64_Rel rel;
	uint32_t i;

	for (i = 1; i < file->sections; i++) {
		section = elf_section(file, i);
		if (section.sh_type == SHT_RELA)
			return elf_complain(complaint, "section %s has relocations of a kind that "
					    "clang does not make for BPF",
					    elf_section_name(file, i));
		if (section.sh_type != SHT_REL)
			continue;
		if (section.sh_entsize != sizeof(rel) || section.sh_size % sizeof(rel) ||
		    section.sh_link != file->symtab || !section.sh_info ||
		    section.sh_info >= file->sections)
			return elf_complain(complaint, "the file is damaged: the relocations in "
					    "%s make no sense", elf_section_name(file, i));
		target = elf_section(file, section.sh_info);
		count = section.sh_size / sizeof(rel);
		for (n = 0; n < count; n++) {
			rel = elf_relocation(file, i, (uint32_t)n);
			if (ELF64_R_SYM(rel.r_info) >= file->symbols ||
			    rel.r_offset > target.sh_size || target.sh_size - rel.r_offset < 4)
				return elf_complain(complaint, "the file is damaged: a relocation "
						    "in %s makes no sense",
						    elf_section_name(file, i));
		}
	}
	return 0;
}

int elf_file_check(struct elf_file *file, const void *data, size_t size,
		   const struct elf_complaint *complaint)
{
	int ret;

	memset(file, 0, sizeof(*file));
	file->data = data;
	file->size = size;
	ret = check_header(file, complaint);
	if (!ret)
		ret = check_sections(file, complaint);
	if (!ret)
		ret = check_symbols(file, complaint);
	if (!ret)
		ret = check_relocations(file, complaint);
	return ret;
}

int elf_read_file(const char *path, char **out_data, size_t *out_size)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	int ret = 0;

	if (!file)
		return -errno;
	if (fstat(fileno(file), &st))
		ret = -errno;
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > ELF_MAX_FILE)
		ret = -EINVAL;
	*out_data = ret ? NULL : malloc((size_t)st.st_size + 1);
	if (!ret && !*out_data)
		ret = -ENOMEM;
	if (!ret) {
		*out_size = fread(*out_data, 1, (size_t)st.st_size, file);
		if (ferror(file))
			ret = -EIO;
	}
	fclose(file);
	return ret;
}
