# bench/line/lib.sh - network namespaces on long, thin lines (bench-line); source ../lib.sh first.
#
#     line_space NAME                   a namespace of ours with loopback: its file is $work/net-NAME
#     line A B N [bench-line option...] a line between two of them: A has 198.19.N.1, B 198.19.N.2;
#                                       the devices are lineN; what went over it is in $work/line-N
#                                       after line_cut
#     line_again A B N [option...]      the same after line_cut, with other options: addresses are there
#     in_space NAME COMMAND...
#     line_cut [N]                      end it (all of them)
declare -A line_pids=()
line_spaces=()

line_space() {
    local file=$work/net-$1
    touch "$file"
    unshare --net="$file" true
    line_spaces+=("$file")
    nsenter --net="$file" ip link set lo up
}
in_space() { nsenter --net="$work/net-$1" "${@:2}"; }
line_end() { # SPACE N HOST PEER
    in_space "$1" ip tuntap add "line$2" mode tun
    in_space "$1" ip addr add "198.19.$2.$3/32" peer "198.19.$2.$4" dev "line$2"
    in_space "$1" ip link set "line$2" up
}
line() {
    line_end "$1" "$3" 1 2
    line_end "$2" "$3" 2 1
    line_again "$@"
}
line_again() {
    local a=$1 b=$2 n=$3
    shift 3
    bench-line "$@" "$work/net-$a" "line$n" "$work/net-$b" "line$n" >"$work/line-$n" &
    line_pids[$n]=$!
    for _ in $(seq 100); do grep -q ready "$work/line-$n" && return; sleep 0.05; done
    echo "bench: no line $n" >&2
    return 1
}
line_cut() {
    local n
    for n in ${1:-"${!line_pids[@]}"}; do
        kill "${line_pids[$n]}"
        wait "${line_pids[$n]}" || true
        unset "line_pids[$n]"
    done
}
line_clear() {
    local file
    line_cut
    for file in "${line_spaces[@]}"; do umount -l "$file" 2>/dev/null || true; done
    line_spaces=()
}
