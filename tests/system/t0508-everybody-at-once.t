#!/bin/bash
# 300 sessions are asked for at once where 100 fit: exactly 100 are admitted, 200 are told why, the
# orders of the refused are as good as before, and nothing is left when the sessions' lives end. On
# the null driver; then a smaller crowd on containers, whose traces in the kernel are looked for.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/../lib/at-once.sh"
need_root

who=(ann bob cid)

# make_orders NAME COUNT: their answers in $work/NAME/i.out
make_orders() {
    local i
    mkdir "$work/$1"
    for ((i = 0; i < $2; i++)); do echo '{"amount":1000000,"lifetime_s":86400}' >"$work/$1/$i.ask"; done
    crowd "$1" corp "$2" /v1/orders
    is "$(codes "$1")" "$2 201" "$1: every one is made" || said $1
}
# make_asks NAME ORDERS SERVER REQUIREMENT NUMBER...: NAME/0.ask is for the order of the first number;
# who asks must be its holder, so numbers come as i % 3 = 0, 1, 2, 0, ...
make_asks() {
    local name=$1 orders=$2 server=$3 req=$4 i c n
    shift 4
    mkdir "$work/$name"
    for n in "$@"; do echo "$work/$orders/$n.out"; done | xargs cat | jq -r .chain >"$work/$name.chains"
    for c in 0 1 2; do # all of one party at once, since a process for each takes long
        i=$c
        while IFS= read -r n; do
            printf '%s\n' "$n" >"$work/$name/$i.ask"
            i=$((i + 3))
        done < <(awk -v c=$c 'NR % 3 == (c + 1) % 3' "$work/$name.chains" |
            "$build/src/doc/tests/present-tool" "$corp_dir/ca.pem" "$work/${who[c]}.key" "$(id_of "$server")" |
            jq -cR --arg r "$req" '{chain: ., requirements: $r}')
    done
}
# The numbers given, in an order in which their remainders by 3 are 0, 1, 2, 0, ...: as far as it goes.
in_turns() {
    awk '{ q[$1 % 3, n[$1 % 3]++] = $1 }
         END { for (i = 0; (i % 3, int(i / 3)) in q; i++) print q[i % 3, int(i / 3)] }'
}

status_of() { at "$1" nobody GET /v1/status | jq -c ".status | {capacity, sessions}"; }
status_is() { [ "$(status_of "$1")" = "$2" ]; }
sessions_of() { # SERVER: of all three, one a line
    local c
    for c in "${who[@]}"; do at "$1" "$c" GET "/v1/sessions?limit=1000" | jq -c '.sessions[]'; done
}
states() { sessions_of "$1" | jq -r .state | sort | uniq -c | xargs; }
states_are() { [ "$(states "$1")" = "$2" ]; }
orders_of_all() {
    local c
    for c in "${who[@]}"; do as "$c" GET "/v1/orders?limit=1000" | jq -c '.orders[]'; done
}
fds() { # SERVER DAEMON [WHAT]
     find "/proc/$(cat "$work/$1/$2.pid")/fd" -mindepth 1 -lname "${3:-*}" | wc -l
}
# What the kernel and the run folder have of an instance's sessions, one a line.
traces() {
    local inst cable
    inst=$(conf "$1" instance)
    for cable in $(ip -o link | grep -oE "xv$inst-[^@: ]+"); do echo "cable $cable"; done
    grep -oE " $work/$1/[^ ]+" /proc/self/mountinfo | sed 's/^/mount/'
    losetup -a | grep -v /pool/.spare- | grep -oF "$work/$1/" | sed 's/^/loop /'
    find /sys/fs/cgroup -type d -path "*xeno-$inst/sessions/*" -printf 'cgroup %p\n'
    find "$work/$1/taskd" -mindepth 2 -xdev \( -path '*/cache/*' -o -path '*/pool/*' \) -prune -o \
        -printf 'file %p\n'
    pgrep -f "conmon.*--cid $inst-" | sed 's/^/conmon /'
    nft list ruleset 2>/dev/null | sed -n "/ xeno-$inst {/,/^}/p" |
        sed -E 's/(packets|bytes) [0-9]+//g; s/# handle.*//; s/^/nft /'
}
kinds() { cut -d' ' -f1 <<<"$1" | sort | uniq -c | sort; }
traces_are() { [ "$(traces "$1")" = "$2" ]; }

