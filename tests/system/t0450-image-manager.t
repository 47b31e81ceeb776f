#!/bin/bash
# The image manager between a docker-registry and a XenoStore, and those who ask it: names, layers with and
# without a table of contents, what is remembered, what is kept and what goes.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/../lib/imaged.sh"
for p in docker-registry skopeo; do
    command -v $p >/dev/null || bail "$p is not installed"
done
export XENO_HOME=$work/me XENO_IMAGES=$work/mine XDG_RUNTIME_DIR=$work HOME=$work
unset REGISTRY_AUTH_FILE
cd "$work" || exit 1

corp_init
corp_start
join op client "$token"
server_join x1
store_join
store_start
registry_port=$(free_port)
registry=127.0.0.1:$registry_port
mkdir reg
printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp:\n  addr: %s\n' \
    "$work/reg" "$registry" >reg.yml
registry_start() {
    background registry docker-registry serve "$work/reg.yml"
    registry_pid=$pid
    wait_for 10 bash -c "</dev/tcp/127.0.0.1/$registry_port" || bail "docker-registry does not answer"
}
registry_stop() {
    kill "$registry_pid"
    wait "$registry_pid" 2>/dev/null
}
registry_start

# Two images of the same base; and the first as other tools would push it, without tables.
mkdir -p root/usr
for i in $(seq 40); do head -c 20000 /dev/urandom >root/usr/$i; done
head -c 1500000 /dev/urandom >root/usr/big
xeno template import root --name t:1 >out 2>&1
echo new >root/usr/7
xeno template import root --name t:2 >out 2>&1
digest=$(xeno template show t:1 --json | jq -r .digest)
for t in 1 2; do xeno template push t:$t oci://$registry/me/t:$t --insecure-http >out 2>&1; done
xeno template export t:1 gz/ --compression gzip >out 2>&1
skopeo copy -q --dest-tls-verify=false oci:gz docker://$registry/sk/t:gz
certs_of op
skopeo copy -q --dest-cert-dir "$work/op.d" oci:mine:t:2 "docker://$store/$(id_of op)/t:2"

imaged_start --registries "http://$registry, $store" --pace 60s
is "$(cat "/proc/$imaged_pid/status" | sed -n 's/^CapEff:\t//p; s/^Seccomp:\t//p' | xargs)" "0000000000000000 2" "it holds no rights"

