# What a server needs to serve zones as their master. A zone is its file and its
# terms: what PowerDNS calls metadata. It reads neither: acts.sh brings them into
# its database. Paths are the same there and in setup.sh.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

directory=/var/lib/orchestra-pdns

declare terms=''

one_zone() {
  local mark=''
  local -a ahead=()
  refresh load_zones "$name"
  if [[ $action == delete || -z ${fact[zone]} || -z ${fact[active]} ]]; then
    absent "$directory/zones/$name"
    absent "$directory/terms/$name"
    return
  fi
  # To the serial number of a signed zone PowerDNS adds how many weeks there have
  # been since 1970. Where signing begins or ends, which is another file too, the
  # number goes further ahead than that: no slave takes a smaller one.
  [[ ${before[dnssec]-} == "${fact[dnssec]}" ]] || ahead=(5000)
  [[ -z ${fact[dnssec]} ]] || mark='; to be signed'$'\n'
  find_terms
  file "$directory/zones/$name" root root 0600 "$mark${fact[text]}" grows '; serial' "${ahead[@]}"
  file "$directory/terms/$name" root root 0600 "$terms"
  file "$directory/key" root root 0600 "${fact[transfer_key]} hmac-sha256 ${fact[transfer_secret]}
" secret
}

# find_terms writes them as lines of a kind and a value.
find_terms() {
  local address
  local -a slaves others
  list addresses_bind9-slave slaves
  list transfer others
  terms="TSIG-ALLOW-AXFR ${fact[transfer_key]}"$'\n'
  for address in "${slaves[@]}" "${others[@]}"; do terms+="ALSO-NOTIFY $address"$'\n'; done
  for address in "${others[@]}"; do terms+="ALLOW-AXFR-FROM $address"$'\n'; done
  [[ -z ${fact[dnssec]} ]] || terms+='SOA-EDIT INCREMENT-WEEKS'$'\n'
}

need pdnsutil
need sqlite3
each_object one_zone
