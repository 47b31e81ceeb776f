# tests/lib/imaged.sh - the image manager under test; source tap.sh first.
#
#     imaged_start [OPTION...]    starts it in $work/im; again: with the same or other options
#     imaged_stop [-9]
#     ask VERB WORD...            asks it (src/imaged/tests/agent-ask.c); the answer is in the
#                                 file $work/o, a refusal in $work/e: "TOKEN: TEXT"; $patience is in
#                                 milliseconds (2000)
#     get FILTER                  by jq, of the answer
#     layer N                     digest of layer N of the last resolve
#     numbers KEY...              of its status
patience=2000
agent_ask=$build/src/imaged/tests/agent-ask

imaged_start() {
    background imaged xeno-imaged --dir "$work/im" --socket "$work/im.sock" --identity "$work/x1/xenod" "$@"
    imaged_pid=$pid
    wait_for 10 "$agent_ask" "$work/im.sock" 0 progress || bail "xeno-imaged does not answer" "$(cat "$work/imaged.log")"
}

imaged_stop() {
    kill "${1:--TERM}" "$imaged_pid" 2>/dev/null
    wait "$imaged_pid" 2>/dev/null
}

ask() {
    timeout 60 "$agent_ask" "$work/im.sock" "$patience" "$@" >"$work/o" 2>"$work/e"
    local r=$?
    [ "$1" = resolve ] && cp "$work/o" "$work/resolved"
    [ $r = 0 ] || { cat "$work/e" && return 1; }
}
get() { jq -r "$1" "$work/o"; }
layer() { jq -r ".layers[$1].digest" "$work/resolved"; }
numbers() {
    local k
    xeno-imaged --socket "$work/im.sock" --status >"$work/status.json" || return 1
    for k in "$@"; do jq -r ".$k" "$work/status.json"; done | xargs
}
