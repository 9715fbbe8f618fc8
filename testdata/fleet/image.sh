# shellcheck shell=bash
# Part of fleet.sh: the roles, and the Debian image that all hosts share.

ROLES=${SELF%/*}/roles
# What every host has, whatever its role.
PACKAGES=(systemd systemd-sysv libpam-systemd dbus openssh-server iproute2 iputils-ping procps psmisc
  acl cron at rsync python3 sudo ca-certificates logrotate quota zsh)

# load_role ROLE: sets ROLE_PACKAGES, ROLE_UNITS and, where the image is to be prepared, the function prepare.
load_role() {
  # shellcheck disable=SC2034 # host.sh reads the units
  ROLE_PACKAGES=() ROLE_UNITS=()
  unset -f prepare
  [[ $1 =~ ^[a-z0-9-]+$ && -e $ROLES/$1.conf ]] || die "no role $1; there are: $(role_names | xargs)"
  # shellcheck source=/dev/null
  . "$ROLES/$1.conf"
}
role_names() { basename -s .conf "$ROLES"/*.conf; }

set_image() { # the image's folder is named by all that it is made from
  local hash
  hash=$({
    declare -p PACKAGES
    declare -f build_image finish_image
    cat "$ROLES"/*.conf
  } | sha256sum)
  IMAGE=$CACHE/${hash:0:16}
}

apt_sources() {
  local file
  for file in ${ORCHESTRA_FLEET_SOURCES:-/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list}; do
    if [[ -e $file ]] && grep -q bookworm "$file"; then
      echo "$file"
      return
    fi
  done
  die "no apt sources of Debian bookworm found; name a file of them in ORCHESTRA_FLEET_SOURCES"
}

image() {
  local began sources
  set_image
  [[ ! -d $IMAGE ]] || return 0
  mkdir -p "$CACHE"
  exec 7>"$CACHE/lock"
  flock --exclusive --nonblock 7 || { say "waiting for another builder of images"; flock --exclusive 7; }
  if [[ ! -d $IMAGE ]]; then
    began=$EPOCHSECONDS
    need mmdebstrap:mmdebstrap mkfs.ext4:e2fsprogs
    sources=$(apt_sources)
    rm -rf --one-file-system "$CACHE"/*.building
    say "building the image of the hosts: about a minute, this once"
    mkdir "$IMAGE.building"
    build_image "$IMAGE.building" "$sources" >"$CACHE/build.log" 2>&1 || {
      tail -n 20 "$CACHE/build.log" >&2
      die "the image could not be built; all of it is in $CACHE/build.log"
    }
    sync -f "$IMAGE.building"
    mv "$IMAGE.building" "$IMAGE" # complete exactly when it has its name
    say "built $(du -sm "$IMAGE" | cut -f1) MiB in $((EPOCHSECONDS - began)) s: $IMAGE"
  fi
  exec 7>&-
}

build_image() { # FOLDER SOURCES
  local role all=("${PACKAGES[@]}") exclude=() path host
  for role in $(role_names); do
    load_role "$role"
    all+=("${ROLE_PACKAGES[@]}")
  done
  for path in doc man info locale lintian; do exclude+=(--dpkgopt="path-exclude=/usr/share/$path/*"); done
  mmdebstrap --mode=root --variant=essential --include="$(IFS=,; echo "${all[*]}")" \
    --dpkgopt=force-unsafe-io "${exclude[@]}" --aptopt='Acquire::Languages "none"' bookworm "$1/root" "$2" || return
  finish_image "$1/root" || return
  for role in $(role_names); do
    load_role "$role"
    declare -F prepare >/dev/null || continue
    chroot "$1/root" bash -euo pipefail -c "$(declare -f prepare); prepare" || return
  done
  # RSA keys take half a second each, too long for every `up`: the first ten hosts of all fleets share ten.
  for host in h{11..20}; do ssh-keygen -q -t rsa -N '' -C "root@$host" -f "$1/rsa-$host" || return; done
  # The disk of a host, empty. No blocks are reserved for root, so that full means full for root too.
  truncate -s 2G "$1/disk" && mkfs.ext4 -q -m 0 -E lazy_journal_init=1,nodiscard "$1/disk"
}

finish_image() { # ROOT: nothing starts by itself, and nothing is there that must differ between hosts
  local unit
  for unit in $(systemctl --root="$1" list-unit-files --state=enabled --no-legend --no-pager | awk '{ print $1 }'); do
    case $unit in
    *@.service | *.target | logrotate.timer) ;;
    *) systemctl --root="$1" --quiet disable "$unit" || return ;;
    esac
  done
  systemctl --root="$1" --quiet mask console-getty.service || return
  rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/resolv.conf" "$1/etc/hostname" || return
  : >"$1/etc/machine-id"
}
