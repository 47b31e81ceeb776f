#!/bin/bash
# The tools that know registries push to a XenoStore and pull from it as they are: skopeo, podman,
# buildah, umoci, and curl for what those do not do.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
for p in skopeo umoci podman buildah; do
    command -v $p >/dev/null || bail "$p is not installed"
done
cd "$work" || exit 1
corp_init
corp_start
join op client "$token" >/dev/null
store_join
store_start --scrub-every 1s --scrub-rate 1G
for who in alice bob; do
    join $who client "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)" >/dev/null
    certs_of $who
done
A=$(id_of alice) B=$(id_of bob)
R=docker://$store/$A/web
small_root root
"$tool" S import root web:1 >/dev/null
"$tool" S export web:1 gz.tar gzip && mkdir gz && tar -C gz -xf gz.tar # umoci knows no zstd
digest=$("$tool" S resolve web:1 | awk '$1 == "image" { print $2 }')

# skopeo
ok "skopeo pushes" skopeo copy -q --dest-cert-dir alice.d oci:S:web:1 "$R:1"
is "$(skopeo inspect --cert-dir bob.d "$R:1" | jq -r .Digest)" "$digest" "anybody with a credential sees the same digest"
ok "and pulls" skopeo copy -q --src-cert-dir bob.d "$R:1" oci:pulled:1
ok "what comes is what was pushed" test "$(jq -r '.manifests[0].digest' pulled/index.json)" = "$digest"
not_ok "not without a credential" skopeo inspect --tls-verify=false "$R:1"
not_ok "nobody else pushes there" skopeo copy -q --dest-cert-dir bob.d oci:S:web:1 "$R:2"
out=$(skopeo copy -q --dest-cert-dir bob.d oci:S:web:1 "$R:2" 2>&1)
like "$out" "denied: .*your repositories are $B/NAME" "and is told what he may do, in words skopeo shows"
ok "a copy to a repository of one's own" skopeo copy -q --src-cert-dir bob.d --dest-cert-dir bob.d "$R:1" "docker://$store/$B/copy:1"
ok "all of an index, with other layers" skopeo copy -q --all --dest-cert-dir alice.d oci:gz:web:1 "$R:gz"

# podman
podman() {
    command podman --root "$work/pod" --runroot "$work/podrun" --storage-driver vfs --runtime runc "$@"
}
ok "podman pulls" podman pull -q --cert-dir bob.d "$store/$A/web:1"
is "$(podman image inspect -f '{{.Digest}}' "$store/$A/web:1")" "$digest" "the same image"
podman tag "$store/$A/web:1" "$store/$A/podman:1"
ok "podman pushes" podman push -q --cert-dir alice.d "$store/$A/podman:1"

# buildah
buildah() { command buildah --root "$work/bah" --runroot "$work/bahrun" --storage-driver vfs "$@"; }
ok "buildah begins from it" buildah from --cert-dir bob.d --name w "docker://$store/$A/web:gz"
echo added >added
ok "adds a layer" buildah copy -q w added /added
buildah commit -q w made >/dev/null
ok "and pushes" buildah push -q --cert-dir alice.d made "docker://$store/$A/built:1"

# umoci, on what skopeo pulls
ok "what buildah pushed is pulled" skopeo copy -q --src-cert-dir bob.d "docker://$store/$A/built:1" oci:um:built
ok "umoci unpacks it" umoci unpack --image um:built bundle
is "$(cat bundle/rootfs/added)" added "with the new layer"
echo more >bundle/rootfs/more
umoci repack --image um:built bundle
ok "and repacks it, which is pushed" skopeo copy -q --dest-cert-dir alice.d oci:um:built "docker://$store/$A/built:2"
is "$(skopeo inspect --cert-dir bob.d "docker://$store/$A/built:2" | jq '.Layers | length')" 3 "three layers"

