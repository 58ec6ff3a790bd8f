#!/usr/bin/env bash
# Everything that must hold before a change lands: formatting, lints, tests, agreement with the recorded kernels,
# documentation, licences.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; "$@"; }

step cargo fmt --check
step cargo clippy --locked --all-targets -- -D warnings
step cargo test --locked
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
  echo "no chromium is installed: the report page was not tested in a browser" >&2
fi
# The baselines in results/, as a user's CI holds them.
step cargo run --locked --quiet -- check --quiet
# The charts beside them.
step scripts/plots.sh --check
# Recorded kernels: what was reached must not be lost.
step cargo run --locked --quiet -- validate --level mechanics
step cargo run --locked --quiet -- validate --level placement
# All three levels, predictions included: the report must be what `validate` says, and no further prediction may be missed.
step scripts/fidelity.sh --check
RUSTDOCFLAGS="-D warnings" step cargo doc --locked --no-deps
# Boots a kernel and records it, if there is an emulator; says so if not.
step timeout 180 scripts/kernel-lab/smoke.sh || echo "the lab was not tried to the end"
if command -v cargo-deny >/dev/null; then
  step cargo deny --locked check licenses bans sources
else
  echo "cargo-deny is not installed: licences and sources were not checked"
fi
