#!/bin/bash
# The disk of a XenoServer's journal is full: what runs goes on and can be ended, nothing new is
# begun, and when there is room again all is as before.
. "$(dirname "$0")/../lib/tap.sh"
need_root
if [ -z "${XENO_MOUNTS:-}" ]; then
    trap - EXIT
    rmdir "$work"
    XENO_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

problem() { jq -r '"\(.status) \(.type)"' <<<"$1"; }
corp_init
corp_start
join op client "$token"
mkdir -p "$work/x1/xenod"
mount -t tmpfs -o size=32m none "$work/x1/xenod" || bail "no tmpfs"
# The daemons go first: they have files open on it.
at_end 'stop x1 xenod; stop x1 taskd; umount "$work/x1/xenod"'
server_join x1 "charge-interval = 1s" "capacity.cpu = 10000" "capacity.memory = 10G" \
    "capacity.disk = 10G" "reserve.disk = 0"
server_start x1
first=$(cat "$work/x1/xenod.pid")
new_client ann 100000000
s=$(new_session x1 ann "$(new_order ann 5000000)")
ok "a session runs" wait_for 5 state_is x1 ann "$s" running
chain=$(new_order ann 5000000)

dd if=/dev/zero of="$work/x1/xenod/fill" bs=1k count=28000 2>/dev/null
is "$(at x1 nobody GET /v1/status | jq .status.accepting)" false "status says that nothing is taken"
new_session x1 ann "$chain" >/dev/null
is "$(problem "$(cat "$work/session")")" "507 journal.full" "no session is begun"
is "$(type=application/xml at x1 ann POST /v1/holds "$(requirement h)" | jq -r .type)" journal.full "no hold"
sleep 2
is "$(session_state x1 ann "$s")" running "what runs goes on"
before=$(at x1 ann GET "/v1/sessions/$s/usage" | jq .posted)
ok "and is charged" wait_for 5 eval '[ "$(at x1 ann GET "/v1/sessions/$s/usage" | jq .posted)" -gt "$before" ]'

dd if=/dev/zero of="$work/x1/xenod/fill2" bs=1k 2>/dev/null
is "$(df --output=avail "$work/x1/xenod" | tail -n 1 | xargs)" 0 "then not one byte is left"
sleep 3
is "$(session_state x1 ann "$s")" running "it still runs"
rm "$work/x1/xenod/fill" "$work/x1/xenod/fill2"
t=$(new_session x1 ann "$chain")
ok "with room again a session is begun, and runs" wait_for 5 state_is x1 ann "$t" running
for i in $s $t; do at x1 ann POST "/v1/sessions/$i/end" >/dev/null; done
ok "both end" eval 'wait_for 5 state_is x1 ann "$s" ended && wait_for 5 state_is x1 ann "$t" ended'
settled() { [ "$(at x1 ann GET "/v1/sessions/$s/usage" | jq -c '[.pending, .amount == .posted]')" = '[0,true]' ]; }
ok "and nothing that was used is unpaid" wait_for 10 settled ||
    at x1 ann GET "/v1/sessions/$s/usage" | sed 's/^/# /'
ok "xenod was there all the time" kill -0 "$first"
done_testing
