#!/bin/bash
# Registries that lie, break off, trickle and lead astray: what comes of it is right or refused in a
# sentence, soon, and leaves nothing behind.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me XENO_IMAGES=$work/theirs XDG_RUNTIME_DIR=$work HOME=$work
unset REGISTRY_AUTH_FILE
cd "$work" || exit 1

x() {
    local want=$1 got
    shift
    timeout 60 xeno "$@" --json >"$work/o" 2>"$work/e"
    got=$?
    [ "$got" = "$want" ] || { echo "status $got of: xeno $*" && cat "$work/e" "$work/o" && return 1; }
}
get() { jq -r "$1" "$work/o"; }
error() { jq -r .error.type "$work/e"; }
asked() { curl -sS "http://127.0.0.1:$port/log" | grep -c "${1:-}"; }
forget() { curl -sS -X DELETE "http://127.0.0.1:$port/log" >/dev/null; }

mkdir root
for i in $(seq 60); do head -c 20000 /dev/urandom >root/$i; done
ok "an image" x 0 template import root --name t:1
first=$(get .digest)
echo new >>root/30
ok "and a newer one" x 0 template import root --name t:2
second=$(get .digest)
python3 - >evil.tar <<'PY'
import io, sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w")
i = tarfile.TarInfo("../../escaped")
i.size = 5
t.addfile(i, io.BytesIO(b"hello"))
t.close()
PY
# The store would not take it, so it is put there by hand.
python3 - <<'PY'
import hashlib, json, os
s = os.environ["XENO_IMAGES"]
def put(data):
    d = hashlib.sha256(data).hexdigest()
    open(s + "/blobs/sha256/" + d, "wb").write(data)
    return {"digest": "sha256:" + d, "size": len(data)}
tar = open("evil.tar", "rb").read()
layer = put(tar) | {"mediaType": "application/vnd.oci.image.layer.v1.tar"}
config = put(json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
config["mediaType"] = "application/vnd.oci.image.config.v1+json"
m = put(json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode())
ix = json.load(open(s + "/index.json"))
ix["manifests"].append(m | {"mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "annotations": {"org.opencontainers.image.ref.name": "evil:1"}})
json.dump(ix, open(s + "/index.json", "w"))
PY
background peer python3 "$top/tests/lib/hostile-registry.py" "$XENO_IMAGES"
wait_for 10 grep -q . peer.log || bail "no registry"
read -r port away <peer.log
at=oci://127.0.0.1:$port
pull() { x "$1" template pull "$at/$2" --insecure-http --patience 1s "${@:3}"; }

# --- what goes well in the end ---
# REPOSITORY: and what a jq program says of the result
export XENO_IMAGES
while read -r repo want; do
    XENO_IMAGES=$work/good-$repo
    forget
    ok "$repo" pull 0 "$repo/t:1"
    is "$(get .digest)" "$first" "it is the image"
    is "$(jq -n "$(asked) $want")" true "asked as often as it should ($(asked) $want)"
done <<'ROWS'
plain == 3
breaks_off == 4
no_ranges == 3
come_later == 4
guarded == 5
elsewhere == 5
guarded_elsewhere == 7
wrong_pieces == 3
ROWS
is "$(asked 'away.*auth')" 0 "no token was shown to another host"

# --- an update of what is here ---
for row in "plain 1 0" "no_ranges 0 1" "wrong_pieces 0 1"; do
    read -r repo pieced again <<<"$row"
    XENO_IMAGES=$work/good-$repo
    ok "an update from $repo" pull 0 "$repo/t:2"
    is "$(get '"\(.digest) \(.layers_pieced) \(.layers_again)"')" "$second $pieced $again" \
        "$([ "$again" = 1 ] && echo "by pieces it did not come out, whole it did" || echo "by pieces")"
    ok "every byte of it is right" x 0 template show t:2 --verify
done

# --- what does not ---
XENO_IMAGES=$work/mine
ok "a store with something in it" pull 0 plain/t:1 --name kept
before=$(cat mine/index.json)
# What was right by its digest may stay until it is collected, so that a second try has it.
litter() { (cd mine && find .tmp -type f && cd blobs/sha256 && sha256sum -- * | awk '$1 != $2'); }
while read -r repo status token; do
    [[ $repo == */* ]] || repo=$repo/t:1
    forget
    ok "$repo is refused" pull "$status" "$repo" --name new
    like "$(error)" "^$token\$" "and why ($(jq -r .error.detail e | cut -c 1-150))"
    is "$(cat mine/index.json)$(litter)" "$before" "no image of it is there, and nothing half or wrong"
    ok "it was not asked without end" [ "$(asked)" -lt 30 ]
done <<ROWS
wrong_bytes/t:2 1 image.corrupt
shorter/t:2 1 image.corrupt
size_lies 1 image.corrupt
endless/t:2 1 image.corrupt
drips/t:2 4 http.pace
escapes 1 image.digest
escapes_long 1 image.digest
other_config 1 json.(syntax|depth)
many_layers 1 json.range
other_manifest/t@$second 1 image.corrupt
giant_index 1 http.size
long_index 1 json.range
index_in_index 1 image.index
loop 1 http.redirect
never_enough 3 oci.denied
come_next_year 3 oci.status
none/x 1 oci.unknown
plain/evil:1 1 unpack.name
ROWS
is "$(jq -r .error.detail e | grep -c "$(printf '\033')")" 0 "no control character of theirs gets to a terminal"

# --- pushes: what is there is there for every repository, so each sends another image ---
XENO_IMAGES=$work/new
another() { head -c 300000 /dev/urandom >root/1 && x 0 template import root --name t:2; }
push() { x "$1" template push t:2 "$at/$2/t" --insecure-http --patience 1s; }
ok "an image that is not there" another
forget
ok "takes_half: pushed" push 0 takes_half
is "$(asked 'PATCH.* [1-9][0-9]*-[0-9]*$')" 1 "what had come over was gone on with"
another
forget
ok "forgets: pushed" push 0 forgets
is "$(asked POST)" 3 "one of two blobs is begun anew"
another
forget
ok "says_nothing: pushed" push 0 says_nothing
is "$(asked POST) $(asked HEAD)" "2 3" "whether it took the blob is asked"
another
forget
ok "busy: pushed" push 0 busy
is "$(asked PATCH) $(asked PUT)" "2 3" "the layer once more; the config goes in one"
another
for row in "send_elsewhere 1 oci.answer" "send_by_a_trick 1 oci.answer" "keeps_another 1 image.corrupt"; do
    read -r repo status token <<<"$row"
    forget
    ok "$repo is refused" push "$status" $repo
    is "$(error)" "$token" "and why"
    is "$(asked away)" 0 "nothing went elsewhere"
done
done_testing
