/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm of signals. Each asks for the next: a timer that repeats would leave nothing to the program where a signal
 * takes longer than its interval (the debug kernel on a slow machine).
 */
#ifndef EXO_TEST_STORM_H
#define EXO_TEST_STORM_H

#include <stdint.h>
#include <sys/time.h>

/*
 * SIGALRM, once. Who got nowhere since the last one (@rounds is what it was) has twice as long. The delays differ, to
 * hit each instruction of an upcall some time.
 */
static inline void storm_next(uint32_t rounds, uint32_t signals)
{
	static uint32_t seen, us = 150;
	struct itimerval next;

	us = rounds != seen ? 150 : us < 100000 ? 2 * us : us;
	seen = rounds;
	next = (struct itimerval){ { 0, 0 }, { 0, us + 37 * (signals % 16) } };
	setitimer(ITIMER_REAL, &next, NULL);
}

#endif
