#!/bin/bash
# What a XenoCorp has answered is on the disk: each of many validations one after the other has a flush
# of its own before its answer, and those of a crowd share some.
. "$(dirname "$0")/../lib/tap.sh"
need_root
command -v strace >/dev/null || skip_all "needs strace"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/order.sh"
. "$(dirname "$0")/../lib/at-once.sh"

alone=6 together=24
who=(host)
corp_init
corp_start
join op client "$token"
join ann client "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)"
join host server "$(as op POST /v1/admin/tokens '{"kind":"server","lifetime_s":600}' | jq -r .token)" "$a_server"
as op POST /v1/admin/fund "{\"id\":\"$(id_of ann)\",\"amount\":1000000000}" >/dev/null
pub=$(openssl pkey -in "$work/ann.key" -pubout -outform DER | tail -c 32 | b64url)
mkdir "$work/validate"
letters=(a b c d e f g h)
for ((i = 0; i < alone + together; i++)); do
    chain=$(present "$work/ann.key" "$(id_of ann)" "$(as ann POST /v1/orders \
        '{"amount":1000000,"lifetime_s":3600}' | jq -r .chain)" "$(id_of host)")
    jq -cn --arg c "$chain" --arg s "aaaaaaaaaaaaaa${letters[i / 8]}${letters[i % 8]}" --arg h "$pub" \
        '{chain: $c, session: $s, epoch: 0, env_type: "Linux", rate_per_hour: 1000, holder: $h}' \
        >"$work/validate/$((i - alone)).ask"
done

# A disk that takes its time: on a fast one each of a crowd may be done before the next has come.
strace -f -p "$corp_pid" -e trace=fdatasync,fsync -e inject=fdatasync,fsync:delay_enter=100000 -o "$work/flushes" 2>"$work/strace.err" &
tracer=$!
at_end "kill $tracer"
traced() { ! grep -hq '^TracerPid:[[:space:]]*0$' /proc/"$corp_pid"/task/*/status; }
ok "the XenoCorp is watched" wait_for 10 traced || bail "strace" "$(cat "$work/strace.err")"
flushes() { grep -cE 'sync\([0-9]+\) += 0|sync resumed.*= 0' "$work/flushes"; }

late=0 bad=0
for ((i = -alone; i < 0; i++)); do
    before=$(flushes)
    as host POST /v1/validate "@$work/validate/$i.ask" >/dev/null
    [ "$(flushes)" -gt "$before" ] || late=$((late + 1))
    [ "$(status)" = 200 ] || bad=$((bad + 1))
done
is "$bad $late" "0 0" "$alone validations, one after the other: each is flushed before it is answered"
before=$(flushes)
crowd validate corp $together /v1/validate
is "$(codes validate)" "$together 200" "$together at once" || said validate
shared=$(($(flushes) - before))
ok "are flushed" [ $shared -ge 1 ]
ok "and share flushes: $shared" [ $shared -lt $together ]
kill $tracer
wait $tracer 2>/dev/null
corp_stop -9
ok "every rule of the ledger holds after a kill" xenocorpd --dir "$corp_dir" --audit
is "$(sqlite3 "$corp_dir/ledger.db" 'SELECT count(*) FROM binding')" $((alone + together)) \
    "and every binding is there"
done_testing
