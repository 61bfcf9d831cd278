/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside libexo-graft: an ELF file that was checked as a whole before anything reads it, libbpf
 * included, so that no damaged file gets far. Nothing of libexo but its public functions is used.
 */
#ifndef LIBEXO_GRAFT_ELF_H
#define LIBEXO_GRAFT_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <exo/libexo.h>

#define ELF_MAX_FILE (16UL << 20)
#define GRAFT_CERT_SECTION ".exo.cert"	/* with several grafts: .exo.cert/NAME */

/* Where the sentence about what is wrong goes. */
struct elf_complaint {
	char *text;
	size_t size;
};

/**
 * struct elf_file - a BPF object that was checked: every offset in it is inside it
 * @data: its bytes; nothing in it need be aligned
 * @size: bytes
 * @sections: how many
 * @symtab: section number, 0 if there is none
 * @symbols: how many
 */
struct elf_file {
	const uint8_t *data;
	size_t size;
	uint32_t sections;
	uint32_t symtab;
	uint32_t symbols;
	Elf64_Ehdr header;
};

/* The whole file in malloc'd memory; -errno. */
int elf_read_file(const char *path, char **out_data, size_t *out_size);
int elf_file_check(struct elf_file *file, const void *data, size_t size,
		   const struct elf_complaint *complaint);
Elf64_Shdr elf_section(const struct elf_file *file, uint32_t index);
const char *elf_section_name(const struct elf_file *file, uint32_t index);
const uint8_t *elf_section_data(const struct elf_file *file, uint32_t index);
/* 0 if there is none. */
uint32_t elf_section_find(const struct elf_file *file, const char *name);
Elf64_Sym elf_symbol(const struct elf_file *file, uint32_t index);
const char *elf_symbol_name(const struct elf_file *file, uint32_t index);
/* The section of relocations for a section, 0 if there is none. */
uint32_t elf_relocations_of(const struct elf_file *file, uint32_t section);
Elf64_Rel elf_relocation(const struct elf_file *file, uint32_t section, uint32_t index);

/* Writes the sentence; returns -EINVAL. */
int elf_complain(const struct elf_complaint *complaint, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
