# What Debian's PowerDNS needs before zones are brought into its database, which is
# there already: to be a master, and to say what the database says at once.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

prepare() {
  dir /var/lib/orchestra-pdns root root 0700
  dir /var/lib/orchestra-pdns/zones root root 0700
  dir /var/lib/orchestra-pdns/terms root root 0700

  # Who may transfer and who is notified is said zone by zone. A signed notification
  # would be refused by those that may transfer without the key.
  file /etc/powerdns/pdns.d/orchestra.conf root root 0644 '# Made by orchestra.
primary=yes
gsqlite3-dnssec=yes
allow-axfr-ips=
only-notify=
send-signed-notify=no
zone-cache-refresh-interval=0
'
  check check_configuration
  reload pdns
}

need pdns_server
need pdnsutil
need sqlite3
need dig
each_object prepare
