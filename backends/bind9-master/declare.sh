# What a server needs to serve zones as their master. A zone is its file, which
# named reads, and its clause, which named is told (acts.sh). Paths are the same
# there and in setup.sh.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

clauses=/etc/bind/orchestra.zones
files=/var/lib/bind/orchestra

declare clause=''

one_zone() {
  local mark=''
  local -a ahead=()
  if [[ $action == delete || -z ${fact[zone]} || -z ${fact[active]} ]]; then
    absent "$files/$name.zone"
    absent "$clauses/$name"
    refresh load_zones "$name"
    act leftovers "$name" probe_leftovers remove_leftovers nothing later
    return
  fi
  # Signing counts the serial number on by itself. Where it begins or ends, which
  # is another file too, the number goes so far ahead that signing cannot have come
  # there: no slave takes a smaller one.
  [[ ${before[dnssec]-} == "${fact[dnssec]}" ]] || ahead=("${fact[signing_ahead]}")
  [[ -z ${fact[dnssec]} ]] || mark='; to be signed'$'\n'
  make_clause
  file "$files/$name.zone" root bind 0640 "$mark${fact[text]}" grows '; serial' "${ahead[@]}"
  file "$clauses/$name" root bind 0640 "$clause"
  file /etc/bind/orchestra.d/key.conf root bind 0640 "key \"${fact[transfer_key]}\" {
	algorithm hmac-sha256;
	secret \"${fact[transfer_secret]}\";
};
" secret
  refresh load_zones "$name"
}

# make_clause writes the zone's clause as named itself does (rndc showzone), so
# that acts.sh can compare the two.
make_clause() {
  local address sign='' policy='' allowed notified=''
  local -a slaves others
  list addresses_bind9-slave slaves
  list transfer others
  allowed="key \"${fact[transfer_key]}\"; "
  for address in "${slaves[@]}"; do
    must_be_address "$address"
    notified+="$address key \"${fact[transfer_key]}\"; "
  done
  for address in "${others[@]}"; do
    notified+="$address; "
    if [[ $address == *:* ]]; then allowed+="$address/128; "; else allowed+="$address/32; "; fi
  done
  if [[ -n ${fact[dnssec]} ]]; then
    sign='inline-signing yes; '
    policy='dnssec-policy "orchestra"; key-directory "/var/lib/bind/orchestra.keys"; '
  fi
  [[ -z $notified ]] || notified="also-notify { $notified}; "
  clause="{ type primary; file \"$files/$name.zone\"; ${sign}allow-transfer { $allowed}; $notified${policy}notify explicit; notify-delay 0; };
"
}

# must_be_address refuses what named would take for the name of a list.
must_be_address() { [[ $1 =~ ^[0-9a-fA-F.:]+$ ]] || fail "$1 is no IP address, which other name servers of $name need to have"; }

need rndc
each_object one_zone
own file "$clauses"
own file "$files"
