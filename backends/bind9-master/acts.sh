# How named is told of zones: one by one, so that the others are not touched. The
# functions get the names of zones; they are the same for masters and slaves, and
# so is this file in both backends.
#
# The clause of a zone in $clauses is what named should have been told of it; named
# keeps what it was told in a database of its own. No clause means no such zone.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

clauses=/etc/bind/orchestra.zones
masters=/var/lib/bind/orchestra  # zone files, and what named keeps beside them
slaves=/var/cache/bind/orchestra # what named has transferred
key=/etc/bind/orchestra.d/key.conf
told_key=/run/orchestra-bind9.key # which key named has; a boot makes it read all anew
patience=10                       # for how many seconds a change may take to arrive

declare -A clause=() wanted=() # by zone, of those that should be
declare -A served=()           # by zone: the serial number, of those that named answers for
declare -a wanting=() unwanted=()
declare heard='' # whether named answers at all

# nothing is what a later act is undone by.
nothing() { :; }

# load_zones has what is new in zones served. Their clauses are as they were.
load_zones() {
  local zone
  local -a strange=() behind=()
  begin "$@" || return 0
  for zone in "${wanting[@]}"; do
    if [[ -z ${served[$zone]-} ]]; then
      strange+=("$zone")
    elif is_behind "$zone"; then
      behind+=("$zone")
    fi
  done
  place "${strange[@]}"
  reload "${behind[@]}"
  remove "${unwanted[@]}"
  arrive
  settle "${strange[@]}" "${unwanted[@]}"
}

# place_zones makes named have the clauses of zones, and no zone that has none.
place_zones() {
  begin "$@" || return 0
  load_key
  place "${wanting[@]}"
  remove "${unwanted[@]}"
  arrive
  settle "$@"
}

