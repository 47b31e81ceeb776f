#!/bin/bash
# xstored is killed again and again while clients push: what was acknowledged is there and right, and
# nothing else is served. XENO_KILLS: how often (10).
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
cd "$work" || exit 1
corp_init
corp_start
join op client "$token" >/dev/null
store_join
store_start
join alice client "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)" >/dev/null
A=$(id_of alice)

ask() { # METHOD PATH CURL-OPTION...: prints the status, 000 when nobody answered
    local method=$1 path=$2
    shift 2
    curl -sS --max-time 20 --cacert "$corp_dir/ca.pem" --cert alice.pem --key alice.key -X "$method" \
        -o "$me.body" -D "$me.header" -w '%{http_code}' "$@" "https://$store$path" 2>/dev/null
}

# Push blobs, whole and in two pieces, and manifests of them, until told to stop; a line for each one
# that was acknowledged.
pusher() {
    local me=$1 i=0 repo=$A/r$1 d c m place
    while [ ! -e stop ]; do
        i=$((i + 1))
        head -c $((RANDOM * 60 + 1)) /dev/urandom >"$me.blob"
        d=$(sha "$me.blob")
        if [ $((i % 2)) = 0 ]; then
            [ "$(ask POST "/v2/$repo/blobs/uploads/?digest=$d" --data-binary "@$me.blob")" = 201 ] || continue
        else
            [ "$(ask POST "/v2/$repo/blobs/uploads/")" = 202 ] || continue
            place=$(sed -n 's/^Location: \(.*\)\r$/\1/p' "$me.header")
            head -c 1000 "$me.blob" >"$me.first"
            tail -c +1001 "$me.blob" >"$me.rest"
            [ "$(ask PATCH "$place" --data-binary "@$me.first")" = 202 ] || continue
            [ "$(ask PUT "$place?digest=$d" --data-binary "@$me.rest")" = 201 ] || continue
        fi
        echo "blob $repo $d" >>"$me.acked"
        printf '{"n":"%s-%s"}' "$me" $i >"$me.config"
        c=$(sha "$me.config")
        [ "$(ask POST "/v2/$repo/blobs/uploads/?digest=$c" --data-binary "@$me.config")" = 201 ] || continue
        printf '{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"%s","size":%s},"layers":[{"mediaType":"x/z","digest":"%s","size":%s}]}' \
            "$c" "$(stat -c %s "$me.config")" "$d" "$(stat -c %s "$me.blob")" >"$me.manifest"
        m=$(sha "$me.manifest")
        [ "$(ask PUT "/v2/$repo/manifests/t$i" --data-binary "@$me.manifest" \
            -H 'Content-Type: application/vnd.oci.image.manifest.v1+json')" = 201 ] || continue
        echo "manifest $repo $m t$i" >>"$me.acked"
    done
}
touch 1.acked 2.acked
pushers=()
for i in 1 2; do
    background "pusher$i" pusher $i
    pushers+=("$pid")
done
for ((i = 0; i < ${XENO_KILLS:-10}; i++)); do
    sleep 0.$((RANDOM % 5))$((RANDOM % 10))
    store_stop -9
    store_start
done
touch stop
wait "${pushers[@]}"

n=$(cat 1.acked 2.acked | wc -l)
ok "$n blobs and manifests were acknowledged" test "$n" -gt 10
bad=0 me=check
while read -r kind repo digest tag; do
    path=/v2/$repo/${kind}s/$digest
    if [ "$(ask GET "$path")" != 200 ] || [ "$(sha check.body)" != "$digest" ]; then
        echo "# lost: $kind $repo $digest $tag"
        bad=$((bad + 1))
    fi
    if [ "$kind" = manifest ] && { [ "$(ask GET "/v2/$repo/manifests/$tag")" != 200 ] || [ "$(sha check.body)" != "$digest" ]; }; then
        echo "# lost: tag $tag of $repo"
        bad=$((bad + 1))
    fi
done < <(cat 1.acked 2.acked)
is "$bad" 0 "each of them is there, and right"

# What has the name of an object is one, also when nobody was told of it.
bad=0
for f in store/objects/[0-9a-f]*; do
    [ "$(sha256sum "$f" | cut -c1-64)" = "$(basename "$f")" ] || bad=$((bad + 1))
done
is "$bad" 0 "no object is half there"
like "$(xstored --dir "$work/store" --corp-url "$url" --check)" 'objects .* 0 of them damaged' "the sums are right"
store_stop
done_testing
