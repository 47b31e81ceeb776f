#!/bin/bash
# The network as a paid session feels it: NetMbps holds both ways, names are found by the name server
# that the operator chose, and what is counted on its cable is what is reported and what is paid.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/net.sh"
in_a_world "$@"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"

driver=oci
images=$work/images
taskd_x="--images $images --dns 198.51.100.2"
bytes=2000000

mkdir -p "$work/root"/{bin,etc,tmp,proc,sys,dev,srv}
cp "$(command -v busybox)" "$work/root/bin/busybox"
for t in cat httpd nslookup wget; do ln -s busybox "$work/root/bin/$t"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$work/root/etc/passwd"
head -c $bytes /dev/urandom >"$work/root/srv/file"
"$build/src/image/tests/image-tool" "$images" init >/dev/null 2>&1
"$build/src/image/tests/image-tool" "$images" import "$work/root" bb:1 >/dev/null 2>&1 ||
    bail "no template"

background far nsenter --net="$work/outside" busybox httpd -f -p 8000 -h "$work/root/srv"
background names nsenter --net="$work/outside" "$wire" dns 203.0.113.7

corp_init
corp_start
join op client "$token"
# Bytes are dear and all else is free, so that the bill is the bytes.
free=()
for r in cpu memory disk net address; do free+=("tariff.$r.reserved = 0"); done
for r in cpu memory disk; do free+=("tariff.$r.used = 0"); done
server_join x "images = $images" "template = template://bb:1" "capacity.cpu = 4000" "reserve.cpu = 0" \
    "capacity.net = 1000" "charge-interval = 1s" "${free[@]}" "tariff.net.used = 100"
server_start x
new_client ann 1000000000
xml() { local type=application/xml; at x "$@"; }
usage() { at x ann GET "/v1/sessions/$s/usage"; }
net_used() { usage | jq '.items[] | select(.res == "net") | .used'; }
task() { at x ann GET "/v1/sessions/$s/tasks" | jq -r ".tasks[] | select(.task == \"$1\") | .$2"; }
task_is() { [ "$(task "$1" state)" = "$2" ]; }
# run NAME WORD...: a task, to its end; prints what it said.
run() {
    local name=$1 doc
    shift
    doc=$(task_doc "$@")
    xml ann POST "/v1/sessions/$s/tasks" "${doc/<Task>/<Task><Name>$name</Name>}" >/dev/null
    wait_for 60 task_is "$name" exited
    at x ann GET "/v1/sessions/$s/tasks/$name/logs"
}
ms() { echo $(($(date +%s%N) / 1000000)); }
# counted: bytes on the session's cable, both ways.
counted() {
    ip -j -s link show | jq --arg c "xv$(conf x instance)-" \
        '[.[] | select(.ifname | startswith($c)) | .stats64 | .rx.bytes + .tx.bytes] | add'
}
reported() { [ "$(net_used)" = "$(counted)" ]; }

# session MBPS: one with that rate and a file server.
session() {
    s=$(new_session x ann "$(new_order ann 20000000)" \
        "$(requirement s "<CPUmsps>500</CPUmsps><NetMbps>$1</NetMbps>" '<Port port="80"/>')")
    wait_for 20 state_is x ann "$s" running ||
        bail "no session" "$(cat "$work/session" "$work/x-taskd.log")"
    xml ann POST "/v1/sessions/$s/tasks" "$(task_doc httpd -f -p 0.0.0.0:80 -h /srv)" >/dev/null
    port=$(at x ann GET "/v1/sessions/$s" | jq '.ports[0].host_port')
    wait_for 10 outside curl -sf -r 0-9 "http://198.51.100.1:$port/file"
}

# transfer to|from: the file, once; $status (0 is well), $took ms, $got bytes on the cable both ways.
transfer() {
    local before t
    before=$(counted) t=$(ms)
    if [ "$1" = to ]; then
        transfers=$((transfers + 1))
        run get$transfers wget -q -O /dev/null http://198.51.100.2:8000/file >/dev/null
        status=$(task get$transfers code)
    else
        outside curl -s --max-time 60 -o "$work/file" "http://198.51.100.1:$port/file"
        cmp -s "$work/file" "$work/root/srv/file"
        status=$?
    fi
    took=$(($(ms) - t)) got=$(($(counted) - before))
}

# $bytes at 4 Mbit/s are 4 s, of which the shaper's burst is 33 ms; a busy machine only makes it
# longer, so that 40 Mbit/s may need some tries to be seen to be more.
declare -A slow
transfers=0
for mbps in 4 40; do
    session $mbps
    if [ $mbps = 4 ]; then
        is "$(run conf cat /etc/resolv.conf | grep -c '^nameserver 198.51.100.2$')" 1 \
            "the session is told the name server"
        like "$(run names nslookup a.name.example)" 'Address.*203\.0\.113\.7' "and finds names by it"
    fi
    for way in to from; do
        for try in 1 2 3 4 5; do
            transfer $way
            [ $mbps = 4 ] || [ $took -lt ${slow[$way]} ] && break
        done
        is "$status" 0 "$bytes bytes go $way a session of $mbps Mbit/s"
        ok "not sooner than they may ($took ms)" test $took -ge $((bytes * 8 * 95 / 100000 / mbps))
        ok "on its cable they are $got" test $got -ge $bytes -a $got -le $((bytes * 110 / 100))
        [ $mbps = 4 ] || ok "sooner than at 4 Mbit/s" test $took -lt ${slow[$way]}
        slow[$way]=$took
    done

    ok "what was counted is reported, to the byte" wait_for 20 reported
    used=$(net_used)
    at x ann POST "/v1/sessions/$s/end" >/dev/null
    wait_for 20 state_is x ann "$s" ended
    wait_for 20 eval '[ "$(usage | jq .pending)" = 0 ]'
    paid=$(usage | jq .amount)
    is "$paid" $(($(net_used) * 100000000 / 1073741824)) "100 credits a GiB are owed for it"
    # The server's end may still send a packet or two.
    ok "which is what was reported before the end" test $(($(net_used) - used)) -le 2000
    is "$(as ann GET "/v1/orders/$(cat "$work/order")" | jq .charged)" "$paid" "the order paid it"
done
is "$(as ann GET /v1/statement?limit=100 |
    jq '[.entries[] | select(.kind == "charge") | -.amount] | add')" \
    "$(as op GET /v1/admin/ledger | jq '.earned + .fees')" "the statement says what the ledger earned"
done_testing