corp_init
corp_start
join op client "$token"
server_join x1 "charge-interval = 2s" "capacity.cpu = 100000" "reserve.cpu = 0" "headroom = 0" \
    "capacity.memory = 100G" "capacity.disk = 1000G" "reserve.disk = 0" "capacity.net = 100000" \
    "own-addresses = 0" "pool = 10.201.0.0/22"
server_join x2 "charge-interval = 2s" "capacity.cpu = 200000" "reserve.cpu = 0" "headroom = 0" \
    "capacity.memory = 100G" "capacity.disk = 1000G" "reserve.disk = 0" "capacity.net = 100000" \
    "own-addresses = 0" "pool = 10.202.0.0/22"
# Memory is what is scarce here: 10 of 16 MB.
images=$work/images
"$build/src/image/tests/image-tool" "$images" init >/dev/null 2>&1
mkdir -p "$work/root"/{bin,etc,tmp,proc,sys,dev}
cp "$(command -v busybox)" "$work/root/bin/busybox"
ln -s busybox "$work/root/bin/sleep"
"$build/src/image/tests/image-tool" "$images" import "$work/root" bb:1 >/dev/null 2>&1 || bail "no template"
taskd_x3="--images $images" driver=oci
server_join x3 "charge-interval = 2s" "images = $images" "template = template://bb:1" \
    "capacity.cpu = 4000" "reserve.cpu = 0" "headroom = 0" "capacity.memory = 160M" "reserve.memory = 0" \
    "own-addresses = 0"
server_start x1
server_start x2
server_start x3
for c in "${who[@]}"; do new_client "$c" 1000000000; done
empty=$(status_of x1)

# --- 300 where 100 fit ---
qos='<CPUmsps>1000</CPUmsps><NetMbps>1</NetMbps><MemoryMB>4</MemoryMB><DiskMB>4</DiskMB>'
began=$SECONDS
make_orders order 300
life=$((10 + 5 * (SECONDS - began))) # seconds; more than such a crowd takes to be answered
limits="<LifetimeSeconds>$life</LifetimeSeconds>"
make_asks create order x1 "$(requirement crowd "$qos" '<Port port="80"/>' "$limits")" $(seq 0 299)
files=$(fds x1 xenod '/*')
began=$SECONDS
crowd create x1 300 /v1/sessions
took=$((SECONDS - began))
is "$(codes create)" "100 201 200 503" "of 300 at once exactly 100 are admitted" || said create
[ $took -lt $life ] || bail "the crowd took $took s, longer than its sessions live"
is "$(answers create 201 | jq -r .session | sort -u | wc -l)" 100 "as sessions of their own"
answers create 503 | jq -c . >"$work/problems"
is "$(jq -r '"\(.type) \(.status)"' "$work/problems" | sort | uniq -c | xargs)" "200 admission.cpu 503" \
    "200 are told which resource"
is "$(jq -r .detail "$work/problems" | sort | uniq -c | xargs)" \
    "200 cpu: asked 1000 ms of CPU per second, 0 left of the 100000 this host sells; ask for less or try again later" \
    "what was asked, what is left, and what to do"
ok "all that were admitted run" wait_for 15 states_are x1 "100 running" || states x1
is "$(at x1 nobody GET /v1/status | jq -c '.status | [.free.cpu_msps, .sessions, .capacity.claims]')" \
    '[0,100,100]' "then nothing is left"
is "$(sessions_of x1 | jq -sc '[([.[].address] | unique | length), ([.[].ports[].host_port] | unique | length)]')" \
    '[100,100]' "addresses and ports are given once"

# --- the refused ---
orders_of_all >"$work/orders"
is "$(jq -r 'if .bound then "bound" else "free" end' "$work/orders" | sort | uniq -c | xargs)" \
    "100 bound 200 free" "only the orders of the admitted are bound"
