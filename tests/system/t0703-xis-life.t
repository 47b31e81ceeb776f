#!/bin/bash
# An information service as XenoServers and askers see it: adverts, deltas, withdrawals, lookups, changes,
# leases that end, a restart; and kill -9 while updates arrive: nothing acknowledged is lost, nothing older
# comes back. Adverts are made by src/xisd/tests/advertise.c.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/xis.sh"
. "$(dirname "$0")/../lib/xis-follower.sh"
corp_init
corp_start
join op client "$token" || bail "the operator joins" "$(cat "$work/body")"
xis_join
xis_start

type_of() { jq -r .type "$work/body"; }
apart() { # NAME COMMAND...: with its own files for answers, so that it may run beside others
    local work=$work/$1
    mkdir -p "$work" && cp "$work"/../op.* "$work"
    "${@:2}"
}
total() { xis op GET "/v1/lookup?$1&limit=0" | jq .total; }
one=$(xis_id 1) two=$(xis_id 2)

# --- advertise, update, withdraw ---
publish op 1 10 CPUmsps=500 MemoryMB=1024.5 Name=one EnvType=Linux EnvType=Xen >"$work/o"
is "$(status) $(jq -r '"\(.id) \(.version)"' "$work/o")" "201 $one 10" "an advert is taken"
seq=$(jq .seq "$work/o")
is "$(xis op GET '/v1/changes?after=0' | jq -c '[.changes[] | [.id, .seq]]') $(xis op GET "/v1/adverts/$one" | jq .seq)" \
    "[[\"$one\",$seq]] $seq" "under the number that its answer had"
publish op 2 7 CPUmsps=700 Name=two >/dev/null
send op PUT 1 "$work/1.jws" >/dev/null
is "$(status) $(type_of) $(jq .version "$work/body")" "409 xis.old 10" "the same again is not"
cp "$work/1.jws" "$work/whole"
publish op 1 9 CPUmsps=1 >/dev/null
is "$(status) $(type_of)" "409 xis.old" "nor is an older one"
cp "$work/whole" "$work/1.jws"
xis op GET "/v1/lookup?token=CPUmsps&order=desc" >"$work/o"
is "$(jq -c '[.total, .results[].value]' "$work/o")" "[2,700,500]" "both are found, in order"
is "$(xis op GET "/v1/lookup?token=EnvType&is=Xen" | jq -r '.results[0].id')" "$one" "a set by any of its values"
# Lines of a batch are looked up in groups, and the answer is made while it leaves: nobody can tell.
declare -A alone=(
    ['{"token":"CPUmsps","order":"desc"}']='token=CPUmsps&order=desc'
    [' { "limit" : 1 , "token":"\u0045nvType", "place":1 } ']='token=EnvType&limit=1&place=1'
    ['{"token":"MemoryMB","min":1024.5,"max":1.0245e3,"limit":400}']='token=MemoryMB&min=1024.5&max=1024.5&limit=400'
    ['{"token":"Name","from":"one","to":"three"}']='token=Name&from=one&to=three'
    ['{"token":"None","is":5}']='token=None&is=5')
lines=() want=()
for line in "${!alone[@]}"; do lines+=("$line") want+=("$(xis op GET "/v1/lookup?${alone[$line]}")"); done
lines+=('{"token":"A","color":1}' '' $'\r' '{"token":"A","token":"B"}' '[]')
want+=(lookup.unknown lookup.repeated lookup.form)
for _ in $(seq 40); do printf '%s\n' "${lines[@]}"; done >"$work/lines"
for _ in $(seq 40); do printf '%s\n' "${want[@]}"; done >"$work/want"
for limit in 1000 1000 1000 5; do echo "{\"token\":\"None\",\"limit\":$limit}"; done >>"$work/lines"
none='{"total":0,"place":0,"results":[]}'
printf '%s\n' "$none" "$none" lookup.limit "$none" >>"$work/want"
xis op POST /v1/lookups --data-binary "@$work/lines" | sed 's/^{"error":{"type":"\([a-z.]*\)".*/\1/' >"$work/o"
ok "a batch is answered as its lines would be, in their order" cmp "$work/o" "$work/want"
amend op 1 11 CPUmsps=900 MemoryMB=1024.5 Name=one EnvType=Linux EnvType=Xen >/dev/null
is "$(status) $(total 'token=CPUmsps&min=800')" "200 1" "a delta moves numbers"
is "$(xis op GET "/v1/adverts/$one" | jq -r '.advert + .delta')" "$(cat "$work/1.jws" "$work/1.delta")" "what was signed is handed out"
advertise seed=3 version=5 CPUmsps=1 >"$work/3.jws"
amend op 3 6 CPUmsps=2 >/dev/null
is "$(status) $(type_of)" "409 xis.base" "a delta to what is not here is none"
withdraw op 2 8 >/dev/null
is "$(status) $(total 'token=Name&is=two')" "200 0" "what is withdrawn is not found"
publish op 2 8 Name=two >/dev/null
is "$(status) $(type_of)" "409 xis.old" "and nothing older comes back"
xis op GET "/v1/adverts/$two" >/dev/null
is "$(status) $(type_of)" "404 xis.unknown" "nor can it be asked for"

