#!/usr/bin/env bash
# Installs what the linters and tests need, saying so first. Where it may not
# (not root, not Debian) it says what is missing, and goes on: the tests that
# need it say loudly what they left out.
set -euo pipefail
declare -A package=(
  [shellcheck]=shellcheck [sshd]=openssh-server [ssh]=openssh-client [rsync]=rsync
  [debootstrap]=debootstrap [systemd-nspawn]=systemd-container [ip]=iproute2
  [gcc]=gcc [make]=make [tmux]=tmux [dig]=bind9-dnsutils [named-compilezone]=bind9-utils [mkpasswd]=whois
)
missing=()
for program in "${!package[@]}"; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing Debian packages that the tests need: ${missing[*]}" >&2
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "WARNING: missing, and not root on Debian, so not installed: ${missing[*]}" >&2
fi
