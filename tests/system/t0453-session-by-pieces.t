#!/bin/bash
# A session of a layer that is not on the host: read by pieces, written, suspended, restored, resized, and
# nothing is left of it. What is local is mounted as ever.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
. "$(dirname "$0")/t02-lib.sh"
. "$(dirname "$0")/../lib/image.sh"
. "$(dirname "$0")/../lib/pieces.sh"
make_layer
pieces_there || bail "the image is not made"
start_taskd --imaged="$work/im/socket" --pieces="$work/pieces" || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

# --- as local images are ---
s=aaaaaaaaaaaaaaaa
ok "a session of a layer that is here" create $s
is "$(root_type $s)" overlay "is stacked by the kernel"
is "$(servers)" "" "and served by nobody"
ask destroy $s >/dev/null

# --- by pieces ---
s=bbbbbbbbbbbbbbbb
ok "a session of a layer that is not" remote $s cpu=400
is "$(root_type $s)" fuse.xeno-cowfs "is served by xeno-cowfs"
ok "of which little was fetched: $(fetched) of $(stat -c %s "$blob") bytes" [ "$(fetched)" -lt 300000 ]
is "$(ls "$work/im/store/blobs/sha256" | grep -c "$hex")" 0 "and the layer is still not here"
server=$(servers)
like "$(cat "/proc/$server/cgroup")" "sessions/$s.files" "the server is in a group of its own"
is "$(group_file memory "$s.files" memory.max memory.limit_in_bytes)" $((768 << 20)) "which bounds its memory"
is "$(group_file pids "$s.files" pids.max pids.max)" 128 "and its threads"
is "$(awk '/^CapEff|^CapBnd/ {print $2}' "/proc/$server/status" | tr '\n' ' ')" "000000008800001f 000000008800001f " \
    "it may make files of all kinds and owners, and no more"
is "$(awk '/^Seccomp:|^NoNewPrivs:/ {print $2}' "/proc/$server/status" | tr '\n' ' ')" "1 2 " "and is confined"

ok "a task" ask start $s t1 -- sh -c 'id -u; cat /etc/text; sha256sum /usr/big | cut -c1-64; echo written >/new; exec sleep 1000'
ok "runs" wait_for 20 eval "logs $s t1 | grep -q $big_sum"
is "$(logs $s t1 | tr '\n' ' ')" "0 a text $big_sum " "and reads what the image has"
ok "which was fetched then: $(fetched) bytes" [ "$(fetched)" -gt 4000000 ]
in_session() { ask exec "$s" "e$RANDOM" -- sh -c "$1" </dev/null; }
is "$(in_session 'rm /etc/text; echo more >>/usr/text2; chown 33:33 /new; ls -ln /new | cut -c1-10; cat /usr/text2')" \
    "-rw-r--r--
a second text
more" "it changes files"
ask commit $s >"$work/layer.tar" 2>"$work/layer"
is "$(tar tf "$work/layer.tar" | grep -v '^etc/[hr]' | xargs)" "./ etc/ etc/.wh.text new usr/ usr/text2" "which can be committed"
is "$(ls "$work/D/sessions/$s/upper/data")" "etc
new
usr" "on its own disk"
is "$(in_session 'dd if=/dev/zero of=/full bs=1M count=100 2>&1 | grep -c "No space"; rm /full')" 1 \
    "which has an end, as ever"
not_ok "what it may not it cannot" in_session 'mknod /dev/x b 7 0'
ok "its use is its own: $(used $s memory_bytes) bytes of memory" [ "$(used $s memory_bytes)" -lt $((64 << 20)) ]
is "$(used $s pids)" 1 "and one process"

# --- suspended, restored, larger ---
in_session 'echo last >/last' >/dev/null
ok "suspended" ask snapshot $s
is "$(servers)$(grep "$work" /proc/mounts)" "" "it is served by nobody, and nothing is mounted"
at_now=$(fetched)
ok "restored" restore $s cpu=400 disk=$((64 << 20))
is "$(root_type $s)" fuse.xeno-cowfs "it is served again"
ok "its tasks are started again" ask start $s t2 -- sleep 1000
is "$(in_session 'cat /last /new; test -e /etc/text; echo $?; cat /usr/text2')" "last
written
1
a second text
more" "with what it wrote"
ok "from the cache" [ "$(fetched)" -lt $((at_now + 100000)) ]
like "$(in_session 'df -k / | tail -1')" " (6[0-9]|5[89])[0-9]{3} " "and the larger disk"

