#!/usr/bin/env bash
# Writes docs/tlb-validation.md: the TLB model beside what is published, and beside independent simulators.
# Usage: scripts/tlb-validation.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
run=(cargo run --release --locked --quiet --example tlb_validation --)
"${run[@]}" published >docs/tlb-validation.md
# One core of each kind; the others have the structures of one of these, or like them. Without names: all cores.
"${run[@]}" grid haswell-ep skylake-sp icelake-sp gracemont skymont zen2 zen4 zen5 neoverse-n1 >>docs/tlb-validation.md
oracles=$(mktemp)
trap 'rm -f "$oracles"' EXIT
scripts/tlb-oracles.py --output "$oracles" >/dev/null
sed 's/^# /## /' "$oracles" >>docs/tlb-validation.md
