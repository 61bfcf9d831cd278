/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside libexo-graft: what an ELF file is taken apart into. */
#ifndef LIBEXO_GRAFT_ELF_PARTS_H
#define LIBEXO_GRAFT_ELF_PARTS_H

#include <linux/bpf.h>

#include "graft_elf.h"

#define ELF_MAX_INSNS 4096U
#define ELF_MAX_CONST 65536U
#define ELF_MAX_STATE (64U * 4096U)

struct btf;

/* Where a section's bytes go. */
struct elf_place {
	uint32_t region;	/* EXO_PSEUDO_CONST, EXO_PSEUDO_STATE, 0: nowhere */
	uint32_t offset;
};

/**
 * struct elf_parts - a file on its way to being an object
 * @file: it
 * @complaint: where the sentence goes
 * @places: for each section
 * @const_size: bytes of all constants
 * @state_size: bytes of all variables
 * @uses_const: the program refers to constants
 * @uses_state: and to variables
 * @section: that the program is in
 * @start: byte in it where it begins
 * @insns: the program
 * @nr_insns: slots
 * @lines: source lines, by slot
 * @nr_lines: length of @lines
 * @vars: variables
 * @consts: constants
 * @state: what the variables hold at first
 * @btf: names and source texts, NULL if there are none
 */
struct elf_parts {
	struct elf_file file;
	const struct elf_complaint *complaint;
	struct elf_place *places;
	uint32_t const_size;
	uint32_t state_size;
	bool uses_const;
	bool uses_state;
	uint32_t section;
	uint64_t start;
	struct bpf_insn insns[ELF_MAX_INSNS];
	uint32_t nr_insns;
	struct exo_graft_line *lines;
	uint32_t nr_lines;
	struct exo_graft_var *vars;
	uint8_t *consts;
	uint8_t *state;
	struct btf *btf;
};

int elf_parts_layout(struct elf_parts *parts);
int elf_parts_lines(struct elf_parts *parts, const struct btf *btf);
int elf_parts_relocate(struct elf_parts *parts);
int elf_parts_data(struct elf_parts *parts, struct exo_graft_parts *out);
void elf_parts_free(struct elf_parts *parts);

#endif
