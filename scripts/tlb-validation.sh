#!/usr/bin/env bash
# Writes docs/tlb-validation.md: the TLB model beside what is published, and beside independent simulators.
# Usage: scripts/tlb-validation.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
cargo run --release --locked --quiet --example tlb_validation >docs/tlb-validation.md
oracles=$(mktemp)
trap 'rm -f "$oracles"' EXIT
scripts/tlb-oracles.py --output "$oracles" >/dev/null
sed 's/^# /## /' "$oracles" >>docs/tlb-validation.md