# begin finds out how zones should be and how they are. It fails where named is
# not to be told anything.
begin() {
  local zone address
  local -A asked=()
  read_clauses "$@"
  ask "$@"
  if [[ -z $heard ]]; then
    stopped
    return 1
  fi
  for zone in "${wanting[@]}"; do
    if ! is_primary "$zone"; then
      address=${clause[$zone]#*primaries { }
      asked[${address%% *}]+="$zone "
    elif is_signed "${clause[$zone]}" && [[ -n ${served[$zone]-} ]]; then
      read_signed "$zone"
    fi
  done
  going_back || for address in "${!asked[@]}"; do read_master "$address" "${asked[$address]}"; done
}

# read_clauses sorts zones by whether they should be, and reads how.
read_clauses() {
  local zone text
  for zone in "$@"; do
    if [[ ! -e $clauses/$zone ]]; then
      unwanted+=("$zone")
      continue
    fi
    wanting+=("$zone")
    text=$(<"$clauses/$zone")
    clause[$zone]=${text#//*$'\n'}
    # A slave finds the number in the first line, a master in the zone's file.
    if is_primary "$zone"; then
      wanted[$zone]=$(serial_of "$masters/$zone.zone")
    else
      text=${text%%$'\n'*}
      wanted[$zone]=${text#// }
    fi
    [[ ${wanted[$zone]} =~ ^[0-9]+$ ]] || fail "$zone has no serial number"
  done
}

# read_master makes a slave wait for what its master serves already, where that
# is more than it was told: signing counts on, and so does undoing.
read_master() {
  local zone
  local -a zones
  local -A answered=()
  read -r -a zones <<<"$2"
  answers "$1" "${zones[@]}"
  for zone in "${zones[@]}"; do
    ((${answered[$zone]:-0} <= wanted[$zone])) || wanted[$zone]=${answered[$zone]}
  done
}

# read_signed finds out whether a signed zone has what is in its file. The number
# that is served says nothing about that, but will be larger when it has.
read_signed() {
  local word number rest next=$((served[$1] + 1))
  while read -r word number rest; do
    if [[ $word == serial: ]]; then
      [[ $number == "${wanted[$1]}" ]] || ((wanted[$1] >= next)) || wanted[$1]=$next
      return
    fi
  done < <(rndc zonestatus "$1" 2>/dev/null)
}

is_primary() { [[ ${clause[$1]} == '{ type primary;'* ]]; }
is_signed() { [[ $1 == *' inline-signing yes;'* ]]; }
is_behind() { ((${served[$1]:-0} < wanted[$1])); }

# going_back tells whether files were put back, because the operation is undone.
going_back() { [[ " ${state_before[*]} " == *' back '* ]]; }

# serial_of prints the serial number of a zone file.
serial_of() {
  local word rest
  while read -r word rest; do
    if [[ $rest == '; serial' ]]; then
      printf '%s' "$word"
      return
    fi
  done <"$1"
}

# ask fills in what named answers for zones.
ask() {
  local zone
  local -A answered=()
  for zone in "$@"; do unset "served[$zone]"; done
  answers 127.0.0.1 "$@"
  for zone in "${!answered[@]}"; do served[$zone]=${answered[$zone]}; done
  heard=${answered[.]-}
  unset "served[.]"
}

# answers ADDRESS ZONE… fills the array answered with the serial numbers that a
# server has authority for, and notes under the root's name that it answers: one
# process, however many zones.
answers() {
  local authority='' address=$1
  local -a field
  shift
  (($# > 0)) || return 0
  while read -r -a field; do
    if [[ "${field[0]-} ${field[1]-}" == ';; flags:' ]]; then
      answered[.]=1 authority=''
      [[ " ${field[*]} " != *' aa'[\;\ ]* ]] || authority=1
    elif [[ "${field[0]-} ${field[1]-}" == ';; '@(communications|connection) ]]; then
      break
    elif [[ -n $authority && ${field[3]-} == SOA && ${field[0]} != ';'* ]]; then
      answered[${field[0]%.}]=${field[6]}
    fi
  done < <(printf '%s SOA\n' "$@" | dig "@$address" +norecurse +noedns +noall +comments +answer +time=2 +tries=2 -f - || :)
}

# stopped judges a named that does not run. It cannot take what is new. But going
# back needs nothing of one that was told nothing: it reads the files when it is
# started. Whether it was told something shows in its database.
stopped() {
  local zone line said
  local -A stored=()
  if said=$(rndc status 2>&1); then fail 'named runs, and does not answer at 127.0.0.1: see listen-on'; fi
  going_back || fail "named does not run: $said"
  while read -r line; do
    zone=${line#zone \"}
    stored[${zone%%\"*}]=${line#zone \"*\" }
  done < <(named-nzd2nzf "$masters/_default.nzd" 2>/dev/null | tr -s ' ')
  for zone in "${wanting[@]}"; do
    [[ ${stored[$zone]-} == "${clause[$zone]}" ]] || fail "named does not run, and will have $zone otherwise: systemctl start named"
  done
  for zone in "${unwanted[@]}"; do
    [[ -z ${stored[$zone]-} ]] || fail "named does not run, and will have $zone still: systemctl start named"
    remove_files "$zone"
  done
}

# load_key makes named read its configuration again where the key is a new one.
load_key() {
  local now=none
  [[ ! -e $key ]] || now=$(stat -c '%i %z' -- "$key")
  [[ ! -e $told_key || $(<"$told_key") != "$now" ]] || return 0
  rndc reconfig >&2
  printf '%s\n' "$now" >"$told_key"
}

# tell COMMAND ZONE… gives it to named for each zone, some at a time; with the
# clause where it is addzone.
tell() {
  local command=$1 zone
  local -a arguments=()
  shift
  (($# > 0)) || return 0
  for zone in "$@"; do
    arguments+=("$zone")
    [[ $command != addzone ]] || arguments+=("${clause[$zone]}")
  done
  printf '%s\0' "${arguments[@]}" | xargs -0 -n $((${#arguments[@]} / $#)) -P 4 rndc "$command" >&2
}

# told prints what named was told of a zone, and fails where that is nothing.
told() { rndc showzone "$1" 2>/dev/null | tr -s ' '; }

# must_be_ours ZONE CLAUSE refuses a zone that the administrator has written into
# the configuration.
must_be_ours() {
  [[ $2 == *" file \"$masters/$1.zone\";"* || $2 == *" file \"$slaves/$1.zone\";"* ]] ||
    fail "$1 is in the configuration of named already, and not by us: remove it there"
}

# place makes named have the clauses of zones.
place() {
  local zone now
  local -a fresh=() behind=()
  for zone in "$@"; do
    if [[ -z ${served[$zone]-} ]]; then
      fresh+=("$zone")
      continue
    fi
    now=$(told "$zone") || fail "named serves $zone, and does not say from where"
    must_be_ours "$zone" "$now"
    if [[ $now == "zone \"$zone\" ${clause[$zone]}" ]]; then
      :
    elif is_signed "$now" || is_signed "${clause[$zone]}"; then
      remake "$zone"
      continue
    else
      rndc modzone "$zone" "${clause[$zone]}" >&2
    fi
    ! is_behind "$zone" || behind+=("$zone")
  done
  reload "${behind[@]}"
  # Those that it knows already and does not serve are refused.
  tell addzone "${fresh[@]}" || for zone in "${fresh[@]}"; do remake "$zone"; done
}

# remake tells named of a zone from the beginning. What it keeps beside the file is
# removed, since it would not fit to it: of signing only where it has to.
remake() {
  local zone=$1 signed=''
  ! is_signed "${clause[$zone]}" || [[ ! -e $masters/$zone.zone.signed ]] || signed=1
  forget "$zone"
  remove_files "$zone" "$signed"
  rndc addzone "$zone" "${clause[$zone]}" >&2 || refused "$zone"
  [[ -n $signed ]] || return 0
  ask "$zone"
  if is_behind "$zone"; then
    forget "$zone"
    remove_files "$zone"
    rndc addzone "$zone" "${clause[$zone]}" >&2 || refused "$zone"
  fi
}

refused() {
  if is_primary "$1"; then named-checkzone "$1" "$masters/$1.zone" >&2 || :; fi
  fail "named refuses $1"
}

# reload has named read the files of zones of which it is the master again. As a
# slave it is told by its master.
reload() {
  local zone
  local -a primary=()
  for zone in "$@"; do
    ! is_primary "$zone" || primary+=("$zone")
  done
  tell reload "${primary[@]}" || for zone in "${primary[@]}"; do rndc reload "$zone" >&2 || refused "$zone"; done
}

# refresh has named ask the masters of zones of which it is a slave.
refresh() {
  local zone
  local -a secondary=()
  for zone in "$@"; do
    is_primary "$zone" || secondary+=("$zone")
  done
  tell refresh "${secondary[@]}" 2>/dev/null || :
}

# remove makes named know nothing of zones. What is to be removed because it could
# not be added may never have been ours.
remove() {
  local zone
  if going_back; then
    for zone in "$@"; do
      if told "$zone" | grep -q -F -e "$masters/" -e "$slaves/"; then forget "$zone"; fi
      remove_files "$zone"
    done
  else
    tell delzone "$@" 2>/dev/null || for zone in "$@"; do forget "$zone"; done
  fi
}

# forget makes named forget a zone, if it knows it.
forget() {
  local now
  now=$(told "$1") || return 0
  must_be_ours "$1" "$now"
  rndc delzone "$1" >&2
}

# remove_files removes what named keeps for a zone beside its file; with a second
# argument only what it can do without.
remove_files() {
  rm -f -- "$masters/$1.zone".{jnl,jbk} "$slaves/$1.zone"{,.jnl}
  [[ -n ${2-} ]] || rm -f -- "$masters/$1.zone".signed{,.jnl}
}

# arrive waits until named serves zones as they should be. Slaves are told by
# their master, and asked to look for themselves where that did not come: a few
# zones soon, since PowerDNS tells only once a second. Nobody
# waits when going back: the master comes last then, and tells them. One that was
# away at that time looks now.
arrive() {
  local zone begun=${EPOCHREALTIME/[.,]/} nudged=0 waited pause=2
  local -a behind=("${wanting[@]}") still
  if going_back; then
    refresh "${wanting[@]}"
    return
  fi
  while :; do
    ask "${behind[@]}"
    still=()
    for zone in "${behind[@]}"; do
      ! is_behind "$zone" || still+=("$zone")
    done
    behind=("${still[@]}")
    ((${#behind[@]} > 0)) || break
    waited=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
    if ((waited > patience * 1000)); then
      zone=${behind[0]}
      fail "$zone does not arrive: named serves ${served[$zone]:-nothing} and should serve ${wanted[$zone]}; ${#behind[@]} zones in all"
    elif ((waited > nudged * 500 + (${#behind[@]} > 10 ? 500 : 100))); then
      nudged=$((waited / 500 + 1))
      refresh "${behind[@]}"
    fi
    sleep "0.0$pause"
    ((pause >= 9)) || ((pause += 1)) # each look costs, where there are many
  done
}

# settle makes what named wrote down outlive a power cut, which it leaves to the
# kernel: its database, where it was told of zones, and what it has signed.
settle() {
  local zone file
  local -a files=()
  (($# == 0)) || [[ ! -e $masters/_default.nzd ]] || files+=("$masters/_default.nzd" "$masters")
  for zone in "${wanting[@]}"; do
    is_signed "${clause[$zone]}" || continue
    # Without this journal a file that was replaced while named did not run loads.
    rm -f -- "$masters/$zone.zone.jnl"
    for file in "$masters/$zone.zone".signed{,.jnl}; do
      [[ ! -e $file ]] || files+=("$file")
    done
  done
  ((${#files[@]} == 0)) || sync -- "${files[@]}"
}

# --- what named leaves behind of zones that are gone

leftovers() { compgen -G "$masters/$1.zone.*" || compgen -G "$slaves/$1.zone*"; }

probe_leftovers() {
  local zone
  for zone in "$@"; do
    if [[ ! -e $clauses/$zone ]] && leftovers "$zone" >/dev/null; then state "$zone" some none; else state "$zone" none none; fi
  done
}

remove_leftovers() {
  local zone
  for zone in "$@"; do
    [[ -e $clauses/$zone ]] || remove_files "$zone"
  done
}

# --- setup: one line in the options, which are Debian's and the administrator's

options=/etc/bind/named.conf.options
line='	include "/etc/bind/orchestra.d/options"; // Made by orchestra'

# read_options reads the file to the last byte.
read_options() { IFS= read -r -d '' text <"$options" || :; }

probe_options() {
  local text
  read_options
  if [[ $text == *"$line"* ]]; then state "$1" included included; else state "$1" plain included; fi
}

include_options() {
  local text
  read_options
  [[ $text =~ (^|$'\n')options[[:space:]]*\{[[:space:]]*$'\n' ]] || fail "$options has no line: options {"
  replace_options "${text/"${BASH_REMATCH[0]}"/"${BASH_REMATCH[0]}$line"$'\n'}"
}

exclude_options() {
  local text
  read_options
  replace_options "${text/"$line"$'\n'/}"
}

# replace_options puts a new file in the place of the old one, whole at any moment.
replace_options() {
  local new=$options.orchestra
  cp --preserve=all -- "$options" "$new"
  printf '%s' "$1" >"$new"
  sync -- "$new"
  mv -- "$new" "$options"
  sync -- "${options%/*}"
}

check_configuration() { named-checkconf || fail 'named does not accept its configuration'; }
