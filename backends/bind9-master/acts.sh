# How named is told of zones: one by one, so that the others are not touched. The
# functions get the names of zones; they are the same for masters and slaves.
#
# The clause of a zone in $clauses is what named should have been told of it; named
# keeps what it was told in a database of its own. No clause means no such zone.
# What it was told is also noted, so that it need not be asked for each zone.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

clauses=/etc/bind/orchestra.zones
masters=/var/lib/bind/orchestra  # zone files, and what named keeps beside them
slaves=/var/cache/bind/orchestra # what named has transferred
key=/etc/bind/orchestra.d/key.conf
notes=/run/orchestra-bind9.zones  # a clause each, which named has in its database on the disk
told_key=/run/orchestra-bind9.key # which key named has; a boot makes it read all anew
patience=10                       # for how many seconds nothing more may arrive

declare -A clause=() wanted=() # by zone, of those that should be
declare -A served=()           # by zone: the serial number, of those that named answers for
declare -A doubted=()          # zones that are not noted, or are told something else
declare -a wanting=() unwanted=()
declare heard='' # whether named answers at all

# nothing is what a later act is undone by.
nothing() { :; }

# load_zones makes named have the clauses of zones and what is new in them, and no
# zone that has none.
load_zones() {
  begin "$@" || return 0
  load_key
  place "${wanting[@]}"
  remove "${unwanted[@]}"
  arrive
  settle
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
    elif [[ -n $authority && ${field[3]-} == SOA && ${field[0]} != ';'* && ${field[6]-} =~ ^[0-9]{1,10}$ ]]; then
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
# clause where it takes one.
tell() {
  local command=$1 zone
  local -a arguments=()
  shift
  (($# > 0)) || return 0
  [[ $command != *zone ]] || doubt "$@"
  for zone in "$@"; do
    arguments+=("$zone")
    [[ $command != @(add|mod)zone ]] || arguments+=("${clause[$zone]}")
  done
  printf '%s\0' "${arguments[@]}" | xargs -0 -n $((${#arguments[@]} / $#)) -P 4 rndc "$command" >&2
}

# doubt ZONE… empties the notes of zones before named is told something else.
doubt() {
  local zone
  [[ -d $notes ]] || mkdir -m 0700 -- "$notes"
  for zone in "$@"; do
    : >"$notes/$zone"
    doubted[$zone]=1
  done
}

# find_told ZONE sets now to the clause that named has of a zone, and fails where
# it has none.
find_told() {
  now=''
  [[ ! -e $notes/$1 ]] || IFS= read -r -d '' now <"$notes/$1" || :
  [[ -z $now ]] || return 0
  doubted[$1]=1
  now=$(rndc showzone "$1" 2>/dev/null | tr -s ' ') || return 1
  now=${now#zone * }
}

is_ours() { [[ $2 == *" file \"$masters/$1.zone\";"* || $2 == *" file \"$slaves/$1.zone\";"* ]]; }

# must_be_ours ZONE CLAUSE refuses a zone that the administrator has written into
# the configuration.
must_be_ours() { is_ours "$@" || fail "$1 is in the configuration of named already, and not by us: remove it there"; }

# place makes named have the clauses of zones, and read what is new in them.
place() {
  local zone now
  local -a fresh=() other=() behind=()
  for zone in "$@"; do
    if [[ -z ${served[$zone]-} ]]; then
      fresh+=("$zone")
      continue
    fi
    find_told "$zone" || fail "named serves $zone, and does not say from where"
    if [[ $now != "${clause[$zone]}" ]]; then
      must_be_ours "$zone" "$now"
      if is_signed "$now" || is_signed "${clause[$zone]}"; then
        remake "$zone"
        continue
      fi
      other+=("$zone")
    fi
    ! is_behind "$zone" || behind+=("$zone")
  done
  tell modzone "${other[@]}"
  reload "${behind[@]}"
  # Those that it knows already and does not serve are refused.
  tell addzone "${fresh[@]}" || for zone in "${fresh[@]}"; do remake "$zone"; done
}

# remake tells named of a zone from the beginning. What it keeps beside the file is
# removed, since it would not fit to it: of signing only where it has to.
remake() {
  local zone=$1 signed=''
  ! is_signed "${clause[$zone]}" || [[ ! -e $masters/$zone.zone.signed ]] || signed=1
  renew "$zone" "$signed"
  [[ -n $signed ]] || return 0
  ask "$zone"
  ! is_behind "$zone" || renew "$zone"
}

# renew has named forget a zone and add it again, without what it kept beside the
# file, but for what is signed where a second argument says so.
renew() {
  forget "$1"
  remove_files "$@"
  tell addzone "$1" || refused "$1"
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

# remove makes named know nothing of zones, unless they are the administrator's:
# what is to be removed because it could not be added may never have been ours.
remove() {
  local zone now
  local -a ours=()
  for zone in "$@"; do
    ! find_told "$zone" || ! is_ours "$zone" "$now" || ours+=("$zone")
  done
  tell delzone "${ours[@]}" 2>/dev/null || for zone in "${ours[@]}"; do forget "$zone"; done
  ! going_back || for zone in "$@"; do remove_files "$zone"; done
}

# forget makes named forget a zone, if it knows it.
forget() {
  local now
  find_told "$1" || return 0
  must_be_ours "$1" "$now"
  tell delzone "$1"
}

# beside ZONE sets files to what named keeps for a zone beside its file; with a
# second argument only what it can do without.
beside() {
  files=("$masters/$1.zone".{jnl,jbk} "$slaves/$1.zone"{,.jnl})
  [[ -n ${2-} ]] || files+=("$masters/$1.zone".signed{,.jnl})
}

# remove_files removes what beside finds, with the same arguments.
remove_files() {
  local -a files
  beside "$@"
  rm -f -- "${files[@]}"
}

# arrive waits until named serves zones as they should be, as long as more of them
# do. Slaves are told by their master, and asked to look for themselves where that
# did not come: a few zones soon, since PowerDNS tells only once a second. Nobody
# waits when going back: the master comes last then, and tells them. One that was
# away at that time looks now.
arrive() {
  local zone now=${EPOCHREALTIME/[.,]/} progress nudged pause=2
  local -a behind=("${wanting[@]}") still
  if going_back; then
    refresh "${wanting[@]}"
    return
  fi
  progress=$now nudged=$now
  while :; do
    ask "${behind[@]}"
    still=()
    for zone in "${behind[@]}"; do
      ! is_behind "$zone" || still+=("$zone")
    done
    now=${EPOCHREALTIME/[.,]/}
    ((${#still[@]} == ${#behind[@]})) || progress=$now
    behind=("${still[@]}")
    ((${#behind[@]} > 0)) || break
    if ((now - progress > patience * 1000000)); then
      zone=${behind[0]}
      fail "$zone does not arrive: named serves ${served[$zone]:-nothing} and should serve ${wanted[$zone]}; ${#behind[@]} zones in all"
    elif ((now - nudged > (${#behind[@]} > 10 ? 500000 : 100000))); then
      nudged=$now
      refresh "${behind[@]}"
    fi
    sleep "0.0$pause"
    ((pause >= 9)) || ((pause += 1)) # each look costs, where there are many
  done
}

# settle makes what named wrote down outlive a power cut, which it leaves to the
# kernel: its database, where it was told of zones, and what it has signed. Only
# then it is noted.
settle() {
  local zone file
  local -a files=()
  ((${#doubted[@]} == 0)) || [[ ! -e $masters/_default.nzd ]] || files+=("$masters/_default.nzd" "$masters")
  for zone in "${wanting[@]}"; do
    is_signed "${clause[$zone]}" || continue
    # Without this journal a file that was replaced while named did not run loads.
    rm -f -- "$masters/$zone.zone.jnl"
    for file in "$masters/$zone.zone".signed{,.jnl}; do
      [[ ! -e $file ]] || files+=("$file")
    done
  done
  ((${#files[@]} == 0)) || sync -- "${files[@]}"
  write_notes
}

# write_notes notes what named has of the zones whose notes were in doubt.
write_notes() {
  local zone
  local -a gone=()
  ((${#doubted[@]} > 0)) || return 0
  [[ -d $notes ]] || mkdir -m 0700 -- "$notes"
  for zone in "${!doubted[@]}"; do
    if [[ -n ${clause[$zone]-} ]]; then printf '%s' "${clause[$zone]}" >"$notes/$zone"; else gone+=("$notes/$zone"); fi
  done
  ((${#gone[@]} == 0)) || rm -f -- "${gone[@]}"
}

# --- what named leaves behind of zones that are gone

leftovers() {
  local file
  local -a files
  beside "$1"
  for file in "${files[@]}"; do
    [[ ! -e $file ]] || return 0
  done
  return 1
}

probe_leftovers() {
  local zone
  for zone in "$@"; do
    if [[ ! -e $clauses/$zone ]] && leftovers "$zone"; then state "$zone" some none; else state "$zone" none none; fi
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
