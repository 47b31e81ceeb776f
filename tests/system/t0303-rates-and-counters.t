#!/bin/bash
# Rates hold in both directions; counters say what went over the cable.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/net.sh"
in_a_world "$@"

net add a 10.77.0.2 8000 4000 tcp:9000:9000 || bail "cannot add a session"

# rate FROM TO ADDRESS BYTES: kbit/s of payload between two namespaces (commands that enter them).
rate() {
    $2 "$wire" sink 9000 >"$work/sink" &
    pid=$!
    sleep 0.15
    $1 "$wire" pump "$3" 9000 "$4"
    wait $pid
    awk '{ printf "%d\n", $1 * 8 / ($2 + 0.001) }' "$work/sink"
}
between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }
counter() { net counters | sed -n "s/^a .*$1=\([0-9]*\).*/\1/p"; }

# 1.5 MB at 8 Mbit/s: the burst (16 KiB) is 1 % of it; payload is 95.6 % of the wire.
got=$(rate outside "inside a" 198.51.100.1 1500000)
ok "to the session: $got of 8000 kbit/s" between "$got" 6000 8200
got=$(rate "inside a" outside 198.51.100.2 800000)
ok "from the session: $got of 4000 kbit/s" between "$got" 3000 4150

ok "rates are changed" net set a 10.77.0.2 16000 16000 tcp:9000:9000
got=$(rate outside "inside a" 198.51.100.1 3000000)
ok "to the session: $got of 16000 kbit/s" between "$got" 12000 16400
got=$(rate "inside a" outside 198.51.100.2 3000000)
ok "from the session: $got of 16000 kbit/s" between "$got" 12000 16400
ok "shaping is taken away" net set a 10.77.0.2 0 0 tcp:9000:9000
got=$(rate outside "inside a" 198.51.100.1 50000000)
ok "not shaped: $got kbit/s" test "$got" -gt 100000
for bad in 7 10000001; do
    like "$(net set a 10.77.0.2 $bad 0 2>&1)" 'error: net.rate' "a rate of $bad kbit/s is refused"
done

# Counters. A packet of 1448 bytes of payload has 66 of headers, 4.6 %; the kernel hands packets on
# in groups with one header, so that less is counted, never less than the payload.
ok "shaped again" net set a 10.77.0.2 20000 20000 tcp:9000:9000
rx=$(counter rx_bytes) tx=$(counter tx_bytes)
rate outside "inside a" 198.51.100.1 2000000 >/dev/null
rx=$(($(counter rx_bytes) - rx)) tx=$(($(counter tx_bytes) - tx))
ok "2000000 bytes to the session are $rx on its cable" between $rx 2000000 2120000
ok "and $tx of answers" between $tx 1000 100000
rx=$(counter rx_bytes) tx=$(counter tx_bytes)
rate "inside a" outside 198.51.100.2 2000000 >/dev/null
rx=$(($(counter rx_bytes) - rx)) tx=$(($(counter tx_bytes) - tx))
ok "2000000 bytes from the session are $tx on its cable" between $tx 2000000 2120000
ok "and $rx of answers" between $rx 1000 100000

# What the rules drop was sent all the same; what comes for others does not count.
tx=$(counter tx_bytes) packets=$(counter tx_packets)
for i in 1 2 3 4 5 6 7 8 9 10; do
    inside a "$wire" forge eth0 02:78:0a:4d:00:02 06:78:0a:4d:00:02 10.77.0.99 198.51.100.2 9
done
is $(($(counter tx_bytes) - tx)) 640 "ten frames of 64 bytes are 640 bytes, forged or not"
is $(($(counter tx_packets) - packets)) 10 "and ten packets"

# They survive whatever restarts (each `net` is a new process), and the last ones come with the end.
before=$(net counters)
is "$(net add a 10.77.0.2 20000 20000 tcp:9000:9000; net counters)" "$before" "adding it again does not reset them"
is "$(net del a)" "$before" "deleting gives the last ones"
net add a 10.77.0.2 20000 20000
is "$(counter tx_bytes)" 0 "and a new session begins at zero"
done_testing
