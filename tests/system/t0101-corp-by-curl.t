#!/bin/bash
# A XenoCorp used with nothing but openssl, curl and jq: enrolment, money, orders, statements,
# operators' commands, and what is refused.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/order.sh"

# field FILTER JSON
field() { jq -r "$1" <<<"$2"; }
refused() { # NAME STATUS TYPE ANSWER
    is "$(status) $(field .type "$4")" "$2 $3" "$1"
}

corp_init
like "$token" '^xt1\.[A-Za-z0-9_-]{22}\.[a-z2-7]{32}$' "the first operator's token is printed"
not_ok "a second --init is refused" xenocorpd --dir "$corp_dir" --init
like "$(xenocorpd --dir "$corp_dir" --check)" "books open" "--check says what it found"
corp_start
is "$(field .corp "$(as nobody GET /healthz)")" "${token##*.}" "the token carries the XenoCorp's id"
not_ok "a second daemon on the same books is refused" xenocorpd --dir "$corp_dir" --listen 127.0.0.1:0

# --- enrolment ---
ok "an operator joins" join op client "$token"
ok "openssl verifies its credential" openssl verify -CAfile "$corp_dir/ca.pem" "$work/op.pem"
like "$(openssl x509 -in "$work/op.pem" -noout -ext subjectAltName)" 'xeno:attr:role=operator' \
    "which says that it is an operator's"
cp "$work/op.id" "$work/op.first"
as nobody POST /v1/clients "@$work/op.join" >"$work/again"
is "$(status) $(jq -r .id "$work/again")" "201 $(cat "$work/op.first")" \
    "the same token and key again give the same party"
