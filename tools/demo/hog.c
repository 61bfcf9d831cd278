// SPDX-License-Identifier: GPL-2.0
/*
 * hog FRAMES RESERVE_MB: takes memory from Linux until exo has asked its environments for so many more
 * frames, or until only the reserve is left available. Then lets it go. For root, who sees everybody.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <exo/libexo.h>

#define STEP (4UL << 20)
#define ROWS 256

static uint64_t asked(struct exo_env *env)
{
	static struct exo_env_status rows[ROWS];
	uint64_t sum = 0;
	int n, i;

	n = exo_env_list(env, rows, ROWS, 0);
	for (i = 0; i < n; i++)
		sum += rows[i].out_asked;
	return sum;
}

static unsigned long available_mb(void)
{
	unsigned long kb = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lu", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb >> 10;
}

static void pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* If memory runs out all the same, this process goes first. */
static void volunteer(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "w");

	if (file) {
		fputs("1000", file);
		fclose(file);
	}
}

int main(int argc, char **argv)
{
	unsigned long reserve, eaten = 0;
	uint64_t before, wanted, now;
	struct exo_env *env;
	char *memory;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: hog FRAMES RESERVE_MB\n");
		return 2;
	}
	wanted = strtoull(argv[1], NULL, 10);
	reserve = strtoul(argv[2], NULL, 10);
	volunteer();
	ret = exo_env_open(&env, NULL);
	if (ret < 0) {
		fprintf(stderr, "hog: %s\n", exo_open_hint(ret));
		return 1;
	}
	now = before = asked(env);
	while (now - before < wanted && available_mb() > reserve) {
		memory = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			break;
		memset(memory, 1, STEP);
		eaten += STEP;
		/* Time for an answer: it is pressure that counts, not speed. */
		now = asked(env);
		if (now > before || available_mb() < 2 * reserve)
			pause_ms(20);
	}
	printf("%lu %" PRIu64 "\n", eaten >> 20, now - before);
	fflush(stdout);
	pause_ms(200);
	exo_env_close(env);
	return 0;
}
