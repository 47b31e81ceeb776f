#!/bin/bash
# What is damaged in a XenoStore is fetched again from its mirrors: one that is away, one that has
# something else under that name, and at last one that has it.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
need_root
cd "$work" || exit 1
corp_init
corp_start
join op client "$token" >/dev/null
join alice client "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)" >/dev/null
A=$(id_of alice)

# Three stores: one whose damage is looked for, and two mirrors.
declare -A at pids
for name in bad good main; do
    mkdir -p "$name"
    dir=$work/$name/store
    store_join_at() { store_options() { printf '%s\n' --dir "$dir" --listen "$store" --corp-url "$url"; }; store_join; }
    store_join_at
    at[$name]=$store
    mirrors=
    [ $name != main ] || mirrors=127.0.0.1:1,${at[bad]},${at[good]}
    store_start --scrub-every 1s --scrub-rate 1G --mirrors "$mirrors"
    pids[$name]=$store_pid
done

head -c 3000000 /dev/urandom >big
head -c 3000000 /dev/urandom >other
echo '{}' >config
D=$(sha big) C=$(sha config)
push() { # STORE FILE
    to alice POST "https://$1/v2/$A/web/blobs/uploads/?digest=$(sha "$2")" --data-binary "@$2" >/dev/null
}
for name in good main; do
    push "${at[$name]}" big
    push "${at[$name]}" config
    jq -n --arg c "$C" --arg d "$D" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: 3},
        layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $d, size: 3000000}]}' >manifest
    to alice PUT "https://${at[$name]}/v2/$A/web/manifests/1" --data-binary @manifest \
        -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' >/dev/null
    is "$(status)" 201 "an image in $name"
done
M=$(sha manifest)

# The bad mirror answers for the digest with other bytes: its own file was exchanged since.
kill "${pids[bad]}"; wait "${pids[bad]}" 2>/dev/null
dir=$work/bad/store store=${at[bad]}
store_options() { printf '%s\n' --dir "$work/bad/store" --listen "$store" --corp-url "$url"; }
store_start --scrub-every 1h --scrub-rate 4096
push "${at[bad]}" big
cp other "bad/store/objects/${D#sha256:}"

damage() { printf X | dd of="main/store/objects/${1#sha256:}" bs=1 seek=2 conv=notrunc 2>/dev/null; }
metric() { to op GET "https://${at[main]}/metrics" >/dev/null; sed -n "s/^xstored_$1 //p" "$work/body"; }
mended() { [ "$(metric mended_total)" = "$1" ]; }

damage "$D"
ok "a damaged blob is mended" wait_for 20 mended 1
to alice GET "https://${at[main]}/v2/$A/web/blobs/$D" >/dev/null
ok "and served, right" cmp big "$work/body"
like "$(cat store.log)" "object.mirror .*object=$D mirror=127.0.0.1:1" "the log names the mirror that is away"
like "$(cat store.log)" "object.mirror .*object=$D mirror=${at[bad]}" "the one that lies"
like "$(cat store.log)" "object.mended object=$D bytes=3000000 mirror=${at[good]}" "and the one that had it"
damage "$M"
ok "a manifest is mended as well" wait_for 20 mended 2
to alice GET "https://${at[main]}/v2/$A/web/manifests/1" >/dev/null
ok "and served" cmp manifest "$work/body"
is "$(metric objects_damaged)" 0 "nothing is damaged any more"

# What no mirror has stays aside, and is told.
echo mine >mine
push "${at[main]}" mine
damage "$(sha mine)"
lost() { grep -q "object.lost .*object=$(sha mine)" store.log; }
ok "what no mirror has is told" wait_for 20 lost
push "${at[main]}" mine
is "$(status)" 201 "a push heals it"
is "$(metric objects_damaged)" 0 "for good"
done_testing
