#!/usr/bin/env bash
# Gets a Debian kernel package and puts its kernel where record.py looks for it; prints the kernel's version.
# Usage: fetch-kernel.sh [PACKAGE]
#   PACKAGE: for example linux-image-6.1.0-56-cloud-amd64 (from 6.19 on: linux-binary-...), or a .deb file;
#            default: the distribution's current kernel for virtual machines.
# KERNEL_LAB: the folder for kernels and results; default: target/kernel-lab.
set -euo pipefail

work=${KERNEL_LAB:-$(cd "$(dirname "$0")/../.." && pwd)/target/kernel-lab}
package=${1:-linux-image-cloud-amd64}
mkdir -p "$work/kernels"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

if [[ $package == *.deb ]]; then
  cp "$package" "$unpacked/kernel.deb"
else
  # A meta-package names the real one.
  real=$(apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(linux-\(image\|binary\)-[0-9].*\)/\1/p' | head -1) || true
  cd "$unpacked"
  # As root, apt would complain that its own user cannot write here.
  if ! apt-get download -qq -o APT::Sandbox::User=root "${real:-$package}" >&2; then
    echo "apt cannot get ${real:-$package}; is it one of \`apt-cache search linux-image\`, and apt-get update done?" >&2
    exit 1
  fi
  mv ./*.deb kernel.deb
fi
version=$(dpkg-deb -f "$unpacked/kernel.deb" Version)
version=${version%%-*}
dpkg-deb -x "$unpacked/kernel.deb" "$unpacked/root"
image=$(find "$unpacked/root" -path '*boot/vmlinuz-*' -o -path '*lib/modules/*/vmlinuz' | head -1) || true
if [[ -z $image ]]; then
  echo "there is no kernel in ${real:-$package}" >&2
  exit 1
fi
mkdir -p "$work/kernels/$version"
cp "$image" "$work/kernels/$version/vmlinuz"
# Modules for experiment E12, where the package has them.
for module in dummy veth loop sch_fq fuse; do
  file=$(find "$unpacked/root" -name "$module.ko*" | head -1) || true
  [[ -z $file ]] && continue
  mkdir -p "$work/kernels/$version/root/mods"
  case $file in
    *.xz) xz -dc "$file" >"$work/kernels/$version/root/mods/$module.ko" ;;
    *) cp "$file" "$work/kernels/$version/root/mods/$module.ko" ;;
  esac
done
echo "$version"
