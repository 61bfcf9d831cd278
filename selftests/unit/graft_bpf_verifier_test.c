// SPDX-License-Identifier: GPL-2.0
/*
 * The cases of Linux' BPF verifier as grafts: what it accepts is loaded, and means the same in all modes;
 * what it rejects because of memory is refused by the checker for that reason, or harms nobody: it runs on
 * hostile inputs, where each access is looked at (INV-GRAFT-11, -12, -21).
 *
 * EXO_BPF_LIST=1 prints what became of each case.
 */
#include "bpf_graft.h"
#include "graft_modes.h"
#include "unit.h"

/* Why Linux rejects a program, and which of our refusals say the same. */
enum class {
	BOUNDS,
	UNINIT,
	KIND,
	ARITHMETIC,
	LEAK,
	CONTEXT,
	READ_ONLY,
	ALIGNMENT,
	FORM,
	LOOP,
	OTHER,
	CLASSES,
};

#define CODE(_code) (1ULL << EXO_GRAFT_E_##_code)
/* Where two ways meet, a register that holds a number or a pointer counts as not written. */
#define TWO_KINDS CODE(UNINIT)
#define FORM_CODES ((1ULL << 32) - 1)

static const struct {
	const char *name;
	bool memory;
	u64 codes;
} classes[CLASSES] = {
	[BOUNDS] = { "out of bounds", true, CODE(BOUNDS) | CODE(STACK) | CODE(PSEUDO) },
	[UNINIT] = { "not initialised", true, CODE(UNINIT) | CODE(LEAK) },
	[KIND] = { "no pointer", true, CODE(KIND) | TWO_KINDS },
	[ARITHMETIC] = { "pointer arithmetic", true, CODE(KIND) | CODE(LEAK) | CODE(BOUNDS) },
	[LEAK] = { "pointer leaks", true, CODE(LEAK) | CODE(KIND) | TWO_KINDS },
	[CONTEXT] = { "context", true, CODE(FIELD) | CODE(BOUNDS) | CODE(WRITE) | CODE(KIND) | CODE(LEAK) },
	[READ_ONLY] = { "read only", true, CODE(WRITE) },
	[ALIGNMENT] = { "alignment, which an atomic needs", false, CODE(ALIGN) | CODE(FIELD) },
	[FORM] = { "not a program", false, FORM_CODES },
	[LOOP] = { "loops, which the budget ends", false, 0 },
	[OTHER] = { "a rule that grafts haven't", false, 0 },
};

static const struct {
	const char *text;
	enum class class;
} texts[] = {
	{ "misaligned", ALIGNMENT }, { "jump out of range", FORM }, { "back-edge", LOOP }, { "loop", LOOP },
	{ "invalid bpf_context access", CONTEXT }, { "modified ctx ptr", CONTEXT }, { "variable ctx access", CONTEXT },
	{ "negative offset ctx", CONTEXT }, { "ctx is not allowed", CONTEXT }, { "same insn cannot", CONTEXT },
	{ "write into map forbidden", READ_ONLY }, { "cannot write into packet", READ_ONLY },
	{ "!read_ok", UNINIT }, { "invalid read from stack", UNINIT }, { "invalid indirect read from stack", UNINIT },
	{ "corrupt spilled", UNINIT }, { "invalid size of register fill", UNINIT },
	{ "leak", LEAK }, { "partial copy", LEAK }, { "pointer comparison", LEAK },
	{ "invalid mem access", KIND },
	{ "outside of the packet", BOUNDS }, { "access to packet", BOUNDS }, { "invalid access to map value", BOUNDS },
	{ "outside of the allowed memory", BOUNDS }, { "unbounded", BOUNDS }, { "min value is", BOUNDS },
	{ "max value is", BOUNDS }, { "invalid write to stack", BOUNDS }, { "access to stack", BOUNDS },
	{ "value_size=", BOUNDS }, { "pointer offset", BOUNDS }, { "out of bounds", BOUNDS },
	{ "out of range", BOUNDS }, { "direct value offset", BOUNDS }, { "value -", BOUNDS },
	{ "variable stack access", BOUNDS }, { "fp pointer and", BOUNDS }, { "map_value pointer and", BOUNDS },
	{ "arithmetic", ARITHMETIC }, { "math between", ARITHMETIC }, { "pointer +=", ARITHMETIC },
	{ "pointer -=", ARITHMETIC }, { "subtract", ARITHMETIC }, { "alu operation", ARITHMETIC },
	{ "different maps, paths", ARITHMETIC }, { "different pointers", ARITHMETIC },
	{ "frame pointer is read only", FORM }, { "unreachable", FORM }, { "ld_imm", FORM }, { "BPF_LD_IMM", FORM },
	{ "unknown opcode", FORM }, { "reserved fields", FORM }, { "jump ", FORM }, { "is invalid", FORM },
	{ "not an exit", FORM }, { "div by zero", FORM }, { "invalid shift", FORM }, { "last insn", FORM },
};

