#!/bin/bash
# A client complains about what a XenoServer advertised: signed, with the evidence, counted where all
# can see it, and read by those whom it concerns. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"
export NO_COLOR=1
corp_init
corp_start
join op client "$token" >/dev/null
server_join x
server_start x
server_join y
server_start y

people() { # NAME: somebody with the command line, and money
    XENO_HOME=$work/home-$1 xeno register "$url" --token "$(new_token client)" --name "$1" >/dev/null 2>"$work/e" || bail "register $1" "$(cat "$work/e")"
    XENO_HOME=$work/home-$1 xeno whoami --json | jq -r .id >"$work/$1.id"
    as op POST /v1/admin/fund "{\"id\":\"$(id_of "$1")\",\"amount\":1000000000}" >/dev/null
    for s in x y; do XENO_HOME=$work/home-$1 xeno server add "https://127.0.0.1:$(cat "$work/$s/port")" --name $s >/dev/null; done
}
by() { # NAME VERB...: the exit status; output in $work/o and $work/e
    local who=$1
    shift
    XENO_HOME=$work/home-$who timeout 60 xeno "$@" >"$work/o" 2>"$work/e" </dev/null
    echo $?
}
people alice
people bob
is "$(by alice session create --server x --name web)" 0 "alice has a session"
session=$(XENO_HOME=$work/home-alice xeno session show web --json | jq -r .session)

# --- filed ---
at x nobody GET /v1/advert >"$work/found.json"
is "$(by alice complain web --about resources --text 'half of the CPU' --advert "$work/found.json")" 0 "she complains"
like "$(cat "$work/o")" "^complaint 1 about $session at x is filed, with that advert and its present status" "and is told so"
as bob.none GET /v1/complaints >/dev/null
is "$(as op GET /v1/complaints | jq -c '.complaints | map([.complaint, .server, .about, .count, has("document"), has("client")])')" \
    "[[1,\"$(cat "$work/x.id")\",\"resources\",1,false,false]]" "it is counted, without saying whose it is"
is "$(as op GET '/v1/complaints?after=1' | jq -c .complaints)" "[]" "nothing comes after it"
as op GET /v1/complaints/1 >"$work/one"
document() { jq -r .document "$work/one" | cut -d. -f2 | tr '_-' '/+' | sed 's/$/==/' | base64 -di 2>/dev/null; }
is "$(document | jq -r '.text, .session, (.receipts | length)' | paste -sd'|')" "half of the CPU|$session|1" "an operator reads what was said"
is "$(as op GET '/v1/admin/acts?limit=1000' | jq -c '.acts | map(select(.kind == "complaint") | [.who, .target])')" \
    "[[\"$(id_of alice)\",\"$(cat "$work/x.id")\"]]" "it is an act in the books"
as op GET '/v1/log/entries?limit=1000' >"$work/entries"
is "$(grep -o 'resources [a-z2-7]* [0-9a-f]*' "$work/entries" | cut -d' ' -f2)" "$session" "and in the log"

# --- refused ---
is "$(by alice complain web --about price) $(grep -c 'there is a complaint of yours about this session' "$work/e")" "3 1" "not twice"
is "$(by alice complain web --about nothing)" 2 "not about nothing"
is "$(by alice session create --server y --name other)" 0 "another session"
is "$(by alice complain other --about price --advert "$work/found.json") $(grep -c 'it is not what .* advertised' "$work/e")" "3 1" "not with the advert of another XenoServer"
is "$(by bob complain "$session" --about price)" 1 "not about a session of somebody else"
is "$(as op GET /v1/complaints | jq '.complaints | length')" 1 "nothing of this is counted"
is "$(as nobody GET /v1/complaints >/dev/null; status)" 401 "nobody reads without a credential"
corp_stop -9
corp_start
is "$(as op GET /v1/complaints | jq '.complaints | length')" 1 "it outlives the XenoCorp"
is "$(by alice complain other --about price)" 0 "and the next one is taken"
corp_stop
ok "the books are sound" xenocorpd --dir "$corp_dir" --check
done_testing
