/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way of an upcall in user space: from a fault to the handler and back, without the kernel.
 *
 * The module has written ip, sp, flags and address of the interrupted thread into the save page,
 * has set its busy flag, and has pointed sp at the save page and ip at upcall_entry_*. All other
 * registers are the interrupted program's, and must be again when it goes on.
 *
 * A signal may come at any instruction here, and its handler may fault too. What makes that
 * harmless:
 *
 * - Signal frames are built below sp (and its red zone), and so nothing here reads below sp.
 * - While the busy flag is set, another upcall takes the next level: the save page and the
 *   handler's stack are this upcall's alone. The flag is cleared only when nothing of them is
 *   needed any more.
 * - The rest then stands on the interrupted stack, below its red zone, at sp and above: a nested
 *   upcall keeps it for the same reason for which it keeps the stack of any function. (A slot in
 *   the save page to jump through could be overwritten between the clearing and the jump.)
 *
 * The unwind tables describe each instruction, with the interrupted program as the caller.
 */
#include <sys/syscall.h>

#include "upcall.h"

	.section .rodata
	.balign 4
default_mxcsr:
	.long	0x1f80

	.text

.macro PUSH reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm

.macro POP reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm

.macro ENTRY name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign 64
\name:
.endm

/* mask of vector state into edx:eax, as xsave and xrstor want it */
.macro VECTOR_MASK
	movl	upcall_vector_mask(%rip), %eax
	movl	4 + upcall_vector_mask(%rip), %edx
.endm

/*
 * Vector registers are saved behind the control page and not on the stack, where a signal frame may
 * have been before: nothing but this instruction ever writes there, so what xsave leaves alone of
 * the header, and xrstor wants to be zero, still is.
 */
.macro UPCALL_ENTRY name, save, restore
ENTRY \name
	.cfi_startproc
	.cfi_signal_frame
	/* the canonical frame address is the save page, where ip and sp of the "caller" are */
	.cfi_def_cfa rsp, 0
	.cfi_offset rip, SAVE_IP
	.cfi_offset rsp, SAVE_SP
	PUSH	rbx
	PUSH	rax
	subq	$16, %rsp
	.cfi_adjust_cfa_offset 16
	PUSH	rcx
	PUSH	rdx
	PUSH	rsi
	PUSH	rdi
	PUSH	r8
	PUSH	r9
	PUSH	r10
	PUSH	r11
	leaq	PUSHED_BYTES(%rsp), %rbx
	VECTOR_MASK
	\save	LEVEL_VECTOR(%rbx)

	/* The x87 stack may be in use, the rounding mode be any: not so in a C function. */
	fninit
	ldmxcsr	default_mxcsr(%rip)
	movq	%rbx, %rdi
	call	upcall_dispatch

	movq	%rax, PUSHED_BYTES - PUSHED_NEXT_SP(%rsp)
	testq	%rax, %rax
	VECTOR_MASK
	\restore LEVEL_VECTOR(%rbx)
	je	upcall_resume
	POP	r11
	POP	r10
	POP	r9
	POP	r8
	POP	rdi
	POP	rsi
	POP	rdx
	POP	rcx
	movq	PUSHED_NEXT_SP - PUSHED_RBX(%rsp), %rbx
	.cfi_restore rbx
	movq	(%rsp), %rsp

	/* On the interrupted stack: struct return_frame. */
	.cfi_def_cfa rsp, RETURN_BYTES + RED_ZONE
	.cfi_offset rip, -RED_ZONE - 8
	.cfi_offset rax, -RED_ZONE - 24
	.cfi_restore rsp
	popq	%rax
	.cfi_adjust_cfa_offset -8
	movl	$0, SAVE_BUSY(%rax)
	POP	rax
	popfq
	.cfi_adjust_cfa_offset -8
	ret	$RED_ZONE
	.cfi_endproc
	.size	\name, . - \name
.endm

UPCALL_ENTRY upcall_entry_xsavec, xsavec64, xrstor64
UPCALL_ENTRY upcall_entry_xsave, xsave64, xrstor64
UPCALL_ENTRY upcall_entry_fxsave, fxsave64, fxrstor64

