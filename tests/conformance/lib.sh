# tests/conformance/lib.sh - what the conformance tests share: a XenoCorp and XenoServers on
# loopback ports, and parties that joined with nothing but openssl and curl. Source it first.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/order.sh"
here=$top/tests/conformance

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip_all "needs $tool (scripts/setup installs it)"
    done
}

# The npm packages of package-lock.json, fetched once.
need_npm() {
    need node
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip_all "needs node 18"
    exec 8<"$here" && flock 8 # of several tests that start at once one fetches
    if ! cmp -s "$here/package-lock.json" "$here/node_modules/.fetched"; then
        need npm
        (cd "$here" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund) >"$work/npm.log" 2>&1 ||
            bail "npm ci" "$(tail -n 20 "$work/npm.log")"
        cp "$here/package-lock.json" "$here/node_modules/.fetched"
    fi
    exec 8<&-
}

# log_has NAME PATTERN: does the log of a background program say so?
log_has() { grep -q -- "$2" "$work/$1.log"; }

# corp_start [OPTION...]: a new XenoCorp; sets $corp_url and $corp (its id), and makes the party
# "operator".
corp_start() {
    local token
    need xenocorpd curl openssl jq
    token=$(xenocorpd --dir "$work/corp" --init 2>"$work/init.log") ||
        bail "xenocorpd --init" "$(cat "$work/init.log")"
    corp=${token##*.}
    background xenocorpd xenocorpd --dir "$work/corp" --listen 127.0.0.1:0 "$@"
    corp_pid=$pid
    wait_for 10 log_has xenocorpd ' port=' || bail "xenocorpd starts" "$(cat "$work/xenocorpd.log")"
    corp_url=https://127.0.0.1:$(sed -n 's/.* port=\([0-9]*\).*/\1/p' "$work/xenocorpd.log" | tail -n 1)
    curl -sS -k -o "$work/ca.pem" "$corp_url/v1/ca"
    export CORP_URL=$corp_url CORP_ID=$corp WORK=$work
    new_key operator
    join operator clients "$token" '{"name":"operator"}' || bail "the operator joins" "$body"
}

# new_key PARTY: an Ed25519 key and a certificate request by it, made by OpenSSL.
new_key() {
    mkdir -p "$work/$1"
    openssl genpkey -algorithm ed25519 -out "$work/$1/key.pem" 2>/dev/null &&
        openssl req -new -key "$work/$1/key.pem" -subj "/CN=$1" -out "$work/$1/csr.pem" 2>/dev/null
}

# call PARTY METHOD URL [curl option...]: sets $status, $body and, in $head, the answer's header.
# PARTY "-" shows no certificate.
call() {
    local party=$1 method=$2 url=$3 cert=()
    shift 3
    [ "$party" = - ] || cert=(--cert "$work/$party/credential.pem" --key "$work/$party/key.pem")
    status=$(curl -sS --max-time 20 --cacert "$work/ca.pem" "${cert[@]}" -X "$method" \
        -D "$work/head" -o "$work/body" -w '%{http_code}' "$@" "$url" 2>"$work/curl.err")
    body=$(tr -d '\0' <"$work/body" 2>/dev/null)
    head=$(cat "$work/head" 2>/dev/null)
    [ "${status:-000}" != 000 ] || body=$(cat "$work/curl.err")
}

json() { # json PARTY METHOD URL JSON [curl option...]
    local party=$1 method=$2 url=$3 data=$4
    shift 4
    call "$party" "$method" "$url" -H 'Content-Type: application/json' --data-binary "$data" "$@"
}

xml() { # xml PARTY METHOD URL FILE [curl option...]
    local party=$1 method=$2 url=$3 file=$4
    shift 4
    call "$party" "$method" "$url" -H 'Content-Type: application/xml' --data-binary @"$file" "$@"
}

once() { echo "Idempotency-Key: $1"; } # for -H "$(once KEY)"

# join PARTY clients|servers TOKEN JSON: register; its credential is kept, its id is in PARTY/id.
join() {
    json - POST "$corp_url/v1/$2" "$(jq -n --arg token "$3" --rawfile csr "$work/$1/csr.pem" \
        --argjson more "$4" '{$token, $csr} + $more')"
    [ "$status" = 201 ] || return 1
    jq -r .certificate <<<"$body" >"$work/$1/credential.pem"
    jq -r .ca <<<"$body" >"$work/$1/ca.pem"
    jq -r .id <<<"$body" >"$work/$1/id"
}

id_of() { cat "$work/$1/id"; }

# token KIND: sets $token.
token() {
    json operator POST "$corp_url/v1/admin/tokens" "{\"kind\":\"$1\",\"lifetime_s\":600}"
    token=$(jq -r .token <<<"$body")
}

# client PARTY CREDITS: a registered client with that many micro-credits.
client() {
    new_key "$1"
    token client
    join "$1" clients "$token" "{\"name\":\"$1\",\"contact\":\"$1@example.net\"}" ||
        bail "$1 joins" "$body"
    json operator POST "$corp_url/v1/admin/fund" "{\"id\":\"$(id_of "$1")\",\"amount\":$2}" \
        -H "$(once "fund-$1")"
    [ "$status" = 200 ] || bail "$1 is funded" "$body"
}

# server_party PARTY: a registered XenoServer without any daemon.
server_party() {
    new_key "$1"
    token server
    join "$1" servers "$token" "$(jq -n --arg name "$1" '{$name, owner: "test",
        contact: "test@example.net", payout: {account: "none"},
        machine: {architecture: "x86_64", cpu: "test", cpus: 2, memory_bytes: 4294967296,
                  network_mbps: 1000},
        endpoint: "https://127.0.0.1:8443", hosts: ["127.0.0.1", "localhost"]}')" ||
        bail "$1 joins" "$body"
}

