// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl graft: check a graft without loading it; those that are loaded.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft.h"

struct verb {
	const char *name;
	int (*run)(const struct graft_request *req);
	enum { NOTHING, FILE_NAME, NUMBER } wants;
};

static const struct verb verbs[] = {
	{ "check", graft_check, FILE_NAME },
	{ "list", graft_list, NOTHING },
	{ "show", graft_show, NUMBER },
	{ "kill", graft_kill, NUMBER },
	{ "run", graft_run, FILE_NAME },
};

struct parsing {
	struct graft_request req;
	const struct verb *verb;
	bool has_object;
};

static const struct verb *verb_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

const char *graft_mode_name(uint32_t mode)
{
	static const char *const names[] = { "best", "proof", "sandbox", "interp" };

	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "?";
}

static bool parse_mode(const char *text, uint32_t *out_mode)
{
	uint32_t mode;

	for (mode = EXO_GRAFT_PROOF; mode <= EXO_GRAFT_INTERP; mode++) {
		if (!strcmp(text, graft_mode_name(mode))) {
			*out_mode = mode;
			return true;
		}
	}
	return false;
}

static bool parse_number(const char *text, uint64_t *out_value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out_value = strtoull(text, &end, 0);
	return !errno && !*end;
}

static void parse_arg(struct parsing *parsing, char *arg, struct argp_state *state)
{
	struct graft_request *req = &parsing->req;

	if (!parsing->verb) {
		parsing->verb = verb_find(arg);
		if (!parsing->verb)
			argp_error(state, "\"%s\": expected check, list, show, kill or run", arg);
	} else if (parsing->has_object || parsing->verb->wants == NOTHING) {
		argp_error(state, "what is \"%s\"?", arg);
	} else if (parsing->verb->wants == FILE_NAME) {
		req->file = arg;
		parsing->has_object = true;
	} else {
		if (!exoctl_parse_u32(arg, &req->graft) || !req->graft)
			argp_error(state, "\"%s\": expected the number of a graft (exoctl graft list)",
				   arg);
		parsing->has_object = true;
	}
}

static void parse_end(struct parsing *parsing, struct argp_state *state)
{
	if (!parsing->verb)
		argp_error(state, "what is to be done? check FILE, list, show GRAFT, kill GRAFT or "
			   "run FILE");
	else if (!parsing->has_object && parsing->verb->wants == FILE_NAME)
		argp_error(state, "which file? It is made with clang -O2 -g -target bpf -mcpu=v3 -c");
	else if (!parsing->has_object && parsing->verb->wants == NUMBER)
		argp_error(state, "which graft? exoctl graft list shows their numbers");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	struct graft_request *req = &parsing->req;

	switch (key) {
	case 'n':
		req->name = arg;
		return 0;
	case 'o':
		req->out = arg;
		return 0;
	case 'c':
		req->code = true;
		return 0;
	case 's':
		req->code = req->sandbox = true;
		return 0;
	case 'm':
		if (!parse_mode(arg, &req->mode))
			argp_error(state, "--mode=%s: expected proof, sandbox or interp", arg);
		return 0;
	case 'a':
		if (req->nr_args == 4 || !parse_number(arg, &req->args[req->nr_args]))
			argp_error(state, "--arg=%s: expected up to four numbers", arg);
		req->nr_args++;
		return 0;
	case 'd':
		req->data = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &req->json;
		return 0;
	case ARGP_KEY_ARG:
		parse_arg(parsing, arg, state);
		return 0;
	case ARGP_KEY_END:
		parse_end(parsing, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int graft_open(const struct graft_request *req, struct exo_graft_object **out_object)
{
	char error[512] = "";
	int ret;

	ret = exo_graft_open(out_object, req->file,
			     &EXO_OPTS(exo_graft_open, .name = req->name, .error = error,
				       .error_size = sizeof(error)));
	if (!ret)
		return EXOCTL_OK;
	return error[0] ? exoctl_fail("%s", error) : exoctl_fail_errno(ret, "%s", req->file);
}

int exoctl_graft(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "name", 'n', "FUNCTION", 0, "which function, if the file has several grafts", 0 },
		{ "code", 'c', NULL, 0, "check: show the instructions that run, with what is "
		  "inserted", 0 },
		{ "sandbox", 's', NULL, 0, "check: with --code, the instructions in the sandbox, too", 0 },
		{ "out", 'o', "FILE", 0, "check: write the file with its certificate here", 0 },
		{ "mode", 'm', "MODE", 0, "run: proof, sandbox or interp; without it the best that "
		  "is possible", 0 },
		{ "arg", 'a', "NUMBER", 0, "run: arg[0]; again: arg[1] ...", 0 },
		{ "data", 'd', "FILE", 0, "run: the input", 0 },
		{ 0 }
	};
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse, "check FILE\nlist\nshow GRAFT\nkill GRAFT\nrun FILE",
		"Grafts: check one without loading it, show those that are loaded (yours; all to "
		"root), abort one and let it run no more, run one.",
		children, NULL, NULL,
	};
	struct parsing parsing = { 0 };

	if (argp_parse(&argp, argc, argv, 0, NULL, &parsing))
		return EXOCTL_USAGE;
	return parsing.verb->run(&parsing.req);
}
