#!/bin/bash
# kill -9 of xenod, of xeno-taskd, of both, at random points of create, deploy, charge, suspend,
# restore and end, on real containers: no session is lost, those that were running go on running,
# what was asked for happens once, nothing leaks, the books balance to the micro-credit.
#
# XENO_SEED repeats a run (as far as the timing of a machine can be repeated), XENO_KILLS is how
# many times something is killed (200).
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

seed=${XENO_SEED:-$(date +%N | sed 's/^0*//')}
kills_wanted=${XENO_KILLS:-200}
RANDOM=$((seed % 32768))
echo "# seed $seed, $kills_wanted kills"
driver=oci
pool=10.$((RANDOM % 50 + 100)).$((RANDOM % 250)).0/24
inst=k$((RANDOM % 9000 + 1000))
images=$work/images
taskd_x="--images $images --pool $pool"

mkdir -p "$work/root"/{bin,etc,tmp,proc,sys,dev}
cp "$(command -v busybox)" "$work/root/bin/busybox"
for t in sh sleep cat echo; do ln -s busybox "$work/root/bin/$t"; done
"$build/src/image/tests/image-tool" "$images" init >/dev/null 2>&1
ok "the template is imported" "$build/src/image/tests/image-tool" "$images" import "$work/root" bb:1

corp_init
corp_start
join op client "$token"
server_join x "images = $images" "pool = $pool" "charge-interval = 1s" "grace = 60s" \
    "capacity.cpu = 4000" "reserve.cpu = 0" "headroom = 0" "template = template://bb:1"
# Every name in the kernel carries the instance's: one that no other test uses.
sed -i "s/^instance = .*/instance = $inst/" "$work/x/xenod.conf"
taskd_x="$taskd_x --instance=$inst"
server_start x
new_client ann 500000000

leftovers() {
    grep -E " $work/x/" /proc/self/mountinfo | cut -d' ' -f5
    losetup -a 2>/dev/null | grep "$work/x/" | grep -v /pool/.spare-
    find /sys/fs/cgroup -mindepth 1 -type d -path "*$inst*" 2>/dev/null | grep -E "/sessions/[a-z2-7]{16}"
    ip -o link 2>/dev/null | grep -oE "xv$inst-[^@: ]+"
    ls "$work/x/taskd/netns" "$work/x/taskd/sessions" 2>/dev/null | grep -vE '^$|:$'
    nft list table inet "xeno-$inst" 2>/dev/null | grep -oE "xv$inst-[0-9a-z]+" | sort -u
    pgrep -af "conmon.*--cid $inst-"
    true
}
crash_cleanup() {
    stop x xenod -9
    stop x taskd -9
    xeno-taskd --dir "$work/x/taskd" --instance "$inst" --remove
}
at_end crash_cleanup

kills=0
kill_some() { # xenod|taskd|both
    case $1 in
    xenod) stop x xenod -9 ;;
    taskd) stop x taskd -9 ;;
    both)
        kill -9 "$(cat "$work/x/taskd.pid")"
        stop x xenod -9
        wait "$(cat "$work/x/taskd.pid")" 2>/dev/null
        ;;
    esac
    kills=$((kills + 1))
    [ "$1" = xenod ] || taskd_start x
    [ "$1" = taskd ] || xenod_start x
    wait_for 20 server_ready x
}

# again KEY METHOD PATH [BODY]: asks until there is an answer of the server's own, always under the
# same idempotency key. Its status is in $work/status, its body printed.
again() {
    local key=$1 tries a
    shift
    for tries in $(seq 60); do
        if a=$(idem=$key at x ann "$@" 2>/dev/null) && [ "$(status)" != 503 ]; then
            echo "$a"
            return 0
        fi
        sleep 0.1
    done
    echo "{}"
    return 1
}

