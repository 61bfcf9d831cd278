// SPDX-License-Identifier: GPL-2.0
/*
 * calibrate: is one nanosecond one instruction, and is this program alone on the CPU?
 *
 * Under -icount shift=0 a loop of 10^8 instructions takes 10^8 ns of CLOCK_MONOTONIC, unless
 * something else (boot-time kernel workers) runs, too. Figures that were measured while the loop
 * is off by more than 0.5 % are worth nothing.
 *
 *   calibrate              print nanoseconds per 1000 instructions; exit 1 when off
 *   calibrate --wait SECS  sleep and try again until it is right three times in a row
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INSTRUCTIONS	100000000L
#define TOLERANCE	0.005
#define GOOD_IN_A_ROW	3

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double ns_per_instruction(void)
{
	long rounds = INSTRUCTIONS / 2;
	double start = now();

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
	return (now() - start) / (double)INSTRUCTIONS;
}

static int is_right(double ratio)
{
	return ratio > 1 - TOLERANCE && ratio < 1 + TOLERANCE;
}

static int wait_until_right(int seconds)
{
	const struct timespec pause = { .tv_nsec = 500 * 1000 * 1000 };
	double deadline = now() + seconds * 1e9, ratio = 0;
	int good = 0;

	while (good < GOOD_IN_A_ROW) {
		ratio = ns_per_instruction();
		if (is_right(ratio)) {
			good++;
			continue;
		}
		good = 0;
		if (now() > deadline) {
			fprintf(stderr,
				"calibrate: still %.4f ns per instruction after %d s; is the guest "
				"run with ICOUNT=1, and is it idle?\n", ratio, seconds);
			return 1;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	double ratio;

	if (argc == 3 && !strcmp(argv[1], "--wait"))
		return wait_until_right(atoi(argv[2]));
	if (argc != 1) {
		fprintf(stderr, "usage: calibrate [--wait SECONDS]\n");
		return 2;
	}
	ratio = ns_per_instruction();
	printf("%.3f\n", ratio * 1000);
	if (!is_right(ratio)) {
		fprintf(stderr, "calibrate: %.4f ns per instruction, more than 0.5 %% off\n", ratio);
		return 1;
	}
	return 0;
}
