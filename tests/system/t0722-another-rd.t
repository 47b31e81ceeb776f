#!/bin/bash
# Nothing is special about xrdd: examples/simple-rd, which only asks an XIS as everybody may, finds for xeno find too.
. "$(dirname "$0")/../lib/tap.sh"
if [ "$(id -u)" = 0 ]; then # and all of it again as somebody else
    rm -rf "$work"
    exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent "$0"
fi
export XENO_HOME=$work/me NO_COLOR=1 COLUMNS=200
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
up() { xeno platform up --null --dir "$plat" --fund 50 "$@" >"$work/up" 2>&1 || bail "no platform" "$(cat "$work/up")"; }
names() { xeno find "$@" --json 2>"$work/e" | jq -r '[.answers[].name] | join(" ")'; }
finds() { [ "$(names "${@:2}")" = "$1" ]; }

up --servers 1 --server-set tariff.cpu.reserved=0.001
up --servers 2 --server-set tariff.cpu.reserved=0.00001
ok "xrdd finds both, the cheaper first" wait_for 20 finds "x2 x1"
xis=https://127.0.0.1:$(jq .xis.port "$plat/platform.json")
background simple "$top/examples/simple-rd" "$plat/rd" "$xis"
ok "it starts" wait_for 10 test -s "$work/simple.log"
rd=https://127.0.0.1:$(head -n 1 "$work/simple.log")

is "$(names --rd "$rd")" "x2 x1" "the other one finds the same" || sed 's/^/# /' "$work/e" "$work/simple.log"
total() { xeno find "$@" --json | jq -c '[.answers[].price.total]'; }
is "$(total --rd "$rd")" "$(total)" "for the same price"
is "$(names --rd "$rd" --max-cost 0.5)" "$(names --max-cost 0.5)" "as many within a limit"
is "$(names --rd "$rd" --max-price 1.2)" "$(names --max-price 1.2)" "or within a price an hour"
xeno find --rd "$rd" --memory 900G --json >"$work/o" 2>"$work/e"
is "$(jq -c '[.matched, .fell[0].constraint, .fell[0].count]' "$work/o")" '[0,"MemoryMB",2]' "it says what they fell to"
xeno find --rd "$rd" --near 192.0.2.1 --json >"$work/o" 2>"$work/e"
like "$(cat "$work/e")" 'knows nothing of near' "what it can not do it refuses"
ok "run takes its word, and the XenoServer's" xeno run --rd "$rd" -q -d --name a -- true
is "$(xeno session show a --json | jq -r .state)" running "and the session runs at the cheaper one"
done_testing
