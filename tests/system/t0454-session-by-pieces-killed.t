#!/bin/bash
# A session read by pieces, when something is killed: the task manager, the image manager, who serves its
# files. Nothing hangs, nothing is wrong, and what was closed is there when the session comes back.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
. "$(dirname "$0")/t02-lib.sh"
. "$(dirname "$0")/../lib/image.sh"
. "$(dirname "$0")/../lib/pieces.sh"
pieces_there || bail "the image is not made"
taskd_up() { start_taskd --imaged="$work/im/socket" --pieces="$work/pieces"; }
taskd_up || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"
in_session() { timeout 60 task-ask "$socket" exec "$s" "e$RANDOM" -- sh -c "$1" </dev/null; }
sum_of() { sha256sum <"$work/remote/usr/$1" | cut -c1-64; }
reads() { [ "$(in_session "sha256sum /usr/$1 | cut -c1-64")" = "$(sum_of "$1")" ]; }

s=aaaaaaaaaaaaaaaa
touch "$work/im/socket.slow"
ok "a session by pieces" remote $s
ask start $s t1 -- sh -c 'while :; do sleep 1000; done' >/dev/null
ok "a program beside one that is still on its way" in_session true
rm "$work/im/socket.slow"
ok "reads" reads 1
server=$(servers)
inside=$(ask list | grep -oE '"pid":[0-9]+' | cut -d: -f2)

# --- the task manager ---
kill_taskd
ok "the server outlives the task manager" kill -0 "$server"
is "$(sha256sum <"/proc/$inside/root/usr/2" | cut -c1-64)" "$(sum_of 2)" "and gives what was not read before"
taskd_up || bail "the next one does not start"
ok "the next one has the session" reads 3
is "$(servers)" "$server" "by the same server"
is "$(ask list | grep -c '"lost":true')" 0 "which is not lost"

# --- the image manager ---
peer_kill
ok "while the image manager is away, what was read is read" reads 3
in_session 'sha256sum /usr/4 | cut -c1-64' >"$work/late" 2>&1 &
late=$!
sleep 0.5
peer_start
wait $late
is "$(cat "$work/late")" "$(sum_of 4)" "what was not waits for it, and is right"
touch "$work/im/socket.lie"
like "$(in_session 'cat /usr/5' 2>&1)" "Input/output error" "wrong bytes are an error"
like "$(cat "$work/taskd.log")" "cowfs.source.lies source=xeno-imaged" "and an event"
rm "$work/im/socket.lie"
ok "of that file alone" reads 6

# --- who serves the files ---
ok "what is written and closed" in_session 'echo kept >/kept; cat /usr/7 >/copied'
listen
kill -9 "$server"
like "$(heard '"lost"')" '"event":"lost","session":"'$s'"' "when the server is killed that is told"
like "$(ask list)" '"lost":true' "and by list"
like "$(timeout 20 sha256sum "/proc/$inside/root/kept" 2>&1)" "not connected" "the session gets an error, at once"
kill_taskd
taskd_up || bail "the next one does not start"
like "$(ask list)" '"lost":true' "a task manager that comes then knows it too"
ok "restored" restore $s
is "$(ask list | grep -c '"lost":true')" 0 "it is not lost any more"
is "$(ask list | grep -o '"state":"[a-z]*"' | head -1)" '"state":"created"' "no task runs yet"
ask start $s t2 -- sleep 1000 >/dev/null
is "$(in_session 'cat /kept; sha256sum </copied | cut -c1-64')" "kept
$(sum_of 7)" "and what was closed is there"
ok "what was not read is" reads 8

# --- suspended when it is dead already, and destroyed while a read waits ---
kill -9 "$(servers)"
wait_for 10 eval 'ask list | grep -q lost'
ok "suspended after its server was killed" ask snapshot $s
ok "and restored" restore $s
ask start $s t3 -- sleep 1000 >/dev/null
is "$(in_session 'cat /kept')" kept "it is what it was"
touch "$work/im/socket.hang"
in_session 'cat /usr/9' >/dev/null 2>&1 &
waiting=$!
wait_for 10 eval '[ "$(tail -n 1 "$work/im/socket.asked" | cut -d" " -f1)" = read ]'
sleep 0.2
began=$SECONDS
ok "destroyed while it waits for what does not come" ask destroy $s
ok "without waiting for that" [ $((SECONDS - began)) -lt 8 ]
wait $waiting
rm "$work/im/socket.hang"
is "$(leftovers)$(servers)" "" "nothing is left"

# --- a start that waits ---
touch "$work/im/socket.hang"
s=bbbbbbbbbbbbbbbb
remote $s >"$work/start" 2>&1 &
start=$!
wait_for 10 eval '[ "$(tail -n 1 "$work/im/socket.asked" | cut -d" " -f1)" = fetch ]'
make_layer
ok "while one waits for its layer, another starts" create cccccccccccccccc
ok "which ends the one that waits" ask destroy $s
not_ok "whose create is answered" wait $start
rm "$work/im/socket.hang"
ask destroy cccccccccccccccc >/dev/null
is "$(leftovers)$(servers)" "" "nothing is left"
done_testing
