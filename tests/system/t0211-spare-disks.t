#!/bin/bash
# Writable layers are made ahead, one of a size: sessions get them, and none outlives its daemon.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

pool=$work/D/pool
spares() { find "$pool" -name '.spare-*' -printf '%i\n'; }
attached() { losetup -a | grep -F "$pool/" | wc -l; }
is_ready() { [ "$(spares | wc -l)" = 1 ] && [ "$(attached)" = 1 ] && grep -q . < <(ask list); }
inode() { stat -c %i "$work/D/sessions/$1/upper.img"; }

a=aaaaaaaaaaaaaaaa b=bbbbbbbbbbbbbbbb c=cccccccccccccccc
create $a cpu=200 >/dev/null
ok "after a session one more disk is made" wait_for "$(patience 10)" is_ready
sleep 0.2 # its making has been told by now
spare=$(spares)
create $b cpu=200 >/dev/null
is "$(inode $b)" "$spare" "the next session of that size gets it"
ask start $b t1 -- sh -c 'echo kept >/root/file; df -P / | tail -1 >/root/df; exec sleep 1000' >/dev/null
ok "and can write" wait_for "$(patience 10)" test -s "$work/D/sessions/$b/rootfs/root/df"
ok "as much as it bought" test "$(awk '{print $2}' "$work/D/sessions/$b/rootfs/root/df")" -le $((disk / 1024))
is "$(stat -c %a:%u "$work/D/sessions/$b/upper/data")" 755:$subid "its root owns it"

ok "another is made" wait_for "$(patience 10)" is_ready
sleep 0.2
ask create $c oci disk=$((2 * disk)) "layer=sha256:$layer_hex" cpu=200 >/dev/null
not_ok "a session of another size does not get it" [ "$(inode $c)" = "$(spares | head -1)" ]
is "$(stat -c %s "$work/D/sessions/$c/upper.img")" $((2 * disk)) "but one of its own"
ask destroy $c >/dev/null

kill_taskd
ok "of a killed daemon's no loop device is left" wait_for "$(patience 10)" eval '[ "$(attached)" = 0 ]'
start_taskd
is "$(spares)" "" "and the next one removes the files"
is "$(cat "$work/D/sessions/$b/rootfs/root/file")" kept "the session that got one has it still"
ask snapshot $b >/dev/null
ask restore $b "disk=$disk" "layer=sha256:$layer_hex" cpu=200 >/dev/null
is "$(cat "$work/D/sessions/$b/rootfs/root/file")" kept "also when it was stopped and came back"

ask destroy $a >/dev/null
ask destroy $b >/dev/null
create $a cpu=200 >/dev/null
ask destroy $a >/dev/null
wait_for "$(patience 10)" is_ready
stop_taskd
is "$(spares)" "" "a daemon that ends takes its spares along"
ok "and their devices" wait_for "$(patience 10)" eval '[ "$(attached)" = 0 ]'
start_taskd
is "$(leftovers)" "" "nothing is left"
done_testing
