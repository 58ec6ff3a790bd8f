/* Touches pages in a random, skewed order; its memory references are what cachegrind and fragsim are compared on. */
#include <stdint.h>
#include <stdlib.h>

enum { PAGES = 6000, PAGE = 4096 };
static volatile char memory[(PAGES + 1) * PAGE];

int main(int argc, char **argv) {
  long count = argc > 1 ? atol(argv[1]) : 100000;
  uint64_t state = 88172645463325252ull;
  for (long at = 0; at < count; at++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    uint64_t page = (state >> 40) % PAGES * ((state >> 20 & 0xfffff) % PAGES) / PAGES;
    if (state & 1) memory[page * PAGE] = 1; else (void)memory[page * PAGE];
  }
  return 0;
}
