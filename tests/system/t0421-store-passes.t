#!/bin/bash
# A XenoStore is a member of its XenoCorp: it joins by a token of its own kind, serves those who have a
# credential, and gives passes to tools that have none. A pass says no more than its holder may, and ends
# with the credential's revocation.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/store.sh"
for tool in skopeo podman jq nfs-cat; do command -v $tool >/dev/null || cannot "there is no $tool"; done
export XENO_HOME=$work/ann HOME=$work REGISTRY_AUTH_FILE=$work/auth.json XDG_RUNTIME_DIR=$work
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"
skopeo_() { timeout 30 skopeo --policy "$work/policy.json" "$@"; }
new_token() { as op POST /v1/admin/tokens "{\"kind\":\"$1\",\"lifetime_s\":600}" | jq -r .token; }
# What a pass says: the middle of it.
payload() { cut -d. -f2 <<<"$1" | tr '_-' '/+' | base64 -d 2>/dev/null; }

corp_init
corp_start
join op client "$token"
not_ok "a XenoServer's token makes no store" xstored --dir "$work/no" --corp-url "$url" --enrol "$(new_token server)"
store_join
like "$(openssl x509 -in "$work/store/credential.pem" -noout -ext subjectAltName)" \
    "xeno:node:$(id_of store).*IP Address:127.0.0.1" "a store joins, and its credential names it"
is "$(as op GET "/v1/admin/parties/$(id_of store)" | jq -r .kind)" node "the XenoCorp lists it as a node"
store_start
ok "--check finds nothing missing" xstored --dir "$work/store" --corp-url "$url" --check
ok "a client registers" xeno register "$url" --token "$(new_token client)" --name ann || bail "xeno register"
ann=$(xeno whoami --json | jq -r .id)
cp "$XENO_HOME/key.pem" "$work/ann.key"
cp "$XENO_HOME/credential.pem" "$work/ann.pem"
join bob client "$(new_token client)"

# --- who has nothing ---
to nobody GET "/v2/$ann/base/manifests/latest" >/dev/null
is "$(status)" 401 "without a credential nothing is read"
is "$(header www-authenticate)" \
    "Bearer realm=\"https://$store/v1/token\",service=\"$(id_of store)\",scope=\"repository:$ann/base:pull\"" \
    "and it is said where a pass is to be had"
to nobody GET "/v1/token?service=$(id_of store)" >/dev/null
is "$(status)" 401 "which nobody gets who shows nothing"
to nobody POST /v1/login >/dev/null
is "$(status)" 401 "nor a password"
to ann GET /v2/ >/dev/null
is "$(status)" 200 "a credential is enough"

# --- access passes ---
ask() { to "$1" GET "/v1/token?service=$(id_of store)$2" | jq -r .token; }
both=$(ask ann "&scope=repository:$ann/base:pull,push")
is "$(payload "$both" | jq -c '[.client,.scopes]')" "[\"$ann\",[\"repository:$ann/base:pull,push\"]]" \
    "a pass names who it is for, and what"
theirs=$(ask bob "&scope=repository:$ann/base:pull,push&scope=repository:$ann/x:push")
is "$(payload "$theirs" | jq -c .scopes)" "[\"repository:$ann/base:pull\"]" "it gives nobody what he may not do anyhow"
to nobody POST "/v2/$ann/base/blobs/uploads/" -H "Authorization: Bearer $both" >/dev/null
is "$(status)" 202 "with it the owner pushes"
to nobody POST "/v2/$ann/other/blobs/uploads/" -H "Authorization: Bearer $both" >/dev/null
is "$(status)" 401 "but only where it is for"
like "$(header www-authenticate)" "repository:$ann/other:pull,push.*insufficient_scope" "and is told what it lacks"
to nobody POST "/v2/$ann/base/blobs/uploads/" -H "Authorization: Bearer $theirs" >/dev/null
is "$(status)" 403 "another one does not"
to nobody GET /v2/ -H "Authorization: Bearer ${both%?????}AAAAA" >/dev/null
is "$(status)" 401 "a forged one is none"
to nobody GET "/v1/token" -H "Authorization: Bearer $both" >/dev/null
is "$(status)" 401 "and no pass is got by an access pass"

