#!/bin/bash
# `xeno platform down` after kill -9 of everything: nothing is left on the machine, and the platform
# comes up again with its books in order.
. "$(dirname "$0")/../lib/tap.sh"
need_root
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

# up [OPTION...]
up() { xeno platform up --servers 2 --dir "$plat" --server-set charge-interval=1s "$@"; }
# What is in the kernel of the platform's instances, one a line.
standing() {
    local i
    for i in $instances; do
        ip -o link | grep -oE "(xv$i-|xb-$i)[^@: ]*"
        nft list tables | grep -E "xeno-$i$"
        find /sys/fs/cgroup -type d -path "*/xeno-$i*"
        pgrep -af "conmon.*--cid $i-"
    done
    grep -oE " $plat/[^ ]+" /proc/self/mountinfo
    losetup -a | grep "$plat"
    pgrep -af "$plat"
}
# Every process that the platform's daemons and supervisors are, killed at once.
kill_all() {
    local pids
    pids=$(jq -r '.corp.pid, .servers[].xenod.pid, .servers[].taskd.pid' "$plat/platform.json")
    for i in $instances; do pids="$pids $(pgrep -f "conmon.*--cid $i-")"; done
    kill -9 $pids
    wait_for 10 dead $pids
}
dead() {
    local p
    for p in "$@"; do ! kill -0 "$p" || return 1; done
}

ok "platform up" up || bail "no platform"
[ "$(xeno platform status --dir "$plat" --json | jq -r .driver)" = oci ] || bail "containers cannot run here"
instances=$(jq -r '.servers[].instance' "$plat/platform.json")
run=$(xeno run -q -d --name runs --server x1 -p 80 -- sleep 1000)
xeno run -q -d --name waits --server x2 -- sleep 1000 >/dev/null
ok "one session runs, the other is suspended" xeno session suspend waits
kill_all
ok "what ran still stands" test -n "$(standing)"
ok "down" xeno platform down --dir "$plat" 2>"$work/err"
is "$(standing)" "" "nothing is left on the machine"
ok "again" xeno platform down --dir "$plat"

ok "up again" up || bail "it does not come up again"
is "$(wait_for 20 sh -c 'xeno session ls --all --json | jq -e "[.sessions[].state] | unique == [\"ended\"]"' &&
    echo ended)" ended "its sessions have ended"
ok "and are paid for to the end" wait_for 20 sh -c "[ \"\$(xeno session usage $run --json | jq .pending)\" = 0 ]"
is "$(xeno run -q -- echo hello)" hello "and it takes new ones"
kill_all
like "$(xeno platform down --dir "$plat" --purge 2>&1)" "x1 was not running: instance $(echo $instances | cut -d' ' -f1): removed .*bridge, rules, control groups" \
    "down says what it found where a daemon had crashed"
is "$(standing)" "" "nothing is left"
ok "nor its folder" [ ! -e "$plat" ]
done_testing
