#!/bin/bash
# t0711 - three information services with a database each that pull from each other: one is cut off and
# comes back, one is killed, one has lost its disk. All have the same in the end, and nothing older.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/xis.sh"
. "$(dirname "$0")/../lib/xis-nodes.sh"
need_root

corp_init
corp_start
join op client "$token"
for n in a b c; do node_join $n; done
peers() { # of NODE: the others
    local n list=()
    for n in a b c; do [ $n = "$1" ] || list+=("${node_url[$n]}"); done
    (IFS=, && echo "${list[*]}")
}
start() { node_start "$1" --peers "$(peers "$1")"; }
for n in a b c; do start $n; done

send_to() { # NODE METHOD SEED FILE
    at_node "$1" op "$2" "/v1/adverts/$(xis_id "$3")" -H 'Content-Type: application/jose' --data-binary "@$4" >/dev/null
}
put() { # NODE SEED VERSION
    advertise seed="$2" version="$3" CPUmsps="$3" Name="x$2" >"$work/p$2.jws"
    send_to "$1" PUT "$2" "$work/p$2.jws"
}
has() { [ "$(version_at "$1" "$2")" = "$3" ]; }
all_have() { for n in a b c; do has $n "$1" "$2" || return 1; done; }

put a 1 10
put b 2 10
put c 3 10
for s in 1 2 3; do ok "what one node takes, all have (x$s)" wait_for 30 all_have $s 10; done
advertise seed=1 version=11 base="$work/p1.jws" CPUmsps=77 Name=x1 >"$work/d.jws"
send_to b PATCH 1 "$work/d.jws"
is "$(cat "$work/status")" 200 "a delta is taken where the advert came by replication"
ok "and goes on with it" wait_for 30 all_have 1 11
found() { [ "$(at_node "$1" op GET '/v1/lookup?token=CPUmsps&is=77' | jq .total)" = 1 ]; }
ok "it is found by its number" wait_for 30 found c

# One that is away misses updates and a withdrawal.
node_stop c -9
put a 2 20
put b 4 20
advertise seed=3 version=20 withdraw=yes >"$work/w.jws"
send_to a DELETE 3 "$work/w.jws"
gone() { has "$1" 3 0; }
ok "the others go on without it" wait_for 30 has a 4 20
ok "a withdrawal is told" wait_for 30 gone b
start c
ok "it comes back: what is new comes" wait_for 30 has c 2 20
ok "what it never had" wait_for 30 has c 4 20
ok "and what was withdrawn goes" wait_for 30 gone c
send_to c PUT 3 "$work/p3.jws"
is "$(cat "$work/status")" 409 "and does not come back in an older version"

# One that was cut off took updates that nobody else has; the other side took others.
node_stop a
node_stop b
put c 5 30
put c 2 30
node_stop c
start a
start b
put a 5 31
put b 6 30
ok "two agree" wait_for 30 has a 6 30
start c
ok "three agree: the newer one" wait_for 30 all_have 5 31
ok "what one side took" wait_for 30 all_have 2 30
ok "what the other side took" wait_for 30 all_have 6 30

# A lost disk: everything comes from the others.
node_stop b -9
rm -f "$work"/b/xis.db*
start b
for s in 1 2 4 5 6; do wait_for 30 has b $s "$(version_at a $s)"; done
is "$(for s in 1 2 4 5 6; do version_at b $s; done | xargs)" "$(for s in 1 2 4 5 6; do version_at a $s; done | xargs)" \
    "a node that lost its disk has everything again"
like "$(at_node b op GET /v1/status | jq -c .replication)" '"refused":0.*"doubts":0' "and the status says how that went"

is "$(at_node a op POST /v1/replica -H 'Content-Type: application/json' -d '{"n":1,"fetch":[]}' | jq -r .type)" replica.node \
    "only nodes replicate"
like "$(xisd --dir "$work/a" --corp-url "$url" --peers here 2>&1)" 'xis.peers.*no https' "peers are URLs"
done_testing