/*
 * With a user shadow stack, ret works only after a call: the module puts the registers back and
 * clears the busy flag. rbx: save page; below it what the stub pushed. Vector registers are
 * restored.
 */
	.type	upcall_resume, @function
upcall_resume:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rbx, 0
	.cfi_offset rip, SAVE_IP
	.cfi_offset rsp, SAVE_SP
	.cfi_offset rbx, -PUSHED_RBX
	/* struct exo_mem_resume: size, flags, slot, level, regs; then struct exo_resume_regs */
	subq	$RESUME_BYTES, %rsp
	movl	$RESUME_REGS, (%rsp)
	movl	$0, 4(%rsp)
	movl	LEVEL_SLOT(%rbx), %eax
	movl	%eax, 8(%rsp)
	movl	LEVEL_LEVEL(%rbx), %eax
	movl	%eax, 12(%rsp)
	leaq	RESUME_REGS(%rsp), %rdi
	movq	%rdi, 16(%rsp)

	movq	SAVE_IP(%rbx), %rax
	movq	%rax, 0(%rdi)
	movq	SAVE_SP(%rbx), %rax
	movq	%rax, 8(%rdi)
	movq	SAVE_FLAGS(%rbx), %rax
	movq	%rax, 16(%rdi)
	movq	-PUSHED_RAX(%rbx), %rax
	movq	%rax, 24(%rdi)
	movq	-PUSHED_RBX(%rbx), %rax
	movq	%rax, 32(%rdi)
	movq	-PUSHED_RCX(%rbx), %rax
	movq	%rax, 40(%rdi)
	movq	-PUSHED_RDX(%rbx), %rax
	movq	%rax, 48(%rdi)
	movq	-PUSHED_RSI(%rbx), %rax
	movq	%rax, 56(%rdi)
	movq	-PUSHED_RDI(%rbx), %rax
	movq	%rax, 64(%rdi)
	movq	-PUSHED_R8(%rbx), %rax
	movq	%rax, 80(%rdi)
	movq	-PUSHED_R9(%rbx), %rax
	movq	%rax, 88(%rdi)
	movq	-PUSHED_R10(%rbx), %rax
	movq	%rax, 96(%rdi)
	movq	-PUSHED_R11(%rbx), %rax
	movq	%rax, 104(%rdi)
	movq	%rbp, 72(%rdi)
	movq	%r12, 112(%rdi)
	movq	%r13, 120(%rdi)
	movq	%r14, 128(%rdi)
	movq	%r15, 136(%rdi)

	movl	LEVEL_FD(%rbx), %edi
	movl	$RESUME_CMD, %esi
	movq	%rsp, %rdx
	movl	$SYS_ioctl, %eax
	syscall
	/* It doesn't return: there is no way to go on if it does. */
	ud2
	.cfi_endproc
	.size	upcall_resume, . - upcall_resume

/*
 * The handler can't: entered in the place of the interrupted program, with all its registers, on
 * its stack, where the rest of struct raise_frame is. Sends SIGBUS to itself, and if that returns,
 * goes on with the access, as after any SIGBUS.
 */
ENTRY upcall_raise
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsp, RAISE_BYTES + RED_ZONE
	.cfi_offset rip, -RED_ZONE - 8
	pushfq
	.cfi_adjust_cfa_offset 8
	PUSH	rax
	PUSH	rcx
	PUSH	rdx
	PUSH	rsi
	PUSH	rdi
	PUSH	r10
	PUSH	r11
	movl	64 + RAISE_PID(%rsp), %edi
	movl	64 + RAISE_TID(%rsp), %esi
	movl	$7, %edx	/* SIGBUS */
	leaq	64 + RAISE_INFO(%rsp), %r10
	movl	$SYS_rt_tgsigqueueinfo, %eax
	syscall
	POP	r11
	POP	r10
	POP	rdi
	POP	rsi
	POP	rdx
	POP	rcx
	POP	rax
	popfq
	.cfi_adjust_cfa_offset -8
	leaq	RAISE_IP(%rsp), %rsp
	.cfi_adjust_cfa_offset -RAISE_IP
	ret	$RED_ZONE
	.cfi_endproc
	.size	upcall_raise, . - upcall_raise

	.section .note.GNU-stack, "", @progbits