mapfile -t rest < <(with_code create 503 | in_turns)
make_asks elsewhere order x2 "$(requirement elsewhere "$qos" '' "$limits")" "${rest[@]}"
crowd elsewhere x2 ${#rest[@]} /v1/sessions
is "$(codes elsewhere)" "${#rest[@]} 201" "orders of the refused are taken elsewhere" ||
    said elsewhere
ok "and sessions run on them" wait_for 15 states_are x2 "${#rest[@]} running" || states x2

# --- 60 containers where 10 fit ---
bare=$(traces x3) none=$(status_of x3)
qos='<CPUmsps>50</CPUmsps><NetMbps>1</NetMbps><MemoryMB>16</MemoryMB><DiskMB>8</DiskMB>'
make_orders order3 60
make_asks create3 order3 x3 "$(requirement crowd "$qos" '<Port port="80"/>' "$limits")" $(seq 0 59)
began=$SECONDS
crowd create3 x3 60 /v1/sessions
took=$((SECONDS - began))
is "$(codes create3)" "10 201 50 503" "of 60 at once exactly 10 are admitted" || said create3
[ $took -lt $life ] || bail "the crowd took $took s, longer than its sessions live"
is "$(answers create3 503 | jq -r '.type + " " + .detail' | sort | uniq -c | xargs)" \
    "50 admission.memory memory: asked 16777216 bytes, 0 left of the 167772160 this host sells; ask for less or try again later" \
    "50 are told that memory is short, what was asked and what is left"
ok "all that were admitted run" wait_for 15 states_are x3 "10 running" ||
    { states x3; cat "$work/x3-taskd.log"; }
for i in $(with_code create3 201); do
    type=application/xml at x3 "${who[i % 3]}" POST \
        "/v1/sessions/$(jq -r .session "$work/create3/$i.out")/tasks" "$(task_doc /bin/sleep 1000)" | jq -r .task
done >"$work/tasks"
is "$(grep -c . "$work/tasks")" 10 "a program is deployed in each"
conmons() { [ "$(pgrep -fc "conmon.*--cid $(conf x3 instance)-")" = 10 ]; }
ok "and runs" wait_for 15 conmons
full=$(traces x3)

# --- the end of their lives ---
ok "every session ends with its life" wait_for $((life + 20)) states_are x1 "100 ended" || states x1
is "$(sessions_of x1 | jq -r .reason | sort | uniq -c | xargs)" "100 session.lifetime" "for that reason"
ok "everything is free again" wait_for 10 status_is x1 "$empty" || status_of x1
is "$(fds x1 xenod '/*')" "$files" "xenod has no file open that it had not before"
ok "the containers end, too" wait_for $((life + 20)) states_are x3 "10 ended" || states x3
ok "and everything of theirs is free again" wait_for 10 status_is x3 "$none" || status_of x3
is "$(comm -13 <(kinds "$bare") <(kinds "$full") | awk '{print $2}' | sort | xargs)" \
    "cable cgroup conmon file loop mount nft" "while they ran there was more of each kind" ||
    comm <(kinds "$bare") <(kinds "$full")
ok "nothing of it is left in the kernel or the run folder" wait_for 10 traces_are x3 "$bare" ||
    diff <(echo "$bare") <(traces x3) | head -n 40 | sed 's/^/# /'

# --- the money ---
ok "the sessions elsewhere end" wait_for $((life + 20)) states_are x2 "${#rest[@]} ended"
all_free() { [ "$(orders_of_all | jq -r '.bound // empty' | wc -l)" = 0 ]; }
ok "no order is bound any more" wait_for 20 all_free
is "$(orders_of_all | jq -s '[.[].charged] | add')" \
    "$(for x in x1 x2 x3; do sessions_of $x; done | jq -s '[.[].spent] | add')" \
    "the XenoCorp charged what the sessions spent"
is "$(orders_of_all | jq -c 'select(.charged > 0) | .order' | wc -l)" $((110 + ${#rest[@]})) \
    "and charged nobody else"
for x in x1 x2 x3; do stop $x xenod; stop $x taskd; done
corp_stop
ok "every rule of the ledger holds" xenocorpd --dir "$corp_dir" --audit
done_testing
