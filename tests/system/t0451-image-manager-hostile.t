#!/bin/bash
# The image manager with registries that lie, trickle and lead astray, told of by clients who want it to
# connect to what only it can reach; and killed while it fetches.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/imaged.sh"
export XENO_HOME=$work/me XENO_IMAGES=$work/theirs XDG_RUNTIME_DIR=$work HOME=$work
unset REGISTRY_AUTH_FILE
command -v skopeo >/dev/null || bail "skopeo is not installed"
cd "$work" || exit 1

asked() { curl -sS "http://127.0.0.1:$port/log" | grep -c "${1:-}"; }
forget() { curl -sS -X DELETE "http://127.0.0.1:$port/log" >/dev/null; }
named() { echo "oci://127.0.0.1:$port/$1"; }
code() { cut -d: -f1 "$work/e"; }
# Every blob of the store has the content that its name says.
sound() { (cd im/store/blobs/sha256 && sha256sum ./* | awk '{ if ($2 != "./" $1) exit 1 }'); }

mkdir root
for i in $(seq 20); do head -c 40000 /dev/urandom >root/$i; done
xeno template import root --name t:1 >out 2>&1
tables=$(xeno template show t:1 --json | jq -r '.layers[0]')
XENO_IMAGES=$work/plain xeno template import root --name t:1 >out 2>&1
background peer python3 "$top/tests/lib/hostile-registry.py" "$work/theirs"
wait_for 10 grep -q . peer.log || bail "no registry"
read -r port away <peer.log

# --- where it does not go ---
imaged_start --identity ''
forget
for name in "127.0.0.1:$port" "localhost:$port" "2130706433:$port" "[::1]:$port" "0.0.0.0:$port" 169.254.169.254 10.0.0.1; do
    not_ok "not to $name" ask resolve "oci://$name/plain/t:1"
    like "$(code)" '^(agent.refused|oci.name)$' "it is refused"
done
is "$(asked GET./v2)" 0 "nobody was asked anything"
is "$(numbers refused)" 7 "as the numbers say"
imaged_stop

# --- where it is led ---
imaged_start --identity '' --registries "http://127.0.0.1:$port" --pace 1s
forget
patience=300
not_ok "a registry that is listed, and has its blobs at one that is not" ask resolve "$(named elsewhere/t:1)"
is "$(code)" agent.refused "is refused"
ok "one that has its own" ask resolve "$(named plain/t:1)"
is "$(layer 0)" "$tables" "has the image"
not_ok "nor is one asked for a token" ask resolve "$(named token_elsewhere/t:1)"
is "$(code)" agent.refused "for the same reason"
not_ok "one that leads in circles" ask resolve "$(named loop/t:1)"
is "$(code)" http.redirect "is left soon"
is "$(curl -sS "http://127.0.0.1:$port/log" | grep -c away)" 0 "the other was never asked"
for trick in giant_index long_index index_in_index escapes escapes_long other_config many_layers; do
    not_ok "$trick" ask resolve "$(named $trick/t:1)"
    like "$(code)" '^(http.size|image\.|json\.|unpack\.)' "is refused"
done

# --- two that have the layer, and the one that was named last lies ---
ok "one that is good" ask resolve "$(named plain/t:1)"
ok "one that gives wrong bytes" ask resolve "$(named wrong_pieces/t:1)"
patience=5000
ok "every piece is right" ask pieces "$tables" im/store
like "$(cat imaged.log)" "source.lies source=oci://127.0.0.1:$port/wrong_pieces/t .*error=image.corrupt" "and the liar is named"
is "$(asked wrong_pieces/t/blobs)" 4 "after some lies it is not asked any more" || curl -sS "http://127.0.0.1:$port/log" | grep wrong_p | sed 's/^/# /'

# --- whole layers: broken off, wrong, trickling, without ranges ---
xeno template export t:1 --compression gzip gz/ >out 2>&1
skopeo copy -q oci:gz oci:theirs:gz:1
for trick in plain breaks_off no_ranges; do
    rm -rf im/store/blobs/sha256/"${gz:-none}"
    ok "a layer without a table, $trick" ask resolve "$(named $trick/gz:1)"
    gz=$(layer 0) gz=${gz#sha256:}
    ok "is fetched whole" ask fetch "sha256:$gz"
    ok "and is right" sound
done
rm im/store/blobs/sha256/"$gz"
rm -r im/layers
mkdir -m 700 im/layers
imaged_stop
imaged_start --identity '' --registries "http://127.0.0.1:$port" --pace 1s
ok "of one that lies" ask resolve "$(named wrong_bytes/gz:1)"
not_ok "nothing is fetched" ask fetch "sha256:$gz"
is "$(code)" image.corrupt "for it is wrong"
ok "as is seen later, too" ask progress "sha256:$gz"
is "$(get '.layers[0] | "\(.state) \(.error.token)"')" "failed image.corrupt" "by who asks how far it is"
ok "of one that trickles" ask resolve "$(named drips/gz:1)"
patience=10000 ask fetch "sha256:$gz" &
asker=$!
patience=2000
ok "others are served meanwhile" ask resolve "$(named plain/t:1)"
ok "the layer, too, is read elsewhere" ask pieces "$tables" im/store
ok "and known to be elsewhere" ask resolve "$(named plain/gz:1)"
wait $asker
is $? 0 "who waits has it in the end"
ok "and it is right" sound

# --- killed while it fetches, with what it has at every moment ---
for after in 0.2 0.5 0.8; do
    rm -f im/store/blobs/sha256/"$gz"
    ok "slowly" ask resolve "$(named slow/gz:1)"
    patience=0 ask fetch "sha256:$gz" >/dev/null &
    asker=$!
    sleep $after
    imaged_stop -9
    wait $asker
    ok "killed after $after s: what is there is right" sound
    ok "and the layer is not" test ! -e im/store/blobs/sha256/"$gz"
    imaged_start --identity '' --registries "http://127.0.0.1:$port" --pace 1s
done
litter() { [ -z "$(ls -A im/store/.tmp 2>/dev/null)" ]; }
ok "what it was at is removed by the next" wait_for 10 litter
patience=10000
ok "which fetches it" ask fetch "sha256:$gz"
ok "rightly" sound
done_testing
