/* Other users of memory: anonymous pages (movable) and page tables (unmovable), each in a numbered slot. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "guest.h"

#define SLOTS 64
#define PAGE ((size_t)4096)
/* What one page of page-table entries maps. */
#define TABLE ((size_t)2 << 20)

static struct {
	char *start;
	size_t length;
} slots[SLOTS];

static uint64_t random_state;

static void seed_random(long seed)
{
	random_state = seed * 2654435761u + 88172645463325252ull;
}

/* xorshift64 */
static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 11;
}

/* Maps memory into a slot; tells the error and leaves the slot empty if that fails. */
static char *map_slot(long slot, size_t length, int protection, int flags, size_t extra)
{
	char *start = mmap(NULL, length + extra, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (start == MAP_FAILED) {
		reply_errno();
		slots[slot].length = 0;
		return NULL;
	}
	slots[slot].start = start;
	slots[slot].length = length;
	return start;
}

/* anon SLOT MIB: touches every page, without huge pages. */
void cmd_anon(char *arguments)
{
	long slot = 0, mib = 0;

	sscanf(arguments, "%ld %ld", &slot, &mib);
	size_t length = (size_t)mib << 20;
	char *start = map_slot(slot, length, PROT_READ | PROT_WRITE, 0, 0);

	if (start) {
		madvise(start, length, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < length; i += PAGE)
			start[i] = 1;
	}
	reply(",\"slot\":%ld,\"mib\":%ld", slot, mib);
}

/* punch SLOT PERMILLE SEED [RUN]: drops random runs of RUN pages. */
void cmd_punch(char *arguments)
{
	long slot = 0, permille = 0, seed = 0, run = 1;
	size_t dropped = 0;

	sscanf(arguments, "%ld %ld %ld %ld", &slot, &permille, &seed, &run);
	seed_random(seed);
	for (size_t i = 0; i < slots[slot].length; i += PAGE * run)
		if (next_random() % 1000 < (unsigned)permille) {
			size_t left = slots[slot].length - i, length = PAGE * run < left ? PAGE * run : left;

			madvise(slots[slot].start + i, length, MADV_DONTNEED);
			dropped += length / PAGE;
		}
	reply(",\"slot\":%ld,\"pages\":%zu", slot, dropped);
}

/* ptes SLOT COUNT: so many pages of page tables: reads a byte of each 2 MiB of a mapping. */
void cmd_ptes(char *arguments)
{
	long slot = 0, count = 0;

	sscanf(arguments, "%ld %ld", &slot, &count);
	size_t length = (size_t)count * TABLE;
	char *start = map_slot(slot, length, PROT_READ, MAP_NORESERVE, TABLE);

	if (start) {
		start = (char *)(((uintptr_t)start + TABLE - 1) & ~(uintptr_t)(TABLE - 1));
		slots[slot].start = start;
		madvise(start, length, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < length; i += TABLE)
			(void)*(volatile char *)(start + i);
	}
	reply(",\"slot\":%ld,\"n\":%ld", slot, count);
}

/* ptepunch SLOT PERMILLE SEED [SHUFFLE]: frees random page tables, in the order of their addresses or shuffled. */
void cmd_ptepunch(char *arguments)
{
	long slot = 0, permille = 0, seed = 0;
	int shuffle = 0;
	size_t freed = 0, failed = 0, chosen = 0;

	sscanf(arguments, "%ld %ld %ld %d", &slot, &permille, &seed, &shuffle);
	seed_random(seed);
	size_t tables = slots[slot].length / TABLE;
	uint32_t *order = malloc(tables * sizeof *order);

	for (size_t i = 0; i < tables; i++)
		if (next_random() % 1000 < (unsigned)permille)
			order[chosen++] = i;
	for (size_t i = chosen; shuffle && i > 1; i--) {
		size_t other = next_random() % i;
		uint32_t swapped = order[other];

		order[other] = order[i - 1];
		order[i - 1] = swapped;
	}
	for (size_t i = 0; i < chosen; i++)
		if (munmap(slots[slot].start + order[i] * TABLE, TABLE))
			failed++;
		else
			freed++;
	free(order);
	reply(",\"slot\":%ld,\"freed\":%zu,\"failed\":%zu", slot, freed, failed);
}

/* free SLOT */
void cmd_free(char *arguments)
{
	long slot = atol(arguments);

	if (slots[slot].length)
		munmap(slots[slot].start, slots[slot].length);
	slots[slot].length = 0;
	reply(",\"slot\":%ld", slot);
}
