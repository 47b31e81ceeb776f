# tests/lib/order.sh - orders narrowed, and shown to XenoServers, with nothing but openssl and jq (rfc/0001).
b64url() { basenc -w0 --base64url | tr -d =; }

# restrict KEY-FILE ID CHAIN RESTRICT-JSON [MORE-JSON]: prints the chain with one block more, signed by
# its holder, who has that key and id. MORE-JSON has the block's other members.
restrict() {
    local dir n input
    dir=$(mktemp -d "$work/block.XXXXXX")
    n=$(($(tr -cd '~' <<<"$3" | wc -c) + 1))
    input=$(printf '{"alg":"EdDSA","kid":"%s","typ":"xeno-order-block+json"}' "$2" | b64url).$(jq -jcn \
        --argjson n "$n" --arg prev "$(printf %s "${3##*~}" | openssl dgst -sha256 -binary | b64url)" \
        --argjson restrict "$4" --argjson more "${5:-{\}}" '{v: 1, $n, $prev, $restrict} + $more' | b64url)
    printf %s "$input" >"$dir/input"
    openssl pkeyutl -sign -inkey "$1" -rawin -in "$dir/input" -out "$dir/sig"
    printf '%s~%s.%s\n' "$3" "$input" "$(b64url <"$dir/sig")"
    rm -r "$dir"
}

# present KEY-FILE ID CHAIN SERVER-ID: prints the chain as its holder shows it to that XenoServer.
present() {
    restrict "$1" "$2" "$3" '{}' "$(jq -cn --arg server "$4" --argjson t "$(date +%s%3N)" \
        '{present: {$server, time_ms: $t}}')"
}
