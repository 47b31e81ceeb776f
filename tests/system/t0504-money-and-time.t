#!/bin/bash
# A XenoServer when money runs out, when the XenoCorp is away, when everybody comes at once, and when
# its credential ages. On the null driver.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

problem() { jq -r '"\(.status) \(.type)"' <<<"$1"; }
show() { at x1 ann GET "/v1/sessions/$1" | jq -r "$2"; }
events() { # SESSION: those that are remembered, one a line
    timeout 1 curl -sSN --cacert "$corp_dir/ca.pem" --cert "$work/ann.pem" --key "$work/ann.key" \
        "https://127.0.0.1:$(cat "$work/x1/port")/v1/sessions/$1/events" 2>/dev/null |
        paste -sd' ' | sed 's/id: /\n/g'
}
# Credentials live for a minute here: a fresh one for whoever goes on.
renew() {
    jq -n --arg c "$(openssl req -new -key "$work/$1.key" -subj "/CN=$1" 2>/dev/null)" '{csr: $c}' >"$work/csr"
    as nobody POST /v1/credentials/renew "@$work/csr" | jq -er .certificate >"$work/$1.new" &&
        mv "$work/$1.new" "$work/$1.pem"
}
usage() { at x1 ann GET "/v1/sessions/$1/usage"; }

corp_init
corp_start --credential-life 60s
join op client "$token"
# Dear enough that an order lasts for seconds: 0.2 credits of CPU reservation a second.
server_join x1 "charge-interval = 1s" "grace = 4s" "capacity.cpu = 100000" "reserve.cpu = 0" \
    "headroom = 0" "capacity.memory = 100G" "capacity.disk = 1000G" "reserve.disk = 0" \
    "capacity.net = 100000" "tariff.cpu.reserved = 1" "tariff.disk.reserved = 100" \
    "sessions-per-owner = 10000" "own-addresses = 0" "pool = 10.201.0.0/22"
server_start x1
new_client ann 1000000000

# --- the credential is renewed before it ends ---
serial() { openssl x509 -in "$work/x1/xenod/credential.pem" -noout -serial; }
first=$(serial)

# --- an order that runs out ---
small='<CPUmsps>200</CPUmsps><NetMbps>1</NetMbps><MemoryMB>4</MemoryMB><DiskMB>4</DiskMB>'
s=$(new_session x1 ann "$(new_order ann 3000000)" "$(requirement poor "$small")")
ok "a session with little money runs" wait_for 5 state_is x1 ann "$s" running || cat "$work/session"
ok "it is suspended when the money is out" wait_for 25 state_is x1 ann "$s" suspended
e=$(events "$s")
is "$(grep -c 'order.low' <<<"$e")" 2 "after two warnings" || echo "$e"
is "$(show "$s" .reason)" order.spent "for that reason"
left=$(show "$s" .left)
ok "something was set aside for the grace time" [ "$left" -gt 0 ]
is "$(problem "$(at x1 ann POST "/v1/sessions/$s/restore" '{}')")" "402 order.spent" \
    "it is not restored without money"
chain=$(new_order ann 200000000)
is "$(at x1 ann POST "/v1/sessions/$s/restore" "$(jq -n --arg c "$chain" '{chain: $c}')" | jq -r .session)" \
    "$s" "another order is given"
ok "and it runs again" wait_for 5 state_is x1 ann "$s" running
is "$(show "$s" .order)" "$(cat "$work/order")" "on that order"
renew ann
t=$(new_session x1 ann "$(new_order ann 3000000)" "$(requirement poorer "$small")")
ok "another is left to its grace time" wait_for 40 state_is x1 ann "$t" ended
ok "which ended it" grep -q grace <<<"$(show "$t" .reason)" || show "$t" .reason
is "$(usage "$t" | jq '.amount <= 3000000')" true "it cost no more than its order"

# --- the XenoCorp is away ---
renew ann
before=$(show "$s" .spent)
corp_stop -9
sleep 4
is "$(session_state x1 ann "$s")" running "no session is disturbed when the XenoCorp is away"
u=$(new_session x1 ann "$(jq -r .chain <<<'{"chain":"x"}')" "$(requirement s "$small")")
is "$(problem "$(cat "$work/session")")" "400 order.format" "nonsense is refused without it"
ok "charges wait" [ "$(usage "$s" | jq .pending)" -gt 0 ]
stop x1 xenod -9
xenod_start x1
ok "also over a kill of xenod" wait_for 10 server_ready x1
corp_start --credential-life 60s
settled() { [ "$(usage "$s" | jq -c '[.pending < 1500000, .refused == [], .posted > 0]')" = '[true,true,true]' ]; }
ok "and are posted when it is back" wait_for 40 settled || usage "$s"
ok "time went on being charged" [ "$(show "$s" .spent)" -gt "$before" ]

renew ann
# --- everybody at once ---
# 300 wishes for what is there 100 times: 1000 msps each of 100,000 less what runs.
free=$(at x1 nobody GET /v1/status | jq .status.free.cpu_msps)
at x1 ann POST "/v1/sessions/$s/end" >/dev/null
wait_for 10 state_is x1 ann "$s" ended
one="$(requirement crowd '<CPUmsps>1000</CPUmsps><NetMbps>1</NetMbps><MemoryMB>4</MemoryMB><DiskMB>4</DiskMB>')"
echo "$one" >"$work/one.xml"
for i in $(seq 300); do
    echo "next"
    echo "url = \"https://127.0.0.1:$(cat "$work/x1/port")/v1/holds?ttl_s=5\""
    echo "header = \"Idempotency-Key: crowd-$i\""
    echo "header = \"Content-Type: application/xml\""
    echo "data-binary = \"@$work/one.xml\""
    echo "cert = \"$work/ann.pem\""
    echo "key = \"$work/ann.key\""
    echo "cacert = \"$corp_dir/ca.pem\""
    echo 'output = "/dev/null"'
    echo 'write-out = "%{http_code}\n"'
done | tail -n +2 >"$work/crowd.curl"
curl -sS --parallel --parallel-max 100 -K "$work/crowd.curl" >"$work/crowd.out" 2>"$work/crowd.err"
is "$(sort "$work/crowd.out" | uniq -c | xargs)" "100 201 200 503" "of 300 at once exactly 100 are admitted"
is "$(at x1 nobody GET /v1/status | jq .status.free.cpu_msps)" 0 "then nothing is left"
ok "all of it comes back when they expire" wait_for 10 eval \
    '[ "$(at x1 nobody GET /v1/status | jq .status.free.cpu_msps)" = 100000 ]'

# --- credentials ---
ok "the credential was renewed in the meantime" wait_for 60 eval '[ "$(serial)" != "$first" ]'
ok "and clients see the new one" wait_for 5 eval \
    '[ "$(echo | openssl s_client -connect 127.0.0.1:$(cat "$work/x1/port") 2>/dev/null | openssl x509 -noout -serial)" = "$(serial)" ]'
stop x1 xenod
sleep 62
not_ok "it expires while xenod is off" openssl x509 -in "$work/x1/xenod/credential.pem" -noout -checkend 0
xenod_start x1
ok "and is renewed at the start" wait_for 10 server_ready x1
ok "so that it is good again" openssl x509 -in "$work/x1/xenod/credential.pem" -noout -checkend 10
done_testing
