#!/bin/bash
# Instances do not disturb each other; a killed process loses nothing; nothing is left behind.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/net.sh"
in_a_world "$@"

# What instance t1 has, without what the kernel is still taking away; a digest, for it is long.
state() {
    {
        ip -br link | awk '{print $1}' | grep t1
        ip route | grep 10.77
        nft list table inet xeno-t1 | sed 's/packets [0-9]* bytes [0-9]*//'
        ls "$run/netns"
    } >"$work/state"
    sha256sum <"$work/state"
}
settled() { ! ip -br link | grep -q '^xvt1-'; }

clean=$(ip -br link; ip route; nft list ruleset)
net open || bail "cannot open"
empty=$(state)

# A second instance with a session that answers all the time.
net2 add c 10.78.0.2 0 0 tcp:8083:80 || bail "cannot add a session of the second instance"
background c nsenter --net="$run-2/netns/c" "$wire" serve tcp 80 c
wait_for 5 "$wire" get tcp 127.0.0.1 8083
second() { net2 list; nft list table inet xeno-t2; ip -br link | grep t2; ip route | grep t2; }
other=$(second | sed 's/packets [0-9]* bytes [0-9]*//')

# Many
out=$(net churn 50) || bail "churn failed" "$out"
is "$(grep -c '^churn-' <<<"$out")" 50 "fifty sessions have counters"
ok "fifty sessions come in $(grep add_ms <<<"$out" | cut -d= -f2) ms each" \
    awk -F= '/^add_ms/ { exit !($2 < 50) }' <<<"$out"
ok "and go; the kernel removes their cables" wait_for 5 settled
is "$(state)" "$empty" "nothing is left of them"

# Killed on the way into and out of system calls; the next process finishes the job or undoes it.
for verb in add del; do
    out=$("$build/src/net/tests/test-net-crash" "$run" t1 10.77.0.0/16 $verb 2)
    like "$out" '^killed at [0-9]{2,} points, 0 bad$' "$verb: $(tail -n 1 <<<"$out")" || sed 's/^/# /' <<<"$out"
done
net open
ok "cables go" wait_for 5 settled
is "$(state)" "$empty" "nothing is left of that either"

# Restart does not disturb: a connection through a published port goes on.
net add a 10.77.0.2 8000 8000 tcp:9000:9000
nsenter --net="$run/netns/a" "$wire" sink 9000 >"$work/sink" &
sink=$!
sleep 0.15
outside "$wire" pump 198.51.100.1 9000 1500000 &
pump=$!
for i in 1 2 3 4 5 6 7 8; do
    net open
    net add a 10.77.0.2 8000 8000 tcp:9000:9000
    sleep 0.1
done
wait $pump $sink
is "$(cut -d' ' -f1 "$work/sink")" 1500000 "a connection goes on over eight restarts"

# A session's end cuts its flows before somebody else has the address.
nsenter --net="$run/netns/a" "$wire" sink 9000 >"$work/sink" &
sink=$!
sleep 0.15
background pump nsenter --net="$work/outside" "$wire" pump 198.51.100.1 9000 100000000
wait_for 5 grep -q 'dport=9000' /proc/net/nf_conntrack
kill $sink
wait $sink 2>/dev/null
net del a >/dev/null
net add b 10.77.0.2 0 0
not_ok "flows of an ended session are gone when its address is used again" \
    grep -q 'src=10.77.0.2' /proc/net/nf_conntrack
net del b >/dev/null

# After somebody flushed all rules, a restart brings them back.
net add a 10.77.0.2 0 0 tcp:8081:80
background a nsenter --net="$run/netns/a" "$wire" serve tcp 80 a
ok "a port is published" wait_for 5 "$wire" get tcp 127.0.0.1 8081
nft flush ruleset
not_ok "not after the rules were flushed" tcp 127.0.0.1 8081
net add a 10.77.0.2 0 0 tcp:8081:80
ok "and again when the session is added again" tcp 127.0.0.1 8081
net2 add c 10.78.0.2 0 0 tcp:8083:80

# A process left behind keeps its namespace, but no cable.
background left nsenter --net="$run/netns/a" sleep 60
net del a >/dev/null
is "$(net list)" "a 10.77.0.2 xvt1-2 loose" "a process left behind is seen"
is "$(net sweep)" "1 removed" "a sweep takes its cable"
is "$(net list)" "" "and then it is alone"

# A pin as a reboot leaves it: a plain file.
: >"$run/netns/a"
ok "a plain file in place of a pin is no obstacle" net add a 10.77.0.2 0 0
ok "keep is kept" test "$(net sweep a)" = "0 removed"
like "$("$tool" "$run" t1 10.79.0.0/16 open 2>&1)" 'net.pool: .*1 sessions of instance .t1. live in pool 10.77.0.0/16' \
    "the pool is not changed under sessions"
net del a >/dev/null
wait_for 5 settled
ok "but it is when there are none" "$tool" "$run" t1 10.79.0.0/16 open
is "$(ip route | grep -o '10.7[79].0.0/16 dev xb-t1')" "10.79.0.0/16 dev xb-t1" "and the old route goes"
ok "and back" net open

is "$(second | sed 's/packets [0-9]* bytes [0-9]*//')" "$other" "the second instance is as it was"
is "$(tcp 127.0.0.1 8083)" "c saw 10.78.0.255" "and its session answers"
is "$(net destroy)" "0 namespaces, 0 cables, rules 1, bridge 1" "the first one is taken away"
is "$(net destroy)" "0 namespaces, 0 cables, rules 0, bridge 0" "again: there is nothing"
is "$(tcp 127.0.0.1 8083)" "c saw 10.78.0.255" "and still does"
is "$(net2 destroy)" "1 namespaces, 1 cables, rules 1, bridge 1" "so is the second, with its session"
wait_for 5 sh -c '! ip -br link | grep -q ^xv'
is "$(ip -br link; ip route; nft list ruleset)" "$clean" "and the host is as it was"
done_testing
