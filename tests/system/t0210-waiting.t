#!/bin/bash
# How long a session waits for a processor, and whether its own quota is the reason: what the task
# manager's usage says, which never goes down.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
. "$(dirname "$0")/../lib/crowd.sh"
make_layer
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"
s=aaaaaaaaaaaaaaaa
spec=("disk=$disk" "address=$net.5" "layer=sha256:$layer_hex")
create $s cpu=900 "address=$net.5" >/dev/null
ask start $s t1 -- sleep 1000 >/dev/null
find /sys/fs/cgroup -path "*xeno-$inst/sessions/$s/cpu.pressure" | grep -q . || {
    ask destroy $s >/dev/null
    cannot "pressure of version 2 groups: this kernel counts no waiting"
}

# growth COMMAND...: by how many ms cpu_us, waited_us and throttled_us grew while it ran
growth() {
    local key before=() after=()
    for key in cpu_us waited_us throttled_us; do before+=("$(used $s $key)"); done
    "$@"
    for key in cpu_us waited_us throttled_us; do after+=("$(used $s $key)"); done
    for key in 0 1 2; do echo $(((after[key] - before[key]) / 1000)); done | tr '\n' ' '
}
spin() { # NAME SECONDS
    ask exec $s "$1" -- timeout "$2" sh -c 'while :; do :; done' >/dev/null
}

read -r cpu waited throttled < <(growth sleep 2)
ok "idle, it waits for nothing" test $((waited + throttled)) -le 100

# --- others have the processors: its weight is gone, and four spin beside it
spin e1 100 &
spinner=$!
wait_for 20 sh -c "[ \$(cat /sys/fs/cgroup/*/xeno-$inst/sessions/$s/t1/cgroup.procs /sys/fs/cgroup/xeno-$inst/sessions/$s/t1/cgroup.procs 2>/dev/null | sort -u | wc -l) -ge 3 ]"
crowd_out "$inst"
read -r cpu waited throttled < <(growth sleep 4)
echo "# crowded out: cpu $cpu ms, waited $waited ms, throttled $throttled ms"
ok "crowded out, it gets little" test "$cpu" -lt 1500
ok "and it is others it waits for" test $((waited - throttled)) -ge 1000
let_in "$inst"
ask signal $s exec e1 15 >/dev/null
wait $spinner

# --- its quota alone
ask resize $s cpu=100 "${spec[@]}" >/dev/null
read -r cpu waited throttled < <(growth spin e2 3)
echo "# by its quota: cpu $cpu ms, waited $waited ms, throttled $throttled ms"
ok "held back by its quota, that is what is counted" test "$throttled" -ge 1000

# --- it never goes down
before=$(used $s waited_us)
ok "something was counted" test "$before" -gt 1000000
kill_taskd
start_taskd
ok "not over a kill -9 of the daemon" test "$(used $s waited_us)" -ge "$before"
ask snapshot $s >/dev/null
ok "nor over a snapshot" test "$(used $s waited_us)" -ge "$before"
ask restore $s cpu=900 "${spec[@]}" >/dev/null
ok "nor a restore" test "$(used $s waited_us)" -ge "$before"
like "$(ask destroy $s)" "\"waited_us\":[1-9]" "the last word has it, too"
is "$(leftovers)" "" "nothing is left"
done_testing
