#!/usr/bin/env bash
# Smoke test of the lab: boots a kernel, records three short experiments, cross-checks the logs and lets fragsim judge
# them. Says "skipped: REASON" and succeeds where that cannot be done. About half a minute; at most 90 s.
# KERNEL_LAB: the folder with kernels, as for fetch-kernel.sh. FRAGSIM: the program; default: the newest build.
set -euo pipefail
cd "$(dirname "$0")"
project=$(cd ../.. && pwd)

skip() {
  echo "skipped: $*"
  exit 0
}

python=$(command -v python3) || skip "there is no python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || skip "python3 is older than 3.9"
"$python" -m unittest --quiet test_lab
command -v qemu-system-x86_64 >/dev/null || skip "there is no qemu-system-x86_64 (Debian: qemu-system-x86)"
echo 'int main(void) { return 0; }' | "${CC:-gcc}" -static -x c -o /dev/null - 2>/dev/null ||
  skip "no C compiler that links statically (Debian: gcc libc6-dev)"

export KERNEL_LAB=${KERNEL_LAB:-$project/target/kernel-lab}
kernel=$(find "$KERNEL_LAB/kernels" -name vmlinuz 2>/dev/null | sort | head -1) || true
if [[ -n $kernel ]]; then
  version=$(basename "$(dirname "$kernel")")
else
  command -v apt-get >/dev/null || skip "no kernel in $KERNEL_LAB/kernels, and no apt to get one"
  version=$(timeout 60 ./fetch-kernel.sh 2>/dev/null) || skip "no kernel package can be had (apt-get update?)"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/kernels"
ln -s "$KERNEL_LAB/kernels/$version" "$work/kernels/$version"
deadline=$((SECONDS + 90))
for experiment in "E1" "E2 --variant keep-r2" "E3 --variant n40"; do
  code=0
  # shellcheck disable=SC2086 # words of one command line
  "$python" record.py "$version" $experiment --ram 512 --work "$work" --limit $((deadline - SECONDS)) || code=$?
  [[ $code = 3 ]] && skip "the emulator is too slow here"
  [[ $code = 0 ]] || exit "$code"
done
"$python" verify.py "$work/results"

fragsim=${FRAGSIM:-}
if [[ -z $fragsim ]]; then
  for build in "$project"/target/{release,debug}/fragsim; do
    if [[ -x $build && (-z $fragsim || $build -nt $fragsim) ]]; then fragsim=$build; fi
  done
fi
[[ -n $fragsim ]] || skip "the logs are consistent, but there is no build of fragsim to judge them"
"$fragsim" validate "$work/results"