# --- passwords, and tools that know nothing of us ---
ok "xeno store login" xeno store login "$store"
is "$(stat -c %a "$work/auth.json")" 600 "the password is nobody else's"
password=$(xeno store token "$store" --quiet)
to nobody GET "/v1/token?scope=repository:$ann/base:pull" -u "$ann:$password" >/dev/null
is "$(status)" 200 "a password gets passes"
to nobody GET /v2/ -u "$ann:$password" >/dev/null
is "$(status)" 200 "and is taken by itself"
to nobody GET /v2/ -u "$(id_of bob):$password" >/dev/null
is "$(status)" 401 "but for its user only"
to nobody GET /v2/ -H "Authorization: Bearer $password" >/dev/null
is "$(status)" 401 "and is no access pass"
is "$(grep -c -e "$password" -e "$both" "$work/store.log")" 0 "neither is in the log"
is "$(grep -rlF "$password" "$work/store" | wc -l)" 0 "nor kept by the store"

mkdir -p "$work/root/etc"
echo hello >"$work/root/etc/hello"
XENO_IMAGES=$work/images xeno template import "$work/root" --name base >"$work/import.log" 2>&1
ok "skopeo pushes with the password" skopeo_ copy "oci:$work/images:base" "docker://$store/$ann/base:1"
is "$(skopeo_ inspect "docker://$store/$ann/base:1" | jq -r .Digest)" \
    "$(to ann HEAD "/v2/$ann/base/manifests/1" && header docker-content-digest)" \
    "and reads what is there"
ok "so does xeno where there is no profile" env XENO_HOME="$work/nobody" XENO_IMAGES="$work/pulled" \
    xeno template pull "oci://$store/$ann/base:1" --trust "$corp_dir/ca.pem"
mkdir "$work"/{upper,wk}
background cowfs "$build/src/cowfs/xeno-cowfs" --foreground=yes --images="oci://$store/$ann/base:1" --registry-ca="$corp_dir/ca.pem" \
    --cache="$work/pieces" --upper="$work/upper" --work="$work/wk" --nfs=127.0.0.1:0 --nfs-client=127.0.0.1
cowfs_pid=$pid
wait_for 10 grep -q ^ready "$work/cowfs.log"
nfs=$(sed -n 's/^ready port=//p' "$work/cowfs.log")
is "$(nfs-cat "nfs://127.0.0.1//etc/hello?nfsport=$nfs&mountport=$nfs")" hello "and xeno-cowfs reads it by pieces"
kill "$cowfs_pid"
podman_() { timeout 30 podman --root "$work/pr" --runroot "$work/prr" --storage-driver vfs --cgroup-manager cgroupfs "$@"; }
rm "$work/auth.json"
ok "podman logs in by what xeno store token prints" podman_ login --username "$ann" --password "$(xeno store token "$store" --quiet)" "$store"
not_ok "skopeo does not push to a repository of another" skopeo_ copy "oci:$work/images:base" "docker://$store/$(id_of bob)/base:1"

# --- the end ---
as op POST "/v1/admin/parties/$ann/disable" '{}' >/dev/null
kill -HUP "$store_pid"
refused_now() { to nobody GET /v2/ -H "Authorization: Bearer $both" >/dev/null && [ "$(status)" = 401 ]; }
ok "a pass ends with its holder's credential" wait_for 10 refused_now
to nobody GET /v2/ -u "$ann:$password" >/dev/null
is "$(status)" 401 "and so does the password"
to ann GET /v2/ >/dev/null
is "$(status)" 401 "and the credential itself"
to bob GET /v2/ >/dev/null
is "$(status)" 200 "others go on"
as op POST "/v1/admin/parties/$(id_of store)/disable" '{}' >/dev/null
not_ok "a disabled store gets no new credential" jq -e .certificate <(
    as nobody POST /v1/credentials/renew \
        "$(jq -n --arg c "$(openssl req -new -key "$work/store/key.pem" -subj /CN=x)" '{csr: $c}')")
done_testing
