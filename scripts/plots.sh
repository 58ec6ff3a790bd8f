#!/usr/bin/env bash
# Draws the charts of the shipped scenarios into results/plots. With --check it draws them elsewhere and fails if those
# in results/plots differ: the charts have the same bytes on every machine. FRAGSIM: the program; default: cargo run.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -n ${FRAGSIM:-} ]]; then fragsim=("$FRAGSIM"); else fragsim=(cargo run --locked --quiet --); fi
# The charts that a reader of results/ wants first. The others are a command away, and would only fill the repository.
kinds=splits,bars,map
drawn=$(mktemp -d)
trap 'rm -rf "$drawn"' EXIT

for scenario in scenarios/*.json; do
  "${fragsim[@]}" run "$scenario" --quiet --format json >"$drawn/result.json"
  "${fragsim[@]}" plot "$drawn/result.json" --quiet --kind "$kinds" --format svg --output "$drawn/plots"
done
# A chart's numbers are in its scenario's result; the picture is enough here.
rm "$drawn"/plots/*.csv

if [[ ${1:-} = --check ]]; then
  if ! diff -rq results/plots "$drawn/plots"; then
    echo "results/plots is out of date: run scripts/plots.sh" >&2
    exit 1
  fi
else
  rm -rf results/plots
  cp -r "$drawn/plots" results/plots
fi
