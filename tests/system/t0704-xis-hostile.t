#!/bin/bash
# What hostile publishers and askers are told by an information service: each bound once, with the refusal
# that names it. In the end everything that was right before is still there.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/xis.sh"
corp_init
corp_start
join op client "$token" || bail "the operator joins" "$(cat "$work/body")"
as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' >/dev/null
join eve client "$(jq -r .token "$work/body")" || bail "eve joins" "$(cat "$work/body")"
xis_join
xis_start --own-rate 10000 --other-adverts 3 --other-bytes 64K --own-tokens 600 --watches 2 --waiting 2

said() { echo "$(status) $(jq -r .type "$work/body" 2>/dev/null)"; }
text() { jq -r .detail "$work/body"; }
# refused WHAT STATUS TYPE [TEXT]: of the last answer
refused() {
    is "$(said)" "$2 $3" "$1" || head -c 300 "$work/body" | sed 's/^/# /'
    [ $# -lt 4 ] || like "$(text)" "$4" "and says why: $4"
}
publish op 1 1 CPUmsps=500 Name=good >/dev/null
is "$(status)" 201 "one that is as it should be"
raw() { # SEED NAME: the document in $work/NAME, signed as an advert, sent by eve
    advertise seed="$1" payload="$work/$2" >"$work/$2.jws"
    send eve PUT "$1" "$work/$2.jws" >/dev/null
}
document() { # SEED: what an advert begins with, and what is on standard input
    advertise seed="$1" | cut -d. -f2 | basenc -d --base64url 2>/dev/null | sed 's|</Advert>||'
    cat
    echo '</Advert>'
}

# --- documents ---
head -c 10000000 /dev/zero | tr '\0' a >"$work/large"
send eve PUT 2 "$work/large" >/dev/null
refused "10 MB" 413 http.body
for i in $(seq 513); do echo "<T>$i</T>"; done | document 2 >"$work/many"
raw 2 many
refused "too many tokens" 400 advert.bounds '512'
{ printf '<Long>' && head -c 257 /dev/zero | tr '\0' x && printf '</Long>'; } | document 2 >"$work/long"
raw 2 long
refused "a long value" 400 advert.bounds 'Long.*256|256.*Long'
{ for i in $(seq 9); do printf '<D%d>' "$i"; done && echo 1 && for i in $(seq 9 -1 1); do printf '</D%d>' "$i"; done; } |
    document 2 >"$work/deep"
raw 2 deep
refused "a deep tree" 400 advert.bounds
printf '<!DOCTYPE Advert [<!ENTITY a "b">]><Advert>&a;</Advert>' >"$work/entity"
raw 2 entity
is "$(status)" 400 "entities"
document 3 </dev/null >"$work/other"
raw 2 other
refused "another's name under one's own key" 403 advert.key
advertise seed=3 >"$work/3.jws"
send eve PUT 2 "$work/3.jws" >/dev/null
refused "another's advert in one's own place" 400 xis.id
sed 's/.\{8\}$/AAAAAAAA/' "$work/3.jws" >"$work/forged"
send eve PUT 3 "$work/forged" >/dev/null
refused "a signature that is not" 403 jws.signature
publish eve 3 1 lease-ms=2366841600000 >/dev/null
refused "a lease until 2100" 400 advert.lease
publish eve 3 1 lease-ms=-1000 >/dev/null
refused "one that is over" 400 advert.expired

# --- too much of what is right ---
for seed in 3 4 5; do publish eve "$seed" 1 A=1 >/dev/null; done
publish eve 6 1 A=1 >/dev/null
refused "more adverts than one may carry" 403 xis.quota '3'
xis op GET "/v1/adverts/$(xis_id 6)" >/dev/null
is "$(status)" 404 "which is not there then"
mapfile -t wide < <(seq -f 'W%g=x' 0 400)
publish eve 3 2 "${wide[@]}" >/dev/null
is "$(status)" 200 "many tokens that nobody had"
mapfile -t wide < <(seq -f 'V%g=x' 0 400)
publish eve 4 2 "${wide[@]}" >/dev/null
refused "more of them than one may bring" 403 xis.quota
is "$(xis op GET "/v1/adverts/$(xis_id 4)" | jq .version)" 1 "what was there before stays"
mapfile -t heavy < <(for i in $(seq 0 200); do printf 'H=%0250d%03d\n' 0 "$i"; done)
publish eve 5 2 "${heavy[@]}" >/dev/null
refused "more bytes than one may carry" 403 xis.quota

# --- questions ---
xis eve GET '/v1/lookup?token=CPUmsps&limit=1001' >/dev/null
refused "more results than there are" 400 lookup.limit 1000
xis eve GET '/v1/lookup?token=CPUmsps&min=x' >/dev/null
refused "no number" 400 lookup.number
for i in $(seq 1001); do echo '{"token":"CPUmsps"}'; done >"$work/lines"
xis eve POST /v1/lookups --data-binary "@$work/lines" >/dev/null
refused "a batch of 1,001" 413 lookup.lines 1000
for i in $(seq 21); do echo '{"token":"CPUmsps","limit":1000}'; done >"$work/lines"
xis eve POST /v1/lookups --data-binary "@$work/lines" >"$work/o"
is "$(jq -r '.error.type // "ok"' "$work/o" | uniq -c | xargs)" "20 ok 1 lookup.limit" "the results of a batch are bounded together"
ask() { xis eve POST "$1" -H 'Content-Type: application/json' --data-binary "$2" >/dev/null; }
deep='{"token":"A","min":1}'
for i in $(seq 8); do deep="{\"not\":$deep}"; done
ask /v1/query "{\"where\":$deep}"
is "$(said)" "400 query.depth" "a deep query"
ask /v1/query "{\"where\":{\"and\":[$(yes '{"token":"A","min":1}' | head -n 64 | paste -sd,)]}}"
is "$(said)" "400 query.nodes" "a wide one"
ask /v1/query "{\"where\":{\"token\":\"$(head -c 70000 /dev/zero | tr '\0' a)\",\"min\":1}}"
is "$(status)" 413 "a long one"
for i in 1 2 3; do ask /v1/watches '{"where":{"token":"A","min":1},"lease_s":60}'; done
refused "more watches than one may have" 429 xis.watches
w=$(xis op POST /v1/watches -H 'Content-Type: application/json' -d '{"where":{"token":"A","min":1},"lease_s":60}' | jq -r .watch)
xis eve DELETE "/v1/watches/$w" >/dev/null
refused "another's watch" 404 xis.watch
xis nobody GET '/v1/lookup?token=A' >/dev/null
refused "nobody" 401 http.credential

# --- readers that stand still ---
# 24 batches whose answers are 6 MB each, by connections that hold little and are not read.
xis_stop
xis_start --requests-per-peer 24
mapfile -t heavy < <(for i in $(seq 200); do printf 'H=%0250d%03d\n' 0 "$i"; done)
publish op 7 1 "${heavy[@]}" >/dev/null
is "$(status)" 201 "an advert with 200 long values"
for i in $(seq 100); do echo '{"token":"H","limit":200}'; done >"$work/lines"
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$xis_pid/status"; }
before=$(resident)
mkfifo "$work/go"
python3 "$top/tests/lib/slow-batches.py" 24 "$xis" "$work/op.pem" "$work/op.key" "$work/lines" "$work/go" >"$work/slow" &
slow=$!
tap_pids+=("$slow")
wait_for 20 grep -q sent "$work/slow" || bail "24 slow readers"
refused_yet() { xis op GET '/v1/lookup?token=H&limit=0' >/dev/null && [ "$(status)" = 429 ]; }
wait_for 20 refused_yet
refused "one more request of that credential" 429 http.running 24
is "$(xis eve GET '/v1/lookup?token=H&limit=0' | jq .total)" 200 "others are served"
grown=$((($(resident) - before) / 1024))
ok "what is not read is not made: $grown MB for 24 answers of 6 MB" test "$grown" -lt 72
publish eve 3 3 H=1 >/dev/null
is "$(status)" 200 "and the index goes on"
echo >"$work/go"
wait "$slow"
is "$(sort "$work/slow" | uniq -c | xargs)" "24 100 lines, first 200, last 201 1 sent" "lines that were read later were looked up later"

# --- floods ---
xis_stop
xis_start --own-rate 1 --lookup-rate 1000
is "$(xis op GET "/v1/adverts/$(xis_id 4)" | jq .version)" 1 "what was refused is not in the database either"
until_429() { # COMMAND...: again and again, on a slow machine more often
    for _ in $(seq 100); do
        "$@" >/dev/null
        [ "$(status)" = 429 ] && return
    done
}
until_429 send eve PUT 3 "$work/3.jws"
refused "updates without end" 429 xis.rate
for i in $(seq 1000); do echo '{"token":"A","limit":1}'; done >"$work/lines"
until_429 xis eve POST /v1/lookups --data-binary "@$work/lines"
refused "and questions without end" 429 xis.rate 'lookup-rate'
is "$(xis op GET '/v1/lookup?token=Name&is=good' | jq .total)" 1 "others are served as before"

# --- what a query looks at is counted: the 100 for itself would be over in 100 s ---
xis_stop
xis_start --lookup-rate 1
for i in $(seq 20 34); do publish op "$i" 1 >/dev/null; done
ask /v1/query '{"where":{"token":"Id","exists":true}}'
is "$(jq .total "$work/body")" 19 "a query that looks at all"
ask /v1/query '{"where":{"token":"Id","exists":true}}'
refused "and another" 429 xis.rate 'come again in 1(0[3-9]|1[0-9]|20) s'
done_testing
