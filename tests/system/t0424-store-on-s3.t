#!/bin/bash
# A XenoStore whose objects are in an object store: Swift, spoken to as S3. skopeo pushes and pulls,
# the cache is lost, an object is damaged behind the store's back, the object store goes away, and
# xstored is killed while it sends: what was acknowledged is there, and litter goes.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
. "$(dirname "$0")/../lib/image.sh"
. "$(dirname "$0")/../lib/swift.sh"
need_root
for p in skopeo swift-proxy-server swift-object-server; do
    command -v $p >/dev/null || bail "$p is not installed"
done
cd "$work" || exit 1
swift_make
swift_start
corp_init
corp_start
join op client "$token" >/dev/null
store_join
ok "a bucket" s3 PUT /xeno
far=(--s3-url "$swift/xeno/one" --s3-keys "$work/s3-keys" --s3-patience 2s)
store_start "${far[@]}"
join alice client "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)" >/dev/null
certs_of alice
A=$(id_of alice)
R=docker://$store/$A/web:1
head -c 400000 /dev/urandom >noise
mkdir root && cp noise root/
"$tool" S import root web:1 >/dev/null

# Push, lose the cache, pull.
ok "skopeo pushes" skopeo copy -q --dest-cert-dir alice.d oci:S:web:1 "$R"
is "$(s3_keys xeno | grep -c '^one/[0-9a-f]\{64\}-[0-9a-f]\{32\}$')" 3 "manifest, configuration and layer are in the bucket"
head -c 20000000 /dev/urandom >big
D=$(sha big)
to alice POST "/v2/$A/web/blobs/uploads/?digest=$D" --data-binary @big
is "$(status)" 201 "a blob of 20 MB"
big_key=$(s3_keys xeno | grep "${D#sha256:}")
ok "in parts is one object" test -n "$big_key"
lose_cache() {
    store_stop "$@"
    rm -rf "$work/store/objects"
    store_start "${far[@]}"
}
lose_cache -9
to alice HEAD "/v2/$A/web/blobs/$D"
is "$(status) $(header Content-Length)" "200 20000000" "with no copy here its size is known"
to alice GET "/v2/$A/web/blobs/$D" -r 15000000-15000099 >/dev/null
ok "a part of it comes" cmp <(tail -c +15000001 big | head -c 100) body
to alice GET "/v2/$A/web/blobs/$D" >/dev/null
ok "and all of it" cmp big body
ok "skopeo pulls" skopeo copy -q --src-cert-dir alice.d "$R" oci:pulled:1
is "$(jq -r '.manifests[0].digest' pulled/index.json)" "$("$tool" S resolve web:1 | awk '$1 == "image" { print $2 }')" "what was pushed"

# The object store does not answer.
kill -STOP "${swift_pids[@]}"
to alice GET "/v2/$A/web/blobs/$D" >/dev/null
is "$(status)" 200 "what has a copy here is served without the object store"
lose_cache
to alice GET "/v2/$A/web/blobs/$D" >/dev/null
like "$(status) $(cat body)" '503 .*store.away' "what has none is not: 503, and why"
head -c 1000 /dev/urandom >small
E=$(sha small)
to alice POST "/v2/$A/web/blobs/uploads/"
place=$(header Location)
to alice PUT "$place?digest=$E" --data-binary @small >/dev/null
is "$(status)" 503 "nothing is acknowledged"
kill -CONT "${swift_pids[@]}"
to alice PUT "$place?digest=$E" >/dev/null
is "$(status)" 201 "until it is back: then the upload goes on"
to alice GET "/v2/$A/web/blobs/$D" >/dev/null
ok "and nothing was lost" cmp big body

# Damage behind its back: as long as it should be, and not what it should be.
head -c 19999999 big >bad && printf X >>bad
ok "somebody else writes there" wait_for 10 s3 PUT "/xeno/$big_key" bad
lose_cache
to alice GET "/v2/$A/web/blobs/$D" >/dev/null
is "$(status)" 404 "what is damaged there is not served"
to alice POST "/v2/$A/web/blobs/uploads/?digest=$D" --data-binary @big
is "$(status)" 201 "until it is pushed again"
lose_cache
to alice GET "/v2/$A/web/blobs/$D" >/dev/null
ok "whole" cmp big body

# Killed while it sends: the key, or the parts, that nobody was told of go.
to alice POST "/v2/$A/web/blobs/uploads/"
place=$(header Location)
head -c 30000000 /dev/urandom >big2
F=$(sha big2)
to alice PATCH "$place" --data-binary @big2 >/dev/null
to alice PUT "$place?digest=$F" >/dev/null 2>&1 &
sleep 0.4
store_stop -9
wait $!
acked=$(status)
store_start "${far[@]}"
named() { # as many keys as there are places, and one that was put aside, and the mark
    local places
    places=$(find "$work/store/places" -regextype egrep -regex '.*/[0-9a-f]{64}' | wc -l)
    [ "$(s3_keys xeno | wc -l)" = $((places + 2)) ] && ! s3 GET '/xeno/?uploads=' | grep -q '<UploadId>'
}
ok "after kill -9 no litter stays (it was acknowledged with '$acked')" wait_for 20 named
to alice PUT "$place?digest=$F" >/dev/null
like "$(status)" '^(201|404)$' "and the upload goes on from there, or was done"
to alice GET "/v2/$A/web/blobs/$F" >/dev/null
ok "it is there" cmp big2 body

like "$(xstored --dir "$work/store" --corp-url "$url" "${far[@]}" --check)" "bucket .*$swift/xeno/one" "--check looks at the bucket"
like "$(xstored --dir "$work/store" --corp-url "$url" --s3-url "$swift/other" --s3-keys "$work/s3-keys" --check)" \
    'bucket .*NoSuchBucket' "and says when there is none"

# Another's bucket.
like "$(cat "$work/store.log")" 'object.damaged object=sha256:[0-9a-f]* .*key' "the log names the damaged key"
not_ok "the secret is in no log" grep -rq testing "$work/store.log"
store_stop
rm -rf "$work/store/places"
store_start "${far[@]}"
to alice POST "/v2/$A/web/blobs/uploads/?digest=$E" --data-binary @small >/dev/null
like "$(status) $(cat body)" 'store.mark' "a store that lost its places takes the bucket for another's"
store_stop
done_testing
