#!/bin/bash
# exec, attach and logs of real containers: input, output, errors and exit codes kept apart, terminals
# that know their size, signals, peers that go away, and much data.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

driver=oci
images=$work/images
taskd_x="--images $images"

xml() { local type=application/xml; at x "$@"; }
uri() { jq -rn --arg a "$1" '$a|@uri'; }
stream() { # PATH-AND-QUERY [TOOL-OPTION...]
    local path=$1
    shift
    timeout 30 "$build/src/xenod/tests/stream-tool" \
        "https://127.0.0.1:$(cat "$work/x/port")/v1/sessions/$s/$path" \
        "$work/ann.key" "$work/ann.pem" "$corp_dir/ca.pem" "$@"
}
exec_in() { # ARGV-JSON MORE-QUERY [TOOL-OPTION...]
    local argv=$1 more=$2
    shift 2
    stream "exec?argv=$(uri "$argv")$more" "$@"
}

mkdir -p "$work/root"/{bin,etc,tmp,proc,sys,dev,srv}
cp "$(command -v busybox)" "$work/root/bin/busybox"
for t in sh sleep cat echo stty ps head tee touch tr wc id env pwd kill dd; do ln -s busybox "$work/root/bin/$t"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$work/root/etc/passwd"
"$build/src/image/tests/image-tool" "$images" init >/dev/null 2>&1
"$build/src/image/tests/image-tool" "$images" import "$work/root" bb:1 >/dev/null 2>&1 || bail "no template"

corp_init
corp_start
join op client "$token"
server_join x "images = $images" "template = template://bb:1" "capacity.cpu = 4000" \
    "reserve.cpu = 0"
server_start x
new_client ann 100000000
chmod 600 "$work/ann.key"
cleanup() {
    [ -z "${s:-}" ] || at x ann POST "/v1/sessions/$s/end"
    wait_for 10 state_is x ann "$s" ended
}
at_end cleanup

s=$(new_session x ann "$(new_order ann 20000000)" "$(requirement s '<CPUmsps>1500</CPUmsps>')")
ok "a session runs" wait_for 20 state_is x ann "$s" running || cat "$work/session" "$work/x-taskd.log"
deploy() { xml ann POST "/v1/sessions/$s/tasks" "$1" | jq -r .task; }
task_state() { at x ann GET "/v1/sessions/$s/tasks" | jq -r ".tasks[] | select(.task == \"$1\") | .state"; }
task_is() { [ "$(task_state "$1")" = "$2" ]; }

# --- logs ---
deploy "<Task><Name>talk</Name><Command><Argument>sh</Argument><Argument>-c</Argument><Argument>
for i in 1 2 3; do echo line \$i; echo bad \$i &gt;&amp;2; done; until [ -e /tmp/go ]; do sleep 0.1; done; printf 'no end'; exec sleep 1000
</Argument></Command><Environment name=\"A\" value=\"b c\"/><WorkingDirectory>/srv</WorkingDirectory></Task>" >/dev/null
ok "a task runs" wait_for 10 task_is talk running
log() { at x ann GET "/v1/sessions/$s/tasks/talk/logs$1"; }
ok "its output comes" wait_for 5 eval '[ "$(log "" | wc -l)" -ge 6 ]'
is "$(log '?stream=stdout' | head -n 3 | xargs)" "line 1 line 2 line 3" "standard output"
is "$(log '?stream=stderr' | xargs)" "bad 1 bad 2 bad 3" "standard error"
is "$(log '?stream=stderr&tail=2' | tail -n 1)" "bad 3" "the tail"
# It says more only when somebody is seen to follow.
background follow timeout 120 curl -sSN --cacert "$corp_dir/ca.pem" --cert "$work/ann.pem" --key "$work/ann.key" \
    "https://127.0.0.1:$(cat "$work/x/port")/v1/sessions/$s/tasks/talk/logs?follow=1&tail=1"
