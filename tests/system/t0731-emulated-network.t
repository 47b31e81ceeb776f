#!/bin/bash
# `xeno platform up --emulate`: XenoServers as far from each other as a table says, felt by TCP and ICMP; several side by side; killed or taken down, nothing is left.
. "$(dirname "$0")/../lib/tap.sh"
need_root
PATH=$build/src/line:$PATH
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
table=$top/data/planetlab/rtt.tsv
# What the machine has of such a network; those of other platforms may come and go meanwhile.
state() { { ip -br link; ip route; ip route show table local; } | grep -wE "xenoemu$1"; }
gone() {
    local n
    for n; do [ -z "$(state "$n")" ] || return 1; done
}
rtt_ms() { awk -v a="$1" -v b="$2" 'NR == a { print $b }' "$table"; }

# tcp FROM TO, icmp FROM TO: the shortest of five round trips in ms; TCP to a closed port.
tcp() {
    python3 - "$@" <<'PY'
import socket, sys, time
best = 1e9
for n in range(5):
    s = socket.socket(); s.settimeout(20); s.bind((sys.argv[1], 0))
    start = time.monotonic()
    try: s.connect((sys.argv[2], 9))
    except ConnectionRefusedError: pass
    best = min(best, (time.monotonic() - start) * 1000)
print(best)
PY
}
icmp() { busybox ping -I "$1" -i 0.1 -c 5 "$2" | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n | head -n 1; }
# near GOT WANT NAME: never sooner, and not much later even on a machine with other things to do.
near() { ok "$3: $1 ms for $2" awk -v g="${1:-0}" -v w="$2" 'BEGIN { exit !(g >= w - 0.002 && g < w + 60 + w / 2) }'; }

background one xeno-emulate --matrix "$table" --told "$work/one" --client 100
one=$pid
background two xeno-emulate --matrix "$table" --told "$work/two" --client 7
two=$pid
ok "two networks" wait_for 10 test -s "$work/one" -a -s "$work/two" || bail "no emulation" "$(cat "$work"/*.log)"
ok "are two" [ "$(cat "$work/one")" != "$(cat "$work/two")" ]
low=$((4 * $(cat "$work/one"))) networks=$(cat "$work/one" "$work/two" | xargs)
is "$(for n in $networks; do state "$n" | wc -l; done | xargs)" "3 3" "a link and two routes each"
for pair in "1 4" "20 300"; do
    set -- $pair
    want=$(rtt_ms "$1" "$2")
    if [ "$1" = 20 ]; then from=10.79.$low.20 to=10.78.$((low + 1)).44; else from=10.79.$low.1 to=10.78.$low.4; fi
    near "$(tcp "$from" "$to")" "$want" "TCP from node $1 to node $2"
    near "$(icmp "$from" "$to")" "$want" "ICMP"
done
near "$(tcp 0.0.0.0 "10.78.$low.4")" "$(rtt_ms 100 4)" "who says nothing is at the client's node"
kill -9 "$one"
kill "$two"
wait "$one" "$two" 2>/dev/null
ok "killed or ended, nothing is left" wait_for 5 gone $networks || state "[0-9]+" | sed 's/^/# /'

# as a platform
up() { xeno platform up --null --servers 2 --dir "$plat" "$@"; }
told() { xeno platform status --dir "$plat" --json | jq -r "$1"; }
printf '0 30 40\n30 0 7\n40 7 0\n' >"$work/small"
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/var/tmp "$@"; }
like "$(as_nobody xeno platform up --null --dir /var/tmp/never --emulate planetlab 2>&1)" 'needs root' "it needs root, and says so"
like "$(up --emulate "$work/nothing" 2>&1)" "neither 'planetlab' nor a table" "a table that is not there"
printf '0 1\n' >"$work/crooked"
like "$(up --emulate "$work/crooked" 2>&1)" 'line 2 has 0 columns' "a table that is none"
like "$(up --emulate "$work/small" --client-node 4 2>&1)" 'client-node' "a node that is not in it"
ok "up, at the third node" up --emulate "$work/small" --client-node 3 || bail "no platform"
is "$(told '.servers[0].node, .servers[1].node, .emulation.client_node' | xargs)" "1 2 3" "who is where"
like "$(told '.servers[0].url')" '^https://10\.78\.' "its XenoServers have addresses of it"
network=$(($(told '.servers[0].url' | cut -d. -f3) / 4))
ok "which the machine has" [ -n "$(state "$network")" ]
ok "and answer there" xeno server status
ok "a session" xeno run -d --name far -- true
pid=$(told '.processes[] | select(.name == "xeno-emulate").pid')
is "$(awk '/^Uid|^CapEff|^Seccomp:/ { printf "%s ", $2 }' "/proc/$pid/status")" "65534 0000000000000000 2 " "the network's process has no rights"
kill -9 "$pid"
down() { [ "$(told .up)" = false ]; }
wait_for 5 down
like "$(up --emulate planetlab 2>&1)" 'emulates' "another table is for another platform"
ok "up again after a kill" up
ok "and they answer" xeno server status
ok "down" xeno platform down --dir "$plat" --purge
ok "nothing is left" wait_for 5 gone "$network" || state "$network" | sed 's/^/# /'
done_testing