declare -A want # session -> running|suspended|ended
declare -A tasks # session -> how many were deployed, when more than one
declare -A born # session -> boot mark its task printed: another one means that it was started again
order_of=()
problems=
complain() { problems+="$*; "; echo "# $*"; }

mark_of() { at x ann GET "/v1/sessions/$1/tasks/$2/logs?tail=1" 2>/dev/null | grep -oE 'mark [0-9]+ [0-9]+'; }
count_live() { local n=0 s; for s in "${!want[@]}"; do [ "${want[$s]}" = ended ] || n=$((n + 1)); done; echo $n; }
pick() { # STATE: a session that should be in it
    local s list=()
    for s in "${!want[@]}"; do [ "${want[$s]}" = "$1" ] && list+=("$s"); done
    [ ${#list[@]} -gt 0 ] && echo "${list[$((RANDOM % ${#list[@]}))]}"
}
settled() { # SESSION: is it what was asked for?
    [ "$(session_state x ann "$1")" = "${want[$1]}" ]
}

requirement=$(requirement crash '<CPUmsps>200</CPUmsps><MemoryMB>16</MemoryMB><DiskMB>8</DiskMB>' \
    '<Port port="80"/>' '<LifetimeSeconds>3600</LifetimeSeconds>')
# shellcheck disable=SC2016
task=$(task_doc /bin/sh -c 'read a b &lt; /proc/uptime; echo mark ${a%.*} $$; exec sleep 100000')
orders=0
make_session() { # KEY
    local a chain=$1.chain s
    a=$(again "$1-o" POST /v1/sessions "@$work/$1.ask")
    s=$(jq -r '.session // empty' <<<"$a")
    [ -n "$s" ] || { complain "create $1: $a"; return; }
    want[$s]=running
    type=application/xml again "$1-t" POST "/v1/sessions/$s/tasks" "$task" >/dev/null ||
        complain "deploy in $s"
}
# Asked for once more under the same key, a task is there once: only one more than there were.
deploy_more() { # KEY SESSION
    local before=${tasks[$2]:-1} count
    type=application/xml again "$1" POST "/v1/sessions/$2/tasks" "$task" >/dev/null || complain "deploy in $2"
    count=$(at x ann GET "/v1/sessions/$2/tasks" | jq '.tasks | length')
    [ "$count" = $((before + 1)) ] || complain "$2 has $count tasks, not $((before + 1))"
    tasks[$2]=$((before + 1))
}
ask_verb() { # KEY SESSION VERB WANTED
    local a
    a=$(again "$1" POST "/v1/sessions/$2/$3" '{}') || complain "$3 $2: no answer"
    case $(status) in
    2*)
        want[$2]=$4
        [ "$3" != suspend ] || unset "born[$2]" # its tasks are started again when it is restored
        ;;
    409) ;; # not possible in the state it is in: then nothing may have changed
    *) complain "$3 $2: $(status) $a" ;;
    esac
}

