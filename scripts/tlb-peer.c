/* A plain C TLB beside which fragsim's is measured: move-to-front LRU, one level of 128x12 or two of 16x4 and 128x12,
 * one page size. The accesses are those of benches/tlb.rs. Prints million translations per second of CPU time. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ACCESSES = 10000000, FIRST_SETS = 16, FIRST_WAYS = 4, SETS = 128, WAYS = 12 };

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

static uint64_t *zipf_pages(uint64_t pages, double skew) {
  double total = 0, *sums = malloc(pages * sizeof *sums);
  uint64_t *list = malloc(ACCESSES * sizeof *list), state = 88172645463325252ull;
  for (uint64_t rank = 0; rank < pages; rank++) sums[rank] = total += pow(rank + 1, -skew);
  for (int at = 0; at < ACCESSES; at++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    double wanted = (state >> 11) * 0x1p-53 * total;
    uint64_t low = 0, high = pages;
    while (low < high) {
      uint64_t middle = (low + high) / 2;
      if (sums[middle] < wanted) low = middle + 1; else high = middle;
    }
    list[at] = low * 0x9e3779b97f4a7c15ull >> (64 - __builtin_ctzll(pages));
  }
  free(sums);
  return list;
}

static inline int access_set(uint64_t *set, int ways, uint64_t page) {
  int at = 0;
  while (at < ways - 1 && set[at] != page) at++;
  int hit = set[at] == page;
  for (; at > 0; at--) set[at] = set[at - 1];
  set[0] = page;
  return hit;
}

int main(void) {
  static const struct { uint64_t pages; double skew; } lists[] = {{1 << 20, 0.9}, {1 << 13, 0.9}, {1 << 10, 1.1}};
  static uint64_t first[FIRST_SETS][FIRST_WAYS], second[SETS][WAYS];
  for (int at = 0; at < 3; at++) {
    uint64_t *list = zipf_pages(lists[at].pages, lists[at].skew);
    for (int levels = 1; levels <= 2; levels++) {
      memset(first, 255, sizeof first), memset(second, 255, sizeof second);
      long walks = 0;
      double start = cpu_seconds();
      for (int n = 0; n < ACCESSES; n++) {
        if (levels == 2 && access_set(first[list[n] % FIRST_SETS], FIRST_WAYS, list[n])) continue;
        walks += !access_set(second[list[n] % SETS], WAYS, list[n]);
      }
      double took = cpu_seconds() - start;
      printf("C, %d level%s, %lu pages, Zipf %.1f: %.1f M/s, %.4f walks per access\n", levels, levels == 2 ? "s" : "",
             (unsigned long)lists[at].pages, lists[at].skew, ACCESSES / took / 1e6, walks / (double)ACCESSES);
    }
    free(list);
  }
}
