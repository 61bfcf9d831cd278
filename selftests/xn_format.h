/* SPDX-License-Identifier: GPL-2.0 */
/* The format of units in xn_test: a list of what it points at. For the test and its functions. */
#ifndef EXO_TEST_XN_FORMAT_H
#define EXO_TEST_XN_FORMAT_H

#define XT_PUBLIC 1U	/* everybody may read it */
#define XT_GROUP 2U	/* so may who is in the group of unit->group */
#define XT_KEY 4U	/* and who presents the root's key may write it */
#define XT_LOOP 8U	/* owns doesn't end */
#define XT_FLOOD 16U	/* owns says more than anybody could keep */
#define XT_CLOSED 32U	/* not even its owner may do anything with data */
#define XT_SLOW 64U	/* owns takes nearly as long as it may */
#define XT_SLOWLY 100000U

struct xt_entry {
	unsigned long long block;
	unsigned int count;
	unsigned int slot;
};

struct xt_unit {
	unsigned int nr;
	unsigned int flags;
	unsigned int blocks;
	unsigned int group;
	struct xt_entry e[255];
};

#endif
