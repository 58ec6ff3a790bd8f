#!/usr/bin/env bash
# Writes docs/tlb-validation.md: the TLB model beside what is published, and beside independent simulators.
# Usage: scripts/tlb-validation.sh [--all]   (--all: the grid on every core, not on one of each kind)
set -euo pipefail
cd "$(dirname "$0")/.."
cores=(haswell-ep skylake-sp icelake-sp gracemont skymont zen2 zen4 zen5 neoverse-n1)
case "${1-}" in
"") ;;
--all) cores=() ;;
*) echo "usage: scripts/tlb-validation.sh [--all]" >&2 && exit 2 ;;
esac
cargo build --release --locked --quiet
run=(cargo run --release --locked --quiet --example tlb_validation --)
# The page is replaced when all of it is there.
page=$(mktemp) oracles=$(mktemp)
trap 'rm -f "$page" "$oracles"' EXIT
"${run[@]}" published >"$page"
# One core of each kind; the others have the structures of one of these, or like them. Without names: all cores.
"${run[@]}" grid ${cores[@]+"${cores[@]}"} >>"$page"
"${run[@]}" held-out ${cores[@]+"${cores[@]}"} >>"$page"
scripts/tlb-oracles.py --output "$oracles" >/dev/null
sed 's/^# /## /' "$oracles" >>"$page"
cat "$page" >docs/tlb-validation.md
