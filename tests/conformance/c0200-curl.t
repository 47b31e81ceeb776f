#!/bin/bash
# Can curl, with keys and requests made by openssl, do everything that the command line does? A whole
# life: join, get an order, hold, session, tasks, logs, exec, usage, bill, audit. No root: null driver. At the
# end, the verbs that were done are held against those of `xeno help`.
. "$(dirname "$0")/lib.sh"
. "$here/merkle.sh"
need curl openssl jq xxd
verbs() { printf '%s\n' "$@" >>"$work/verbs"; } # done here
corp_start
verbs register whoami "corp token" "corp fund"
client alice 20000000
xenod_start x1

# `ok` runs its command in a subshell, so what such a question sets is asked again where it is needed.
# state SESSION STATE: has it got there?
state() {
    call alice GET "$server_url/v1/sessions/$1"
    [ "$(jq -r .state <<<"$body")" = "$2" ]
}
task_state() {
    call alice GET "$server_url/v1/sessions/$session/tasks"
    [ "$(jq -r ".tasks[] | select(.task == \"$1\") | .state" <<<"$body")" = "$2" ]
}

# --- whom we talk to ---
ok "the XenoCorp's certificate is right for its address" curl -sS --cacert "$work/ca.pem" "$corp_url/healthz"
ok "and the XenoServer's" curl -sS --cacert "$work/ca.pem" "$server_url/healthz"
not_ok "not without the CA" curl -sS "$corp_url/healthz"
not_ok "TLS 1.2 is refused" curl -sS --tls-max 1.2 --cacert "$work/ca.pem" "$corp_url/healthz"
not_ok "so is plain HTTP" curl -sS --max-time 5 "${server_url/https/http}/healthz"
call - GET "$corp_url/v1/account"
is "$status $(jq -r .type <<<"$body")" "401 http.credential" "nothing without a certificate"
call alice GET "$corp_url/v1/account"
is "$(jq -r .id <<<"$body")" "$(id_of alice)" "with one, we are who joined"
call alice POST "$corp_url/v1/credentials/renew"
jq -r .certificate <<<"$body" >"$work/renewed.pem"
ok "the credential is renewed by its holder" openssl verify -CAfile "$work/ca.pem" "$work/renewed.pem"
cp "$work/renewed.pem" "$work/alice/credential.pem"
call - GET "$corp_url/v1/log/head"
head_read "$(jq -r .head <<<"$body")" "$work/ca.pem" || bail "the log's head" "$body"
seen=$size seen_root=$root

# --- order: create, list, account ---
verbs "order create" "order list" account
json alice POST "$corp_url/v1/orders" '{"amount":4000000,"lifetime_s":3600}' -H "$(once order-1)"
is "$status" 201 "an order is made"
order=$(jq -r .order <<<"$body") chain=$(jq -r .chain <<<"$body")
json alice POST "$corp_url/v1/orders" '{"amount":4000000,"lifetime_s":3600}' -H "$(once order-1)"
is "$(jq -r .order <<<"$body")" "$order" "asking again makes no second one"
like "$head" 'Idempotency-Replayed: true' "it is the same answer"
call alice GET "$corp_url/v1/orders"
is "$(jq -r '.orders | length' <<<"$body")" 1 "it is listed"
call alice GET "$corp_url/v1/account"
is "$(jq -r '"\(.free) \(.held)"' <<<"$body")" "16000000 4000000" "the amount is set aside"

# --- restrict, offline ---
verbs "order restrict" "order present"
me=("$work/alice/key.pem" "$(id_of alice)")
narrowed() { # RESTRICT-JSON
    local to
    to=$(id_of x1)
    present "${me[@]}" "$(restrict "${me[@]}" "$chain" "$1")" "$to"
}
elsewhere=$(narrowed "{\"servers\":[\"$(id_of alice)\"]}")
windows=$(narrowed '{"env_types":["Windows"]}')
slow=$(narrowed '{"max_rate":1}')
here_only=$(narrowed "{\"servers\":[\"$(id_of x1)\"],\"env_types\":[\"Linux\"],\"max_total\":3900000}")

# --- server status, hold, run --dry-run ---
verbs "server status" "server check" "server advertise" run
call - GET "$server_url/v1/status"
is "$(jq -r .status.server <<<"$body")" "$(id_of x1)" "the XenoServer says who it is"
cat >"$work/requirement.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<EnvironmentalRequirements>
  <Basic><EnvName>by curl</EnvName><EnvType>Linux</EnvType></Basic>
  <Network><EnvIPAddresses>0</EnvIPAddresses><Port port="80" protocol="tcp"/></Network>
  <QoS><CPUmsps>100</CPUmsps><NetMbps>1</NetMbps><MemoryMB>64</MemoryMB><DiskMB>64</DiskMB></QoS>
  <Limits><LifetimeSeconds>600</LifetimeSeconds><MaxPricePerHour>1.5</MaxPricePerHour></Limits>
</EnvironmentalRequirements>
XML
xml alice POST "$server_url/v1/holds?ttl_s=60" "$work/requirement.xml" -H "$(once hold-1)"
is "$status" 201 "a hold, from an XML document"
hold=$(jq -r .hold <<<"$body")
like "$(jq -c .price <<<"$body")" '"per_hour_max":[1-9]' "with a price"
ask=$(jq -n --arg hold "$hold" --arg chain "$chain" '{$hold, $chain, name: "by curl"}')
json alice POST "$server_url/v1/sessions?dry_run=1" "$ask" -H "$(once dry)"
is "$status $(jq -r .possible <<<"$body")" "200 true" "dry run: it could be made"
json alice POST "$server_url/v1/sessions" "$ask" -H "$(once bare)"
is "$status $(jq -r .type <<<"$body")" "403 order.presented" "but not from an order that is not presented"
# A dry run asks the XenoServer alone: it reads an order by the same rules as the XenoCorp.
for bad in "$elsewhere order.server" "$windows order.env_type" "$slow order.rate"; do
    json alice POST "$server_url/v1/sessions?dry_run=1" "$(jq --arg c "${bad% *}" '.chain = $c' <<<"$ask")" -H "$(once "${bad#* }")"
    is "$(jq -r .type <<<"$body")" "${bad#* }" "nor from one that openssl narrowed: ${bad#* }"
done
ask=$(jq --arg chain "$here_only" '.chain = $chain' <<<"$ask")
json alice POST "$server_url/v1/sessions?dry_run=1" \
    "$(jq -n --arg chain "$chain" --rawfile requirements "$work/requirement.xml" \
        '{$chain, requirements: ($requirements | sub("Linux"; "Plan9"))}')" -H "$(once dry2)"
is "$(jq -r .type <<<"$body")" host.env-type "dry run: and why it could not"
like "$(jq -r .detail <<<"$body")" Plan9 "in words, too"

# --- session ---
verbs "session create" "session show" "session ls"
json alice POST "$server_url/v1/sessions" "$ask" -H "$(once session-1)"
is "$status" 201 "a session, on an order narrowed to it"
session=$(jq -r .session <<<"$body")
ok "it runs" wait_for 15 state "$session" running
at=$server_url/v1/sessions/$session
call alice GET "$at"
like "$(jq -r '.ports[0].host_port' <<<"$body")" '^[0-9]+$' "its port is published"
call alice GET "$server_url/v1/sessions?limit=10"
is "$(jq -r '.sessions[].session' <<<"$body")" "$session" "it is listed"

# --- tasks, logs, signals ---
verbs deploy "session logs"
task_doc() {
    local name=$1 argv=
    shift
    printf -v argv '<Argument>%s</Argument>' "$@"
    echo "<Task><Name>$name</Name><Command>$argv</Command></Task>" >"$work/task.xml"
}
task_doc main sleep 600
xml alice POST "$at/tasks" "$work/task.xml" -H "$(once task-1)"
is "$status" 201 "a task"
task_doc short exit 4
xml alice POST "$at/tasks" "$work/task.xml" -H "$(once task-2)"
ok "it runs" wait_for 10 task_state main running
ok "and another ends" wait_for 10 task_state short exited
call alice GET "$at/tasks"
is "$(jq -r '.tasks[] | select(.task == "short") | .code' <<<"$body")" 4 "with its code"
call alice GET "$at/tasks/main/logs"
is "$status" 200 "its log can be read"
call alice GET "$at/tasks/short/logs?follow=1"
is "$status" 200 "and followed to the end"

# --- exec and attach: the upgrade, by curl and by openssl s_client ---
verbs "session exec" "session attach"
argv=$(jq -nr '["exit","5"] | tojson | @uri')
curl -sS --http1.1 --max-time 10 -N --cacert "$work/ca.pem" --cert "$work/alice/credential.pem" \
    --key "$work/alice/key.pem" -H 'Connection: Upgrade' -H 'Upgrade: xeno-stream/1' \
    -D "$work/head" -o "$work/frames" "$at/exec?argv=$argv" 2>"$work/curl.err"
like "$(head -n 1 "$work/head")" ' 101 ' "exec: the connection changes its protocol"
is "$(tail -c 10 "$work/frames")" '{"exit":5}' "the last frame has the exit code"
is "$(tail -c 15 "$work/frames" | head -c 5 | xxd -p)" 030000000a "on channel 3, with its length"
host=${server_url#https://}
{
    printf 'GET /v1/sessions/%s/exec?argv=%s HTTP/1.1\r\nHost: %s\r\n' "$session" "$argv" "$host"
    printf 'Connection: Upgrade\r\nUpgrade: xeno-stream/1\r\n\r\n'
    sleep 2
    printf '\0\0\0\0\0' # end of input
} | timeout 10 openssl s_client -quiet -verify_return_error -CAfile "$work/ca.pem" -connect "$host" \
    -cert "$work/alice/credential.pem" -key "$work/alice/key.pem" >"$work/frames" 2>"$work/s_client.err"
like "$(tr -d '\0' <"$work/frames")" 'HTTP/1.1 101' "openssl s_client does it as well"
like "$(tr -d '\0' <"$work/frames")" '"exit":5' "to the end"

task_doc door sleep 600
xml alice POST "$at/tasks" "$work/task.xml" -H "$(once task-3)"
ok "a task to attach to" wait_for 10 task_state door running
curl -sS --http1.1 --max-time 20 -N --cacert "$work/ca.pem" --cert "$work/alice/credential.pem" \
    --key "$work/alice/key.pem" -H 'Connection: Upgrade' -H 'Upgrade: xeno-stream/1' \
    -D "$work/head.attach" -o "$work/frames" "$at/tasks/door/attach" 2>"$work/curl.err" &
curl=$!
ok "attach: the connection changes its protocol" wait_for 10 grep -q ' 101 ' "$work/head.attach"
json alice POST "$at/tasks/door/signal" '{"signal":"TERM"}'
wait $curl
is "$(tail -c 12 "$work/frames")" '{"exit":143}' "attach: the last frame is the task's end"
call alice GET "$at/tasks/door/attach"
is "$status" 426 "attach is not there without the upgrade"

# --- what it wrote, as a tar with its digest behind it ---
verbs "session commit"
curl -sS --raw --max-time 10 --cacert "$work/ca.pem" --cert "$work/alice/credential.pem" \
    --key "$work/alice/key.pem" -D "$work/head" "$at/layer" -o "$work/chunks"
like "$(tr -d '\r' <"$work/head")" '^Trailer: Repr-Digest' "layer: a trailer is announced"
want=$(call alice GET "$at/layer" && openssl sha256 -binary "$work/body" | base64)
is "$(tail -n 3 "$work/chunks" | tr -d '\r' | sed -n 's/^Repr-Digest: sha-256=:\(.*\):$/\1/p')" "$want" "and comes: the digest of a tar"

# --- what happens, as server-sent events ---
verbs "session events"
curl -sS -N --max-time 2 --cacert "$work/ca.pem" --cert "$work/alice/credential.pem" \
    --key "$work/alice/key.pem" "$at/events" >"$work/events" 2>/dev/null
like "$(cat "$work/events")" '^event: task.exit' "events are told"
last=$(sed -n 's/^id: //p' "$work/events" | tail -n 1)
json alice POST "$at/tasks/main/signal" '{"signal":"TERM"}'
is "$status" 202 "a signal is sent"
ok "it ends the task" wait_for 10 task_state main exited
curl -sS -N --max-time 2 --cacert "$work/ca.pem" --cert "$work/alice/credential.pem" \
    --key "$work/alice/key.pem" -H "Last-Event-ID: $last" "$at/events" >"$work/events" 2>/dev/null
is "$(grep -c '^event: task.exit' "$work/events")" 1 "those after an id, only"

# --- pause, resume, suspend, restore, extend ---
verbs "session "{pause,resume,suspend,restore,extend}
call alice POST "$at/pause" -H "$(once v1)"
is "$status" 202 pause
ok paused wait_for 10 state "$session" paused
call alice POST "$at/resume" -H "$(once v2)"
ok resumed wait_for 10 state "$session" running
call alice POST "$at/suspend" -H "$(once v3)"
ok suspended wait_for 10 state "$session" suspended
json alice POST "$corp_url/v1/orders" '{"amount":3000000,"lifetime_s":3600}' -H "$(once order-2)"
order2=$(jq -r .order <<<"$body")
shown=$(present "$work/alice/key.pem" "$(id_of alice)" "$(jq -r .chain <<<"$body")" "$(id_of x1)")
json alice POST "$at/restore" "$(jq -cn --arg chain "$shown" '{$chain}')" -H "$(once v4)"
is "$status" 202 "restore, paid from another order"
ok restored wait_for 10 state "$session" running
call alice GET "$at"
ends=$(jq -r .ends_ms <<<"$body")
json alice POST "$at/extend" '{"lifetime_s":100}' -H "$(once v5)"
is "$(jq -r .ends_ms <<<"$body")" $((ends + 100000)) "extend"

# --- complain, signed by openssl ---
verbs complain
call alice GET "$server_url/v1/advert"
input=$(printf '{"alg":"EdDSA","kid":"%s","typ":"xeno-complaint+json"}' "$(id_of alice)" | b64url).$(jq -c --arg c "$(id_of alice)" \
    --arg s "$session" '{v: 1, client: $c, server: .id, session: $s, about: "other", advert: .advert, receipts: [], time_ms: 1}
        + if .delta then {delta: .delta} else {} end' <<<"$body" | b64url)
printf %s "$input" >"$work/input"
openssl pkeyutl -sign -inkey "$work/alice/key.pem" -rawin -in "$work/input" -out "$work/sig"
printf %s "$input.$(b64url <"$work/sig")" >"$work/complaint"
call alice POST "$corp_url/v1/complaints" -H 'Content-Type: application/jose' --data-binary "@$work/complaint"
is "$status $(jq .complaint <<<"$body")" "201 1" "a complaint is taken"
call alice GET "$corp_url/v1/complaints"
is "$(jq -c '.complaints | map([.complaint, .about, .count])' <<<"$body")" '[[1,"other",1]]' "and counted"

# --- usage, end, bill ---
verbs "session usage" "session end" bill "order close" "corp ledger"
sleep 2
call alice GET "$at/usage"
is "$status" 200 usage
call alice POST "$at/end" -H "$(once v6)"
ok ended wait_for 15 state "$session" ended
settled() {
    call alice GET "$at/usage"
    [ "$(jq -r .pending <<<"$body")" = 0 ]
}
ok "every charge is posted" wait_for 30 settled
call alice GET "$at/usage"
used=$(jq -r .amount <<<"$body")
ok "something was used" test "$used" -gt 0
call alice GET "$corp_url/v1/statement?limit=100"
is "$(jq "[.entries[] | select(.session == \"$session\") | .amount] | add | -." <<<"$body")" "$used" \
    "the bill is what the usage says"
for o in "$order" "$order2"; do
    call alice POST "$corp_url/v1/orders/$o/close" -H "$(once "close-$o")"
    is "$(jq -r .state <<<"$body")" closed "the order is closed"
done
call alice GET "$corp_url/v1/account"
is "$(jq -r '.free + .held' <<<"$body")" $((20000000 - used)) "and the rest came back"
call x1 GET "$corp_url/v1/account"
earned=$(jq -r .earned <<<"$body")
call operator GET "$corp_url/v1/admin/ledger?check=1"
is "$(jq -r .balanced <<<"$body")" true "the books balance"
is "$(jq -r .fees <<<"$body")" $((used - earned)) "fee and earnings make up the bill"

# --- the audit log: its head is signed, continues what was seen, and has the last charge in it ---
verbs "corp log" "corp verify"
call alice GET "$corp_url/v1/log/entries?limit=1000"
read -r n last < <(jq -r '[.entries[] | select(.leaf) | select(.leaf | fromjson | .act == "charge")] | last |
    "\(.n) \(.leaf)"' <<<"$body")
is "$(jq -r .session <<<"$last")" "$session" "the log tells its client what was charged"
covered() {
    call - GET "$corp_url/v1/log/head"
    head_read "$(jq -r .head <<<"$body")" "$work/ca.pem" && [ "$size" -gt "$n" ]
}
ok "a head that covers it is signed by the XenoCorp" wait_for 10 covered
covered
hashes() { local h && for h in $(jq -r '.proof[]' <<<"$body"); do hex_of "$h"; done; }
call alice GET "$corp_url/v1/log/inclusion?leaf=$n&size=$size"
# shellcheck disable=SC2046
is "$(included "$n" "$size" "$(leaf "$last")" $(hashes))" "$root" "the charge is in the tree of that root"
# shellcheck disable=SC2046
isnt=$(included "$n" "$size" "$(leaf "$last ")" $(hashes))
not_ok "another would not be" [ "$isnt" = "$root" ]
call alice GET "$corp_url/v1/log/consistency?first=$seen&second=$size"
# shellcheck disable=SC2046
is "$(consistent "$seen" "$seen_root" "$size" $(hashes))" "$seen_root $root" "which continues the one seen first"

# --- a XenoStore, for tools without a credential ---
store_start
verbs "store login" "store token" "store usage" "store ls" "store audit" "store reclaim"
json alice POST "$store_url/v1/login" '{"lifetime_s":60}'
password=$(jq -r .password <<<"$body")
call - GET "$store_url/v1/token?scope=repository:$(id_of alice)/x:push" -u "$(jq -r .client <<<"$body"):$password"
is "$status" 200 "a password gets a pass"
call - POST "$store_url/v2/$(id_of alice)/x/blobs/uploads/" -H "Authorization: Bearer $(jq -r .token <<<"$body")"
is "$status" 202 "which is enough to push"

call alice GET "$store_url/v1/usage"
is "$status $(jq -r .used_bytes <<<"$body")" "200 0" "what is there can be asked"

# --- an information service; the advert is made by openssl, too ---
xis_start
verbs "xis "{lookup,query,get,explain,watch,tokens,use}
advert() { # MEMORY VERSION: alice's, as if she were a XenoServer
    local key input
    key=$(openssl pkey -in "$work/alice/key.pem" -pubout -outform DER | tail -c 32 | b64url)
    input=$(printf '{"alg":"EdDSA","kid":"%s","typ":"xeno-advert+xml"}' "$(id_of alice)" | b64url).$(printf '%s' \
        "<Advert><Id>$(id_of alice)</Id><Key>$key</Key><Version>$2</Version><Expires>$(($(date +%s) + 600))000</Expires>" \
        "<Corp>$(id_of alice)</Corp><Isolation>null</Isolation><Endpoint>https://192.0.2.1:8443</Endpoint>" \
        "<MemoryMB>$1</MemoryMB></Advert>" | b64url)
    printf %s "$input" >"$work/input"
    openssl pkeyutl -sign -inkey "$work/alice/key.pem" -rawin -in "$work/input" -out "$work/sig"
    printf %s "$input.$(b64url <"$work/sig")" >"$work/advert"
}
advert 512 1
call alice PUT "$xis_url/v1/adverts/$(id_of alice)" -H 'Content-Type: application/jose' --data-binary "@$work/advert"
is "$status" 201 "an advert is taken"
call alice PUT "$xis_url/v1/adverts/$(id_of alice)" -H 'Content-Type: application/jose' --data-binary "@$work/advert"
is "$status $(jq -r '"\(.type) \(.version)"' <<<"$body")" "409 xis.old 1" "once"
call alice GET "$xis_url/v1/lookup?token=MemoryMB&min=512"
is "$(jq -c '[.total, .results[0].id, .results[0].value]' <<<"$body")" "[1,\"$(id_of alice)\",512]" "and found by what it says"
printf '{"token":"MemoryMB","max":100}\n{"token":"Isolation","is":"null"}\n' >"$work/lines"
call alice POST "$xis_url/v1/lookups" -H 'Content-Type: application/x-ndjson' --data-binary "@$work/lines"
is "$(jq -s -c 'map(.total)' <<<"$body")" "[0,1]" "many lookups are one request"
json alice POST "$xis_url/v1/query" '{"where":{"token":"MemoryMB","min":1},"documents":true}'
is "$(jq -r '.results[0].advert' <<<"$body")" "$(cat "$work/advert")" "a query gives what was signed"
call alice GET "$xis_url/v1/adverts/$(id_of alice)"
is "$(jq -r .advert <<<"$body")" "$(cat "$work/advert")" "so does asking for one"
json alice POST "$xis_url/v1/explain" '{"where":{"token":"MemoryMB","min":513}}'
is "$(jq -c '.clauses[0] | [.true, .false, .unknown]' <<<"$body")" "[0,1,0]" "why not is told"
call alice GET "$xis_url/v1/tokens?after=Id&limit=1"
is "$(jq -r '.tokens[0].token' <<<"$body")" Isolation "what there is to ask for, too"
json alice POST "$xis_url/v1/watches" '{"where":{"token":"MemoryMB","min":1},"min_interval_ms":100,"lease_s":60}'
watch=$(jq -r .watch <<<"$body")
while read -r event && [ "${event%$'\r'}" != "event: match" ]; do :; done < <(exec curl -sSN --max-time 20 \
    --cacert "$work/ca.pem" --cert "$work/alice/credential.pem" --key "$work/alice/key.pem" "$xis_url/v1/watches/$watch")
kill $!
is "$event" "event: match" "and what changes, as it does"
call alice DELETE "$xis_url/v1/watches/$watch"
is "$status" 204 "until one has heard enough"

verbs "overlay log" "overlay restore"
call alice GET "$store_url/v1/history?repository=$(id_of alice)/x&tag=1"
is "$status $(jq -c .heads <<<"$body")" "200 []" "what a tag stood for can be asked"
json alice POST "$store_url/v1/history" "{\"repository\":\"$(id_of alice)/x\",\"tag\":\"1\",\"to\":1}"
is "$status" 404 "and brought back, when there is something"

call alice GET "$store_url/v1/certificates"
is "$status $(jq -c .certificates <<<"$body")" "200 []" "what is paid for can be asked"
json alice POST "$store_url/v1/certificates/aaaaaaaaaaaaaaaa/reclaim" '{"reclaim":"x"}'
is "$status" 404 "only that can be reclaimed"
call alice GET "$corp_url/v1/audits"
is "$status $(jq -c .audits <<<"$body")" "200 []" "and audited by the XenoCorp"

# --- operators of the XenoCorp ---
verbs "corp charges" "corp list" "corp show" "corp disable"
call operator GET "$corp_url/v1/admin/charges?session=$session"
is "$(jq '[.charges[].amount] | add' <<<"$body")" "$used" "the audit trail adds up to the bill"
call operator POST "$corp_url/v1/admin/parties/$(id_of alice)/disable" -H "$(once disable)"
call operator GET "$corp_url/v1/admin/parties"
is "$(jq -r '.parties[] | select(.disabled) | "\(.name) \(.contact)"' <<<"$body")" "alice alice@example.net" \
    "a party is disabled, and listed"
server_id=$(jq -r '.parties[] | select(.kind == "server") | .id' <<<"$body" | head -n 1)
call operator GET "$corp_url/v1/admin/parties/$server_id"
is "$status $(jq -r '.details.machine.cpus > 0 and (.details.payout | type == "object")' <<<"$body")" "200 true" \
    "who is to be paid can be asked, and how"
call alice GET "$corp_url/v1/account"
is "$status" 401 "and out"

# --- was that everything? What is left asks nobody: it reads and writes files of this machine, or starts daemons.
# Pushing and pulling is the OCI distribution API, which t0430 holds against skopeo; finding is one request to an RD (t0720). ---
verbs "order show" "server "{add,remove,list} "template "{build,import,export,ls,show,diff,rm} \
    {template,overlay}" "{push,pull,publish} "overlay "{create,ls,tree} "store "{use,show} "publisher "{add,ls,rm} find "find use" "platform "{up,down,status} help completion
need xeno
is "$(xeno help | sed -n 's/^  \([a-z]* \{0,1\}[a-z]*\)  .*/\1/p' | sed 's/ *$//' | sort)" "$(sort "$work/verbs")" \
    "these are the verbs of the command line, no more and no less"
done_testing
