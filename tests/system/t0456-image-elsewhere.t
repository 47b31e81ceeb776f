#!/bin/bash
# A XenoServer on the null driver whose image manager is played by a script: requests that wait for
# what a name means, their repeats, bounds and refusals, what is claimed meanwhile, and how far an
# image is, in the session and its events.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

xml() { local type=application/xml; at x1 "$@"; }
problem() { jq -r '"\(.status) \(.type)"' <<<"$1"; }
needs() { requirement "$1" '<CPUmsps>100</CPUmsps>' | sed "s|</EnvType>|&<EnvTemplate>$2</EnvTemplate>${3:-}|"; }
free_cpu() { at x1 nobody GET /v1/status | jq .status.free.cpu_msps; }
asked() { jq -r 'select(.op == "resolve") | .name' "$work/m/log" 2>/dev/null | grep -cx "${1:-.*}"; }
# later FILE WHO KEY TEMPLATE: asks for a hold while others are asked; the answer comes to FILE.
later() {
    curl -s --max-time 40 --cacert "$corp_dir/ca.pem" --cert "$work/$2.pem" --key "$work/$2.key" \
        -H "Content-Type: application/xml" -H "Idempotency-Key: $3" --data-binary "$(needs h "$4")" \
        -o "$work/$1" "https://127.0.0.1:$(cat "$work/x1/port")/v1/holds" &
    later+=($!)
}
all_later() { wait "${later[@]}" 2>/dev/null; later=(); }
later=()

corp_init
corp_start
join op client "$token"
server_join x1 "capacity.cpu = 1000" "reserve.cpu = 0" "headroom = 0" "retain = 1h" \
    "imaged = $work/m/socket" "imaged-store = $work/m/store" "images = $work/images"
