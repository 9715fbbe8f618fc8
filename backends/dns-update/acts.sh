# How a provider is asked for zones and told of them. The functions get the names
# of zones; the content is the text of a zone, none where it is to be emptied.
#
# Where the provider is and its key are read whenever they are needed, so that what
# waits for a provider can be told when a mistake in them is mended.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

address=/etc/orchestra/dns-update.server
secret=/etc/orchestra/dns-update.key

declare server=''
# how each zone is at the provider: there, missing, refused (our key); not set where
# nobody can say
declare -A found=()
declare live='' wanted='' soa='' # records of one zone, and the SOA record's value

# nothing is what undoes a refusal, which has changed nothing.
nothing() { :; }

# --- what can be known before the commit

# probe_zone holds nothing against a provider that does not answer: it is told later.
probe_zone() {
  local zone
  look "$@"
  for zone in "$@"; do
    state "$zone" "${found[$zone]:-there}" there
  done
}

refuse_zone() {
  local zone
  look "$@"
  for zone in "$@"; do
    must_be_there "$zone"
  done
}

must_be_there() {
  case ${found[$1]-} in
    there) ;;
    missing) fail "$server has no zone $1, and an update can't make one (RFC 2136): make it there first" ;;
    refused) fail "$server does not accept the key of $secret, or its clock is another" ;;
    *) fail "$server does not answer for $1, or not with what can be believed" ;;
  esac
}

# read_access finds out where the provider is, and refuses a key that others may read.
read_access() {
  local mode
  [[ -r $address ]] || fail "$address is missing: the host name or the address of the provider's server"
  server=$(<"$address")
  [[ $server =~ ^[A-Za-z0-9:][A-Za-z0-9:.-]*$ ]] || fail "$address is to hold one host name or one address, and no more"
  mode=$(stat -L -c '%U %a' -- "$secret" 2>/dev/null) ||
    fail "$secret is missing: the provider's key, as tsig-keygen writes it, for root only (mode 0600)"
  [[ $mode == 'root '?00 ]] || fail "$secret is not for root only: chown root and chmod 0600 it"
}

# look finds out what the provider says of zones: one process for all.
look() {
  local status='' authority='' zone=''
  local -a field
  read_access
  found=()
  while read -r -a field; do
    case ${field[0]-}\ ${field[1]-} in
      ';; ->>HEADER<<-') status=${field[5]%,} ;;
      ';; flags:')
        authority=''
        [[ " ${field[*]} " != *' aa'[\;\ ]* ]] || authority=1
        ;;
      ';; communications' | ';; connection') break ;; # the others would take as long
      \;*)
        [[ ${field[2]-} == SOA && ${field[0]} == \;*. ]] || continue
        zone=${field[0]#;} zone=${zone%.}
        judge "$zone"
        ;;
      *)
        if [[ -n $authority && ${field[3]-} == SOA && ${field[0]%.} == "$zone" ]]; then found[$zone]=there; fi
        ;;
    esac
  done < <(printf '%s SOA\n' "$@" |
    dig "@$server" -k "$secret" +norecurse +noedns +noall +comments +question +answer +time=2 +tries=2 -f - || :)
}

# judge notes what an answer without the zone's SOA record would mean.
judge() {
  case $status in
    NOERROR | NXDOMAIN | REFUSED) found[$1]=missing ;;
    NOTAUTH) found[$1]=refused ;;
  esac
}

# --- the update

# probe_update never fails because of the provider: that it does not answer is a
# difference. Of others it answers with the records, so that people see them.
probe_update() {
  local zone
  look "$@"
  for zone in "$@"; do
    if read_zone "$zone"; then
      state "$zone" "$(summary "$live" "$wanted")" "$(summary "$wanted" "$live")"
    elif [[ ${found[$zone]-} == missing && -z ${content[$zone]} ]]; then
      state "$zone" 'no zone' 'no zone'
    else
      state "$zone" "not known: ${found[$zone]:-no answer}" "$(summary "$wanted" '')"
    fi
  done
}

# summary RECORDS OTHERS prints how many records there are, and those that are not
# among the others: at most 20.
summary() {
  LC_ALL=C comm -23 <(printf '%s\n' "$1") <(printf '%s\n' "$2") |
    awk -v all="$(awk 'NF { n++ } END { print n + 0 }' <<<"$1")" '
      BEGIN { print all " records" }
      NF && ++n <= 20
      END { if (n > 20) print "and " n - 20 " more" }'
}

