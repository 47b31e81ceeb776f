#!/bin/bash
# A XenoCorp whose books are put back to an earlier day has two histories: its client notices, whether the
# log is shorter than what it saw, longer, or exactly as long. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
export XENO_HOME=$work/me NO_COLOR=1

# verify: its exit status; output in $work/o and $work/e.
verify() {
    timeout 60 xeno corp verify --json >"$work/o" 2>"$work/e"
    echo $?
}
field() { jq -r "$1" "$work/o"; }
why() { jq -r .error.type "$work/e"; }
order() { xeno order create 0.1 >/dev/null; }

corp_init
corp_start
join op client "$token" || bail "the operator cannot join" "$(cat "$work/body")"
mine=$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)
ok "a client joins" xeno register "$url" --token "$mine" --name ann
id=$(xeno whoami --json | jq -r .id)
as op POST /v1/admin/fund "{\"id\":\"$id\",\"amount\":10000000}" >"$work/a"
is "$(status)" 200 "and is paid in"

is "$(verify) $(field '.seen, .charges')" "0 null
0" "the first look remembers a head"
ok "the profile has it, as it was signed" grep -qE '^eyJ[A-Za-z0-9_.-]+$' "$XENO_HOME/log-head"
first=$(field .size)
for _ in 1 2 3; do order; done
is "$(verify) $(field .seen)" "0 $first" "the log grew, and continues what was seen"
ok "by the three orders" test "$(field .size)" -ge $((first + 3))
is "$(verify) $(field '.size == .seen')" "0 true" "again: nothing new"
like "$(xeno corp verify)" "it continues the log of [0-9]+ leaves seen before" "said in words"
is "$(xeno corp log --json | jq '[.entries[].leaf | fromjson | select(.act == "order")] | length')" 3 \
    "the client reads its own leaves"
is "$(xeno corp log --json | jq --arg id "$(id_of op)" '[.entries[].leaf | fromjson
    | select(.party == $id)] | length')" 0 "and nobody else's"

# --- the operator puts yesterday's books back ---
corp_stop
cp "$corp_dir/ledger.db" "$work/yesterday.db"
corp_start
for _ in 1 2 3; do order; done
is "$(verify)" 0 "a day passes"
cp "$XENO_HOME/log-head" "$work/today"
seen=$(field .size)
corp_stop
rm -f "$corp_dir"/ledger.db-*
cp "$work/yesterday.db" "$corp_dir/ledger.db"
is "$(xenocorpd --dir "$corp_dir" --audit)" "the books are in order" "in themselves they are in order"
corp_start
is "$(verify) $(why)" "1 log.forked" "a log shorter than what was signed is seen"
for _ in 1 2 3; do order; done
is "$(verify) $(why)" "1 log.forked" "so is one of the same length"
for _ in 1 2 3; do order; done
is "$(verify) $(why)" "1 log.unproved" "and a longer one"
like "$(jq -r .error.detail "$work/e")" "begins with the $seen it signed" "which is said"
ok "what was seen is not forgotten" cmp "$XENO_HOME/log-head" "$work/today"
ok "and the other head is kept beside it" grep -qE '^eyJ' "$XENO_HOME/log-head.other"
# Two texts, one key: anybody can check both.
corp_id=${token##*.}
is "$(for f in log-head log-head.other; do
    cut -d. -f2 "$XENO_HOME/$f" | tr '_-' '/+' | sed 's/$/==/' | base64 -d 2>/dev/null | jq -r .corp
done | sort -u)" "$corp_id" "both are signed by this XenoCorp"

# --- books in which a charge, or an act, was changed afterwards ---
corp_stop
sqlite3 "$corp_dir/ledger.db" "UPDATE log_act SET body = replace(body, '\"fund\"', '\"gift\"')"
not_ok "--audit finds an act that was changed" xenocorpd --dir "$corp_dir" --audit
like "$(xenocorpd --dir "$corp_dir" --audit 2>&1)" "log.broken" "in the log"
done_testing
