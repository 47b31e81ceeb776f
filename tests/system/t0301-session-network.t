#!/bin/bash
# What a session reaches and from where it is reached.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/net.sh"
in_a_world "$@"

net add a 10.77.0.2 0 0 tcp:8081:80 udp:8081:53 || bail "cannot add a session"
net add b 10.77.0.3 0 0 tcp:8082:80
net2 add c 10.78.0.2 0 0 tcp:8083:80

for s in a b; do
    background tcp-$s nsenter --net="$run/netns/$s" "$wire" serve tcp 80 $s
done
background udp-a nsenter --net="$run/netns/a" "$wire" serve udp 53 a
background tcp-c nsenter --net="$run-2/netns/c" "$wire" serve tcp 80 c
background tcp-host "$wire" serve tcp 22 host
background tcp-local "$wire" serve tcp 2222 host
background tcp-out nsenter --net="$work/outside" "$wire" serve tcp 80 outside
background udp-out nsenter --net="$work/outside" "$wire" serve udp 53 outside
outside ip addr add 203.0.113.5/32 dev lo
outside ip addr add 169.254.169.254/32 dev lo
outside ip addr add 10.99.0.1/32 dev lo
wait_for 5 "$wire" get tcp 10.77.0.2 80
wait_for 5 "$wire" get tcp 10.77.0.3 80
wait_for 5 "$wire" get tcp 10.78.0.2 80
wait_for 5 "$wire" get udp 10.77.0.2 53
wait_for 5 "$wire" get tcp 198.51.100.2 80
wait_for 5 "$wire" get udp 198.51.100.2 53
wait_for 5 "$wire" get tcp 127.0.0.1 22

# Inside
is "$(inside a ip -br addr show dev eth0 | awk '{print $3}')" 10.77.0.2/32 "the session has its address"
is "$(inside a ip -br link show dev lo | awk '{print $2}')" UNKNOWN "lo is up"
like "$(inside a ip route)" '^default via 10.77.0.1 dev eth0' "everything goes to the gateway"
is "$(inside a "$wire" ping 10.77.0.1)" pong "the gateway answers a ping"
is "$(inside a setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all "$wire" ping 127.0.0.1)" \
    pong "ping needs no privilege inside"
background low nsenter --net="$run/netns/a" setpriv --reuid 65534 --regid 65534 --clear-groups \
    --bounding-set -all "$wire" serve tcp 81 low
ok "nor does a port below 1024" wait_for 2 inside a "$wire" get tcp 127.0.0.1 81

# Outwards
is "$(inside a "$wire" get tcp 198.51.100.2 80)" "outside saw 198.51.100.1" "outside is reached, masqueraded"
is "$(inside a "$wire" get udp 198.51.100.2 53)" "outside saw 198.51.100.1" "so is the name server"
is "$(inside a "$wire" get tcp 10.99.0.1 80)" "outside saw 198.51.100.1" "private addresses beyond are, unless denied"
not_ok "a denied prefix is not reached" inside a "$wire" get tcp 203.0.113.5 80
not_ok "metadata at 169.254.169.254 is not reached" inside a "$wire" get tcp 169.254.169.254 80
like "$(inside a "$wire" get tcp 169.254.169.254 80)" 'Connection refused' \
    "and the refusal is an answer, not a wait"

# To other sessions
not_ok "another session's address is not reached" inside a "$wire" get tcp 10.77.0.3 80
not_ok "nor by ping" inside a "$wire" ping 10.77.0.3
not_ok "nor another instance's session" inside a "$wire" get tcp 10.78.0.2 80
not_ok "nor the other way round" inside2 c "$wire" get tcp 10.77.0.2 80
is "$(inside a "$wire" get tcp 198.51.100.1 8082)" "b saw 10.77.0.2" "its published port is"
is "$(inside a "$wire" get tcp 10.77.0.1 8082)" "b saw 10.77.0.2" "by any address of the host"
is "$(inside a "$wire" get tcp 198.51.100.1 8081)" "a saw 10.77.0.1" "a session reaches its own published port"
is "$(inside a "$wire" get tcp 198.51.100.1 8083)" "c saw 10.77.0.2" "and that of another instance's session"

# To the host
for address in 198.51.100.1 10.77.0.1 10.78.0.1 127.0.0.1; do
    not_ok "a daemon of the host is not reached at $address" inside a "$wire" get tcp $address 22
done
not_ok "nor is the host pinged by its other addresses" inside a "$wire" ping 198.51.100.1
inside a ip route add 127.0.0.0/8 via 10.77.0.1 dev eth0 table 7 2>/dev/null
before=$(nft list chain inet xeno-t1 from_cable | grep 127.0.0.0 | grep -o 'packets [0-9]*')
inside a "$wire" forge eth0 02:78:0a:4d:00:02 06:78:0a:4d:00:02 10.77.0.2 127.0.0.1 2222
after=$(nft list chain inet xeno-t1 from_cable | grep 127.0.0.0 | grep -o 'packets [0-9]*')
ok "a frame for 127.0.0.1 on the cable is dropped" test "$before" != "$after"

# Inwards
is "$(tcp 127.0.0.1 8081)" "a saw 10.77.255.255" "a published port is reached at the host's 127.0.0.1"
is "$(tcp 198.51.100.1 8081)" "a saw 198.51.100.1" "and at its own address"
is "$(outside "$wire" get tcp 198.51.100.1 8081)" "a saw 198.51.100.2" "and from outside, with the caller's address"
is "$(outside "$wire" get udp 198.51.100.1 8081)" "a saw 198.51.100.2" "UDP as well"
is "$(udp 127.0.0.1 8081)" "a saw 10.77.255.255" "also at 127.0.0.1"
is "$(outside "$wire" get tcp 198.51.100.1 8083)" "c saw 198.51.100.2" "the other instance's port too"
not_ok "a session's own address is not reached from outside" outside "$wire" get tcp 10.77.0.2 80
not_ok "a port that is not published is not reached" outside "$wire" get tcp 198.51.100.1 80

# Change
ok "ports are changed" net set a 10.77.0.2 0 0 tcp:8091:80
is "$(outside "$wire" get tcp 198.51.100.1 8091)" "a saw 198.51.100.2" "the new one is reached"
not_ok "the old one is not" outside "$wire" get tcp 198.51.100.1 8081
like "$(net add d 10.77.0.9 0 0 tcp:8091:80 2>&1)" 'net.port: host port 8091 is published by' \
    "a port is published once"
like "$(net add d 10.77.0.2 0 0 2>&1)" 'net.address: 10.77.0.2 belongs to' "an address is given once"
is "$(net list | grep -c '^d ')" 0 "and a refused session leaves nothing"
for bad in 10.77.0.0 10.77.0.1 10.77.255.255 10.78.0.5 1.2.3 ''; do
    like "$(net add d "$bad" 0 0 2>&1)" 'error: net.address' "address '$bad' is refused"
done

# IPv6
is "$(inside a ip -6 addr 2>/dev/null)" "" "the session has no IPv6 address"
is "$(ip -6 addr show dev xvt1-2)" "" "nor has the host's end"
done_testing
