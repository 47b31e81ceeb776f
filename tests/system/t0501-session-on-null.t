#!/bin/bash
# A XenoServer on the null driver, used with nothing but curl and jq: holds, a session from order to
# last charge, tasks, logs, events, exec, repeats, refusals, prices that change, and what xenod may
# still do while it serves.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

xml() { local type=application/xml; at x1 "$@"; }
problem() { jq -r '"\(.status) \(.type)"' <<<"$1"; }
uri() { jq -rn --arg a "$1" '$a|@uri'; }
# exec_in SESSION ARGV-JSON MORE-QUERY [TOOL-OPTION...]: with standard input and output.
exec_in() {
    local s=$1 argv=$2 more=$3
    shift 3
    timeout 20 "$build/src/xenod/tests/stream-tool" \
        "https://127.0.0.1:$(cat "$work/x1/port")/v1/sessions/$s/exec?argv=$(uri "$argv")$more" \
        "$work/ann.key" "$work/ann.pem" "$corp_dir/ca.pem" "$@"
}

corp_init
corp_start
join op client "$token"
server_join x1 "charge-interval = 1s" "capacity.cpu = 1000" "reserve.cpu = 0" "headroom = 0" \
    "grace = 10s" "operators = $(id_of op)"
server_start x1
new_client ann 10000000
new_client bob 10000000
chmod 600 "$work"/*.key
server=$(cat "$work/x1.id")

# --- what it is ---
like "$(xenod --config "$work/x1/xenod.conf" --check)" "has the driver null" "--check finds what there is"
not_ok "--check fails when something is missing" \
    xenod --config "$work/x1/xenod.conf" --corp-url=https://127.0.0.1:1 --check
at x1 nobody GET /v1/status >"$work/st"
is "$(jq -r .status.server "$work/st") $(jq -r .status.free.cpu_msps "$work/st")" "$server 1000" \
    "anybody may ask what it is and what is free"
is "$(jq -c '.status | [.driver, .isolation, .accepting, .price.cpu.reserved > 0]' "$work/st")" '["null",["null"],true,true]' \
    "how it keeps sessions apart, that it takes some, and what they cost"
signed=$(jq -r .signed "$work/st" | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null | jq -c .)
is "$signed" "$(jq -c .status "$work/st")" "and the signed text is the same"
st=/proc/$(cat "$work/x1/xenod.pid")/status
is "$(awk '/^Cap(Prm|Eff|Bnd|Amb)/{print $2}' "$st" | sort -u) $(awk '/^(NoNewPrivs|Seccomp):/{print $2}' "$st" | xargs)" \
    "0000000000000000 1 2" "xenod holds no capability and is confined"
at x1 nobody GET /v1/sessions >"$work/a"
is "$(problem "$(cat "$work/a")")" "401 http.credential" "sessions are for those with a credential" ||
    cat "$work/a"

# --- holds ---
a=$(idem=h1 xml ann POST "/v1/holds?ttl_s=30" "$(requirement big '<CPUmsps>700</CPUmsps>')")
hold=$(jq -r .hold <<<"$a")
is "$(status) $(jq -r .grant.cpu_msps <<<"$a")" "201 700" "a hold is made"
is "$(idem=h1 xml ann POST "/v1/holds?ttl_s=30" "$(requirement big '<CPUmsps>700</CPUmsps>')" | jq -r .hold)" \
    "$hold" "its repeat is the same hold"
a=$(xml bob POST /v1/holds "$(requirement more '<CPUmsps>400</CPUmsps>')")
is "$(problem "$a")" "503 admission.cpu" "what is held is not sold again"
like "$(jq -r .detail <<<"$a")" "400.*300" "and the refusal says what was asked and what is left"
a=$(xml bob POST /v1/holds "$(requirement huge '<CPUmsps>1001</CPUmsps>')")
is "$(problem "$a")" "400 admission.cpu" "more than the host has is another answer"
is "$(problem "$(at x1 bob DELETE "/v1/holds/$hold")")" "404 hold.unknown" "a hold is its owner's"
is "$(at x1 ann DELETE "/v1/holds/$hold" | jq -r .released)" true "who can give it back"
a=$(xml bob POST /v1/holds "$(requirement x '<CPUmsps>0</CPUmsps>')")
like "$(problem "$a") $(jq -r .detail <<<"$a")" "400 xml.schema .*CPUmsps.* 1 to 1000000" \
    "a bad document: element and limit"
a=$(at x1 bob POST /v1/holds '{}')
is "$(problem "$a")" "415 api.type" "a requirement is XML"
a=$(xml bob POST /v1/holds "$(requirement x | sed 's/Linux/Windows/')")
is "$(problem "$a")" "501 host.env-type" "an environment type it does not run"

join other server "$(new_token server)" "$a_server"
is "$(problem "$(xml other POST /v1/holds "$(requirement x)")")" "403 api.kind" "a XenoServer buys nothing"

# --- one journal, one daemon ---
timeout 20 xenod --config "$work/x1/xenod.conf" --listen 127.0.0.1:0 >"$work/second" 2>&1
is "$?" 1 "a second daemon on the same journal, which would sell everything twice, is refused"
like "$(cat "$work/second")" 'identity.lock' "and says so" || sed 's/^/# /' "$work/second"

# --- the paper's example ---
a=$(xml ann POST /v1/holds "$(cat "$top/fuzz/corpus/requirement/paper.xml")")
is "$(status) $(jq -c '.grant | [.cpu_msps, .net_kbps, .addresses, .address != null]' <<<"$a")" \
    "201 [150,5000,1,true]" "the example of the paper is held as it stands"
at x1 ann DELETE "/v1/holds/$(jq -r .hold <<<"$a")" >/dev/null
is "$(problem "$(xml ann POST /v1/holds "$(cat "$top/fuzz/corpus/requirement/billion-laughs.xml")")")" \
    "400 xml.dtd" "an entity bomb is not"
head -c 11000000 /dev/zero | tr '\0' ' ' >"$work/10mb"
xml ann POST /v1/holds "@$work/10mb" >"$work/a" 2>/dev/null
is "$(status)" 413 "nor are ten megabytes"

# --- a session ---
chain=$(new_order ann 2000000)
order=$(cat "$work/order")
jq -n --arg c "$chain" --arg r "$(requirement web '<CPUmsps>300</CPUmsps>' '<Port port="80"/>')" \
    '{chain: $c, requirements: $r, name: "my web"}' >"$work/ask"
is "$(at x1 ann POST "/v1/sessions?dry_run=1" "@$work/ask" | jq -c .)" \
    '{"dry_run":true,"possible":true}' "a dry run says that it is possible"
is "$(at x1 ann GET /v1/sessions | jq '.sessions | length')" 0 "and makes nothing"
a=$(at x1 bob POST "/v1/sessions?dry_run=1" "@$work/ask")
is "$(problem "$a")" "403 order.holder" "an order is of no use to who is not its holder"
a=$(idem=s0 at x1 ann POST /v1/sessions "@$work/ask")
is "$(problem "$a")" "403 order.presented" "nor to a XenoServer that it is not presented to"
jq --arg c "$(present "$work/ann.key" "$(id_of ann)" "$chain" "$(id_of bob)")" '.chain = $c' "$work/ask" >"$work/astray"
a=$(idem=s00 at x1 ann POST /v1/sessions "@$work/astray")
is "$(problem "$a")" "403 order.presented" "also when it was presented to another"
jq --arg c "$(show_to x1 ann "$chain")" '.chain = $c' "$work/ask" >"$work/shown" && mv "$work/shown" "$work/ask"
a=$(idem=s1 at x1 ann POST /v1/sessions "@$work/ask")
s=$(jq -r .session <<<"$a")
is "$(status) $(jq -r '.state + " " + .name' <<<"$a")" "201 held my web" "the session is made"
is "$(idem=s1 at x1 ann POST /v1/sessions "@$work/ask" | jq -r .session)" "$s" \
    "its repeat is the same session"
ok "it runs when the XenoCorp has validated the order" wait_for 5 state_is x1 ann "$s" running
timeout 30 curl -sSN --cacert "$corp_dir/ca.pem" --cert "$work/ann.pem" --key "$work/ann.key" \
    "https://127.0.0.1:$(cat "$work/x1/port")/v1/sessions/$s/events" >"$work/events" 2>&1 &
events=$!
is "$(problem "$(at x1 bob GET "/v1/sessions/$s")")" "404 session.unknown" "for others there is none"
is "$(at x1 op GET "/v1/sessions/$s" | jq -r .session)" "$s" "but for the host's operator"
like "$(at x1 ann GET "/v1/sessions/$s" | jq -r '.ports[0].host_port')" '^1[6-9][0-9]{3}$' \
    "the port is published"
a=$(new_session x1 ann "$chain")
s2=$(jq -r .session "$work/session")
ok "a second session on the same order ends" wait_for 5 state_is x1 ann "$s2" ended
like "$(at x1 ann GET "/v1/sessions/$s2" | jq -r .reason)" "order.bound" "and says why"

# --- tasks, logs ---
a=$(idem=t1 xml ann POST "/v1/sessions/$s/tasks" "$(task_doc sleep 2)")
is "$(status) $(jq -r .task <<<"$a")" "201 t1" "a task is deployed"
idem=t1 xml ann POST "/v1/sessions/$s/tasks" "$(task_doc sleep 2)" >/dev/null
is "$(at x1 ann GET "/v1/sessions/$s/tasks" | jq -c '[.tasks[].task]')" '["t1"]' "its repeat deploys none"
a=$(xml ann POST "/v1/sessions/$s/tasks" "<Task><Command/></Task>")
is "$(problem "$a")" "400 xml.schema" "a bad task document"
begin=$(date +%s%N)
is "$(at x1 ann GET "/v1/sessions/$s/tasks/t1/logs?follow=1")" "null: sleep 2" "its log is followed"
ok "to the task's end" [ $(($(date +%s%N) - begin)) -gt 500000000 ]
is "$(at x1 ann GET "/v1/sessions/$s/tasks" | jq -c '.tasks[0] | [.state, .code]')" '["exited",0]' \
    "whose exit code is shown"
like "$(at x1 ann GET "/v1/sessions/$s/tasks/t1/logs?timestamps=1&tail=1")" '^20.*Z stdout F null' \
    "with times, if wanted"
is "$(problem "$(at x1 ann GET "/v1/sessions/$s/tasks/none/logs")")" "404 task.unknown" "no such task"
xml ann POST "/v1/sessions/$s/tasks" "$(task_doc sleep 100)" >/dev/null
wait_for 5 eval 'at x1 ann GET "/v1/sessions/$s/tasks" | grep -q running'
at x1 ann POST "/v1/sessions/$s/tasks/t2/signal" '{"signal":"KILL"}' >/dev/null
is "$(status)" 202 "a signal is sent"
t2() { at x1 ann GET "/v1/sessions/$s/tasks" | jq -c '.tasks[1] | [.state, .code]'; }
wait_for 5 eval '[ "$(t2)" = "[\"exited\",137]" ]'
is "$(t2)" '["exited",137]' "and ends the task"
is "$(problem "$(at x1 ann POST "/v1/sessions/$s/tasks/t2/signal" '{"signal":"NONE"}')")" \
    "400 task.signal" "there is no such signal"

# --- exec ---
xml ann POST "/v1/sessions/$s/tasks" "$(task_doc sleep 1000)" >/dev/null
is "$(echo hello | exec_in "$s" '["cat"]' '' 2>/dev/null)" hello "exec carries both ways"
exec_in "$s" '["exit","3"]' '' </dev/null >/dev/null 2>&1
is $? 3 "and the exit code"
head -c 3000000 /dev/urandom >"$work/big"
cat "$work/big" | exec_in "$s" '["cat"]' '' >"$work/big2" 2>/dev/null
ok "three megabytes there and back are the same" cmp "$work/big" "$work/big2"
like "$(printf 'a\n' | exec_in "$s" '["cat"]' '&tty=1' resize=100,40 2>/dev/null | tr -d '\r')" '^a$' \
    "a terminal"
like "$(exec_in "$s" '{}' '' 2>&1)" "api.query: argv" "argv must be words"
like "$(at x1 ann GET "/v1/sessions/$s/exec?argv=%5B%22a%22%5D" | jq -r .type)" http.upgrade \
    "exec without an upgrade is refused"
is "$(status)" 426 "with the status for it"

# --- what it costs ---
a=$(at x1 ann GET "/v1/sessions/$s/usage")
ok "usage is itemised" [ "$(jq '[.items[].res] | length' <<<"$a")" = 5 ]
ok "what was charged is posted at the XenoCorp" wait_for 8 eval \
    '[ "$(at x1 ann GET "/v1/sessions/$s/usage" | jq .posted)" -gt 0 ]'
echo "tariff.cpu.used = 0.5" >>"$work/x1/xenod.conf"
kill -HUP "$(cat "$work/x1/xenod.pid")"
epoch() { at x1 nobody GET /v1/status | jq -c '.status.price | [.epoch, .cpu.used]'; }
wait_for 5 eval '[ "$(epoch)" = "[2,500000]" ]'
is "$(epoch)" '[2,500000]' "a reload changes prices, which get a new number"
is "$(at x1 ann GET "/v1/sessions/$s/usage" | jq .tariff)" 1 "but not those that were agreed on"
sed -i '$d' "$work/x1/xenod.conf"
echo "nonsense = 1" >>"$work/x1/xenod.conf"
kill -HUP "$(cat "$work/x1/xenod.pid")"
ok "a bad file is told and changes nothing" wait_for 5 grep -q "config.reload .*nonsense" "$work/x1-xenod.log"
is "$(epoch)" '[2,500000]' "prices are as before"
sed -i '$d' "$work/x1/xenod.conf"

# --- verbs ---
verb() { at x1 ann POST "/v1/sessions/$s/$1" "${2:-}" | jq -r .state; }
verb pause >/dev/null
ok "pause" wait_for 5 state_is x1 ann "$s" paused
verb resume >/dev/null
ok "resume" wait_for 5 state_is x1 ann "$s" running
verb suspend >/dev/null
ok "suspend" wait_for 5 state_is x1 ann "$s" suspended
is "$(problem "$(at x1 ann POST "/v1/sessions/$s/pause")")" "409 session.state" "no pause then"
verb restore '{}' >/dev/null
ok "restore" wait_for 5 state_is x1 ann "$s" running
ends=$(at x1 ann GET "/v1/sessions/$s" | jq .ends_ms)
verb extend '{"lifetime_s":60}' >/dev/null
is "$(($(at x1 ann GET "/v1/sessions/$s" | jq .ends_ms) - ends))" 60000 "extend"
is "$(problem "$(at x1 ann POST "/v1/sessions/$s/extend" '{}')")" "400 api.extend" "by something"
verb end >/dev/null
ok "end" wait_for 5 state_is x1 ann "$s" ended
ok "the stream of events ends with it" wait_for 5 eval '! kill -0 $events'
is "$(grep -c '^event: session.state' "$work/events")" 11 "and told every state" ||
    cat "$work/events" >&2
like "$(grep '^event: task' "$work/events" | sort -u | tr '\n' ' ')" 'task.exit event: task.started' \
    "and every task"

# --- the bill ---
ok "everything is posted" wait_for 8 eval '[ "$(at x1 ann GET "/v1/sessions/$s/usage" | jq .pending)" = 0 ]'
a=$(at x1 ann GET "/v1/sessions/$s/usage")
is "$(jq -c '.amount == .posted and .amount == ([.items[].amount] | add)' <<<"$a")" true \
    "charges add up to the items"
is "$(as ann GET "/v1/orders/$order" | jq .charged)" "$(jq .amount <<<"$a")" \
    "and to what the order was charged"
is "$(as ann GET /v1/statement?limit=100 | jq '[.entries[] | select(.kind == "charge") | .amount] | add')" \
    "-$(jq .amount <<<"$a")" "and to the statement"
is "$(at x1 nobody GET /v1/status | jq .status.free.cpu_msps)" 1000 "everything is free again"
like "$(at x1 nobody GET /metrics)" 'xenod_task_manager_up 1' "metrics"
proofs() { at x1 nobody GET /metrics | grep -q '^xeno_host_corp_log_proofs_total [1-9]'; }
ok "the XenoCorp proved that its log goes on" wait_for 20 proofs
is "$(at x1 nobody GET /v1/status | jq -c '.status.corp_log | [.consistent, .size > 5]')" "[true,true]" \
    "which the status shows"

# --- a credential that is revoked ---
at x1 bob GET /v1/sessions >/dev/null
is "$(status)" 200 "bob may ask"
as op POST "/v1/admin/parties/$(id_of bob)/disable" >/dev/null
kill -HUP "$(cat "$work/x1/xenod.pid")"
bob_out() { at x1 bob GET /v1/sessions >/dev/null && [ "$(status)" = 401 ]; }
ok "until he is disabled and the list was fetched" wait_for 20 bob_out
done_testing
