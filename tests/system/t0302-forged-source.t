#!/bin/bash
# The host's end drops whatever does not come from the session's own MAC and address.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/net.sh"
in_a_world "$@"

net add a 10.77.0.2 0 0 || bail "cannot add a session"
net add b 10.77.0.3 0 0 udp:9000:9000

own=02:78:0a:4d:00:02 host=06:78:0a:4d:00:02 other=02:78:0a:4d:00:03

# heard WHERE PORT IF_MAC DST_MAC SRC DST: does a frame sent in session a arrive there?
heard() {
    local where=$1 port=$2
    shift 2
    $where "$wire" hear "$port" 500 >"$work/heard" &
    pid=$!
    sleep 0.15
    inside a "$wire" forge eth0 "$@" "$port"
    inside a "$wire" forge eth0 "$@" "$port"
    wait $pid
    cat "$work/heard"
}

is "$(heard outside 9000 $own $host 10.77.0.2 198.51.100.2)" 2 "an honest frame arrives"
is "$(heard outside 9000 $own $host 10.77.0.3 198.51.100.2)" 0 "another session's address does not"
is "$(heard outside 9000 $own $host 198.51.100.2 198.51.100.2)" 0 "nor an address of outside"
is "$(heard outside 9000 $own $host 127.0.0.1 198.51.100.2)" 0 "nor 127.0.0.1"
is "$(heard outside 9000 $own $host 10.77.0.1 198.51.100.2)" 0 "nor the gateway's"
is "$(heard outside 9000 $other $host 10.77.0.2 198.51.100.2)" 0 "nor another session's MAC"
is "$(heard outside 9000 $other $host 10.77.0.3 198.51.100.2)" 0 "nor both together"
is "$(heard outside 9000 $own ff:ff:ff:ff:ff:ff 10.77.0.2 198.51.100.2)" 0 "nor a broadcast"
is "$(heard "inside b" 9000 $own $host 198.51.100.2 10.77.0.3)" 0 "no forged frame reaches a session"
is "$(heard "inside b" 9000 $own $other 10.77.0.2 10.77.0.3)" 0 "nor one that names its MAC"
like "$(nft list chain inet xeno-t1 from_cable | grep @source)" 'packets 1[46] ' \
    "each of them is counted as forged"

# ARP: nobody answers, nobody believes.
neighbours=$(ip neigh | sort)
is "$(inside a "$wire" forge-arp eth0 $own 10.77.0.2 10.77.0.1)" silence "the host answers no ARP"
is "$(inside a "$wire" forge-arp eth0 $own 10.77.0.3 10.77.0.1)" silence "nor a forged one"
is "$(inside a "$wire" forge-arp eth0 $own 198.51.100.2 198.51.100.1)" silence "nor for its other addresses"
is "$(inside a "$wire" forge-arp eth0 $own 10.77.0.3 10.77.0.3)" silence "nor a gratuitous one"
is "$(ip neigh | sort)" "$neighbours" "and its neighbour table is as before"
is "$(inside a ip neigh)" "10.77.0.1 dev eth0 lladdr $host PERMANENT " "the session's gateway is fixed"

# The session's root in a user namespace of its own, as a container has it, cannot change its side.
as_container() { inside a unshare --user --map-root-user "$@"; }
not_ok "the address cannot be changed" as_container ip addr add 10.77.0.3/32 dev eth0
not_ok "nor the MAC" as_container ip link set eth0 address $other
not_ok "nor the shaper" as_container tc qdisc del dev eth0 root
not_ok "nor can raw frames be sent" as_container "$wire" forge eth0 $own $host 10.77.0.2 198.51.100.2 9000

# IPv6 does not leave the session even if somebody turned it on inside, and on the host's end too.
is "$(cat /proc/sys/net/ipv6/conf/xvt1-2/disable_ipv6)" 1 "the host's end has no IPv6"
sysctl -q -w net.ipv6.conf.xvt1-2.disable_ipv6=0
inside a sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=0
inside a ip addr add fd00::2/64 dev eth0 nodad
inside a ip -6 neigh add fd00::1 lladdr $host dev eth0
wait_for 3 inside a bash -c 'echo x >/dev/udp/fd00::1/9000' || bail "IPv6 cannot be turned on inside"
like "$(nft list chain inet xeno-t1 from_cable | grep nfproto)" 'packets [1-9]' "and the rules drop it"
done_testing