# --- two of one image, and the end ---
s2=cccccccccccccccc
ok "a second session" remote $s2
ok "has only the image" ask start $s2 t1 -- sh -c 'test ! -e /last && test -e /etc/text && exec sleep 1000'
ok "gone" ask destroy $s2
ok "and the first" ask destroy $s
is "$(leftovers)$(servers)" "" "nothing is left"
is "$(ls "$work/cache/pins")" "" "not a pin"

# --- what cannot be had ---
not_ok "a layer of which no image speaks" create_of $s "$layer"
like "$(create_of $s "$layer" 2>&1)" "oci.images.*no manifest of the session" "is refused, and why"
not_ok "one that nobody has" create_of $s sha256:$(printf 'f%.0s' {1..64})
like "$(create_of $s sha256:$(printf 'f%.0s' {1..64}) 2>&1)" "agent.layer" "too"
is "$(leftovers)" "" "nothing is left of these"

# --- one that has no table is unpacked ---
ok "a layer without a table" create_of $s "$plain_layer" image=sha256:$plain_manifest
is "$(root_type $s)" overlay "is fetched whole, and mounted as ever"
ask start $s t1 -- true >/dev/null
is "$(ask wait $s t1 "$(patience 20)")" 0 "it runs"
ask destroy $s >/dev/null

# --- a mount file in a layer that is here ---
mounting=$(printf 'd%.0s' {1..64})
mkdir -p "$work/cache/layers/$mounting/srv" "$work/extra" "$work/cache/meta" && echo extra >"$work/extra/extra"
printf 'oci://store.example/remote:1\ntemplate://extra\n' >"$work/cache/layers/$mounting/srv/.mount"
chown -R $subid:$subid "$work/cache/layers/$mounting"
echo '{"mounts":true}' >"$work/cache/meta/$mounting"
"$tool" "$work/D/images" import "$work/extra" extra >/dev/null
ok "a session of it" create $s "layer=sha256:$mounting"
is "$(root_type $s)" fuse.xeno-cowfs "is served by xeno-cowfs"
ask start $s t1 -- sleep 1000 >/dev/null
is "$(in_session 'cat /srv/etc/text /srv/extra; sha256sum /srv/usr/big | cut -c1-64; echo own >/srv/own; ls -n /srv/own | cut -d" " -f1')" \
    "a text
extra
$big_sum
-rw-r--r--" "which mounts what the file names, from the image manager and from the host's images"
is "$(sed 's/ .*//' "$work/D/sessions/$s/upper/work/mounts" 2>/dev/null | tr '\n' ' ')" "xeno-mounts oci://store.example/remote:1 template://extra " \
    "noted for this session"
touch "$work/im/socket.forgot"
is "$(in_session 'sha256sum </srv/usr/7')" "$(sha256sum <"$work/remote/usr/7")" "also when the image manager has forgotten it"
ask destroy $s >/dev/null

# --- both together, and what is taken away with the instance ---
ok "layers of both kinds" remote $s "layer=sha256:$layer_hex"
is "$(root_type $s)" fuse.xeno-cowfs "are one stack"
stop_taskd
like "$(xeno-taskd --dir="$work/D" --cache="$work/cache" --instance="$inst" --remove)" "1 session" "all is taken away"
is "$(leftovers)$(servers)" "" "and nothing is left"

# --- without xeno-cowfs ---
mkdir "$work/bin" && cp "$(command -v xeno-taskd)" "$build/src/task/xeno-crun" "$work/bin"
PATH=$work/bin:$PATH start_taskd --imaged="$work/im/socket" --pieces="$work/pieces" || bail "xeno-taskd does not start alone"
ok "a session of a layer that is here" create $s
like "$(remote $s2 2>&1)" "serve.missing.*xeno-cowfs.*is not installed" "one that is not is refused, and why"
ask destroy $s >/dev/null
is "$(leftovers)" "" "nothing is left of it"
done_testing
