#!/bin/bash
# The OCI runtime is probed: crun where it runs, else runc, else no containers; whichever it is,
# describe says so and a container starts. What is not to be found is hidden in a mount namespace
# of the task manager's own.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"

s=aaaaaaaaaaaaaaaa
echo 'not a program' >"$work/plain"
printf '#!/bin/sh\necho "it does not run here" >&2\nexit 1\n' >"$work/broken"
chmod 755 "$work/broken"
hide=()
# In the subshell of start_taskd: the program, with everything of `hide` (what over which) hidden.
xeno-taskd() {
    [ "$BASHPID" != $$ ] || { command xeno-taskd "$@"; return; } # at the end: not instead of the test
    # shellcheck disable=SC2016
    exec unshare --mount --propagation slave sh -c '
        n=$1; shift
        while [ "$n" -gt 0 ]; do mount --bind "$1" "$2" || exit 1; shift 2; n=$((n - 1)); done
        exec "$@"' sh $((${#hide[@]} / 2)) "${hide[@]}" "$build/src/taskd/xeno-taskd" "$@"
}
runtime() { ask describe | grep -oE '"runtime":"[^"]*"' | cut -d'"' -f4; }
crun=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v crun)
runc=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v runc)

starts() { # NAME
    ok "$1: a session is made" create $s || return
    ask start $s t -- echo it runs >/dev/null
    is "$(ask wait $s t "$(patience 10)")" 0 "$1: a container runs"
    is "$(logs $s t)" "it runs" "$1: and says so"
    ok "$1: and ends" ask destroy $s
}

make_layer
for turn in "crun where it runs::crun" "crun is broken:broken:runc" "crun is missing:plain:runc"; do
    IFS=: read -r name with want <<<"$turn"
    hide=()
    [ -z "$with" ] || hide=("$work/$with" "$crun")
    start_taskd || bail "$name: xeno-taskd does not start" "$(cat "$work/taskd.log")"
    is "$(runtime)" "$want" "$name: $want"
    starts "$name"
    stop_taskd
done
hide=("$work/broken" "$crun" "$work/plain" "$runc")
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"
is "$(runtime)" "" "neither: none"
out=$(create $s 2>&1)
like "$out" '^task.driver: ' "neither: no containers" # the null driver goes on
ok "neither: which is said in the log" grep -q "no OCI runtime runs here.*it does not run here" "$work/taskd.log"
stop_taskd
hide=()
is "$(leftovers)" "" "nothing is left"
done_testing
