#!/bin/bash
# xenocorpd is killed with -9 again and again while charges and orders come in. Afterwards the books
# balance and every acknowledged charge and order is there exactly once.
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
for _ in $(seq "$kills"); do
    sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    kill -0 "$load_pid" 2>/dev/null || break
    corp_stop -KILL
    done_kills=$((done_kills + 1))
    corp_start
done
echo "# killed $done_kills times"
wait "$load_pid"
is "$?" 0 "every acknowledged charge and order is there exactly once"
echo "# $(cat "$work/load.log")"
like "$(cat "$work/load.log")" '"charges":150000,.*"orders":3000' "all of them were acknowledged"
ok "the daemon was killed under load" test "$done_kills" -ge 5
corp_stop -KILL
is "$(xenocorpd --dir "$corp_dir" --audit)" "the books are in order" "the books are in order"
is "$(sqlite3 "$corp_dir/ledger.db" 'PRAGMA integrity_check')" ok "and so is the database"
done_testing
