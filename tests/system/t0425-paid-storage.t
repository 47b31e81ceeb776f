#!/bin/bash
# Storage is paid: a push buys a certificate within the limit that was given, the store charges for what it
# keeps, the statement says so, the sum is what was agreed on to the micro-credit; a reclaim brings the rest
# back, what nobody pays for goes after the grace time, and a store killed meanwhile forgets nothing.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

price=4000 # credits for a GiB and day
up() {
    xeno platform up --null --servers 1 --dir "$plat" --store --store-set price-gib-day=$price \
        --store-set charge-every=1s --store-set grace=8s --corp-set audit-every=300d
}
ok "a platform whose store has a price" up || bail "no platform"
mkdir -p "$work/root/etc"
head -c 3000000 /dev/urandom >"$work/root/etc/data"
ok "a template" xeno template import "$work/root" --name big --store "$work/one"
mkdir "$work/over" && head -c 500000 /dev/urandom >"$work/over/more"
push() { xeno template push "$@" --store "$work/one" --json; }
certs() { xeno store ls --json | jq -r ".certificates$1"; }
cert() { xeno store show "$1" --json | jq -r "$2"; }
free_now() { xeno account --json | jq -r .free; }
before=$(free_now)

is "$(xeno store usage --json | jq -r '.price_gib_day, .certificates.kept' | xargs)" "$((price * 1000000)) 0" \
    "the price is told before anything is bought"
out=$(push big --pay 0.0001 --for 1d 2>&1 >/dev/null)
like "$out" 'costs 1[0-9.]* credits, --pay allows 0.0001' "a push above the limit is refused, with both"
is "$(free_now)" "$before" "and nothing was set aside"
note=$(xeno template push big --store "$work/one" --pay 20 --for 1d 2>&1 >/dev/null)
like "$note" 'keeping [0-9.]+ MiB for 1 day costs 1[0-9.]+ credits' "within it, it says what it costs"
id=$(certs '[0].certificate')
is "$(cert "$id" '.state, .copy, .paying_bytes == .size_bytes' | xargs)" "kept 1 true" "and it is kept"
is "$(xeno order list --json 2>/dev/null | jq -r '[.orders[]? | select(.state == "open")] | length')" 0 "no order stays in the wallet's way"

charged() { [ "$(cert "$id" .posted)" -gt "$1" ]; }
ok "it is charged, and XenoCorp takes it" wait_for 15 charged 0
line() { xeno bill --json | jq -c ".entries[] | select(.kind == \"charge\" and .session == \"$id\")"; }
like "$(line | head -n 1)" "storage of sha256:" "the statement has it"

# The same image again costs nothing more: an owner pays for an object once.
ok "another tag, bought again" push big "$(xeno whoami --json | jq -r .id)/big:two" --pay 20 --for 1d
second=$(certs '[0].certificate')
is "$(cert "$second" '.state, .paying_bytes' | xargs)" "kept 0" "pays for nothing while the first does"

not_ok "what is paid for cannot be deleted" curl -fsS --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" \
    --key "$XENO_HOME/key.pem" -X DELETE "$(xeno platform status --dir "$plat" --json | jq -r .store.url)/v2/$(xeno whoami --json | jq -r .id)/big/manifests/$(cert "$id" .digest)"

# Killed in between.
pid=$(xeno platform status --dir "$plat" --json | jq -r '.processes[] | select(.name == "xstored") | .pid')
kill -9 "$pid"
ok "up again after kill -9" up
ok "it goes on being charged" wait_for 15 charged "$(cert "$id" .posted)"

out=$(xeno store reclaim "$id" --json)
is "$(jq -r '.certificates[0].state, .certificates[0].reason' <<<"$out" | xargs)" "ended reclaimed" "reclaimed"
want=$(jq -r '.certificates[0] | .charged' <<<"$out")
settled() { [ "$(cert "$id" .posted)" = "$want" ]; }
ok "the last charge is taken" wait_for 15 settled
is "$(line | jq -s 'map(-.amount) | add')" "$want" "the statement comes to what the receipt says"
span=$(line | jq -s '(map(.to_ms) | max) - (map(.from_ms) | min)')
bytes=$(cert "$id" .size_bytes)
is "$want" "$(((bytes * span / 1048576) * price * 1000000 / (1024 * 86400000)))" "which is size x time x price, rounded once"
is "$(xeno bill --json | jq -r '[.entries[] | select(.kind == "return")] | last | .free')" \
    "$(($(cert "$id" .left)))" "and the rest of the order came back"
is "$(cert "$second" '.paying_bytes == .size_bytes')" true "the other certificate pays now"

ok "reclaimed, too" xeno store reclaim "$second"
ok "again: the same receipt" xeno store reclaim "$second"
ok "it is still there" xeno template pull big --store "$work/two"
gone() { ! xeno template pull big --store "$work/three" 2>/dev/null; }
ok "until the grace time is over" wait_for 30 gone
ok "the books are right" xeno platform down --dir "$plat"
ok "to the last rule" xenocorpd --dir "$plat/corp" --audit
done_testing
