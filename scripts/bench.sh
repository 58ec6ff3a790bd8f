#!/usr/bin/env bash
# Whole-program figures with peak memory: builds the release binary, makes traces, runs them on one core.
# Usage: scripts/bench.sh [FOLDER for traces, default: a temporary one]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
fragsim=$PWD/target/release/fragsim
work=${1:-$(mktemp -d)}
mkdir -p "$work"

# Prints wall seconds and peak resident memory (MiB) of a command; its output is dropped.
measure() {
  python3 - "$@" <<'PY'
import os, subprocess, sys, time
core = min(os.sched_getaffinity(0))
best, peak = None, 0
for _ in range(3):
    start = time.monotonic()
    child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - start
    if status != 0:
        sys.exit(f"{' '.join(sys.argv[1:])}: exit status {status}")
    best = took if best is None else min(best, took)
    peak = max(peak, usage.ru_maxrss)
print(f"{best:.3f} {peak / 1024:.0f}")
PY
}

row() { printf '%-46s %10s %14s %10s\n' "$@"; }
events_per_second() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.2f M", n / s / 1e6 }'; }

printf 'machine: %s, one core\n\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
row "what" "seconds" "events/s" "peak MiB"

read -r seconds peak < <(measure "$fragsim" run scenarios/runqslower.json)
row "run scenarios/runqslower.json" "$seconds" "" "$peak"

cat >"$work/host.json" <<'JSON'
{ "machine": { "memory": "16TiB" }, "trace": { "file": "trace.jsonl" } }
JSON
for events in 100000 1000000 10000000; do
  # A load every millisecond, alive for two seconds on average: about 2000 programs at once.
  cat >"$work/classes.json" <<JSON
{ "duration": "$((events / 2000))s",
  "classes": [{ "name": "mix", "every": "1ms", "arrivals": "regular",
                "programs": [{ "sizes": "general", "life": { "exponential": "2s" } }] }] }
JSON
  "$fragsim" trace gen --spec "$work/classes.json" --seed 1 --output "$work/trace.jsonl"
  for allocator in per-prog pack-2m; do
    read -r seconds peak < <(measure "$fragsim" run "$work/host.json" --allocator "$allocator" --threads 1)
    row "16 TiB host, $events events, $allocator" "$seconds" "$(events_per_second "$events" "$seconds")" "$peak"
  done
done
read -r seconds peak < <(measure "$fragsim" run "$work/host.json" --threads 1)
row "16 TiB host, 10000000 events, all seven" "$seconds" "$(events_per_second 10000000 "$seconds")" "$peak"
