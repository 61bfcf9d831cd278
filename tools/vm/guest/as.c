// SPDX-License-Identifier: GPL-2.0
/*
 * as USER COMMAND [ARGS]: run a command as an ordinary user of the guest, with the groups that
 * /etc/group gives that user. Static and without NSS, because the guest has no libc files.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_GROUPS 16

struct user {
	uid_t uid;
	gid_t gid;
	char home[64];
};

static int find_user(const char *name, struct user *user)
{
	char line[256], who[32];
	FILE *file = fopen("/etc/passwd", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%31[^:]:%*[^:]:%u:%u:%*[^:]:%63[^:]", who, &user->uid,
			   &user->gid, user->home) == 4 && !strcmp(who, name)) {
			fclose(file);
			return 0;
		}
	}
	if (file)
		fclose(file);
	return -ENOENT;
}

static int has_member(char *members, const char *name)
{
	char *member;

	for (member = strtok(members, ",\n"); member; member = strtok(NULL, ",\n"))
		if (!strcmp(member, name))
			return 1;
	return 0;
}

static int find_groups(const char *name, gid_t *groups, int count)
{
	char line[256], members[128];
	FILE *file = fopen("/etc/group", "re");
	gid_t gid;

	while (file && count < MAX_GROUPS && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*[^:]:%*[^:]:%u:%127s", &gid, members) == 2 &&
		    has_member(members, name))
			groups[count++] = gid;
	}
	if (file)
		fclose(file);
	return count;
}

int main(int argc, char **argv)
{
	gid_t groups[MAX_GROUPS];
	struct user user;
	int count;

	if (argc < 3) {
		fprintf(stderr, "usage: as USER COMMAND [ARGS]\n");
		return 2;
	}
	if (find_user(argv[1], &user)) {
		fprintf(stderr, "as: no user %s in /etc/passwd of the guest\n", argv[1]);
		return 2;
	}
	groups[0] = user.gid;
	count = find_groups(argv[1], groups, 1);
	if (setgroups(count, groups) || setgid(user.gid) || setuid(user.uid)) {
		fprintf(stderr, "as: cannot become %s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	setenv("HOME", user.home, 1);
	setenv("USER", argv[1], 1);
	execvp(argv[2], argv + 2);
	fprintf(stderr, "as: cannot run %s: %s\n", argv[2], strerror(errno));
	return 127;
}