static enum class class_of(const char *error)
{
	u32 i;

	for (i = 0; error && i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strstr(error, texts[i].text))
			return texts[i].class;
	return OTHER;
}

enum fate {
	NOT_LOADED,	/* refused before any proof: no sandbox, either */
	REFUSED,	/* the prover finds none, or finds something wrong; the sandbox contains it */
	PROVED,
};

struct result {
	enum fate fate;
	struct exo_graft_error error;	/* why it isn't better */
	u32 runs;
	bool access;	/* a run ended with an access outside */
};

static struct modes modes;
static struct bpf_graft graft;
static u8 state[VERIFIER_STATE], data[4096];

/* Found or not, any numbers, packets of all lengths. */
static void hostile(u32 n, bool low, struct world_input *input)
{
	static const u32 sizes[] = { 0, 64, 1, 7, 14, 34, 4096, 8, 63, 255 };
	u32 i;

	*input = (struct world_input){ .budget = 1 << 20, .data = data, .state = state, .data_size = sizes[n % 10] };
	for (i = 0; i < 4; i++)
		input->arg[i] = n ? unit_edge() : 0;
	for (i = 0; i < sizeof(data); i++)
		data[i] = n ? (u8)unit_random() : 0;
	for (i = 0; i < sizeof(state); i += 8) {
		u64 word = !n ? 0 : n % 3 ? unit_edge() : unit_random();

		memcpy(state + i, &word, 8);
	}
	memset(state + verifier_words(low), 0, n % 4 == 3 ? 0 : 8);
}

static void run_all(const struct verifier_case *test, bool low, struct result *result)
{
	struct world *world = modes.world;
	struct world_input input;
	struct outcome want;
	u32 n;

	*result = (struct result){ .fate = REFUSED };
	if (world_load(world, graft.hook, graft.insns, graft.len, graft.consts, graft.const_size, graft.state_size)) {
		result->fate = NOT_LOADED;
		result->error = world->error;
		return;
	}
	for (n = 0; n < 12; n++) {
		hostile(n, low, &input);
		if (!modes_run(&modes, &input, n < 2, &want))
			unit_fail(__FILE__, __LINE__, "%s: its length is more than its budget", test->name);
		result->access |= want.status == EXO_GRAFT_ABORT_ACCESS;
		result->runs++;
		if (n && result->fate == REFUSED)
			continue;
		if (modes_prove(&modes, &input, &want))
			result->fate = PROVED;
		else
			result->error = world->error;
	}
}

struct row {
	u32 all;
	u32 own;		/* refused for the same reason */
	u32 other;		/* for another */
	u32 contained;		/* not refused, and harmless */
};

static struct counts {
	u32 cases, accepted, rejected, unpriv;
	u32 translated, proved, right;
	u32 runs;
	struct row rejects[2][CLASSES];
	const char *reason[24];
	u32 of_reason[24];
} counts;

static bool list;

static void not_translated(const char *why)
{
	u32 i = 0;

	while (counts.reason[i] && strcmp(counts.reason[i], why))
		i++;
	counts.reason[i] = why;
	counts.of_reason[i]++;
}


/* What Linux' own test finds when it runs it, on the packet that it runs it on. */
static void compare_result(const struct verifier_case *test)
{
	struct world_input input = { .budget = 1 << 20, .data = test->data, .data_size = sizeof(test->data),
				     .state = state };
	struct outcome want;

	memset(state, 0, sizeof(state));
	modes_run(&modes, &input, false, &want);
	counts.right += !want.status && want.result == test->result;
	if (list && want.result != test->result)
		printf("# ACCEPT gives %x, not %x: %s\n", want.result, test->result, test->name);
}

static void accepted(const struct verifier_case *test)
{
	struct result result;

	run_all(test, false, &result);
	counts.runs += result.runs;
	counts.translated++;
	if (result.fate == NOT_LOADED)
		unit_fail(__FILE__, __LINE__, "%s: accepted by Linux, not loaded: %u at slot %u", test->name,
			  result.error.code, result.error.slot);
	if (result.access)
		unit_fail(__FILE__, __LINE__, "%s: accepted by Linux, but aborts", test->name);
	compare_result(test);
	counts.proved += result.fate == PROVED;
	if (list && result.fate != PROVED)
		printf("# ACCEPT not proved, %u: %s\n", result.error.code, test->name);
}

