// SPDX-License-Identifier: GPL-2.0
/*
 * The cases of tools/testing/selftests/bpf/verifier, and what is in them.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_cases.h"

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/btf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/insns.h>

#define offsetofend(_type, _member) (offsetof(_type, _member) + sizeof(((_type *)0)->_member))
#define MAX_INSNS 512		/* in the text of a case; what is made is longer */

#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#include "test_btf.h"
#include "bpf_rand.h"
#include "verifier-head.h"

static struct bpf_test tests[] = {
#define FILL_ARRAY
#include "verifier-tests.h"
#undef FILL_ARRAY
};

static u32 length(const struct bpf_insn *insns)
{
	u32 len = MAX_INSNS;

	while (len > 1 && !insns[len - 1].code && !insns[len - 1].imm)
		len--;
	return len;
}

static void add_maps(struct verifier_case *out, const int *slots, struct verifier_map map)
{
	for (; *slots; slots++) {
		if (out->nr_maps == VERIFIER_MAPS)
			abort();
		map.slot = (u32)*slots;
		out->maps[out->nr_maps++] = map;
	}
}

static void find_maps(const struct bpf_test *test, struct verifier_case *out)
{
	const struct verifier_map none = {};

	add_maps(out, test->fixup_map_hash_8b, (struct verifier_map){ .key = 8, .value = 8 });
	add_maps(out, test->fixup_map_hash_16b, (struct verifier_map){ .key = 8, .value = 16 });
	add_maps(out, test->fixup_map_hash_48b, (struct verifier_map){ .key = 8, .value = 48 });
	add_maps(out, test->fixup_map_array_48b, (struct verifier_map){ .key = 4, .value = 48 });
	add_maps(out, test->fixup_map_array_small, (struct verifier_map){ .key = 4, .value = 1 });
	add_maps(out, test->fixup_map_array_ro, (struct verifier_map){ .key = 4, .value = 48, .read_only = true });
	add_maps(out, test->fixup_map_array_wo, (struct verifier_map){ .key = 4, .value = 48, .write_only = true });
	add_maps(out, test->fixup_cgroup_storage, (struct verifier_map){ .value = 64, .always = true });
	add_maps(out, test->fixup_percpu_cgroup_storage, (struct verifier_map){ .value = 64, .always = true });
	add_maps(out, test->fixup_map_sockmap, none);
	add_maps(out, test->fixup_map_sockhash, none);
	add_maps(out, test->fixup_map_xskmap, none);
	add_maps(out, test->fixup_map_stacktrace, none);
	add_maps(out, test->fixup_prog1, none);
	add_maps(out, test->fixup_prog2, none);
	add_maps(out, test->fixup_map_in_map, none);
	add_maps(out, test->fixup_map_spin_lock, none);
	add_maps(out, test->fixup_sk_storage_map, none);
	add_maps(out, test->fixup_map_event_output, none);
	add_maps(out, test->fixup_map_reuseport_array, none);
	add_maps(out, test->fixup_map_ringbuf, none);
	add_maps(out, test->fixup_map_timer, none);
	add_maps(out, test->fixup_map_kptr, none);
}

static enum verdict verdict(u32 result)
{
	return result == REJECT ? VERDICT_REJECT : result == UNDEF ? VERDICT_NONE : VERDICT_ACCEPT;
}

bool verifier_case(u32 n, struct verifier_case *out)
{
	struct bpf_test *test = &tests[n];

	_Static_assert(sizeof(struct bpf_insn) == sizeof(struct exo_insn), "one encoding");
	if (n >= sizeof(tests) / sizeof(tests[0]))
		return false;
	*out = (struct verifier_case){
		.name = test->descr,
		.insns = (const struct exo_insn *)test->insns,
		.error = test->errstr,
		.error_unpriv = test->errstr_unpriv,
		.verdict = verdict(test->result),
		.verdict_unpriv = verdict(test->result_unpriv),
		.prog_type = test->prog_type ? test->prog_type : BPF_PROG_TYPE_SOCKET_FILTER,
		.kernel_functions = test->kfunc || test->fixup_kfunc_btf_id[0].kfunc || test->func_info_cnt,
	};
	memcpy(out->data, test->data, sizeof(out->data));
	if (test->fill_helper) {
		out->made = calloc(MAX_TEST_INSNS, sizeof(struct bpf_insn));
		test->fill_insns = out->made;
		test->prog_len = 0;
		test->fill_helper(test);
		out->insns = out->made;
		out->len = (u32)test->prog_len;
	} else {
		out->len = length(test->insns);
	}
	out->result = test->retval;
	find_maps(test, out);
	return true;
}
