# tests/lib/tap.sh - TAP for the system tests written in bash. Source it first:
#
#     . "$(dirname "$0")/../lib/tap.sh"
#     need_root
#     ok "it works" test -f "$work/file"
#     is "$(xeno whoami)" "$id" "whoami says who"
#     done_testing
#
# Gives a temporary folder $work (removed at the end), programs of the build under test first in
# PATH, and `background NAME COMMAND...`, whose processes are ended (by id) at the end, whatever
# happens. Every wait is bounded.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${XENO_BUILD:-$top/build}
PATH=$build/src/cli:$build/src/xenocorpd:$build/src/xenod:$build/src/xstored:$build/src/xisd:$build/src/xrdd:$build/src/taskd:$build/src/imaged:$PATH
work=$(mktemp -d /var/tmp/xeno-test.XXXXXX)
chmod 755 "$work"
tap_count=0 tap_failed=0 tap_pids=() tap_at_end=()

# ok NAME COMMAND...: passes when the command succeeds. Its output is shown when it does not.
ok() {
    local name=$1 out r
    shift
    tap_count=$((tap_count + 1))
    out=$("$@" 2>&1)
    r=$?
    if [ $r = 0 ]; then
        echo "ok $tap_count - $name"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $name"
        printf 'status %s: %s\n%s\n' "$r" "$*" "$out" | head -n 40 | sed 's/^/# /'
    fi
    return $r
}

# not_ok NAME COMMAND...: passes when the command fails.
not_ok() {
    local name=$1
    shift
    ok "$name" tap_inverted "$@"
}
tap_inverted() { ! "$@"; }

# is GOT WANT NAME
is() {
    tap_count=$((tap_count + 1))
    if [ "$1" = "$2" ]; then
        echo "ok $tap_count - $3"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $3"
        printf 'got:  %s\nwant: %s\n' "$1" "$2" | sed 's/^/# /'
        return 1
    fi
}

# like TEXT REGEX NAME
like() {
    tap_count=$((tap_count + 1))
    if grep -qE -- "$2" <<<"$1"; then
        echo "ok $tap_count - $3"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $3"
        printf 'got:  %s\nlike: %s\n' "$1" "$2" | head -n 40 | sed 's/^/# /'
        return 1
    fi
}

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

# cannot CAPABILITY[: WHY]: skip for what no set-up could give to this machine; scripts/tap has the
# list of such. Any other skip fails in CI.
cannot() { skip_all "cannot: $*"; }

need_root() { [ "$(id -u)" = 0 ] || skip_all "needs root: it makes namespaces, cgroups and mounts"; }

done_testing() {
    echo "1..$tap_count"
    [ "$tap_failed" = 0 ]
    exit $?
}

# Give up on the whole test: what follows would mean nothing.
bail() {
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $*"
    [ -z "${2:-}" ] || sed 's/^/# /' <<<"$2"
    done_testing
}

# background NAME COMMAND...: runs it with its output in $work/NAME.log; its id is in $pid.
background() {
    local name=$1
    shift
    "$@" >>"$work/$name.log" 2>&1 &
    pid=$!
    tap_pids+=("$pid")
}

# wait_for SECONDS COMMAND...: until it succeeds; fails when the time is over. What is counted is
# tries, so that a machine that is slow for a moment has more time, though not without end.
wait_for() {
    local tries=$(($1 * 20)) last=$((SECONDS + 5 * $1 + 20)) pause=0.05
    [ -z "${XENO_IN_VM:-}" ] || pause=0.25 # who waits is emulated on the same processors
    shift
    while [ $tries -gt 0 ] && [ $SECONDS -lt $last ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep $pause
        tries=$((tries - 1))
    done
    return 1
}

# claim NAME: have NAME, a word for something that the machine has once, among the tests that run beside
# this one; fails when another has it. It is free again when its test has ended, however that was.
tap_claims=/var/tmp/xeno-test-claims
claim() (
    mkdir -p -m 1777 $tap_claims
    exec 9<$tap_claims && flock 9 || exit 1
    read -r holder 2>/dev/null <"$tap_claims/$1" && [ -d "/proc/$holder" ] && exit 1
    echo $$ 2>/dev/null >"$tap_claims/$1"
)

# free_port: a port of ours. Below what sessions are published on (a rule of theirs would take what is meant
# for a daemon), and what the kernel gives out.
free_port() {
    local p
    for p in $(shuf -i 10000-15999 -n 100); do
        claim "port-$p" && [ -z "$(ss -Hltn "sport = :$p")" ] && echo "$p" && return
    done
    return 1
}

# at_end COMMAND: run (by eval) before the temporary folder goes, last one first.
at_end() { tap_at_end=("$1" "${tap_at_end[@]}"); }

tap_cleanup() {
    local p c
    trap - EXIT INT TERM
    for c in "${tap_at_end[@]}"; do eval "$c" >/dev/null 2>&1; done
    for p in "${tap_pids[@]}"; do kill "$p" 2>/dev/null; done
    for p in "${tap_pids[@]}"; do
        local tries=100
        while kill -0 "$p" 2>/dev/null && [ $tries -gt 0 ]; do
            sleep 0.05
            tries=$((tries - 1))
        done
        kill -9 "$p" 2>/dev/null
        wait "$p" 2>/dev/null
    done
    rm -rf --one-file-system "$work"
    grep -lsx $$ $tap_claims/* | xargs -r rm -f
}
trap tap_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
