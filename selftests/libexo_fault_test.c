// SPDX-License-Identifier: GPL-2.0
/* libexo's fault handlers on the module: in the thread itself (upcalls), and in a monitor thread. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "libexo_setup.h"
#include "storm.h"

/* Upcalls -------------------------------------------------------------------------------------- */

static struct {
	volatile unsigned int upcalls, wrong, bus, deepest;
	int answer;
	bool leave;
	sigjmp_buf jump;
} now;

static int bind_it(struct exo_fault *fault, void *ctx)
{
	int ret;

	__atomic_fetch_add(&now.upcalls, 1, __ATOMIC_RELAXED);
	if (fault->level > now.deepest)
		now.deepest = fault->level;
	if (ctx != &now || exo_view_page(fault->view, fault->address) != fault->page)
		now.wrong++;
	if (now.answer)
		return now.answer;
	if (now.leave) {
		exo_fault_leave(fault);
		siglongjmp(now.jump, 1);
	}
	if (fault->flags & EXO_FAULT_PROT)
		return exo_view_protect1(fault->view, fault->page, RW);
	ret = exo_view_bind1(fault->view, fault->page, frames[fault->page % POOL], RW);
	return ret == -EBUSY ? 0 : ret;
}

static void reset(void)
{
	memset(&now, 0, sizeof(now));
}

LIBEXO_TEST(libexo__upcall)
{
	struct exo_fault_opts small = EXO_OPTS(exo_fault, .stack = 4096);
	struct exo_view *view = view_of(64, 0, 0);
	uint32_t page;

	reset();
	CHECK(exo_fault_unregister(env) == -ENOENT);
	CHECK(exo_fault_register(env, bind_it, &now, &small) == -EINVAL);
	CHECK(exo_fault_register(env, bind_it, &now, NULL) == 0);
	CHECK(exo_fault_register(env, bind_it, &now, NULL) == -EBUSY);
	for (page = 0; page < 64; page++)
		*word(view, page) = page;
	CHECK(now.upcalls == 64 && !now.wrong && !now.deepest);
	for (page = 0; page < 64; page++)
		CHECK(*word(view, page) == page);
	/* a store to a page that is bound for reading */
	CHECK(exo_view_protect1(view, 5, EXO_RIGHT_READ) == 0);
	*word(view, 5) = 99;
	CHECK(now.upcalls == 65 && *word(view, 5) == 99);
	CHECK(exo_env_close(env) == -EBUSY);
	CHECK(exo_fault_unregister(env) == 0);
	CHECK(exo_fault_register(env, bind_it, &now, NULL) == 0);
	CHECK(exo_view_unbind1(view, 6) == 0);
	CHECK(*word(view, 6) == 6 && now.upcalls == 66);
	CHECK(exo_fault_unregister(env) == 0);
	CHECK(exo_view_destroy(view) == 0);
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	now.bus++;
	if (info->si_code != BUS_ADRERR)
		now.wrong++;
	if (now.answer) {
		now.answer = 0;
		return;
	}
	siglongjmp(now.jump, 1);
}

LIBEXO_TEST(libexo__upcall_refusal)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO }, old;
	struct exo_view *view = view_of(8, 0, 0);

	reset();
	sigaction(SIGBUS, &action, &old);
	/* nobody: the module's own SIGBUS */
	if (!sigsetjmp(now.jump, 1))
		*word(view, 1) = 1;
	CHECK(now.bus == 1 && !now.upcalls);
	/* refused once, then tried again */
	CHECK(exo_fault_register(env, bind_it, &now, NULL) == 0);
	now.answer = -EACCES;
	*word(view, 1) = 1;
	CHECK(now.bus == 2 && now.upcalls == 2 && !now.wrong && *word(view, 1) == 1);
	/* left for good, more often than there are levels */
	now.leave = true;
	for (volatile int i = 0; i < 2 * EXO_UPCALL_LEVELS; i++)
		if (!sigsetjmp(now.jump, 1))
			*word(view, 2) = 1;
	CHECK(now.upcalls == 2 + 2 * EXO_UPCALL_LEVELS && !now.deepest);
	CHECK(exo_fault_unregister(env) == 0);
	sigaction(SIGBUS, &old, NULL);
	CHECK(exo_view_destroy(view) == 0);
}

static struct exo_view *storm_view;
static volatile uint32_t alarms, rounds;

