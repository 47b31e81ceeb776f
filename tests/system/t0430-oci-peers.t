#!/bin/bash
# Push and pull against registries: Debian's docker-registry without TLS and with, with and without a
# password, skopeo at its other side, and our own xstored with our credential.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/image.sh"
. "$(dirname "$0")/../lib/store.sh"
for p in docker-registry skopeo htpasswd; do
    command -v $p >/dev/null || bail "$p is not installed"
done
export XENO_HOME=$work/me XENO_IMAGES=$work/here XDG_RUNTIME_DIR=$work HOME=$work
unset REGISTRY_AUTH_FILE
cd "$work" || exit 1

# registry NAME [YAML]: a docker-registry; its address is in $NAME.
registry() {
    local name=$1 port
    port=$(free_port)
    mkdir -p "$work/$name"
    printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\n%s\nhttp:\n  addr: 127.0.0.1:%s\n%s\n' \
        "$work/$name" "${2:-}" "$port" "${3:-}" >"$work/$name.yml"
    background "$name" docker-registry serve "$work/$name.yml"
    printf -v "$name" '127.0.0.1:%s' "$port"
    wait_for 10 bash -c "</dev/tcp/127.0.0.1/$port" || bail "docker-registry does not answer" "$(cat "$work/$name.log")"
}
# x STATUS WORD... : xeno with these words ends so. Its document is in $o, its error in $e.
x() {
    local want=$1 got
    shift
    timeout 60 xeno "$@" --json >"$work/o" 2>"$work/e"
    got=$?
    o=$(cat "$work/o") e=$(cat "$work/e")
    [ "$got" = "$want" ] || { echo "status $got of: xeno $*" && cat "$work/e" && return 1; }
}
get() { jq -r "$1" "$work/o"; }
error() { jq -r .error.type "$work/e"; }

# --- without TLS, on this machine only ---
registry plain
at=oci://$plain
mkdir -p root/usr/share root/etc
for i in $(seq 400); do head -c $((i * 40)) /dev/urandom >root/usr/share/$i; done
head -c 3000000 /dev/urandom >root/usr/big
ok "a template" x 0 template import root --name t:1
digest=$(get .digest)
ok "plain HTTP is not spoken unasked" x 1 template push t:1 "$at/me/t:1"
is "$(error)" http.tls "and what answers is told"
ok "pushed" x 0 template push t:1 "$at/me/t:1" --insecure-http
is "$(get '"\(.digest) \(.blobs) \(.blobs_there)"')" "$digest 2 0" "it is all sent"
ok "pushed again" x 0 template push t:1 "$at/me/t:again" --insecure-http
is "$(get '"\(.blobs_there) \(.sent_bytes < 2000)"')" "2 true" "nothing is sent that is there"
ok "to another repository" x 0 template push t:1 "$at/you/t:1" --from me/t --insecure-http
is "$(get '"\(.blobs_mounted) \(.sent_bytes < 2000)"')" "2 true" "what is in the first is taken from there"
ok "but not to another machine" x 3 template push t:1 oci://192.0.2.1:1/me/t --insecure-http
is "$(error)" http.plain "whatever is asked"

is "$(skopeo inspect --tls-verify=false "docker://$plain/me/t:1" | jq -r .Digest)" "$digest" "skopeo sees it"
ok "and pulls it" skopeo copy -q --src-tls-verify=false "docker://$plain/me/t:1" oci:sk:t
ok "a gzip one, for older tools" x 0 template export t:1 gz/ --compression gzip
ok "skopeo pushes that" skopeo copy -q --dest-tls-verify=false oci:gz "docker://$plain/sk/t:gz"

