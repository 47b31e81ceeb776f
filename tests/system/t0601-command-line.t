#!/bin/bash
# The command line on a platform whose sessions run nothing: needs no root. Verbs, their JSON, what
# is refused and how it says so.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

# status COMMAND...: its exit status; output in $work/o and $work/e.
status() {
    timeout 60 "$@" >"$work/o" 2>"$work/e"
    echo $?
}
field() { jq -r "$1" "$work/o"; }

# --- before anything is there ---
is "$(status xeno)" 2 "no verb is wrong usage"
is "$(status xeno nosuch verb)" 2 "neither is an unknown one"
like "$(cat "$work/e")" 'there is no verb' "which is said"
is "$(status xeno order create)" 2 "a missing word too"
like "$(cat "$work/e")" 'next: xeno order create --help' "and what to do next"
is "$(status xeno whoami)" 1 "who has not registered is nobody"
like "$(cat "$work/e")" 'next: .*xeno register' "and is told how to be somebody"
is "$(status xeno whoami --json)" 1 "the same as JSON"
is "$(jq -r '.error.type + " " + (.error.exit | tostring)' "$work/e")" "profile.missing 1" \
    "is one object with type and status"
is "$(status xeno platform status --dir "$plat")" 1 "there is no platform"
helps=0
verbs=$(xeno help | sed -n 's/^  \([a-z]* \{0,1\}[a-z]*\)  .*/\1/p' | sed 's/ *$//')
while read -r verb; do
    # shellcheck disable=SC2086
    xeno $verb --help >"$work/h" # not into a pipe that grep leaves early
    grep -q '^Examples:' "$work/h" && helps=$((helps + 1))
done <<<"$verbs"
is "$helps" "$(wc -l <<<"$verbs")" "each of the $helps verbs has help with examples"

# --- platform ---
# Interrupted wherever it happens to be: the next one goes on from there, and no daemon is forgotten.
for ms in 50 150 250 350; do
    xeno platform up --null --servers 2 --dir "$plat" --server-set charge-interval=1s >>"$work/early" 2>&1 &
    early=$!
    sleep "0.$(printf %03d $ms)"
    kill -TERM "$early" 2>/dev/null
    wait "$early"
done
ok "platform up" xeno platform up --null --servers 2 --dir "$plat" --server-set charge-interval=1s
is "$(status xeno platform status --dir "$plat" --json) $(field '.up, (.processes | length)' | xargs)" \
    "0 true 9" "nine processes run"
pids=$(jq -r '.processes[].pid' "$work/o" | sort)
ok "up again starts nothing anew" xeno platform up --dir "$plat"
xeno platform status --dir "$plat" --json >"$work/o"
is "$(jq -r '.processes[].pid' "$work/o" | sort)" "$pids" "the same processes"
others=$(ps -eo pid=,ppid=,args= | grep -F -- "=$plat/" | grep -v grep | while read -r p parent _; do
    grep -qx -e "$p" -e "$parent" <<<"$pids" || echo "$p"
done)
is "$others" "" "and no others, of the times it was interrupted"
is "$(status xeno server check --json) $(field .ok)" "0 true" "server check finds nothing wrong"
is "$(status xeno account --json) $(field .free)" "0 1000000000" "the client has credits"
is "$(xeno --json whoami | jq -r .id)" "$(xeno account --json | jq -r .id)" "--json before the verb"
is "$(stat -c %a "$XENO_HOME/key.pem")" 600 "the key is nobody else's"
ok "openssl accepts the credential" openssl verify -CAfile "$XENO_HOME/ca.pem" "$XENO_HOME/credential.pem"
is "$(status xeno register https://127.0.0.1:1 --token xt1.AAAAAAAAAAAAAAAAAAAAAA.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)" \
    1 "a profile that works is not replaced by mistake"
ok "the credential can be renewed" xeno whoami --renew

# --- orders ---
is "$(status xeno order create 2000)" 3 "no order beyond the credit"
is "$(status xeno order create 2000 --dry-run)" 3 "--dry-run says so too"
is "$(status xeno order create 2 --dry-run)" 0 "and yes to what would work"
is "$(xeno order list --json | jq '.orders | length')" 0 "neither made any"
is "$(status xeno order create 2.5 --lifetime 2h --json)" 0 "an order"
order=$(field .order)
is "$(field '.limit, .blocks' | xargs)" "2500000 1" "of that much"
is "$(status xeno order show "${order:0:6}" --json) $(field .order)" "0 $order" "found by its first letters"
x2=$(xeno server list --json | jq -r '.servers[1].id')
xeno order restrict "$order" --server x2 --max-total 0.5 --max-rate 0.001 >"$work/narrow"
is "$(status xeno order show "$work/narrow" --json) $(field '.max_total, .servers[0], .blocks' | xargs)" \
    "0 500000 $x2 2" "narrowed, offline, in a file"