mkdir -p "$work/m" "$work/tree/etc"
# What the XenoServer has itself, and what the image manager would have: manifests and configs,
# without layers.
export XENO_HOME=$work/home
echo own >"$work/tree/etc/own"
own=$(xeno template import "$work/tree" --name own --store "$work/images" --json | jq -r .digest)
server_start x1
new_client ann 10000000
new_client bob 10000000
chmod 600 "$work"/*.key

echo a >"$work/tree/etc/a"
xeno template import "$work/tree" --name t --store "$work/m/store" >"$work/a" 2>&1
echo b >"$work/tree/etc/b"
xeno overlay create o "$work/tree/etc:/srv" --store "$work/m/store" >"$work/a" 2>&1
for i in t o; do xeno template show $i --store "$work/m/store" --json >"$work/$i" 2>"$work/a"; done
t=$(jq -r .digest "$work/t") layer=$(jq -r '.layers[0]' "$work/t") layer_o=$(jq -r '.layers[0]' "$work/o") o=$(jq -r .digest "$work/o")
for d in "$layer" "$layer_o"; do rm "$work/m/store/blobs/sha256/${d#sha256:}"; done
resolved() { jq -n --arg d "$1" --arg n "$2" '{ok: {manifest: $d, name: $n, kind: "template", old: false, layers: []}}'; }
jq -n --argjson t "$(resolved "$t" oci://h.example/t:latest)" --argjson o "$(resolved "$o" oci://h.example/o:1)" \
    '{"oci://h.example/t": $t, "oci://h.example/o:1": $o,
      "oci://h.example/closed": {error: {token: "oci.denied", text: "it wants a password", errno: 13}}}' >"$work/m/names.json"

later early bob k0 oci://h.example/t
a=$(xml ann POST /v1/holds "$(needs h "oci://h.example/x@$own")")
is "$(status)" 201 "but those with a digest of its own"
at x1 ann DELETE "/v1/holds/$(jq -r .hold <<<"$a")" >"$work/a"

manager() { background manager "$top/tests/lib/image-manager.py" "$work/m/socket" "$work/m" && manager=$pid; }
manager
told() { jq -c 'select(.op == "keep") | .images' "$work/m/log" | tail -n 1 | grep -qxF "$1"; }
all_later
early=$(jq -r .hold "$work/early")
is "$(at x1 bob DELETE "/v1/holds/$early" | jq -r .released)" true "who asked before waited for it"
ok "and it was told what is needed" wait_for 10 grep -q '"op": "keep"' "$work/m/log"
rm "$work/m/log"
touch "$work/m/wait"

# --- waiting ---
for i in 1 2; do later same$i ann k1 oci://h.example/t; done
later other bob k2 oci://h.example/t
asked_for() { [ "$(asked)" = "$1" ]; }
ok "a name is asked for" wait_for 10 asked_for 1
sleep 0.3
is "$(free_cpu)" 1000 "and nothing is claimed while it is"
is "$(asked)" 1 "three who ask share the question"
rm "$work/m/wait"
all_later
hold=$(jq -r .hold "$work/same1")
is "$(jq -r .hold "$work/same2")" "$hold" "the same key again got the same hold"
is "$(jq -r 'has("hold")' "$work/other") $(free_cpu)" "true 800" "another client its own"
like "$(problem "$(xml ann POST /v1/holds "$(needs h template://pub/debian/12)")")" "404 image.signed" "a signed name is the client's to resolve"

# --- bounds ---
touch "$work/m/wait"
for i in 1 2 3 4 5 6 7 8; do later w$i ann "w$i" oci://h.example/t; done
waiting() { at x1 nobody GET /metrics | grep -qx "xenod_images_waiting $1"; }
ok "eight of ann's wait" wait_for 10 waiting 8
a=$(xml ann POST /v1/holds "$(needs h oci://h.example/t)")
is "$(problem "$a")" "503 image.waiting" "a ninth is refused"
later w9 bob w9 oci://h.example/o:1
ok "bob's is not" wait_for 10 waiting 9
a=$(xml bob POST /v1/holds "$(needs h oci://h.example/rich | sed 's|<Limits>|&<MaxPricePerHour>0.000001</MaxPricePerHour>|')")
is "$(problem "$a") $(asked oci://h.example/rich)" "402 price.per-hour 0" "who would be refused anyway asks nobody"
kill "$manager"
later w10 bob w10 oci://h.example/o:1
ok "one asked while the image manager is away waits for it" wait_for 10 waiting 10
is "$(asked oci://h.example/o:1)" 1 "which is not there to be asked"
manager
ok "it comes back" wait_for 10 asked_for 5
stop x1 xenod -9
all_later
rm "$work/m/wait"
xenod_start x1
wait_for 15 server_ready x1 || bail "x1 does not come back" "$(cat "$work/x1-xenod.log")"
is "$(at x1 ann GET /v1/holds | jq '.holds | length')" 1 "killed while they wait, nothing was held"
ok "and the image manager hears what is still needed" wait_for 10 told "[\"$t\"]"
for i in 1 2; do later w$i ann w1 oci://h.example/t; done
all_later
is "$(jq -r .hold "$work/w1")" "$(jq -r .hold "$work/w2")" "a repeat is the first then"

# --- refusals ---
left=$(free_cpu)
a=$(xml ann POST /v1/holds "$(needs h oci://h.example/none)")
like "$(problem "$a") $(jq -r .detail <<<"$a")" "404 oci.unknown oci://h.example/none: the registry has no such" "what is not there"
is "$(problem "$(xml ann POST /v1/holds "$(needs h oci://h.example/closed)")")" "403 oci.denied" "what is not for us"
a=$(xml ann POST /v1/holds "$(needs h oci://h.example/t '<EnvOverlay>oci://h.example/none</EnvOverlay>')")
is "$(problem "$a") $(free_cpu)" "404 oci.unknown $left" "an overlay that is not there: and nothing was claimed"

# --- sessions ---
chain=$(new_order ann 100000)
jq -n --arg c "$(show_to x1 ann "$chain")" --arg r "$(needs s oci://h.example/t '<EnvOverlay>oci://h.example/o:1</EnvOverlay>')" \
    '{chain: $c, requirements: $r}' >"$work/ask"
is "$(at x1 ann POST '/v1/sessions?dry_run=1' "@$work/ask" | jq -r .possible)" true "a dry run looks for the image, too"
is "$(at x1 ann GET /v1/sessions | jq '.sessions | length')" 0 "and makes nothing"
session=$(at x1 ann POST /v1/sessions "@$work/ask" | jq -r .session)
is "$(status)" 201 "a session"
image() { at x1 ann GET "/v1/sessions/$session" | jq -c .image; }
is "$(image | jq -c '[.manifests, .layers, .state, .fetched_bytes]')" "[[\"$t\",\"$o\"],2,\"waiting\",0]" "its object says of what it is made"
jq -n --arg l "$layer" '{($l): {state: "fetching", size: 900, fetched: 300, total: 500}}' >"$work/m/layers.json"
image_is() { [ "$(image | jq -c "[.state, .way, .fetched_bytes, .needed_bytes]")" = "$1" ]; }
ok "how far it is" wait_for 10 image_is '["fetching",null,300,500]'
jq -n --arg l "$layer" --arg p "$layer_o" \
    '{($l): {state: "table", size: 900, fetched: 600}, ($p): {state: "whole", size: 10, fetched: 10}}' >"$work/m/layers.json"
ok "and that it can be used" wait_for 10 image_is '["ready","pieces",610,0]'
jq --arg l "$layer" '.[$l].error = {token: "agent.source", text: "oci://h.example/t gives wrong bytes", errno: 5}' \
    "$work/m/layers.json" >"$work/l" && mv "$work/l" "$work/m/layers.json"
events() { timeout 20 curl -sSN --cacert "$corp_dir/ca.pem" --cert "$work/ann.pem" --key "$work/ann.key" \
    "https://127.0.0.1:$(cat "$work/x1/port")/v1/sessions/$session/events?after=0"; }
wrong() { at x1 ann GET "/v1/sessions/$session" | jq -r .image.error | grep -q 'h.example/t gives wrong'; }
ok "that a store gives wrong bytes" wait_for 15 wrong
at x1 ann POST "/v1/sessions/$session/end" '{}' >"$work/a"
ok "it ends" wait_for 15 state_is x1 ann "$session" ended
events >"$work/events"
like "$(grep -A 1 'event: session.image' "$work/events" | grep -c 'gives wrong bytes')" "^[1-9]" "its events name the store"
is "$(grep -c '^event: session.state' "$work/events") $(grep '^event:' "$work/events" | tail -n 1)" \
    "5 event: session.state" "and end with the session"
done_testing
