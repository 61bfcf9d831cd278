/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small KTAP harness, self-contained so that the tests build on any box, without a kernel tree.
 *
 *	TEST(fn__case) { ASSERT_EQ(...); }	runs in a process group of its own, with a time limit
 *	TEST_LONG(fn__case, seconds)		the same, with its own limit
 *	SKIP("why")				ends the test; a reason is a must
 *
 * ASSERT_* end the process they stand in with a line that says what was found. In a child made with
 * test_fork() that makes test_join() fail in its parent. When a test ends everything it started is
 * killed, and then the machine must be as before: no environment, no frame, no quarantine left.
 *
 * A program takes patterns of test names as arguments, -l lists. Exit status 0, 1 (a test failed),
 * or 4 (everything is skipped). Environment: EXO_TEST_SEED; EXO_TEST_ROUNDS (where a test says so; then
 * there is no time limit); EXO_TEST_ONLY, a pattern of test names.
 */
#ifndef EXO_HARNESS_H
#define EXO_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*fn)(void);
	unsigned int seconds;
	struct test *next;
};

void test_add(struct test *test);

#define TEST_LONG(_name, _seconds) \
	static void _name(void); \
	__attribute__((constructor)) static void _name##_add(void) \
	{ \
		static struct test test = { #_name, _name, _seconds, NULL }; \
		test_add(&test); \
	} \
	static void _name(void)
#define TEST(_name) TEST_LONG(_name, 60)

/* What a program needs before its first test; a weak default asks for 2048 frames. */
extern uint32_t test_pool_frames;	/* free 4 KiB frames */
extern uint32_t test_pool_huge;	/* free 2 MiB frames */
extern bool test_no_module;	/* the program loads the module by itself */

/* How much slower than the stock kernel this one is: 1, or 6 with debugging in it. */
unsigned int test_slow(void);
/* How many times its limit a test may take, and what is waited for with a limit of its own; EXO_TEST_PATIENCE. */
unsigned int test_patience(void);
/* How many ms to wait for what has to happen, and takes up to ms on a stock kernel with processors of its own. */
unsigned int test_limit_ms(unsigned int ms);
/* n rounds on a stock kernel, n / d on a slow one; EXO_TEST_ROUNDS replaces both. */
unsigned int test_rounds(unsigned int n, unsigned int d);
/* The same for what no kernel does otherwise: n on 6.1 only, n / d where it is the same engine once more. */
unsigned int test_core_rounds(unsigned int n, unsigned int d);
/*
 * Are ms over (twice as many on a slow kernel)? Where EXO_TEST_ROUNDS says how many rounds: are three
 * quarters of the test's own time over?
 */
bool test_late(uint64_t start_ns, unsigned int ms);
/* Of what has to happen: are test_limit_ms(ms) over? */
bool test_overdue(uint64_t start_ns, unsigned int ms);
uint64_t test_now_ns(void);
void test_sleep_ms(unsigned int ms);
uint64_t test_random(uint64_t *state);
uint64_t test_seed(void);

/* A line of diagnostics. */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define SKIP(...) test_skip(__VA_ARGS__)
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define ASSERT_OP(_a, _op, _b) \
	do { \
		long long a_ = (long long)(_a), b_ = (long long)(_b); \
		if (!(a_ _op b_)) \
			test_fail(__FILE__, __LINE__, "%s %s %s: %lld (%#llx), %lld (%#llx)", #_a, \
				  #_op, #_b, a_, a_, b_, b_); \
	} while (0)
#define ASSERT_EQ(_a, _b) ASSERT_OP(_a, ==, _b)
#define ASSERT_NE(_a, _b) ASSERT_OP(_a, !=, _b)
#define ASSERT_GE(_a, _b) ASSERT_OP(_a, >=, _b)
#define ASSERT_GT(_a, _b) ASSERT_OP(_a, >, _b)
#define ASSERT_LE(_a, _b) ASSERT_OP(_a, <=, _b)
#define ASSERT_LT(_a, _b) ASSERT_OP(_a, <, _b)
#define ASSERT_TRUE(_a) ASSERT_OP(!!(_a), ==, 1)
/* Like ASSERT_EQ, and says more about the case. */
#define ASSERT_EQ_FOR(_a, _b, ...) \
	do { \
		long long a_ = (long long)(_a), b_ = (long long)(_b); \
		if (a_ != b_) { \
			test_note(__VA_ARGS__); \
			test_fail(__FILE__, __LINE__, "%s == %s: %lld, %lld", #_a, #_b, a_, b_); \
		} \
	} while (0)

/* A child that dies with its parent. 0 in the child. */
pid_t test_fork(void);
/* A child that runs fn(arg) and ends with status 0. */
pid_t test_spawn(void (*fn)(void *arg), void *arg);
/* Its wait status. */
int test_wait(pid_t pid);
/* It must have ended with status 0. */
void test_join(pid_t pid);
/* It must have died of this signal. */
void test_join_killed(pid_t pid, int sig);

/* Two processes take turns: each post wakes one wait. */
struct test_sync {
	int fd[2];
};
void test_sync_init(struct test_sync *sync);
void test_sync_post(struct test_sync *sync);
void test_sync_wait(struct test_sync *sync);
/* Zeroed memory that children share. */
void *test_shared(size_t len);
/* Memory that is free or could be at once, in KiB: to see whether many rounds of something leak. */
uint64_t test_free_kib(void);

#endif