wait_for 20 grep -q bad "$work/follow.log"
exec_in '["touch","/tmp/go"]' '' </dev/null >/dev/null 2>&1
ok "following shows what comes later, also without a line's end" wait_for 20 grep -q "no end" "$work/follow.log"
kill "$pid"

# --- exec ---
is "$(exec_in '["sh","-c","echo out; echo err >&2; exit 7"]' '' </dev/null 2>"$work/err")" out "exec: output"
like "$(cat "$work/err")" '^err' "exec: errors apart"
like "$(cat "$work/err")" 'control \{"exit":7\}' "exec: exit code"
is "$(echo one two | exec_in '["wc","-w"]' '' 2>/dev/null)" 2 "exec: input and its end"
like "$(exec_in '["env"]' '' </dev/null 2>/dev/null)" '^PATH=.*/bin' "exec: a path"
like "$(exec_in '["no-such-program"]' '' </dev/null 2>&1)" 'cannot be started.*no-such-program' \
    "exec: what is not there"
head -c 20000000 /dev/zero | exec_in '["cat"]' '' 2>/dev/null | cmp -n 20000000 - /dev/zero
is "${PIPESTATUS[1]}" 0 "exec: twenty megabytes there and back"
# The runtime starts the program while the size is on its way: it may see none, but no other.
until_size() { # WHICH: print the first size but WHICH
    jq -nc --arg not "$1" '["sh","-c","echo ready; n=0; until s=$(stty size 2>/dev/null) && [ \"${s:-\($not)}\" != \"\($not)\" ] || [ $n = 200 ]; do sleep 0.1; n=$((n+1)); done; echo $s"]'
}
is "$(exec_in "$(until_size "0 0")" '&tty=1&cols=91&rows=17' hold </dev/null 2>/dev/null | tr -d '\r' | tail -n 1)" \
    "17 91" "a terminal of the size that was asked for"
is "$(exec_in "$(until_size "17 91")" '&tty=1&cols=91&rows=17' resize=100,40 hold </dev/null 2>"$work/err" | tr -d '\r' | tail -n 1)" \
    "40 100" "and resized" || sed 's/^/# /' "$work/err"
exec_in '["sh","-c","trap \"exit 9\" INT; echo ready; while :; do sleep 0.1; done"]' '&tty=1' hold signal=INT >/dev/null 2>&1
is $? 9 "a signal"
exec_in '["sh","-c","echo here; exec sleep 4321"]' '' cut >/dev/null 2>&1
gone() { ! exec_in '["ps"]' '' </dev/null 2>/dev/null | grep -q "sleep 4321"; }
ok "when the peer goes away, so does what it ran" wait_for 10 gone
exec_in '["sh","-c","echo here; exec sleep 4322"]' '&tty=1' cut >/dev/null 2>&1
gone() { ! exec_in '["ps"]' '' </dev/null 2>/dev/null | grep -q "sleep 4322"; }
ok "with a terminal, too" wait_for 10 gone
(exec_in '["sh","-c","head -c 50000000 /dev/zero"]' '' </dev/null 2>/dev/null | { sleep 3; wc -c >"$work/slow"; }) &
slow=$!
sleep 2
ok "a peer that does not read costs xenod little memory" \
    [ "$(awk '/VmRSS/{print $2}' "/proc/$(cat "$work/x/xenod.pid")/status")" -lt 40000 ]
wait $slow
is "$(cat "$work/slow")" 50000000 "and gets everything in the end"

# --- attach ---
deploy "<Task><Name>shell</Name><Command><Argument>sh</Argument></Command><Terminal>true</Terminal></Task>" >/dev/null
wait_for 10 task_is shell running
out=$( (sleep 1; printf 'echo $((6*7))\n'; sleep 1; printf 'exit 5\n'; sleep 3) | stream tasks/shell/attach 2>"$work/err" | tr -d '\r')
like "$out" '^42$' "attach: a shell takes commands"
like "$(cat "$work/err")" 'control \{"exit":5\}' "attach: its exit code"
ok "the task has ended" wait_for 5 task_is shell exited

