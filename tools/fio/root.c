// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <exo/libexo.h>

#include <fio.h>

#include "root.h"

__asm__(".pushsection .rodata\n"
	"template_elf: .incbin \"exo-fio.bpf.o\"\n"
	"template_elf_end:\n"
	".popsection\n");
extern const char template_elf[] __attribute__((visibility("hidden")));
extern const char template_elf_end[] __attribute__((visibility("hidden")));

int complain(const char *what, int ret)
{
	log_err("exo-fio: %s: %s\n", what, exo_strerror(ret));
	return 1;
}

int disk_open(const struct options *o, struct exo_env **env, struct exo_xn **xn)
{
	struct exo_xn_open_opts opts = { .sz = sizeof(opts) };
	char *end;
	int ret;

	ret = exo_env_open(env, NULL);
	if (ret) {
		log_err("exo-fio: no environment: %s\n", exo_open_hint(ret));
		return 1;
	}
	if (o->disk) {
		opts.disk = (uint32_t)strtoul(o->disk, &end, 10);
		if (*end) {
			opts.disk = 0;
			opts.name = !strncmp(o->disk, "/dev/", 5) ? o->disk + 5 : o->disk;
		}
	}
	ret = exo_xn_open(*env, &opts, xn);
	if (!ret)
		return 0;
	exo_env_close(*env);
	return complain(o->disk ? "that disk is not attached (exoctl disk attach)" :
				  "there is not one attached disk: say which (exo_disk)", ret);
}

void disk_close(struct exo_env *env, struct exo_xn *xn)
{
	exo_xn_close(xn);
	exo_env_close(env);
}

static int install_template(struct exo_xn *xn)
{
	char error[256] = "";
	int ret = exo_xn_template_install_memory(
		xn, template_elf, (size_t)(template_elf_end - template_elf),
		&EXO_OPTS(exo_xn_template, .name = "exo-fio", .error = error,
			  .error_size = sizeof(error)));

	if (ret < 0)
		log_err("exo-fio: the template isn't taken: %s %s\n", exo_strerror(ret), error);
	return ret;
}

const char *root_name(const struct options *o)
{
	return o->root ? o->root : "fio";
}

int root_find(const struct options *o, struct exo_xn *xn, int make, struct exo_xn_root *root,
	      struct fio_unit *unit)
{
	int ret = exo_xn_root_find(xn, root_name(o), root);

	if (ret == -ENOENT && make) {
		ret = install_template(xn);
		if (ret < 0)
			return 1;
		memset(unit, 0, sizeof(*unit));
		unit->length = o->extent / FIO_BLOCK;
		ret = exo_xn_root_create(xn, root_name(o), (uint32_t)ret, unit, FIO_BLOCK,
					 &EXO_OPTS(exo_xn_root_create,
						   .flags = o->durable ? 0 : EXO_XN_ROOT_TEMPORARY),
					 NULL);
		if (ret >= 0)
			ret = exo_xn_root(xn, (uint32_t)ret, root);
	}
	if (!ret)
		ret = exo_xn_read(xn, root->root, root->out_block, root->out_block, unit,
				  sizeof(*unit));
	if (ret < 0)
		return complain(root_name(o), ret);
	if (ret == sizeof(*unit) && unit->nr <= FIO_EXTENTS && unit->length &&
	    unit->length <= UINT32_MAX)
		return 0;
	log_err("exo-fio: the root %s isn't one of exo-fio's\n", root_name(o));
	return 1;
}

/* One more extent. */
static int grow(struct exo_xn *xn, const struct exo_xn_root *root, struct fio_unit *unit, uint64_t count)
{
	struct fio_extent *extent = &unit->extent[unit->nr];
	struct exo_xn_change *change;
	uint64_t block;
	int ret;

	ret = exo_xn_find_free(xn, unit->nr ? extent[-1].block + extent[-1].count : 0,
			       (uint32_t)count, &block);
	if (!ret)
		ret = exo_xn_change_begin(xn, root->root, &change);
	if (ret)
		return ret;
	*extent = (struct fio_extent){ block, count };
	unit->nr++;
	exo_xn_change_write(change, root->out_block, 0, unit, sizeof(*unit));
	exo_xn_change_alloc(change, root->out_block, block, (uint32_t)count, EXO_XN_DATA);
	ret = exo_xn_change_apply(change, EXO_XN_APPLY_COMMIT, NULL);
	exo_xn_change_end(change);
	if (ret)
		unit->nr--;
	return ret;
}

uint64_t root_blocks(const struct fio_unit *unit)
{
	return unit->nr ? (unit->nr - 1) * unit->length + unit->extent[unit->nr - 1].count : 0;
}

int root_enlarge(struct exo_xn *xn, const struct exo_xn_root *root, struct fio_unit *unit, uint64_t blocks)
{
	uint64_t have, count;
	int ret;

	while ((have = root_blocks(unit)) < blocks) {
		if (unit->nr == FIO_EXTENTS || have % unit->length) {
			log_err("exo-fio: the root has %llu blocks and can't grow to %llu: delete it (exoctl root delete), "
				"or larger extents (exo_extent)\n",
				(unsigned long long)have, (unsigned long long)blocks);
			return 1;
		}
		count = blocks - have < unit->length ? blocks - have : unit->length;
		ret = grow(xn, root, unit, count);
		if (ret == -EBUSY)
			continue;	/* somebody was faster */
		if (ret)
			return complain("no blocks for the root", ret);
	}
	return 0;
}
