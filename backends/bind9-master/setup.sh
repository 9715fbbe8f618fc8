# What Debian's BIND needs before it can be told of zones: the right to be told,
# places for them, and haste, since a change waits for its slaves. The same for
# masters and slaves.
# shellcheck shell=bash
# What is read here is set by the runtime before it reads this file.
# shellcheck disable=SC2154

prepare() {
  dir /etc/bind/orchestra.d root bind 0750
  dir /etc/bind/orchestra.zones root bind 0750
  dir /var/lib/bind/orchestra root bind 0770
  dir /var/lib/bind/orchestra.keys root bind 0770
  dir /var/cache/bind/orchestra root bind 0770

  file /etc/bind/orchestra.d/options root bind 0640 '// Made by orchestra: part of the options.
allow-new-zones yes;
new-zones-directory "/var/lib/bind/orchestra";
notify-rate 1000;
serial-query-rate 1000;
transfers-in 200;
transfers-out 200;
transfers-per-ns 100;
'
  # How zones are signed that are to be: one key each, which does not change.
  # Signatures are made anew a week before they run out: what signs nothing any
  # more is seen by `domain check` days before resolvers see it.
  file /etc/bind/orchestra.d/policy.conf root bind 0640 '// Made by orchestra.
dnssec-policy "orchestra" {
	keys { csk lifetime unlimited algorithm ecdsap256sha256; };
	signatures-validity P30D;
	signatures-validity-dnskey P30D;
	signatures-refresh P7D;
};
'
  entry /etc/bind/named.conf.local include '"/etc/bind/orchestra.d/*.conf";'
  act options /etc/bind/named.conf.options probe_options include_options exclude_options reversible
  check check_configuration
  reload named
}

need named
need rndc
need dig
each_object prepare
