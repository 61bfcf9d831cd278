/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * BPF's instruction encoding (RFC 9669), as far as grafts use it, and what the kernel's JIT adds.
 */
#ifndef EXO_CORE_GRAFT_INSN_H
#define EXO_CORE_GRAFT_INSN_H

#include "core/types.h"

/* Class: the low three bits of an opcode. */
#define EXO_CLASS(_code) ((_code) & 0x07)
#define EXO_LD 0x00
#define EXO_LDX 0x01
#define EXO_ST 0x02
#define EXO_STX 0x03
#define EXO_ALU 0x04		/* 32 bits */
#define EXO_JMP 0x05
#define EXO_JMP32 0x06
#define EXO_ALU64 0x07

/* The second operand of arithmetic and jumps: the immediate, or a register. */
#define EXO_SRC(_code) ((_code) & 0x08)
#define EXO_K 0x00
#define EXO_X 0x08

#define EXO_OP(_code) ((_code) & 0xf0)
#define EXO_ADD 0x00
#define EXO_SUB 0x10
#define EXO_MUL 0x20
#define EXO_DIV 0x30
#define EXO_OR 0x40
#define EXO_AND 0x50
#define EXO_LSH 0x60
#define EXO_RSH 0x70
#define EXO_NEG 0x80
#define EXO_MOD 0x90
#define EXO_XOR 0xa0
#define EXO_MOV 0xb0
#define EXO_ARSH 0xc0
#define EXO_END 0xd0		/* EXO_K: to little endian, EXO_X: to big endian */

#define EXO_JA 0x00
#define EXO_JEQ 0x10
#define EXO_JGT 0x20
#define EXO_JGE 0x30
#define EXO_JSET 0x40
#define EXO_JNE 0x50
#define EXO_JSGT 0x60
#define EXO_JSGE 0x70
#define EXO_CALL 0x80
#define EXO_EXIT 0x90
#define EXO_JLT 0xa0
#define EXO_JLE 0xb0
#define EXO_JSLT 0xc0
#define EXO_JSLE 0xd0

/* Loads and stores. */
#define EXO_SIZE(_code) ((_code) & 0x18)
#define EXO_W 0x00
#define EXO_H 0x08
#define EXO_B 0x10
#define EXO_DW 0x18
#define EXO_MODE(_code) ((_code) & 0xe0)
#define EXO_IMM 0x00
#define EXO_MEM 0x60
#define EXO_ATOMIC 0xc0

/* The immediate of EXO_ATOMIC: EXO_ADD, OR, AND or XOR, with or without EXO_FETCH; or */
#define EXO_FETCH 0x01
#define EXO_XCHG 0xe1
#define EXO_CMPXCHG 0xf1

#define EXO_LD_IMM64 (EXO_LD | EXO_IMM | EXO_DW)

/* Only in lowered code: the barrier of the kernel's BPF, which is an LFENCE. */
#define EXO_NOSPEC (EXO_ST | 0xc0)

#define EXO_R0 0
#define EXO_R1 1
#define EXO_R2 2
#define EXO_R5 5
#define EXO_R9 9
#define EXO_R10 10

/*
 * Only in lowered code: the register that the kernel's constant blinding uses. Its number is the
 * kernel's on 6.1 and 6.12; who copies lowered code into a struct bpf_prog renumbers it.
 */
#define EXO_AX 11

/* Bytes that a load or store accesses. */
static inline u32 exo_insn_size(u8 code)
{
	return EXO_SIZE(code) == EXO_DW ? 8 : EXO_SIZE(code) == EXO_W ? 4 : EXO_SIZE(code) == EXO_H ? 2 : 1;
}

/* A jump, taken or not: no call, no exit. */
static inline bool exo_is_jump(u8 code)
{
	return (EXO_CLASS(code) == EXO_JMP || EXO_CLASS(code) == EXO_JMP32) &&
	       code != (EXO_JMP | EXO_CALL) && code != (EXO_JMP | EXO_EXIT);
}

#endif
