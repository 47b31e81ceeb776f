#!/bin/bash
# A XenoServer says what it is to its information services: at once, when it changes, and that it is
# over. One that is away, slow or wrong costs the others and the sessions nothing. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"
corp_init
corp_start
join op client "$token" >/dev/null

a_node='{"endpoint":"https://127.0.0.1:1","owner":"o","payout":{"iban":"x"},"hosts":["127.0.0.1"]}'
xis_start() { # NAME
    [ -f "$work/$1.pem" ] || join "$1" node "$(new_token node)" "$a_node" || bail "no node $1" "$(cat "$work/$1.joined")"
    background "$1" python3 "$top/tests/lib/xis-peer.py" "$work/$1" "$(cat "$work/$1.port")" "$corp_dir/ca.pem"
    eval "$1_pid=$pid"
    wait_for 20 curl -s --cacert "$corp_dir/ca.pem" "https://127.0.0.1:$(cat "$work/$1.port")/healthz" ||
        bail "the peer $1 does not answer" "$(cat "$work/$1.log")"
}
heard() { grep -c "^$2" "$work/$1.heard" 2>/dev/null || true; } # NAME METHOD: how often
heard_more() { [ "$(heard "$1" "$2")" -gt "$3" ]; }
# LAST ELEMENT NAME: the value of an element in the last document of that kind.
said() { grep -o "<$3>[^<]*</$3>" "$work/$1.$2" | head -1 | sed 's/<[^>]*>//g'; }
said_is() { [ "$(said "$1" "$2" "$3")" = "$4" ]; }
metric() { at x nobody GET /metrics | sed -n "s|^$1{xis=\"https://127.0.0.1:$(cat "$work/$2.port")\"} ||p"; }
metric_is() { [ "$(metric "$1" "$2")" = "$3" ]; }

for x in a b; do free_port >"$work/$x.port"; done
xis_start a
server_join x "xis = https://127.0.0.1:$(cat "$work/a.port"), https://127.0.0.1:$(cat "$work/b.port")/" \
    "xis-interval = 200ms" "owner = The & Operator" "place = Cambridge" "country = GB" "latitude = 52.2" "longitude = 0.1" \
    'accept = {"token":"Client/Kind","is":"client"}' "operators = $(id_of op)"
check() { xenod --config "$work/x/xenod.conf" --check 2>&1 | grep ' XIS '; }
is "$(check | awk '{ print $1 }' | sort | paste -sd' ')" "MISSING ok" "--check says which of them answers"
server_start x
id=$(cat "$work/x.id")

# --- the whole, at once ---
ok "it is told" wait_for 10 said_is a PUT Accepting yes
is "$(said a PUT Id) $(said a PUT Corp) $(said a PUT Isolation) $(said a PUT Endpoint)" \
    "$id $(at x nobody GET /v1/status | jq -r .status.corp) null https://127.0.0.1:$(cat "$work/x/port")" \
    "who it is and where"
is "$(said a PUT Name)|$(said a PUT Operator)|$(said a PUT Place)|$(said a PUT Country)|$(said a PUT Latitude)|$(said a PUT Sessions)" \
    "x|The &amp; Operator|Cambridge|GB|52.2|0" "what it is called, whose it is and where it stands"
is "$(said a PUT Accept)" '{&quot;token&quot;:&quot;Client/Kind&quot;,&quot;is&quot;:&quot;client&quot;}' "and whom it accepts"
status=$(at x nobody GET /v1/status | jq .status)
is "$(said a PUT CPUmsps) $(said a PUT MemoryMB | grep -c .) $(said a PUT ReservedMicro)" \
    "$(jq '.free.cpu_msps' <<<"$status") 1 $(jq '.price.cpu.reserved' <<<"$status")" "what is free, and what it costs"
is "$(said a PUT HourCredits | grep -cx '[0-9]*\.[0-9]\{6\}')" 1 "with a price to order by"
at x nobody GET /v1/advert >"$work/advert"
is "$(jq -r .id "$work/advert") $(jq 'has("xis")' "$work/advert") $(at x op GET /v1/advert | jq -c '[.xis[].up]')" \
    "$id false [true,false]" "anybody may read it there, an operator who has it"

# --- one that is away ---
ok "the other one is away" metric_is xenod_xis_up b 0
xis_start b
ok "it is told as soon as it is there" wait_for 30 heard_more b PUT 0
ok "and that is known" wait_for 10 metric_is xenod_xis_up b 1

# --- what changes ---
new_client alice 1000000000
chain=$(new_order alice 100000000)
wholes=$(heard a PUT) before=$(said a PUT CPUmsps)
session=$(new_session x alice "$chain" "$(requirement s '<CPUmsps>400</CPUmsps>')") || bail "no session" "$(cat "$work/session")"
ok "a session is told as a delta" wait_for 10 said_is a PATCH CPUmsps "$((before - 400))"
is "$(awk '/^PATCH/ { b = $3 } END { print b }' "$work/a.heard")" "$(awk '/^PUT/ { v = $2 } END { print v }' "$work/a.heard")" "to the whole document before"
is "$(heard a PUT)" "$wholes" "which is not sent again"
ok "it is small" [ "$(wc -c <"$work/a.PATCH")" -lt $(($(wc -c <"$work/a.PUT") / 2)) ]
echo base >"$work/a.mode"
at x alice POST "/v1/sessions/$session/end" '{}' >/dev/null
ok "who has not the document gets the whole" wait_for 20 heard_more a PUT "$wholes"
rm "$work/a.mode"
sed -i 's/^place = .*/place = Oxford/' "$work/x/xenod.conf"
kill -HUP "$(cat "$work/x/xenod.pid")"
ok "a place is told, too" wait_for 20 said_is a PUT Place Oxford
is "$(awk '{ if ($2 <= last && $1 != "PUT") bad++; last = $2 } END { print bad + 0 }' "$work/b.heard")" 0 "versions grow"

# --- one that hangs, one that refuses ---
echo hang >"$work/a.mode"
echo refuse >"$work/b.mode"
sed -i 's/^place = .*/place = York/' "$work/x/xenod.conf"
kill -HUP "$(cat "$work/x/xenod.pid")"
ok "they hear of York" wait_for 20 said_is b PUT Place York
chain=$(new_order alice 100000000)
session=$(new_session x alice "$chain" "$(requirement s)")
ok "sessions do not notice" [ -n "$session" ]
ok "refusals are counted" wait_for 10 metric_is xenod_xis_refused_total b 1
rm "$work/b.mode"
kill "$a_pid"
wait "$a_pid" 2>/dev/null
rm "$work/a.mode"
xis_start a # it has forgotten everything

# --- after a crash, and at the end ---
last=$(awk '{ print $2 }' "$work/b.heard" | sort -n | tail -1)
wholes=$(heard b PUT)
stop x xenod -9
xenod_start x
ok "after a crash it is told again" wait_for 20 heard_more b PUT "$wholes"
ok "with a higher version" [ "$(awk '/^PUT/ { v = $2 } END { print v }' "$work/b.heard")" -gt "$last" ]
ok "which both have" wait_for 20 metric_is xenod_xis_up a 1
stop x xenod
is "$(heard a DELETE) $(heard b DELETE)" "1 1" "at the end it is withdrawn"
ok "above all versions" [ "$(said b DELETE Version)" -ge "$(awk '{ print $2 }' "$work/b.heard" | sort -n | tail -1)" ]
done_testing
