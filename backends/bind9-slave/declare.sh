# What a server needs to serve zones as a slave: the clause of each, which named
# is told (acts.sh of bind9-master). Its first line has the zone's serial number, for which a
# change waits. Paths are the same there and in setup.sh.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

clauses=/etc/bind/orchestra.zones
files=/var/cache/bind/orchestra

declare primaries=''

one_zone() {
  if [[ $action == delete || -z ${fact[zone]} || -z ${fact[active]} ]]; then
    absent "$clauses/$name"
    refresh load_zones "$name"
    act leftovers "$name" probe_leftovers remove_leftovers nothing later
    return
  fi
  find_primaries
  # As named itself writes it (rndc showzone), so that acts.sh can compare the two.
  file "$clauses/$name" root bind 0640 "// ${fact[serial]}
{ type secondary; file \"$files/$name.zone\"; primaries { $primaries}; allow-transfer { key \"${fact[transfer_key]}\"; }; masterfile-format text; max-refresh-time 900; notify no; };
"
  file /etc/bind/orchestra.d/key.conf root bind 0640 "key \"${fact[transfer_key]}\" {
	algorithm hmac-sha256;
	secret \"${fact[transfer_secret]}\";
};
" secret
  refresh load_zones "$name"
}

find_primaries() {
  local address
  local -a bind powerdns
  list addresses_bind9-master bind
  list addresses_powerdns powerdns
  primaries=''
  for address in "${bind[@]}" "${powerdns[@]}"; do
    must_be_address "$address"
    primaries+="$address key \"${fact[transfer_key]}\"; "
  done
  [[ -n $primaries ]] || fail "$name has no master that a slave could ask: no route of bind9-master or powerdns matches it"
}

# must_be_address refuses what named would take for the name of a list.
must_be_address() { [[ $1 =~ ^[0-9a-fA-F.:]+$ ]] || fail "$1 is no IP address, which other name servers of $name need to have"; }

need rndc
each_object one_zone
own file "$clauses"
