// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libexo-graft: a file anew, with the graft's certificate in it. What was there stays where it is;
 * the certificate, the names of the sections and their table are put behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft_elf.h"

#define EXPORT __attribute__((visibility("default")))
#define ALIGNMENT 8

/* The new file; room is enough from the start. */
struct writer {
	uint8_t *data;
	size_t size;
};

static size_t append(struct writer *writer, const void *from, size_t size)
{
	size_t at = (writer->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

	memcpy(writer->data + at, from, size);
	writer->size = at + size;
	return at;
}

/* The names of the sections, with one more at their end: where they are in the new file. */
static size_t append_names(struct writer *writer, const struct elf_file *file, const char *name,
			   Elf64_Shdr *names)
{
	size_t at = append(writer, elf_section_data(file, file->header.e_shstrndx), names->sh_size);

	memcpy(writer->data + writer->size, name, strlen(name) + 1);
	writer->size += strlen(name) + 1;
	return at;
}

static int build(struct writer *writer, const struct elf_file *file,
		 const struct exo_graft_parts *parts)
{
	uint32_t count = file->sections, index, i;
	Elf64_Ehdr header = file->header;
	Elf64_Shdr *table, *names;
	char name[64];

	table = calloc(count + 1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		table[i] = elf_section(file, i);
	append(writer, file->data, file->size);
	snprintf(name, sizeof(name), "%s/%s", GRAFT_CERT_SECTION, parts->name);
	index = elf_section_find(file, name);
	if (!index) {
		index = count++;
		names = &table[header.e_shstrndx];
		table[index].sh_addralign = ALIGNMENT;
		table[index].sh_name = (uint32_t)names->sh_size;
		names->sh_offset = append_names(writer, file, name, names);
		names->sh_size += strlen(name) + 1;
	}
	table[index].sh_type = SHT_PROGBITS;
	table[index].sh_offset = append(writer, parts->cert, parts->cert_size);
	table[index].sh_size = parts->cert_size;
	header.e_shnum = (uint16_t)count;
	header.e_shoff = append(writer, table, count * sizeof(*table));
	memcpy(writer->data, &header, sizeof(header));
	free(table);
	return 0;
}

static int write_file(const char *path, const struct writer *writer)
{
	FILE *file = fopen(path, "we");
	int ret = 0;

	if (!file)
		return -errno;
	if (fwrite(writer->data, 1, writer->size, file) != writer->size)
		ret = -EIO;
	if (fclose(file) && !ret)
		ret = -errno;
	return ret;
}

/**
 * exo_graft_save() - write a graft's file anew, with its certificate in it
 * @object: proved: exo_graft_verify()
 * @from: the file that it was opened from
 * @to: may be the same
 *
 * Return: 0; -EINVAL: the object has no certificate, or @from is not such a file; -errno of reading
 * and writing. Thread-safe.
 */
EXPORT int exo_graft_save(const struct exo_graft_object *object, const char *from, const char *to)
{
	const struct exo_graft_parts *parts = exo_graft_object_parts(object);
	const struct elf_complaint nobody = { NULL, 0 };
	struct writer writer = { NULL, 0 };
	int saved = errno, ret;
	struct elf_file file;
	char *data = NULL;
	size_t size = 0;

	if (!parts->cert)
		return -EINVAL;
	ret = elf_read_file(from, &data, &size);
	if (!ret)
		ret = elf_file_check(&file, data, size, &nobody);
	if (ret)
		goto out;
	/* Twice the sections' table and names, the certificate, and what alignment needs. */
	writer.data = calloc(1, 3 * size + parts->cert_size + 4096);
	ret = writer.data ? build(&writer, &file, parts) : -ENOMEM;
	if (!ret)
		ret = write_file(to, &writer);
out:
	free(writer.data);
	free(data);
	errno = saved;
	return ret;
}
