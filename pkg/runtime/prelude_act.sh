# What a backend's acts begin with: one function of acts.sh is called, as root.
# Descriptor 3 holds, for each key, the key, its state before, its content and its
# name in the trash, each ended by NUL; probes answer on 4.
# shellcheck shell=bash
# The arrays are for the backend.
# shellcheck disable=SC2034
set -euo pipefail
umask 022

declare -A state_before=() content=() trash=()

# fail MESSAGE ends the act, which then has failed.
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# state KEY NOW WANTED is how a probe answers: the state that is and the one that
# should be, in words that are always the same for the same state.
state() {
  (($# == 3)) || fail 'usage: state KEY NOW WANTED'
  printf '%s\0%s\0%s\0' "$@" >&4
}

_read_keys() {
  local _key _state _content _trash
  while IFS= read -r -d '' _key <&3 && IFS= read -r -d '' _state <&3 &&
    IFS= read -r -d '' _content <&3 && IFS= read -r -d '' _trash <&3; do
    state_before[$_key]=$_state
    content[$_key]=$_content
    trash[$_key]=$_trash
  done
  exec 3<&-
}
_read_keys
