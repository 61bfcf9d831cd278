/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Upcalls: what stub.S and its C side agree on.
 *
 * A thread with a handler has EXO_UPCALL_LEVELS areas side by side, each of which is
 *
 *	guard page | handler stack, growing down | save page | control page, vector registers
 *
 * The module writes the save page and enters the stub with sp at the save page: the stub finds the
 * save page where its stack begins, and the control page behind it.
 */
#ifndef LIBEXO_UPCALL_H
#define LIBEXO_UPCALL_H

/* struct exo_upcall_save */
#define SAVE_IP 0
#define SAVE_SP 8
#define SAVE_FLAGS 16
#define SAVE_BUSY 44

/* struct upcall_level, from the save page on */
#define LEVEL_FD 4096
#define LEVEL_SLOT 4100
#define LEVEL_LEVEL 4104
#define LEVEL_VECTOR 4160

/* What the stub pushes, from the save page down. */
#define PUSHED_BYTES 96
#define PUSHED_RBX 8
#define PUSHED_RAX 16
#define PUSHED_NEXT_SP 32
#define PUSHED_RCX 40
#define PUSHED_RDX 48
#define PUSHED_RSI 56
#define PUSHED_RDI 64
#define PUSHED_R8 72
#define PUSHED_R9 80
#define PUSHED_R10 88
#define PUSHED_R11 96

/* The interrupted program's, below its stack pointer. */
#define RED_ZONE 128

/* struct return_frame: what the stub pops on the interrupted stack to be gone without a trace. */
#define RETURN_BYTES 32

/* struct raise_frame: the same, with a SIGBUS on the way. */
#define RAISE_PID 0
#define RAISE_TID 8
#define RAISE_INFO 16
#define RAISE_IP 144
#define RAISE_BYTES 152

/* struct exo_mem_resume and struct exo_resume_regs, one behind the other */
#define RESUME_BYTES 192
#define RESUME_REGS 24
#define RESUME_CMD 0xef2e

#ifndef __ASSEMBLER__

#include <signal.h>

#include "lib.h"

struct upcall_thread {
	struct exo_env *env;
	exo_fault_fn fn;
	void *ctx;
	struct upcall_thread *next;	/* of the same thread, for other environments */
	char *area;
	size_t stack;			/* bytes a level */
	uint32_t slot;
	pid_t pid;
	pid_t tid;
	bool shadow_stack;
};

struct upcall_level {
	int32_t fd;
	uint32_t slot;
	uint32_t level;
	uint32_t reserved;
	struct upcall_thread *thread;
};

struct return_frame {
	uint64_t save;
	uint64_t ax;
	uint64_t flags;
	uint64_t ip;
};

struct raise_frame {
	struct return_frame back;	/* its ip: upcall_raise */
	char red_zone[RED_ZONE];	/* dropped like the real one */
	uint64_t pid;
	uint64_t tid;
	siginfo_t info;
	uint64_t ip;
};

/* The stubs: entered by the module, never called. */
void upcall_entry_xsavec(void);
void upcall_entry_xsave(void);
void upcall_entry_fxsave(void);
void upcall_raise(void);

extern uint64_t upcall_vector_mask;

void *upcall_dispatch(struct exo_upcall_save *save);
void upcall_detect(void);
void (*upcall_entry(void))(void);
size_t upcall_stride(const struct upcall_thread *thread);
struct exo_upcall_save *upcall_save(const struct upcall_thread *thread, uint32_t level);
int upcall_area_map(struct upcall_thread *thread);
void upcall_area_unmap(struct upcall_thread *thread);

#endif
#endif
