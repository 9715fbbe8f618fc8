# Tells a provider of each user, after the commit.
# shellcheck shell=bash disable=SC2154

declare_one() {
  if [[ $action == delete ]]; then
    act leave "$name" probe_leave leave nothing later
  else
    act join "$name" probe_join join nothing later
  fi
}

each_object declare_one