# --- a name ---
ok "a name is resolved" ask resolve oci://$registry/me/t:1
is "$(get '"\(.manifest) \(.kind) \(.old) \(.layers | length) \(.layers[0].table)"')" "$digest template false 1 true" "to what was pushed"
one=$(layer 0)
blob=mine/blobs/sha256/${one#sha256:}
ok "its manifest is in the store, without a layer" test -f "im/store/blobs/sha256/${digest#sha256:}" -a ! -e "im/store/blobs/sha256/${one#sha256:}"
not_ok "not as an overlay" ask resolve oci://$registry/me/t:1 overlay
like "$(cat e)" '^image.kind: .*made as a template, not as an overlay' "it is told why"
not_ok "nor a name that is not there" ask resolve oci://$registry/me/none:1
like "$(cat e)" '^oci.unknown: ' "as the registry says"
not_ok "nor one that is no name" ask resolve template://t
like "$(cat e)" '^oci.name: ' "of a registry"

# --- a layer by pieces ---
ok "nothing of it came yet" ask progress "$one"
is "$(get '.layers[0] | "\(.state) \(.fetched)"')" "known 0" "as it says"
ok "it is fetched" ask fetch "$one"
is "$(get '"\(.way) \(.size)"')" "pieces $(stat -c %s "$blob")" "by pieces"
table=$(get .table.size)
ok "then its table is here" ask progress "$one"
is "$(get '.layers[0] | "\(.state) \(.fetched) \(.total)"')" "table $table $table" "and that is all"
ok "a part is read" ask read "$one" 1000 5000
ok "which is that part" cmp -n 5000 "$work/o" "$blob" 0 1000
not_ok "none that is not in the layer" ask read "$one" "$(stat -c %s "$blob")" 1
like "$(cat e)" '^agent.range: ' "as is said"
not_ok "nor of a layer that nobody named" ask read "sha256:$(printf %064d 0)" 0 1
like "$(cat e)" '^agent.layer: ' "as is said"
before=$(numbers network_bytes)
ok "every piece" ask pieces "$one" im/store
is "$(cat o)" "$(($(stat -c %s root/usr/big) + 40 * 20000))" "all of it"
is "$(($(numbers network_bytes) - before < $(stat -c %s "$blob")))" 1 "and no byte came twice"

# --- a layer without a table ---
ok "of another tool's image" ask resolve oci://$registry/sk/t:gz
is "$(get .layers[0].table)" false "a layer without a table"
gz=$(layer 0)
ok "is fetched" ask fetch "$gz"
is "$(get .way)" whole "whole"
ok "and is a blob of the store" test "$(sha256sum <"im/store/blobs/sha256/${gz#sha256:}" | cut -c1-64)" = "${gz#sha256:}"
registry_stop
ok "so it is read when nobody else has it" ask read "$gz" 100 100
ok "and again fetched" ask fetch "$gz"

# --- a XenoStore, and one layer from two places ---
ok "a XenoStore of the XenoCorp, by xenod's credential" ask resolve "oci://$store/$(id_of op)/t:2"
two=$(layer 0)
ok "its layer" ask pieces "$two" im/store
patience=300
not_ok "the registry is away" ask fetch "sha256:$(printf %064d 1)"
not_ok "a name there that was never asked for" ask resolve oci://$registry/me/t:2
like "$(cat e)" '^http.connect: ' "is refused, for that"
ok "one that was" ask resolve oci://$registry/me/t:1
is "$(get '"\(.manifest) \(.old)"')" "$digest true" "is what it last was"
not_ok "a part that only it has" ask read "$one" 0 4000
like "$(cat e)" '^agent.source: .*me/t' "is refused, by its name"
patience=20000
registry_start
ok "until it is back" ask read "$one" 0 4000
ok "its name of what the XenoStore has" ask resolve oci://$registry/me/t:2
patience=2000
registry_stop
ok "then either will do" ask read "$two" 0 4000
registry_start
ok "the registry is asked again" ask resolve oci://$registry/me/t:2
kill -STOP "$registry_pid"
ok "one that stands still, for what it said before, holds nobody up" ask resolve oci://$registry/me/t:1
is "$(get '"\(.manifest) \(.old)"')" "$digest true" "who asks is told that"
kill -CONT "$registry_pid"

# --- killed, and what it knows then ---
imaged_stop -9
imaged_start --registries "http://$registry, $store"
ok "after a kill the layers are known" ask progress "$one" "$two" "$gz"
is "$(get '[.layers[].state] | unique | join(" ")')" "known" "as on the first day"
ok "and where they are to be had" ask read "$one" 0 4000
ok "also at the XenoStore" ask read "$two" 0 4000
is "$(numbers images resolved)" "3 0" "nothing was resolved for that"
imaged_stop -9
patience=20000 ask pieces "$one" im/store >/dev/null &
asker=$!
sleep 0.3
imaged_start --registries "http://$registry, $store"
wait $asker
is $? 0 "who reads while it is away waits"

# --- what goes ---
imaged_stop
find im/store/blobs -type f -exec touch -d '1 hour ago' {} +
imaged_start --registries "http://$registry, $store" --store-bytes 1M
sleep 1.5
ok "nothing goes before it is said what is needed" test -e "im/store/blobs/sha256/${gz#sha256:}"
ok "one is needed" ask keep "$digest"
ok "one is asked for" ask resolve "oci://$store/$(id_of op)/t:2"
gone() { [ ! -e "im/store/blobs/sha256/${gz#sha256:}" ]; }
ok "the third, which makes it too large, goes" wait_for 10 gone
is "$(numbers images)" 2 "and no other"
ok "nor the tables of those" ask fetch "$one"
is "$(get .way)" pieces "which are here"
is "$(ls im/layers | wc -l) $(ls im/names | wc -l)" "2 3" "nothing is remembered of the third"
not_ok "what is gone is not known" ask fetch "$gz"
like "$(cat e)" '^agent.layer' "any more"
ok "and can be had again" ask resolve oci://$registry/sk/t:gz

# --- who may ask ---
is "$(setpriv --reuid 65534 --regid 65534 --clear-groups "$agent_ask" "$work/im.sock" 0 progress 2>&1 | cut -d: -f1)" agent.away "another user is not listened to"
like "$(cat imaged.log)" 'peer.refused .*uid=65534' "and that is told"
done_testing
