# What users are on a server. Each user has a group of its name and number; its
# access is the one of the groups orchestra-* that it is in, which sshd's
# configuration (setup.sh) looks at. Paths are the same as there.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

keys=/etc/ssh/orchestra/keys
jail=/srv/orchestra/jail

one_user() {
  case $action in
    delete) delete_user ;;
    *) save_user ;;
  esac
}

# What few users need is in functions of its own: bash copies all of a function
# each time that it is called.
save_user() {
  local uid=${fact[uid]} access=${fact[access]} home=${fact[home]} expired=0 mode=0750 other
  local -a groups keep=()
  [[ -n ${fact[active]} ]] || expired=1
  # A password is set when it was given here; what its user made of it since is the user's.
  [[ -z ${before[uid]-} || ${before[password_mark]-} != "${fact[password_mark]}" ]] || keep=(keep)

  group "$name" "$uid"
  user "$name" "$uid" "$uid" "$home" "${fact[shell]}" "${fact[gecos]}" "${fact[password]:-!}" "$expired" "${keep[@]}"

  # The main user is in the groups of all users of its account.
  [[ ${fact[main]} == "$name" ]] || member "$name" "${fact[main]}"
  member "orchestra-$access" "$name"
  own member "$name"
  list group groups
  for other in "${groups[@]}"; do member "$other" "$name"; done

  # Who has its home at the main user's works in a directory of that user's
  # group: what is inside a user's tree belongs to that user.
  [[ ${fact[home_uid]} == "$uid" ]] || mode=2770
  [[ -n ${fact[home_kept]} ]] || dir "$home" "${fact[home_uid]}" "${fact[home_uid]}" "$mode"
  [[ -z ${fact[directory]} ]] || directories_below

  # Keys lie where only root writes, so that who is disabled cannot bring them back.
  if ((expired == 0)) && [[ -n ${fact[keys]} && $access != none ]]; then
    file "$keys/$name" root "$uid" 0640 "${fact[keys]}"
  else
    absent "$keys/$name"
  fi

  [[ $access != jail ]] || enter_jail
  [[ -z ${before[access]-} ]] || leave_former
  # Sessions that were opened under other terms end.
  if ((expired == 1)) || [[ ${before[access]-$access} != "$access" ]]; then
    act processes "$uid" probe_processes end_processes nothing later
  fi
}

# directories_below declares the directories of a user within its home.
directories_below() {
  local part path=$home
  local -a parts
  IFS=/ read -r -a parts <<<"${fact[directory]}"
  for part in "${parts[@]}"; do
    path+=/$part
    dir "$path" "${fact[home_uid]}" "${fact[home_uid]}" "$mode"
  done
}

# leave_former drops what the user was in and is not any more.
leave_former() {
  local former_access
  local -a former
  for former_access in none sftp rsync jail shell; do
    [[ $former_access == "$access" ]] || drop member "orchestra-$former_access" "$name"
  done
  [[ $access == jail ]] || leave_jail
  if [[ ${before[main]} != "${fact[main]}" && ${before[main]} != "$name" ]]; then
    drop member "$name" "${before[main]}"
  fi
  list before.group former
  for other in "${former[@]}"; do
    [[ " ${groups[*]} " == *" $other "* ]] || drop member "$other" "$name"
  done
}

# Programs in the jail ask who they are.
enter_jail() {
  entry "$jail/etc/passwd" "$name" "x:$uid:$uid::$home:${fact[shell]}" colon
  entry "$jail/etc/group" "$name" "x:$uid:" colon
}

leave_jail() {
  drop entry "$jail/etc/passwd" "$name" colon
  drop entry "$jail/etc/group" "$name" colon
}

# A user that goes leaves all groups.
delete_user() {
  local uid=${fact[uid]}
  absent "$keys/$name"
  leave_jail
  drop user "$name" "$uid"
  drop group "$name" "$uid"
  # Data goes to the trash; what would run once more, too.
  [[ -n ${fact[home_kept]} ]] || park "${fact[home]}"
  park "/var/spool/cron/crontabs/$name"
  park "/var/lib/systemd/linger/$name"
  park "/var/mail/$name"
  act processes "$uid" probe_processes end_processes nothing later
  act at_jobs "$uid" probe_at_jobs remove_at_jobs nothing later
}

# all_ours says what is ours here: what no user accounts for is left over.
all_ours() {
  local range=${setting[unix.first_id]}-${setting[unix.last_id]} access
  own user "$range"
  own group "$range"
  for access in none sftp rsync jail shell; do own member "orchestra-$access"; done
  own file "$keys" all
  own entry "$jail/etc/passwd" all colon
  own entry "$jail/etc/group" all colon
}

need setpriv
need ps
each_object one_user
all_ours