/* At which end of the memory the value lies says which side of it is guarded to the byte. */
static void rejected(const struct verifier_case *test, const char *error, bool root, struct row *rows)
{
	enum class class = class_of(error);
	struct row *row = &rows[class];
	struct result result;
	u32 low, own = 0, other = 0, code = 0;

	for (low = 0; low < 2; low++) {
		if (verifier_graft(test, low, root, &graft))
			abort();
		run_all(test, low, &result);
		counts.runs += result.runs;
		if (result.fate == PROVED)
			continue;
		/* The stack is as deep as what is used of it. */
		if (classes[class].codes >> result.error.code & 1 ||
		    (class == UNINIT && result.error.code == EXO_GRAFT_E_BOUNDS && result.error.region == EXO_REGION_STACK))
			own++;
		else
			other++;
		code = result.error.code;
	}
	row->all++;
	if (own)
		row->own++;
	else if (other)
		row->other++;
	else
		row->contained++;
	if (list && !own)
		printf("# REJECT (%s, %s) %s %u: %s\n", classes[class].name, error, other ? "refused" : "proved", code,
		       test->name);
}

static void one(const struct verifier_case *test)
{
	const char *why = verifier_graft(test, false, true, &graft);

	counts.accepted += test->verdict == VERDICT_ACCEPT;
	counts.rejected += test->verdict == VERDICT_REJECT;
	counts.unpriv += test->verdict == VERDICT_ACCEPT && test->verdict_unpriv == VERDICT_REJECT;
	if (why) {
		not_translated(why);
		if (list)
			printf("# NOT %s: %s\n", why, test->name);
		return;
	}
	if (test->verdict == VERDICT_ACCEPT)
		accepted(test);
	if (test->verdict == VERDICT_REJECT)
		rejected(test, test->error, true, counts.rejects[0]);
	else if (test->verdict_unpriv == VERDICT_REJECT)
		rejected(test, test->error_unpriv ? test->error_unpriv : test->error, false,
			 counts.rejects[1]);
}

static void print_rows(const char *title, const struct row *rows, struct row *memory)
{
	u32 i;

	printf("# %-34s %8s %8s %8s %8s\n", title, "all", "own", "another", "contained");
	for (i = 0; i < CLASSES; i++) {
		printf("#   %-32s %8u %8u %8u %8u\n", classes[i].name, rows[i].all, rows[i].own, rows[i].other,
		       rows[i].contained);
		if (!classes[i].memory)
			continue;
		memory->all += rows[i].all;
		memory->own += rows[i].own;
		memory->other += rows[i].other;
		memory->contained += rows[i].contained;
	}
	printf("#   %-32s %8u %8u %8u %8u\n", "memory safety", memory->all, memory->own, memory->other,
	       memory->contained);
}

TEST(bpf_verifier__cases)
{
	struct row memory[2] = {};
	struct verifier_case test;
	u32 i;

	list = getenv("EXO_BPF_LIST");
	modes_new(&modes);
	while (verifier_case(counts.cases, &test)) {
		counts.cases++;
		one(&test);
		free(test.made);
	}
	modes_free(&modes);
	printf("# %u cases of the verifier: it accepts %u (of which %u not for everyone), rejects %u\n", counts.cases,
	       counts.accepted, counts.unpriv, counts.rejected);
	for (i = 0; counts.reason[i]; i++)
		printf("#   %4u not translatable: %s\n", counts.of_reason[i], counts.reason[i]);
	printf("# accepted: %u translated and loaded in the sandbox, %u with Linux' result, %u proved\n", counts.translated,
	       counts.right, counts.proved);
	print_rows("rejected; refused for reason", counts.rejects[0], &memory[0]);
	print_rows("rejected for everyone but root", counts.rejects[1], &memory[1]);
	printf("# %u runs in all modes\n", counts.runs);
	/* Less would be a translator that translates nothing, or a prover that has unlearned something. */
	CHECK(counts.translated >= 550);
	CHECK(counts.right >= 520);
	CHECK(counts.proved >= 465);
	CHECK(memory[0].all >= 335);
	CHECK(memory[0].own >= 305);
	CHECK(memory[1].all >= 90);
	CHECK(memory[1].own >= 70);
	CHECK(counts.rejects[0][FORM].own >= 40);
}
