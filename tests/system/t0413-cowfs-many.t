#!/bin/bash
# xeno-cowfs over FUSE with many callers at once: all are served right, none waits for another that
# waits for a disk for ever, and the server ends when it is told to, whatever they do.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
cowfs=$build/src/cowfs/xeno-cowfs
cd "$work" || exit 1
at_end 'umount -l "$work/m" 2>/dev/null'
mkdir -p low/tree up wk m
for d in 1 2 3 4 5 6 7 8; do
    mkdir "low/tree/$d"
    for f in 1 2 3 4 5 6 7 8 9 10; do head -c $((d * f * 700)) /dev/urandom >"low/tree/$d/$f"; done
done
sums() { (cd "$1" && find . -type f | sort | xargs sha256sum); }
sums low/tree >want

start() {
    background server "$cowfs" --lower=low --upper=up --work=wk --mount=m --threads=4 --foreground
    server=$pid
    wait_for 10 mountpoint -q m
}
ended() { ! kill -0 "$server" 2>/dev/null; }
start
ok "it is mounted" mountpoint -q m

# Twice as many callers as threads: half read all of it, half change a folder of their own.
changes() { # N
    for f in 1 2 3 4 5 6 7 8 9 10; do
        echo "of $1" >>"m/tree/$1/$f" && sync -d "m/tree/$1/$f" && mv "m/tree/$1/$f" "m/tree/$1/was-$f" &&
            chmod 600 "m/tree/$1/was-$f" && cp "m/tree/$1/was-$f" "m/tree/$1/$f" && rm "m/tree/$1/was-$f" || return 1
    done
}
pids=()
for n in 1 2 3 4; do
    (sums m/tree >"got-$n" 2>/dev/null; cd m/tree && sha256sum 5/* 6/* 7/* 8/* >"$work/still-$n") &
    pids+=($!)
    changes "$n" &
    pids+=($!)
done
bad=0
for p in "${pids[@]}"; do wait "$p" || bad=$((bad + 1)); done
is "$bad" 0 "many read and change at once"
for n in 1 2 3 4; do
    is "$(cat "still-$n")" "$(sed -n 's#  \./\([5-8]/\)#  \1#p' want | sort -k2)" "reader $n saw what nobody changed"
done
for n in 1 2 3 4; do for f in 1 2 3 4 5 6 7 8 9 10; do cat "low/tree/$n/$f" <(echo "of $n") | cmp -s - "m/tree/$n/$f" || echo "$n/$f"; done; done >differ
is "$(cat differ)" "" "and what was changed is whole"
ok "it made threads for them, and no more than it may" test "$(find /proc/$server/task -mindepth 1 -maxdepth 1 | wc -l)" -gt 3 -a \
    "$(find /proc/$server/task -mindepth 1 -maxdepth 1 | wc -l)" -le 6 # the first, and one that watches
is "$(sums low/tree)" "$(cat want)" "the layer is what it was"

# --- told to end while all of its threads wait, and while they work
kill "$server"
ok "it ends when it is told to" wait_for 10 ended
not_ok "and is no longer mounted" mountpoint -q m
start
ok "it is mounted again" mountpoint -q m
for n in 1 2 3; do (while cat m/tree/*/* >/dev/null 2>&1; do :; done) & done
sleep 0.3
kill "$server"
ok "it ends when it is told to, also at work" wait_for 10 ended
not_ok "and is no longer mounted then" mountpoint -q m
wait

# --- a layer that does not answer: who needs it waits, nobody else does, whoever reads requests
mkdir -p slow/{l,u,w,m}
at_end 'umount -l "$work/slow/m"'
background slow "$cowfs" --lower=slow/l --upper=slow/u --work=slow/w --mount=slow/m --foreground
slow=$pid
wait_for 10 mountpoint -q slow/m
background server "$cowfs" --lower=slow/m:low --upper=up --work=wk --mount=m --threads=4 --foreground
server=$pid
wait_for 10 mountpoint -q m
stopped() { ! grep -h ^State "/proc/$slow/task/"*/status | grep -qv stopped; }
kill -STOP "$slow"
wait_for 10 stopped
at_end 'kill -CONT "$slow"'
stat m/what-it-might-have >stat.log 2>&1 &
waits=$!
ok "a caller waits for it" wait_for 10 grep -q request_wait "/proc/$waits/wchan"
ok "another is served" timeout 10 stat -f m
kill -CONT "$slow"
wait "$waits"
like "$(cat stat.log)" "No such file" "and so is the first then"
done_testing
