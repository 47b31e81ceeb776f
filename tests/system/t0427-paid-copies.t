#!/bin/bash
# Two copies of an image at two stores, by one certificate and an order for each; XenoCorp dead meanwhile; one
# copy reclaimed, the other goes on; and a certificate whose time is over ends by itself.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

set_up=(--null --servers 1 --dir "$plat" --store --store-set price-gib-day=4000 --store-set charge-every=1s
    --store-set grace=60s --corp-set audit-every=300d)
ok "a platform with a store" xeno platform up "${set_up[@]}" || bail "no platform"
other=127.0.0.1:$(free_port)
second=(--dir "$work/second" --listen "$other" --corp-url "$(jq -r .corp_url "$XENO_HOME/profile.json")"
    --price-gib-day 6000 --charge-every 1s)
token=$(XENO_HOME=$plat/operator xeno corp token --kind node --json | jq -r .token)
ok "a second store joins" xstored "${second[@]}" --hosts 127.0.0.1 --enrol "$token"
background second xstored "${second[@]}"
up() { curl -fsS --cacert "$XENO_HOME/ca.pem" "https://$other/healthz" >/dev/null 2>&1; }
wait_for 10 up || bail "the second store does not answer" "$(cat "$work/second.log")"

mkdir -p "$work/a" "$work/b"
head -c 1000000 /dev/urandom >"$work/a/data"
head -c 1000000 /dev/urandom >"$work/b/data"
xeno template import "$work/a" --name long --store "$work/one" >/dev/null
xeno template import "$work/b" --name short --store "$work/one" >/dev/null
push() { xeno template push "$@" --store "$work/one" --json; }
show() { xeno store show "$1" "${@:3}" --json | jq -r "$2"; }

push short --pay 5 --for 10s >"$work/out"
short=$(jq -r '.paid[0].certificate' "$work/out")
is "$(jq -r '.paid[0].state' "$work/out")" kept "one for ten seconds"

out=$(push long --copy "$other" --trust corp --pay 5 --for 1d 2>&1 >/dev/null)
like "$out" 'costs [0-9.]+ credits, --pay allows 5' "what both copies cost together is above the limit"
push long --copy "$other" --trust corp --pay 15 --for 1d >"$work/out"
is "$(jq -c '[.paid[] | [.copies, .copy, .state, .price]]' "$work/out")" '[[2,1,"kept",4000000000],[2,2,"kept",6000000000]]' \
    "two copies, each at its store's price"
id=$(jq -r '.paid[0].certificate' "$work/out")
is "$(jq -r '.paid[1].certificate' "$work/out")" "$id" "by one certificate"
isnt=$(jq -r '[.paid[].order] | unique | length' "$work/out")
is "$isnt" 2 "and an order each"

posted() { [ "$(show "$id" .posted "${@:2}")" -gt "$1" ]; }
ok "the first is charged" wait_for 15 posted 0
ok "and the second" wait_for 15 posted 0 --at "$other"
pid=$(xeno platform status --dir "$plat" --json | jq -r '.processes[] | select(.name == "xenocorpd") | .pid')
kill -9 "$pid"
before=$(show "$id" .spent)
more() { [ "$(show "$id" .spent)" -gt "$before" ]; }
ok "XenoCorp is dead, and the meter runs" wait_for 10 more
ok "XenoCorp again" xeno platform up "${set_up[@]}"
ok "what was kept meanwhile is charged" wait_for 30 posted "$before"

ok "the second copy is reclaimed" xeno store reclaim "$id" --at "$other"
is "$(show "$id" .state) $(show "$id" .state --at "$other")" "kept ended" "the first is kept"
want=$(show "$id" .charged --at "$other")
settled() { [ "$(show "$id" .posted --at "$other")" = "$want" ]; }
ok "all of the second is taken" wait_for 30 settled
node=$(jq -r .store < <(xeno store usage "$other" --json))
is "$(xeno bill --json | jq "[.entries[] | select(.kind == \"charge\" and .server == \"$node\") | -.amount] | add")" "$want" \
    "and in the statement, as that store's"

over() { [ "$(show "$short" '.state + .reason')" = endedexpired ]; }
ok "the short one has ended" wait_for 15 over
is "$(show "$short" '.ends_ms == .expires_ms')" true "when it said"
ok "down" xeno platform down --dir "$plat"
ok "the books are right" xenocorpd --dir "$plat/corp" --audit
done_testing