update() {
  local zone
  look "$@"
  for zone in "$@"; do
    if ! read_zone "$zone"; then
      must_be_there "$zone"
      fail "$server does not let us transfer $zone: allow the key to (AXFR)"
    fi
    [[ $live == "$wanted" ]] || changes "$zone" | nsupdate -v -t 30 -k "$secret" >&2 ||
      fail "$server does not accept the update of $zone"
  done
}

# read_zone fills in what a zone is and what it should be; it fails where only the
# latter can be known.
read_zone() {
  local text
  live='' soa=''
  if [[ ${found[$1]-} == there ]]; then transfer "$1"; fi
  text=${content[$1]:-"$1. 0 IN SOA . . 0 0 0 0 0"}$'\n'
  # Name servers stay as they are where we have none.
  [[ -n $(servers_of "$1" "$text") ]] || text+=$(servers_of "$1" "${live:-"$1. 0 IN NS ."}")$'\n'
  wanted=$(records "$1" "$text") || fail "the text of $1 can't be read"
  [[ -n $soa ]]
}

# servers_of ZONE TEXT prints the name servers that a text has for the zone itself.
servers_of() { awk -v apex="$1." '$1 == apex && $3 == "IN" && $4 == "NS"' <<<"$2"; }

# transfer fills in a zone as it is, if all of it came: it ends with the SOA record
# that it begins with.
transfer() {
  local text ends
  text=$(dig "@$server" -k "$secret" "$1" AXFR +noall +answer +time=10 +tries=1) || return 0
  ends=$(awk '
    $4 == "SOA" { last = NR; value[++n] = $5 " " $6 " " $7 " " $8 " " $9 " " $10 " " $11 }
    END { if (n == 2 && last == NR && value[1] == value[2]) print value[1] }' <<<"$text")
  [[ -n $ends ]] || return 0
  live=$(records "$1" "$text") || fail "what $server says of $1 can't be read"
  soa=$ends
}

# records ZONE TEXT prints the records of a zone, a line each, sorted, as named
# writes them: name, time to live, class, type, value. Left out is what the server
# makes itself: the SOA record, and what signs. Names are in small letters.
records() {
  awk '
    $4 ~ /^(RRSIG|NSEC|NSEC3|NSEC3PARAM|DNSKEY|CDS|CDNSKEY|ZONEMD|TYPE65534)$/ { next }
    $4 != "SOA" || !n++ # a transfer has it twice
  ' <<<"$2" |
    named-compilezone -q -i none -k ignore -m ignore -M ignore -S ignore -n ignore -r ignore -T ignore -W ignore \
      -s full -o - "$1" /dev/stdin |
    awk '
      match($0, /^[^ \t]+[ \t]+[0-9]+[ \t]+IN[ \t]+[^ \t]+[ \t]+/) && $4 != "SOA" {
        value = substr($0, RLENGTH + 1)
        if ($4 ~ /^(CNAME|DNAME|MX|NS|PTR|SRV)$/) value = tolower(value)
        print tolower($1), $2, $3, $4, value
      }' | LC_ALL=C sort -u
}

# changes ZONE prints what nsupdate is told, so that live becomes wanted if
# the zone is still as it was read. What goes goes first, since nothing is added
# beside an alias, but for name servers: the last one can't be deleted. What
# exceeds a message (64 KiB) is told in several.
changes() {
  server=$server apex=$1. soa=$soa awk '
    function begin() {
      printf "server %s\nzone %s\n", ENVIRON["server"], ENVIRON["apex"]
      size = 0
    }
    function tell(line) {
      if (size > 0 && size + length(line) > 40000) {
        print "send"
        begin()
      }
      size += length(line)
      print line
    }
    NF == 0 { next }
    { record = $1 " " substr($0, length($1 $2) + 3) } # without its time to live
    side == "live" {
      order[++n] = record
      ttl[record] = $2
      next
    }
    {
      keep[record] = 1
      if ((record in ttl) && ttl[record] == $2) next
      if ($1 == ENVIRON["apex"] && $4 == "NS") first[++m] = $0
      else later[++k] = $0
    }
    END {
      begin()
      print "prereq yxrrset " ENVIRON["apex"] " IN SOA " ENVIRON["soa"]
      for (i = 1; i <= m; i++) tell("update add " first[i])
      for (i = 1; i <= n; i++) if (!(order[i] in keep)) tell("update delete " order[i])
      for (i = 1; i <= k; i++) tell("update add " later[i])
      print "send"
    }' side=live <(printf '%s\n' "$live") side=wanted <(printf '%s\n' "$wanted")
}
