#!/bin/bash
# What a tag at a XenoStore stood for is kept for a time, at its owner's cost: whoever has a pass can
# overwrite and delete, but neither see what was there nor make it go; the owner sees it and brings it back.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
export XENO_HOME=$work/ann HOME=$work NO_COLOR=1
corp_init
corp_start
join op client "$token"
store_join
store_start
xeno register "$url" --token "$(as op POST /v1/admin/tokens '{"kind":"client","lifetime_s":600}' | jq -r .token)" \
    --name ann >/dev/null || bail "xeno register"
ann=$(xeno whoami --json | jq -r .id)
cp "$XENO_HOME/key.pem" "$work/ann.key"
cp "$XENO_HOME/credential.pem" "$work/ann.pem"
xeno store use "$store" --trust corp >/dev/null || bail "xeno store use"

export XENO_IMAGES=$work/images
version() { # N: an overlay that says so
    mkdir -p "$work/$1"
    echo "version $1" >"$work/$1/file"
    xeno -q overlay create page "$work/$1:/srv" >/dev/null && xeno -q overlay push page page:1 >/dev/null
    now
}
now() { to ann GET "/v2/$ann/page/manifests/1" >/dev/null; header docker-content-digest; }
heads() { xeno overlay log page:1 --json | jq -r '[.heads[].digest] | join(" ")'; }
metric() { to ann GET /metrics | sed -n "s/^$1 //p"; }
used() { to ann GET /v1/usage | jq .used_bytes; }

one=$(version one)
before=$(used)
two=$(version two)
is "$(heads)" "$one" "what was overwritten is kept"
ok "and paid for" test "$(used)" -gt "$before"
like "$(xeno overlay log page:1)" "^ *1 +$one" "log shows it"
like "$(xeno overlay log nothing:1 2>&1)" 'has no [a-z2-7]*/nothing:1, and keeps nothing' "of what was never there it says so"

# --- a tool with a pass, as a session would have one ---
pass=$(to ann GET "/v1/token?service=$(id_of store)&scope=repository:$ann/page:pull,push,delete" | jq -r .token)
as_tool() { to nobody "$@" -H "Authorization: Bearer $pass" >/dev/null && status; }
to ann GET "/v2/$ann/page/manifests/$one" >/dev/null
cp "$work/body" "$work/manifest"
type=$(header content-type | cut -d';' -f1)
is "$(as_tool PUT "/v2/$ann/page/manifests/1" -H "Content-Type: $type" --data-binary "@$work/manifest")" 201 "it overwrites"
is "$(as_tool DELETE "/v2/$ann/page/manifests/$two")" 202 "and deletes what was there"
is "$(as_tool GET "/v1/history?repository=$ann/page&tag=1")" 403 "but does not see the history"
is "$(as_tool POST /v1/history -H 'Content-Type: application/json' \
    -d "{\"repository\":\"$ann/page\",\"tag\":\"1\",\"to\":1}")" 403 "nor act on it"
password=$(xeno store token "$store" --quiet)
to nobody GET "/v1/history?repository=$ann/page&tag=1" -u "$ann:$password" >/dev/null
is "$(status)" 403 "nor does somebody with the password"
is "$(as_tool DELETE "/v2/$ann/page/manifests/1")" 202 "it deletes the tag"
is "$(heads)" "$one $two $one" "all of it is still known"
is "$(metric xstored_heads)" 3 "and counted"
is "$(now)" "" "though the tag is gone"

# --- the owner ---
like "$(xeno overlay restore page:1 --to 2)" "is $two again" "the owner brings it back"
is "$(now)" "$two" "it is there"
rm -rf "$XENO_IMAGES"
xeno -q overlay pull page:1 >/dev/null
is "$(zstd -dcq "$XENO_IMAGES"/blobs/sha256/* 2>/dev/null | tar xO srv/file 2>/dev/null)" "version two" "whole"
like "$(xeno overlay restore page:1 --to 9 2>&1)" 'no head 9' "what never was cannot be"
is "$(xeno store usage --json | jq '.entries_max > .entries')" true "within the quota"

# --- its time ---
store_stop
store_start --history=1s
gone() { [ "$(metric xstored_heads)" = 0 ]; }
ok "after its time it is forgotten" wait_for 20 gone
is "$(now)" "$two" "the tag is not"
is "$(heads)" "" "and there is no history"
done_testing
