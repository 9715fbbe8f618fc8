# What unix-user does and asks on a server. The functions get keys as arguments:
# numbers of users for processes and at_jobs; SOURCE:TARGET for mounts;
# MAJOR:MINOR:PATH for devices.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

# The runtime calls what reversible acts are undone by; later acts have none.
nothing() { :; }

# --- processes of users that are disabled, deleted, or come in another way now

# running UID tells whether a process runs as that user, really or effectively.
running() {
  local real effective
  while read -r real effective; do
    [[ $real != "$1" && $effective != "$1" ]] || return 0
  done < <(ps -e -o ruid= -o euid=)
  return 1
}

probe_processes() {
  local uid
  for uid in "$@"; do
    if running "$uid"; then state "$uid" running ended; else state "$uid" ended ended; fi
  done
}

# end_processes kills all of a user's processes in one call, as that user: the
# kernel does not let one slip away by forking meanwhile.
end_processes() {
  local uid try
  for uid in "$@"; do
    ((uid > 0)) || fail "will not end the processes of user $uid"
    for try in 1 2 3 4 5 6 7 8 9 10; do
      running "$uid" || continue 2
      setpriv --reuid="$uid" --regid="$uid" --clear-groups --no-new-privs bash -c 'kill -KILL -1' || true
      sleep 0.1
    done
    running "$uid" && fail "processes of user $uid do not end (try $try)"
  done
}

# --- jobs that at(1) keeps for a deleted user

at_jobs() {
  [[ -d /var/spool/cron/atjobs ]] || return 0
  find /var/spool/cron/atjobs -xdev -maxdepth 1 -type f -uid "$1" "${@:2}"
}

probe_at_jobs() {
  local uid
  for uid in "$@"; do
    if [[ -n $(at_jobs "$uid" -print) ]]; then state "$uid" waiting none; else state "$uid" none none; fi
  done
}

remove_at_jobs() {
  local uid
  for uid in "$@"; do
    ((uid > 0)) || fail "will not remove the jobs of user $uid"
    at_jobs "$uid" -delete
  done
}

# --- mounts and devices of the places that users are shut in

probe_mounts() {
  local key
  for key in "$@"; do
    if mountpoint -q -- "${key#*:}"; then state "$key" mounted mounted; else state "$key" absent mounted; fi
  done
}

mount_writable() {
  local key
  for key in "$@"; do mount --bind -o nosuid,nodev -- "${key%%:*}" "${key#*:}"; done
}

mount_readonly() {
  local key
  for key in "$@"; do mount --bind -o ro,nosuid,nodev -- "${key%%:*}" "${key#*:}"; done
}

unmount() {
  local key
  for key in "$@"; do
    [[ ${state_before[$key]-absent} != mounted ]] || continue
    ! mountpoint -q -- "${key#*:}" || umount -- "${key#*:}"
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
