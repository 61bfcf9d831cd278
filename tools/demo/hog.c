// SPDX-License-Identifier: GPL-2.0
/*
 * hog FRAMES: takes memory from Linux until exo has asked its environments for so many more frames.
 * Then lets it go. The less is left the slower it goes: it is pressure that counts, and there must
 * be time to answer. For root, who sees everybody.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <exo/libexo.h>

#define STEP (4UL << 20)
#define SMALL_STEP (256UL << 10)
#define LITTLE_MB 48	/* from here on in small steps */
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
	unsigned long step, eaten = 0;
	uint64_t before, wanted, now;
	struct exo_env *env;
	char *memory;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: hog FRAMES\n");
		return 2;
	}
	wanted = strtoull(argv[1], NULL, 10);
	volunteer();
	ret = exo_env_open(&env, NULL);
	if (ret < 0) {
		fprintf(stderr, "hog: %s\n", exo_open_hint(ret));
		return 1;
	}
	now = before = asked(env);
	while (now - before < wanted) {
		step = available_mb() > LITTLE_MB ? STEP : SMALL_STEP;
		memory = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		if (memory == MAP_FAILED)
			break;
		memset(memory, 1, step);
		eaten += step;
		now = asked(env);
		if (step == SMALL_STEP)
			pause_ms(now > before ? 20 : 2);
	}
	printf("%lu %" PRIu64 "\n", eaten >> 20, now - before);
	fflush(stdout);
	pause_ms(200);
	exo_env_close(env);
	return 0;
}
