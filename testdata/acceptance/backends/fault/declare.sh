# Fails or hangs in the phase that a file in /run/fault names.
# shellcheck shell=bash disable=SC2154

[[ ! -e /run/fault/stage ]] || fail 'told to fail while staging'
[[ ! -e /run/fault/stage-hang ]] || sleep 987

declare_one() {
  if [[ $action == save ]]; then
    file "/var/lib/fault/$name" root root 0644 "$name"
  else
    absent "/var/lib/fault/$name"
  fi
  act fault "$name" probe_fault do_fault undo_fault reversible
  act later "$name" probe_later do_later undo_fault later
}

dir /var/lib/fault root root 0755
each_object declare_one
check check_fault
reload fault.service
