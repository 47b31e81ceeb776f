#!/bin/bash
# Sessions of an image at a store that stands still, and that lies; ended while they wait; two at once; and
# what an earlier start has read is fetched ahead of a later one.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
. "$(dirname "$0")/../lib/anywhere.sh"

inside() { timeout 60 xeno session exec "$1" -- sh -c "$2"; }
start() { timeout 60 xeno run -q -d --name "$1" --template "$base" -- sleep 1000 >"$work/o-$1" 2>&1; }
end() { timeout 60 xeno session end -q "$1" >"$work/o" 2>&1; }
sums() { (cd "$work/root" && sha256sum "$@" | cut -c1-16 | xargs); }
read_sums() { inside "$1" "cd /; sha256sum ${*:2} | cut -c1-16" 2>"$work/e-$1" | xargs; }

anywhere_up
root_of "$work/root" 4
as_ pub
xeno template import "$work/root" --name base >"$work/o" 2>&1 || bail "import" "$(cat "$work/o")"
xeno template push base >"$work/o" 2>&1 || bail "push" "$(cat "$work/o")"
base=oci://$store/$(xeno whoami --json | jq -r .id)/base@$(xeno template show base --json | jq -r .digest)
as_ me

# --- ended while it waits ---
ok "what the image is, is known" run --dry-run --template "$base" -- true
kill -STOP "$store_pid"
TERM=xterm timeout 60 script -qefc "xeno run --name early --template $base -- true" "$work/early" </dev/null >"$work/o" 2>&1 &
early=$!
state() { xeno session show "$1" --json 2>/dev/null | jq -r '"\(.state) \(.image.state)"'; }
waits() { [ "$(state early)" = "creating fetching" ]; }
ok "a session that waits for its image" wait_for 20 waits
ok "is seen to wait" wait_for 10 grep -q "fetching the image" "$work/early"
began=$SECONDS
ok "is ended" end early
ok "at once" [ $((SECONDS - began)) -lt "$(patience 15)" ]
wait "$early"
is "$? $(xeno session ls --all --json | jq -c '[.sessions[] | [.state, .spent]]')" '125 [["ended",0]]' "and cost nothing"
kill -CONT "$store_pid"

# --- two at once ---
start one &
ones=$!
ok "two that start together" start two
wait "$ones"
is "$? $(grep -c . "$work/o-one")" "0 1" "do" || cat "$work/o-one"
before=$(network)
read_sums one usr/big1 >"$work/one" &
ones=$!
is "$(read_sums two usr/big1)" "$(sums usr/big1)" "read the same"
wait "$ones"
is "$(cat "$work/one")" "$(sums usr/big1)" "and right"
ok "of which each piece came once: $(($(network) - before)) bytes" [ $(($(network) - before)) -lt 5000000 ]

# --- ended while it reads ---
kill -STOP "$store_pid"
inside two 'cat /usr/big2 >/dev/null' >"$work/o" 2>&1 &
reader=$!
sleep 0.3
ok "one that waits for a piece is ended" end two
wait "$reader"
kill -CONT "$store_pid"
is "$(read_sums one usr/big2)" "$(sums usr/big2)" "the other reads what that one did not get"
is "$(grep -c cowfs <(findmnt -rno FSTYPE,TARGET | grep "$work"))" 1 "and is the only one mounted"

# --- fetched ahead ---
ok "the first has read what it will" end one
store_stop
pieces=$work/x1/taskd/pieces/pieces
cached() { find "$pieces" -type f | wc -l; }
was=$(cached)
ok "of which there is a record" [ -n "$(ls "$work/x1/taskd/pieces/records")" ]
find "$pieces" -type f -delete
store_start
ok "what was cached is gone, and a session starts" start three
ok "for which it is fetched without being read" wait_for 20 eval "[ \$(cached) -ge $((was * 8 / 10)) ]"
before=$(network)
is "$(read_sums three usr/big1 usr/big2)" "$(sums usr/big1 usr/big2)" "then it is there"
ok "and little comes when it is read: $(($(network) - before)) bytes" [ $(($(network) - before)) -lt 2000000 ]

# --- a store that lies, from the start ---
as_ pub
root_of "$work/bad"
head -c 3000000 /dev/urandom >"$work/bad/usr/more"
xeno template import "$work/bad" --name bad >"$work/o" 2>&1
xeno template push bad >"$work/o" 2>&1
bad=oci://$store/$(xeno whoami --json | jq -r .id)/bad
spoil -2000 1000 "$(xeno template show bad --json | jq -r '.layers[0]')"
as_ me
is "$(timeout 60 xeno run -q --name bad --template "$bad" -- true >"$work/o" 2>"$work/e-bad"; echo $?)" 125 "an image whose table of contents is not right"
like "$(cat "$work/e-bad")" "$bad.*table of contents is not the one" "does not start, and why"
is "$(xeno session ls --all --json | jq -c '[.sessions[] | select(.name == "bad") | [.state, .spent]]')" '[["ended",0]]' "and costs nothing"

# --- and later ---
for part in 60 65 70 75 80 85 90; do spoil $part 4096; done
got=$(read_sums three usr/big3 usr/big4 usr/big1)
for sum in $got; do
    like "$(sums usr/big1 usr/big3 usr/big4)" "$sum" "what is read is right"
done
ok "or it is an error: $(head -c 200 "$work/e-three" | tr '\n' ' ')" grep -q "Input/output error" "$work/e-three"
like "$(xeno session show three)" "^image .*oci://$store/.*gives wrong bytes" "the session names the store"
names() { xeno session events three | grep session.image | grep -q "oci://$store/.*gives wrong bytes"; }
ok "and so does an event" wait_for 15 names
is "$(inside three 'cat /etc/passwd')" "root:x:0:0:root:/root:/bin/sh" "the session goes on"
end three
is "$(findmnt -rno TARGET -t fuse.xeno-cowfs | grep -c "$work")" 0 "nothing is left mounted"
done_testing
