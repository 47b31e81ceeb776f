# tests/lib/server.sh - XenoServers under test beside a XenoCorp; source tap.sh and corp.sh first.
#
#     corp_init; corp_start; join op client "$token"        (corp.sh)
#     server_join NAME [OPTION...]    enrols a XenoServer in $work/NAME; its port is fixed from then on
#     server_start NAME               starts its task manager and it, and waits until both agree
#     at NAME WHO METHOD PATH [BODY]  as WHO asks it; prints the answer, status in $work/status
#     new_client NAME CREDITS-MICRO   joins and is given money
#     new_order WHO MICRO             prints the chain of a new order; its id in $work/order
#     show_to NAME WHO CHAIN          prints the chain as WHO presents it to that XenoServer
#     session_state NAME WHO SESSION  prints it
#
# Options after NAME go to xenod; $driver is its driver (null by default), and taskd_NAME in the
# environment adds options of xeno-taskd. Instance, pool and the ports of sessions are drawn, unless the
# options say otherwise, so that tests beside each other, and a platform of the machine's owner, stay apart.
. "$(dirname "${BASH_SOURCE[0]}")/order.sh"
driver=${driver:-null}

new_token() { as op POST /v1/admin/tokens "{\"kind\":\"$1\",\"lifetime_s\":600}" | jq -r .token; }

# Two that publish the same port of the machine would take each other's callers.
port_range() {
    local first
    for first in $(shuf -i 160-199); do
        claim "ports-$first" && printf 'port-first = %s00\nport-last = %s99\n' "$first" "$first" && return
    done
}

server_join() {
    local name=$1 port tok
    shift
    port=$(free_port)
    mkdir -p "$work/$name"
    tok=$(new_token server)
    {
        echo "dir = $work/$name/xenod"
        echo "corp-url = $url"
        echo "listen = 127.0.0.1:$port"
        echo "task-socket = $work/$name/socket"
        echo "driver = $driver"
        echo "hosts = 127.0.0.1"
        echo "name = $name"
        echo "instance = t$(shuf -i 1000-9999 -n 1)"
        printf '%s\n' "$@" | grep -q '^pool' ||
            echo "pool = 10.$(shuf -i 100-199 -n 1).$(shuf -i 0-255 -n 1).0/24"
        printf '%s\n' "$@" | grep -q '^port-first' || port_range
        printf '%s\n' "$@"
    } >"$work/$name/xenod.conf"
    at_end "server_sweep $name"
    echo "$port" >"$work/$name/port"
    xenod --config "$work/$name/xenod.conf" --enrol "$tok" >"$work/$name.id" 2>"$work/$name.enrol" ||
        bail "xenod --enrol" "$(cat "$work/$name.enrol")"
}

# conf NAME KEY: what the XenoServer's configuration says.
conf() { sed -n "s/^$2 = //p" "$work/$1/xenod.conf"; }

taskd_start() {
    local name=$1 more=taskd_$1
    # shellcheck disable=SC2086
    background "$name-taskd" xeno-taskd --dir "$work/$name/taskd" --socket "$work/$name/socket" \
        --instance "$(conf "$name" instance)" --pool "$(conf "$name" pool)" ${!more:-}
    echo "$pid" >"$work/$name/taskd.pid"
}

# What an instance leaves in the kernel when its daemons are ended: it would be found by the next.
server_sweep() {
    stop "$1" xenod
    stop "$1" taskd
    xeno-taskd --dir "$work/$1/taskd" --instance "$(conf "$1" instance)" --remove
}

xenod_start() {
    local name=$1
    background "$name-xenod" xenod --config "$work/$name/xenod.conf"
    echo "$pid" >"$work/$name/xenod.pid"
}

server_ready() { [ "$(at "$1" nobody GET /healthz | jq -r .task_manager)" = true ]; }

server_start() {
    taskd_start "$1"
    xenod_start "$1"
    wait_for 15 server_ready "$1" ||
        bail "XenoServer $1 is not ready" "$(cat "$work/$1-xenod.log" "$work/$1-taskd.log")"
}

# stop NAME xenod|taskd [-9]
stop() {
    local p
    p=$(cat "$work/$1/$2.pid" 2>/dev/null) || return 0
    kill "${3:--TERM}" "$p" 2>/dev/null
    wait "$p" 2>/dev/null
}

# Like `as`, to a XenoServer.
at() {
    local name=$1 url
    shift
    url=https://127.0.0.1:$(cat "$work/$name/port")
    as "$@"
}

new_client() {
    join "$1" client "$(new_token client)" || return 1
    as op POST /v1/admin/fund "{\"id\":\"$(id_of "$1")\",\"amount\":$2}" >/dev/null
}

new_order() {
    local a
    a=$(as "$1" POST /v1/orders "{\"amount\":$2,\"lifetime_s\":86400}")
    jq -r .order <<<"$a" >"$work/order"
    jq -r .chain <<<"$a"
}

# requirement NAME [QOS-ELEMENTS] [NETWORK-ELEMENTS] [LIMIT-ELEMENTS]
requirement() {
    echo "<EnvironmentalRequirements><Basic><EnvName>$1</EnvName><EnvType>Linux</EnvType></Basic>
<Network>${3:-}</Network><QoS>${2:-}</QoS><Limits>${4:-}</Limits></EnvironmentalRequirements>"
}

# task_doc WORD...
task_doc() {
    local w out='<Task><Command>'
    for w in "$@"; do out+="<Argument>$w</Argument>"; done
    echo "$out</Command></Task>"
}

show_to() {
    present "$work/$2.key" "$(id_of "$2")" "$3" "$(at "$1" nobody GET /v1/status | jq -r .status.server)"
}

# new_session NAME WHO CHAIN [REQUIREMENT]: prints its id; the answer is in $work/session.
new_session() {
    jq -n --arg c "$(show_to "$1" "$2" "$3")" --arg r "${4:-$(requirement s)}" '{chain: $c, requirements: $r}' >"$work/ask"
    at "$1" "$2" POST /v1/sessions "@$work/ask" >"$work/session" || return 1
    jq -r '.session // empty' "$work/session"
}

session_state() { at "$1" "$2" GET "/v1/sessions/$3" | jq -r .state; }
state_is() { [ "$(session_state "$1" "$2" "$3")" = "$4" ]; }
