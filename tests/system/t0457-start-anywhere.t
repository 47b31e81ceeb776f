#!/bin/bash
# A whole platform: somebody publishes a template at a XenoStore, somebody else starts sessions of it on a
# XenoServer that has never seen it, which fetches what is read and no more; also while the store is away.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
. "$(dirname "$0")/../lib/anywhere.sh"

session_of() { xeno session ls --json | jq -r --arg n "$1" '.sessions[] | select(.name == $n) | .session'; }
image_of() { xeno session show "$1" --json | jq -r ".image | $2"; }
inside() { timeout 60 xeno session exec "$1" -- sh -c "$2"; }

anywhere_up
root_of "$work/root" 4
sum=$(sha256sum <"$work/root/usr/big1" | cut -c1-64)
as_ pub
ok "a template" xeno template import "$work/root" --name base
ok "is published" xeno template publish base template://base/1
digest=$(xeno template show base --json | jq -r .digest)
size=$(xeno template show base --json | jq -r .size_bytes)
mkdir "$work/page" && echo "a page" >"$work/page/index"
ok "an overlay" xeno overlay create page "$work/page:/srv"
ok "is pushed" xeno overlay push page
pub=$(xeno whoami --json | jq -r .id)
base=oci://$store/$pub/base@$digest

# --- the first start ---
as_ me
is "$(run --template template://debian/base/1 -- true; echo $?) $(grep -c "believes no publisher" "$work/e")" "125 1" \
    "a signed name of nobody we know means nothing to the XenoServer"
xeno publisher add pub "$pub" >"$work/o" 2>&1
ok "a dry run" run --dry-run --template template://pub/base/1 --overlay "oci://$store/$pub/page" -- true
is "$(network) $(xeno session ls --all --json | jq '.sessions | length')" "$(network) 0" "makes nothing"
ok "a session of both" run -d --name one --template template://pub/base/1 --overlay "oci://$store/$pub/page" -- \
    sh -c 'cat /srv/index; sha256sum /usr/big1; exec sleep 1000'
ok "runs" wait_for 20 eval "xeno session logs one | grep -q $sum"
is "$(xeno session logs one | head -n 1)" "a page" "with the overlay's files"
ok "of $size bytes $(network) came" [ "$(network)" -lt $((size / 2)) ]
one=$(session_of one)
is "$(image_of one '"\(.state) \(.way) \(.layers) \(.manifests[0])"')" "ready pieces 2 $digest" "its object says so"
like "$(xeno session show one)" "^image +.*2 layers, ready, by pieces; .* came over the network" "and session show"
is "$(image_of one '.fetched_bytes <= .bytes')" true "what came is no more than there is"
like "$(xeno session events one)" "session.image.*ready" "its events tell it"
is "$(xeno template ls --store "$work/images-me" 2>/dev/null | wc -l)" 0 "who starts it needs no image"

# --- the store is killed ---
store_stop -9
before=$(network)
is "$(inside one 'sha256sum /usr/big1' | cut -c1-64)" "$sum" "the session goes on"
ok "another starts, by a signed name" run -d --name two --template template://pub/base/1 -- sh -c 'sha256sum /usr/big1; exec sleep 1000'
like "$(cat "$work/e")" "does not answer: taken is what it said of 'base/1' last" "though nobody says what it means now"
ok "it runs" wait_for 20 eval "xeno session logs two | grep -q $sum"
is "$(network)" "$before" "without a byte from the network"
ok "and by digest" run --template "$base" -- grep -q root /etc/passwd
is "$(run --template oci://127.0.0.2:1/secrets -- true; echo $?) $(grep -c "not an address of the public internet" "$work/e")" "125 1" \
    "where the XenoServer does not go is refused, and why"
imaged_stop x1 -9
imaged_start x1 --registries "$store"
ok "as after the image manager was killed" run --template "$base" -- sha256sum /usr/big1
store_start
ok "with the store what was not read can be read" inside two 'wc -c </usr/big4'

# --- what documents mean that name nothing ---
echo "template = $base" >>"$work/x1/xenod.conf"
kill -HUP "$(cat "$work/x1/xenod.pid")"
meant() { [ "$(at x1 nobody GET /v1/status | jq -r .status.template)" = "$base" ]; }
ok "a XenoServer whose template is elsewhere" wait_for 10 meant
ok "starts it" run -- grep -q root /etc/passwd

# --- what waits is not paid ---
as_ pub
root_of "$work/other"
head -c 3000000 /dev/urandom >"$work/other/usr/more"
xeno template import "$work/other" --name other >"$work/o" 2>&1
xeno template push other >"$work/o" 2>&1
other=oci://$store/$pub/other@$(xeno template show other --json | jq -r .digest)
as_ me
free_before=$(at x1 nobody GET /v1/status | jq .status.free.cpu_msps)
run --dry-run --template "$other" -- true # it is known what it is; nothing of it is here
kill -STOP "$store_pid"
timeout 60 xeno session create --name late --template "$other" >"$work/late" 2>&1 &
late=$!
fetching() { [ "$(xeno session show late --json 2>/dev/null | jq -r '"\(.state) \(.image.state)"')" = "creating fetching" ]; }
ok "a session waits for its image" wait_for 20 fetching
is "$(xeno session usage late --json | jq -c '[.amount, .charged]')" "[0,0]" "and costs nothing"
ok "but has its place" [ "$(at x1 nobody GET /v1/status | jq .status.free.cpu_msps)" -lt "$free_before" ]
kill -CONT "$store_pid"
wait "$late"
is $? 0 "then it is made"
is "$(xeno session show late --json | jq -r .state)" running "and runs"

# --- several at once by one document ---
cat >"$work/service.xml" <<END
<Service><EnvironmentalRequirements><Basic><EnvName>web</EnvName><EnvType>Linux</EnvType>
<EnvTemplate>template://pub/base/1</EnvTemplate><EnvOverlay>oci://$store/$pub/page</EnvOverlay></Basic>
<Network/><QoS/><Limits/></EnvironmentalRequirements>
<Task><Command><Argument>sleep</Argument><Argument>1000</Argument></Command></Task></Service>
END
ok "a service of such names" timeout 60 xeno deploy "$work/service.xml" --on 2 --share
ways() { xeno session ls --json | jq -r '[.sessions[] | select(.name | startswith("web")) | .image.way] | join(" ")'; }
wait_for 20 eval '[ "$(ways)" = "pieces pieces" ]' # how far an image is, is asked now and then
is "$(ways)" "pieces pieces" "has them in each replica"
for s in $(xeno session ls --json | jq -r '.sessions[].session'); do xeno session end "$s" >"$work/o" 2>&1; done
is "$(findmnt -rno TARGET -t fuse.xeno-cowfs | grep -c "$work")" 0 "nothing is left mounted"
done_testing
