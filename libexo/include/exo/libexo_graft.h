/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grafts: code of this program's that runs in the kernel. Include <exo/libexo.h>, not this. */
#ifndef EXO_LIBEXO_GRAFT_H
#define EXO_LIBEXO_GRAFT_H

struct exo_graft_object;
struct exo_graft;

/* Objects: a graft's code, from clang -target bpf ------------------------------------------------ */

/* Where a slot comes from; text is the line itself, NULL if the object has none. */
struct exo_graft_line {
	uint32_t slot;
	uint32_t line;
	uint32_t column;
	uint32_t reserved;
	const char *file;
	const char *text;
};

/* A variable in the state window. */
struct exo_graft_var {
	const char *name;
	uint32_t offset;
	uint32_t size;
};

/**
 * struct exo_graft_parts - what a graft consists of
 * @sz: size of this struct
 * @name: for people
 * @hook: enum exo_graft_hook_id
 * @nr_insns: slots
 * @insns: BPF instructions, 8 bytes a slot; addresses are EXO_PSEUDO_*, calls are of helpers
 * @consts: read-only data, @const_size bytes
 * @const_size: bytes
 * @state_size: bytes of state, 0: none; the window has whole pages
 * @state: what it holds at first; NULL: zeros
 * @lines: by rising slot; may be NULL
 * @vars: may be NULL
 * @nr_lines: length of @lines
 * @nr_vars: length of @vars
 * @cert: a certificate from elsewhere; NULL: it is made here when it is needed
 * @cert_size: bytes
 */
struct exo_graft_parts {
	size_t sz;
	const char *name;
	uint32_t hook;
	uint32_t nr_insns;
	const void *insns;
	const void *consts;
	uint32_t const_size;
	uint32_t state_size;
	const void *state;
	const struct exo_graft_line *lines;
	const struct exo_graft_var *vars;
	uint32_t nr_lines;
	uint32_t nr_vars;
	const void *cert;
	size_t cert_size;
};

/**
 * struct exo_graft_open_opts - options of exo_graft_open() and exo_graft_open_memory()
 * @sz: size of this struct
 * @name: which function of the file; NULL: the only one that is a graft
 * @error: room for a sentence about what is wrong; may be NULL
 * @error_size: bytes there
 * @section: only what is in this section ("fault"); NULL: whatever is a graft
 */
struct exo_graft_open_opts {
	size_t sz;
	const char *name;
	char *error;
	size_t error_size;
	const char *section;
};

/*
 * These three read ELF, with libbpf: link libexo-graft (pkg-config --libs libexo-graft). Everything
 * else is in libexo, which needs no libbpf. -EINVAL: not a graft, opts->error says why; -ENOENT.
 */
int exo_graft_open(struct exo_graft_object **out_object, const char *path,
		   const struct exo_graft_open_opts *opts);
int exo_graft_open_memory(struct exo_graft_object **out_object, const void *data, size_t size,
			  const struct exo_graft_open_opts *opts);
/* Writes the file from that object was opened from anew, with object's certificate; to may be from. */
int exo_graft_save(const struct exo_graft_object *object, const char *from, const char *to);
/* An object from parts, which are copied. */
int exo_graft_object_create(struct exo_graft_object **out_object,
			    const struct exo_graft_parts *parts);
/* Grafts that were loaded from it stay. */
void exo_graft_close(struct exo_graft_object *object);
/* Valid until close; with the certificate, if there is one by now. */
const struct exo_graft_parts *exo_graft_object_parts(const struct exo_graft_object *object);

/**
 * struct exo_graft_verdict - what is to be said of an object before it is loaded
 * @decoded: it is in the language; else nothing but @error means anything
 * @proved: it has a certificate that the module's checker accepts
 * @mixed: proved, but the budget is counted all the same
 * @barriers: speculation barriers that proof mode inserts
 * @stack: bytes of stack
 * @proof_len: slots after lowering for proof mode
 * @sandbox_len: slots after lowering for the sandbox; 0: it doesn't fit
 * @budget: of the hook
 * @worst: what the dearest run charges; ~0: not known
 * @cert_size: bytes
 * @error: why it isn't decoded or proved
 */
struct exo_graft_verdict {
	uint32_t decoded;
	uint32_t proved;
	uint32_t mixed;
	uint32_t barriers;
	uint32_t stack;
	uint32_t proof_len;
	uint32_t sandbox_len;
	uint32_t budget;
	uint64_t worst;
	uint64_t cert_size;
	struct exo_graft_error error;
};

/* Decodes, proves and checks, without a module; the certificate stays in the object. */
int exo_graft_verify(struct exo_graft_object *object, struct exo_graft_verdict *out_verdict);

/* A sentence about error: source line, instruction, register. object may be NULL. Its length. */
int exo_graft_error_text(const struct exo_graft_object *object, const struct exo_graft_error *error,
			 char *text, size_t size);