n=0
while [ $kills -lt "$kills_wanted" ] && [ -z "$problems" ]; do
    n=$((n + 1))
    target=$(printf 'xenod\ntaskd\nboth\n' | sed -n "$((RANDOM % 3 + 1))p")
    act=$((RANDOM % 10)) s=
    live=$(count_live)
    if [ "$live" -lt 3 ] || { [ $act -lt 4 ] && [ "$live" -lt 6 ]; }; then
        verb=create
        present "$work/ann.key" "$(id_of ann)" "$(new_order ann 1000000)" "$(id_of x)" >"$work/c"
        jq -n --rawfile c "$work/c" --arg r "$requirement" '{chain: ($c | rtrimstr("\n")), requirements: $r}' >"$work/k$n.ask"
    elif [ $act -lt 6 ] && s=$(pick running); then
        verb=suspend
    elif [ $act -lt 8 ] && s=$(pick suspended); then
        verb=restore
    elif [ $act -lt 9 ] && s=$(pick running); then
        verb=end
    elif [ $((RANDOM % 2)) = 0 ] && s=$(pick running); then
        verb=deploy
    else
        verb=none
    fi
    # The killer strikes while the request is on its way or being worked on.
    (
        sleep "0.$(printf '%03d' $((RANDOM % 250)))"
        kill -9 "$(cat "$work/x/$([ "$target" = taskd ] && echo taskd || echo xenod).pid")" 2>/dev/null
    ) &
    killer=$!
    case $verb in
    create) idem=k$n-o at x ann POST /v1/sessions "@$work/k$n.ask" >/dev/null 2>&1 ;;
    none) sleep 0.1 ;;
    deploy) type=application/xml idem=k$n at x ann POST "/v1/sessions/$s/tasks" "$task" >/dev/null 2>&1 ;;
    *) idem=k$n at x ann POST "/v1/sessions/$s/$verb" '{}' >/dev/null 2>&1 ;;
    esac
    wait $killer 2>/dev/null
    kill_some "$target" || complain "not ready after killing $target"
    case $verb in
    create) make_session "k$n" ;;
    deploy) deploy_more "k$n" "$s" ;;
    suspend) ask_verb "k$n" "$s" suspend suspended ;;
    restore) ask_verb "k$n" "$s" restore running ;;
    end) ask_verb "k$n" "$s" end ended ;;
    esac
    # Now and then everything must come to rest as asked, nothing lost.
    if [ $((n % 5)) = 0 ]; then
        for s in "${!want[@]}"; do
            wait_for 30 settled "$s" || complain "$s is $(session_state x ann "$s"), not ${want[$s]}: $(at x ann GET "/v1/sessions/$s" | jq -c '[.reason, .tasks]')"
        done
        for s in "${!want[@]}"; do
            [ "${want[$s]}" = running ] || { unset "born[$s]"; continue; }
            m=$(mark_of "$s" t1)
            [ -z "${born[$s]:-}" ] || [ "$m" = "${born[$s]}" ] || complain "$s was started again: ${born[$s]} then $m"
            born[$s]=$m
        done
    fi
done
is "$problems" "" "no session was lost or disturbed in $kills kills ($n rounds)"
ok "as many kills as wanted" [ "$kills" -ge "$kills_wanted" ]

# --- the end: all sessions are ended, all charges arrive ---
for s in "${!want[@]}"; do
    [ "${want[$s]}" = ended ] || ask_verb "last-$s" "$s" end ended
done
left=
for s in "${!want[@]}"; do wait_for 30 settled "$s" || left+="$s "; done
is "$left" "" "all ${#want[@]} sessions end"
paid() { at x ann GET "/v1/sessions/$1/usage" | jq -e '.pending == 0'; }
left=
for s in "${!want[@]}"; do wait_for 30 paid "$s" || left+="$s "; done
is "$left" "" "every charge is taken"
sum=0
for s in "${!want[@]}"; do
    sum=$((sum + $(at x ann GET "/v1/sessions/$s/usage" | jq .amount)))
    refused=$(at x ann GET "/v1/sessions/$s/usage" | jq '.refused | length')
    [ "$refused" = 0 ] || complain "$s: charges were refused"
done
is "$problems" "" "none was refused"
charged=0 after=0
while :; do
    page=$(as ann GET "/v1/statement?after=$after&limit=1000")
    charged=$((charged + $(jq '[.entries[] | select(.kind == "charge") | -.amount] | add // 0' <<<"$page")))
    after=$(jq -r '.next // empty' <<<"$page")
    [ -n "$after" ] || break
done
is "$charged" "$sum" "what was charged is what the sessions used, to the micro-credit"
ok "and is not nothing" [ "$charged" -gt 0 ]
corp_stop
ok "every rule of the ledger holds" xenocorpd --dir "$corp_dir" --audit
gone() { [ -z "$(leftovers)" ]; }
wait_for 10 gone
is "$(leftovers)" "" "nothing is left behind in the kernel"
done_testing