# --- pull ---
export XENO_IMAGES=$work/there
ok "pulled" x 0 template pull "$at/me/t:1" --insecure-http
is "$(get '"\(.name) \(.digest) \(.layers_here) \(.requests)"')" "t:1 $digest 0 3" "with the digest it had, in three requests"
ok "every byte is right" x 0 template show t:1 --verify
ok "pulled again, by digest" x 0 template pull "$at/me/t@$digest" --insecure-http
is "$(get '"\(.name) \(.layers_here) \(.requests)"')" "t 1 1" "only the manifest is asked for"
ok "not as an overlay" x 1 overlay pull "$at/me/t:1" --insecure-http
is "$(error)" image.kind "since it is a template"
ok "not what is not there" x 1 template pull "$at/me/none" --insecure-http
is "$(error)" oci.unknown "and so it is said"
ok "what skopeo pushed is pulled" x 0 template pull "$at/sk/t:gz" --insecure-http --name gz
ok "an index of several machines" bash -c "
    manifest=\$(curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json' http://$plain/v2/me/t/manifests/1)
    jq -n --arg d $digest --argjson n \${#manifest} '{schemaVersion: 2, mediaType: \"application/vnd.oci.image.index.v1+json\",
        manifests: [{mediaType: \"application/vnd.oci.image.manifest.v1+json\", digest: \$d, size: \$n,
                     platform: {architecture: \"$(dpkg --print-architecture)\", os: \"linux\"}}]}' >index.json
    curl -sSf -X PUT --data-binary @index.json -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
        http://$plain/v2/me/t/manifests/all"
ok "is pulled for this one" x 0 template pull "$at/me/t:all" --insecure-http
is "$(get .digest)" "$digest" "which is the image in it"
ok "and not for another" x 1 template pull "$at/me/t:all" --insecure-http --arch none
is "$(error)" image.arch "since it has none"

# --- an update: only what is new is fetched ---
XENO_IMAGES=$work/here
for i in 7 77 377; do echo new >>root/usr/share/$i; done
printf x | dd of=root/usr/big bs=1 seek=1500000 conv=notrunc status=none
ok "an update" x 0 template import root --name t:2
second=$(get .digest)
whole=$(get .size_bytes)
ok "is pushed" x 0 template push t:2 "$at/me/t:2" --insecure-http
XENO_IMAGES=$work/there
ok "and pulled" x 0 template pull "$at/me/t:2" --insecure-http
is "$(get '"\(.digest) \(.layers_pieced) \(.layers_again)"')" "$second 1 0" "by its pieces"
ok "a fraction of it was fetched ($(get .fetched_bytes) of $whole bytes, $(get .requests) requests)" \
    [ "$(get '.fetched_bytes * 5')" -lt "$whole" ]
is "$(get '.fetched_bytes + .reused_bytes > .size_bytes')" true "the rest was here"
ok "every byte is right" x 0 template show t:2 --verify
for v in 1 2; do
    # By way of a layout, else it takes the layer that the registry has.
    skopeo copy -q --dest-compress-format zstd:chunked "oci:here:t:$v" "oci:chunked:t$v" 2>"$work/skopeo.log"
    skopeo copy -q --dest-tls-verify=false "oci:chunked:t$v" "docker://$plain/chunked/t:$v" 2>"$work/skopeo.log"
done
XENO_IMAGES=$work/by-skopeo
ok "what skopeo wrote in pieces" x 0 template pull "$at/chunked/t:1" --insecure-http
ok "and its update" x 0 template pull "$at/chunked/t:2" --insecure-http
is "$(get '"\(.layers_pieced) \(.fetched_bytes * 5 < .size_bytes)"')" "1 true" "by its pieces too"
XENO_IMAGES=$work/there
layer=$(xeno template show t:2 --json | jq -r '.layers[0]')
printf 'x' | dd of="there/blobs/sha256/${layer#sha256:}" bs=1 seek=5000 conv=notrunc status=none
ok "a layer that is spoilt is seen" x 1 template show t:2 --verify
ok "pulled again, and read" x 0 template pull "$at/me/t:2" --insecure-http --check
is "$(get .layers_here)" 0 "it is fetched"
ok "and is sound" x 0 template show t:2 --verify
mkdir -p bare && XENO_IMAGES=$work/bare
ok "whole, where nothing is" x 0 template pull "$at/me/t:2" --insecure-http
is "$(get '"\(.layers_pieced) \(.fetched_bytes > .size_bytes)"')" "0 true" "all of it was fetched"

# --- overlays ---
XENO_IMAGES=$work/here
ok "an overlay" x 0 overlay create page root/etc:/srv --base t:1
ok "is pushed" x 0 overlay push page "$at/me/page" --insecure-http
ok "not as a template" x 1 template push page "$at/me/page" --insecure-http
XENO_IMAGES=$work/there
ok "and pulled" x 0 overlay pull "$at/me/page" --insecure-http
is "$(xeno overlay ls --json | jq -r '.overlays[].name' | grep -c page)" 1 "it is listed"

# --- TLS, of other people's CA; a password ---
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=peer \
    -addext 'subjectAltName=IP:127.0.0.1' -keyout tls.key -out tls.pem 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
    -keyout other.key -out other.pem 2>/dev/null
htpasswd -Bbn me secret >htpasswd 2>/dev/null
registry guarded "auth: {htpasswd: {realm: x, path: $work/htpasswd}}" \
    "  tls: {certificate: $work/tls.pem, key: $work/tls.key}"
at=oci://$guarded
ok "a registry that the machine's CAs do not know" x 1 template push t:1 "$at/me/t"
is "$(error)" http.tls "is not spoken to"
ok "nor by another CA" x 1 template push t:1 "$at/me/t" --trust other.pem
ok "without a password" x 3 template push t:1 "$at/me/t" --trust tls.pem
is "$(error)" oci.denied "nothing"
auth() { printf '{"auths":{"%s":{"auth":"%s"}}}' "$guarded" "$(printf %s "$1" | base64)" >"$work/$2"; }
auth me:wrong wrong.json
ok "with a wrong one" x 3 template push t:1 "$at/me/t" --trust tls.pem --auth-file wrong.json
is "$(error)" oci.denied "nothing"
mkdir -p containers && auth me:secret containers/auth.json
ok "with the one that podman login keeps" x 0 template push t:1 "$at/me/t" --trust tls.pem
ok "pulled" x 0 template pull "$at/me/t" --trust tls.pem --name by-tls
ok "it is the default store" x 0 store use "$guarded" --trust tls.pem
is "$(get .trust)" "$work/tls.pem" "with its CA"
ok "pulled by its name there" x 0 template pull me/t --name by-name

# --- a XenoStore ---
corp_init
corp_start
join op client "$token" || bail "no operator"
new_token() { as op POST /v1/admin/tokens "{\"kind\":\"$1\",\"lifetime_s\":600}" | jq -r .token; }
for who in me you; do
    XENO_HOME=$work/$who
    ok "$who joins" xeno register "$url" --token "$(new_token client)" --name $who
done
store_join
store_start
XENO_HOME=$work/me XENO_IMAGES=$work/here
ok "the default store" x 0 store use "$store" --id "$(id_of store)"
ok "a template is pushed by its name" x 0 template push t:1
where=$(get .where)
is "$where" "oci://$store/$(xeno whoami --json | jq -r .id)/t:1" "to a repository of ours"
ok "by a name of several words" x 0 template push t:1 a/b
is "$(get .where)" "${where%/t:1}/a/b:latest" "which is ours as well"
ok "again" x 0 template push t:1
is "$(get .blobs_there)" 2 "nothing is sent again"
ok "and the update" x 0 template push t:2
XENO_HOME=$work/you XENO_IMAGES=$work/yours
ok "another client" x 0 template pull "$where" --trust corp
is "$(get .digest)" "$digest" "pulls it"
ok "and the update" x 0 template pull "${where%1}2" --trust corp
is "$(get '"\(.digest) \(.layers_pieced)"')" "$second 1" "by its pieces"
ok "but does not push to it" x 3 template push t:1 "$where" --trust corp
ok "nor is the store believed by the machine's CAs" x 1 template pull "$where"
ok "another party than expected" x 0 store use "$store" --id "$(id_of op)"
ok "is not spoken to" x 3 template pull "$where"
is "$(error)" http.peer "though it is of our XenoCorp"
done_testing
