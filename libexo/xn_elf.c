// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libexo-graft: templates from ELF files. A file has the functions of a template in the sections owns, acl
 * and size; with several templates in it, owns/VARIANT ..., and what they share in owns ...
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft_elf.h"

#define EXPORT __attribute__((visibility("default")))
#define SECTION 64
#define HAS(opts, field) \
	((opts) && (opts)->sz >= \
	 offsetof(struct exo_xn_template_opts, field) + sizeof((opts)->field))

static int open_section(struct exo_graft_object **out_object, const void *data, size_t size,
			const char *section, const struct elf_complaint *complaint)
{
	struct exo_graft_open_opts opts = {
		.sz = sizeof(opts),
		.section = section,
		.error = complaint->text,
		.error_size = complaint->size,
	};

	return exo_graft_open_memory(out_object, data, size, &opts);
}

static int open_function(struct exo_graft_object **out_object, const void *data, size_t size,
			 const char *hook, const char *variant,
			 const struct elf_complaint *complaint)
{
	char section[SECTION];
	int ret = -EINVAL;

	if (variant) {
		if (snprintf(section, sizeof(section), "%s/%s", hook, variant) >= SECTION)
			return elf_complain(complaint, "the variant's name is too long");
		ret = open_section(out_object, data, size, section, complaint);
	}
	return ret == -EINVAL ? open_section(out_object, data, size, hook, complaint) : ret;
}

/**
 * exo_xn_template_install_memory() - install a template from an ELF file in memory
 * @xn: the disk
 * @data: the file; not needed afterwards
 * @size: bytes
 * @opts: @opts->name is required
 *
 * Return: as exo_xn_template_add(); -EINVAL: not such a file, @opts->error says why. Thread-safe, if
 * nobody else calls libbpf_set_print() at the same time.
 */
EXPORT int exo_xn_template_install_memory(struct exo_xn *xn, const void *data, size_t size,
					  const struct exo_xn_template_opts *opts)
{
	static const char *const hooks[3] = { "owns", "acl", "size" };
	struct exo_graft_object *objects[3] = { NULL };
	struct elf_complaint complaint = { NULL, 0 };
	int ret = 0, i;

	if (HAS(opts, error_size) && opts->error && opts->error_size) {
		complaint.text = opts->error;
		complaint.size = opts->error_size;
		complaint.text[0] = 0;
	}
	for (i = 0; i < 3 && !ret; i++)
		ret = open_function(&objects[i], data, size, hooks[i],
				    HAS(opts, variant) ? opts->variant : NULL, &complaint);
	if (!ret)
		ret = exo_xn_template_add(xn, objects[0], objects[1], objects[2], opts);
	for (i = 0; i < 3; i++)
		exo_graft_close(objects[i]);
	return ret;
}

/**
 * exo_xn_template_install() - install a template from an ELF file
 * @xn: the disk
 * @path: made with clang -O2 -g -target bpf -mcpu=v3 -c
 * @opts: @opts->name is required
 *
 * Return: as exo_xn_template_install_memory(), or -errno of opening and reading the file.
 */
EXPORT int exo_xn_template_install(struct exo_xn *xn, const char *path,
				   const struct exo_xn_template_opts *opts)
{
	struct elf_complaint complaint = { NULL, 0 };
	int saved = errno, ret;
	char *data = NULL;
	size_t size = 0;

	if (HAS(opts, error_size) && opts->error && opts->error_size) {
		complaint.text = opts->error;
		complaint.size = opts->error_size;
	}
	ret = elf_read_file(path, &data, &size);
	if (ret)
		elf_complain(&complaint, "can't read %s: %s", path,
			     ret == -EINVAL ? "not a file, or too large" : strerror(-ret));
	else
		ret = exo_xn_template_install_memory(xn, data, size, opts);
	free(data);
	errno = saved;
	return ret;
}
