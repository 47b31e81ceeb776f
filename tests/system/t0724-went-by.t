#!/bin/bash
# What a client goes by: the advert of a XenoServer that was found stays with the session, so that a complaint is
# about what was said then; and of several RDs the next one is asked when one is away or tells nothing that
# holds. On the null driver.
. "$(dirname "$0")/../lib/tap.sh"
if [ "$(id -u)" = 0 ]; then # and all of it again as somebody else
    rm -rf "$work"
    exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent "$0"
fi
export XENO_HOME=$work/me NO_COLOR=1 COLUMNS=200
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
up() { xeno platform up --null --dir "$plat" --fund 50 "$@" >"$work/up" 2>&1 || bail "no platform" "$(cat "$work/up")"; }
found() { xeno find "$@" --json 2>"$work/e" | jq -r '[.answers[].name] | sort | join(" ")'; }
finds() { [ "$(found "${@:2}")" = "$1" ]; }
kept() { ls "$XENO_HOME/adverts" 2>/dev/null | wc -l; }
payload() { cut -d. -f2 | tr '_-' '/+' | sed 's/$/==/' | base64 -di 2>/dev/null; }
corp() { # PATH: as an operator
    curl -sS --max-time 30 --cacert "$XENO_HOME/ca.pem" --cert "$plat/operator/credential.pem" --key "$plat/operator/key.pem" \
        "$(jq -r .corp_url "$XENO_HOME/profile.json")$1"
}
place_of() { # N: what the advert of complaint N says
    corp "/v1/complaints/$1" | jq -r .document | payload | jq -r .advert | payload | sed -n 's|.*<Place>\(.*\)</Place>.*|\1|p'
}
complain() { timeout 60 xeno complain "$@" >"$work/o" 2>"$work/e" || sed 's/^/# /' "$work/e"; }

up --servers 2 --server-set place=Cambridge --server-set country=GB
ok "the RD hears of both" wait_for 20 finds "x1 x2"

# --- the advert stays with the session ---
xeno run -q -d --name named --server x2 -- true >"$work/o"
is "$(kept)" 0 "a XenoServer that is named was not found by its advert"
ok "one is found" xeno run -q -d --name a --where 'Location/Place is Cambridge' -- true
is "$(kept)" 1 "its advert is kept"
ok "two are found" xeno run -q --replicas 2 --name r --where 'Location/Place is Cambridge' -- true
is "$(kept)" 3 "one for each"
kill -9 $(jq '.servers[].xenod.pid' "$plat/platform.json")
up --servers 2 --server-set place=Geneva --server-set country=CH
finds_geneva() { [ "$(found --where 'Location/Place is Geneva')" = "x1 x2" ]; }
ok "both say something else now" wait_for 30 finds_geneva
complain a --about location --text 'it is not there'
like "$(cat "$work/o")" "is filed, with the advert that you went by and its present status" "a complaint says which advert it has"
is "$(place_of 1)" Cambridge "which is what it said then"
complain named --about location
is "$(place_of 2) $(grep -c 'with its present advert' "$work/o")" "Geneva 1" "of one that was named it is the present one"
xeno session end r-1 -q >"$work/o" 2>&1
complain r-1 --about other
is "$(place_of 3)" Cambridge "a session that has ended is complained about with its own"
xeno xis get "$(xeno session ls --json | jq -r '.sessions[] | select(.name == "r-2") | .server')" --json >"$work/given.json"
complain r-2 --about other --advert "$work/given.json"
is "$(place_of 4) $(grep -c 'with that advert' "$work/o")" "Geneva 1" "--advert wins"

# --- bounded ---
old=()
for i in {1000..1300}; do # base32 has no 0, 1, 8, 9
    n=${i//0/a} n=${n//1/b} n=${n//8/c} n=${n//9/d}
    old+=("$XENO_HOME/adverts/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaa$n")
done
touch -d 2020-01-01 "${old[@]}"
before=$(kept)
xeno run -q -d --name b --where 'Location/Place is Geneva' -- true >"$work/o"
ok "of too many the oldest go" [ "$(kept)" -le "$before" ]

# --- who watches and is interrupted leaves nothing behind ---
watches() { curl -sS --max-time 30 --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" --key "$XENO_HOME/key.pem" \
    "$(jq -r '.urls[0]' "$XENO_HOME/xis.json")/metrics" | sed -n 's/^xisd_watches //p'; }
background watch xeno xis watch 'CPUmsps exists'
watch=$pid
ok "a watch tells what matches" wait_for 10 grep -q '^match' "$work/watch.log"
is "$(watches)" 1 "the service has it"
kill -TERM "$watch"
wait "$watch"
is "$? $(watches)" "143 0" "an interrupt ends both"

# --- several RDs ---
background liar python3 "$top/tests/lib/lying-rd.py" "$plat/rd" "$(xeno find --json | jq -c .)"
wait_for 10 test -s "$work/liar.log"
liar=https://127.0.0.1:$(head -n 1 "$work/liar.log")
rd=$(jq -r '.urls[0]' "$XENO_HOME/rd.json")
asked() { xeno find --rd "$1" --json 2>"$work/e" | jq -r '"\(.rd) \(.answers | length)"'; }
is "$(asked "https://127.0.0.1:1,$rd")" "$rd 2" "one is away: the next one is asked"
is "$(asked "$liar/signature,$rd")" "$rd 2" "what nobody signed is no answer"
is "$(asked "$liar/nonsense,$rd")" "$rd 2" "nor is nonsense"
is "$(asked "$liar/refuse,$rd")" "$rd 2" "who refuses is not the last one either"
is "$(asked "$liar/honest,$rd")" "$liar/honest 2" "the first that answers is believed as far as adverts go"
is "$(asked "$liar/refuse,$liar/id")" "$liar/id 0" "the last one's is shown with what is wrong with it"
like "$(xeno find --rd "https://127.0.0.1:1,$rd" 2>&1)" "https://127.0.0.1:1 does not help: .*asked is $rd" "people are told"
ok "several can be the usual ones" xeno find use "https://127.0.0.1:1" "$rd"
is "$(xeno find use --json | jq -r '.urls | join(" ")')" "https://127.0.0.1:1 $rd" "in that order"
ok "run asks them in turn, too" xeno run -q -d --name c --where 'Location/Place is Geneva' -- true
not_ok "none that answers is none to use" xeno find use https://127.0.0.1:1
is "$(xeno find use --json | jq '.urls | length')" 2 "and changes nothing"
done_testing
