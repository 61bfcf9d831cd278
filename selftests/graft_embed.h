/* SPDX-License-Identifier: GPL-2.0 */
/* A graft's file inside the program: GRAFT(name, GRAFT_TOP "/path/below/the/top.bpf.o"), which the Makefile must know, too. */
#ifndef EXO_TEST_GRAFT_EMBED_H
#define EXO_TEST_GRAFT_EMBED_H

#define GRAFT(name, file) \
	__asm__(".section .rodata\n.balign 16\n" #name "_start:\n.incbin \"" file "\"\n" #name \
		"_end:\n.previous\n"); \
	extern const char name##_start[], name##_end[]

#endif