not_ok "another key cannot use the token" join thief client "$token"
is "$(status)" 403 "and is told so"
new_token() { field .token "$(as op POST /v1/admin/tokens "{\"kind\":\"$1\",\"lifetime_s\":60}")"; }
ok "a client joins" join ann client "$(new_token client)"
ok "a pseudonymous client joins" join bob client "$(new_token client)" '{"pseudonym":true}'
ok "a XenoServer joins" join host server "$(new_token server)" "$a_server"
like "$(openssl x509 -in "$work/host.pem" -noout -ext subjectAltName)" \
    "xeno:server:$(id_of host).*IP Address:127.0.0.1" "its credential names it and its address"
not_ok "a client's token makes no XenoServer" join fake server "$(new_token client)" "$a_server"
as nobody GET /v1/account >"$work/a"
is "$(status)" 401 "without a credential there is no account"
a=$(as ann POST /v1/admin/fund "{\"id\":\"$(id_of ann)\",\"amount\":5}")
refused "a client is no operator" 403 auth.role "$a"

# --- money ---
a=$(idem=f1 as op POST /v1/admin/fund "{\"id\":\"$(id_of ann)\",\"amount\":10000000}")
is "$(field .free "$a")" 10000000 "the operator pays in"
b=$(idem=f1 as op POST /v1/admin/fund "{\"id\":\"$(id_of ann)\",\"amount\":10000000}")
is "$b" "$a" "the same key again gives the same answer, and no money"
c=$(idem=f1 as op POST /v1/admin/fund "{\"id\":\"$(id_of ann)\",\"amount\":2}")
refused "the same key for another sum is refused" 422 http.idempotency "$c"
is "$(field .free "$(as ann GET /v1/account)")" 10000000 "ann has what was paid in"

a=$(idem=o1 as ann POST /v1/orders '{"amount":4000000,"lifetime_s":3600}')
order=$(field .order "$a")
is "$(status) $(field .state "$a")" "201 open" "an order is made"
like "$(field .chain "$a" | cut -d. -f1 | tr '_-' '/+' | base64 -d 2>/dev/null)" 'xeno-order\+json' \
    "with a chain signed by the XenoCorp"
is "$(idem=o1 as ann POST /v1/orders '{"amount":4000000,"lifetime_s":3600}' | jq -r .order)" \
    "$order" "the same key again gives the same order"
is "$(as ann GET /v1/account | jq -c '[.free,.held]')" "[6000000,4000000]" "its amount is set aside"
a=$(as ann POST /v1/orders '{"amount":6000001,"lifetime_s":3600}')
refused "one above free credit is refused" 402 ledger.funds "$a"
like "$(field .detail "$a")" '6\.000001 credits, 6\.00 are free' "with what was asked and what is left"
for bad in '{"amount":0,"lifetime_s":3600}' '{"amount":1}' '{"amount":1,"lifetime_s":1}' \
    '{"amount":1,"lifetime_s":3600,"limit":2}' '{"amount":9223372036854775808,"lifetime_s":60}' '['; do
    a=$(as ann POST /v1/orders "$bad")
    is "$(status)" 400 "bad order $bad: $(field .detail "$a" | head -c 60)"
done
a=$(as bob GET "/v1/orders/$order")
refused "another's order is unknown" 404 order.unknown "$a"
as bob GET "/v1/orders/$order/../../v1/orders" >"$work/a"
is "$(as ann GET /v1/orders | jq -r '.orders[0].order')" "$order" "it is listed"

# --- XenoServers ---
issued=$(as ann GET "/v1/orders/$order" | jq -r .chain)
chain=$(present "$work/ann.key" "$(id_of ann)" "$issued" "$(id_of host)")
pub=$(openssl pkey -in "$work/ann.key" -pubout -outform DER | tail -c 32 | basenc --base64url | tr -d =)
validate() { # WHO SESSION EPOCH
    jq -n --arg c "$chain" --arg s "$2" --arg h "$pub" --argjson e "$3" \
        '{chain: $c, session: $s, epoch: $e, env_type: "Linux", rate_per_hour: 1000, holder: $h}' \
        >"$work/v"
    as "$1" POST /v1/validate "@$work/v"
}
a=$(validate host aaaaaaaaaaaaaaaa 0)
is "$(jq -c '[.epoch,.left]' <<<"$a")" "[1,4000000]" "a XenoServer validates"
is "$(validate host aaaaaaaaaaaaaaaa 0)" "$a" "again: the same answer"
b=$(validate host bbbbbbbbbbbbbbbb 0)
refused "another session is refused" 409 order.bound "$b"
b=$(validate ann aaaaaaaaaaaaaaaa 0)
refused "a client cannot validate" 403 auth.role "$b"
whole=$chain chain=$issued
b=$(validate host cccccccccccccccc 0)
refused "a XenoServer cannot cut off what its holder signed for it" 403 order.presented "$b"
chain=${whole%?????}AAAAA
b=$(validate host cccccccccccccccc 0)
is "$(status)" 403 "a forged chain is refused: $(field .type "$b")"
b64() { basenc -w0 --base64url | tr -d =; }
# A batch signed by openssl, as any JOSE library would.
batch() { # JSON
    local input
    input=$(printf '{"alg":"EdDSA","kid":"%s","typ":"xeno-charges+json"}' "$(id_of host)" | b64)
    input=$input.$(printf '%s' "$1" | b64)
    printf '%s' "$input" >"$work/input"
    openssl pkeyutl -sign -inkey "$work/host.key" -rawin -in "$work/input" -out "$work/sig"
    printf '%s.%s' "$input" "$(b64 <"$work/sig")" >"$work/batch"
}
now=$(date +%s%3N)
charge() { # SEQ AMOUNT FINAL ITEM-AMOUNT
    jq -cn --arg o "$order" --argjson q "$1" --argjson a "$2" --argjson f "$3" --argjson i "$4" \
        --argjson t "$now" '{order: $o, epoch: 1, session: "aaaaaaaaaaaaaaaa", seq: $q,
        from_ms: $t, to_ms: $t, tariff: 1, amount: $a, final: $f, activity: "curl",
        items: [{res: "cpu", reserved: 1, used: 1, price_reserved: 1, price_used: 1, amount: $i}]}'
}
batch "{\"v\":1,\"server\":\"$(id_of host)\",\"charges\":[$(charge 1 1000001 false 1000001),$(charge 2 9 false 8),$(charge 3 9000000 false 9000000)]}"
a=$(type=application/jose as host POST /v1/charges "@$work/batch")
is "$(jq -c '[.results[]|[.seq,.status,.error.type]]' <<<"$a")" \
    '[[1,"posted",null],[2,"refused","charge.sum"],[3,"refused","charge.limit"]]' \
    "a batch posts what is good and says what is not"
