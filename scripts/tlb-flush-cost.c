// What the interrupt of a TLB flush takes a CPU that is busy with something else, on the machine at hand.
//
//   cc -O2 -pthread -o flush-cost scripts/tlb-flush-cost.c && ./flush-cost
//
// One thread does nothing but read the time-stamp counter; another one, on a second CPU, changes the permissions of a page
// that both have mapped, over and over, so that the kernel interrupts the first for a flush. Printed are the lengths of
// the gaps between two readings that are too long for anything else. Only an idle machine gives a gap for each change.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

enum { CHANGES = 20000, MOST_GAPS = 1 << 20, SHORTEST_GAP = 1000 };

static atomic_int stop, ready;
static uint64_t gaps[MOST_GAPS];
static int count;

static void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set)) {
    perror("two CPUs are needed");
    exit(2);
  }
}

static void *read_counter(void *unused) {
  run_on(1);
  ready = 1;
  for (uint64_t last = __rdtsc(), now; !stop; last = now) {
    now = __rdtsc();
    if (now - last > SHORTEST_GAP && count < MOST_GAPS) gaps[count++] = now - last;
  }
  return unused;
}

static int ascending(const void *one, const void *other) {
  uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
  return (a > b) - (a < b);
}

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(void) {
  run_on(0);
  volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t reader;
  if (page == MAP_FAILED || pthread_create(&reader, NULL, read_counter, NULL)) return 2;
  while (!ready) {
  }
  double start = nanoseconds();
  uint64_t first = __rdtsc();
  for (int change = 0; change < CHANGES; change++) {
    *page = 1;
    mprotect((void *)page, 4096, PROT_READ);
    mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
    for (volatile int wait = 0; wait < 20000; wait++) {
    }
  }
  double per_nanosecond = (__rdtsc() - first) / (nanoseconds() - start);
  stop = 1;
  pthread_join(reader, NULL);
  if (count == 0) return 1;
  qsort(gaps, count, sizeof *gaps, ascending);
  printf("%d changes, %d gaps; a gap takes %.0f ns (a tenth of them %.0f or less, a tenth %.0f or more)\n", CHANGES, count,
         gaps[count / 2] / per_nanosecond, gaps[count / 10] / per_nanosecond, gaps[count - 1 - count / 10] / per_nanosecond);
  return 0;
}
