# tests/lib/crowd.sh - take the processors away from an instance's sessions; source tap.sh first.
#
#     crowd_out INSTANCE    their parent has next to no weight, and four processes spin where the
#                           daemons are, for at most a minute. What is to be crowded out runs before:
#                           to start a program there then takes long.
#     let_in INSTANCE       as it was
crowd_rivals=()

crowd_weight() { # INSTANCE SHARES WEIGHT: of version 1, of version 2
    find /sys/fs/cgroup -path "*/xeno-$1/sessions/cpu.shares" -exec sh -c 'echo "$0" >"$1"' "$2" {} \;
    find /sys/fs/cgroup -path "*/xeno-$1/sessions/cpu.weight" -exec sh -c 'echo "$0" >"$1"' "$3" {} \;
}

crowd_out() {
    local procs i
    # Version 1 has the group where the processor is shared out only, version 2 once.
    procs=$(find /sys/fs/cgroup -path "*/xeno-$1/daemons/cgroup.procs" | head -n 1)
    crowd_weight "$1" 64 1
    for i in 1 2 3 4; do
        background "rival$i" sh -c 'echo $$ >"$0" && exec timeout 60 sh -c "while :; do :; done"' "$procs"
        crowd_rivals+=("$pid")
    done
    for i in "${crowd_rivals[@]}"; do wait_for 10 grep -qx "$i" "$procs"; done
}

let_in() {
    kill "${crowd_rivals[@]}"
    wait "${crowd_rivals[@]}" 2>/dev/null
    crowd_rivals=()
    crowd_weight "$1" 65536 10000
}
