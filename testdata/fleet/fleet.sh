#!/usr/bin/env bash
# A fleet of real Debian servers on this machine, for tests; `fleet.sh help` lists the commands.
# README.md beside this file says how it is made.
set -euo pipefail
umask 022
export LC_ALL=C

usage() {
  cat <<'END'
fleet.sh: real Debian servers, each a booted systemd with a disk and a network cable of its own.

  image                       build the Debian image once, and keep it
  up N [--role ROLE[,ROLE…]]  boot h11 to h(10+N) at 192.0.2.11 …; the first role is h11's, and so
                              on, the last is for all the rest. Hosts that are up already stay.
  down                        power everything off; forget disks and keys
  clean                       the same after a run that was killed, whatever it left behind
  status                      one line a host

  boot hNN                    power on, with the disk as it is, and wait until it has booted
  kill hNN                    power cut: what was not synced to the disk is lost
  reboot hNN                  an orderly restart
  cut hNN                     unplug the network cable, with whatever is under way
  cut hNN --to BYTES          … once BYTES more have gone to the host; waits for that
  cut hNN --from BYTES        … once BYTES more have come from the host
  heal hNN                    plug it in again
  fill hNN [KEEP_BYTES]       fill the disk but for KEEP_BYTES (0)
  unfill hNN                  take that back
  slow hNN MS|off             a disk on which a small file, synced, takes about MS milliseconds
                              (100 to 5000; each time differs, as on a busy disk)

  snapshot NAME               keep all disks as they are at one moment
  restore NAME                power cut, disks as they were then, boot; cables and speeds are whole again
  reset                       the same with the disks as they were before the first boot

  run CMD…                    run CMD in the panel's network: 192.0.2.1, no route out
  ssh hNN [CMD…]              as root over the network
  inside hNN CMD…             as root without the network, by way of this machine's kernel

In the environment:
  ORCHESTRA_FLEET_PREFIX      of    tells fleets apart that run side by side: a-z0-9, 10 at most
  ORCHESTRA_FLEET_STATE       /var/tmp/orchestra-fleet-PREFIX     disks, keys, console logs
  ORCHESTRA_FLEET_CACHE       /var/cache/orchestra-fleet          images
  ORCHESTRA_FLEET_SOURCES     apt's sources of Debian bookworm    a file as in sources.list.d
END
}

say() { printf 'fleet: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
misuse() { say "that is not one of the commands; see: fleet.sh help"; exit 2; }

SELF=$(readlink -f "${BASH_SOURCE[0]}")
PREFIX=${ORCHESTRA_FLEET_PREFIX:-of}
STATE=${ORCHESTRA_FLEET_STATE:-/var/tmp/orchestra-fleet-$PREFIX}
CACHE=${ORCHESTRA_FLEET_CACHE:-/var/cache/orchestra-fleet}
PANEL=$PREFIX-panel
FRESH=.fresh # the snapshot of the disks before their first boot

# shellcheck source=/dev/null
. "${SELF%/*}/image.sh"
# shellcheck source=/dev/null
. "${SELF%/*}/host.sh"

# --- the machine that carries the fleet ------------------------------------------------------------

# need PROGRAM:PACKAGE…: installs the packages whose programs are missing.
need() {
  local pair missing=()
  for pair; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}"); done
  ((${#missing[@]})) || return 0
  say "installing with apt-get: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 || {
    apt-get update -q >&2
    apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
  }
}

need_all() {
  need systemd-nspawn:systemd-container ip:iproute2 tc:iproute2 nsenter:util-linux losetup:mount \
    mkfs.ext4:e2fsprogs ssh:openssh-client perl:perl
}

# mounted_cgroup TYPE CONTROLLER: where that hierarchy is mounted.
mounted_cgroup() {
  awk -v type="$1" -v controller="$2" '$3 == type && ("," $4 ",") ~ ("," controller ",") { print $2; exit }' /proc/mounts
}

check_machine() {
  [[ $(id -u) == 0 ]] || die "needs root"
  [[ $PREFIX =~ ^[a-z][a-z0-9]{0,9}$ ]] || die "ORCHESTRA_FLEET_PREFIX must be a letter and up to nine letters or digits: $PREFIX"
  [[ $STATE$CACHE =~ ^[/A-Za-z0-9._-]+$ && $STATE == /*/* && $CACHE == /*/* ]] ||
    die "the folders must be absolute, of letters, digits, dots, dashes: $STATE $CACHE"
  CGROUPS=$(mounted_cgroup cgroup2 rw)
  [[ -n $CGROUPS ]] || die "no cgroup v2 hierarchy is mounted"
  CGROUPS+=/orchestra-fleet-$PREFIX
}

# Commands on one fleet take turns; commands on different hosts of it do not wait for each other.
# The lock is inherited by everything started here but the hosts, so that who holds it is finished
# only when the last of its children is, even if it was killed.
LOCK=/run/lock/orchestra-fleet-$PREFIX
lock_fleet() { # shared|exclusive
  mkdir -p "${LOCK%/*}"
  exec 8>>"$LOCK"
  flock --"$1" --wait 120 8 || die "another command still runs on fleet $PREFIX: its processes hold $LOCK"
}
lock_host() {
  lock_fleet shared
  exec 9>>"$STATE/hosts/$1/lock"
  flock --exclusive --wait 120 9 || die "another command still runs on $1"
}

# each FUNCTION HOST…: for all hosts at once; fails if it fails for one.
each() {
  local function=$1 host pid pids=() failed=0
  shift
  for host; do
    ("$function" "$host") &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return "$failed"
}

# eventually SECONDS COMMAND…: repeats it until it succeeds.
eventually() {
  local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/./} < end)) || return 1
    sleep 0.01
  done
}