# --- a peer that sends and goes at once: what it sent arrives all the same ---
# leave PATH FILE: send the frames in FILE when the protocol is switched, and close. By a client that
# is not ours, whose end is what the shell makes of it.
leave() {
    local at="127.0.0.1:$(cat "$work/x/port")" line=
    coproc PEER { timeout 30 openssl s_client -quiet -no_ign_eof -CAfile "$corp_dir/ca.pem" \
        -connect "$at" -cert "$work/ann.pem" -key "$work/ann.key" 2>"$work/peer.err"; }
    local from=${PEER[0]} to=${PEER[1]} peer=$PEER_PID # the shell forgets them when it ends
    printf 'GET /v1/sessions/%s/%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: xeno-stream/1\r\n\r\n' \
        "$s" "$1" "$at" >&"$to"
    until [ "$line" = $'\r' ]; do read -r -t 10 line <&"$from" || break; done
    cat "$2" >&"$to"
    eval "exec $to>&-"
    wait "$peer"
}
# frame CHANNEL FILE: as RFC 0004 says, 1 to 65536 bytes
frame() {
    printf "\\x$(printf %02x "$1")"
    printf "$(printf '%08x' "$(stat -c %s "$2")" | sed 's/../\\x&/g')"
    cat "$2"
}
# No letters: openssl takes some at the beginning of what it reads for orders of its own ("Q" ends it).
head -c 50000 /dev/zero >"$work/piece"
# More than pipes hold, so that it waits in xenod when its sender has gone; not more than xenod and
# the kernel take at once, or it would be the sender's own loss.
for i in 1 2 3 4 5 6; do frame 0 "$work/piece"; done >"$work/much"
: >"$work/empty"
frame 0 "$work/empty" >>"$work/much"
came() { [ "$(exec_in '["cat","'"$1"'"]' '' </dev/null 2>/dev/null)" = "$2" ]; }
slow='trap "" HUP; sleep 1; echo talk; sleep 1; wc -c >/srv/n.new; cat /srv/n.new >/srv/n'
leave "exec?argv=$(uri "$(jq -nc --arg s "$slow" '["sh","-c",$s]')")" "$work/much"
ok "exec: a slow program gets all that a peer sent before it left" wait_for 20 came /srv/n 300000
deploy "<Task><Name>ear</Name><Command><Argument>sh</Argument></Command><Terminal>true</Terminal></Task>" >/dev/null
wait_for 10 task_is ear running
background curl curl -sS --http1.1 --max-time 60 -N --cacert "$corp_dir/ca.pem" --cert "$work/ann.pem" \
    --key "$work/ann.key" -H 'Connection: Upgrade' -H 'Upgrade: xeno-stream/1' -D "$work/curl.head" \
    "https://127.0.0.1:$(cat "$work/x/port")/v1/sessions/$s/tasks/ear/attach"
ok "curl attaches beside it" wait_for 10 grep -q ' 101 ' "$work/curl.head"
printf 'echo $((6*7)) | tee /srv/ear\n' >"$work/line"
frame 0 "$work/line" >"$work/one"
leave tasks/ear/attach "$work/one"
ok "attach: the task, too" wait_for 10 came /srv/ear 42
ok "and it runs on" task_is ear running
ok "curl sees what it says" wait_for 10 grep -aq 42 "$work/curl.log"
printf 'exit 3\n' >"$work/line"
frame 0 "$work/line" >"$work/one"
leave tasks/ear/attach "$work/one"
ok "and its end" wait_for 10 grep -aq '{"exit":3}' "$work/curl.log"
like "$(stream tasks/shell/attach </dev/null 2>&1)" "task\." "attaching to what has ended is refused"
done_testing
