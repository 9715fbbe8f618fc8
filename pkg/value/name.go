package value

import (
	"strings"
	"sync"

	"orchestra/pkg/fault"
)

// UnixNameLimit is the longest user or group name: Linux's utmp and Debian's
// useradd take 32 bytes.
const UnixNameLimit = 32

// UnixName returns name if Debian takes it for a user and a group, and no
// program can mistake it for something else: lower-case letters, digits, "_",
// "-" and ".", a letter first (or "_" and a letter), no "-" or "." at the end
// and no two dots in a row, at most 32 bytes. Whether it is taken on every
// Debian is asked with Reserved.
func UnixName(name string) (string, error) {
	switch {
	case name == "":
		return "", fault.New(fault.Invalid, "a name is needed")
	case len(name) > UnixNameLimit:
		return "", fault.New(fault.Invalid, "%q is longer than %d characters", cut(name), UnixNameLimit)
	}
	first := strings.TrimPrefix(name, "_")
	if first == "" || !isLower(first[0]) {
		return "", fault.New(fault.Invalid, "%q does not begin with a lower-case letter", name)
	}
	return dotted(name)
}

// dotted returns name, of which there is something, if all behind its first
// character is as in the names of users and handles.
func dotted(name string) (string, error) {
	for i := range len(name) {
		if c := name[i]; !isLower(c) && !isDigit(c) && c != '_' && c != '-' && c != '.' {
			return "", fault.New(fault.Invalid, `%q has other characters than lower-case letters, digits, "_", "-" and "."`, name)
		}
	}
	if last := name[len(name)-1]; last == '-' || last == '.' {
		return "", fault.New(fault.Invalid, `%q ends with "-" or "."`, name)
	}
	if strings.Contains(name, "..") {
		return "", fault.New(fault.Invalid, "%q has two dots in a row", name)
	}
	return name, nil
}

// Handle returns name if it can name something that lives in the panel only (a
// contact, a server, a label): lower-case letters, digits, "_", "-" and ".",
// beginning with a letter or digit and not ending with "-" or ".", at most 64.
func Handle(name string) (string, error) {
	const limit = 64
	switch {
	case name == "":
		return "", fault.New(fault.Invalid, "a name is needed")
	case len(name) > limit:
		return "", fault.New(fault.Invalid, "%q is longer than %d characters", cut(name), limit)
	case !isLower(name[0]) && !isDigit(name[0]):
		return "", fault.New(fault.Invalid, "%q does not begin with a lower-case letter or a digit", name)
	}
	return dotted(name)
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Reserved tells whether name belongs to Debian, to one of the daemons that a
// hosting server may run, or to Orchestra: a user or group of that name would
// be theirs. more are further names, of the settings.
func Reserved(name string, more []string) bool {
	name = strings.ToLower(name)
	for _, other := range more {
		if strings.EqualFold(other, name) {
			return true
		}
	}
	for _, prefix := range []string{"systemd-", "orchestra-", "debian-", "_"} {
		if rest, found := strings.CutPrefix(name, prefix); found && (prefix != "_" || reservedNames()[rest]) {
			return true
		}
	}
	return reservedNames()[name]
}

var reservedNames = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(reservedList) {
		names[name] = true
	}
	return names
})

// reservedList has the users and groups of base-passwd, those that packages of
// Debian make (the ones a server may meet), the groups that give privileges on
// any Linux, and words that would mislead.
const reservedList = `
root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody apt
adm tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video
sasl plugdev staff users nogroup input sgx kvm render crontab netdev ssl-cert messagebus sshd ssh
wheel admin administrator docker lxd lxc libvirt libvirt-qemu libvirt-qemu-dnsmasq libvirtdbus podman
wireshark bluetooth lpadmin scanner saned pulse pulse-access rtkit rtprio avahi avahi-autoipd colord
geoclue tss uuidd polkitd dnsmasq landscape pollinate sambashare nfsnobody statd rpc rpcuser chrony
ntp ntpd ntpsec openntpd timesync uml-net vboxusers vboxsf fuse halt shutdown
postfix postdrop exim debian-exim courier cyrus dovecot dovenull vmail spamd debian-spamd
rspamd amavis clamav postgrey policyd-spf opendkim opendmarc mailman mailman3 sympa smmsp smmta
milter-greylist dkimsign fetchmail roundcube postsrsd
mysql mariadb postgres postgresql mongodb redis memcache memcached couchdb influxdb rabbitmq elasticsearch
opensearch clickhouse neo4j cassandra valkey sphinxsearch
bind named unbound nsd pdns powerdns knot knot-resolver kresd dnsdist stubby
nginx apache apache2 httpd haproxy varnish varnishlog vcache lighttpd caddy tomcat jetty
squid privoxy tor debian-tor ftp ftpuser proftpd vsftpd pureftpd pure-ftpd
openvpn strongswan wireguard freerad radiusd quagga frr vrrp keepalived arpwatch snort suricata
munin nagios icinga zabbix prometheus grafana collectd node-exporter
puppet ansible jenkins gitlab gitlab-runner git gitea gitolite
syslog rsyslog logcheck systemd-journal tcpdump sysstat fail2ban
nslcd sssd ldap openldap slapd krb5 kerberos openssh stunnel4 certbot letsencrypt
ceph glusterfs drbd hacluster corosync pacemaker qemu swtpm xen
ubuntu cloud cloud-init ec2-user anonymous toor su
x11 xdm gdm sddm lightdm speech-dispatcher hplip usbmux cups
bacula barman nut snmp debian-snmp dhcpd isc-dhcp kea tftp nbd
orchestra
`
