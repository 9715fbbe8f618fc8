# How PowerDNS is told of zones. What a zone should be is made in a database beside
# the live one, by PowerDNS's own tools: they read its file, sign it and check it.
# Then all zones go into the live one in a single transaction, so that nobody is
# ever answered from half a zone. Values reach SQL as rows, never as its text.
#
# The zones that are ours have the account "orchestra" there.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

directory=/var/lib/orchestra-pdns
next=/run/orchestra-pdns # has what zones should be while they are loaded
patience=3               # for how many seconds an answer may still be an old one

declare database=''                   # PowerDNS's own
declare -A wanted=() served=()        # by zone: serial numbers; served only where it answers for the zone
declare -a wanting=() unwanted=() notifying=()
declare heard=''                      # whether PowerDNS answers at all

# load_zones makes PowerDNS serve zones as their files are, and none that has none.
# Its database can be changed while it does not run, which is enough to go back.
load_zones() {
  local running=''
  read_zones "$@"
  find_database
  if pdns_control rping >/dev/null 2>&1; then running=1; fi
  [[ -n $running ]] || going_back || fail 'PowerDNS does not run: systemctl start pdns'
  begin
  prepare
  replace
  [[ -n $running ]] || return 0
  purge
  going_back || verify
  notify
}

# read_zones sorts zones by whether they should be, and reads their numbers.
read_zones() {
  local zone
  for zone in "$@"; do
    if [[ ! -e $directory/zones/$zone ]]; then
      unwanted+=("$zone")
      continue
    fi
    wanting+=("$zone")
    wanted[$zone]=$(serial_of "$directory/zones/$zone")
    [[ ${wanted[$zone]} =~ ^[0-9]+$ ]] || fail "$zone has no serial number"
  done
}

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

