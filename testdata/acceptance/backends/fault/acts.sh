# shellcheck shell=bash disable=SC2154

told() {
  [[ ! -e /run/fault/$1-hang ]] || sleep 987
  [[ ! -e /run/fault/$1 ]] || fail "told to fail: $1"
}

probe_fault() {
  local key
  for key in "$@"; do
    if [[ -e /run/fault/done-$key ]]; then state "$key" "done" "done"; else state "$key" no "done"; fi
  done
}

do_fault() {
  local key
  told publish
  for key in "$@"; do printf 'x' >"/run/fault/done-$key"; done
}

undo_fault() {
  local key
  told undo
  for key in "$@"; do find "/run/fault/done-$key" -delete; done
}

check_fault() { told check; }

probe_later() {
  local key
  for key in "$@"; do
    if [[ -e /run/fault/later-$key ]]; then state "$key" "done" "done"; else state "$key" no "done"; fi
  done
}

do_later() {
  local key
  told keep
  for key in "$@"; do printf 'x' >"/run/fault/later-$key"; done
}
