# What a stock Debian server needs before users can be on it: the groups that
# say how a user comes in, sshd's part, and the places where some are shut in.
#
# Variable: home_roots, where homes lie, separated by blanks (default "/home").
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

place=/srv/orchestra
units=/etc/systemd/system

# bind SOURCE TARGET ro|rw mounts a directory at a second place, now and after a
# boot. systemd finds the unit by a name that follows from the target.
bind() {
  local unit=${2#/} options=bind,nosuid,nodev
  unit=${unit//-/\\x2d}
  unit=${unit//\//-}.mount
  [[ $3 == rw ]] || options=bind,ro,nosuid,nodev
  file "$units/$unit" root root 0644 "# Made by orchestra: what users that are shut in see.
[Unit]
Description=$1 for users that are shut in
[Mount]
What=$1
Where=$2
Type=none
Options=$options
[Install]
WantedBy=local-fs.target
"
  link "$units/local-fs.target.wants/$unit" "../$unit"
  if [[ $3 == rw ]]; then
    act mount_writable "$1:$2" probe_mounts mount_writable unmount reversible
  else
    act mount_readonly "$1:$2" probe_mounts mount_readonly unmount reversible
  fi
}

# second PLACE ROOT binds homes into a place, below directories of the same names.
second() {
  local part at=$1
  local -a parts
  IFS=/ read -r -a parts <<<"${2#/}"
  for part in "${parts[@]}"; do
    at+=/$part
    [[ $at == "$1$2" ]] || dir "$at" root root 0755
  done
  bind "$2" "$1$2" rw
}

sshd_part() {
  printf '%s\n' "# Made by orchestra: how users come in, by the group that they are in.
# panel-login ${fact[login]}
Match Group orchestra-none
    AuthorizedKeysFile /etc/ssh/orchestra/keys/%u
    DenyUsers *
Match Group orchestra-sftp
    AuthorizedKeysFile /etc/ssh/orchestra/keys/%u
    ChrootDirectory $place/sftp
    ForceCommand internal-sftp
    DisableForwarding yes
    PermitTTY no
    PermitUserRC no
Match Group orchestra-rsync
    AuthorizedKeysFile /etc/ssh/orchestra/keys/%u
    ForceCommand /usr/bin/rrsync \"\$HOME\"
    DisableForwarding yes
    PermitTTY no
    PermitUserRC no
Match Group orchestra-jail
    AuthorizedKeysFile /etc/ssh/orchestra/keys/%u
    ChrootDirectory $place/jail
    DisableForwarding yes
    PermitUserRC no
Match Group orchestra-shell
    AuthorizedKeysFile /etc/ssh/orchestra/keys/%u
# No such user exists: sshd is asked about it, to see that it reads this file.
Match User orchestra-probe
    ForceCommand internal-sftp"
}

prepare() {
  local root access part modes=
  local -a roots
  read -r -a roots <<<"${fact[home_roots]-/home}"

  for access in none sftp rsync jail shell; do
    group "orchestra-$access" -
  done

  dir /etc/ssh/orchestra root root 0755
  dir /etc/ssh/orchestra/keys root root 0711
  dir /etc/ssh/sshd_config.d root root 0755
  file /etc/ssh/sshd_config.d/50-orchestra.conf root root 0644 "$(sshd_part)
"
  dir /srv root root 0755
  dir "$place" root root 0755
  dir "$place/sftp" root root 0755
  dir "$place/jail" root root 0755
  dir "$units/local-fs.target.wants" root root 0755

  # Homes cannot be listed; each is entered by its own user only. Debian's
  # tmpfiles would give /home its old mode at the next boot.
  for root in "${roots[@]}"; do
    dir "$root" root root 0711
    modes+="z $root 0711 root root -"$'\n'
    second "$place/sftp" "$root"
    second "$place/jail" "$root"
  done
  dir /etc/tmpfiles.d root root 0755
  file /etc/tmpfiles.d/orchestra.conf root root 0644 "# Made by orchestra: homes cannot be listed.
$modes"

  # The jail has programs, and as much of /etc and /dev as they cannot do without.
  for part in dev etc; do dir "$place/jail/$part" root root 0755; done
  dir "$place/jail/tmp" root root 1777
  bind /usr "$place/jail/usr" ro
  bind /etc/alternatives "$place/jail/etc/alternatives" ro
  for part in bin sbin lib lib64; do link "$place/jail/$part" "usr/$part"; done
  entry "$place/jail/etc/passwd" root x:0:0:root:/root:/usr/sbin/nologin colon
  entry "$place/jail/etc/group" root x:0: colon
  for part in passwd group; do
    act readable "$place/jail/etc/$part" probe_readable make_readable make_private reversible
  done
  file "$place/jail/etc/nsswitch.conf" root root 0644 "passwd: files
group: files
hosts: files dns
"
  for part in 1:3:null 1:5:zero 1:7:full 1:8:random 1:9:urandom 5:0:tty; do
    act device "${part%:*}:$place/jail/dev/${part##*:}" probe_devices make_devices remove_devices reversible
  done

  check check_sshd
  reload ssh
}

need sshd
need rrsync
need mount
each_object prepare
