#!/bin/bash
# kill -9 of xenod, of xeno-taskd and of both, at random points while sessions are made, tasks
# deployed, suspended, restored, charged and ended: every request that was repeated with its key was
# done once, sessions are taken up again, nothing leaks, the books balance. On the null driver.
#
#     XENO_KILLS (200) how often, XENO_SEED for the same sequence again
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

kills=${XENO_KILLS:-200}
seed=${XENO_SEED:-$((RANDOM % 10000))}
echo "# seed $seed, $kills kills"
RANDOM=$seed

corp_init
corp_start
join op client "$token"
server_join x1 "charge-interval = 1s" "capacity.cpu = 100000" "capacity.memory = 100G" \
    "capacity.disk = 100G" "capacity.net = 100000" "reserve.disk = 0"
server_start x1
new_client ann 1000000000

# One wish, with a key of its own, repeated until it is answered: 2xx or 4xx. The answer is in
# $work/answer.
wish() {
    local key=$1 tries=100
    shift
    while [ $tries -gt 0 ]; do
        if idem=$key at x1 ann "$@" >"$work/answer.new" 2>/dev/null; then
            case $(status) in
            2?? | 4??)
                mv "$work/answer.new" "$work/answer"
                cp "$work/status" "$work/answer.status"
                return 0
                ;;
            esac
        fi
        sleep 0.05
        tries=$((tries - 1))
    done
    echo "# never answered: $* ($(cat "$work/answer.new" 2>/dev/null))"
    return 1
}

restart() {
    case $1 in
    xenod | both) xenod_start x1 ;;
    esac
    case $1 in
    taskd | both) taskd_start x1 ;;
    esac
}

murder() {
    case $1 in
    xenod | both) stop x1 xenod -9 ;;
    esac
    case $1 in
    taskd | both) stop x1 taskd -9 ;;
    esac
}

sessions=() made=0 unanswered=0 refused=0
make_chain() {
    chain=$(new_order ann 1000000)
    [ "$chain" != null ] || echo "# no order: $(cat "$work/body")"
    chain=$(present "$work/ann.key" "$(id_of ann)" "$chain" "$(id_of x1)")
}

act() {
    local n=${#sessions[@]} pick s
    pick=$((RANDOM % 10))
    [ "$n" -gt 0 ] && s=${sessions[$((RANDOM % n))]}
    if [ "$n" -lt 4 ] || [ $pick = 0 ]; then
        make_chain
        jq -n --arg c "$chain" --arg r "$(requirement "s$made" '<CPUmsps>100</CPUmsps>')" \
            '{chain: $c, requirements: $r}' >"$work/ask"
        what=create
        args=(POST /v1/sessions "@$work/ask")
    elif [ $pick -le 3 ]; then
        what=deploy
        args=(POST "/v1/sessions/$s/tasks" "$(task_doc sleep $((RANDOM % 3 + 1)))")
    elif [ $pick -le 5 ]; then
        what=suspend
        args=(POST "/v1/sessions/$s/suspend")
    elif [ $pick -le 8 ]; then
        what=restore
        args=(POST "/v1/sessions/$s/restore" '{}')
    else
        what=end
        args=(POST "/v1/sessions/$s/end")
    fi
}

victims=(xenod taskd both xenod)
for i in $(seq "$kills"); do
    victim=${victims[$((RANDOM % 4))]}
    type=application/json
    act
    [ $what = deploy ] && type=application/xml
    wish "k$i" "${args[@]}" &
    asked=$!
    sleep "0.0$((RANDOM % 10))"
    murder $victim
    restart $victim
    wait $asked || unanswered=$((unanswered + 1))
    code=$(cat "$work/answer.status" 2>/dev/null)
    if [ $what = create ] && [ "$code" = 201 ]; then
        made=$((made + 1))
        sessions+=("$(jq -r .session "$work/answer")")
    fi
    [ "${code:0:1}" = 4 ] && refused=$((refused + 1)) && echo "# $what: $(jq -rc '.type' "$work/answer")"
    [ $what = end ] && sessions=("${sessions[@]/$(cut -d/ -f4 <<<"${args[1]}")/}") &&
        mapfile -t sessions < <(printf '%s\n' "${sessions[@]}" | grep .)
done
unset type
echo "# $made sessions made, $refused requests refused"

ok "both are up again" wait_for 10 server_ready x1
is "$unanswered" 0 "every request was answered in the end"
all() { at x1 ann GET "/v1/sessions?limit=1000"; }
is "$(all | jq '.sessions | length')" "$made" "there are as many sessions as were made, not one twice"
is "$(all | jq -c '[.sessions[].order] | length == (unique | length)')" true "each on an order of its own"
for s in $(all | jq -r '.sessions[] | select(.state != "ended") | .session'); do
    at x1 ann POST "/v1/sessions/$s/end" >/dev/null
done
ended() { [ "$(all | jq '[.sessions[] | select(.state != "ended")] | length')" = 0 ]; }
ok "every session ends" wait_for 20 ended || all | jq -c '.sessions[] | [.session,.state,.reason]' | sed 's/^/# /'

usages() {
    for s in $(all | jq -r '.sessions[].session'); do at x1 ann GET "/v1/sessions/$s/usage"; done
}
settled() { [ "$(usages | jq -s '[.[].pending] | add')" = 0 ]; }
ok "every charge is settled" wait_for 20 settled
usages >"$work/usages"
is "$(jq -sc 'map(.amount == .posted and .amount == ([.items[].amount] | add) and .refused == []) | all' "$work/usages")" \
    true "and is what the items add up to" || jq -c '[.session,.amount,.posted,.refused]' "$work/usages" | sed 's/^/# /'
orders() {
    local after='' page
    while :; do
        page=$(as ann GET "/v1/orders?limit=1000${after:+&after=$after}")
        jq -c '.orders[]' <<<"$page"
        after=$(jq -r '.next // empty' <<<"$page")
        [ -n "$after" ] || break
    done
}
is "$(orders | jq -s '[.[].charged] | add')" "$(jq -s '[.[].posted] | add' "$work/usages")" \
    "the XenoCorp charged the sum of the usage reports"
free() { at x1 nobody GET /v1/status | jq -c '[.status.free.cpu_msps, .status.capacity.claims]'; }
wait_for 5 eval '[ "$(free | jq ".[1]")" = 0 ]'
is "$(at x1 nobody GET /v1/status | jq -c '.status | [.free.cpu_msps == .capacity.cpu_msps.limit, .capacity.claims]')" \
    '[true,0]' "nothing is sold any more"
is "$(at x1 nobody GET /metrics | awk '/^xeno.*outbox/{n += $2} END{print n + 0}')" 0 "the outbox is empty"
stop x1 xenod
stop x1 taskd
ok "nothing of a session is left on the disk" [ -z "$(find "$work/x1/taskd" -path '*/sessions/*' -print -quit)" ]
corp_stop
ok "every rule of the ledger holds" xenocorpd --dir "$corp_dir" --audit
done_testing
