#!/bin/bash
# A XenoServer when money runs out and when the XenoCorp is away. On the null driver.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

problem() { jq -r '"\(.status) \(.type)"' <<<"$1"; }
show() { at x1 ann GET "/v1/sessions/$1" | jq -r "$2"; }
events() { # SESSION: those that are remembered, one a line
    timeout 3 curl -sSN --cacert "$corp_dir/ca.pem" --cert "$work/ann.pem" --key "$work/ann.key" \
        "https://127.0.0.1:$(cat "$work/x1/port")/v1/sessions/$1/events" 2>/dev/null |
        paste -sd' ' | sed 's/id: /\n/g'
}
warned_twice() { # a stream has no end, and on a busy machine 3 s may be too short for what it has
    events "$1" >"$work/events"
    [ "$(grep -c 'order.low' "$work/events")" = 2 ]
}
usage() { at x1 ann GET "/v1/sessions/$1/usage"; }

corp_init
corp_start
join op client "$token"
# Dear enough that an order lasts for seconds: 0.2 credits of CPU reservation a second.
server_join x1 "charge-interval = 1s" "grace = 40s" "capacity.cpu = 100000" "reserve.cpu = 0" \
    "headroom = 0" "tariff.cpu.reserved = 1" "tariff.disk.reserved = 100"
server_start x1
new_client ann 1000000000

# --- an order that runs out ---
small='<CPUmsps>200</CPUmsps><NetMbps>1</NetMbps><MemoryMB>4</MemoryMB><DiskMB>4</DiskMB>'
s=$(new_session x1 ann "$(new_order ann 3000000)" "$(requirement poor "$small")")
ok "a session with little money runs" wait_for 5 state_is x1 ann "$s" running || cat "$work/session"
t=$(new_session x1 ann "$(new_order ann 3000000)" "$(requirement poorer "$small")")
ok "it is suspended when the money is out" wait_for 60 state_is x1 ann "$s" suspended
is "$(show "$s" .reason)" order.spent "for that reason"
ok "after two warnings" wait_for 1 warned_twice "$s" || sed 's/^/# /' "$work/events"
left=$(show "$s" .left)
ok "something was set aside for the grace time" [ "$left" -gt 0 ]
is "$(problem "$(at x1 ann POST "/v1/sessions/$s/restore" '{}')")" "402 order.spent" \
    "it is not restored without money"
chain=$(show_to x1 ann "$(new_order ann 200000000)")
is "$(at x1 ann POST "/v1/sessions/$s/restore" "$(jq -n --arg c "$chain" '{chain: $c}')" | jq -r .session)" \
    "$s" "another order is given"
ok "and it runs again" wait_for 5 state_is x1 ann "$s" running
is "$(show "$s" .order)" "$(cat "$work/order")" "on that order"
ok "another is left to its grace time" wait_for 120 state_is x1 ann "$t" ended
ok "which ended it" grep -q grace <<<"$(show "$t" .reason)" || show "$t" .reason
is "$(usage "$t" | jq '.amount <= 3000000')" true "it cost no more than its order"

# --- the XenoCorp is away ---
before=$(show "$s" .spent)
corp_stop -9
sleep 4
is "$(session_state x1 ann "$s")" running "no session is disturbed when the XenoCorp is away"
u=$(new_session x1 ann x "$(requirement s "$small")")
is "$(problem "$(cat "$work/session")")" "400 order.format" "nonsense is refused without it"
ok "charges wait" [ "$(usage "$s" | jq .pending)" -gt 0 ]
stop x1 xenod -9
xenod_start x1
ok "also over a kill of xenod" wait_for 10 server_ready x1
corp_start
settled() { [ "$(usage "$s" | jq -c '[.pending < 1500000, .refused == [], .posted > 0]')" = '[true,true,true]' ]; }
ok "and are posted when it is back" wait_for 40 settled || usage "$s"
ok "time went on being charged" [ "$(show "$s" .spent)" -gt "$before" ]

done_testing
