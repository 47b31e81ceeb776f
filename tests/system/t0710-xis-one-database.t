#!/bin/bash
# t0710 - three information services on one PostgreSQL: any node is killed, the database goes down, and
# meanwhile adverts are updated at whatever node answers. What was acknowledged is everywhere in the
# end, and no node ever shows an older version than it showed before. A node that starts while the
# database is away says so, and has everything when it comes.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/xis.sh"
. "$(dirname "$0")/../lib/xis-nodes.sh"
. "$(dirname "$0")/../lib/xis-follower.sh"
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

declare -A id
for s in {1..9}; do id[$s]=$(xis_id $s); done
ask() { curl -sS --max-time 20 --tlsv1.3 --cacert "$corp_dir/ca.pem" --cert "$work/op.pem" --key "$work/op.key" "$@" 2>/dev/null; }
at() { # NODE METHOD SEED FILE: an update; the status
    ask -X "$2" -H 'Content-Type: application/jose' --data-binary "@$4" -o "$4.body" -w '%{http_code}' \
        "${node_url[$1]}/v1/adverts/${id[$3]}"
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
        ask -w '\n%{url_effective}\n' "${node_url[a]}/v1/adverts/${id[1]}" "${node_url[b]}/v1/adverts/${id[1]}" \
            "${node_url[c]}/v1/adverts/${id[1]}" >>"$work/shown"
        sleep 0.1
    done
}
acknowledged() { wc -l <"$work/acknowledged"; }
more_than() { [ "$(acknowledged)" -gt "$1" ]; }
publishing &
publisher=$!
watching &
watcher=$!
follow f "${node_url[a]}" "${node_url[b]}" "${node_url[c]}" & # each time another node
follower=$!
tap_pids+=($publisher $watcher $follower)

ok "updates are taken" wait_for 30 more_than 6
node_stop b -9
before=$(acknowledged)
ok "they are taken beside a killed node" wait_for 30 more_than $((before + 6))
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

all_of() { ask "${node_url[$1]}/v1/changes?after=0" | jq -r '.changes[] | "\(.id)|\(.version)"' | sort; } # NODE: id|version
agree() {
    local n have
    have=$(pg_sql 'SELECT id, version FROM xis_advert' | sort)
    for n in a b c; do [ "$(all_of $n)" = "$have" ] || return 1; done
}
ok "in the end all nodes have what the database has" wait_for 20 agree
all_of b >"$work/b.all"
lost=0
for ((s = 1; s <= seeds; s++)); do
    [ "$(grep -F "${id[$s]}" "$work/b.all" | cut -d'|' -f2)" -ge "$(newest "$work/acknowledged" $s)" ] || lost=$((lost + 1))
done
is $lost 0 "nothing that was acknowledged is lost"
is "$(awk 'match($0, /"version":[0-9]+/) { v = substr($0, RSTART + 10, RLENGTH - 10) + 0 }
    /^https:/ { if (v > 0 && v < high[$1]) bad++; if (v > 0) { high[$1] = v; n++ } v = 0 }
    END { print bad + 0, (n > 10) }' "$work/shown")" "0 1" "no node showed an older version after a newer one"
touch "$work/f/enough"
wait $follower
follow_end f "${node_url[c]}"
is "$(wc -l <"$work/f/gaps") $(followed f)" "0 $(all_of c)" "who follows any of the nodes never begins again, and misses nothing"
advertise seed=1 version=101 CPUmsps=1 >"$work/old.jws"
is "$(for n in a b c; do at $n PUT 1 "$work/old.jws"; done)" 409409409 "no node takes an older version"

# A transaction that takes long does not make the others pass over what it wrote.
advertise seed=9 version=1 CPUmsps=9 >"$work/nine.jws"
advertise seed=8 version=1 CPUmsps=8 >"$work/eight.jws"
(pg_sql "BEGIN; UPDATE xis_clock SET seq = seq + 1; SELECT pg_sleep(0.5);
    INSERT INTO xis_advert (id, version, base, expires_ms, seq, withdrawn, carrier, jws)
    SELECT '${id[9]}', 1, 1, (extract(epoch from clock_timestamp()) * 1000)::bigint + 600000, seq, 0, '${id[9]}',
    '$(cat "$work/nine.jws")' FROM xis_clock; COMMIT" >/dev/null) &
slow=$!
at a PUT 8 "$work/eight.jws" >/dev/null
wait $slow
has() { [ "$(version_at "$1" "$2")" = 1 ]; }
for n in a b c; do
    ok "$n has what a slow transaction wrote" wait_for 20 has $n 9
    ok "$n has what was written meanwhile" wait_for 20 has $n 8
done

# --- a node that starts without its database ---
for n in a b c; do node_stop $n; done
pg_stop
node_begin a --database "$pg_url"
is "$(jq -r '"\(.state) \(.database)"' "$work/body") $(cat "$work/status")" "loading false 503" "a node without a database starts, and says so"
said() { at_node a op "$@" >/dev/null; echo "$(cat "$work/status") $(jq -r .type "$work/body")"; }
for path in '/v1/lookup?token=CPUmsps' "/v1/adverts/${id[1]}" '/v1/changes?after=0'; do
    is "$(said GET "$path")" "503 xis.loading" "$path is refused until the adverts are there"
done
is "$(at a PUT 8 "$work/eight.jws") $(jq -r .type "$work/eight.jws.body")" "503 xis.loading" "and so is an update"
like "$(ask -D - -o /dev/null "${node_url[a]}/v1/lookup?token=CPUmsps")" 'Retry-After: [1-9]' "it is told to come again"
pg_start
ok "it is ready when the database comes" wait_for 30 node_is_ready a
is "$(at_node a op GET '/v1/lookup?token=CPUmsps' | jq .total)" $((seeds + 2)) "and has what was there"
advertise seed=8 version=2 CPUmsps=2 >"$work/eight.jws"
is "$(at a PUT 8 "$work/eight.jws")" 200 "and takes updates"

# --- a database that is put back to an older state ---
"$pg_bin/pg_dump" -d "$pg_url" -Fc -f "$work/older"
advertise seed=9 version=2 CPUmsps=2 >"$work/nine.jws"
is "$(at a PUT 9 "$work/nine.jws")" 200 "an update"
epoch=$(at_node a op GET /v1/status | jq -r .epoch)
pg_stop
ok "the database goes" wait_for 30 away false
pg_start
pg_sql 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL' >/dev/null
"$pg_bin/pg_restore" --clean --if-exists --single-transaction -d "$pg_url" "$work/older" || bail "pg_restore"
kept() { [ "$(pg_sql "SELECT version FROM xis_advert WHERE id = '${id[9]}'")" = 2 ]; }
ok "and comes back as it was before: what the node has is written to it again" wait_for 40 kept
isnt() { [ "$1" != "$2" ]; }
ok "its numbers have another name" isnt "$(at_node a op GET /v1/status | jq -r .epoch)" "$epoch"
is "$(at_node a op GET "/v1/changes?epoch=$epoch&after=1" | jq .gap)" true "and who followed begins again"
pg_sql 'DROP TABLE xis_advert, xis_clock; DELETE FROM xeno_schema'
node_stop a
pg_stop
node_begin b --database "$pg_url"
pg_start
ok "one that starts before a new database makes the tables" wait_for 30 node_is_ready b
like "$(at b PUT 8 "$work/eight.jws")" "20[01]" "and keeps adverts in them"
done_testing