# As an ordinary user, also when the test runs as root: the null driver needs no rights. A prefix and
# not a function, so that `background` knows the id of the program and not of a shell around it.
plain=()
[ "$(id -u)" != 0 ] || plain=(setpriv --reuid 65534 --regid 65534 --clear-groups --)

# xenod_start NAME [OPTION...]: a XenoServer on the null driver that joined $corp; sets
# $server_url, and makes the party NAME (its key and credential, to ask the XenoCorp as it).
xenod_start() {
    local name=$1 dir=$work/$1.d instance=c$((RANDOM % 9000 + 1000))
    shift
    need xenod xeno-taskd setpriv
    mkdir -p "$dir/task" "$dir/host"
    [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$dir"
    token server
    local all=(--dir "$dir/host" --instance "$instance" --listen 127.0.0.1:0 --corp-url "$corp_url"
        --task-socket "$dir/task/socket" --driver null --name "$name" --owner tester
        --endpoint https://127.0.0.1:1 --pool 10.250.1.0/24)
    "${plain[@]}" xenod "${all[@]}" --enrol "$token" >"$work/enrol.log" 2>&1 ||
        bail "xenod --enrol" "$(cat "$work/enrol.log")"
    background "taskd-$name" "${plain[@]}" xeno-taskd --dir "$dir/task" --socket "$dir/task/socket" \
        --instance "$instance" --pool 10.250.1.0/24
    background "xenod-$name" "${plain[@]}" xenod "${all[@]}" "$@"
    server_pid=$pid
    wait_for 10 log_has "xenod-$name" ' port=' || bail "xenod starts" "$(cat "$work/xenod-$name.log")"
    server_url=https://127.0.0.1:$(sed -n 's/.* port=\([0-9]*\).*/\1/p' "$work/xenod-$name.log" | tail -n 1)
    mkdir -p "$work/$name"
    cp "$dir/host/key.pem" "$dir/host/credential.pem" "$dir/host/ca.pem" "$work/$name/"
    openssl x509 -in "$work/$name/credential.pem" -noout -subject | sed 's/.*CN = //' >"$work/$name/id"
    wait_for 15 server_accepts || bail "the XenoServer accepts sessions" "$(cat "$work/xenod-$name.log")"
    export SERVER_URL=$server_url SERVER_ID=$(id_of "$name")
}

# node_start PROGRAM NAME [OPTION...]: a program that joined $corp as a node; its files are in $work/NAME
# and its id is in $work/NAME.id. Sets $node_url.
node_start() {
    local program=$1 name=$2
    shift 2
    need "$program"
    token node
    local all=(--dir "$work/$name" --listen 127.0.0.1:0 --corp-url "$corp_url" --name "$name" "$@")
    "$program" "${all[@]}" --enrol "$token" >"$work/$name.id" 2>"$work/enrol.log" ||
        bail "$program --enrol" "$(cat "$work/enrol.log")"
    background "$name" "$program" "${all[@]}"
    wait_for 10 log_has "$name" ' port=' || bail "$program starts" "$(cat "$work/$name.log")"
    node_url=https://127.0.0.1:$(sed -n 's/.* port=\([0-9]*\).*/\1/p' "$work/$name.log" | tail -n 1)
}

# store_start [OPTION...]: a XenoStore that joined $corp; sets $store_url.
store_start() {
    node_start xstored store "$@"
    store_url=$node_url
    export STORE_URL=$store_url STORE_ID=$(cat "$work/store.id")
}

# xis_start [OPTION...]: an information service that joined $corp; sets $xis_url.
xis_start() {
    node_start xisd xis "$@"
    xis_url=$node_url
    export XIS_URL=$xis_url XIS_ID=$(cat "$work/xis.id")
}

server_accepts() {
    call - GET "$server_url/v1/status"
    [ "$(jq -r .status.accepting <<<"$body")" = true ]
}