is "$(status xeno order show "$work/narrow")" 0 "shown for people"
tr 'A-J' 'B-K' <"$work/narrow" >"$work/forged"
is "$(status xeno order show "$work/forged")" 1 "an altered chain is not believed"
ok "again, from a pipe, kept" sh -c "xeno order show $order --chain | xeno order restrict - --max-rate 2 --save"
is "$(xeno order list --offline --json | jq '.orders[0].max_rate')" 2000000 "the wallet has the narrow one"
is "$(status xeno order present "$order" x2 --json) $(field '.presented_to, .blocks' | xargs)" "0 $x2 3" \
    "presented to a XenoServer for programs of one's own"
ok "in a file" xeno order present "$order" "$x2" --output "$work/shown"
is "$(status xeno order restrict "$work/shown" --max-total 0.1)" 1 "nothing is added to that"

# --- run and why not ---
is "$(status xeno run --dry-run --json -- true) $(field .ok)" "0 true" "--dry-run of run"
is "$(field .order)" "$order" "which finds the order"
is "$(status xeno run --dry-run --order "$work/narrow" -- true)" 3 "an order for another server is refused"
like "$(cat "$work/e")" 'restricted to 1 other XenoServer' "by that rule"
is "$(status xeno run --dry-run --json --server x2 --order "$work/narrow" -- true) $(field '.ok, .why_not.type' | xargs)" \
    "3 false order.rate" "and at that one, for its rate"
is "$(status xeno run --dry-run --max-price 0.0001 -- true)" 3 "a price over --max-price"
is "$(status xeno run --dry-run --cpu 1000000 -- true)" 3 "more than the host has"
is "$(status xeno run --dry-run --max-total 5000 -- true)" 3 "more than the client has"
is "$(status xeno run --dry-run --memory 0 -- true)" 2 "nonsense is wrong usage"
is "$(status xeno run)" 125 "run without a command"
is "$(xeno session ls --json | jq '.sessions | length')" 0 "nothing of this left a session"
is "$(status curl -s --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" --key "$XENO_HOME/key.pem" \
    "$(xeno server list --json | jq -r '.servers[0].url')/v1/holds") $(field '.holds | length')" "0 0" "or a hold"

# Which ports are x1's depends on what other platforms of this machine have taken.
xeno run --dry-run --server x1 -p 1:80 -- true 2>"$work/e"
taken=$(($(sed -n "s/.*one of this host's, \([0-9]*\) to.*/\1/p" "$work/e") + 7))
background taken python3 -m http.server --bind 127.0.0.1 $taken
ok "a program of the host listens" wait_for 20 sh -c "ss -Hltn 'sport = :$taken' | grep -q ."
is "$(status xeno run --dry-run --server x1 -p $taken:80 -- true)" 3 "a host port that another program listens on"
like "$(cat "$work/e")" "port $taken/tcp is in use by another program" "is refused by its number"
kill "$pid"; wait "$pid" 2>/dev/null
is "$(status xeno run --dry-run --server x1 -p $taken:80 -- true)" 0 "and published when it is not"

# --- sessions ---
is "$(status xeno run -d --name web -p 80 -p 53/udp -- sleep 100)" 0 "run -d"
rate=$(xeno run --dry-run --json -p 80 -p 53/udp -- sleep 100 | jq .per_hour_max)
is "$(sqlite3 "$(find "$plat" -name ledger.db)" 'SELECT min(max_rate, rate_per_hour) FROM binding')" "$rate" \
    "at the price of the quote, which the XenoCorp holds the XenoServer to"
web=$(cat "$work/o")
is "$(status xeno session show web --json) $(field '.session, .state, .name, (.ports | length)' | xargs)" \
    "0 $web running web 2" "is shown, by its name"
is "$(xeno session ls --json | jq -r '.sessions[0] | .session, .order' | xargs)" "$web $order" \
    "is listed, and is paid from the order that was there"
is "$(status xeno run --dry-run --order "$order" -- true)" 0 "nobody knows yet that it is bound"
is "$(status xeno run -d --order "$order" -- true)" 125 "but it pays for one session at a time"
is "$(status xeno deploy web --task second -- sleep 5) $(cat "$work/o")" "0 second" "a second task"
for move in pause:paused resume:running suspend:suspended restore:running; do
    is "$(status xeno session "${move%:*}" "${web:0:5}" --json) $(field .state)" "0 ${move#*:}" \
        "${move%:*}, by the first letters of its id"
done
is "$(status xeno session resume web)" 0 "what is so already is no error"
ends=$(xeno session show web --json | jq .ends_ms)
ok "extend" xeno session extend web --lifetime 10m
is "$(($(xeno session show web --json | jq .ends_ms) - ends))" 600000 "by ten minutes"
like "$(xeno session events web)" 'session.state +state=suspended' "events"

