/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A KTAP harness for the functional core: no module, no VM, one process.
 *
 *	TEST(fn__case) { CHECK_EQ(...); }
 *
 * A CHECK that fails ends its test. Randomised tests draw from unit_random(); EXO_TEST_SEED=n
 * repeats a run, EXO_TEST_ROUNDS=n makes it longer. Arguments are the names of the tests to run, or
 * beginnings of them.
 */
#ifndef EXO_UNIT_H
#define EXO_UNIT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types.h"

struct unit_test {
	const char *name;
	void (*fn)(void);
	struct unit_test *next;
};

void unit_add(struct unit_test *test);
void unit_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

u64 unit_random(void);
/* Uniform in [0, n). */
u64 unit_below(u64 n);
/* What breaks arithmetic: often 0, 1, a power of two and its neighbours, all ones. */
u64 unit_edge(void);
unsigned int unit_rounds(unsigned int usual);

#define TEST(_name) \
	static void _name(void); \
	__attribute__((constructor)) static void _name##_add(void) \
	{ \
		static struct unit_test test = { #_name, _name, NULL }; \
		unit_add(&test); \
	} \
	static void _name(void)

#define CHECK(_cond) \
	do { \
		if (!(_cond)) \
			unit_fail(__FILE__, __LINE__, "%s", #_cond); \
	} while (0)

#define CHECK_EQ(_a, _b) \
	do { \
		s64 _va = (s64)(_a), _vb = (s64)(_b); \
		if (_va != _vb) \
			unit_fail(__FILE__, __LINE__, "%s is %" PRId64 ", not %s, which is %" PRId64, \
				  #_a, _va, #_b, _vb); \
	} while (0)

#endif
