#!/bin/bash
# xeno-taskd --remove: everything of an instance goes, whatever state a crash has left it in.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
remove() { xeno-taskd --dir="$work/D" --cache="$work/cache" --instance="$inst" "$@" --remove; }
# The instance's own things, besides those of its sessions.
standing() {
    leftovers
    ip -o link | grep -oE "xb-$inst"
    nft list tables | grep -E "xeno-$inst$"
    find /sys/fs/cgroup -type d -path "*xeno-$inst*"
    ls "$work/cache/pins" 2>/dev/null
}

is "$(remove)" "instance $inst: nothing is left" "where nothing is there is nothing to do"
ok "and nothing is made for it" [ ! -e "$work/D" ]

start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"
n=0 a=aaaaaaaaaaaaaaaa b=bbbbbbbbbbbbbbbb c=cccccccccccccccc
for s in $a $b $c; do create $s cpu=300 address=$net.$((++n + 4)) >/dev/null; done
ask start $a t1 -- sh -c ': '$inst'; trap "" TERM; while :; do sleep 1; done' >/dev/null
ask start $a t2 --terminal -- sh >/dev/null
ask start $b t1 -- sleep 1000 >/dev/null
ask pause $b >/dev/null
ask start $c t1 -- sleep 1000 >/dev/null
ask snapshot $c >/dev/null

# --- refused while a daemon runs
before=$(ask list)
remove >"$work/out" 2>&1
is $? 2 "while its daemon runs it is refused"
like "$(cat "$work/out")" 'another xeno-taskd works in' "and says why"
xeno-taskd --dir="$work/E" --instance="$inst" --remove >"$work/out" 2>&1
is $? 2 "also by the instance alone, in another folder"
like "$(cat "$work/out")" "another xeno-taskd of instance '$inst' runs" "and says that"
timeout 30 xeno-taskd --dir="$work/E" --instance="$inst" --pool=$net.0/24 >"$work/out" 2>&1
is "$? $(grep -c "another xeno-taskd of instance '$inst' runs" "$work/out")" "1 1" \
    "nor does a second daemon of the instance start, in another folder"
rm -rf "$work/E"
is "$(ask list)" "$before" "and nothing was touched"

# --- after kill -9 of everything that could have cleaned up
echo '{"v":1,' >"$work/D/sessions/$c/session.json" # what is written there need not be readable
pids=$(pgrep -f "conmon.*--cid $inst-")
kill_taskd
kill -9 $pids
ok "processes of the sessions still run" pgrep -f ": $inst; trap"
said=$(remove 2>"$work/err")
is $? 0 "then it removes" || sed 's/^/# /' "$work/err"
like "$said" "^instance $inst: removed 3 sessions, 6 mounts, 2 network namespaces, 2 cables, 3 pins, bridge, rules, control groups$" \
    "and says what"
is "$(standing)" "" "nothing is left"
not_ok "no process either" pgrep -f ": $inst; trap"
ok "layers stay: others may share them" [ -d "$work/cache/layers/$layer_hex" ]
is "$(remove)" "instance $inst: nothing is left" "again: nothing to do"

# --- with supervisors that still live, and a folder that is lost, beside another instance
start_taskd
xeno-taskd --dir="$work/N" --instance="n$inst" --pool=198.18.$((RANDOM % 250)).0/24 >"$work/N.log" 2>&1 &
beside=$!
at_end 'kill $beside; wait $beside; xeno-taskd --dir="$work/N" --instance="n$inst" --remove'
wait_for 20 task-ask "$work/N/socket" describe || bail "no second instance" "$(cat "$work/N.log")"
create $a cpu=300 address=$net.5 >/dev/null
ask start $a t1 -- sleep 1000 >/dev/null
kill_taskd
mv "$work/D" "$work/lost"
like "$(remove)" "removed 1 session, 1 supervisor, .*bridge, rules, control groups" \
    "without the folder, what the kernel has goes all the same"
grep -oE " $work/lost/[^ ]+" /proc/self/mountinfo | sort -r | xargs -r umount -l
is "$(standing)" "" "nothing is left"
ok "the other instance is as it was" task-ask "$work/N/socket" describe
rm -rf "$work/lost"

# --- a pin whose session somebody has taken away
start_taskd
create $a cpu=300 address=$net.5 >/dev/null
create $b cpu=300 address=$net.6 >/dev/null
ask snapshot $a >/dev/null
kill_taskd
rm -r "$work/D/sessions/$a"
: >"$work/cache/pins/other-$a" # not ours: another instance shares the cache
start_taskd
is "$(ls "$work/cache/pins" | tr '\n' ' ')" "other-$a $inst-$b " \
    "a start drops the pins of sessions that are gone, and no others"
rm "$work/cache/pins/other-$a"
stop_taskd
ok "also after an orderly end" remove
is "$(standing)" "" "nothing is left"
done_testing
