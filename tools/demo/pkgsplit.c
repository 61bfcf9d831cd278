// SPDX-License-Identifier: GPL-2.0
/*
 * pkgsplit DIR MAX CHUNK <stanzas: Debian package stanzas as tables for SQLite's .import.
 *
 * Reads the format of apt's package lists and of dpkg's status file. At most MAX packages, in files
 * of CHUNK: DIR/package.N and DIR/depends.N, in SQLite's ascii mode (fields end in 0x1f, rows in
 * 0x1e). Prints how many packages, dependencies and files there are.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD '\x1f'
#define ROW '\x1e'

enum {
	NAME, VERSION, SECTION, PRIORITY, INSTALLED, SIZE, MAINTAINER, DESCRIPTION, DEPENDS, PRE,
	FIELDS
};

static const char *const keys[FIELDS] = {
	"Package", "Version", "Section", "Priority", "Installed-Size", "Size", "Maintainer",
	"Description", "Depends", "Pre-Depends",
};

struct output {
	const char *dir;
	FILE *package;
	FILE *depends;
	unsigned long packages, dependencies, files, chunk;
};

static void die(const char *what)
{
	fprintf(stderr, "pkgsplit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static FILE *create(const char *dir, const char *name, unsigned long n)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%lu", dir, name, n);
	file = fopen(path, "w");
	if (!file)
		die(path);
	return file;
}

static void close_files(struct output *out)
{
	if (out->package && (fclose(out->package) || fclose(out->depends)))
		die(out->dir);
	out->package = NULL;
	out->depends = NULL;
}

static void next_files(struct output *out)
{
	close_files(out);
	out->package = create(out->dir, "package", out->files);
	out->depends = create(out->dir, "depends", out->files);
	out->files++;
}

/* "a (>= 1) | b:any, c" as rows: package, name, which alternative. */
static void write_depends(struct output *out, unsigned long id, const char *text)
{
	unsigned int alternative = 0;
	const char *end;
	int depth;

	while (text && *text) {
		while (isspace((unsigned char)*text))
			text++;
		end = text;
		while (*end && !strchr(" ,|:(", *end))
			end++;
		if (end > text) {
			fprintf(out->depends, "%lu%c%.*s%c%u%c", id, FIELD, (int)(end - text), text,
				FIELD, alternative, ROW);
			out->dependencies++;
		}
		for (depth = 0; *end && (depth || (*end != ',' && *end != '|')); end++)
			depth += (*end == '(') - (*end == ')');
		alternative = *end == '|' ? alternative + 1 : 0;
		text = *end ? end + 1 : end;
	}
}

static const char *value_or_default(char *const *values, int i)
{
	if (values[i])
		return values[i];
	return i == INSTALLED || i == SIZE ? "0" : "";
}

static void write_stanza(struct output *out, char *const *values)
{
	unsigned long id;
	int i;

	if (!values[NAME])
		return;
	if (out->packages % out->chunk == 0)
		next_files(out);
	id = ++out->packages;
	fprintf(out->package, "%lu", id);
	for (i = NAME; i <= DESCRIPTION; i++)
		fprintf(out->package, "%c%s", FIELD, value_or_default(values, i));
	fputc(ROW, out->package);
	write_depends(out, id, values[PRE]);
	write_depends(out, id, values[DEPENDS]);
}

static void keep_value(char **values, char *line)
{
	char *colon = strchr(line, ':');
	int i;

	if (!colon || isspace((unsigned char)*line))
		return;
	*colon++ = 0;
	while (*colon == ' ')
		colon++;
	for (i = 0; i < FIELDS; i++) {
		if (strcmp(line, keys[i]))
			continue;
		free(values[i]);
		values[i] = strdup(colon);
	}
}

static void forget(char **values)
{
	int i;

	for (i = 0; i < FIELDS; i++) {
		free(values[i]);
		values[i] = NULL;
	}
}

int main(int argc, char **argv)
{
	struct output out = { 0 };
	char *values[FIELDS] = { 0 }, *line = NULL;
	unsigned long max;
	size_t size = 0;

	if (argc != 4 || !(max = strtoul(argv[2], NULL, 10)) ||
	    !(out.chunk = strtoul(argv[3], NULL, 10))) {
		fprintf(stderr, "usage: pkgsplit DIR MAX CHUNK <stanzas\n");
		return 2;
	}
	out.dir = argv[1];
	while (out.packages < max && getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (*line) {
			keep_value(values, line);
			continue;
		}
		write_stanza(&out, values);
		forget(values);
	}
	if (out.packages < max)
		write_stanza(&out, values);
	forget(values);
	free(line);
	close_files(&out);
	if (!out.packages) {
		fprintf(stderr, "pkgsplit: there is no package in the input\n");
		return 1;
	}
	printf("%lu %lu %lu\n", out.packages, out.dependencies, out.files);
	return 0;
}
