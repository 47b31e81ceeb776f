#!/bin/bash
# Inside: is this the machine that the other tests are meant for?
. "$(dirname "$0")/../lib/tap.sh"
[ -n "${XENO_IN_VM:-}" ] || skip_all "runs inside tests/vm only"

is "$(cat /proc/1/comm)" systemd "systemd is the first process"
is "$(stat -fc %T /sys/fs/cgroup)" cgroup2fs "cgroups are version 2"
for c in cpu memory pids io; do
    like "$(cat /sys/fs/cgroup/cgroup.controllers)" "\\b$c\\b" "with controller $c"
done
like "$(uname -v)" Debian "the kernel is Debian's"
is "$(systemctl --failed --no-legend --plain | awk '{print $1}' | tr '\n' ' ')" "" "no unit failed"
is "$(ls /sys/class/net | grep -Ev '^(lo|xb-.*|xv.*)$')" "" "there is no network but the tests' own"
done_testing
