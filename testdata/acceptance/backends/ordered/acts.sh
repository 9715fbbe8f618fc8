# shellcheck shell=bash disable=SC2154

probe_ordered() {
  local key
  for key in "$@"; do
    if [[ -e /run/ordered/user-$key ]]; then state "$key" "done" "done"; else state "$key" no "done"; fi
  done
}

do_ordered() {
  local key
  date +%s%N >/run/ordered/done
  for key in "$@"; do printf 'x' >"/run/ordered/user-$key"; done
}

undo_ordered() {
  local key
  sleep 0.05
  date +%s%N >/run/ordered/undone
  for key in "$@"; do find "/run/ordered/user-$key" -delete; done
}

check_ordered() { [[ ! -e /run/ordered/refuse ]] || fail 'told to refuse'; }
