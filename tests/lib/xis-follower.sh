# tests/lib/xis-follower.sh - somebody who follows the changes of one or more nodes of an information service that
# number them alike; source tap.sh, corp.sh and xis.sh first.
#
#     follow NAME URL...          asks for what comes next, each time one of the URLs, until $work/NAME/enough is
#                                 there: run it beside. $work/NAME/gaps counts when it had to begin again.
#     follow_end NAME URL         one more time, from that one, until there is no more
#     followed NAME               what it has: lines "ID|VERSION" of what is alive
follow_once() { # NAME URL WAIT: 0 when there was something
    local dir=$work/$1 after epoch
    read -r epoch after <"$dir/at"
    [ "$epoch" != - ] || epoch=
    curl -sS --max-time 20 --tlsv1.3 --cacert "$corp_dir/ca.pem" --cert "$work/op.pem" --key "$work/op.key" -o "$dir/answer" -f \
        "$2/v1/changes?${epoch:+epoch=$epoch&}after=$after&limit=1000&wait=$3" 2>/dev/null || return 1
    if [ "$(jq .gap "$dir/answer")" = true ]; then
        echo gap >>"$dir/gaps"
        : >"$dir/told"
        echo "$(jq -r .epoch "$dir/answer") 0" >"$dir/at"
        return 0
    fi
    jq -r '.changes[] | "\(.id) \(if .advert then .version else 0 end)"' "$dir/answer" >>"$dir/told"
    jq -r '"\(.epoch) \(.next)"' "$dir/answer" >"$dir/at"
    [ "$(jq '.changes | length' "$dir/answer")" -gt 0 ]
}

follow() {
    local dir=$work/$1 urls=("${@:2}")
    mkdir -p "$dir"
    echo "- 0" >"$dir/at"
    : >"$dir/told"
    : >"$dir/gaps"
    while [ ! -e "$dir/enough" ]; do
        follow_once "$1" "${urls[RANDOM % ${#urls[@]}]}" 1 || sleep 0.05
    done
}

follow_end() {
    for _ in $(seq 100); do follow_once "$1" "$2" 0 || break; done
}

followed() { awk '{ v[$1] = $2 } END { for (id in v) if (v[id] > 0) print id "|" v[id] }' "$work/$1/told" | sort; }
