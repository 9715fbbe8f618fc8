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

save_user() {
  local uid=${fact[uid]} home=${fact[home]} expired=0 mode access other path part
  local -a groups former parts
  [[ ${fact[active]} == yes ]] || expired=1

  group "$name" "$uid"
  user "$name" "$uid" "$uid" "$home" "${fact[shell]}" "${fact[gecos]}" "${fact[password]}" "$expired"

  # The main user is in the groups of all users of its account.
  [[ ${fact[main]} == "$name" ]] || member "$name" "${fact[main]}"
  if [[ -n ${before[main]-} && ${before[main]} != "${fact[main]}" ]]; then
    drop member "$name" "${before[main]}"
  fi
  list group groups
  for other in "${groups[@]}"; do member "$other" "$name"; done
  list before.group former
  for other in "${former[@]}"; do
    [[ " ${groups[*]} " == *" $other "* ]] || drop member "$other" "$name"
  done

  for access in none sftp rsync jail shell; do
    if [[ ${fact[access]} == "$access" ]]; then
      member "orchestra-$access" "$name"
    else
      drop member "orchestra-$access" "$name"
    fi
  done

  # Who has its home at the main user's works in a directory of that user's
  # group: what is inside a user's tree belongs to that user.
  mode=0750
  [[ ${fact[home_uid]} == "$uid" ]] || mode=2770
  [[ ${fact[home_kept]} == yes ]] || dir "$home" "${fact[home_uid]}" "${fact[home_uid]}" "$mode"
  if [[ -n ${fact[directory]} ]]; then
    path=$home
    IFS=/ read -r -a parts <<<"${fact[directory]}"
    for part in "${parts[@]}"; do
      path+=/$part
      dir "$path" "${fact[home_uid]}" "${fact[home_uid]}" "$mode"
    done
  fi

  # Keys lie where only root writes, so that who is disabled cannot bring them back.
  if ((expired == 0)) && [[ -n ${fact[keys]} && ${fact[access]} != none ]]; then
    file "$keys/$name" root "$uid" 0640 "${fact[keys]}"
  else
    absent "$keys/$name"
  fi

  # Programs in the jail ask who they are.
  if [[ ${fact[access]} == jail ]]; then
    entry "$jail/etc/passwd" "$name" "x:$uid:$uid::$home:${fact[shell]}" colon
    entry "$jail/etc/group" "$name" "x:$uid:" colon
  else
    leave_jail
  fi

  # Sessions that were opened under other terms end.
  if ((expired == 1)) || [[ -n ${before[access]-} && ${before[access]} != "${fact[access]}" ]]; then
    act processes "$uid" probe_processes end_processes nothing later
  fi
}

leave_jail() {
  drop entry "$jail/etc/passwd" "$name" colon
  drop entry "$jail/etc/group" "$name" colon
}

delete_user() {
  local uid=${fact[uid]} access other
  local -a groups
  absent "$keys/$name"
  leave_jail
  for access in none sftp rsync jail shell; do drop member "orchestra-$access" "$name"; done
  list group groups
  for other in "${groups[@]}"; do drop member "$other" "$name"; done
  [[ ${fact[main]} == "$name" ]] || drop member "$name" "${fact[main]}"
  drop user "$name" "$uid"
  drop group "$name" "$uid"
  # Data goes to the trash; what would run once more, too.
  [[ ${fact[home_kept]} == yes ]] || park "${fact[home]}"
  park "/var/spool/cron/crontabs/$name"
  park "/var/lib/systemd/linger/$name"
  park "/var/mail/$name"
  act processes "$uid" probe_processes end_processes nothing later
  act at-jobs "$uid" probe_at_jobs remove_at_jobs nothing later
}

need setpriv
need ps
each_object one_user
