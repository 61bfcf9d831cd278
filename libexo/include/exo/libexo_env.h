/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Environments, events, revocation, quotas, capabilities. Include <exo/libexo.h>, not this. */
#ifndef EXO_LIBEXO_ENV_H
#define EXO_LIBEXO_ENV_H

/**
 * struct exo_env_opts - options of exo_env_open()
 * @sz: size of this struct
 * @path: device; NULL: $EXO_DEVICE, else /dev/exo
 */
struct exo_env_opts {
	size_t sz;
	const char *path;
};

int exo_env_open(struct exo_env **out_env, const struct exo_env_opts *opts);
/* -EBUSY while the environment has views or windows, or a registered fault handler. */
int exo_env_close(struct exo_env *env);

int exo_env_fd(const struct exo_env *env);
/* What module, kernel and machine offer; read once at open, valid until close, never NULL. */
const struct exo_info *exo_env_info(const struct exo_env *env);
int exo_env_status(struct exo_env *env, struct exo_env_status *out_status);
/* Rows written (at most count), of environments whose number is above start. */
int exo_env_list(struct exo_env *env, struct exo_env_status *rows, uint32_t count, uint64_t start);
/* The frame table, mapped read only; valid until close. Entries change as you look. */
int exo_env_table(struct exo_env *env, const struct exo_table **out_table);

/* What to do about a failure of exo_env_open(), for a person to read; err may have either sign. */
const char *exo_open_hint(int err);
/* What an errno means when exo says it; err may have either sign. */
const char *exo_strerror(int err);

/* Events ------------------------------------------------------------------------------------- */

/* Signal this eventfd at each event; fd -1: none. */
int exo_env_eventfd(struct exo_env *env, int fd);
/* The next event: 0, or -EAGAIN if there is none. Faults of a monitored view go to its monitor. */
int exo_env_event_next(struct exo_env *env, struct exo_event *out_event);
/* The same, but waits: timeout_ms -1 for ever; -ETIMEDOUT, -EINTR. */
int exo_env_event_wait(struct exo_env *env, struct exo_event *out_event, int timeout_ms);
/* Events lost because nobody read them in time, ever. */
uint64_t exo_env_event_lost(struct exo_env *env);

/**
 * struct exo_revoke - frames are wanted back
 * @env: from this environment
 * @wanted: how many frames in total must be given back now
 * @why: EXO_WHY_*; 0 if the event was lost, or older than the handler
 * @deadline_ns: then they are taken (CLOCK_MONOTONIC)
 */
struct exo_revoke {
	struct exo_env *env;
	uint32_t wanted;
	uint32_t why;
	uint64_t deadline_ns;
};

typedef void (*exo_revoke_fn)(const struct exo_revoke *revoke, void *ctx);
typedef void (*exo_event_fn)(struct exo_env *env, const struct exo_event *event, void *ctx);

/* Who exo_env_dispatch() calls when frames are wanted; fn NULL: nobody. */
int exo_env_on_revoke(struct exo_env *env, exo_revoke_fn fn, void *ctx);
/* Who it calls for every event that has no other handler. */
int exo_env_on_event(struct exo_env *env, exo_event_fn fn, void *ctx);
/* Waits for events (timeout_ms -1 for ever, 0 not at all), calls handlers: how many. */
int exo_env_dispatch(struct exo_env *env, int timeout_ms);
/* A thread that dispatches until it is stopped. All signals are blocked in it. */
int exo_env_service_start(struct exo_env *env);
/* Returns after the thread's last handler has. Not from a handler (-EDEADLK). */
int exo_env_service_stop(struct exo_env *env);

/* Quotas ------------------------------------------------------------------------------------- */

/* uid's limits; flags 0 or EXO_QUOTA_DEFAULT. Own uid, or CAP_SYS_ADMIN. */
int exo_quota_get(struct exo_env *env, uint32_t uid, uint32_t flags, struct exo_quota *out_quota);
/* quota->flags says which limits to set; CAP_SYS_ADMIN. quota->size is set here. */
int exo_quota_set(struct exo_env *env, struct exo_quota *quota);

/* Capabilities ------------------------------------------------------------------------------- */

/* A capability for an own object; kind EXO_CAP_FRAME: object is a frame. rights: EXO_RIGHT_*. */
int exo_cap_create(struct exo_env *env, uint32_t kind, uint64_t object, uint32_t rights,
		   struct exo_cap *out_cap);
/* A weaker one: rights are a subset of cap's, which has EXO_RIGHT_DERIVE. */
int exo_cap_derive(struct exo_env *env, const struct exo_cap *cap, uint32_t rights,
		   struct exo_cap *out_cap);
/* All capabilities of cap's object become stale; cap has EXO_RIGHT_REVOKE. */
int exo_cap_revoke(struct exo_env *env, const struct exo_cap *cap);
/* The same, by the owner of the object. */
int exo_cap_revoke_object(struct exo_env *env, uint32_t kind, uint64_t object);
/* 0 if cap is good for at least these rights, else -EACCES or -ESTALE. */
int exo_cap_check(struct exo_env *env, const struct exo_cap *cap, uint32_t rights);

#endif
