#!/bin/bash
# Finding XenoServers: by cost and by what adverts say, why the rest fell and what would do instead; run
# goes on with the next when one does not hold; replicas are all or none; an RD that lies finds nothing.
# Everything by an ordinary user, on the null driver.
. "$(dirname "$0")/../lib/tap.sh"
if [ "$(id -u)" = 0 ]; then # and all of it again as somebody else
    rm -rf "$work"
    exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent "$0"
fi
export XENO_HOME=$work/me NO_COLOR=1 COLUMNS=200
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
up() { xeno platform up --null --dir "$plat" --fund 50 "$@" >"$work/up" 2>&1 || bail "no platform" "$(cat "$work/up")"; }
found() { xeno find "$@" --json 2>"$work/e" | jq -r '[.answers[].name] | join(" ")'; }
finds() { [ "$(found "${@:2}")" = "$1" ]; }
# The pid of a daemon: pid_of .servers[0].xenod
pid_of() { jq "$1.pid" "$plat/platform.json"; }
sessions() { xeno session ls --json 2>/dev/null | jq '[.sessions[] | select(.state == "running")] | length'; }
left() { xeno server status "$1" --json | jq ".servers[0].status.free.$2"; }
lefts() { echo "$(left x2 cpu_msps) $(left x3 cpu_msps) $(left x2 memory_bytes) $(left x3 memory_bytes)"; }
free_credit() { xeno account --json | jq .free; }

# x1 says what it had at first, and no more: an RD's view may be old.
up --servers 1 --server-set tariff.cpu.reserved=0.00001 --server-set place=Cambridge --server-set country=GB --server-set xis-interval=1h
up --servers 2 --server-set place=Zurich --server-set country=CH
up --servers 3 --server-set tariff.cpu.reserved=0.001 --server-set place=Geneva --server-set country=CH
ok "the RD hears of all three" wait_for 20 finds "x1 x2 x3"

# --- what is found, and why not the rest ---
is "$(found --count 2)" "x1 x2" "the cheapest first, as many as are wanted"
is "$(found --where 'Location/Country is CH')" "x2 x3" "by what adverts say"
is "$(found --where 'Location/Country is CH' --where 'not Location/Place is Zurich')" x3 "all of it"
is "$(found --max-cost 0.5)" "x1 x2" "by what it costs in all"
is "$(found --objective load --spread place --count 3 | wc -w)" 3 "by load, each elsewhere"
xeno find --where 'Location/Country is CH' >"$work/o"
like "$(cat "$work/o")" '1 +x2 .*Zurich, CH' "a person is told rank, name and place"
like "$(tail -n 3 "$work/o" | xargs)" '^2 of 3 XenoServers match 1 of 3: not: Location/Country is CH instead,' "and what the others fell to"
not_ok "none is an answer that fails" xeno find --memory 500G -q
like "$(xeno find --memory 500G)" '3 of 3: .*MemoryMB|3 of 3: less than 512000 MB' "which says to what"
like "$(xeno find --memory 500G)" 'instead, MemoryMB from 512000 to [0-9]+: [123] would match' "and what would do"
like "$(xeno find --where 'Colour is red')" 'Colour is not told' "what no advert says is not known"
like "$(xeno find --near 192.0.2.1)" 'unknown' "nor how far an address is that nobody measures"
like "$(xeno find --where 'Colour >' 2>&1)" "character 9: a number is missing" "a query with a mistake is explained"
xeno find --count 1 --json | jq -r '.answers[0].advert' >"$work/advert"
ok "an answer carries the signed advert" grep -q '^ey' "$work/advert"

# --- run takes the first that holds ---
xeno server remove x1 && xeno server remove x2 && xeno server remove x3
ok "run finds one where none is known" xeno run -q -d --name a -- true
is "$(xeno server list --json | jq -r '[.servers[].name] | join(" ")')" x1 "it is known from then on"
is "$(xeno session show a --json | jq -r .state)" running "so that its session is found again"
ok "it is filled" xeno run -q -d --name full --server x1 --cpu "$(left x1 cpu_msps)" -- true
is "$(found --count 1)" x1 "which the RD does not know yet"
xeno run -d --name refused --near 127.0.0.1 --max-cost 2 --objective cost -- true >"$work/o" 2>"$work/e"
is "$? $(xeno session show refused --json | jq -r .state)" "0 running" "the best one refuses: the next one holds"
like "$(cat "$work/e")" 'x1 does not hold it: .*CPU' "and why is said"
is "$(xeno session ls --server x1 --json | jq '[.sessions[] | select(.name == "refused")] | length')" 0 "it is not there"
kill -9 "$(pid_of '.servers[0].xenod')"
xeno run -d --name b --max-cost 2 -- true >"$work/o" 2>"$work/e"
is $? 0 "the best one is gone: the next one holds" || sed 's/^/# /' "$work/e"
like "$(cat "$work/e")" 'x1 does not hold it' "which is said"
is "$(xeno session show b --server x2 --json | jq -r .state)" running "it runs there"
not_ok "a XenoServer that is named is not found" xeno run --server x2 --near 192.0.2.1 -- true
not_ok "nobody has that" xeno run --where 'Colour is red' -- true

# --- all or none ---
xeno server add "https://127.0.0.1:$(jq '.servers[2].port' "$plat/platform.json")" --name x3 >"$work/o" 2>&1
before="$(free_credit)" holds="$(lefts)" sessions="$(sessions)"
xeno run --replicas 3 --name r -- true >"$work/o" 2>"$work/e"
not_ok "three cannot be had" test $? = 0
like "$(cat "$work/e")" '2 of 3 replicas were possible.*nothing was kept' "and none stays"
is "$(lefts) $(sessions)" "$holds $sessions" "nothing is held at a XenoServer, and no session is there"
ok "nor their money" wait_for 10 eval '[ "$(free_credit)" = "$before" ]'
ok "two can" xeno run --replicas 2 --name r -q -- true
is "$(xeno session ls --json 2>/dev/null | jq -r '[.sessions[] | select(.name | test("^r-")) | .state] | join(" ")')" "running running" \
    "and both run"

# --- an information service that is away makes answers older, and nothing else ---
kill -9 "$(pid_of .xis.xisd)"
ok "what was known is found" wait_for 10 finds "x1 x2 x3"
ok "and gets older" wait_for 20 eval '[ "$(xeno find --json | jq .age_ms)" -gt 0 ]'

# --- an RD is not believed ---
background liar python3 "$top/tests/lib/lying-rd.py" "$plat/rd" "$(xeno find --json | jq -c .)"
wait_for 10 test -s "$work/liar.log"
port=$(head -n 1 "$work/liar.log")
ok "another RD" xeno find --json --rd "https://127.0.0.1:$port/honest"
for lie in id signature swapped; do
    xeno find --rd "https://127.0.0.1:$port/$lie" --json >"$work/o"
    is "$? $(jq '.answers | length' "$work/o")" "1 0" "answers with a wrong $lie are left out"
done
is "$(xeno find --rd "https://127.0.0.1:$port/endpoint" --json | jq -r '.answers[].endpoint' | cut -d: -f1-2 | sort -u)" \
    "https://127.0.0.1" "where a XenoServer is comes from its advert"
done_testing
