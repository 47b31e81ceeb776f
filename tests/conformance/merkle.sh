# tests/conformance/merkle.sh - the audit log checked with nothing but openssl, jq and xxd, by the algorithms
# of RFC 9162, 2.1.3.2 and 2.1.4.2. Hashes are hexadecimal here, in base64url on the wire.

# unb64url TEXT: the bytes
unb64url() {
    local t=$1
    while [ $((${#t} % 4)) != 0 ]; do t+='='; done
    basenc -d --base64url <<<"$t"
}
hex_of() { unb64url "$1" | xxd -p -c 64; }
node() { xxd -r -p <<<"01$1$2" | openssl dgst -sha256 -binary | xxd -p -c 64; }
leaf() { { printf '\0' && printf %s "$1"; } | openssl dgst -sha256 -binary | xxd -p -c 64; }

# head_read TEXT CA-FILE: is that head signed by the XenoCorp? Sets $size and $root.
head_read() {
    local input=${1%.*}
    unb64url "${1##*.}" >"$work/head.sig"
    printf %s "$input" >"$work/head.input"
    openssl x509 -in "$2" -noout -pubkey >"$work/corp.pub"
    openssl pkeyutl -verify -pubin -inkey "$work/corp.pub" -rawin -in "$work/head.input" \
        -sigfile "$work/head.sig" >/dev/null || return 1
    size=$(unb64url "${input#*.}" | jq .size)
    root=$(hex_of "$(unb64url "${input#*.}" | jq -r .root)")
}

# included N SIZE LEAF-HASH PROOF...: prints the root that follows from it.
included() {
    local fn=$1 sn=$(($2 - 1)) r=$3 p
    shift 3
    for p; do
        if [ $((fn & 1)) = 1 ] || [ "$fn" = $sn ]; then
            r=$(node "$p" "$r")
            while [ $((fn & 1)) = 0 ] && [ "$fn" != 0 ]; do fn=$((fn >> 1)) sn=$((sn >> 1)); done
        else
            r=$(node "$r" "$p")
        fi
        fn=$((fn >> 1)) sn=$((sn >> 1))
    done
    [ $sn = 0 ] && echo "$r"
}

# consistent FIRST FIRST-ROOT SECOND PROOF...: prints both roots that follow from it; 0 < FIRST < SECOND.
consistent() {
    local first=$1 from=$2 fn=$(($1 - 1)) sn=$(($3 - 1)) fr sr p
    shift 3
    [ $((first & (first - 1))) != 0 ] || set -- "$from" "$@"
    while [ $((fn & 1)) = 1 ]; do fn=$((fn >> 1)) sn=$((sn >> 1)); done
    fr=$1 sr=$1
    shift
    for p; do
        if [ $((fn & 1)) = 1 ] || [ $fn = $sn ]; then
            fr=$(node "$p" "$fr") sr=$(node "$p" "$sr")
            while [ $((fn & 1)) = 0 ] && [ $fn != 0 ]; do fn=$((fn >> 1)) sn=$((sn >> 1)); done
        else
            sr=$(node "$sr" "$p")
        fi
        fn=$((fn >> 1)) sn=$((sn >> 1))
    done
    [ $sn = 0 ] && echo "$fr $sr"
}
