// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl: shows and sets what exo has, from a shell. See exoctl(8).
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exoctl.h"

static const struct exoctl_command commands[] = {
	{ "status", exoctl_status, "what module, kernel and machine offer; the pool; your limits" },
	{ "env", exoctl_env, "environments: frames held, asked back, given back, taken" },
	{ "quota", exoctl_quota, "limits of users; set them" },
	{ "pool", exoctl_pool, "a picture of the pool; grow and shrink it" },
	{ "watch", exoctl_watch, "what happens, as it happens" },
	{ "revoke", exoctl_revoke, "ask an environment for frames" },
	{ "graft", exoctl_graft, "check or run a graft; show and kill those that are loaded" },
	{ "disk", exoctl_disk, "format, attach, detach, check disks; a map of who has what" },
	{ "root", exoctl_root, "what users keep on a disk: list, chown, limit, export, delete, release" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	size_t i;

	fprintf(out, "usage: exoctl COMMAND [ARGUMENTS]\n\n");
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\nEach command knows --json and --help. See exoctl(8).\n");
}

static const struct exoctl_command *find(const char *name)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct exoctl_command *command;
	char name[64];

	setlocale(LC_ALL, "");
	argp_err_exit_status = EXOCTL_USAGE;
	if (argc < 2) {
		usage(stderr);
		return EXOCTL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXOCTL_OK;
	}
	command = find(argv[1]);
	if (!command) {
		fprintf(stderr, "exoctl: there is no command \"%s\"\n", argv[1]);
		usage(stderr);
		return EXOCTL_USAGE;
	}
	snprintf(name, sizeof(name), "exoctl %s", command->name);
	argv[1] = name;
	return command->run(argc - 1, argv + 1);
}
