# tests/lib/xis-nodes.sh - several nodes of an information service; source tap.sh, corp.sh and xis.sh
# first. A node's identity and files are in $work/NAME.
#
#     node_join NAME              enrols it, on a port of its own: ${node_url[NAME]}
#     node_begin NAME [OPTION...] starts it and waits until it answers, ready or not
#     node_start NAME [OPTION...] the same, and waits until it is ready
#     node_stop NAME [-9]
#     at_node NAME WHO METHOD PATH [CURL-OPTION...]     as xis(), which asks one node
#     version_at NAME SEED        the version of an advert there; 0: it has none
#     newest FILE SEED            the highest version that was acknowledged: lines "SEED VERSION"
declare -A node_url node_pid

node_options() { printf '%s\n' --dir "$work/$1" --listen "${node_url[$1]#https://}" --corp-url "$url"; }

node_join() {
    local options
    node_url[$1]=https://127.0.0.1:$(free_port)
    mapfile -t options < <(node_options "$1")
    join_node xisd "$1" "${options[@]}"
}

node_begin() {
    local name=$1 options
    shift
    mapfile -t options < <(node_options "$name")
    background "$name" xisd "${options[@]}" "$@"
    node_pid[$name]=$pid
    wait_for 20 at_node "$name" nobody GET /healthz || bail "$name does not answer" "$(cat "$work/$name.log")"
}

node_is_ready() { at_node "$1" nobody GET /healthz >/dev/null && [ "$(cat "$work/status")" = 200 ]; }
node_start() {
    node_begin "$@"
    wait_for 20 node_is_ready "$1" || bail "$1 is not ready" "$(cat "$work/$1.log")"
}

node_stop() {
    kill "${2:--TERM}" "${node_pid[$1]}" 2>/dev/null
    wait "${node_pid[$1]}" 2>/dev/null
}

at_node() {
    local xis=${node_url[$1]}
    shift
    xis "$@"
}

# In files of its own, so that it may run beside other questions.
version_at() {
    curl -sS --max-time 20 --tlsv1.3 --cacert "$corp_dir/ca.pem" --cert "$work/op.pem" --key "$work/op.key" \
        "${node_url[$1]}/v1/adverts/$(xis_id "$2")" 2>/dev/null | jq -r '.version // 0' 2>/dev/null || echo 0
}

newest() { awk -v s="$2" '$1 == s && $2 > m { m = $2 } END { print m + 0 }' "$1"; }
