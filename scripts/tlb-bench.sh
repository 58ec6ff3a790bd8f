#!/usr/bin/env bash
# Both TLB engines beside peers, in one run on one core: a plain C program, cachegrind, and benches/tlb.rs.
# Peers that are missing are installed where that takes no password (Debian, as root), else skipped with a message.
# Usage: scripts/tlb-bench.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')

# Installs a Debian package if its program is missing and that can be done.
have() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y -q "$2" >/dev/null 2>&1 || true
  fi
  command -v "$1" >/dev/null
}

echo "machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), one core, load $(cut -d' ' -f1 /proc/loadavg)"
if have cc gcc; then
  cc -O3 -o "$work/peer" scripts/tlb-peer.c -lm
  taskset -c "$core" "$work/peer"
else
  echo "skipped: the C peer needs a C compiler (cc)"
fi
if have cc gcc && have valgrind valgrind; then
  cc -O1 -o "$work/refs" scripts/tlb-references.c
  options=(--tool=cachegrind --cache-sim=yes --I1=262144,4,4096 --D1=262144,4,4096 --LL=6291456,12,4096 --cachegrind-out-file=/dev/null)
  start=$(date +%s.%N)
  taskset -c "$core" valgrind "${options[@]}" "$work/refs" 4000000 2>"$work/log"
  # Most references are instruction fetches from one page, which cachegrind looks up as well.
  refs() { sed -n "s/.*$1 *refs: *\([0-9,]*\).*/\1/p" "$work/log" | head -1 | tr -d ,; }
  awk -v data="$(refs ' D')" -v fetches="$(refs ' I')" -v start="$start" -v end="$(date +%s.%N)" \
    'BEGIN { took = (end - start) * 1e6
             printf "cachegrind, 64x4 and 1536x12: %.1f M data references/s of wall time, %.0f M/s with instruction fetches\n",
                    data / took, (data + fetches) / took }'
else
  echo "skipped: cachegrind needs cc and valgrind"
fi
taskset -c "$core" cargo bench --locked --bench tlb 2>/dev/null | grep -E "^(translations|estimate)|time:|thrpt:" || true
