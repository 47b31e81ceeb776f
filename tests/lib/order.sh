# tests/lib/order.sh - orders shown to XenoServers with nothing but openssl and jq (rfc/0001 6).
b64url() { basenc -w0 --base64url | tr -d =; }

# present KEY-FILE ID CHAIN SERVER-ID: prints the chain as its holder, who has that key and id, shows
# it to that XenoServer.
present() {
    local dir n input
    dir=$(mktemp -d "$work/present.XXXXXX")
    n=$(($(tr -cd '~' <<<"$3" | wc -c) + 1))
    input=$(printf '{"alg":"EdDSA","kid":"%s","typ":"xeno-order-block+json"}' "$2" | b64url).$(jq -jcn \
        --argjson n "$n" --arg prev "$(printf %s "${3##*~}" | openssl dgst -sha256 -binary | b64url)" \
        --arg server "$4" --argjson t "$(date +%s%3N)" \
        '{v: 1, n: $n, prev: $prev, restrict: {}, present: {server: $server, time_ms: $t}}' | b64url)
    printf %s "$input" >"$dir/input"
    openssl pkeyutl -sign -inkey "$1" -rawin -in "$dir/input" -out "$dir/sig"
    printf '%s~%s.%s\n' "$3" "$input" "$(b64url <"$dir/sig")"
    rm -r "$dir"
}
