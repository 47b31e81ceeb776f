#!/bin/bash
# xenocorpd is killed with -9 again and again while charges and orders come in. Afterwards the books
# balance and every acknowledged charge and order is there exactly once; the log never shrank, and every
# head that was ever given out is of the history that the tables hold.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
kills=${XENO_KILLS:-25}
RANDOM=${XENO_SEED:-7}

corp_init
corp_start
join op client "$token" || bail "the operator cannot join" "$(cat "$work/body")"
load=$build/src/xenocorpd/tests/corp-load
[ -x "$load" ] || bail "corp-load is not built"
background load "$load" "$url" "$corp_dir/ca.pem" "$work/op.key" "$work/op.pem" 40 3000 3000 50 12
load_pid=$pid
done_kills=0
# Not while it sets up: enrolment is not what is under test here.
charging() { as nobody GET /metrics | grep -q '^xeno_corp_charges_posted_total [1-9]'; }
wait_for 20 charging || bail "no charges came" "$(cat "$work/load.log")"
# note_head: the newest, appended to $work/heads; fails when it covers less than one before.
size_of() { cut -d. -f2 <<<"$1" | tr '_-' '/+' | sed 's/$/==/' | base64 -d 2>/dev/null | jq -r .size; }
most=0 shrunk=0
note_head() {
    local text size
    text=$(as nobody GET /v1/log/head | jq -r .head) || return 0
    size=$(size_of "$text")
    [ "${size:-0}" -ge "$most" ] || shrunk=$((shrunk + 1))
    most=${size:-$most}
    echo "$size $text" >>"$work/heads"
}
for _ in $(seq "$kills"); do
    sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    kill -0 "$load_pid" 2>/dev/null || break
    note_head
    corp_stop -KILL
    done_kills=$((done_kills + 1))
    corp_start
    note_head
done
echo "# killed $done_kills times"
wait "$load_pid"
is "$?" 0 "every acknowledged charge and order is there exactly once"
echo "# $(cat "$work/load.log")"
like "$(cat "$work/load.log")" '"charges":150000,.*"orders":3000' "all of them were acknowledged"
ok "the daemon was killed under load" test "$done_kills" -ge 5
is "$shrunk" 0 "no head was smaller than one before it"
corp_stop -KILL
# The check holds the tree against every head in its table: here, all that were ever seen.
while read -r size text; do
    sqlite3 "$corp_dir/ledger.db" "INSERT OR IGNORE INTO log_head VALUES ($size, 0, '$text')"
done <"$work/heads"
ok "heads were seen" test "$(wc -l <"$work/heads")" -ge 10
is "$(xenocorpd --dir "$corp_dir" --audit)" "the books are in order" "the books are in order, and every head is of their log"
is "$(sqlite3 "$corp_dir/ledger.db" 'PRAGMA integrity_check')" ok "and so is the database"
done_testing