static void on_alarm(int sig)
{
	uint32_t page = 128 + alarms % 128;

	(void)sig;
	exo_view_unbind1(storm_view, page);
	*word(storm_view, page) = page;
	alarms++;
	storm_next(rounds, alarms);
}

LIBEXO_TEST(libexo__upcall_signal_storm)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	time_t end = time(NULL) + 3;
	double sum = 0, third = 1.0 / 3;
	bool good = true;

	reset();
	storm_view = view_of(256, 0, 0);
	CHECK(exo_fault_register(env, bind_it, &now, NULL) == 0);
	alarms = 0;
	rounds = 0;
	signal(SIGALRM, on_alarm);
	storm_next(rounds, alarms);
	while (time(NULL) < end || rounds < 300 || alarms < 300) {
		uint32_t page = rounds++ % 128;

		exo_view_unbind1(storm_view, page);
		*word(storm_view, page) = rounds;
		good = good && *word(storm_view, page) == rounds;
		sum += third;
	}
	signal(SIGALRM, SIG_IGN);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	CHECK(good && !now.wrong);
	CHECK(sum > rounds / 3.0 - 1 && sum < rounds / 3.0 + 1);
	CHECK(now.upcalls >= rounds + alarms);
	CHECK(exo_fault_unregister(env) == 0);
	CHECK(exo_view_destroy(storm_view) == 0);
}

static void *many_main(void *arg)
{
	struct exo_view *view = arg;
	uint32_t round, page;

	if (exo_fault_register(env, bind_it, &now, NULL))
		now.wrong++;
	for (round = 0; round < 2; round++)
		for (page = 0; page < 8; page++) {
			*word(view, page);
			exo_view_unbind1(view, page);
		}
	/* the end of the thread unregisters */
	return NULL;
}

LIBEXO_TEST(libexo__upcall_threads)
{
	struct exo_view *view = view_of(8, 0, 0);
	pthread_t threads[8];
	unsigned int round, i;

	reset();
	/* more threads than slots, one after the other: none may stay behind */
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 8; i++)
			pthread_create(&threads[i], NULL, many_main, view);
		for (i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
	}
	CHECK(!now.wrong && now.upcalls > 80);
	CHECK(exo_view_destroy(view) == 0);
}

LIBEXO_TEST(libexo__upcall_fork)
{
	struct exo_view *view = view_of(8, 0, 0);
	int status = -1;
	pid_t child;

	reset();
	CHECK(exo_fault_register(env, bind_it, &now, NULL) == 0);
	*word(view, 1) = 1;
	fflush(stdout);
	child = fork();
	if (!child) {
		struct exo_env *own;
		int good;

		/* the parent's registration is not the child's; it may have one of its own */
		good = exo_fault_register(env, bind_it, &now, NULL) == 0;
		good = good && exo_fault_unregister(env) == 0;
		good = good && exo_env_open(&own, NULL) == 0 && exo_env_close(own) == 0;
		_exit(good ? 0 : 1);
	}
	waitpid(child, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	*word(view, 2) = 2;
	CHECK(now.upcalls == 2);
	CHECK(exo_fault_unregister(env) == 0);
	CHECK(exo_view_destroy(view) == 0);
}

/* Monitors ------------------------------------------------------------------------------------- */

static void *touch_all(void *arg)
{
	struct exo_view *view = arg;
	uint32_t page;

	for (page = 0; page < exo_view_pages(view); page++)
		*word(view, page) = page;
	return NULL;
}

LIBEXO_TEST(libexo__monitor)
{
	struct exo_view *view = view_of(64, 0, EXO_VIEW_MONITOR);
	pthread_t early, late[4];
	unsigned int i;

	reset();
	/* a thread that waits already when the monitor comes */
	pthread_create(&early, NULL, touch_all, view);
	usleep(50000);
	CHECK(exo_monitor_start(view, bind_it, &now) == 0);
	CHECK(exo_monitor_start(view, bind_it, &now) == -EBUSY);
	for (i = 0; i < 4; i++)
		pthread_create(&late[i], NULL, touch_all, view);
	pthread_join(early, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(late[i], NULL);
	CHECK(now.upcalls >= 64 && !now.wrong);
	CHECK(exo_view_destroy(view) == -EBUSY);
	CHECK(exo_monitor_stop(view) == 0);
	CHECK(exo_monitor_stop(view) == -ENOENT);
	CHECK(exo_view_destroy(view) == 0);
}
