/* SPDX-License-Identifier: GPL-2.0 */
/* A call of libexo that must succeed; if not, the test says what it returned. */
#ifndef EXO_TEST_GOOD_H
#define EXO_TEST_GOOD_H

#include <exo/libexo.h>

#include "harness.h"

#define GOOD(call) \
	do { \
		int good_ = (call); \
		if (good_ < 0) \
			FAIL("%s: %s (%d)", #call, exo_strerror(good_), good_); \
	} while (0)

#endif
