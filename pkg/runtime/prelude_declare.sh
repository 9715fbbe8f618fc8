# What a backend's declaring part begins with. It runs as nobody, without a
# network; its verbs print what should be, and change nothing.
# Descriptor 3 holds the records of the objects; what is declared goes to 4.
# shellcheck shell=bash
# The arrays and names below are for the backend.
# shellcheck disable=SC2034
set -euo pipefail
set -f
umask 022
ulimit -c 0 -n 256 -u 1024 -f 262144 -v 4194304 2>/dev/null || true

declare action='' noun='' id='' name='' # of the object that is being handled
declare -A fact=() before=()
declare -A setting=() # of the panel, those that the manifest names
declare -A _lists=()
declare -i _object=0

# fail MESSAGE ends the operation: nothing of it becomes live.
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# _usage TEXT refuses a verb that has too few arguments, or too many.
_usage() { fail "usage: $1"; }

# Each verb prints: the number of fields that follow, the object, the verb, its
# arguments; every field ended by NUL. One printf each, since it is these calls
# that a thousand objects cost.
file() {
  (($# >= 5 && $# <= 10)) || _usage 'file PATH OWNER GROUP MODE CONTENT [new] [secret] [grows MARK [AHEAD]]'
  printf '%s\0' $(($# + 2)) "$_object" file "$@" >&4
}
absent() {
  (($# == 1)) || _usage 'absent PATH'
  printf '3\0%s\0absent\0%s\0' "$_object" "$1" >&4
}
dir() {
  (($# == 4)) || _usage 'dir PATH OWNER GROUP MODE'
  printf '6\0%s\0dir\0%s\0%s\0%s\0%s\0' "$_object" "$@" >&4
}
link() {
  (($# == 2)) || _usage 'link PATH TARGET'
  printf '4\0%s\0link\0%s\0%s\0' "$_object" "$@" >&4
}
entry() {
  (($# == 3 || $# == 4)) || _usage 'entry FILE KEY VALUE [lines|colon|sqlite]'
  printf '%s\0' $(($# + 2)) "$_object" entry "$@" >&4
}
group() {
  (($# == 2)) || _usage 'group NAME GID'
  printf '4\0%s\0group\0%s\0%s\0' "$_object" "$@" >&4
}
user() {
  (($# == 8 || $# == 9)) || _usage 'user NAME UID GID HOME SHELL GECOS HASH EXPIRED [keep]'
  printf '%s\0' $(($# + 2)) "$_object" user "$@" >&4
}
member() {
  (($# == 2)) || _usage 'member GROUP USER'
  printf '4\0%s\0member\0%s\0%s\0' "$_object" "$@" >&4
}
drop() {
  case ${1-} in
    entry) (($# == 3 || $# == 4)) || _usage 'drop entry FILE KEY [lines|colon|sqlite]' ;;
    user | group) (($# == 3)) || _usage "drop $1 NAME ID" ;;
    member) (($# == 3)) || _usage 'drop member GROUP USER' ;;
    *) _usage 'drop entry|user|group|member …' ;;
  esac
  printf '%s\0' $(($# + 1)) "$_object" "drop-$1" "${@:2}" >&4
}
park() {
  case $# in
    1) printf '3\0%s\0park\0%s\0' "$_object" "$1" >&4 ;;
    2) printf '4\0%s\0park-kind\0%s\0%s\0' "$_object" "$@" >&4 ;;
    *) _usage 'park PATH, or park KIND NAME' ;;
  esac
}
act() {
  (($# == 6 || $# == 7)) || _usage 'act KIND KEY PROBE DO UNDO reversible|pivot|later [CONTENT]'
  printf '%s\0' $(($# + 2)) "$_object" act "$@" >&4
}
check() {
  (($# == 1)) || _usage 'check FUNCTION'
  printf '3\0000\0check\0%s\0' "$1" >&4
}
reload() {
  (($# == 1)) || _usage 'reload UNIT'
  printf '3\0000\0reload\0%s\0' "$1" >&4
}
refresh() {
  (($# == 2)) || _usage 'refresh FUNCTION KEY'
  printf '4\0%s\0refresh\0%s\0%s\0' "$_object" "$@" >&4
}
own() {
  (($# >= 2 && $# <= 4)) || _usage 'own file|directory|link|entry|user|group|member SCOPE [all [lines|colon]]'
  printf '%s\0' $(($# + 2)) 0 own "$@" >&4
}
need() {
  (($# == 1)) || _usage 'need PROGRAM'
  printf '3\0000\0need\0%s\0' "$1" >&4
}

# list FACT ARRAY fills the array with the elements of a list of facts;
# "before.FACT" names the list as it was. A list that is not there is empty.
list() {
  (($# == 2)) || _usage 'list FACT ARRAY'
  local -n _array=$2
  _array=()
  [[ -z ${_lists[$1]-} ]] || _elements "${_lists[$1]}"
}

# _elements TEXT fills the array of list with the elements of a list as it travels.
# It stands alone because bash copies all of a function each time that it is called.
_elements() {
  local _n IFS=$'\x1e'
  # Split at the ends of elements; names are not expanded (set -f).
  # shellcheck disable=SC2206
  _array=($1)
  [[ $1 == *\\* ]] || return 0
  for _n in "${!_array[@]}"; do
    [[ ${_array[_n]} != *\\* ]] || printf -v "_array[$_n]" %b "${_array[_n]}"
  done
}

# each_object FUNCTION calls it once per object, in the order of the records,
# with action, noun, id, name and the arrays fact and before set.
#
# A record is a line of columns, each ended by \x1f; the last shows that it is
# whole. One call of read sets all the variables of an object: a loop over its
# facts would take five times as long. The first column tells a line that names
# the columns of those after it (#) and one with escapes (%).
each_object() {
  local _mark _rest
  local -a _columns=(_mark action _rest) _names
  local -i _facts=0 _befores=0
  _object=0
  while IFS=$'\x1f' read -r -u 3 "${_columns[@]}"; do
    case $_mark in
      '#')
        _header
        continue
        ;;
      '=')
        _setting
        continue
        ;;
      '%') _unescape ;;
    esac
    [[ $_rest == . ]] || fail 'a record is cut off'
    _object+=1
    "$1"
  done
  [[ -z ${_mark-} ]] || fail 'a record is cut off'
  _object=0
}

# _setting reads a line that tells a setting: its name and its value.
_setting() {
  [[ $_rest == *$'\x1f.' ]] || fail 'a record is cut off'
  printf -v "setting[$action]" %b "${_rest%$'\x1f.'}"
}

# _header reads the line that names the columns.
_header() {
  local -i _n
  local IFS=$'\x1e'
  # shellcheck disable=SC2206
  _names=($action)
  _facts=${_names[0]} _befores=${_names[1]}
  _names=("${_names[@]:2}")
  _columns=(_mark action noun id name)
  for ((_n = 0; _n < ${#_names[@]}; _n++)); do
    if ((_n < _facts)); then
      _columns+=("fact[${_names[_n]}]")
    elif ((_n < _facts + _befores)); then
      _columns+=("before[${_names[_n]}]")
    else
      _columns+=("_lists[${_names[_n]}]")
    fi
  done
  _columns+=(_rest)
  fact=() before=() _lists=()
}

# _unescape undoes the escapes of an object. Those of lists are undone by list.
_unescape() {
  local _n
  printf -v name %b "$name"
  for ((_n = 0; _n < _facts; _n++)); do
    printf -v "fact[${_names[_n]}]" %b "${fact[${_names[_n]}]}"
  done
  for ((; _n < _facts + _befores; _n++)); do
    printf -v "before[${_names[_n]}]" %b "${before[${_names[_n]}]}"
  done
}
