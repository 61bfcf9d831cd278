// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static struct unit_test *first, **last = &first;
static jmp_buf failed;
static u64 seed, state;

void unit_add(struct unit_test *test)
{
	*last = test;
	last = &test->next;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# EXO_TEST_SEED=%" PRIu64 " repeats it\n", seed);
	longjmp(failed, 1);
}

/* splitmix64 */
u64 unit_random(void)
{
	u64 z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

u64 unit_below(u64 n)
{
	return unit_random() % n;
}

u64 unit_edge(void)
{
	u64 power = 1ULL << unit_below(64);

	switch (unit_below(8)) {
	case 0:
		return unit_below(4);
	case 1:
		return power;
	case 2:
		return power - 1;
	case 3:
		return power + 1;
	case 4:
		return -unit_below(4);
	case 5:
		return unit_random() & 0xffffffff;
	default:
		return unit_random();
	}
}

unsigned int unit_rounds(unsigned int usual)
{
	const char *rounds = getenv("EXO_TEST_ROUNDS");

	return rounds ? strtoul(rounds, NULL, 0) : usual;
}

/* Returns false if a CHECK failed. */
static bool run(const struct unit_test *test)
{
	/* Each starts from the seed: one test alone can be repeated. */
	state = seed;
	if (setjmp(failed))
		return false;
	test->fn();
	return true;
}

/* Whether the test was asked for: by its name, or by the beginning of one, as an argument; all without one. */
static bool wanted(const struct unit_test *test, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strncmp(test->name, argv[i], strlen(argv[i])))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	const char *name = argc ? strrchr(argv[0], '/') : NULL;
	const char *given = getenv("EXO_TEST_SEED");
	struct unit_test *test;
	int n = 0, bad = 0;

	seed = given ? strtoull(given, NULL, 0) : (u64)time(NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (test = first; test; test = test->next)
		n += wanted(test, argc, argv);
	/* The seed is said before: what kills the program doesn't say it. */
	printf("KTAP version 1\n# %s\n# seed: EXO_TEST_SEED=%" PRIu64 "\n1..%d\n", name ? name + 1 : "unit", seed, n);

	n = 0;
	for (test = first; test; test = test->next) {
		bool ok;

		if (!wanted(test, argc, argv))
			continue;
		ok = run(test);
		printf("%sok %d %s\n", ok ? "" : "not ", ++n, test->name);
		bad += !ok;
	}
	/* What a failed test left behind is no leak. */
	if (bad)
		_exit(1);
	return 0;
}
