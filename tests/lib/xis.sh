# tests/lib/xis.sh - an information service under test beside a XenoCorp; source tap.sh and corp.sh
# first.
#
#     corp_init; corp_start; join op client "$token"     (corp.sh)
#     xis_join                    enrols it in $work/xis; its id is in $work/xis.id
#     xis_start [OPTION...]       starts it on its port; $xis is https://HOST:PORT, $xis_pid
#     xis_stop [-9]
#     xis WHO METHOD PATH [CURL-OPTION...]   asks it as WHO; prints the answer's body, its status is
#                                 in $work/status
#     advertise OPTION=VALUE... TOKEN=VALUE...    what a XenoServer signs (src/xisd/tests/advertise.c)
#     publish WHO SEED VERSION [OPTION=VALUE...] [TOKEN=VALUE...]    signs and sends it; its text is
#                                 in $work/SEED.jws
#     amend, withdraw             the same with a delta to $work/SEED.jws, with a withdrawal
advertise() { "$build/src/xisd/tests/advertise" "$@"; }
xis_id() { advertise seed="$1" print=id; }

xis_options() { printf '%s\n' --dir "$work/xis" --listen "${xis#https://}" --corp-url "$url"; }

xis_join() {
    local options
    xis=https://127.0.0.1:$(free_port)
    mapfile -t options < <(xis_options)
    join_node xisd xis "${options[@]}"
}

xis_start() {
    local options
    mapfile -t options < <(xis_options)
    background xis xisd "${options[@]}" "$@"
    xis_pid=$pid
    wait_for 20 xis nobody GET /healthz || bail "xisd does not answer" "$(cat "$work/xis.log")"
}

xis_stop() {
    kill "${1:--TERM}" "$xis_pid" 2>/dev/null
    wait "$xis_pid" 2>/dev/null
}

xis() {
    local who=$1 method=$2 path=$3
    shift 3
    curl_as "$who" -X "$method" "$@" "$xis$path" && cat "$work/body"
}

send() { # WHO METHOD SEED FILE
    xis "$1" "$2" "/v1/adverts/$(xis_id "$3")" -H 'Content-Type: application/jose' --data-binary "@$4"
}
publish() {
    local who=$1 seed=$2 version=$3
    shift 3
    advertise seed="$seed" version="$version" "$@" >"$work/$seed.jws" && send "$who" PUT "$seed" "$work/$seed.jws"
}
amend() {
    local who=$1 seed=$2 version=$3
    shift 3
    advertise seed="$seed" version="$version" base="$work/$seed.jws" "$@" >"$work/$seed.delta" &&
        send "$who" PATCH "$seed" "$work/$seed.delta"
}
withdraw() {
    local who=$1 seed=$2 version=$3
    shift 3
    advertise seed="$seed" version="$version" withdraw=yes "$@" >"$work/$seed.gone" &&
        send "$who" DELETE "$seed" "$work/$seed.gone"
}
