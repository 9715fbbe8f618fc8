# shellcheck shell=bash
# Part of fleet.sh: one host, with its disk, its cable and its power.

# --- one host: names -------------------------------------------------------------------------------

check_host() {
  [[ ${1:-} =~ ^h[1-9][0-9]$ ]] || misuse
  [[ -e $STATE/hosts/$1/complete ]] || die "there is no $1 in fleet $PREFIX"
}
all_hosts() {
  local path
  for path in "$STATE"/hosts/*/complete; do
    [[ ! -e $path ]] || basename "${path%/complete}"
  done
}
address() { echo "192.0.2.${1#h}"; }
disk_file() { echo "$STATE/hosts/$1/$PREFIX-$1.disk"; }
disk_of() { echo "$STATE/hosts/$1/disk"; }
root_of() { echo "$STATE/hosts/$1/root"; }

# --- one host: its disk ----------------------------------------------------------------------------

attach() { # mounts the disk, and over it and the image the root of the host
  local disk root options
  disk=$(disk_of "$1") root=$(root_of "$1")
  mkdir -p "$disk" "$root"
  mount -o loop,noinit_itable "$(disk_file "$1")" "$disk"
  mkdir -p "$disk/upper" "$disk/work"
  touch "$disk/alive"
  # redirect_dir and xino: folders can be renamed and all files are on one device, as on a real disk.
  options=lowerdir=$(<"$STATE/image")/root,upperdir=$disk/upper,workdir=$disk/work,redirect_dir=on,xino=on
  mount -t overlay "$PREFIX-$1" -o "$options" "$root"
  throttle "$1"
}

detach() {
  local path
  throttle "$1" off
  for path in "$(root_of "$1")" "$(disk_of "$1")"; do
    ! mountpoint -q "$path" || eventually 5 umount "$path" 2>/dev/null ||
      die "somebody has files open below $path, so that it can't be unmounted"
  done
  # Whoever has started a moment ago may have a copy of the mount: never two kernels' views of one disk.
  eventually 10 is_free "$(disk_file "$1")" || die "the disk of $1 stays in use by some other mount namespace"
}
is_free() { [[ -z $(losetup --associated "$1") ]]; }

# throttle HOST [off]: limits the disk as its file `slow` says. The root of cgroup v1's blkio hierarchy is
# the one place where a limit also holds for the journal of ext4, on which every fsync waits.
throttle() {
  local dev ms limit=0 knob
  knob=$(mounted_cgroup cgroup blkio)/blkio.throttle.write_iops_device
  dev=$(mountpoint -d "$(disk_of "$1")" 2>/dev/null) || return 0
  if [[ -e $STATE/hosts/$1/slow && ${2:-} != off ]]; then
    [[ -e $knob ]] || die "a slow disk needs the blkio controller of cgroup v1, which is not mounted here"
    ms=$(<"$STATE/hosts/$1/slow")
    # A small file, synced, is about eleven writes: its data, the journal, the marks between.
    limit=$((11000 / ms))
  fi
  [[ ! -e $knob ]] || echo "$dev $limit" >"$knob"
}

freeze() { fsfreeze --freeze "$(disk_of "$1")"; }
thaw() { fsfreeze --unfreeze "$(disk_of "$1")" 2>/dev/null || true; }

# --- one host: its cable ---------------------------------------------------------------------------

in_panel() { nsenter --net="/run/netns/$PANEL" "$@"; }
in_net() { # HOST COMMAND…: in its network only
  local host=$1
  shift
  nsenter --net="/run/netns/$PREFIX-$host" "$@"
}

# Each host has copies of all mounts that were there when it was started, and would keep the others' disks
# in use: below a shared mount they are unmounted everywhere.
share_state() {
  mountpoint -q "$STATE" || mount --bind "$STATE" "$STATE"
  mount --make-shared "$STATE"
}

make_panel() {
  [[ ! -e /run/netns/$PANEL ]] || return 0
  ip netns add "$PANEL"
  in_panel ip -batch - <<'END'
link set lo up
link add br0 address 02:00:c0:00:02:01 type bridge
link set br0 gso_max_segs 1
addr add 192.0.2.1/24 dev br0
link set br0 up
END
}

plug() { # a new network for the host, with its cable to the panel's bridge
  ip netns add "$PREFIX-$1"
  in_panel ip -batch - <<END
link add $1 type veth peer name host0 address 02:00:c0:00:02:${1#h} netns $PREFIX-$1
link set $1 master br0
END
  in_net "$1" ip -batch - <<END
link set lo up
link set host0 gso_max_segs 1
addr add $(address "$1")/24 dev host0
link set host0 up
END
  [[ -e $STATE/hosts/$1/cut ]] || in_panel ip link set "$1" up
}

unplug() { # with all connections, of which a host without power says nothing any more
  in_panel ip link del "$1" 2>/dev/null || true
  [[ ! -e /run/netns/$PREFIX-$1 ]] || ip netns del "$PREFIX-$1"
}

cut_cable() {
  local to=${2:-} bytes=${3:-}
  case $to in
  '') ;;
  --to | --from)
    [[ $bytes =~ ^[1-9][0-9]{0,8}$ ]] || die "cut $1 $to: how many bytes?"
    cut_after "$1" "$to" "$bytes"
    ;;
  *) misuse ;;
  esac
  touch "$STATE/hosts/$1/cut"
  in_panel ip link set "$1" down 2>/dev/null || ! is_on "$1" || die "the cable of $1 can't be unplugged"
}

# A bucket of BYTES that hardly refills: the packet that does not fit waits in it until the cable is out.
cut_after() {
  local side=(in_panel) device=$1
  [[ $2 == --to ]] || { side=(in_net "$1"); device=host0; }
  "${side[@]}" tc qdisc replace dev "$device" root tbf rate "$((8 + $3 / 25))bit" burst "$3" limit 10000000 2>/dev/null ||
    die "$1 is off"
  until "${side[@]}" tc -s qdisc show dev "$device" | grep -Eq '(backlog|dropped) [1-9]'; do
    "${side[@]}" tc qdisc show dev "$device" | grep -q tbf || die "the cable of $1 was healed or its power cut meanwhile"
    sleep 0.01
  done
}

heal() {
  rm -f "$STATE/hosts/$1/cut"
  is_on "$1" || return 0
  in_panel tc qdisc del dev "$1" root 2>/dev/null || true
  in_net "$1" tc qdisc del dev host0 root 2>/dev/null || true
  in_panel ip link set "$1" up
}

# --- one host: its power ---------------------------------------------------------------------------

is_on() { grep -qs 'populated 1' "$CGROUPS/$1/cgroup.events"; }
is_off() { ! is_on "$1"; }

# leader HOST: the process id, here, of its init, once that has the host's own root.
leader() {
  local pid
  while read -r pid; do
    if grep -Eqs '^NSpid:[[:space:]]+[0-9]+[[:space:]]+1$' "/proc/$pid/status"; then
      echo "$pid"
      return 0
    fi
  done < <(cat "$CGROUPS/$1/machine/payload/init.scope/cgroup.procs" 2>/dev/null)
  return 1
}

# The commands that run something put it into COMMAND, so that it can take the place of this process: who
# ends the one ends the other.
ssh_command() { # HOST [COMMAND…]
  COMMAND=(nsenter --net="/run/netns/$PANEL" ssh -F /dev/null -i "$STATE/key" -o IdentitiesOnly=yes -o IdentityAgent=none
    -o BatchMode=yes -o UserKnownHostsFile="$STATE/known_hosts" -o GlobalKnownHostsFile=/dev/null
    -o StrictHostKeyChecking=yes -o ConnectTimeout=5 "root@$(address "$1")" "${@:2}")
}

# The host's perl forks, and not nsenter: that one stops itself when a host that goes down stops all processes,
# and nobody would wake it up.
inside_command() { # HOST COMMAND…
  local pid
  pid=$(leader "$1") || die "$1 is off"
  # shellcheck disable=SC2016 # perl's variables
  COMMAND=(nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup --no-fork --
    env -i HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM="${TERM:-dumb}"
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    perl -e 'defined(my $pid = fork) or die; if (!$pid) { exec qw(setpriv --pdeathsig KILL --), @ARGV; exit 127 }
      waitpid($pid, 0); exit($? & 127 ? 128 + ($? & 127) : $? >> 8)' "${@:2}")
}
inside() {
  local COMMAND
  inside_command "$@"
  "${COMMAND[@]}"
}

power_on() {
  is_off "$1" || return 0
  # A power cut that was itself killed in the middle leaves a file system that is shut down.
  if ! mountpoint -q "$(root_of "$1")" || ! touch "$(disk_of "$1")/alive" 2>/dev/null; then
    detach "$1"
    attach "$1"
  fi
  unplug "$1"
  plug "$1"
  mkdir -p "$CGROUPS/$1"
  setsid bash "$SELF" supply "$1" </dev/null >>"$STATE/hosts/$1/console.log" 2>&1 7>&- 8>&- 9>&- &
  eventually 5 is_on "$1" || die "$1 does not start: $STATE/hosts/$1/console.log"
}

# supply HOST: the host's power supply: runs it, and again when it reboots itself. Each host is in a
# cgroup of its own, or they would take each other's services for their own; and it sees cgroup v2
# only, as Debian 12 does, also where this machine still has v1.
supply() {
  local status=0 group=$CGROUPS/$1
  mkdir -p "$group/supply"
  echo $BASHPID >"$group/supply/cgroup.procs"
  export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_TMPFS_TMP=0
  while :; do
    remove_cgroup "$group/machine"
    mkdir -p "$group/machine"
    (
      echo $BASHPID >"$group/machine/cgroup.procs"
      exec systemd-nspawn --quiet --directory="$(root_of "$1")" --machine="$PREFIX-$1" --boot --register=no --keep-unit \
        --network-namespace-path="/run/netns/$PREFIX-$1" --link-journal=no --resolv-conf=off --timezone=off
    ) || status=$?
    [[ $status == 133 ]] || break # it asks to be started again
    status=0
  done
}

remove_cgroup() { [[ ! -d $1 ]] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true; }

wait_booted() {
  local condition
  eventually 60 leader "$1" >/dev/null || die "$1 does not boot: $STATE/hosts/$1/console.log"
  eventually 90 has_booted "$1" || die "$1 does not finish booting: $STATE/hosts/$1/console.log"
  condition=$(inside "$1" systemctl is-system-running || true)
  [[ $condition == running ]] || say "$1 is $condition: $(inside "$1" systemctl --failed --no-legend --plain | awk '{ print $1 }' | xargs)"
}
has_booted() {
  case $(inside "$1" timeout 5 systemctl is-system-running --wait 2>/dev/null || true) in
  running | degraded) return 0 ;;
  *) return 1 ;;
  esac
}

# power_off HOST: a power cut. First nothing gets out any more, then the file system forgets all that is
# not yet on the disk and its journal (FS_IOC_SHUTDOWN without flushing), then every process is killed.
power_off() {
  in_panel ip link set "$1" down 2>/dev/null || true
  thaw "$1"
  if mountpoint -q "$(disk_of "$1")"; then
    perl -e 'my $how = pack("L", 2); open(my $disk, "<", $ARGV[0]) or die "$!\n"; ioctl($disk, 0x8004587d, $how) or die "$!\n"' \
      "$(disk_of "$1")" || die "the file system of $1 can't be shut down"
  fi
  kill_processes "$1"
  unplug "$1"
  detach "$1"
}

kill_processes() {
  local group=$CGROUPS/$1
  throttle "$1" off # or they would wait for the slow disk before they die
  if [[ -d $group ]]; then
    echo 1 >"$group/cgroup.kill"
    eventually 20 is_off "$1" || die "processes of $1 can't be killed: see $group"
    remove_cgroup "$group"
  fi
  rm -rf --one-file-system "/run/systemd/nspawn/propagate/$PREFIX-$1" "/run/systemd/nspawn/unix-export/$PREFIX-$1"
  rm -f "/run/systemd/nspawn/locks/inode-$(stat -c %d:%i "$(root_of "$1")" 2>/dev/null)"
}

power_cut() {
  power_off "$1"
  attach "$1" # so that its files can be looked at
}

reboot() {
  local before
  before=$(leader "$1") || die "$1 is off"
  kill -s RTMIN+5 "$before"
  eventually 90 is_other_leader "$1" "$before" || die "$1 does not reboot: $STATE/hosts/$1/console.log"
  wait_booted "$1"
}
is_other_leader() {
  local now
  now=$(leader "$1") && [[ $now != "$2" ]]
}

# --- one host: making it ---------------------------------------------------------------------------

make_host() { # a disk that has never been booted, for the role that is noted
  local folder=$STATE/hosts/$1 root kind host key image
  image=$(<"$STATE/image")
  mkdir -p "$folder/identity"
  for kind in ed25519 ecdsa rsa; do
    key=$folder/identity/ssh_host_${kind}_key
    if [[ -e $image/$kind-$1 ]]; then
      cp "$image/$kind-$1" "$key"
      cp "$image/$kind-$1.pub" "$key.pub"
    else
      ssh-keygen -q -t "$kind" -N '' -C "root@$1" -f "$key"
    fi
    echo "$(address "$1") $(sed 's/ root@.*//' "$key.pub")" >>"$folder/known_hosts"
  done
  cp --sparse=always "$image/disk" "$(disk_file "$1")"
  attach "$1"
  root=$(root_of "$1")
  install -m 600 "$folder"/identity/ssh_host_*_key "$root/etc/ssh/"
  install -m 644 "$folder"/identity/ssh_host_*_key.pub "$root/etc/ssh/"
  install -d -m 700 "$root/root/.ssh"
  install -m 600 "$STATE/key.pub" "$root/root/.ssh/authorized_keys"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  chmod 444 "$root/etc/machine-id"
  echo "$1" >"$root/etc/hostname"
  {
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n192.0.2.1\tpanel\n' "$1"
    for ((host = 11; host < 20; host++)); do printf '192.0.2.%s\th%s\n' "$host" "$host"; done
  } >"$root/etc/hosts"
  load_role "$(<"$folder/role")"
  systemctl --root="$root" --quiet enable "${ROLE_UNITS[@]}"
  freeze "$1"
  cp --sparse=always "$(disk_file "$1")" "$STATE/snapshots/$FRESH/$1"
  thaw "$1"
  touch "$folder/complete"
}
