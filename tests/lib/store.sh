# tests/lib/store.sh - a XenoStore under test beside a XenoCorp; source tap.sh and corp.sh first.
#
#     corp_init; corp_start; join op client "$token"     (corp.sh)
#     store_join                  enrols it in $work/store; its id is in $work/store.id
#     store_start [OPTION...]     starts it on its port; $store is HOST:PORT, $store_pid
#     store_stop [-9]
#     to WHO METHOD PATH [CURL-OPTION...]   asks it as WHO; prints the answer's body, its status is in
#                                 $work/status and its header in $work/header
#     header NAME                 of the last answer
#     certs_of WHO                makes $work/WHO.d, what the tools of containers take by --cert-dir
store_options() { printf '%s\n' --dir "$work/store" --listen "$store" --corp-url "$url"; }

store_join() {
    local options
    store=127.0.0.1:$(free_port)
    mapfile -t options < <(store_options)
    join_node xstored store "${options[@]}"
}

store_start() {
    local options
    mapfile -t options < <(store_options)
    background store xstored "${options[@]}" "$@"
    store_pid=$pid
    wait_for 10 to nobody GET /healthz || bail "xstored does not answer" "$(cat "$work/store.log")"
}

store_stop() {
    kill "${1:--TERM}" "$store_pid" 2>/dev/null
    wait "$store_pid" 2>/dev/null
}

to() {
    local who=$1 method=$2 path=$3 how=(-X "$2")
    shift 3
    [ "$method" = HEAD ] && how=(-I)
    case $path in https://*) ;; *) path=https://$store$path ;; esac
    curl_as "$who" "${how[@]}" -D "$work/header" "$@" "$path" || return 1
    [ "$method" = HEAD ] || cat "$work/body"
}

header() { sed -n "s/^$1: //Ip" "$work/header" | tr -d '\r'; }

certs_of() {
    mkdir -p "$work/$1.d"
    cp "$corp_dir/ca.pem" "$work/$1.d/ca.crt"
    cp "$work/$1.pem" "$work/$1.d/client.cert"
    cp "$work/$1.key" "$work/$1.d/client.key"
}

sha() { echo "sha256:$(sha256sum "$1" | cut -c1-64)"; }
