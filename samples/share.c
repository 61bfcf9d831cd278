// SPDX-License-Identifier: GPL-2.0
/*
 * share: two processes, one capability.
 *
 * A parent allocates a frame, makes a capability for it and sends the 32 bytes through a pipe. The child
 * binds the frame, reads and writes it; a copy with fewer rights gives less; a forged one gives
 * nothing; after the parent revokes, the frame is gone from the child's memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exo/libexo.h>

#define PAGE 5

static const char *who;

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	if (ret == -ENOSPC)
		fprintf(stderr,
			"share: %s: the pool has no free frame; 'exoctl pool grow 512' as root adds some\n",
			what);
	else
		fprintf(stderr, "share: %s: %s: %s\n", who, what, exo_strerror(ret));
	exit(1);
}

static struct exo_env *open_env(void)
{
	struct exo_env *env;
	int ret = exo_env_open(&env, NULL);

	if (ret) {
		fprintf(stderr, "share: %s\n", exo_open_hint(ret));
		exit(1);
	}
	return env;
}

static struct exo_view *make_view(struct exo_env *env)
{
	struct exo_view *view;

	must(exo_view_create(env, &EXO_OPTS(exo_view, .pages = 512), &view), "make a view");
	return view;
}

static void put(int fd, const void *data, size_t length)
{
	if (write(fd, data, length) != (ssize_t)length)
		must(-EPIPE, "write to the pipe");
}

static void get(int fd, void *data, size_t length)
{
	if (read(fd, data, length) != (ssize_t)length)
		must(-EPIPE, "read from the pipe");
}

/* ---- the child ---- */

static sigjmp_buf gone;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(gone, 1);
}

static void forge(struct exo_env *env, const struct exo_cap *cap)
{
	struct exo_cap forged = *cap;

	forged.rights |= EXO_RIGHT_WRITE;
	printf("child:  a capability with one bit added: %s\n",
	       exo_strerror(exo_mem_import(env, &forged, NULL, NULL, NULL)));
}

static void child(int in, int out)
{
	struct exo_env *env = open_env();
	struct exo_view *view = make_view(env);
	struct exo_cap read_only, cap;
	uint32_t frame, rights;
	volatile char *text = exo_view_addr(view, PAGE);
	char byte;

	who = "child";
	get(in, &read_only, sizeof(read_only));
	must(exo_mem_import(env, &read_only, &frame, &rights, NULL), "import");
	printf("child:  got frame %u with rights %#x\n", frame, rights);
	forge(env, &read_only);
	printf("child:  binding it for writing: %s\n",
	       exo_strerror(exo_view_bind1(view, PAGE, frame, EXO_RIGHT_READ | EXO_RIGHT_WRITE)));
	must(exo_view_bind1(view, PAGE, frame, EXO_RIGHT_READ), "bind for reading");
	printf("child:  bound for reading, it says: %s\n", (const char *)text);

	put(out, "", 1);
	get(in, &cap, sizeof(cap));
	must(exo_mem_import(env, &cap, &frame, &rights, NULL), "import");
	must(exo_view_protect1(view, PAGE, EXO_RIGHT_READ | EXO_RIGHT_WRITE), "allow writing");
	strcpy((char *)exo_view_addr(view, PAGE), "the child was here");
	put(out, "", 1);

	get(in, &byte, 1);
	signal(SIGBUS, on_sigbus);
	if (sigsetjmp(gone, 1)) {
		printf("child:  the frame is gone (SIGBUS)\n");
	} else {
		byte = text[0];
		fprintf(stderr, "share: still there after revocation: %c\n", byte);
		exit(1);
	}
	printf("child:  the old capability: %s\n",
	       exo_strerror(exo_mem_import(env, &cap, NULL, NULL, NULL)));
	must(exo_view_destroy(view), "destroy the view");
	must(exo_env_close(env), "close");
	exit(0);
}

/* ---- the parent ---- */

static int parent(int in, int out)
{
	struct exo_env *env = open_env();
	struct exo_view *view = make_view(env);
	struct exo_cap cap, read_only;
	uint32_t frame;
	char byte;

	who = "parent";
	must(exo_mem_alloc_any(env, &frame, 1), "allocate a frame");
	must(exo_view_bind1(view, PAGE, frame, EXO_RIGHT_READ | EXO_RIGHT_WRITE), "bind");
	strcpy(exo_view_addr(view, PAGE), "written by the parent");
	must(exo_cap_create(env, EXO_CAP_FRAME, frame,
			    EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_DERIVE, &cap),
	     "make a capability");
	must(exo_cap_derive(env, &cap, EXO_RIGHT_READ, &read_only), "make a weaker one");
	printf("parent: frame %u, sending a capability for reading: %zu bytes\n", frame,
	       sizeof(read_only));
	put(out, &read_only, sizeof(read_only));
	get(in, &byte, 1);

	printf("parent: sending the one for writing\n");
	put(out, &cap, sizeof(cap));
	get(in, &byte, 1);
	printf("parent: the page now says: %s\n", (char *)exo_view_addr(view, PAGE));

	must(exo_cap_revoke_object(env, EXO_CAP_FRAME, frame), "revoke");
	printf("parent: revoked; I still read: %s\n", (char *)exo_view_addr(view, PAGE));
	put(out, "", 1);
	must(exo_view_destroy(view), "destroy the view");
	must(exo_env_close(env), "close");
	return 0;
}

int main(void)
{
	int down[2], up[2], status, ret;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pipe(down) || pipe(up)) {
		perror("share: pipe");
		return 1;
	}
	pid = fork();
	if (pid < 0) {
		perror("share: fork");
		return 1;
	}
	if (!pid) {
		close(down[1]);
		close(up[0]);
		child(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	ret = parent(up[0], down[1]);
	waitpid(pid, &status, 0);
	return ret || status;
}