# An order given later is presented at the price of the quote, too.
ok "another session" xeno run -d --name dear -- sleep 100
dear=$(xeno session show dear --json | jq -r '.session, .rate_per_hour' | xargs)
agreed=$(echo "$XENO_HOME"/agreed/*-"${dear% *}")
is "$(cat "$agreed")" "${dear#* }" "what it may cost is remembered"
paid_at() { # ORDER: what the XenoCorp lets be charged an hour, once it pays for dear
    wait_for 10 sh -c "[ \$(xeno session show dear --json | jq -r .order) = $1 ]"
    sqlite3 "$(find "$plat" -name ledger.db)" 'SELECT max_rate FROM binding ORDER BY from_ms DESC LIMIT 1'
}
new_order() { xeno order create 2.5 --lifetime 2h --json | jq -r .order; }
first=$(xeno session show dear --json | jq -r .order)
second=$(new_order)
ok "extend --order" xeno session extend dear --order "$second"
is "$(paid_at "$second")" "${dear#* }" "at that price"
third=$(new_order)
echo $((${dear#* } - 1)) >"$agreed"
is "$(status xeno session extend dear --order "$third")" 3 "a XenoServer that says more is refused"
like "$(cat "$work/e")" 'you agreed to' "by what was agreed"
is "$(status xeno session extend dear --order "$third" --max-price 0.000001)" 3 "or by --max-price"
is "$(status xeno session extend dear --lifetime 1m --max-price 1)" 2 "which goes with an order"
ok "which can accept more" xeno session extend dear --order "$third" --max-price 2000
is "$(paid_at "$third")" "${dear#* }" "and pays what it is, no more"
ok "suspend it" xeno session suspend dear
rm "$agreed"
fourth=$(new_order)
is "$(status xeno session restore dear --order "$fourth")" 0 "restore --order, when it is not known"
like "$(cat "$work/e")" 'says that .* costs at most' "says what the XenoServer says"
is "$(paid_at "$fourth")" "${dear#* }" "and holds it to that"
ok "end it" xeno session end dear
not_ok "and forget it" [ -e "$agreed" ]
for o in "$first" "$second" "$third" "$fourth"; do xeno order close "$o" >/dev/null; done
is "$(status xeno session exec nosuch -- true)" 125 "exec in no session is not started"
wait_for 10 sh -c '[ "$(xeno session usage web --json | jq .posted)" -gt 0 ]'
ok "charges are posted" [ "$(xeno session usage web --json | jq .posted)" -gt 0 ]
is "$(status xeno session end web --json) $(field '.sessions[0].state')" "0 ended" "end"
is "$(status xeno session show nosuch)" 1 "an unknown session"
wait_for 10 sh -c '[ "$(xeno session usage web --json | jq .pending)" = 0 ]'
xeno bill web --json >"$work/o"
is "$(field .charged)" "$(field .usage.amount)" "the bill is what was measured"
is "$(field '[.charges[].amount] | add * -1')" "$(field .charged)" "and the sum of its charges"
xeno bill --json >"$work/o"
is "$(field .sum)" "$(xeno account --json | jq '.free + .held')" "the statement adds up to the account"
is "$(status xeno corp verify --json)" 0 "the XenoCorp's log has every charge of it"
is "$(field ".proved == .charges and .charges > 0")" true "each of them proved"
ok "close the order" xeno order close "$order"
is "$(status xeno order show "$order")" 1 "it leaves the wallet"
is "$(xeno account --json | jq .held)" 0 "and what was left is free"

# --- orders that run makes are its own to close ---
ok "run -d without an order" xeno run -d --name once -- sleep 5
ok "set one aside" [ "$(xeno account --json | jq .held)" -gt 0 ]
ok "which is closed" xeno session end once
is "$(xeno account --json | jq .held)" 0 "with the session"
first=$(xeno session show once --json | jq -r .session)
ok "another of that name" xeno run -q -d --name once -- sleep 5
ok "ends too" xeno session end -q once
is "$(xeno session ls --all --json | jq '[.sessions[] | select(.name == "once")] | length')" 2 "of two that ended"
last=$(xeno bill once --json | jq -r .session)
ok "the name means the last" [ "$last" != "$first" ]
is "$(xeno bill "$first" --json | jq -r .session)" "$first" "the other has its id"

# --- two commands at once must not choose the same order: the second would fail ---
at_once() {
    local first second
    xeno run -q -d --name "$1a" -- sleep 100 >/dev/null 2>"$work/e-a" & first=$!
    xeno run -q -d --name "$1b" -- sleep 100 >/dev/null 2>"$work/e-b"
    second=$?
    wait $first && [ $second = 0 ]
    second=$?
    for name in "$1a" "$1b"; do xeno session end -q "$name" >/dev/null 2>&1; done
    return $second
}
xeno order create 5 >/dev/null # one that anybody may choose
for n in 1 2 3 4 5; do
    ok "two commands at once take two orders, turn $n" at_once "$n" || cat "$work/e-a" "$work/e-b"
done

# --- an order handed on ---
export XENO_HOME=$work/agent
is "$(status xeno register "$(jq -r .corp_url "$work/me/profile.json")" --name agent \
    --token "$(XENO_HOME=$plat/operator xeno corp token)")" 0 "an agent registers"
agent_key=$(openssl pkey -in "$XENO_HOME/key.pem" -pubout -outform DER | tail -c 32 | base64 | tr '+/' '-_' | tr -d '=')
order=$(XENO_HOME=$work/me xeno order create 3 --json | jq -r .order)
XENO_HOME=$work/me xeno order restrict "$order" --max-total 1 --give "$agent_key" --output "$work/given"
ok "the agent knows a server" xeno server add "$(XENO_HOME=$work/me xeno server list --json | jq -r '.servers[0].url')"
is "$(status xeno run -d --name theirs --max-total 0.5 --order "$work/given" -- sleep 9)" 0 "and spends the order it was given"
is "$(XENO_HOME=$work/me xeno order list --json | jq -r ".orders[] | select(.order == \"$order\") | .bound.session")" \
    "$(xeno session ls --json | jq -r '.sessions[0].session')" "which its sponsor sees"
is "$(XENO_HOME=$work/me status xeno session show theirs)" 1 "though not the session"
is "$(XENO_HOME=$work/me status xeno run -d --order "$work/given" -- true)" 125 "and can use no more"
like "$(cat "$work/e")" 'is for the key of' "since it is the agent's now"
ok "the agent ends it" xeno session end theirs
export XENO_HOME=$work/me

# --- operators ---
is "$(status xeno corp ledger)" 3 "a client is no operator"
export XENO_HOME=$plat/operator
is "$(status xeno corp ledger --json) $(field '.balanced, .sum' | xargs)" "0 true 0" "the books balance"
is "$(status xeno corp fund agent 5 --json) $(field .free)" "0 5000000" "fund, by name"
is "$(status xeno corp charges --session "$web" --json) $(field '[.charges[].amount] | add')" \
    "0 $(XENO_HOME=$work/me xeno bill "$web" --json | jq .charged)" "the audit trail adds up to the bill"
ok "disable" xeno corp disable agent
is "$(XENO_HOME=$work/agent status xeno account)" 3 "whoever is disabled is out"
export XENO_HOME=$work/me

# --- what does not answer ---
xeno server add "$(xeno server list --json | jq -r '.servers[1].url')" --name dying >/dev/null
pid=$(xeno platform status --dir "$plat" --json | jq -r '.processes[] | select(.name == "x2 xenod").pid')
kill -9 "$pid"
is "$(status xeno server status dying)" 4 "a server that is gone is unreachable"
is "$(status xeno session ls)" 4 "a list that is not whole says so"
is "$(status xeno platform status --dir "$plat")" 1 "status sees it"
ok "up starts it again" xeno platform up --dir "$plat"
is "$(status xeno server status dying)" 0 "and it answers"

# --- completion ---
complete_at() { # WORD...: what bash would offer for the last one
    bash -c '. <(xeno completion); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _xeno; echo "${COMPREPLY[*]}"' - "$@"
}
like "$(complete_at xeno pl)" '^platform$' "completion of a verb"
is "$(complete_at xeno order re)" restrict "of its second word"
like "$(complete_at xeno order create --li)" '^--lifetime$' "of an option"
is "$(complete_at xeno run --server d)" dying "of a server"
like "$(complete_at xeno order show "${order:0:3}")" "^$order$" "of an order"

# --- down ---
ok "a session that still runs" xeno run -d --name last -- sleep 100
pids=$(xeno platform status --dir "$plat" --json | jq -r '.processes[].pid')
ok "down" xeno platform down --dir "$plat"
alive=0
for pid in $pids; do # one that nobody has waited for yet has ended all the same
    case $(ps -o stat= -p "$pid") in '' | Z*) ;; *) alive=$((alive + 1)) ;; esac
done
is $alive 0 "nothing of it runs"
is "$(status xeno account)" 4 "nobody answers"
ok "up once more, with the same books" xeno platform up --dir "$plat"
is "$(xeno session show last --json | jq -r .state)" ended "its session was ended"
is "$(xeno account --json | jq .held)" "$(xeno order list --json | jq '[.orders[].held] | add // 0')" "and its money is in place"
ok "down and purge" xeno platform down --dir "$plat" --purge
ok "nothing is left" [ ! -e "$plat" ]
is "$(ls -A "$work/me" 2>&1 | grep -v 'No such file')" "" "nor the client that was made: another platform's would stumble over what it saw"
done_testing