# --- the fleet -------------------------------------------------------------------------------------

up() {
  local count=${1:-} wanted='' roles number host role new=()
  [[ $count =~ ^[1-9][0-9]?$ && $count -le 89 ]] || misuse
  shift
  case ${1:-} in
  '') ;;
  --role) wanted=${2:?--role which?} ;;
  --role=*) wanted=${1#*=} ;;
  *) misuse ;;
  esac
  need_all
  lock_fleet exclusive
  image
  if [[ ! -e $STATE/image ]]; then
    [[ ! -e /run/netns/$PANEL && ! -d $CGROUPS ]] ||
      die "fleet $PREFIX is up with another state folder, or a run of it was killed: ORCHESTRA_FLEET_PREFIX=$PREFIX $SELF clean"
    mkdir -p "$STATE/hosts" "$STATE/snapshots/$FRESH"
    chmod 700 "$STATE"
    [[ -e $STATE/key ]] || ssh-keygen -q -t ed25519 -N '' -C "fleet $PREFIX" -f "$STATE/key"
    echo "$IMAGE" >"$STATE/image"
  fi
  share_state
  make_panel
  IFS=, read -ra roles <<<"${wanted:-plain}"
  for ((number = 0; number < count; number++)); do
    host=h$((11 + number))
    role=${roles[number]:-${roles[-1]}}
    (load_role "$role")
    if [[ ! -e $STATE/hosts/$host/complete ]]; then
      kill_processes "$host"
      [[ ! -d $STATE/hosts/$host ]] || { thaw "$host"; unplug "$host"; detach "$host"; }
      rm -rf --one-file-system "$STATE/hosts/$host"
      mkdir "$STATE/hosts/$host"
      echo "$role" >"$STATE/hosts/$host/role"
      new+=("$host")
    elif [[ -n $wanted && $(<"$STATE/hosts/$host/role") != "$role" ]]; then
      die "$host is up already, as $(<"$STATE/hosts/$host/role"), not as $role"
    fi
  done
  ((${#new[@]} == 0)) || each make_host "${new[@]}"
  cat "$STATE"/hosts/*/known_hosts >"$STATE/known_hosts"
  boot_all
  no_route_out
}

start_and_wait() {
  power_on "$1"
  wait_booted "$1"
}
boot_all() {
  local hosts
  mapfile -t hosts < <(all_hosts)
  each start_and_wait "${hosts[@]}"
}

no_route_out() {
  local host
  [[ -z $(in_panel ip route show default; in_panel ip -6 route show default) ]] || die "the panel's network has a route out"
  for host in $(all_hosts); do
    [[ -z $(in_net "$host" ip route show default; in_net "$host" ip -6 route show default) ]] || die "$host has a route out"
  done
}

snapshot() {
  local name=$1 hosts host failed=0
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "a snapshot's name is of letters, digits, dots and dashes: $name"
  [[ ! -e $STATE/snapshots/$name ]] || die "there is a snapshot $name already"
  mapfile -t hosts < <(all_hosts)
  ((${#hosts[@]})) || die "no hosts are up"
  rm -rf "$STATE/snapshots/.part"
  mkdir -p "$STATE/snapshots/.part"
  trap 'for host in $(all_hosts); do thaw "$host"; done' EXIT
  each freeze "${hosts[@]}" # all stand still before the first is copied
  for host in "${hosts[@]}"; do
    cp --sparse=always "$(disk_file "$host")" "$STATE/snapshots/.part/$host" || failed=1
  done
  for host in "${hosts[@]}"; do thaw "$host"; done
  trap - EXIT
  ((failed == 0)) || die "the disks could not be copied"
  mv "$STATE/snapshots/.part" "$STATE/snapshots/$name"
}

restore() {
  local host hosts
  [[ -n $1 && -d $STATE/snapshots/$1 ]] || die "there is no snapshot $1"
  mapfile -t hosts < <(all_hosts)
  for host in "${hosts[@]}"; do
    [[ -e $STATE/snapshots/$1/$host ]] || die "$host is younger than the snapshot $1"
  done
  local from=$STATE/snapshots/$1
  each take_back "${hosts[@]}"
}
# shellcheck disable=SC2317 # called by way of `each`
take_back() { # the disk of one host, $from the snapshot
  power_off "$1"
  rm -f "$STATE/hosts/$1/cut" "$STATE/hosts/$1/slow"
  cp --sparse=always "$from/$1" "$(disk_file "$1").part"
  mv "$(disk_file "$1").part" "$(disk_file "$1")"
  start_and_wait "$1"
}

fill() {
  local filler keep=${2:-0} free
  [[ $keep =~ ^[0-9]+$ ]] || die "fill $1: how many bytes are to stay free?"
  filler=$(disk_of "$1")/filler # beside the host's files, so that it sees nothing but a full disk
  rm -f "$filler"
  sync -f "$(disk_of "$1")"
  free=$(stat -f -c '%a * %S' "$(disk_of "$1")")
  ((free > keep)) || return 0
  # What does not fit, because the file's own map takes blocks too, is cut off: the disk is full then.
  fallocate -l $((free - keep)) "$filler" 2>/dev/null || ((keep == 0)) || die "$1 can't be filled"
  sync -f "$(disk_of "$1")"
}

unfill() {
  rm -f "$(disk_of "$1")/filler"
  sync -f "$(disk_of "$1")"
}

slow() {
  local ms=${2:-} probe took
  [[ $ms == off || ($ms =~ ^[0-9]+$ && $ms -ge 100 && $ms -le 5000) ]] || die "slow $1: 100 to 5000 milliseconds, or off"
  if [[ $ms == off ]]; then
    rm -f "$STATE/hosts/$1/slow"
    throttle "$1"
    return
  fi
  echo "$ms" >"$STATE/hosts/$1/slow"
  throttle "$1"
  probe=$(disk_of "$1")/probe
  for _ in 1 2; do # the first still lives on what the limiter allows in advance
    took=${EPOCHREALTIME/./}
    dd if=/dev/zero of="$probe" bs=4k count=1 conv=fsync status=none
    took=$(((${EPOCHREALTIME/./} - took) / 1000))
    rm -f "$probe"
  done
  ((took >= ms / 4)) || die "the disk of $1 can't be slowed down here: a synced file takes $took ms"
  say "$1: a small file, synced, took $took ms"
}

status() {
  local host folder power
  printf '%-5s %-11s %-6s %-5s %-6s %-5s %-9s %s\n' host address role power cable disk free pid
  for host in $(all_hosts); do
    folder=$STATE/hosts/$host
    is_on "$host" && power=on || power=off
    printf '%-5s %-11s %-6s %-5s %-6s %-5s %-9s %s\n' "$host" "$(address "$host")" "$(<"$folder/role")" "$power" \
      "$([[ -e $folder/cut ]] && echo out || echo in)" "$([[ -e $folder/slow ]] && echo slow || echo fast)" \
      "$(df --output=avail -h "$(disk_of "$host")" | tail -n 1 | tr -d ' ')" "$(leader "$host" || echo -)"
  done
}

# forget: ends everything that carries the prefix, going by what is there and not by what was noted.
forget() {
  local path pid device file
  free_disks
  for path in "$CGROUPS"/*/; do [[ ! -d $path ]] || kill_processes "$(basename "$path")"; done
  for path in "/run/netns/$PREFIX"-*; do
    [[ -e $path ]] || continue
    for pid in $(ip netns pids "${path##*/}" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
    ip netns del "${path##*/}"
  done
  # Newest first: a root before the disk below it.
  while read -r path; do
    eventually 3 umount "$path" 2>/dev/null || umount --lazy "$path" || true
  done < <(awk -v below="$STATE/" 'index($5 "/", below) == 1 { print $5 }' /proc/self/mountinfo | tac)
  while read -r device file; do
    if [[ $file =~ /$PREFIX-h[1-9][0-9]\.disk(\ \(deleted\))?$ ]]; then losetup --detach "$device"; fi
  done < <(losetup --list --noheadings --output NAME,BACK-FILE)
  rm -rf --one-file-system "/run/systemd/nspawn/propagate/$PREFIX"-h?? "/run/systemd/nspawn/unix-export/$PREFIX"-h??
  remove_cgroup "$CGROUPS"
  for path in /sys/fs/cgroup/*/"orchestra-fleet-$PREFIX"; do remove_cgroup "$path"; done # nspawn makes it in cgroup v1 too
  rm -rf --one-file-system "$STATE"/{hosts,snapshots,image,key,key.pub,known_hosts} # what `up` has made, and no more
  rmdir "$STATE" 2>/dev/null || true
}

free_disks() { # so that nobody waits for a disk that is frozen or slow
  local path host
  for path in "$STATE"/hosts/*/; do
    host=$(basename "$path")
    ! mountpoint -q "$path/disk" || { thaw "$host"; throttle "$host" off; }
  done
}

clean() {
  mkdir -p "${LOCK%/*}"
  exec 8>>"$LOCK"
  if ! flock --exclusive --wait 5 8; then # something of a killed run hangs
    free_disks
    find /proc/[0-9]*/fd -lname "$LOCK" 2>/dev/null | awk -F/ -v me=$$ '$3 != me { print $3 }' | sort -u | xargs -r kill -KILL 2>/dev/null || true
    flock --exclusive --wait 10 8 || die "processes hold $LOCK and can't be killed"
  fi
  forget
}

# --- the commands ----------------------------------------------------------------------------------

main() {
  local command=${1:-help} COMMAND
  shift || true
  case $command in
  help | -h | --help)
    usage
    return
    ;;
  esac
  check_machine
  case $command in
  image) image; echo "$IMAGE" ;;
  up) up "$@" ;;
  down) lock_fleet exclusive; forget ;;
  clean) clean ;;
  status) status ;;
  snapshot) lock_fleet exclusive; snapshot "${1:-}" ;;
  restore) lock_fleet exclusive; restore "${1:-}" ;;
  reset) lock_fleet exclusive; restore "$FRESH" ;;
  run) exec nsenter --net="/run/netns/$PANEL" -- "$@" ;;
  supply) supply "$1" ;; # what `boot` leaves running
  boot | kill | reboot | heal | fill | unfill | slow)
    check_host "${1:-}"
    lock_host "$1"
    case $command in
    boot) start_and_wait "$1" ;;
    kill) power_cut "$1" ;;
    reboot) reboot "$1" ;;
    heal) heal "$1" ;;
    fill) fill "$@" ;;
    unfill) unfill "$1" ;;
    slow) slow "$@" ;;
    esac
    ;;
  cut | ssh | inside) # without a lock: a cut that waits for bytes must not keep the power on
    check_host "${1:-}"
    case $command in
    cut) cut_cable "$@" ;;
    ssh) ssh_command "$@"; exec "${COMMAND[@]}" ;;
    inside) inside_command "$@"; exec "${COMMAND[@]}" ;;
    esac
    ;;
  *) misuse ;;
  esac
}

# In one line, so that a change of this file does not change what runs.
main "$@"; exit
