// SPDX-License-Identifier: GPL-2.0
/*
 * What exoctl's subcommands share: opening, errors, units, names.
 */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "exoctl.h"

#define BUFFERS 8
#define BUFFER_SIZE 64

/* Small texts for one printf: each call gets the next buffer. */
static char *buffer(void)
{
	static char buffers[BUFFERS][BUFFER_SIZE];
	static unsigned int next;

	return buffers[next++ % BUFFERS];
}

static error_t parse_json(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

static const struct argp_option json_options[] = {
	{ "json", 'j', NULL, 0, "JSON instead of text", 0 },
	{ 0 }
};

const struct argp exoctl_json_argp = { json_options, parse_json, NULL, NULL, NULL, NULL, NULL };

struct exo_env *exoctl_open(void)
{
	struct exo_env *env;
	int ret;

	ret = exo_env_open(&env, NULL);
	if (ret < 0) {
		fprintf(stderr, "exoctl: %s\n", exo_open_hint(ret));
		exit(EXOCTL_NO_EXO);
	}
	return env;
}

static __attribute__((format(printf, 1, 0))) void complain(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("exoctl: ", stderr);
	vfprintf(stderr, fmt, ap);
}

int exoctl_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXOCTL_FAILED;
}

int exoctl_fail_errno(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	if (err == -EPERM)
		fputs(": only root (CAP_SYS_ADMIN) may do this; use sudo\n", stderr);
	else
		fprintf(stderr, ": %s\n", exo_strerror(err));
	return EXOCTL_FAILED;
}

void exoctl_print_json(cJSON *json, bool compact)
{
	char *text;

	text = compact ? cJSON_PrintUnformatted(json) : cJSON_Print(json);
	if (!text) {
		exoctl_fail("out of memory");
		exit(EXOCTL_FAILED);
	}
	puts(text);
	free(text);
	cJSON_Delete(json);
}

struct exo_env_status *exoctl_environments(struct exo_env *env, size_t *out_count)
{
	struct exo_env_status *rows = NULL, *more;
	uint64_t own = exo_env_info(env)->out_env, start = 0;
	const uint32_t chunk = 128;
	size_t count = 0;
	int n, i;

	do {
		more = realloc(rows, (count + chunk) * sizeof(*rows));
		if (!more) {
			exoctl_fail("out of memory");
			exit(EXOCTL_FAILED);
		}
		rows = more;
		n = exo_env_list(env, rows + count, chunk, start);
		if (n < 0) {
			exoctl_fail_errno(n, "can't list the environments");
			exit(EXOCTL_FAILED);
		}
		for (i = 0, more = rows + count; i < n; i++) {
			start = more[i].out_env;
			if (start != own)
				rows[count++] = more[i];
		}
	} while (n == (int)chunk);
	*out_count = count;
	return rows;
}

bool exoctl_parse_u64(const char *text, uint64_t *out_value)
{
	char *end;

	/* strtoull() would take blanks and a minus sign. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out_value = strtoull(text, &end, 10);
	return !errno && !*end;
}

bool exoctl_parse_u32(const char *text, uint32_t *out_value)
{
	uint64_t value;

	if (!exoctl_parse_u64(text, &value) || value > UINT32_MAX)
		return false;
	*out_value = (uint32_t)value;
	return true;
}

bool exoctl_parse_frames(const char *text, uint32_t *out_frames)
{
	static const struct {
		const char *suffix;
		uint64_t bytes;
	} units[] = {
		{ "", EXO_PAGE_SIZE },	{ "frames", EXO_PAGE_SIZE }, { "K", 1ULL << 10 },
		{ "M", 1ULL << 20 },	{ "G", 1ULL << 30 },	     { "KiB", 1ULL << 10 },
		{ "MiB", 1ULL << 20 },	{ "GiB", 1ULL << 30 },
	};
	uint64_t value;
	size_t i;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcasecmp(end, units[i].suffix))
			break;
	if (i == sizeof(units) / sizeof(units[0]))
		return false;
	if (__builtin_mul_overflow(value, units[i].bytes, &value) ||
	    __builtin_add_overflow(value, EXO_PAGE_SIZE - 1, &value))
		return false;
	value >>= EXO_PAGE_SHIFT;
	if (value > UINT32_MAX)
		return false;
	*out_frames = (uint32_t)value;
	return true;
}

uint32_t exoctl_size_arg(const char *arg, const char *example, struct argp_state *state)
{
	uint32_t frames = 0;

	if (!exoctl_parse_frames(arg, &frames) || !frames)
		argp_error(state, "\"%s\": expected a number of frames, or a size such as %s", arg,
			   example);
	return frames;
}

bool exoctl_parse_user(const char *text, uint32_t *out_uid)
{
	const struct passwd *pw;

	if (exoctl_parse_u32(text, out_uid))
		return true;
	pw = getpwnam(text);
	if (!pw)
		return false;
	*out_uid = pw->pw_uid;
	return true;
}

const char *exoctl_user(uint32_t uid)
{
	const struct passwd *pw = getpwuid(uid);
	char *text = buffer();

	if (uid == EXO_XN_NOBODY)
		snprintf(text, BUFFER_SIZE, "-");
	else if (pw)
		snprintf(text, BUFFER_SIZE, "%s", pw->pw_name);
	else
		snprintf(text, BUFFER_SIZE, "%" PRIu32, uid);
	return text;
}

const char *exoctl_size(uint64_t frames)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double size = (double)frames * (EXO_PAGE_SIZE / 1024.0);
	char *text = buffer();
	size_t unit = 0;

	while (size >= 1024 && unit < 3) {
		size /= 1024;
		unit++;
	}
	snprintf(text, BUFFER_SIZE, "%.*f %s", size < 10 && size != (unsigned int)size ? 1 : 0,
		 size, units[unit]);
	return text;
}

const char *exoctl_limit(uint32_t limit)
{
	char *text;

	if (limit == EXOCTL_UNLIMITED)
		return "unlimited";
	text = buffer();
	snprintf(text, BUFFER_SIZE, "%" PRIu32, limit);
	return text;
}

void exoctl_json_limit(cJSON *object, const char *name, uint32_t limit)
{
	if (limit == EXOCTL_UNLIMITED)
		cJSON_AddNullToObject(object, name);
	else
		cJSON_AddNumberToObject(object, name, limit);
}

const char *exoctl_comm(uint32_t pid)
{
	char path[48], *text = buffer();
	FILE *file;

	text[0] = 0;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/comm", pid);
	file = pid ? fopen(path, "r") : NULL;
	if (!file)
		return text;
	if (fgets(text, BUFFER_SIZE, file))
		text[strcspn(text, "\n")] = 0;
	fclose(file);
	return text;
}

bool exoctl_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
	       !(term && !strcmp(term, "dumb"));
}
