# What a backend's declaring part begins with. It runs as nobody, without a
# network; its verbs print what should be, and change nothing.
# Descriptor 3 holds the records of the objects; what is declared goes to 4.
# shellcheck shell=bash
set -euo pipefail
set -f
umask 022
ulimit -c 0 -n 256 -u 1024 -f 65536 -v 4194304 2>/dev/null || true

declare action='' noun='' id='' name='' # of the object that is being handled
declare -A fact=() before=()
declare -A _lists=()
declare -i _object=0

# _say COUNT ARGUMENT … prints one declaration.
_say() { printf '%s\0' "$@" >&4; }

# fail MESSAGE ends the operation: nothing of it becomes live.
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# _arguments GIVEN LEAST MOST USAGE refuses a verb with too few or many of them.
_arguments() {
  (($1 >= $2 && $1 <= $3)) || fail "usage: $4 ($1 arguments given)"
}

file() {
  _arguments $# 5 7 'file PATH OWNER GROUP MODE CONTENT [new] [secret]'
  _say $(($# + 2)) "$_object" file "$@"
}
absent() {
  _arguments $# 1 1 'absent PATH'
  _say 3 "$_object" absent "$1"
}
dir() {
  _arguments $# 4 4 'dir PATH OWNER GROUP MODE'
  _say 6 "$_object" dir "$@"
}
link() {
  _arguments $# 2 2 'link PATH TARGET'
  _say 4 "$_object" link "$@"
}
entry() {
  _arguments $# 3 4 'entry FILE KEY VALUE [lines|colon]'
  _say $(($# + 2)) "$_object" entry "$@"
}
group() {
  _arguments $# 2 2 'group NAME GID'
  _say 4 "$_object" group "$@"
}
user() {
  _arguments $# 8 8 'user NAME UID GID HOME SHELL GECOS HASH EXPIRED'
  _say 10 "$_object" user "$@"
}
member() {
  _arguments $# 2 2 'member GROUP USER'
  _say 4 "$_object" member "$@"
}
drop() {
  local verb=${1-}
  case $verb in
    entry | user | group | member) ;;
    *) fail "usage: drop entry|user|group|member …" ;;
  esac
  shift
  case $verb in
    entry) _arguments $# 2 3 'drop entry FILE KEY [lines|colon]' ;;
    *) _arguments $# 2 2 "drop $verb NAME ID" ;;
  esac
  _say $(($# + 2)) "$_object" "drop-$verb" "$@"
}
park() {
  _arguments $# 1 1 'park PATH'
  _say 3 "$_object" park "$1"
}
act() {
  _arguments $# 6 7 'act KIND KEY PROBE DO UNDO reversible|pivot|later [CONTENT]'
  _say $(($# + 2)) "$_object" act "$@"
}
check() {
  _arguments $# 1 1 'check FUNCTION'
  _say 3 0 check "$1"
}
reload() {
  _arguments $# 1 1 'reload UNIT'
  _say 3 0 reload "$1"
}
own() {
  _arguments $# 2 2 'own file|directory|link|entry|user|group SCOPE'
  _say 4 0 own "$@"
}
need() {
  _arguments $# 1 1 'need PROGRAM'
  _say 3 0 need "$1"
}

# list FACT ARRAY fills the array with the elements of a list of facts;
# "before.FACT" names the list as it was. A list that is not there is empty.
list() {
  local -n _array=$2
  local _raw=${_lists[$1]-} IFS=$'\x1e'
  # Split at the ends of elements; names are not expanded (set -f).
  # shellcheck disable=SC2206
  _array=($_raw)
  if [[ $_raw == *\\* ]]; then
    local _i
    for _i in "${!_array[@]}"; do
      [[ ${_array[_i]} != *\\* ]] || printf -v "_array[$_i]" %b "${_array[_i]}"
    done
  fi
}

# each_object FUNCTION calls it once per object, in the order of the records,
# with action, noun, id, name and the arrays fact and before set.
each_object() {
  local -a _lines _fields
  local _line _field _name _value
  _object=0
  while mapfile -t -n 500 -u 3 _lines && ((${#_lines[@]} > 0)); do
    for _line in "${_lines[@]}"; do
      _object+=1
      fact=() before=() _lists=()
      _split
      for _field in "${_fields[@]}"; do
        _name=${_field%%=*} _value=${_field#*=}
        case $_name in
          *'[]') _lists[${_name%'[]'}]=$_value ;;
          before.*)
            [[ $_value != *\\* ]] || printf -v _value %b "$_value"
            before[${_name#before.}]=$_value
            ;;
          @*)
            [[ $_value != *\\* ]] || printf -v _value %b "$_value"
            case $_name in
              @action) action=$_value ;;
              @noun) noun=$_value ;;
              @id) id=$_value ;;
              @name) name=$_value ;;
            esac
            ;;
          *)
            [[ $_value != *\\* ]] || printf -v _value %b "$_value"
            fact[$_name]=$_value
            ;;
        esac
      done
      "$1"
    done
  done
  _object=0
}

# _split cuts _line into _fields; its last column shows that it is whole.
_split() {
  local IFS=$'\x1f'
  # shellcheck disable=SC2206
  _fields=($_line)
  [[ ${_fields[-1]} == . ]] || fail 'a record is cut off'
  unset '_fields[-1]'
}
