# tests/lib/corp.sh - a XenoCorp under test, and parties that are only openssl and curl; source
# tap.sh first.
#
#     corp_init                  makes it in $work/corp; $token is the first operator's
#     corp_start                 starts it on a free port; $url, $corp_pid
#     join NAME client|server TOKEN [MORE-JSON]   makes $work/NAME.{key,pem}, its id in $work/NAME.id
#     as NAME METHOD PATH [BODY] prints the answer; its status in $work/status
corp_dir=$work/corp

corp_init() {
    token=$(xenocorpd --dir "$corp_dir" --init) || bail "xenocorpd --init"
    corp_port=$(free_port)
    url=https://127.0.0.1:$corp_port
}

corp_start() {
    background corp xenocorpd --dir "$corp_dir" --listen "127.0.0.1:$corp_port" "$@"
    corp_pid=$pid
    wait_for 10 as nobody GET /healthz || bail "xenocorpd does not answer" "$(cat "$work/corp.log")"
}

corp_stop() {
    kill "${1:--TERM}" "$corp_pid" 2>/dev/null
    wait "$corp_pid" 2>/dev/null
}

as() {
    local who=$1 method=$2 path=$3
    shift 3
    local body=()
    [ $# -gt 0 ] && body=(--data-binary "$1" -H "Content-Type: ${type:-application/json}")
    curl_as "$who" --max-time 20 "${body[@]}" -X "$method" -H "Idempotency-Key: ${idem:-$(date +%s%N)}" \
        "$url$path" || return 1
    cat "$work/body"
}

# curl_as WHO CURL-OPTION... URL: with WHO's credential, if there is one; the body is in $work/body then,
# the status in $work/status.
curl_as() {
    local who=$1 cred=()
    shift
    [ -f "$work/$who.pem" ] && cred=(--cert "$work/$who.pem" --key "$work/$who.key")
    curl -sS --max-time 60 --tlsv1.3 --cacert "$corp_dir/ca.pem" "${cred[@]}" -o "$work/body" -w '%{http_code}' \
        "$@" >"$work/status" 2>"$work/curl.err" || {
        cat "$work/curl.err" >&2
        return 1
    }
}

# join_node PROGRAM NAME OPTION...: as op, enrols a node; its id is in $work/NAME.id.
join_node() {
    local program=$1 name=$2 tok
    shift 2
    tok=$(as op POST /v1/admin/tokens '{"kind":"node","lifetime_s":600}' | jq -r .token)
    "$program" "$@" --hosts 127.0.0.1 --enrol "$tok" >"$work/$name.id" 2>"$work/enrol.log" ||
        bail "$program --enrol" "$(cat "$work/enrol.log")"
}

status() { cat "$work/status"; }

make_csr() {
    openssl genpkey -algorithm ed25519 -out "$work/$1.key" 2>/dev/null
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" 2>/dev/null
}

join() {
    local name=$1 kind=$2 tok=$3 more=${4:-}
    [ -n "$more" ] || more='{}'
    jq -n --arg t "$tok" --arg n "$name" --arg c "$(make_csr "$name")" --argjson m "$more" \
        '{token: $t, name: $n, contact: "", csr: $c} + $m' >"$work/$name.join"
    as nobody POST "/v1/${kind}s" "@$work/$name.join" >"$work/$name.joined" || return 1
    jq -er .certificate "$work/$name.joined" >"$work/$name.pem.new" || {
        rm -f "$work/$name.pem.new"
        return 1
    }
    mv "$work/$name.pem.new" "$work/$name.pem"
    jq -r .id "$work/$name.joined" >"$work/$name.id"
}
id_of() { cat "$work/$1.id"; }

a_server='{"endpoint":"https://127.0.0.1:1","owner":"o","payout":{"iban":"x"},"hosts":["127.0.0.1"],
 "machine":{"architecture":"x86_64","cpu":"c","cpus":2,"memory_bytes":1000000,"network_mbps":100}}'
