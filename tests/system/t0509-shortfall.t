#!/bin/bash
# Processor time that was reserved and wanted but not delivered is not paid for: real containers,
# crowded out by others; none for a session that is idle or held by its own quota.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/../lib/crowd.sh"

driver=oci
images=$work/images
taskd_x="--images $images"
xml() { local type=application/xml; at x "$@"; }

mkdir -p "$work/root"/{bin,etc,tmp,proc,sys,dev,srv}
cp "$(command -v busybox)" "$work/root/bin/busybox"
for t in sh sleep timeout; do ln -s busybox "$work/root/bin/$t"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$work/root/etc/passwd"
"$build/src/image/tests/image-tool" "$images" init >/dev/null 2>&1
"$build/src/image/tests/image-tool" "$images" import "$work/root" bb:1 >/dev/null 2>&1 || bail "no template"

corp_init
corp_start
join op client "$token"
server_join x "images = $images" "template = template://bb:1" "capacity.cpu = 4000" \
    "reserve.cpu = 0"
server_start x
inst=$(conf x instance)
new_client ann 100000000
s=
cleanup() {
    [ -z "$s" ] || at x ann POST "/v1/sessions/$s/end"
    wait_for 10 state_is x ann "$s" ended
}
at_end cleanup

s=$(new_session x ann "$(new_order ann 40000000)" "$(requirement s '<CPUmsps>900</CPUmsps>')")
wait_for 20 state_is x ann "$s" running || bail "no session" "$(cat "$work/session" "$work/x-taskd.log")"
deploy() { # NAME COMMAND
    xml ann POST "/v1/sessions/$s/tasks" "<Task><Name>$1</Name><Command><Argument>sh</Argument>
<Argument>-c</Argument><Argument>$2</Argument></Command></Task>" >/dev/null
}
task_is() { [ "$(at x ann GET "/v1/sessions/$s/tasks" | jq -r ".tasks[] | select(.task == \"$1\") | .state")" = "$2" ]; }
# usage: sets shortfall, reserved and used of CPU, in ms
usage() {
    read -r shortfall reserved used < <(at x ann GET "/v1/sessions/$s/usage" |
        jq -r '(.items[] | select(.res == "cpu")) as $c |
            "\(.shortfall_cpu_us / 1000 | floor) \($c.reserved / 1000 | floor) \($c.used / 1000 | floor)"')
}
file() { find /sys/fs/cgroup -path "*/xeno-$inst/sessions/$s/$1" | head -n 1; }

deploy rests "exec sleep 1000"
wait_for 20 task_is rests running
[ -n "$(file cpu.pressure)" ] || cannot "pressure of version 2 groups: this kernel counts no waiting"
sleep 3 # what its start waited for has been sampled
usage
from_shortfall=$shortfall from_reserved=$reserved
sleep 4
usage
is "$((shortfall - from_shortfall))" 0 "an idle session misses nothing"
ok "though it pays for what is reserved" test $((reserved - from_reserved)) -ge 1800

deploy spins "while :; do :; done"
wait_for 20 task_is spins running
# grown: what missed, owed (reserved) and had (used) grew by since the last time, in ms
grown() {
    local s0=$shortfall r0=$reserved u0=$used
    usage
    missed=$((shortfall - s0)) owed=$((reserved - r0)) had=$((used - u0))
    echo "# $1: reserved $owed, used $had, missed $missed ms"
}
usage
sleep 4
grown "held by its quota"
# How much it got is the machine's business; a second is what samples may be apart.
ok "one that its quota holds back pays for all that it had" test "$owed" -ge $((had - 900))

crowd_out "$inst"
usage
sleep 5
grown "crowded out"
let_in "$inst"
ok "one that is crowded out misses most of it" test "$missed" -ge 2000
ok "and does not pay for that" test "$owed" -le "$missed"
# What was reserved since the last sample when it was looked at first may have been missed, too.
ok "but for what it had" test "$owed" -ge $((had - 900))

at x ann POST "/v1/sessions/$s/end" >/dev/null
ok "it ends" wait_for 20 state_is x ann "$s" ended
usage
settled() { [ "$(at x ann GET "/v1/sessions/$s/usage" | jq .pending)" = 0 ]; }
ok "its charges are posted" wait_for 20 settled
is "$(as ann GET "/v1/statement?limit=100" | jq "[.entries[] | select(.session == \"$s\") | .amount] | add | -.")" \
    "$(at x ann GET "/v1/sessions/$s/usage" | jq .amount)" "the bill is the usage's, without what was missed"
done_testing
