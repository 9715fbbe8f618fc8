# What a provider is told of zones, after the commit (acts.sh).
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

one_zone() {
  # A zone that became part of one above stays there as it is: what is below its
  # name would be answered no more if it were emptied.
  [[ -n ${fact[zone]} ]] || return 0
  if [[ $action != delete && -n ${fact[active]} ]]; then
    act zone "$name" probe_zone refuse_zone nothing reversible
    act update "$name" probe_update update nothing later "${fact[text]}"
  else
    act update "$name" probe_update update nothing later
  fi
}

need dig
need named-compilezone
need nsupdate
each_object one_zone
