#!/bin/bash
# What a session wrote becomes an overlay: of one moment, whole, and the same tree in another session;
# from a suspended one, too. Whatever interrupts it, the session goes on and nothing is left.
. "$(dirname "$0")/../lib/tap.sh"
need_root
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

status() {
    timeout 60 "$@" >"$work/o" 2>"$work/e" </dev/null
    echo $?
}
in_it() { # SESSION SCRIPT
    timeout 20 xeno session exec "$1" -- sh -c "$2" 2>"$work/exec.err"
}
# Everything but what the host puts there and what changes, as somebody inside sees it.
tree() {
    in_it "$1" 'cd / && find ./srv ./etc ./new ./bulk -xdev ! -path "./etc/host*" |
        sort | while read -r f; do
            stat -c "%n %F %a %u %g %h %s" "$f" | sed "s/^\(.* directory [^ ]* [^ ]* [^ ]*\) .*/\1/"
            [ -L "$f" ] && readlink "$f"
            [ -f "$f" ] && md5sum <"$f"
        done; cat /etc/passwd'
}
images() { xeno template ls --json | jq -r '[.. | .name? // empty] | sort | join(" ")'; }
pid_of() { xeno platform status --dir "$plat" --json | jq -r --arg n "$1" '.processes[] | select(.name == $n).pid'; }

ok "platform up" xeno platform up --servers 2 --dir "$plat" || bail "no platform"
[ "$(xeno platform status --dir "$plat" --json | jq -r .driver)" = oci ] || bail "containers cannot run here"

# --- something to keep: aa is always written before zz, and so many MiB are read between the two ---
cat >"$work/task" <<'SH'
mkdir -p /srv/deep/er /new
echo text >/srv/deep/er/file
chown 7:8 /srv/deep/er/file
ln /srv/deep/er/file /srv/second
ln -s ../deep /srv/link
cp /bin/busybox /srv/su && chmod 4755 /srv/su
printf 'root:x:0:0:other:/:/bin/sh\n' >/etc/passwd
rm /etc/group
rm -r /var && mkdir /var && echo new >/var/x
dd if=/dev/zero of=/srv/sparse bs=1 count=1 seek=8000000 2>/dev/null
mkfifo /srv/pipe
echo odd >'/srv/ä b'
chmod 700 /new
dd if=/dev/urandom of=/bulk bs=1M count=MIB 2>/dev/null
i=0
while :; do
    i=$((i + 1)); echo $i >/t; mv /t /aa; echo $i >/t; mv /t /zz
    sleep 0.01
done
SH
task() { sed "s/MIB/$1/" "$work/task"; }
ok "a session" xeno run -q -d --name a --server x1 --disk 128M -- sh -c "$(task 6)"
ok "it writes" wait_for 20 eval '[ "$(in_it a "cat /zz")" -gt 10 ]'
tree a >"$work/a"
like "$(cat "$work/a")" './srv/second regular file 644 7 8 2 5' "it has what it wrote"

is "$(status xeno session commit a --as overlay://kept)" 0 "committed" || cat "$work/e"
ok "the session goes on" eval 'n=$(in_it a "cat /aa"); wait_for 10 eval "[ \$(in_it a \"cat /aa\") -gt $n ]"'
is "$(status xeno run -q -d --name b --server x2 --overlay kept --disk 64M -- sleep 600)" 0 "another session, elsewhere, over it"
wait_for 20 in_it b true
tree b >"$work/b"
ok "has the same tree" diff "$work/a" "$work/b"
aa=$(in_it b 'cat /aa') zz=$(in_it b 'cat /zz')
ok "of one moment: $aa and $zz" test "$aa" -ge "$zz" -a "$aa" -le $((zz + 1))
is "$(in_it b 'ls /etc/group 2>/dev/null')" "" "what was deleted is not there"