# Lists, page by page
is "$(skopeo list-tags --cert-dir bob.d "docker://$store/$A/built" | jq -c .Tags)" '["1","2"]' "tags"
is "$(to bob GET "/v2/$A/built/tags/list?n=1" | jq -c .tags)" '["1"]' "a page of them"
next=$(header Link | sed -n 's/^<\(.*\)>; rel="next"$/\1/p')
is "$(to bob GET "$next" | jq -c .tags)" '["2"]' "and the next one"
is "$(header Link)" "" "which is the last"
is "$(to alice GET /v2/_catalog | jq -c .repositories)" "[\"$A/built\",\"$A/podman\",\"$A/web\"]" "one's own repositories"
is "$(to bob GET /v2/_catalog | jq -c .repositories)" "[\"$B/copy\"]" "and nobody else's"

# Deleting
ok "skopeo deletes" skopeo delete --cert-dir alice.d "docker://$store/$A/built:1"
not_ok "it is gone" skopeo inspect --cert-dir bob.d "docker://$store/$A/built:1"
ok "others that share its layers are whole" skopeo copy -q --src-cert-dir bob.d "docker://$store/$A/built:2" oci:um2:built

# A large blob in pieces, by curl, over a kill -9
head -c 20000000 /dev/urandom >big
D=$(sha big)
to alice POST "/v2/$A/web/blobs/uploads/"
is "$(status)" 202 "an upload begins"
place=$(header Location)
head -c 8000000 big | to alice PATCH "$place" --data-binary @- -H 'Content-Range: 0-7999999'
is "$(status) $(header Range)" "202 0-7999999" "its first piece"
tail -c +8000002 big | head -c 1000 | to alice PATCH "$place" --data-binary @- -H 'Content-Range: 8000001-8001000' >/dev/null
is "$(status) $(header Range)" "416 0-7999999" "not out of order"
store_stop -9
store_start --scrub-every 1s --scrub-rate 1G
to alice GET "$place"
is "$(status) $(header Range)" "204 0-7999999" "after kill -9 it says where to go on"
tail -c +8000001 big | head -c 6000000 | to alice PATCH "$(header Location)" --data-binary @- -H 'Content-Range: 8000000-13999999'
is "$(status)" 202 "which is done"
tail -c +14000001 big | to alice PUT "$place?digest=$D" --data-binary @- -H 'Content-Range: 14000000-19999999'
is "$(status) $(header Docker-Content-Digest)" "201 $D" "and the last piece with the digest"
to bob GET "/v2/$A/web/blobs/$D" >/dev/null
ok "all of it is there" cmp big "$work/body"
to bob GET "/v2/$A/web/blobs/$D" -r 7999990-8000009 >/dev/null
is "$(status) $(header Content-Range)" "206 bytes 7999990-8000009/20000000" "and a part of it"
ok "with those bytes" cmp <(tail -c +7999991 big | head -c 20) "$work/body"
to bob POST "/v2/$B/copy/blobs/uploads/?mount=$D&from=$A/web"
is "$(status)" 201 "which another mounts"

# Damage
to alice GET /metrics >/dev/null
printf X | dd of="$work/store/objects/${D#sha256:}" bs=1 seek=5000000 conv=notrunc 2>/dev/null
is_damaged() { to alice GET /metrics | grep -qx 'xstored_objects_damaged 1'; }
ok "damage is found" wait_for 20 is_damaged
to bob GET "/v2/$B/copy/blobs/$D" >/dev/null
is "$(status)" 404 "and not served"
to alice POST "/v2/$A/web/blobs/uploads/?digest=$D" --data-binary @big
is "$(status)" 201 "until it is pushed again"
to bob GET "/v2/$B/copy/blobs/$D" >/dev/null
ok "for everybody who has it" cmp big "$work/body"

like "$(xstored --dir "$work/store" --corp-url "$url" --check)" 'objects .* 0 of them damaged' "--check computes the sums again"
store_stop
like "$(tail -n 1 "$work/store.log")" 'stop signal=15' "it ends when it is told to"
done_testing
