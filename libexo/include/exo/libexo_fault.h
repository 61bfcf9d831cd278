/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults: in place (upcall), or in a monitor thread. Include <exo/libexo.h>, not this. */
#ifndef EXO_LIBEXO_FAULT_H
#define EXO_LIBEXO_FAULT_H

/**
 * struct exo_fault - an access to a page of a view that is not bound with the rights it needs
 * @env: the environment
 * @view: the view
 * @page: the page
 * @flags: EXO_FAULT_WRITE, EXO_FAULT_PROT
 * @address: the address that was touched; for a monitor: the page's
 * @ip: the instruction; for a monitor: NULL
 * @thread: for a monitor: the thread that waits; for an upcall: 0 (it is the calling thread)
 * @level: 0; 1 to EXO_UPCALL_LEVELS - 1 for an upcall inside an upcall
 */
struct exo_fault {
	struct exo_env *env;
	struct exo_view *view;
	uint32_t page;
	uint32_t flags;
	void *address;
	void *ip;
	uint32_t thread;
	uint32_t level;
};

/*
 * 0: try the access again. Negative: can't; the access ends as if nobody had been registered:
 * SIGBUS. An upcall runs on its own stack in the place of the access, like a signal handler without
 * a signal: only what is async-signal-safe may be called, unless the code that touches views holds
 * no lock and is in no function that the handler needs too. Calls on views always may. errno is
 * preserved. It may leave for good with exo_fault_leave() and then siglongjmp() to a sigsetjmp(...,
 * 1).
 */
typedef int (*exo_fault_fn)(struct exo_fault *fault, void *ctx);

/**
 * struct exo_fault_opts - options of exo_fault_register()
 * @sz: size of this struct
 * @stack: bytes of stack for each level; default 64 KiB
 */
struct exo_fault_opts {
	size_t sz;
	size_t stack;
};

/* Faults of the calling thread in env's views call fn. -EBUSY: it has one already. */
int exo_fault_register(struct exo_env *env, exo_fault_fn fn, void *ctx,
		       const struct exo_fault_opts *opts);
/* Of the calling thread, which is in no handler (-EBUSY). The end of a thread does it too. */
int exo_fault_unregister(struct exo_env *env);
/* In a handler, right before siglongjmp(): gives the level back; blocks all signals. */
void exo_fault_leave(struct exo_fault *fault);

/*
 * A thread that serves faults in a view made with EXO_VIEW_MONITOR of threads without an upcall. fn
 * runs in it; 0: the waiting thread tries again; negative: it stays where it is (exo_view_wake()
 * ends that). The monitor itself must touch no unbound page of the view.
 */
int exo_monitor_start(struct exo_view *view, exo_fault_fn fn, void *ctx);
/* Returns after its last call of fn has. Not from fn (-EDEADLK). */
int exo_monitor_stop(struct exo_view *view);

#endif