/* The name of a hook, NULL if there is no such; its number, -ENOENT. */
const char *exo_graft_hook_name(uint32_t hook);
int exo_graft_hook_number(const char *name);
/* How a run ended, for a person: enum exo_graft_status. */
const char *exo_graft_status_text(uint32_t status);

/**
 * struct exo_graft_listing - one instruction
 * @slot: where it is
 * @origin: the slot of the graft that it is, or was inserted for
 * @inserted: it isn't the author's
 * @second: the second half of the one before
 * @raw: its 8 bytes
 * @text: for people
 * @line: its source, or NULL
 */
struct exo_graft_listing {
	uint32_t slot;
	uint32_t origin;
	uint32_t inserted;
	uint32_t second;
	uint64_t raw;
	const char *text;
	const struct exo_graft_line *line;
};

typedef void (*exo_graft_listing_fn)(const struct exo_graft_listing *listing, void *ctx);

/* mode 0: as it was written; EXO_GRAFT_PROOF (after exo_graft_verify()), EXO_GRAFT_SANDBOX. */
int exo_graft_disassemble(struct exo_graft_object *object, uint32_t mode, exo_graft_listing_fn fn,
			  void *ctx);

/* What a certificate says of one jump target. */
typedef void (*exo_graft_record_fn)(uint32_t slot, const char *text, void *ctx);

/* Shows the certificate, if there is one by now: how many records. */
int exo_graft_certificate(const struct exo_graft_object *object, exo_graft_record_fn fn, void *ctx);

/* Loaded grafts ---------------------------------------------------------------------------------- */

/**
 * struct exo_graft_load_opts - options of exo_graft_load()
 * @sz: size of this struct
 * @mode: exactly this enum exo_graft_mode; 0: proof, else the sandbox, else interpreted
 * @flags: EXO_GRAFT_LOAD_NO_BARRIERS or 0
 * @name: for people; NULL: the object's
 * @error: room for a sentence about why it wasn't loaded, or, with mode 0, not as a proof ("" if
 *	it was); may be NULL
 * @error_size: bytes there
 */
struct exo_graft_load_opts {
	size_t sz;
	uint32_t mode;
	uint32_t flags;
	const char *name;
	char *error;
	size_t error_size;
};

/* Loads it, maps its state and fills that with its first content. */
int exo_graft_load(struct exo_env *env, struct exo_graft_object *object,
		   const struct exo_graft_load_opts *opts, struct exo_graft **out_graft);
/* It is detached everywhere; its state is unmapped. The environment can't be closed before. */
int exo_graft_unload(struct exo_graft *graft);

uint32_t exo_graft_id(const struct exo_graft *graft);
/* The mode that it got: enum exo_graft_mode. */
uint32_t exo_graft_mode(const struct exo_graft *graft);
/* What the module said at load: the fields out_*. */
const struct exo_graft_load *exo_graft_loaded(const struct exo_graft *graft);
/* The state, shared with the running graft; NULL if it has none. out_size may be NULL. */
void *exo_graft_state(const struct exo_graft *graft, size_t *out_size);
/* A variable in it; NULL if there is none of this name. out_size may be NULL. */
void *exo_graft_state_var(const struct exo_graft *graft, const char *name, size_t *out_size);

/**
 * struct exo_graft_attach_opts - options of exo_graft_attach()
 * @sz: size of this struct
 * @view: fault hook: whose faults
 * @cookie: the graft finds it in its context
 * @replace: instead of the one that is attached there; no fault or request falls between
 * @reserved: 0
 * @cap: graft is NULL, and this capability names it
 */
struct exo_graft_attach_opts {
	size_t sz;
	struct exo_view *view;
	uint64_t cookie;
	uint32_t replace;
	uint32_t reserved;
	const struct exo_cap *cap;
};

int exo_graft_attach(struct exo_env *env, struct exo_graft *graft,
		     const struct exo_graft_attach_opts *opts);
/* The hook's default again; view as at attach. No run is under way there when it returns. */
int exo_graft_detach(struct exo_env *env, uint32_t hook, struct exo_view *view);

/* Runs it in the kernel now; invoke's size and graft are set here. Hooks pure, stream, txn. */
int exo_graft_run(struct exo_graft *graft, struct exo_graft_invoke *invoke);

/* By number, also other programs': own ones, all with CAP_SYS_ADMIN. */
int exo_graft_status(struct exo_env *env, uint32_t graft, struct exo_graft_info *out_info);
/* Rows written (at most count), of grafts whose number is above start. */
int exo_graft_list(struct exo_env *env, struct exo_graft_info *rows, uint32_t count,
		   uint64_t start);
/* Entries written (at most count), from number start on. */
int exo_graft_log(struct exo_env *env, uint32_t graft, struct exo_graft_trace *entries,
		  uint32_t count, uint64_t start);
/* Aborts what runs of it, and it runs no more; its hooks do their default. */
int exo_graft_kill(struct exo_env *env, uint32_t graft);

#endif