# --- changes ---
xis op GET '/v1/changes?after=0' >"$work/o"
epoch=$(jq -r .epoch "$work/o")
next=$(jq .next "$work/o")
is "$(jq -c '[.changes[] | [.id, .version, .withdrawn // false]]' "$work/o")" "[[\"$one\",11,false],[\"$two\",8,true]]" \
    "the feed has what each is now"
apart w xis op GET "/v1/changes?epoch=$epoch&after=$next&wait=30" >"$work/waited" &
waiter=$!
wait_for 10 sh -c "ss -Htn state established 'sport = :${xis##*:}' | grep -q ."
publish op 4 1 Name=four >/dev/null
wait "$waiter"
is "$(jq -r '.changes[0].id' "$work/waited")" "$(xis_id 4)" "who waits hears of the next"
is "$(xis op GET "/v1/changes?epoch=other&after=$next" | jq .gap)" true "of another numbering it has none"

# --- a lease ends ---
publish op 5 1 lease-ms=1500 Name=five >/dev/null
is "$(status)" 201 "a short lease"
ok "is not found when it is over" wait_for 20 sh -c "[ \"\$(curl -sS --cacert '$corp_dir/ca.pem' --cert '$work/op.pem' \
    --key '$work/op.key' '$xis/v1/lookup?token=Name&is=five' | jq .total)\" = 0 ]"
is "$(xis op GET '/v1/changes?after=0' | jq -r ".changes[] | select(.expired) | .id")" "$(xis_id 5)" "which is told"

# --- restart ---
xis_stop
xis_start
is "$(total token=Name) $(total 'token=CPUmsps&min=800')" "2 1" "what was there is there again, with its delta"
withdraw op 2 8 >/dev/null
is "$(status) $(type_of)" "409 xis.old" "what is known is known"
is "$(xis op GET "/v1/changes?epoch=$epoch&after=$next" | jq -c '[.gap, [.changes[].id]]')" "[null,[\"$(xis_id 4)\",\"$(xis_id 5)\"]]" \
    "the numbers are the same: who follows goes on"
last=$(xis op GET "/v1/changes?after=$next" | jq .next)
publish op 6 1 Name=six >/dev/null
is "$(xis op GET "/v1/changes?epoch=$epoch&after=$last" | jq -r '.changes[].id')" "$(xis_id 6)" "and hears of the next"
is "$(xis op GET "/v1/changes?epoch=$epoch&after=999999999" | jq .gap)" true "but not from a place that was never told"

# --- killed while updates arrive ---
# Each version that is acknowledged is written down; what is there after is that, or the one under way.
storm() { # SEED
    local v
    for v in $(seq 100 400); do
        publish op "$1" "$v" CPUmsps="$v" >/dev/null 2>&1 || return
        case $(status) in 200 | 201) echo "$v" >"$work/acked" ;; *) return ;; esac
    done
}
all_begun() { [ -s "$work/s11/acked" ] && [ -s "$work/s12/acked" ] && [ -s "$work/s13/acked" ]; }
xis_stop
xis_start --own-rate 100000
follow f "$xis" &
follower=$!
tap_pids+=($follower)
storms=()
for seed in 11 12 13; do
    apart "s$seed" storm "$seed" &
    storms+=($!)
done
wait_for 20 all_begun || bail "updates arrive" "$(cat "$work/xis.log")"
sleep 0.3
xis_stop -9
wait "${storms[@]}"
xis_start
lost=0 older=0
for seed in 11 12 13; do
    acked=$(cat "$work/s$seed/acked")
    have=$(xis op GET "/v1/adverts/$(xis_id "$seed")" | jq '.version // 0')
    [ "$have" -ge "$acked" ] && [ "$have" -le $((acked + 1)) ] || lost=$((lost + 1))
    publish op "$seed" "$acked" CPUmsps=1 >/dev/null
    [ "$(status)" = 409 ] || older=$((older + 1))
done
is "$lost $older" "0 0" "after kill -9 nothing acknowledged is lost, and nothing older is taken"
is "$(total token=CPUmsps)" 4 "all of them are found"
touch "$work/f/enough"
wait "$follower"
follow_end f "$xis"
is "$(wc -l <"$work/f/gaps") $(followed f)" "0 $(xis op GET '/v1/changes?after=0&limit=1000' |
    jq -r '.changes[] | select(.advert) | "\(.id)|\(.version)"' | sort)" "who followed all the time never began again, and missed nothing"
done_testing
