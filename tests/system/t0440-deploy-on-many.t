#!/bin/bash
# A service on several XenoServers at once: checked whole before anything is asked for, held at all before
# money is set aside, made at all or at none, also when one is full or gone on the way, or the user
# changes her mind. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

status() {
    timeout 60 "$@" >"$work/o" 2>"$work/e" </dev/null
    echo $?
}
on_many() { status xeno deploy "$work/service.xml" --wait 0 "$@"; }
field() { jq -r "$1" "$work/o"; }
pid_of() { xeno platform status --dir "$plat" --json | jq -r --arg n "$1" '.processes[] | select(.name == $n).pid'; }
live() { xeno session ls --json 2>/dev/null | jq '[.sessions[] | select(.state != "ended")] | length'; }
# Holds and sessions of all XenoServers, open orders, what they set aside, and orders in the wallet.
left() {
    echo "$(xeno server status --json | jq -c '[.servers[].status | .capacity.claims, .sessions] | add')" \
        "$(xeno order list --json | jq '.orders | length') $(xeno account --json | jq .held)" \
        "$(find "$XENO_HOME/wallet" -type f 2>/dev/null | wc -l)"
}
nothing_left() { [ "$(left)" = "0 0 0 0" ]; }
end_all() {
    xeno session ls --json | jq -r '.sessions[] | select(.state != "ended").session' | xargs -r -n 1 xeno session end -q
}

service() { # ARGUMENT [VALUES]: a document whose first task has that argument
    cat >"$work/service.xml" <<XML
<Service>
  <Parameter name="greeting">${2:-<Value>hello</Value><Value>bonjour</Value><Value>hola</Value>}</Parameter>
  <EnvironmentalRequirements>
    <Basic><EnvName>web</EnvName><EnvType>Linux</EnvType></Basic>
    <Network><Port port="80"/></Network>
  </EnvironmentalRequirements>
  <Task>
    <Name>main</Name>
    <Command><Argument>serve</Argument><Argument>$1</Argument></Command>
    <Environment name="AT" value="\${address}:\${port}"/>
  </Task>
  <Task><Command><Argument>sleep</Argument><Argument>600</Argument></Command></Task>
</Service>
XML
}

ok "platform up" xeno platform up --null --servers 3 --dir "$plat" --server-set charge-interval=1s || bail "no platform"
ok "nothing is there" nothing_left

# --- checked before anything is asked for ---
service '${nothing}'
is "$(on_many --on 3) $(grep -c 'there is no Parameter of that name' "$work/e")" "125 1" "a name that is unknown"
service '${greeting}' '<Value>a</Value><Value>b</Value>'
is "$(on_many --on 3) $(grep -c 'none for replica 3' "$work/e")" "125 1" "a replica without a value"
service '${greeting} ${replica}/${replicas} at ${server}: $HOME $${x}'
is "$(on_many --on 4) $(grep -c '4 different XenoServers are needed, and there are 3' "$work/e")" "125 1" "too few XenoServers"
while IFS='|' read -r options words; do
    # shellcheck disable=SC2086
    is "$(on_many $options) $(grep -c -e "$words" "$work/e")" "125 1" "refused: $options"
done <<'ROWS'
--on 0|not a number from 1 to 64
--on 3 --at-least 4|not a number from 1 to 3
--on 3 --limit 0|--limit: must be above 0
--on 3 --limit 0.000002|not one for each of 3 replicas
--on 3 --env A=b|--env and a service document
--on 3 --server nobody|no XenoServer 'nobody'
ROWS
is "$(status xeno deploy web --share -- true) $(grep -c 'go with --on' "$work/e")" "125 1" "nor are its options for a session"
echo '<Task><Command><Argument>a</Argument></Command></Task>' >"$work/other.xml"
is "$(status xeno deploy "$work/other.xml") $(grep -c 'Task, not Service' "$work/e")" "125 1" "nor a document of another kind"
ok "nothing was held" nothing_left

# --- on three ---
is "$(on_many --on 3 --limit 0.3 --json)" 0 "on three"
is "$(field '[.replicas[] | .name, .server] | unique | length') $(field '.replicas | map(select(.ms.running >= .ms.created
    and .ms.created >= .ms.ordered and .ms.ordered >= .ms.held)) | length')" "6 3" "three names, three XenoServers, three timelines"
known=$(xeno server list --json)
for i in 1 2 3; do
    xeno session show web-$i --json >"$work/session"
    word=$(cut -d' ' -f$i <<<"hello bonjour hola")
    server=$(jq -r --arg id "$(field ".replicas[$((i - 1))].server")" '.servers[] | select(.id == $id).name' <<<"$known")
    is "$(jq -r '.state, (.tasks[] | "\(.task) \(.state) \(.argv[1])")' "$work/session" | paste -sd'|')" \
        "running|main running $word $i/3 at $server: \$HOME \${x}|t2 running 600" "replica $i has its own arguments"
    is "$(field ".replicas[$((i - 1))].at")" "127.0.0.1:$(jq '.ports[0].host_port' "$work/session")/tcp" "and its address"
    xeno order show "$(field ".replicas[$((i - 1))].order")" --json >"$work/order"
    is "$(jq -c .servers "$work/order") $(jq .limit "$work/order")" "[\"$(field ".replicas[$((i - 1))].server")\"] 100000" \
        "its order is for that XenoServer alone, a third of the limit"
