# tests/lib/net.sh - a small world for the network tests; source tap.sh first.
#
#     in_a_world "$@"      runs the test again in a network and mount namespace of its own: "the host"
#
# The host has lo and up0 (198.51.100.1/24), a cable to "outside" (198.51.100.2/24), which is a
# namespace as well: no packet leaves the machine. /proc/sys/net is the namespace's own.
in_a_world() {
    need_root
    if [ -z "${XENO_WORLD:-}" ]; then
        trap - EXIT
        rmdir "$work"
        XENO_WORLD=1 exec unshare --net --mount --propagation slave bash "$0" "$@"
    fi
    tool=$build/src/net/tests/test-net-tool
    wire=$build/src/net/tests/test-net-wire
    [ -x "$tool" ] && [ -x "$wire" ] || bail "src/net/tests is not built"
    run=$work/run
    mkdir "$run"
    at_end "umount -l $run/netns/* $run-2/netns/* $work/outside"
    ip link set lo up
    # Like hosts that run containers of other kinds: our rules have to hold beside this.
    sysctl -q -w net.ipv4.conf.default.rp_filter=2 2>/dev/null
    touch "$work/outside"
    unshare --net="$work/outside" true
    ip link add up0 type veth peer name eth0 netns "$work/outside" || bail "no veth"
    ip addr add 198.51.100.1/24 dev up0
    ip link set up0 up
    outside ip addr add 198.51.100.2/24 dev eth0
    outside ip link set lo up
    outside ip link set eth0 up
    wait_for 5 eval 'ip -br link show up0 | grep -q " UP "' || bail "the cable has no signal"
    ip route add default via 198.51.100.2
    # A way back that a session must not profit from: outside knows where the pool would be.
    outside ip route add 10.77.0.0/16 via 198.51.100.1
}

outside() { nsenter --net="$work/outside" "$@"; }

# net VERB...: the tool on instance t1; net2 on t2.
net() { "$tool" "$run" t1 10.77.0.0/16 -d 203.0.113.0/24 -s 198.51.100.2 "$@"; }
net2() { "$tool" "$run-2" t2 10.78.0.0/24 "$@"; }

# inside SESSION COMMAND...: in the session's namespace.
inside() {
    local s=$1
    shift
    nsenter --net="$run/netns/$s" "$@"
}
inside2() {
    local s=$1
    shift
    nsenter --net="$run-2/netns/$s" "$@"
}

tcp() { "$wire" get tcp "$@"; }
udp() { "$wire" get udp "$@"; }
