#!/usr/bin/env bash
# Writes docs/fidelity.md and the summary in README.md from what `fragsim validate` says of all recordings that ship.
# With --check nothing is written; fails if they are not what would be written. FRAGSIM: the program; default: cargo run.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -n ${FRAGSIM:-} ]]; then fragsim=("$FRAGSIM"); else fragsim=(cargo run --locked --quiet --); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Exit code 1 says that something differs, which the text tells too.
"${fragsim[@]}" validate --format md >"$work/verdicts" || [[ $? = 1 ]]

# Predictions that are missed may become fewer, never others.
sed -n 's/^- \(.*\), level 2: .*/\1/p' "$work/verdicts" | LC_ALL=C sort >"$work/missed"
lost=$(LC_ALL=C comm -23 "$work/missed" scripts/missed-predictions.txt)
if [[ -n $lost ]]; then
  printf 'predictions that agreed before are missed now:\n%s\n' "$lost" >&2
  exit 1
fi

{
  echo "# How far fragsim is from real kernels"
  echo
  echo "Made by \`scripts/fidelity.sh\` from \`fragsim validate --format md\`; only \`scripts/fidelity-remarks.md\` is written by hand."
  echo
  cat scripts/fidelity-remarks.md
  echo
  cat "$work/verdicts"
} >"$work/fidelity.md"

# The table under "## Summary", between two marks.
awk '/^## Summary/ { on = 1; next } /^## / { on = 0 } on && /^\|/' "$work/verdicts" >"$work/summary"
awk -v summary="$work/summary" '
  /<!-- fidelity: begin/ { print; print ""; while ((getline line < summary) > 0) print line; print ""; skip = 1; next }
  /<!-- fidelity: end/ { skip = 0 }
  !skip' README.md >"$work/README.md"

if [[ ${1:-} = --check ]]; then
  diff -u docs/fidelity.md "$work/fidelity.md" && diff -u README.md "$work/README.md" || {
    echo "the fidelity report is not up to date: run scripts/fidelity.sh and read what changed" >&2
    exit 1
  }
else
  cp "$work/fidelity.md" docs/fidelity.md
  cp "$work/README.md" README.md
fi
