#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the emulated machine: runs the tests in /tests.
/bin/busybox --install -s /bin
export PATH=/sbin:/bin:/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -s /proc/self/fd /dev/fd
mount -t tmpfs tmp /tmp
chmod 1777 /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >/etc/group
uname -srm
/orchestra --version || failed=1
cd /tmp || exit
for tests in /tests/*; do
  echo "== ${tests#*.}"
  # Left out is what asserts times, and a fork bomb: emulation is slower by ten to thirty times.
  if "$tests" -test.v -test.skip '^(TestAThousandUsersAtOnce|TestForksAreLimited)$' -test.timeout 20m >/tmp/said 2>&1; then
    echo "passed: $(grep -c '^--- PASS' /tmp/said), skipped: $(grep -c '^--- SKIP' /tmp/said)"
    grep '^--- SKIP' /tmp/said
  else
    failed=1
    grep -v '^=== ' /tmp/said | tail -n 200
  fi
done
[ -n "$failed" ] || echo 'ALL PASSED'
poweroff -f
