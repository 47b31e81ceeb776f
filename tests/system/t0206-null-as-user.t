#!/bin/bash
# The null driver needs no rights: everything by an ordinary user, over a restart.
. "$(dirname "$0")/../lib/tap.sh"
PATH=$build/src/taskd/tests:$PATH
as=()
[ "$(id -u)" = 0 ] && as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
mkdir "$work/u"
[ "$(id -u)" = 0 ] && chown 65534:65534 "$work/u"
socket=$work/u/D/socket
start_taskd() {
    "${as[@]}" xeno-taskd --dir="$work/u/D" --instance=n1 >>"$work/taskd.log" 2>&1 &
    taskd_pid=$!
    tap_pids+=("$taskd_pid")
    wait_for 10 test -S "$socket" && wait_for 10 ask describe
}
ask() { "${as[@]}" task-ask "$socket" "$@"; }
used() { ask usage | grep "\"session\":\"$1\"" | grep -oE "\"$2\":[0-9]+" | cut -d: -f2; }
state() { ask list | grep "\"session\":\"$1\"" | grep -oE '"state":"[a-z]+"' | head -1 | cut -d'"' -f4; }

start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"
is "$(ask describe | grep -oE '"drivers":\[[^]]*\]')" '"drivers":[{"name":"null","isolation":"null"}]' \
    "only the null driver"
s=aaaaaaaaaaaaaaaa
not_ok "no container" ask create $s oci
ok "create" ask create $s null cpu=1000 address=10.1.1.5 port=80:8080:tcp
ok "start" ask start $s t1 -- server
is "$(state $s)" running "it runs"
ask start $s t2 -- exit 3 >/dev/null
is "$(ask wait $s t2 5)" 3 "a task ends with the code it says"
ask start $s t3 -- sleep 0.5 >/dev/null
is "$(ask wait $s t3 5)" 0 "or when its time is over"
ask start $s t4 -- oom >/dev/null
is "$(ask wait $s t4 5)" "137 oom" "or for want of memory"
is "$(ask exec $s e1 -- cat <<<word)" word "exec: pipes"
ask exec $s e1 -- exit 5 </dev/null >/dev/null
is $? 5 "exec: code"
like "$(ask logs $s t1)" 'stdout F null: server' "a log"
a=$(used $s cpu_us)
sleep 0.3
b=$(used $s cpu_us)
ok "use grows" test "$b" -gt "$a"
kill -9 "$taskd_pid"
wait "$taskd_pid" 2>/dev/null
sleep 0.2
rm -f "$socket"
start_taskd
is "$(state $s)" running "it goes on after kill -9"
ok "use went on meanwhile" test "$(used $s cpu_us)" -gt "$b"
ok "pause" ask pause $s
a=$(used $s cpu_us)
sleep 0.3
is "$(used $s cpu_us)" "$a" "no use while paused"
ok "resume" ask resume $s
ok "snapshot" ask snapshot $s
is "$(state $s)" stopped "it is stopped"
ok "use is kept" test "$(used $s cpu_us)" -ge "$a"
ok "restore" ask restore $s cpu=1000 address=10.1.1.5
ok "the same task again" ask start $s t1 -- server
ok "signal" ask signal $s task t1 15
is "$(ask wait $s t1 5)" 143 "ends it"
ok "destroy" ask destroy $s
is "$(ask list)" "" "it is gone"

# more than fit into one frame
for i in $(seq 300); do
    n=$(printf '%03d' "$i" | tr 0189 abcd)
    printf 'create %s\n' "aaaaaaaaaaaaa$n"
done >"$work/ids"
while read -r _ id; do ask create "$id" null >/dev/null || echo failed; done <"$work/ids" >"$work/out"
is "$(cat "$work/out")" "" "300 sessions"
is "$(ask usage | wc -l)" "$(sort -u "$work/ids" | wc -l)" "usage tells all of them, page by page"
is "$(ask list | wc -l)" "$(sort -u "$work/ids" | wc -l)" "and so does list"
rss=$(awk '/VmRSS/ {print $2}' /proc/$taskd_pid/status)
ok "at most 16 MB and 64 KB a session ($rss KiB)" test "$rss" -le $((16384 + 64 * 300))
done_testing