done
ok "together they are within it" [ "$(xeno account --json | jq .held)" -le 300000 ]
end_all
ok "it ends, and nothing is left" nothing_left
is "$(on_many --on 2 --server x3 --server x2) $(awk 'NR > 1 { print $1, $2 }' "$work/o" | paste -sd' ')" "0 web-1 x3 web-2 x2" "on those that are named"
is "$(awk '/: held|: ordered|: created|: running/ { n++ } END { print n }' "$work/e")" 8 "with a line for each step"
end_all

is "$(grep -c $'\e' "$work/e")" 0 "and nothing for terminals"
mkfifo "$work/silent" # at the end of its input script(1) would type something
TERM=xterm timeout 60 script -qec "stty cols 60; xeno deploy $work/service.xml --on 2 --wait 0" "$work/typescript" <>"$work/silent" >"$work/t"
ok "a terminal has one line for each, drawn over the last state" grep -q $'\e\\[2A\r' "$work/t"
grep $'\e\\[K' "$work/t" | sed -e 's/\r*$//' -e $'s/\e\\[[0-9]*[A-Z]//g' -e 's/.*\r//' >"$work/lines"
ok "which is there" [ "$(grep -c 'web-[12] .*held' "$work/lines")" -ge 4 ]
is "$(awk 'length > 59' "$work/lines")" "" "and fits"
end_all

# --- one is full ---
xeno run -q -d -s x2 --name filler --cpu 550 -- sleep 600 >/dev/null || bail "x2 is not filled"
but_money() { left | cut -d' ' -f1,2,4; } # the filler is charged meanwhile
before=$(but_money)
is "$(on_many --on 3) $(grep -c 'web-[123] at x2: no: ' "$work/e")" "125 1" "all or nothing: x2 is full"
is "$(but_money)" "$before" "nothing more is held or set aside"
is "$(on_many --on 3 --at-least 2 --json) $(field '[.replicas[] | select(.why_not)] | length') $(field '[.replicas[] | select(.ms.running)] | length')" \
    "0 1 2" "two are enough"
is "$(live)" 3 "and two there are"
for i in 1 2 3; do xeno session end -q web-$i 2>/dev/null; done
is "$(on_many --on 3 --share --json) $(field '[.replicas[].server] | unique | length') $(live)" "0 2 4" "or two at one XenoServer"
end_all
ok "nothing is left of them" nothing_left

# --- refused at the last step: after money was set aside ---
is "$(on_many --on 3 --limit 0.000003) $(grep -c ': ordered' "$work/e") $(grep -c 'nothing was kept' "$work/e")" "125 3 1" "an order too small for a session"
ok "the orders are closed" nothing_left

# --- on the way, while the XenoCorp is slow: what was held waits for its order ---
slow_start() {
    kill -STOP "$(pid_of xenocorpd)"
    xeno deploy "$work/service.xml" --on 3 >"$work/o" 2>"$work/e" &
    deploy=$!
    wait_for 10 sh -c "[ \$(grep -c ': held' $work/e) = 3 ]"
}
corp=$(pid_of xenocorpd)
at_end "kill -CONT $corp 2>/dev/null"
slow_start
kill -TERM $deploy
kill -CONT "$corp"
wait $deploy
is "$? $(grep -c 'interrupted by SIGTERM' "$work/e")" "143 1" "interrupted"
ok "all was undone" nothing_left

gone=$(pid_of 'x3 xenod')
slow_start
kill -KILL "$gone"
kill -CONT "$corp"
wait $deploy
is "$? $(grep -c ': created' "$work/e")" "125 2" "x3 is gone before its session is made"
like "$(cat "$work/e")" '^x3 was asked for a session and did not answer: it may go on there' "which is told"
is "$(live) $(xeno order list --json | jq '.orders | length')" "0 0" "the other two are ended and the orders closed"
is "$(on_many --on 3) $(grep -c 'at x3: no: ' "$work/e")" "125 1" "as long as it is gone there are too few"
is "$(on_many --on 2 --json) $(field '[.replicas[].ms.running] | length')" "0 2" "for two there are enough"
end_all
ok "it comes back" xeno platform up --dir "$plat"
is "$(live) $(xeno account --json | jq .held)" "0 0" "and has no session; what was held there ends by itself"

# --- money: what was charged, and nothing else ---
xeno account --json >"$work/account"
charged=$(xeno bill --json | jq '[.. | objects | select(.kind? == "charge").amount] | add')
is "$(jq .free "$work/account")" "$((1000000000 + ${charged:-0}))" "what is free is what was funded less what was charged"
ok "down" xeno platform down --dir "$plat" --purge
done_testing
