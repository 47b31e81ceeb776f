#!/bin/bash
# `xeno platform up --store`: a XenoStore beside the rest, enrolled and started as they are, to which the
# client pushes and from which he pulls; it stays what it is over a crash, and goes with the platform.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

# up [OPTION...]
up() { xeno platform up --null --servers 1 --dir "$plat" "$@"; }
store() { xeno platform status --dir "$plat" --json | jq -r "$1"; }
row() { store ".processes[] | select(.name == \"xstored\") | .$1"; }

ok "platform up" up || bail "no platform"
is "$(store .store)" null "without --store there is none"
ok "with --store there is one" up --store || bail "no store"
id=$(store .store.id)
is "$(row up)" true "it runs"
is "$(XENO_HOME=$plat/operator xeno corp list --json | jq -r '.parties[] | select(.name == "store") | .id')" \
    "$id" "as a node of the XenoCorp"
is "$(xeno store show --json | jq -r '.id, .host' | xargs)" "$id $(store .store.url | sed 's|https://||')" \
    "and is the client's default store"
if [ "$(id -u)" = 0 ]; then
    isnt_root=$(stat -c %u "$plat/store")
    ok "as a user of its own" [ "$isnt_root" != 0 ]
    ok "who is no other daemon's" [ "$isnt_root" != "$(stat -c %u "$plat/corp")" ]
fi

mkdir -p "$work/root/etc"
echo hello >"$work/root/etc/hello"
ok "a template is made" xeno template import "$work/root" --name small --store "$work/one"
ok "and pushed" xeno template push small --store "$work/one"
ok "pulled elsewhere" xeno template pull small --store "$work/two"
digest() { xeno template show small --store "$1" --json | jq -r .digest; }
is "$(digest "$work/two")" "$(digest "$work/one")" "it is the same"

is "$(xeno store usage --json | jq -r '.owner == $me and .used_bytes > 0' --arg me "$(xeno whoami --json | jq -r .id)")" true \
    "what the client has there is told"
kill -9 "$(row pid)"
is_down() { [ "$(row up)" = false ]; }
ok "after kill -9" wait_for 10 is_down
ok "up starts it again, without being told" up
is "$(row up) $(store .store.id)" "true $id" "as the same"
ok "with what it has" xeno template pull small --store "$work/three"
pid=$(row pid)
ok "down" xeno platform down --dir "$plat" --purge
gone() { ! kill -0 "$pid"; }
ok "it is gone" wait_for 10 gone
ok "and nothing of the client is left" [ ! -e "$XENO_HOME" ]
done_testing
