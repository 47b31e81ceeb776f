# tests/lib/at-once.sh - many requests at once; source tap.sh, corp.sh and, for XenoServers, server.sh
# first. The names of the parties that ask, in turns, are in the array `who`.
#
# crowd NAME SERVER|corp COUNT PATH: COUNT requests on as many connections, i by the party
# who[i % their number], with the body $work/NAME/i.ask; answers in $work/NAME/i.out, "i status" of
# each in $work/NAME.codes. The party asked is held still until all connections stand at its door.
crowd() {
    local name=$1 party=$2 count=$3 path=$4 i base=$url pid=$corp_pid port=$corp_port
    if [ "$party" != corp ]; then
        port=$(cat "$work/$party/port") pid=$(cat "$work/$party/xenod.pid")
        base=https://127.0.0.1:$port
    fi
    for ((i = 0; i < count; i++)); do
        [ $i = 0 ] || echo next
        cat <<CONF
url = "$base$path"
header = "Idempotency-Key: $name-$i"
header = "Content-Type: application/json"
data-binary = "@$work/$name/$i.ask"
cert = "$work/${who[i % ${#who[@]}]}.pem"
key = "$work/${who[i % ${#who[@]}]}.key"
cacert = "$corp_dir/ca.pem"
output = "$work/$name/$i.out"
write-out = "$i %{http_code}\n"
CONF
    done >"$work/$name.curl"
    kill -STOP "$pid"
    curl -sS --max-time 120 --parallel --parallel-immediate --parallel-max "$count" \
        -K "$work/$name.curl" >"$work/$name.codes" 2>"$work/$name.err" &
    local curl=$!
    ok "$name: $count connections wait together" wait_for 20 at_the_door "$count" "$port" "$curl"
    kill -CONT "$pid"
    wait $curl
}
at_the_door() {
    [ "$(ss -Htnp state established "dport = :$2" | grep -c "pid=$3,")" = "$1" ]
}
# with_code NAME CODE: the numbers of those who got it
with_code() { awk -v c="$2" '$2 == c {print $1}' "$work/$1.codes" | sort -n; }
codes() { awk '{print $2}' "$work/$1.codes" | sort | uniq -c | xargs; }
said() { tail -n 5 "$work/$1.err" | sed 's/^/# /'; }
answers() { local i; for i in $(with_code "$1" "$2"); do echo "$work/$1/$i.out"; done | xargs cat; }
