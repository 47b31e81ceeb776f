#!/bin/bash
# Signed names: published, pulled, moved; and what a registry can do to them by hand: put an older
# statement back, forge one, show another publisher's. The registry is Debian's docker-registry, which
# lets everybody write everything, and then our own xstored.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/image.sh"
. "$(dirname "$0")/../lib/store.sh"
for p in docker-registry skopeo xxd openssl; do
    command -v $p >/dev/null || bail "$p is not installed"
done
export XDG_RUNTIME_DIR=$work HOME=$work
unset REGISTRY_AUTH_FILE
cd "$work" || exit 1

# as_ WHO: from here on the commands are WHO's, with an image store of their own.
as_() { export XENO_HOME=$work/$1 XENO_IMAGES=$work/$1.images; }
# x STATUS WORD... : xeno with these words ends so. Its document is in $work/o, its error in $work/e.
x() {
    local want=$1 got
    shift
    timeout 60 xeno "$@" --json >"$work/o" 2>"$work/e"
    got=$?
    [ "$got" = "$want" ] || { echo "status $got of: xeno $*" && cat "$work/e" && return 1; }
}
get() { jq -r "$1" "$work/o"; }
error() { jq -r .error.type "$work/e"; }

corp_init
corp_start
join op client "$token" || bail "no operator"
for who in pub me mal; do
    as_ $who
    ok "$who joins" xeno register "$url" --token "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)" --name $who
    mkdir -p tree-$who/etc
    for n in 1 2; do
        echo "$who $n" >tree-$who/etc/x
        ok "a template" x 0 template import tree-$who --name t:$n
        printf -v "${who}_$n" %s "$(get .digest)"
    done
    printf -v "$who" %s "$(xeno whoami --json | jq -r .id)"
done
port=$(free_port)
mkdir registry
printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
    "$work/registry" "$port" >registry.yml
background registry docker-registry serve registry.yml
wait_for 10 bash -c "</dev/tcp/127.0.0.1/$port" || bail "docker-registry does not answer" "$(cat registry.log)"
at=oci://127.0.0.1:$port
api=http://127.0.0.1:$port/v2
manifest_type='application/vnd.oci.image.manifest.v1+json'
tag_get() { curl -sSf -H "Accept: $manifest_type" "$api/$1/manifests/$2"; }
tag_put() { curl -sSf -X PUT -H "Content-Type: $manifest_type" --data-binary "@$3" "$api/$1/manifests/$2"; }
# blob_put REPO FILE
blob_put() {
    local where
    where=$(curl -sSf -X POST -D - -o /dev/null "$api/$1/blobs/uploads/" | sed -n 's/^location: //Ip' | tr -d '\r')
    curl -sSf -X PUT -H "Content-Type: application/octet-stream" --data-binary "@$2" "$where&digest=$(sha "$2")"
}
# statement_get REPO VERSION: what is said there. statement_put REPO VERSION FILE: by hand.
statement_get() { curl -sSf "$api/$1/blobs/$(tag_get "$1" "_name.$2" | jq -r '.layers[0].digest')"; }
statement_put() {
    blob_put "$1" "$3"
    jq -c --arg d "$(sha "$3")" --argjson n "$(stat -c %s "$3")" \
        '.layers[0] += {digest: $d, size: $n}' first.json >put.json
    tag_put "$1" "_name.$2" put.json
}

# --- published ---
as_ pub
publish=(template publish --to "$at/pub" --insecure-http)
ok "a name that does not move" x 0 "${publish[@]}" t:1 template://12/2026-11-01
fixed=$(get .sequence)
is "$(get '"\(.publisher) \(.name) \(.version) \(.digest) \(.moves)"')" "$pub 12 2026-11-01 $pub_1 false" "is said of the image"
ok "published again" x 0 "${publish[@]}" t:1 template://12/2026-11-01
is "$(get .sequence)" "$fixed" "nothing new is said"
ok "for another image" x 1 "${publish[@]}" t:2 template://12/2026-11-01
is "$(error)" name.fixed "it is not"
ok "nor does it begin to move" x 1 "${publish[@]}" t:1 template://12/2026-11-01 --move
ok "a name that moves" x 0 "${publish[@]}" t:1 "template://$pub/12/current" --move
ok "by others it is not published" x 2 "${publish[@]}" t:1 "template://$me/12/current" --move
ok "an overlay" x 0 overlay create page tree-pub:/srv
ok "has a name too" x 0 overlay publish page overlay://page/1 --to "$at/pub" --insecure-http
is "$(skopeo inspect --tls-verify=false "docker://127.0.0.1:$port/pub/12:current" | jq -r .Digest)" "$pub_1" \
    "other tools find the image by its version"
