// SPDX-License-Identifier: GPL-2.0
/*
 * lib/test_bpf.c's cases: the few words of the kernel's that they are written in, and what is in them.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_cases.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/insns.h>

typedef __s8 s8;

#undef __BIG_ENDIAN	/* of a number; the kernel has it only where it is so */
#define BIT(_n) (1U << (_n))
#define ARRAY_SIZE(_a) (sizeof(_a) / sizeof((_a)[0]))
#define BUG_ON(_bad) do { if (_bad) abort(); } while (0)
#define GFP_KERNEL 0
#define kmalloc_array(_n, _size, _gfp) calloc(_n, _size)
#define max(_a, _b) ((_a) > (_b) ? (_a) : (_b))
#define S16_MAX INT16_MAX
#define S32_MAX INT32_MAX
#define S32_MIN INT32_MIN
#define S64_MAX INT64_MAX
#define U32_MAX UINT32_MAX
#define cpu_to_be16(_v) __builtin_bswap16(_v)
#define cpu_to_be32(_v) __builtin_bswap32(_v)
#define cpu_to_be64(_v) __builtin_bswap64(_v)
#define cpu_to_le16(_v) ((u16)(_v))
#define cpu_to_le32(_v) ((u32)(_v))
#define cpu_to_le64(_v) ((u64)(_v))
#define div64_u64(_a, _b) ((u64)(_a) / (u64)(_b))

#define __BPF_STMT(_code, _k) ((struct sock_filter)BPF_STMT(_code, _k))
#define __BPF_JUMP(_code, _k, _jt, _jf) ((struct sock_filter)BPF_JUMP(_code, _k, _jt, _jf))
#define BPF_ZEXT_REG(_dst) ((struct bpf_insn){ BPF_ALU | BPF_MOV | BPF_X, _dst, _dst, 0, 1 })

static u64 div64_u64_rem(u64 a, u64 b, u64 *rem)
{
	*rem = a % b;
	return a / b;
}

struct rnd_state {
	u64 state;
};

static void prandom_seed_state(struct rnd_state *rnd, u64 seed)
{
	rnd->state = seed | 1;
}

static u32 prandom_u32_state(struct rnd_state *rnd)
{
	rnd->state = rnd->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return rnd->state >> 32;
}

#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wshift-count-overflow"

#include "jit-head.h"
#include "jit-tests.h"

static u32 length(const struct bpf_insn *insns)
{
	u32 len = MAX_INSNS;

	while (len && !insns[len - 1].code && !insns[len - 1].imm)
		len--;
	return len;
}

bool jit_case(u32 n, struct jit_case *out)
{
	struct bpf_test *test = &tests[n];

	_Static_assert(sizeof(struct bpf_insn) == sizeof(struct exo_insn), "one encoding");
	if (n >= ARRAY_SIZE(tests))
		return false;
	*out = (struct jit_case){
		.name = test->descr,
		.classic = !(test->aux & INTERNAL),
		.fails = test->aux & FLAG_EXPECTED_FAIL,
		.memory = test->aux & FLAG_LARGE_MEM ? test->test[0].data_size : 0,
		.result = test->test[0].result,
	};
	if (out->classic)
		return true;
	if (test->fill_helper) {
		if (test->fill_helper(test))
			abort();
		out->made = test->u.ptr.insns;
		out->insns = test->u.ptr.insns;
		out->len = test->u.ptr.len;
		out->result = test->test[0].result;
	} else {
		out->insns = (const struct exo_insn *)test->u.insns_int;
		out->len = length(test->u.insns_int);
	}
	return true;
}
