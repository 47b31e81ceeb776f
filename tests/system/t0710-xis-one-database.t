#!/bin/bash
# t0710 - three information services on one PostgreSQL: any node is killed, the database goes down, and
# meanwhile adverts are updated at whatever node answers. What was acknowledged is everywhere in the
# end, and no node ever shows an older version than it showed before.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/xis.sh"
. "$(dirname "$0")/../lib/xis-nodes.sh"
. "$(dirname "$0")/../lib/postgres.sh"
need_root

pg_init "$work" || bail "no PostgreSQL server (package postgresql)" "$(cat "$work/pg/log.init" 2>&1)"
at_end pg_stop
pg_start || bail "PostgreSQL does not start" "$(cat "$work/pg/log")"
corp_init
corp_start
join op client "$token"
seeds=6
for n in a b c; do node_join $n; done
for n in a b c; do node_start $n --database "$pg_url"; done
is "$(pg_sql 'SELECT count(*) FROM xis_clock')" 1 "three nodes that start at once make the tables once"

at() { # NODE METHOD SEED FILE: an update; the status
    curl -sS --max-time 20 --tlsv1.3 --cacert "$corp_dir/ca.pem" --cert "$work/op.pem" --key "$work/op.key" \
        -X "$2" -H 'Content-Type: application/jose' --data-binary "@$4" -o "$4.body" -w '%{http_code}' \
        "${node_url[$1]}/v1/adverts/$(xis_id "$3")" 2>/dev/null
}

# Publishers: each version to any node, and to another one until one takes it, as xenod does.
: >"$work/acknowledged"
publishing() {
    local v=100 s n nodes=(a b c) tries
    while [ ! -e "$work/enough" ] && [ $v -lt 2000 ]; do
        v=$((v + 1))
        s=$((v % seeds + 1))
        advertise seed=$s version=$v CPUmsps=$v Name=x$s >"$work/p.jws"
        for tries in 1 2 3 4 5 6; do
            n=${nodes[$((RANDOM % 3))]}
            case $(at $n PUT $s "$work/p.jws") in
            20?) echo "$s $v" >>"$work/acknowledged" && break ;;
            409) [ "$(jq -r .version "$work/p.jws.body")" != "$v" ] || echo "$s $v" >>"$work/acknowledged" && break ;;
            esac
        done
    done
}
# Readers: what each node shows of one advert, over time.
watching() {
    while [ ! -e "$work/enough" ]; do
        for n in a b c; do echo "$n $(version_at $n 1)" >>"$work/seen"; done
    done
}
acknowledged() { wc -l <"$work/acknowledged"; }
more_than() { [ "$(acknowledged)" -gt "$1" ]; }
publishing &
publisher=$!
watching &
watcher=$!
tap_pids+=($publisher $watcher)

ok "updates are taken" wait_for 30 more_than 12
node_stop b -9
before=$(acknowledged)
ok "they are taken beside a killed node" wait_for 30 more_than $((before + 12))
node_start b --database "$pg_url"
pg_stop
away() { [ "$(at_node a nobody GET /healthz >/dev/null; jq -r .database "$work/body")" = "$1" ]; }
ok "a node notices that the database is away" wait_for 30 away false
is "$(at_node a op GET '/v1/lookup?token=CPUmsps' | jq .total)" $seeds "without the database reads are answered"
advertise seed=1 version=5000 CPUmsps=1 >"$work/late.jws"
is "$(at a PUT 1 "$work/late.jws")" 503 "and updates are not"
like "$(jq -r .type "$work/late.jws.body")" 'db\.(away|io)' "it is said why"
pg_start
before=$(acknowledged)
ok "updates are taken again when it is back" wait_for 30 more_than $((before + 6))
node_stop a -9
node_stop c -9
node_start a --database "$pg_url"
node_start c --database "$pg_url"
before=$(acknowledged)
ok "and after two nodes were killed" wait_for 30 more_than $((before + 6))
touch "$work/enough"
wait $publisher $watcher

agree() {
    local s n v
    for ((s = 1; s <= seeds; s++)); do
        v=$(pg_sql "SELECT version FROM xis_advert WHERE id = '$(xis_id $s)'")
        for n in a b c; do [ "$(version_at $n $s)" = "$v" ] || return 1; done
    done
}
ok "in the end all nodes have what the database has" wait_for 20 agree
lost=0
for ((s = 1; s <= seeds; s++)); do
    [ "$(version_at b $s)" -ge "$(newest "$work/acknowledged" $s)" ] || lost=$((lost + 1))
done
is $lost 0 "nothing that was acknowledged is lost"
is "$(awk '$2 > 0 { if ($2 < high[$1]) bad++; high[$1] = $2 } END { print bad + 0 }' "$work/seen")" 0 \
    "no node showed an older version after a newer one"
advertise seed=1 version=101 CPUmsps=1 >"$work/old.jws"
is "$(for n in a b c; do at $n PUT 1 "$work/old.jws"; done)" 409409409 "no node takes an older version"

# A transaction that takes long does not make the others pass over what it wrote.
advertise seed=9 version=1 CPUmsps=9 >"$work/nine.jws"
advertise seed=8 version=1 CPUmsps=8 >"$work/eight.jws"
(pg_sql "BEGIN; UPDATE xis_clock SET seq = seq + 1; SELECT pg_sleep(1);
    INSERT INTO xis_advert (id, version, base, expires_ms, seq, withdrawn, carrier, jws)
    SELECT '$(xis_id 9)', 1, 1, (extract(epoch from clock_timestamp()) * 1000)::bigint + 600000, seq, 0, '$(xis_id 9)',
    '$(cat "$work/nine.jws")' FROM xis_clock; COMMIT" >/dev/null) &
slow=$!
at a PUT 8 "$work/eight.jws" >/dev/null
wait $slow
has() { [ "$(version_at "$1" "$2")" = 1 ]; }
for n in a b c; do
    ok "$n has what a slow transaction wrote" wait_for 20 has $n 9
    ok "$n has what was written meanwhile" wait_for 20 has $n 8
done
done_testing
