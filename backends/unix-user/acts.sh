# What unix-user does and asks on a server. The functions get keys as arguments:
# numbers of users for processes and at_jobs; SOURCE:TARGET for mounts;
# MAJOR:MINOR:PATH for devices; paths of files.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

# The runtime calls what reversible acts are undone by; later acts have none.
nothing() { :; }

# number TEXT refuses what is no number of a user, and root's.
number() { [[ $1 =~ ^[1-9][0-9]*$ ]] || fail "$1 is not the number of a user"; }

# --- processes of users that are disabled, deleted, or come in another way now

# running fills the array busy with the users as whom, really or effectively,
# processes run: one look for all keys.
running() {
  local real effective
  busy=()
  while read -r real effective; do busy[$real]=1 busy[$effective]=1; done < <(ps -e -o ruid= -o euid=)
}

probe_processes() {
  local uid
  local -A busy
  running
  for uid in "$@"; do
    if [[ -n ${busy[$uid]-} ]]; then state "$uid" running ended; else state "$uid" ended ended; fi
  done
}

# end_processes kills all of a user's processes in one call, as that user: the
# kernel does not let one slip away by forking meanwhile.
end_processes() {
  local uid try
  local -A busy
  for try in 1 2 3 4 5 6 7 8 9 10; do
    running
    for uid in "$@"; do
      number "$uid"
      [[ -n ${busy[$uid]-} ]] || continue
      setpriv --reuid="$uid" --regid="$uid" --clear-groups --no-new-privs bash -c 'kill -KILL -1' || true
      try=again
    done
    [[ $try == again ]] || return 0
    sleep 0.1
  done
  fail 'processes do not end'
}

# --- jobs that at(1) keeps for a deleted user, and what they said

at_jobs() {
  local place
  for place in /var/spool/cron/atjobs /var/spool/cron/atspool; do
    [[ ! -d $place ]] || find "$place" -xdev -maxdepth 1 -type f "$@"
  done
}

probe_at_jobs() {
  local uid
  local -A waiting=()
  while read -r uid; do waiting[$uid]=1; done < <(at_jobs -printf '%U\n')
  for uid in "$@"; do
    if [[ -n ${waiting[$uid]-} ]]; then state "$uid" waiting none; else state "$uid" none none; fi
  done
}

remove_at_jobs() {
  local uid
  for uid in "$@"; do
    number "$uid"
    at_jobs -uid "$uid" -delete
  done
}

# --- mounts and devices of the places that users are shut in

probe_mounts() {
  local key
  for key in "$@"; do
    if mountpoint -q -- "${key#*:}"; then state "$key" mounted mounted; else state "$key" absent mounted; fi
  done
}

# A mount point is made with the mount: once something is mounted there, what one
# sees is the mode of that.
mount_writable() {
  local key
  for key in "$@"; do
    mkdir -p -- "${key#*:}"
    mount --bind -o nosuid,nodev -- "${key%%:*}" "${key#*:}"
  done
}

mount_readonly() {
  local key
  for key in "$@"; do
    mkdir -p -- "${key#*:}"
    mount --bind -o ro,nosuid,nodev -- "${key%%:*}" "${key#*:}"
  done
}

unmount() {
  local key
  for key in "$@"; do
    [[ ${state_before[$key]-absent} != mounted ]] || continue
    if mountpoint -q -- "${key#*:}"; then umount -- "${key#*:}"; fi
    if [[ -d ${key#*:} ]]; then rmdir -- "${key#*:}"; fi
  done
}

probe_devices() {
  local key path now
  for key in "$@"; do
    path=${key#*:*:}
    now=absent
    [[ ! -c $path ]] || now=$(stat -c '%t:%T:%a:%u:%g' -- "$path")
    state "$key" "$now" "$(printf '%x:%x:666:0:0' "${key%%:*}" "$(minor "$key")")"
  done
}

minor() {
  local rest=${1#*:}
  printf '%s' "${rest%%:*}"
}

make_devices() {
  local key path
  for key in "$@"; do
    path=${key#*:*:}
    [[ ! -e $path ]] || fail "$path is there and is another device"
    (umask 0 && mknod -m 0666 -- "$path" c "${key%%:*}" "$(minor "$key")")
  done
}

remove_devices() {
  local key path
  for key in "$@"; do
    path=${key#*:*:}
    [[ ${state_before[$key]-absent} == absent ]] || continue
    [[ ! -c $path ]] || find "$path" -maxdepth 0 -type c -delete
  done
}

# --- files of entries, which are made for root only

probe_readable() {
  local path
  for path in "$@"; do
    if [[ -f $path && $(stat -c %a -- "$path") == 644 ]]; then state "$path" readable readable; else state "$path" private readable; fi
  done
}

make_readable() {
  local path
  for path in "$@"; do chmod 0644 -- "$path"; done
}

make_private() {
  local path
  for path in "$@"; do
    if [[ -f $path ]]; then chmod 0600 -- "$path"; fi
  done
}

# --- sshd

drop_in=/etc/ssh/sshd_config.d/50-orchestra.conf

# effective USER prints what sshd would do with that user.
effective() { sshd -T -C "user=$1,host=localhost,addr=127.0.0.1"; }

# check_sshd refuses a configuration that sshd does not take, that it does not
# read, or that would keep the panel itself out.
check_sshd() {
  local login mark word rest settings
  sshd -t || fail 'sshd does not accept its configuration'
  [[ $(effective orchestra-probe) == *$'\n''forcecommand internal-sftp'$'\n'* ]] ||
    fail "sshd does not read $drop_in: /etc/ssh/sshd_config needs: Include /etc/ssh/sshd_config.d/*.conf"

  login=root
  while read -r mark word rest; do
    if [[ $mark == '#' && $word == panel-login ]]; then login=$rest; fi
  done <"$drop_in"
  settings=$'\n'$(effective "$login")$'\n'
  [[ $settings == *$'\n''pubkeyauthentication yes'$'\n'* ]] || locked_out "$login" 'public keys are not accepted'
  [[ $settings == *$'\n''chrootdirectory none'$'\n'* ]] || locked_out "$login" 'it would be shut in a directory'
  [[ $settings == *$'\n''forcecommand none'$'\n'* ]] || locked_out "$login" 'another command would be run for it'
  [[ $settings != *$'\n''authorizedkeysfile /etc/ssh/orchestra/'* ]] || locked_out "$login" 'its keys would be looked for among those of users'
  while read -r word rest; do
    case $word in
      denyusers) [[ " $rest " != *" $login "* && " $rest " != *' * '* ]] || locked_out "$login" 'it is denied' ;;
      allowusers) [[ " $rest " == *" $login "* || " $rest " == *" $login@"* || " $rest " == *'*'* ]] || locked_out "$login" 'it is not among those allowed' ;;
      permitrootlogin) [[ $login != root || $rest != no ]] || locked_out "$login" 'root may not log in' ;;
    esac
  done <<<"$settings"
}

locked_out() { fail "refused, since it would lock out our own login $1: $2"; }
