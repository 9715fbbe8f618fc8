#!/usr/bin/env bash
# Boots an emulated arm64 machine, with a Debian kernel for it, and runs tests
# there that were compiled for it. User-mode emulation does not do for the
# runtime: it knows neither openat2 nor subreapers.
#
# Usage: machine.sh PACKAGE…    such as ./pkg/runtime ./pkg/wire
#
# It downloads 25 MB of Debian packages once, and takes minutes. What cannot be
# installed is named, and nothing is said to have been tested.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-/var/tmp}/orchestra-arm64
here=$PWD/testdata/architecture

say() { printf '%s\n' "arm64: $*" >&2; }
die() {
  say "NOT TESTED: $*"
  exit 1
}

emulator() {
  command -v qemu-system-aarch64 >/dev/null && return
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    die 'qemu-system-aarch64 is missing: apt-get install qemu-system-arm'
  fi
  say 'installing the Debian package qemu-system-arm'
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends qemu-system-arm >/dev/null
}

# apt64 is apt with lists of its own, of arm64: this machine's are left alone.
apt64() {
  local place=$1
  shift
  "$@" -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$place" -o Dir::State::status="$place/status" \
    -o Dir::Cache="$place/cache" -o APT::Sandbox::User=root -o Debug::NoLocking=1
}

# packages fetches a kernel, bash and the programs around it.
packages() {
  [[ ! -e $cache/complete ]] || return 0
  local place=$cache/apt kernel package
  rm -rf --one-file-system "$cache"
  mkdir -p "$place/lists/partial" "$place/cache/archives/partial" "$cache/tree"
  touch "$place/status"
  say 'downloading a Debian kernel, bash and busybox for arm64: 25 MB, this once'
  apt64 "$place" apt-get update -q >/dev/null
  kernel=$(apt64 "$place" apt-cache depends linux-image-cloud-arm64 | awk '$1 == "Depends:" { print $2; exit }')
  (cd "$place" && apt64 "$place" apt-get download -q "$kernel" bash-static busybox-static >/dev/null)
  for package in "$place"/*.deb; do dpkg-deb -x "$package" "$cache/tree"; done
  touch "$cache/complete"
}

# image makes the memory image that the machine boots into.
image() {
  local root=$1 package number=0
  shift
  mkdir -p "$root"/{bin,dev,etc,proc,root,sbin,sys,tmp,tests,usr/bin,usr/sbin,var}
  cp "$cache/tree/bin/bash-static" "$root/bin/bash"
  cp "$cache/tree/bin/busybox" "$root/bin/busybox"
  install -m 755 "$here/machine-init.sh" "$root/init"
  GOARCH=arm64 CGO_ENABLED=0 go build -o "$root/orchestra" ./cmd/orchestra
  for package in "$@"; do
    GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$root/tests/$((++number)).${package##*/}" "$package"
  done
  (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$root.gz"
}

boot() {
  local kernel
  kernel=$(echo "$cache"/tree/boot/vmlinuz-*)
  timeout "${ORCHESTRA_ARM64_TIMEOUT:-1500}" qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on -smp 2 -m 3072 \
    -accel tcg,thread=multi -nic none -nographic -no-reboot -kernel "$kernel" -initrd "$1" \
    -append 'console=ttyAMA0 quiet panic=-1 rdinit=/init' </dev/null | tr -d '\r'
}

[[ $# -gt 0 ]] || set -- ./pkg/runtime ./pkg/wire
command -v cpio >/dev/null || die 'cpio is missing: apt-get install cpio'
emulator
packages
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
say "compiling $*"
image "$work/root" "$@"
say 'booting'
boot "$work/root.gz" | tee "$work/said"
grep -q '^ALL PASSED$' "$work/said" || die 'a test failed there, or the machine did not come to its end'
