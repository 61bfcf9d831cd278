// SPDX-License-Identifier: GPL-2.0
#include <linux/cpufeature.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include "compat/cpuid.h"
#include "mem/pool.h"

/* Pages that one way of the largest cache holds: as told by a cache leaf that lists all caches. */
static u32 colours_of_leaf(u32 leaf)
{
	u32 eax, ebx, ecx, edx, i, colours = 1;
	u64 way;

	for (i = 0; i < 8; i++) {
		cpuid_count(leaf, i, &eax, &ebx, &ecx, &edx);
		if (!(eax & 0x1f))
			break;
		/* Type 2 is an instruction cache. Line size and sets are stored minus one. */
		if ((eax & 0x1f) == 2)
			continue;
		way = ((ebx & 0xfff) + 1ULL) * (ecx + 1ULL);
		colours = clamp_t(u64, way >> PAGE_SHIFT, colours, U16_MAX);
	}
	return colours;
}

/* The same as told by AMD's older leaf, which has the level 3 cache in units of 512 KiB. */
static u32 colours_of_old_amd(void)
{
	static const u8 ways[16] = { 0, 1, 2, 0, 4, 0, 8, 0, 16, 0, 32, 48, 64, 96, 128 };
	u32 eax, ebx, ecx, edx, assoc, bytes;

	cpuid_count(0x80000006, 0, &eax, &ebx, &ecx, &edx);
	assoc = ways[edx >> 12 & 0xf];
	bytes = (edx >> 18) << 19;
	if (!assoc || !bytes) {
		assoc = ways[ecx >> 12 & 0xf];
		bytes = ecx >> 16 << 10;
	}
	return assoc ? clamp_t(u32, (bytes / assoc) >> PAGE_SHIFT, 1, U16_MAX) : 1;
}

/**
 * exo_colours_count() - how many page colours this machine has
 *
 * Pages that are a multiple of this apart compete for the same sets of the largest cache.
 *
 * Return: at least 1.
 */
u32 exo_colours_count(void)
{
	if (boot_cpu_has(X86_FEATURE_TOPOEXT))
		return colours_of_leaf(0x8000001d);
	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD && boot_cpu_data.cpuid_level >= 4)
		return colours_of_leaf(4);
	if (boot_cpu_data.extended_cpuid_level >= 0x80000006)
		return colours_of_old_amd();
	return 1;
}
