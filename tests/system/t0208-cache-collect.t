#!/bin/bash
# The bound of the layer cache: layers that no session needs go, those of a running session stay,
# also over a kill -9.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
kept=$layer_hex
other=$(printf 'another for %s' "$inst" | sha256sum | cut -d' ' -f1)
cp -a "$work/cache/layers/$kept" "$work/cache/layers/$other"
start_taskd --cache-max=0 || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

# The first look comes at the start and takes both, which no session needs yet.
gone() { [ ! -e "$work/cache/layers/$1" ]; }
ok "at the start, what nobody needs goes" wait_for 20 gone "$other"
make_layer
cp -a "$work/cache/layers/$kept" "$work/cache/layers/$other"
create aaaaaaaaaaaaaaaa cpu=100 address=$net.5 >/dev/null
ask create bbbbbbbbbbbbbbbb oci "disk=$disk" "layer=sha256:$other" cpu=100 address=$net.6 >/dev/null
ask start aaaaaaaaaaaaaaaa t1 -- sleep 1000 >/dev/null
kill_taskd
start_taskd --cache-max=0
sleep 2
ok "what sessions need stays over a restart" test -e "$work/cache/layers/$other"
ask destroy bbbbbbbbbbbbbbbb >/dev/null
ok "the layer of a session that is gone goes" wait_for 20 gone "$other"
ok "the layer of one that runs stays" test -x "$work/cache/layers/$kept/bin/busybox"
ok "and it runs on" ask exec aaaaaaaaaaaaaaaa e1 -- true
not_ok "no look at the cache failed" grep -q "cache.collect " "$work/taskd.log"
ok "and what went was told" grep -q "cache.collected removed=" "$work/taskd.log"
ask destroy aaaaaaaaaaaaaaaa >/dev/null
is "$(leftovers)" "" "nothing is left"
done_testing
