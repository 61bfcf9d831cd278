/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe(how): fill all registers and the red zone with what is in probe_in, store one byte at
 * probe_in.ax, write all registers and the red zone to probe_out. how: 0 xmm, 1 ymm, 2 zmm and
 * masks.
 */
	.text
	.globl	probe
	.type	probe, @function
	.macro each_vector width, reg, count, load
	.altmacro
	.set	n, 0
	.rept	\count
	one_vector %n, \reg, \load
	.set	n, n + 1
	.endr
	.noaltmacro
	.endm

	.macro one_vector n, reg, load
	.if \load
	.ifc \reg, xmm
	movups	vector_in + 64 * \n(%rip), %xmm\n
	.endif
	.ifc \reg, ymm
	vmovups	vector_in + 64 * \n(%rip), %ymm\n
	.endif
	.ifc \reg, zmm
	vmovups	vector_in + 64 * \n(%rip), %zmm\n
	.endif
	.else
	.ifc \reg, xmm
	movups	%xmm\n, vector_out + 64 * \n(%rip)
	.endif
	.ifc \reg, ymm
	vmovups	%ymm\n, vector_out + 64 * \n(%rip)
	.endif
	.ifc \reg, zmm
	vmovups	%zmm\n, vector_out + 64 * \n(%rip)
	.endif
	.endif
	.endm

	.macro vectors_by_kind load
	cmpl	$1, probe_kind(%rip)
	jb	1f
	je	2f
	each_vector 64, zmm, 32, \load
	.if \load
	kmovq	vector_in + 2048(%rip), %k1
	kmovq	vector_in + 2056(%rip), %k7
	.else
	kmovq	%k1, vector_out + 2048(%rip)
	kmovq	%k7, vector_out + 2056(%rip)
	.endif
	jmp	3f
2:	each_vector 32, ymm, 16, \load
	jmp	3f
1:	each_vector 16, xmm, 16, \load
3:
	.endm

	.globl	probe_access
probe:
	.cfi_startproc
	movl	%edi, probe_kind(%rip)
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	movq	%rsp, probe_sp(%rip)
	vectors_by_kind 1
	fldpi
	fldl2e
	ldmxcsr	probe_mxcsr(%rip)
	fldcw	probe_fcw(%rip)

	/* the red zone: 16 words below sp */
	.irp	i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
	movq	$0x5a5a00 + \i, -8 * \i(%rsp)
	.endr
	movq	probe_in + 0(%rip), %rax
	movq	probe_in + 8(%rip), %rbx
	movq	probe_in + 16(%rip), %rcx
	movq	probe_in + 24(%rip), %rdx
	movq	probe_in + 32(%rip), %rsi
	movq	probe_in + 40(%rip), %rdi
	movq	probe_in + 48(%rip), %rbp
	movq	probe_in + 56(%rip), %r8
	movq	probe_in + 64(%rip), %r9
	movq	probe_in + 72(%rip), %r10
	movq	probe_in + 80(%rip), %r11
	movq	probe_in + 88(%rip), %r12
	movq	probe_in + 96(%rip), %r13
	movq	probe_in + 104(%rip), %r14
	movq	probe_in + 112(%rip), %r15
	/* flags: carry, overflow, direction; nothing below sp may be written but the red zone */
	cmpb	$0x80, minus_128(%rip)
	movb	minus_128(%rip), %al
	addb	%al, %al
	movb	probe_in(%rip), %al
	std
probe_access:
	movb	$1, (%rax)
	movq	%rax, probe_out + 0(%rip)
	movq	%rsp, probe_out + 120(%rip)
	movq	-128(%rsp), %rax
	movq	%rax, probe_out + 144(%rip)
	movq	%rbx, probe_out + 8(%rip)
	movq	%rcx, probe_out + 16(%rip)
	movq	%rdx, probe_out + 24(%rip)
	movq	%rsi, probe_out + 32(%rip)
	movq	%rdi, probe_out + 40(%rip)
	movq	%rbp, probe_out + 48(%rip)
	movq	%r8, probe_out + 56(%rip)
	movq	%r9, probe_out + 64(%rip)
	movq	%r10, probe_out + 72(%rip)
	movq	%r11, probe_out + 80(%rip)
	movq	%r12, probe_out + 88(%rip)
	movq	%r13, probe_out + 96(%rip)
	movq	%r14, probe_out + 104(%rip)
	movq	%r15, probe_out + 112(%rip)
	/* the rest of the red zone, before it is used */
	.irp	i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movq	-8 * \i(%rsp), %rax
	movq	%rax, probe_red - 8 + 8 * \i(%rip)
	.endr
	pushfq
	popq	probe_out + 128(%rip)
	cld
	vectors_by_kind 0
	stmxcsr	probe_out + 136(%rip)
	fnstcw	probe_out + 140(%rip)
	fstpl	probe_x87(%rip)
	fstpl	probe_x87 + 8(%rip)
	fninit
	ldmxcsr	probe_mxcsr_default(%rip)
	movq	probe_sp(%rip), %rsp
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	probe, . - probe

	.data
	.balign	64
	.globl	vector_in, vector_out, probe_in, probe_out, probe_red, probe_x87
vector_in:
	.zero	2112
vector_out:
	.zero	2112
probe_in:
	.zero	120
	.balign	64
probe_out:
	.zero	152
probe_red:
	.zero	120
probe_x87:
	.zero	16
probe_sp:
	.quad	0
probe_mxcsr:
	.long	0x7f80		/* round towards zero */
probe_mxcsr_default:
	.long	0x1f80
probe_fcw:
	.word	0x0f7f		/* round towards zero */
minus_128:
	.byte	0x80
	.balign	4
probe_kind:
	.long	0

	.section .note.GNU-stack, "", @progbits
