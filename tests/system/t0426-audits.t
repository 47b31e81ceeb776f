#!/bin/bash
# Audits: XenoCorp asks, at random and for the owner, and the store shows the block that was asked for; all of
# it is in the log. A store that lost what it is paid for is not paid from the question on, and what is left of
# the order comes back to the owner.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

# up PATIENCE EVERY
up() {
    xeno platform up --null --servers 1 --dir "$plat" --store --store-set price-gib-day=4000 \
        --store-set charge-every=1s --store-set grace=60s --corp-set "audit-patience=$1" --corp-set "audit-every=$2"
}
ok "a platform" up 60s 2s || bail "no platform"
mkdir -p "$work/root/etc"
head -c 2000000 /dev/urandom >"$work/root/etc/data"
ok "a template" xeno template import "$work/root" --name big --store "$work/one"
ok "is pushed and paid for" xeno template push big --store "$work/one" --pay 20 --for 1d
id=$(xeno store ls --json | jq -r '.certificates[0].certificate')
cert() { xeno store show "$id" --json | jq -r "$1"; }
audits() { curl -fsS --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" --key "$XENO_HOME/key.pem" \
    "$(jq -r .corp_url "$XENO_HOME/profile.json")/v1/audits" | jq -r ".audits[] | select(.$1) | .result" | sort -u | xargs; }

out=$(xeno store audit "$id")
like "$out" "byte [0-9]+ of sha256:[0-9a-f]{64}: passed" "the owner asks, and the block is shown"
asked() { [ "$(audits 'by == "corp" and .result != "open"')" = passed ]; }
ok "XenoCorp asks by itself, and it is shown" wait_for 20 asked
log() { xeno corp log --json | jq -r '.entries[].leaf // empty | fromjson | select(.act | startswith("store-audit")) | "\(.act) \(.by) \(.result)"'; }
like "$(log | sort -u | tr '\n' ',')" "store-audit corp open,store-audit owner open,store-audit-end corp passed,store-audit-end owner passed," \
    "questions and outcomes are in the log"

# The data is lost.
pid=$(xeno platform status --dir "$plat" --json | jq -r '.processes[] | select(.name == "xenocorpd") | .pid')
kill "$pid"
gone() { ! kill -0 "$pid" 2>/dev/null; }
wait_for 10 gone
ok "XenoCorp again, with less patience" up 2s 300d
big=$(find "$plat/store/objects" -type f -size +1000k | head -n 1)
printf 'damage' | dd of="$big" bs=1 seek=1000 conv=notrunc status=none
out=$(xeno store audit "$id" 2>&1)
is "$?" 3 "an audit of what is damaged fails"
like "$out" 'did not show what it is paid for|: late' "and says so"
over() { [ "$(cert .state)" = ended ]; }
ok "the certificate ends" wait_for 20 over
like "$(cert .reason)" '^charge.audit' "since it is not paid any more"
back() { [ "$(xeno bill --json | jq '[.entries[] | select(.kind == "return" and .free > 1000000)] | length')" = 1 ]; }
ok "and the rest of the order comes back" wait_for 20 back
is "$(xeno bill --json | jq "[.entries[] | select(.session == \"$id\") | -.amount] | add // 0")" "$(cert .posted)" "nothing was paid since"
ok "down" xeno platform down --dir "$plat"
ok "the books are right" xenocorpd --dir "$plat/corp" --audit
done_testing
