// SPDX-License-Identifier: GPL-2.0
/* The rest of the engine's interface, refused. */
#include "core/xn_core.h"

int exo_xn_format(const struct exo_xn_host *host, void *priv, const struct exo_xn_format_opts *opts)
{ (void)host; (void)priv; (void)opts; return -EOPNOTSUPP; }
int exo_xn_attach(const struct exo_xn_host *host, void *priv, u64 blocks, u32 broken, struct exo_xn **out)
{ (void)host; (void)priv; (void)blocks; (void)broken; (void)out; return -EOPNOTSUPP; }
void *exo_xn_priv(struct exo_xn *xn)
{ return xn->priv; }
int exo_xn_detach(struct exo_xn *xn)
{ (void)xn; return -EOPNOTSUPP; }
void exo_xn_free(struct exo_xn *xn)
{ (void)xn; }
int exo_xn_grow(struct exo_xn *xn, u64 blocks)
{ (void)xn; (void)blocks; return -EOPNOTSUPP; }
void exo_xn_stat(struct exo_xn *xn, struct exo_xn_stat *out)
{ (void)xn; (void)out; }
int exo_xn_checkpoint(struct exo_xn *xn)
{ (void)xn; return -EOPNOTSUPP; }
int exo_xn_template_add(struct exo_xn *xn, const struct exo_xn_who *who, const char *name,
			const u32 *refs, u32 head_bytes, u32 part_bytes, const void *content,
			u32 length, struct exo_graft_error *err, u32 *func, u32 *out)
{ (void)xn; (void)who; (void)name; (void)refs; (void)head_bytes; (void)part_bytes; (void)content; (void)length; (void)err; (void)func; (void)out; return -EOPNOTSUPP; }
int exo_xn_template_remove(struct exo_xn *xn, const struct exo_xn_who *who, u32 number)
{ (void)xn; (void)who; (void)number; return -EOPNOTSUPP; }
struct exo_xn_template_core *exo_xn_template(struct exo_xn *xn, u32 number)
{ (void)xn; (void)number; return NULL; }
struct exo_xn_root_core *exo_xn_root(struct exo_xn *xn, u32 number)
{ (void)xn; (void)number; return NULL; }
int exo_xn_root_create(struct exo_xn *xn, const struct exo_xn_who *who, const char *name,
		       u32 template, u32 flags, u64 near, u64 max_blocks, const u8 *key,
		       const void *bytes, u32 length, u32 *out_root)
{ (void)xn; (void)who; (void)name; (void)template; (void)flags; (void)near; (void)max_blocks; (void)key; (void)bytes; (void)length; (void)out_root; return -EOPNOTSUPP; }
int exo_xn_root_delete(struct exo_xn *xn, const struct exo_xn_who *who, u32 root)
{ (void)xn; (void)who; (void)root; return -EOPNOTSUPP; }
int exo_xn_root_chown(struct exo_xn *xn, u32 root, u32 uid)
{ (void)xn; (void)root; (void)uid; return -EOPNOTSUPP; }
int exo_xn_root_limit(struct exo_xn *xn, u32 root, u64 max_blocks)
{ (void)xn; (void)root; (void)max_blocks; return -EOPNOTSUPP; }
int exo_xn_root_release(struct exo_xn *xn, u32 root)
{ (void)xn; (void)root; return -EOPNOTSUPP; }
int exo_xn_unit_load(struct exo_xn *xn, u32 root, u64 parent, u64 block, struct exo_xn_unit **out)
{ (void)xn; (void)root; (void)parent; (void)block; (void)out; return -EOPNOTSUPP; }
struct exo_xn_unit *exo_xn_unit_find(struct exo_xn *xn, u32 root, u64 block)
{ (void)xn; (void)root; (void)block; return NULL; }
void exo_xn_unit_get(struct exo_xn_unit *unit)
{ (void)unit; }
void exo_xn_unit_put(struct exo_xn *xn, struct exo_xn_unit *unit)
{ (void)xn; (void)unit; }
bool exo_xn_may(struct exo_xn *xn, const struct exo_xn_unit *unit, const struct exo_xn_who *who,
		u32 right, u32 slot, u64 block, u32 count)
{ (void)xn; (void)unit; (void)who; (void)right; (void)slot; (void)block; (void)count; return false; }
int exo_xn_bind_check(struct exo_xn *xn, const struct exo_xn_unit *unit, const struct exo_xn_who *who,
		      u64 block, u32 count, u32 rights)
{ (void)xn; (void)unit; (void)who; (void)block; (void)count; (void)rights; return -EOPNOTSUPP; }
int exo_xn_apply(struct exo_xn *xn, const struct exo_xn_who *who, u32 root,
		 const struct exo_xn_step_core *steps, u32 nr_steps, u32 *out_step, u64 *out_block)
{ (void)xn; (void)who; (void)root; (void)steps; (void)nr_steps; (void)out_step; (void)out_block; return -EOPNOTSUPP; }
int exo_xn_commit(struct exo_xn *xn, u64 *out_seq)
{ (void)xn; (void)out_seq; return -EOPNOTSUPP; }
int exo_xn_commit_written(struct exo_xn *xn)
{ (void)xn; return -EOPNOTSUPP; }
int exo_xn_walk_begin(struct exo_xn *xn, bool repair, struct exo_xn_walk **out)
{ (void)xn; (void)repair; (void)out; return -EOPNOTSUPP; }
int exo_xn_walk_step(struct exo_xn_walk *walk, u32 units)
{ (void)walk; (void)units; return -EOPNOTSUPP; }
void exo_xn_walk_show(const struct exo_xn_walk *walk, struct exo_xn_check *out)
{ (void)walk; (void)out; }
void exo_xn_walk_end(struct exo_xn_walk *walk)
{ (void)walk; }
