#!/bin/bash
# A container's life: create, start, logs, exec, attach, signals, exit codes, destroy.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

like "$(ask describe)" '"name":"oci","isolation":"container"' "the oci driver can run here"
s=aaaaaaaaaaaaaaaa
ok "create" create $s cpu=1000 address=$net.5 hostname=web
ok "create again has no effect" create $s cpu=1000 address=$net.5 hostname=web
not_ok "create with another specification is refused" create $s cpu=999 address=$net.5
is "$(state $s)" created "no task has run yet"

ok "start" ask start $s t1 -- sh -c 'echo hello; echo bad >&2; hostname; pwd; id -u; exec sleep 1000'
ok "its output is in the log" wait_for 20 eval 'logs '$s' t1 | grep -qx 0'
is "$(logs $s t1 | grep -v bad | tr '\n' ' ')" "hello web / 0 " "the log has what it wrote, in order"
like "$(ask logs $s t1)" ' stderr F bad' "its errors are marked"
is "$(state $s)" running "the session runs"
ok "start again with the same program has no effect" \
    ask start $s t1 -- sh -c 'echo hello; echo bad >&2; hostname; pwd; id -u; exec sleep 1000'
not_ok "another program under its name is refused" ask start $s t1 -- true
not_ok "a program that does not exist is refused" ask start $s t0 -- /no/such
like "$(ask start $s t0 -- /no/such 2>&1)" "cannot be started.*no/such" "and the error names it"
like "$(ask list)" '"tasks":\[\{"task":"t1"' "and leaves no task"

ask start $s t2 --user=www --cwd=/var/www --env=A=b -- sh -c 'id -u; id -G; pwd; echo $A; exit 7' >/dev/null
is "$(ask wait $s t2 $(patience 20))" 7 "the exit code is told"
is "$(logs $s t2 | tr '\n' ' ')" "33 33 50 /var/www b " "user, groups, folder and environment"
not_ok "a user the image does not have is refused" ask start $s t3 --user=nobody2 -- true

# exec
is "$(ask exec $s e1 -- sh -c 'cat; exit 0' <<<"through pipes")" "through pipes" "exec: input and output"
ask exec $s e1 -- sh -c 'exit 42' </dev/null
is $? 42 "exec: exit code"
is "$(ask exec $s e1 -- sh -c 'echo e >&2' 2>&1 >/dev/null </dev/null)" e "exec: errors are apart"
like "$(ask exec $s e1 -- /no/such 2>&1 </dev/null)" "task.exec.*no/such" "exec: a missing program is told"
# crun lets the program go as soon as it has sent the terminal, so its first moment may see no size;
# but never another than was asked for, and what comes late is told by SIGWINCH like any change.
is "$(ask exec $s e1 --terminal --size=91x37 -- sh -c 'n=0
    until x=$(stty size 2>/dev/null) && [ "${x:-0 0}" != "0 0" ] || [ $n = 200 ]; do sleep 0.1; n=$((n+1)); done
    echo $x' </dev/null | tr -d '\r')" "37 91" "exec: the first size is the one asked for"
# Only the trap prints, and a shell runs it for the signal alone. It begins from the size it knows.
ask exec $s e2 --terminal --size=80x24 -- sh -c 'n=0
    until [ "$(stty size 2>/dev/null)" = "24 80" ] || [ $n = 200 ]; do sleep 0.1; n=$((n+1)); done
    trap "stty size; exit 5" WINCH; echo ready; while :; do sleep 0.1; done' </dev/null >"$work/e2" &
e2=$!
wait_for 30 grep -q ready "$work/e2"
ok "exec: a new size" ask winch $s exec e2 120 50
wait $e2
is "$? $(tr -d '\r' <"$work/e2" | tail -n 1)" "5 50 120" "SIGWINCH reaches the program, which then sees it"
ask exec $s e3 --terminal -- sh -c 'trap "exit 6" USR1; echo ready; while :; do sleep 0.1; done' </dev/null >"$work/e3" &
e3=$!
wait_for 30 grep -q ready "$work/e3"
ask signal $s exec e3 10 >/dev/null
wait $e3
is $? 6 "exec: a signal reaches it"
not_ok "exec in a session that does not exist" ask exec zzzzzzzzzzzzzzzz e1 -- true
ask exec $s long -- sleep 60 </dev/null &
long=$!
wait_for 20 ask signal $s exec long 28 # SIGWINCH: it runs
create bbbbbbbbbbbbbbbb cpu=1000 >/dev/null
ask start bbbbbbbbbbbbbbbb t1 -- sleep 1000 >/dev/null
ask exec bbbbbbbbbbbbbbbb e1 -- true </dev/null
ask exec bbbbbbbbbbbbbbbb stay -- sleep 60 </dev/null &
stay=$!
wait_for 20 ask signal bbbbbbbbbbbbbbbb exec stay 28
ask destroy bbbbbbbbbbbbbbbb >/dev/null
ok "exec: one that runs holds no other session's disk" \
    wait_for 20 eval '! losetup -a | grep -F "$work" | grep -q bbbbbbbbbbbbbbbb'
wait $stay
is $? 137 "exec: and ends with its session"
ask signal $s exec long 15 >/dev/null
wait $long
is $? 143 "exec: ended by a signal"

# attach
ask start $s tty --terminal -- sh -c 'stty -echo; echo ready; read x; echo got $x; exit 9' >/dev/null
ok "winch of a task's terminal" ask winch $s task tty 100 40
wait_for 20 eval 'logs '$s' tty | grep -q ready' # what is typed before is echoed
is "$(ask attach $s tty <<<word | tr -d '\r')" "got word" "attach: input and output"
is "$(ask wait $s tty $(patience 20))" 9 "and its end"
ask start $s open --stdin -- sh -c 'read x; echo got $x' >/dev/null
is "$(ask attach $s open <<<pipe)" "got pipe" "attach without a terminal"

# signals and events
listen
ok "signal" ask signal $s task t1 9
is "$(ask wait $s t1 $(patience 20))" 137 "the code says which"
not_ok "a signal to what has ended is refused" ask signal $s task t1 9
like "$(heard '"task":"t1"')" '"event":"exit".*"task":"t1","code":137,"signal":9,"oom":false' "the event, too"
is "$(state $s)" created "nothing runs any more"

like "$(ask destroy $s)" '"cpu_us":[1-9]' "destroy says what was used"
ok "destroy again has no effect" ask destroy $s
is "$(leftovers)" "" "nothing is left"
done_testing
