/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KTAP for the tests here: TEST(name) { ... CHECK(condition); ... }, then tap_main(). */
#ifndef LIBEXO_TEST_TAP_H
#define LIBEXO_TEST_TAP_H

#include <stdbool.h>
#include <stdio.h>

struct tap_test {
	const char *name;
	void (*fn)(void);
};

extern bool tap_failed;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			tap_failed = true; \
		} \
	} while (0)

static inline int tap_run(const struct tap_test *tests, unsigned int count)
{
	unsigned int i;
	int status = 0;

	printf("KTAP version 1\n1..%u\n", count);
	for (i = 0; i < count; i++) {
		tap_failed = false;
		fflush(stdout);
		tests[i].fn();
		printf("%sok %u %s\n", tap_failed ? "not " : "", i + 1, tests[i].name);
		status |= tap_failed;
	}
	return status;
}

#define TAP_RUN(tests) tap_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
