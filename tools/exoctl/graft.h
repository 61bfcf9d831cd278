/* SPDX-License-Identifier: GPL-2.0 */
/* exoctl graft: what its files share. */
#ifndef EXOCTL_GRAFT_H
#define EXOCTL_GRAFT_H

#include "exoctl.h"

/**
 * struct graft_request - the command line
 * @json: JSON instead of text
 * @name: which function of the file; NULL: the only one
 * @out: check: where the file with its certificate goes, or NULL
 * @mode: run: enum exo_graft_mode, 0: the best
 * @code: check: show the instructions
 * @sandbox: check: those of the sandbox, too
 * @args: run: arg[0] ...
 * @data: run: file with the input, or NULL
 * @file: check, run
 * @graft: show, kill
 */
struct graft_request {
	bool json;
	const char *name;
	const char *out;
	uint32_t mode;
	bool code;
	bool sandbox;
	uint64_t args[4];
	uint32_t nr_args;
	const char *data;
	const char *file;
	uint32_t graft;
};

/* Opens req->file, or says why not: an enum exoctl_exit. */
int graft_open(const struct graft_request *req, struct exo_graft_object **out_object);
const char *graft_mode_name(uint32_t mode);

int graft_check(const struct graft_request *req);
int graft_list(const struct graft_request *req);
int graft_show(const struct graft_request *req);
int graft_kill(const struct graft_request *req);
int graft_run(const struct graft_request *req);

#endif