a=$(type=application/jose as host POST /v1/charges "@$work/batch")
is "$(jq -r '.results[0].status' <<<"$a")" repeated "again: repeated"
sed -i 's/^./f/' "$work/batch"
a=$(type=application/jose as host POST /v1/charges "@$work/batch")
is "$(status)" 400 "a spoilt batch is refused: $(field .type "$a")"
is "$(as ann POST "/v1/orders/$order/close" | jq -r .state)" closing "a bound order closes later"
batch "{\"v\":1,\"server\":\"$(id_of host)\",\"charges\":[$(charge 2 0 true 0)]}"
type=application/jose as host POST /v1/charges "@$work/batch" >"$work/a"
is "$(as ann GET "/v1/orders/$order" | jq -r .state)" closed "with the final charge"
is "$(as ann GET /v1/account | jq -c '[.free,.held]')" "[8999999,0]" "and its rest returns"
is "$(as host GET /v1/account | jq -r .earned)" 950001 "the XenoServer earned 95 %"

# --- statements and books ---
is "$(as ann GET '/v1/statement?limit=2' | jq -c '[[.entries[].kind],.next!=null]')" \
    '[["fund","order"],true]' "a statement has pages"
is "$(as ann GET /v1/statement | jq -c '[([.entries[].amount]|add),.entries[-1].balance]')" \
    "[8999999,8999999]" "and adds up to the account"
is "$(as host GET /v1/statement | jq -c '[.entries[].amount]|add')" 950001 "so does the XenoServer's"
is "$(as op GET '/v1/admin/ledger?check=1' | jq -c '[.sum,.balanced,.checked,.charges,.fees]')" \
    '[0,true,true,2,50000]' "the books balance"
is "$(as op GET "/v1/admin/charges?order=$order" | jq -c '[.charges[]|[.seq,.amount,.fee,.activity]]')" \
    '[[1,1000001,50000,"curl"],[2,0,0,"curl"]]' "operators see the charges"
n=$(as op GET "/v1/admin/charges?order=$order" | jq '.charges[0].batch')
like "$(as op GET "/v1/admin/batches/$n")" '^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' \
    "and the signed batch they came in"
is "$(as op GET /v1/admin/acts | jq -r '[.acts[].kind]|unique|join(",")')" "fund,register,token" \
    "acts are recorded"

# --- renewing and disabling ---
a=$(as ann POST /v1/credentials/renew)
ok "a credential is renewed" openssl verify -CAfile "$corp_dir/ca.pem" <(field .certificate "$a")
jq -n --arg c "$(openssl req -new -key "$work/ann.key" -subj /CN=x)" '{csr: $c}' >"$work/r"
as nobody POST /v1/credentials/renew "@$work/r" >"$work/a"
is "$(status)" 200 "also by the key alone, when the old one has expired"
is "$(as op POST "/v1/admin/parties/$(id_of ann)/disable" | jq -r .disabled)" true "ann is disabled"
a=$(as ann GET /v1/account)
is "$(status)" 401 "her credential is revoked at once: $(field .type "$a")"
as nobody POST /v1/credentials/renew "@$work/r" >"$work/a"
is "$(status)" 403 "and she gets no new one"
is "$(as op GET /v1/admin/parties | jq -c '[.parties[]|select(.disabled)|.name]')" '["ann"]' \
    "parties are listed"

# --- another configuration, without a restart ---
printf 'fee = 0\n' >"$corp_dir/corp.conf"
corp_stop
corp_start --config "$corp_dir/corp.conf"
is "$(as op GET /v1/account | jq -r .kind)" operator "restarted with a configuration file"
printf 'fee = 1000\n' >"$corp_dir/corp.conf"
kill -HUP "$corp_pid"
ok "SIGHUP reads it again" wait_for 5 grep -q 'config.reloaded fee=1000' "$work/corp.log"
printf 'fee = x\n' >"$corp_dir/corp.conf"
kill -HUP "$corp_pid"
ok "a bad one is told and the old one kept" wait_for 5 grep -q 'config.reload kept=old.*fee' \
    "$work/corp.log"

# --- a restart forgets nothing ---
corp_stop
corp_start
as ann GET /v1/account >"$work/a"
is "$(status)" 401 "revocation outlives a restart"
is "$(idem=f1 as op POST /v1/admin/fund "{\"id\":\"$(id_of ann)\",\"amount\":10000000}" | jq -r .free)" \
    10000000 "kept answers outlive it too"
corp_stop
is "$(xenocorpd --dir "$corp_dir" --audit)" "the books are in order" "the books are in order"
done_testing
