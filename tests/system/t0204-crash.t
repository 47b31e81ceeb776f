#!/bin/bash
# kill -9 at any moment: sessions go on, requests can be asked again, nothing leaks.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

s=aaaaaaaaaaaaaaaa
create $s cpu=1000 address=$net.5 >/dev/null
ask start $s t1 -- sleep 1000 >/dev/null
ask start $s t2 --terminal -- sh -c 'read x; echo got $x; exit 9' >/dev/null
ask start $s t3 -- sh -c 'sleep 1; exit 4' >/dev/null
pid=$(ask list | grep -oE '"task":"t1","state":"running","pid":[0-9]+' | grep -oE '[0-9]+$')
before=$(used $s cpu_us)
rouser=$(pgrep -P "$taskd_pid" -x xeno-rouser)
kill_taskd
ok "containers outlive the daemon" kill -0 "$pid"
ok "its rouser does not" wait_for 5 eval '! kill -0 '"$rouser"
sleep 1.5 # t3 ends while nobody looks
start_taskd
like "$(ask list)" '"task":"t1","state":"running","pid":'"$pid" "they are found again"
like "$(ask list)" '"task":"t3","state":"stopped","pid":0,"code":4' "what ended meanwhile is known"
ok "use never goes down" test "$(used $s cpu_us)" -ge "$before"
is "$( (sleep 0.3; echo word; sleep 1) | ask attach $s t2 | tail -1 | tr -d '\r')" "got word" "attach works after it"
is "$(ask wait $s t2 5)" 9 "and ends are told"
ok "exec works" ask exec $s e1 -- true
ask destroy $s >/dev/null
is "$(leftovers)" "" "nothing is left"

# --- at random points of a whole life, repeated until each step is done
seed=${XENO_SEED:-$RANDOM}
RANDOM=$seed
rounds=${XENO_ROUNDS:-25} kills=0 bad=
echo "# seed $seed, $rounds rounds"
# again COMMAND...: until it succeeds, with the daemon killed under it now and then, five times at most.
again() {
    local tries=0 killed=0 p
    while [ $tries -lt 8 ]; do
        tries=$((tries + 1))
        "$@" >"$work/out" 2>&1 &
        p=$!
        if [ $killed -lt 5 ] && [ $((RANDOM % 3)) = 0 ]; then
            sleep 0.0$((RANDOM % 40 + 10))
            kill_taskd
            kills=$((kills + 1)) killed=$((killed + 1))
            kill $p 2>/dev/null
            wait $p 2>/dev/null
            if ! start_taskd; then
                bad="$bad no daemon after a kill;"
                return 1
            fi
            continue
        fi
        wait $p && return 0
        sleep 0.1
    done
    echo "# $*: $(cat "$work/out")"
    return 1
}
for ((i = 0; i < rounds && ${#bad} == 0; i++)); do
    s=bbbbbbbbbbbbbb$(printf '%02d' $((i % 6 + 22)))
    again create $s cpu=1000 address=$net.$((i + 10)) || bad="create in round $i"
    again ask start $s t1 -- sleep 1000 || bad="$bad start in round $i"
    [ "$(state $s)" = running ] || bad="$bad state in round $i"
    if [ $((i % 3)) = 0 ]; then
        again ask snapshot $s || bad="$bad snapshot in round $i"
        again ask restore $s cpu=1000 "disk=$disk" address=$net.$((i + 10)) "layer=sha256:$layer_hex" ||
            bad="$bad restore in round $i"
    elif [ $((i % 3)) = 1 ]; then
        again ask pause $s && again ask resume $s || bad="$bad pause in round $i"
    fi
    again ask destroy $s || bad="$bad destroy in round $i"
done
is "$bad" "" "$rounds lives with $kills kills (seed $seed)" || tail -n 20 "$work/taskd.log" | sed 's/^/# /'
kill_taskd
start_taskd
ok "nothing is left after them" wait_for 5 eval '[ -z "$(leftovers)" ]'
is "$(leftovers)" "" "nothing at all"

# --- what the folder of a killed create looks like
mkdir -p "$work/D/sessions/cccccccccccccccc/tasks"
stop_taskd
start_taskd
ok "a folder without a session is removed" wait_for 5 eval '[ ! -e "$work/D/sessions/cccccccccccccccc" ]'
timeout 30 xeno-taskd --dir="$work/D" --instance="$inst" >"$work/second" 2>&1
is "$?" 1 "a second daemon in the same folder is refused" || sed 's/^/# /' "$work/second"

# --- two instances do not touch each other
create dddddddddddddddd cpu=500 address=$net.9 >/dev/null
ask start dddddddddddddddd t1 -- sleep 1000 >/dev/null
other=10.$((RANDOM % 50 + 100)).7
xeno-taskd --dir="$work/E" --cache="$work/cache" --instance="r${inst#q}" --pool=$other.0/24 >"$work/other.log" 2>&1 &
second=$!
wait_for 10 task-ask "$work/E/socket" describe
is "$(task-ask "$work/E/socket" list)" "" "another instance sees nothing of ours"
task-ask "$work/E/socket" create dddddddddddddddd oci "disk=$disk" address=$other.9 "layer=sha256:$layer_hex" >/dev/null
task-ask "$work/E/socket" destroy dddddddddddddddd >/dev/null
like "$(ask list)" '"task":"t1","state":"running"' "and destroys nothing of ours, whatever its name"
ok "even the shared layer is still there" ask exec dddddddddddddddd e1 -- true
kill $second
wait $second
ok "and it is removed alone" xeno-taskd --dir="$work/E" --cache="$work/cache" --instance="r${inst#q}" --remove
like "$(ask list)" '"task":"t1","state":"running"' "which ours does not notice"
ask destroy dddddddddddddddd >/dev/null
done_testing