statement_get pub/12 current >first.jws
tag_get pub/12 _name.current >first.json
is "$(cut -d. -f1 first.jws | base64 -d 2>/dev/null | jq -r '"\(.kid) \(.typ)"')" "$pub xeno-name+json" "beside it lies what was signed"
# Without our code: the id is the key's, and the key signed it.
un64() { tr '_-' '/+' | sed 's/$/===/' | base64 -d 2>/dev/null; }
cut -d. -f2 first.jws | un64 | jq -r .key | un64 >key
is "$(sha256sum key | head -c 40 | xxd -r -p | base32 | tr '[:upper:]' '[:lower:]')" "$pub" "by the key whose hash is the publisher's id"
(printf '302a300506032b6570032100' | xxd -r -p && cat key) >key.der
cut -d. -f3 first.jws | un64 >signature
cut -d. -f1,2 first.jws | tr -d '\n' >signed
ok "as openssl says too" openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in signed -sigfile signature

# --- pulled ---
as_ me
pull=(template pull --insecure-http)
ok "of a publisher nobody named" x 1 "${pull[@]}" template://debian/12/current
is "$(error)" publisher.unknown "nothing is believed"
ok "a short name" x 0 publisher add debian "$pub" --at "$at/pub"
ok "is not given to another in passing" x 1 publisher add debian "$mal"
ok "pulled by it" x 0 "${pull[@]}" template://debian/12/current
is "$(get '"\(.name) \(.digest) \(.signed.publisher) \(.signed.moves)"')" "debian/12/current $pub_1 $pub true" "it is that image"
ok "and is there under the name" x 0 template show template://debian/12/current
is "$(get '.signed[] | "\(.name)/\(.version) \(.moves) \(.last)"')" "12/current true true" "with whom it came from"
ok "pulled by the id" x 0 "${pull[@]}" "template://$pub/12/2026-11-01" --name still
is "$(get '"\(.digest) \(.signed.sequence)"')" "$pub_1 $fixed" "it is the same image"
ok "what is not published" x 1 "${pull[@]}" template://debian/12/none
is "$(error)" name.none "is said not to be"
ok "not as an overlay" x 2 overlay pull template://debian/12/current --insecure-http
ok "nor an overlay as a template" x 1 "${pull[@]}" template://debian/page/1
is "$(error)" name.kind "since it was signed as one"
ok "but as what it is" x 0 overlay pull overlay://debian/page/1 --insecure-http

# --- moved ---
as_ pub
ok "it moves not by mistake" x 1 "${publish[@]}" t:2 template://12/current
is "$(error)" name.moves "but when it is said"
ok "it moves" x 0 "${publish[@]}" t:2 template://12/current --move
second=$(get .sequence)
statement_get pub/12 current >second.jws
as_ me
ok "pulled" x 0 "${pull[@]}" template://debian/12/current
is "$(get '"\(.digest) \(.signed.sequence)"')" "$pub_2 $second" "the new image comes"
ok "the one that does not move" x 0 "${pull[@]}" template://debian/12/2026-11-01
is "$(get .digest)" "$pub_1" "is what it was"
is "$(xeno template show still --json | jq -r '[.signed[] | "\(.version) \(.last)"] | sort | join(", ")')" \
    "2026-11-01 true, current false" "of the old image is known that it was replaced"
is "$(xeno template ls | grep -c "debian/12/current $second")" 1 "the list says by which statement each came"