# find_database looks up where PowerDNS has its database. The last file that says
# so counts, as it does there.
find_database() {
  local file line
  for file in /etc/powerdns/pdns.conf /etc/powerdns/pdns.d/*.conf; do
    [[ -e $file ]] || continue
    while IFS= read -r line || [[ -n $line ]]; do
      [[ ! $line =~ ^[[:space:]]*gsqlite3-database[[:space:]]*=[[:space:]]*(.*[^[:space:]])[[:space:]]*$ ]] || database=${BASH_REMATCH[1]}
    done <"$file"
  done
  [[ -f $database ]] || fail "PowerDNS has no SQLite database: gsqlite3-database in /etc/powerdns says ${database:-nothing}"
}

query() { sqlite3 -batch -bail -init /dev/null -cmd '.timeout 10000' "$@"; }

# begin makes an empty database of the same kind as the live one, and brings into
# it what we say about zones.
begin() {
  umask 077
  rm -rf -- "$next"
  trap 'rm -rf -- "$next"' EXIT
  mkdir -- "$next"
  printf '%s\n' launch=gsqlite3 "gsqlite3-database=$next/next.sqlite3" gsqlite3-dnssec=yes gsqlite3-pragma-journal-mode=MEMORY >"$next/pdns.conf"
  write_terms
  {
    query -readonly "$database" '.schema --nosys'
    printf '%s\n' \
      'CREATE TABLE terms (zone TEXT, kind TEXT, content TEXT);' \
      'CREATE TABLE gone (zone TEXT);' \
      'CREATE TABLE transfer_key (name TEXT, algorithm TEXT, secret TEXT);' \
      ".import --ascii $next/terms terms" \
      ".import --ascii $next/gone gone" \
      ".import --ascii $next/key transfer_key"
  } | query "$next/next.sqlite3"
}

# write_terms writes rows as SQLite imports them.
write_terms() {
  local zone kind value
  for zone in "${wanting[@]}"; do
    while read -r kind value; do
      printf '%s\x1f%s\x1f%s\x1e' "$zone" "$kind" "$value"
      [[ $kind != ALSO-NOTIFY || ${notifying[*]: -1} == "$zone" ]] || notifying+=("$zone")
    done <"$directory/terms/$zone"
  done >"$next/terms"
  for zone in "${unwanted[@]}"; do printf '%s\x1e' "$zone"; done >"$next/gone"
  : >"$next/key"
  [[ ! -e $directory/key ]] || while read -r zone kind value; do
    printf '%s\x1f%s\x1f%s\x1e' "$zone" "$kind" "$value"
  done <"$directory/key" >"$next/key"
}

tool() { pdnsutil --config-dir="$next" "$@"; }

# prepare makes zones in the database beside the live one.
prepare() {
  local word zone
  local -a unsigned=()
  for zone in "${wanting[@]}"; do printf '%s\0%s\0' "$zone" "$directory/zones/$zone"; done |
    xargs -0 -r -n 2 -P 2 pdnsutil --config-dir="$next" load-zone >"$next/said" 2>&1 || refused
  complete >"$next/missing"
  while read -r word zone; do
    [[ $word != foreign ]] || fail "$zone is in the database of PowerDNS already, and not by us: remove it there"
    unsigned+=("$zone")
  done <"$next/missing"
  ((${#unsigned[@]} == 0)) || tool secure-zone "${unsigned[@]}" >"$next/said" 2>&1 || refused
  tool rectify-all-zones quiet >"$next/said" 2>&1 || refused
  # What goes back was accepted before.
  going_back || tool check-all-zones exit-on-error >"$next/said" 2>&1 || refused
}

refused() {
  cat -- "$next/said" >&2
  fail 'PowerDNS does not accept what it should serve'
}

# complete gives zones what is not in their files, and prints which of them are not
# ours, and which are to be signed and have no key yet. Keys are kept apart, also
# when a zone is gone or not signed any more: the parent may still know them.
complete() {
  query "$database" <<'SQL'
ATTACH '/run/orchestra-pdns/next.sqlite3' AS next;
ATTACH '/var/lib/orchestra-pdns/keys.sqlite3' AS kept;
SELECT 'foreign ' || l.name FROM next.domains n CROSS JOIN main.domains l ON l.name = n.name WHERE l.account IS NOT 'orchestra';

CREATE TABLE IF NOT EXISTS kept.keys (zone TEXT NOT NULL COLLATE NOCASE, flags INTEGER NOT NULL, active INTEGER, published INTEGER, content TEXT);
CREATE INDEX IF NOT EXISTS kept.keys_of_zone ON keys (zone);
CREATE TEMP TABLE live AS
  SELECT l.name AS zone, k.flags, k.active, k.published, k.content
  FROM (SELECT name FROM next.domains UNION SELECT zone FROM next.gone) n
  CROSS JOIN main.domains l ON l.name = n.name AND l.account = 'orchestra'
  CROSS JOIN main.cryptokeys k ON k.domain_id = l.id ORDER BY k.id;
BEGIN;
DELETE FROM kept.keys WHERE zone IN (SELECT zone FROM live);
INSERT INTO kept.keys SELECT * FROM live;
COMMIT;

BEGIN;
UPDATE next.domains SET type = 'MASTER', account = 'orchestra';
INSERT INTO next.domainmetadata (domain_id, kind, content)
  SELECT n.id, t.kind, t.content FROM next.terms t JOIN next.domains n ON n.name = t.zone ORDER BY t.rowid;
-- What the administrator has said beside that stays.
INSERT INTO next.domainmetadata (domain_id, kind, content)
  SELECT n.id, m.kind, m.content FROM next.domains n CROSS JOIN main.domains l ON l.name = n.name
  CROSS JOIN main.domainmetadata m ON m.domain_id = l.id
  WHERE m.kind NOT IN ('TSIG-ALLOW-AXFR', 'ALSO-NOTIFY', 'ALLOW-AXFR-FROM', 'SOA-EDIT') ORDER BY m.id;
INSERT INTO next.cryptokeys (domain_id, flags, active, published, content)
  SELECT n.id, k.flags, k.active, k.published, k.content
  FROM next.terms t JOIN next.domains n ON n.name = t.zone CROSS JOIN kept.keys k ON k.zone = n.name
  WHERE t.kind = 'SOA-EDIT' ORDER BY k.rowid;
COMMIT;
SELECT 'unsigned ' || zone FROM next.terms
  WHERE kind = 'SOA-EDIT' AND zone NOT IN (SELECT n.name FROM next.domains n JOIN next.cryptokeys k ON k.domain_id = n.id);
SQL
}

# replace puts all zones into the live database, durably, in one transaction.
replace() {
  query "$database" <<'SQL'
PRAGMA foreign_keys = ON;
PRAGMA synchronous = FULL;
ATTACH '/run/orchestra-pdns/next.sqlite3' AS next;
ATTACH '/var/lib/orchestra-pdns/keys.sqlite3' AS kept;
INSERT INTO kept.keys (zone, flags, active, published, content)
  SELECT n.name, k.flags, k.active, k.published, k.content FROM next.cryptokeys k JOIN next.domains n ON n.id = k.domain_id
  WHERE n.name NOT IN (SELECT zone FROM kept.keys);

BEGIN IMMEDIATE;
DELETE FROM main.domains WHERE name IN (SELECT zone FROM next.gone) AND account = 'orchestra';
INSERT INTO main.domains (name, type, account) SELECT name, type, account FROM next.domains WHERE true ON CONFLICT (name) DO NOTHING;
CREATE TEMP TABLE pair AS
  SELECT n.id AS new, l.id AS live FROM next.domains n CROSS JOIN main.domains l ON l.name = n.name AND l.account = 'orchestra';
UPDATE main.domains SET type = 'MASTER' WHERE id IN (SELECT live FROM pair) AND type <> 'MASTER';
DELETE FROM main.records WHERE domain_id IN (SELECT live FROM pair);
INSERT INTO main.records (domain_id, name, type, content, ttl, prio, disabled, ordername, auth)
  SELECT p.live, r.name, r.type, r.content, r.ttl, r.prio, r.disabled, r.ordername, r.auth
  FROM pair p JOIN next.records r ON r.domain_id = p.new ORDER BY r.id;
DELETE FROM main.domainmetadata WHERE domain_id IN (SELECT live FROM pair);
INSERT INTO main.domainmetadata (domain_id, kind, content)
  SELECT p.live, m.kind, m.content FROM pair p JOIN next.domainmetadata m ON m.domain_id = p.new ORDER BY m.id;
DELETE FROM main.cryptokeys WHERE domain_id IN (SELECT live FROM pair);
INSERT INTO main.cryptokeys (domain_id, flags, active, published, content)
  SELECT p.live, k.flags, k.active, k.published, k.content FROM pair p JOIN next.cryptokeys k ON k.domain_id = p.new ORDER BY k.id;
INSERT INTO main.tsigkeys (name, algorithm, secret) SELECT name, algorithm, secret FROM next.transfer_key WHERE true
  ON CONFLICT (name, algorithm) DO UPDATE SET secret = excluded.secret;
COMMIT;
SQL
}

# purge makes PowerDNS forget what it has answered and read for zones.
purge() { printf '%s$\0' "${wanting[@]}" "${unwanted[@]}" | xargs -0 -n 1000 pdns_control purge >/dev/null; }

# notify has PowerDNS tell the slaves of zones.
notify() {
  ((${#notifying[@]} == 0)) || printf '%s\0' "${notifying[@]}" | xargs -0 -n 1 -P 2 pdns_control notify >/dev/null
}

# verify fails where PowerDNS does not serve zones as they should be. It may have
# kept an answer that it was giving while the database changed.
verify() {
  local zone wrong begun=$SECONDS
  while :; do
    ask "${wanting[@]}" "${unwanted[@]}"
    [[ -n $heard ]] || fail 'PowerDNS runs, and does not answer at 127.0.0.1: see local-address'
    wrong=''
    for zone in "${wanting[@]}"; do
      [[ ${served[$zone]-} == "$(shown "$zone")" ]] || wrong="$zone: PowerDNS serves ${served[$zone]:-nothing} and should serve $(shown "$zone")"
    done
    for zone in "${unwanted[@]}"; do
      [[ -z ${served[$zone]-} ]] || wrong="$zone: PowerDNS serves it still, and not by us: remove it there"
    done
    [[ -n $wrong ]] || return 0
    ((SECONDS - begun < patience)) || fail "$wrong"
    sleep 0.1
    purge
  done
}

# shown prints the serial number that is served: of signed zones it has the weeks
# since 1970 added.
shown() {
  local terms
  terms=$(<"$directory/terms/$1")
  if [[ $terms == *SOA-EDIT* ]]; then
    printf '%s' $((wanted[$1] + EPOCHSECONDS / (7 * 24 * 60 * 60)))
  else
    printf '%s' "${wanted[$1]}"
  fi
}

# ask fills in what PowerDNS answers for zones: one process, however many zones.
ask() {
  local authority=''
  local -a field
  served=()
  while read -r -a field; do
    if [[ "${field[0]-} ${field[1]-}" == ';; flags:' ]]; then
      heard=1 authority=''
      [[ " ${field[*]} " != *' aa'[\;\ ]* ]] || authority=1
    elif [[ "${field[0]-} ${field[1]-}" == ';; '@(communications|connection) ]]; then
      break
    elif [[ -n $authority && ${field[3]-} == SOA && ${field[0]} != ';'* ]]; then
      served[${field[0]%.}]=${field[6]}
    fi
  done < <(printf '%s SOA\n' "$@" | dig @127.0.0.1 +norecurse +noedns +noall +comments +answer +time=2 +tries=2 -f - || :)
}

# --- setup

check_configuration() {
  find_database
  pdns_server --config=check >&2 || fail 'PowerDNS does not accept its configuration'
}