# --- the layer by itself: what it says is what tar makes of it, and nothing of the mount leaks ---
status xeno session suspend a >/dev/null
wait_for 20 eval '[ "$(xeno session show a --json | jq -r .state)" = suspended ]'
status xeno session commit a --as one --store "$work/store" --json >/dev/null
one=$(jq -r .digest "$work/o")
status xeno session commit a --as two --store "$work/store" --json >/dev/null
cat "$work/e"
is "$(jq -r .digest "$work/o") $(jq -r .layers "$work/o")" "$one 1" "from a suspended session, twice the same"
skopeo inspect --raw "oci:$work/store:one" >"$work/manifest"
is "$(jq -r '.annotations["org.xenoserver.image.kind"]' "$work/manifest")" overlay "an overlay"
is "$(jq -r '.annotations["org.xenoserver.image.over"] | split(" ") | length' "$work/manifest")" 1 \
    "that says what the session ran over"
like "$(jq -r '.layers[0].annotations | keys | join(" ")' "$work/manifest")" 'zstd-chunked' "in pieces"
blob=$work/store/blobs/sha256/$(jq -r '.layers[0].digest | ltrimstr("sha256:")' "$work/manifest")
is "$(zstd -dcq <"$blob" | grep -ac 'user.overlay\|trusted\.')" 0 "without attributes of the mount"
is "$(zstd -dcq <"$blob" | tar tv | grep -c '^-rwsr-xr-x 0/0 .* srv/su$')" 1 "a set-user-id program stays one"
is "$(zstd -dcq <"$blob" | tar t | grep -x 'etc/.wh.group\|var/.wh..wh..opq' | sort | xargs)" \
    "etc/.wh.group var/.wh..wh..opq" "deleted and replaced"

# --- over overlays: the new one stands by itself ---
in_it b 'rm /srv/second; echo more >/srv/more'
is "$(status xeno session commit b --as again)" 0 "a session over an overlay"
is "$(status xeno run -q --overlay again -- sh -c 'cat /srv/more /var/x; ls /srv/second')" 1 "holds both"
is "$(xargs <"$work/o")" "more new" "what the first wrote and what the second did"

# --- refusals ---
is "$(status xeno session commit b --as template://x)" 2 "not as a template"
status xeno session end a >/dev/null
is "$(status xeno session commit a --as x) $(grep -c 'ended' "$work/e")" "3 1" "a session that has ended" || cat "$work/e"

# --- interrupted: a slow reader, with more on the way than sockets hold ---
xeno run -q -d --name c --server x1 --disk 128M -- sh -c "$(task 16)" >"$work/c"
wait_for 20 eval '[ "$(in_it c "cat /zz")" -gt 10 ]'
url=$(xeno server list --json | jq -r '.servers[] | select(.name == "x1").url')
had=$(images)
begin() { # RATE: a slow commit of c
    rm -f "$work/slow.tar"
    background slow curl -sS --limit-rate "$1" --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" \
        --key "$XENO_HOME/key.pem" -o "$work/slow.tar" "$url/v1/sessions/$(xeno session show c --json | jq -r .session)/layer"
    reader=$pid
    wait_for 10 test -s "$work/slow.tar"
}
# curl: "transfer closed with outstanding read data remaining", or a connection that was reset
told() { wait "$reader" 2>/dev/null && return 1 || case $? in 18 | 56) ;; *) return 1 ;; esac; }
goes_on() { local n; n=$(in_it c 'cat /aa') && wait_for 10 eval "[ \"\$(in_it c 'cat /aa')\" -gt $n ]"; }
begin 1M
ok "it stands still meanwhile" eval '! in_it c true && grep -q "being committed" "$work/exec.err"'
is "$(status xeno session commit c --as never) $(grep -c 'committed already' "$work/e")" "3 1" "one commit at a time"
kill -9 "$reader"
wait "$reader" 2>/dev/null
ok "its reader is killed: it goes on" wait_for 20 goes_on
begin 2M
kill -9 "$(pid_of 'x1 xeno-taskd')"
told
ok "the task manager is killed: the reader is told" test $? = 0
again() { xeno platform up --dir "$plat" >"$work/up" 2>&1; }
wait_for 30 again || cat "$work/up" # another platform may have its place for a moment
ok "and it goes on" wait_for 30 goes_on
begin 2M
is "$(status xeno session end c)" 0 "it can be ended"
told
ok "and the reader is told" test $? = 0
is "$(images)" "$had" "no image is left of any"
loops() { losetup -a | grep "$plat" | grep -vc /pool/.spare-; }
ok "and no mount but that of the session that runs" wait_for 5 eval '[ "$(loops)" = 1 ]' || losetup -a
done_testing