# --- by hand ---
digest_here() { xeno template show template://debian/12/current --json | jq -r .digest; }
# refused TOKEN WHAT: current is not pulled, and what is here stays.
refused() {
    ok "$2" x "${3:-3}" "${pull[@]}" template://debian/12/current
    is "$(error) $(digest_here)" "$1 $pub_2" "is refused, and what is here stays"
}
tag_put pub/12 _name.current first.json
refused name.rollback "an older statement put back"
as_ mal # who has seen nothing cannot tell: what ends is the statement (rfc/0010)
ok "who comes first" x 0 publisher add debian "$pub" --at "$at/pub"
ok "believes it" x 0 "${pull[@]}" template://debian/12/current
is "$(get .digest)" "$pub_1" "until it ends"
ok "another publisher's of the same name" x 0 template publish t:1 template://12/current --move --to "$at/mal" --insecure-http
statement_get mal/12 current >mal.jws
as_ me
statement_put pub/12 current mal.jws
refused name.publisher "in place of the right one"
# The right payload with the wrong signature, and the reverse.
paste -d. <(cut -d. -f1,2 second.jws) <(cut -d. -f3 first.jws) | tr -d '\n' >forged.jws
statement_put pub/12 current forged.jws
refused jws.signature "a signature of another statement"
payload=$(cut -d. -f2 mal.jws | tr '_-' '/+' | base64 -d 2>/dev/null | sed "s/$mal/$pub/" | base64 -w0 | tr '/+' '_-' | tr -d =)
echo -n "$(cut -d. -f1 second.jws).$payload.$(cut -d. -f3 mal.jws)" >forged.jws
statement_put pub/12 current forged.jws
refused jws.kid "a statement with another's key in it"
statement_get pub/12 2026-11-01 >fixed.jws
statement_put pub/12 current fixed.jws
refused name.other "one about another version"
tag_get pub/12 2026-11-01 >image.json
tag_put pub/12 _name.current image.json
refused oci.artifact "an image in its place" 1
tag_get pub/12 _name.2026-11-01 >fixed.json
jq -c '.layers[0].size += 100000' fixed.json >long.json
tag_put pub/12 _name.current long.json
refused oci.artifact "a statement that is too long" 1
statement_put pub/12 current second.jws
ok "the right one again" x 0 "${pull[@]}" template://debian/12/current

# --- the publisher breaks its promise ---
as_ pub
rm -rf pub/published
ok "a fixed name said of another image" x 0 template publish t:2 template://12/2026-11-01 --to "$at/lie" --insecure-http
statement_get lie/12 2026-11-01 >lie.jws
as_ me
statement_put pub/12 2026-11-01 lie.jws
ok "is refused" x 3 "${pull[@]}" template://debian/12/2026-11-01
is "$(error)" name.contradiction "as what convicts the publisher"
is "$(cat me.images/.names/*@proof)" "$(cat fixed.jws && echo && cat lie.jws)" "and both statements are kept"
as_ pub
rm -rf pub/published
tag_put pub/12 _name.2026-11-01 fixed.json
ok "the publisher who forgot" x 1 "${publish[@]}" t:2 template://12/2026-11-01
is "$(error)" name.fixed "learns from the registry what it said last"

# --- at a XenoStore, by our own id ---
store_join
store_start
as_ pub
ok "the default store" x 0 store use "$store" --id "$(id_of store)"
ok "published there" x 0 template publish t:2 template://12/next --move
ok "and again" x 0 template publish t:2 template://12/next --move
third=$(get .sequence)
as_ me
ok "the same store" x 0 store use "$store" --id "$(id_of store)"
ok "the publisher is forgotten" x 0 publisher rm debian
ok "its name means nothing then" x 1 "${pull[@]}" template://debian/12/next
ok "pulled by its id" x 0 template pull "template://$pub/12/next"
is "$(get '"\(.digest) \(.signed.sequence)"')" "$pub_2 $third" "it is that image"
as_ pub
ok "one's own names need no publisher" x 0 template pull template://12/next
is "$(get .name)" 12/next "and are here without one"
done_testing
