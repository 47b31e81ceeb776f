#!/bin/bash
# Pause and resume; snapshot and restore around the writable layer.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

s=aaaaaaaaaaaaaaaa
count='i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.05; done'
create $s cpu=500 address=$net.5 >/dev/null
ask start $s t1 -- sh -c "$count" >/dev/null
value() { cat "$work/D/sessions/$s/rootfs/count" 2>/dev/null; }
ok "it counts" wait_for 20 eval '[ -n "$(value)" ]'
ok "pause" ask pause $s
is "$(state $s)" paused "it is paused"
sleep 0.2
a=$(value)
sleep 0.5
is "$(value)" "$a" "nothing moves"
a=${a:-0} # it may be frozen between emptying the file and writing it
c=$(used $s cpu_us)
not_ok "no exec while paused" ask exec $s e1 -- true
not_ok "no start while paused" ask start $s t2 -- true
ok "pause again has no effect" ask pause $s
kill_taskd
start_taskd
is "$(state $s)" paused "still paused after a restart of the daemon"
ok "resume" ask resume $s
ok "it goes on from there" wait_for 20 eval '[ "$(value)" -gt "$a" ]'
ok "use never goes down" test "$(used $s cpu_us)" -ge "$c"

# --- snapshot
ask exec $s e1 -- sh -c 'echo kept >/root/file; rm /bin/vi; mkdir /new' </dev/null
ask start $s quick -- sh -c 'exit 3' >/dev/null
ask wait $s quick $(patience 20) >/dev/null
listen
before=$(used $s cpu_us) disk_before=$(used $s disk_bytes)
like "$(ask snapshot $s)" '"cpu_us":[0-9]+' "snapshot says what was used"
is "$(state $s)" stopped "the session is stopped"
like "$(heard '"task":"t1"')" '"event":"exit".*"task":"t1"' "the end of its task is told"
is "$(grep -c " $work/" /proc/self/mountinfo)" 0 "nothing is mounted"
is "$(find /sys/fs/cgroup -type d -path "*xeno-$inst/*$s")" "" "there is no cgroup"
is "$(ls "$work/D/netns")" "" "there is no network"
is "$(losetup -a | grep "$work" | grep -vc /pool/.spare-)" 0 "there is no loop device"
ok "use is as before" test "$(used $s cpu_us)" -ge "$before"
is "$(used $s memory_bytes)" 0 "no memory is used"
ok "disk still is" test "$(used $s disk_bytes)" -ge $((disk_before / 2))
ok "snapshot again has no effect" ask snapshot $s
not_ok "no start while stopped" ask start $s t2 -- true
not_ok "no create over it" create $s cpu=500 address=$net.5
kill_taskd
start_taskd
is "$(state $s)" stopped "still stopped after a restart of the daemon"

# --- restore
not_ok "not over other layers" ask restore $s cpu=500 "disk=$disk" "layer=sha256:$(printf '%064d' 0)"
ok "restore, elsewhere in the network and with more memory" \
    ask restore $s cpu=500 memory=$((96 << 20)) "disk=$disk" address=$net.6 "layer=sha256:$layer_hex"
ok "restore again has no effect" \
    ask restore $s cpu=500 memory=$((96 << 20)) "disk=$disk" address=$net.6 "layer=sha256:$layer_hex"
ok "the task can be started again" ask start $s t1 -- sh -c "$count"
is "$(ask exec $s e1 -- sh -c 'cat /root/file; ls -d /new; ls /bin/vi; grep -c '$net'.6 /etc/hosts' </dev/null 2>/dev/null | tr '\n' ' ')" \
    "kept /new 1 " "what was written is there, what was deleted is not, the address is the new one"
ok "use went on from where it was" test "$(used $s cpu_us)" -ge "$before"

# Somebody has a copy of this machine's mounts: the writable layer lives on there when it is unmounted
# here, and must not be checked, grown or mounted a second time before that has ended.
image=$work/D/sessions/$s/upper.img
mkfifo "$work/go"
unshare -m --propagation private sh -c 'echo there; read -r go <'"$work/go" >"$work/copy" &
copy=$!
ok "a copy of the mounts" wait_for 10 grep -q there "$work/copy"
ask snapshot $s >/dev/null
is "$(losetup -j "$image" | wc -l)" 1 "the layer is still in use in it"
grown=$((2 * disk))
ask restore $s cpu=500 "disk=$grown" address=$net.6 "layer=sha256:$layer_hex" >"$work/restored" 2>&1 &
restoring=$!
twice=0 last=$((SECONDS + 2)) # well within the seconds that it waits, also where each look takes one
while [ $SECONDS -lt $last ]; do
    [ "$(losetup -j "$image" | wc -l)" -le 1 ] || twice=1
    sleep 0.1
done
echo go 1<>"$work/go"
is $twice 0 "it is never used twice"
wait $restoring
is $? 0 "the restore waits for it" || sed 's/^/# /' "$work/restored"
ask start $s look -- cat /root/file >/dev/null
ask wait $s look $(patience 20) >/dev/null
is "$(logs $s look)" kept "and finds what was written"
ask snapshot $s >/dev/null
ok "in a sound file system" e2fsck -fn "$image"
ask destroy $s >/dev/null

# --- how it is asked to stop
s=cccccccccccccccc
create $s cpu=500 >/dev/null
ask start $s nice -- sh -c 'trap "echo said goodbye; exit 0" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
ask start $s deaf -- sleep 1000 >/dev/null
wait_for 20 eval 'logs '$s' nice | grep -q ready'
ask snapshot $s >/dev/null
like "$(logs $s nice)" "said goodbye" "who listens to SIGTERM is given the time"
like "$(ask list)" '"task":"nice","state":"stopped","pid":0,"code":0' "and ends by itself"
like "$(ask list)" '"task":"deaf","state":"stopped","pid":0,"code":137' "who does not is killed"
ask restore $s cpu=500 "disk=$disk" "layer=sha256:$layer_hex" >/dev/null
ask start $s deaf -- sleep 1000 >/dev/null
t0=$(date +%s%N)
ask snapshot $s >/dev/null
ok "and nobody waits for him" test $((($(date +%s%N) - t0) / 1000000)) -lt $(patience 2500)
ask destroy $s >/dev/null

# --- a machine that was started anew: nothing of before runs, the writable layer is kept
s=bbbbbbbbbbbbbbbb
create $s cpu=500 address=$net.7 >/dev/null
ask start $s t1 -- sh -c 'echo kept >/root/file; exec sleep 1000' >/dev/null
wait_for 10 test -s "$work/D/sessions/$s/rootfs/root/file"
stop_taskd
kill -9 "$(cat "$work/D/sessions/$s/tasks/t1/pid")"
sleep 0.3
sed -i -E 's/"boot":"[^"]*"/"boot":"another"/' "$work/D/sessions/$s/session.json"
start_taskd
ok "its sessions are stopped" wait_for 20 eval '[ "$(state '$s')" = stopped ]'
like "$(ask list)" '"task":"t1","state":"stopped","pid":0,"code":255' "their tasks ended"
# It is told as stopped from the start; what was mounted goes soon after.
ok "nothing is mounted" wait_for 10 eval '! grep -q " $work/" /proc/self/mountinfo'
ok "they can be restored" ask restore $s cpu=500 "disk=$disk" address=$net.7 "layer=sha256:$layer_hex"
ask start $s t1 -- cat /root/file >/dev/null
ask wait $s t1 $(patience 20) >/dev/null
like "$(logs $s t1)" kept "with what was written"
ask destroy $s >/dev/null

is "$(leftovers)" "" "nothing is left"
done_testing
