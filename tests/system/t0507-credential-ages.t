#!/bin/bash
# A XenoServer's credential is renewed before it ends, its clients see the new one at once, and one
# that ended while xenod was off is renewed at the start.
# A XenoStore's is renewed in the same way. On the null driver.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/../lib/store.sh"

life=12
credential() { ls "$work/$1/credential.pem" "$work/$1/xenod/credential.pem" 2>/dev/null; }
serial() { openssl x509 -in "$(credential "$1")" -noout -serial; }
served() {
    echo | openssl s_client -connect "127.0.0.1:$(cat "$work/$1/port")" 2>/dev/null |
        openssl x509 -noout -serial
}
good() { openssl x509 -in "$(credential "$1")" -noout -checkend "${2:-0}"; }
renewed() { [ "$(serial "$1")" != "$2" ]; }
serves() { [ "$(served "$1")" = "$(serial "$1")" ]; }
ended() { ! good "$1"; }

corp_init
corp_start --credential-life ${life}s
join op client "$token"
server_join x2
server_join x1
store_join
echo "${store#*:}" >"$work/store/port"
server_start x1
store_start
of_store=$(serial store)
is "$(served x1)" "$(serial x1)" "the credential is what clients see"
for turn in first second; do
    last=$(serial x1)
    ok "it is renewed before it ends, a $turn time" wait_for $life renewed x1 "$last"
    ok "clients see the new one" wait_for 5 serves x1
    ok "which is good" good x1
done
ok "so is a store's" renewed store "$of_store"
ok "and seen" wait_for 5 serves store
ok "another ends while its xenod is off" wait_for $((life + 5)) ended x2
last=$(serial x2)
server_start x2
ok "and is renewed at the start" renewed x2 "$last"
ok "so that it is good again" good x2
ok "and seen" wait_for 5 serves x2
# What was renewed is also what they show the XenoCorp: else they could not renew it for long.
renewals() { cat "$work/$1"*.log | grep -c 'credential.renewed serial='; }
ok "x1 has shown its new ones" test "$(renewals x1)" -ge 2
ok "and so has the store" test "$(renewals store)" -ge 1
is "$(cat "$work"/*.log | grep 'credential.renew .*error=')" "" "and nothing failed"
done_testing
