#!/bin/bash
# Where an image is already: a XenoServer that ran it says so in its advert, and who looks for one to run it
# again, by whichever of its names, finds that one first and is told why. Real containers.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
export XENO_HOME=$work/me XENO_IMAGES=$work/images NO_COLOR=1 COLUMNS=200
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
up() { xeno platform up --dir "$plat" --store --fund 50 "$@" >"$work/up" 2>&1 || bail "no platform" "$(cat "$work/up")"; }
answers() { timeout 60 xeno find "$@" --json 2>"$work/e" | jq -r '[.answers[] | "\(.name) \(.warm.have)/\(.warm.of)"] | join(", ")'; }
answer() { [ "$(answers "${@:2}")" = "$1" ]; }
run() { timeout 60 xeno run "$@" >"$work/o" 2>"$work/e"; }
here() { xeno server advertise "$1" | sed -n 's/^here  *//p'; }

up --servers 1 --server-set tariff.cpu.reserved=0.00001
up --servers 2
mkdir -p "$work/root"/{bin,etc,tmp,proc,dev,sys}
cp "$(command -v busybox)" "$work/root/bin/busybox"
for name in sh true sleep; do ln -s busybox "$work/root/bin/$name"; done
xeno template import "$work/root" --name base >"$work/o" 2>&1 || bail "import" "$(cat "$work/o")"
mkdir "$work/page" && echo "a page" >"$work/page/index"
xeno overlay create page "$work/page:/srv" >"$work/o" 2>&1 || bail "overlay" "$(cat "$work/o")"
store=$(xeno store show --json | jq -r .host)
me=$(xeno whoami --json | jq -r .id)
ok "an image is published" xeno template publish base template://base/1
ok "an overlay pushed" xeno overlay push page
base=oci://$store/$me/base:1 page=oci://$store/$me/page
digest=$(xeno template show base --json | jq -r .digest)

# --- nobody has it ---
ok "both are found, and have nothing of it" wait_for 20 answer "x1 0/1, x2 0/1" --template "$base" --objective warm
before=$(here x2)
not_ok "what is warm needs an image" xeno find --objective warm
xeno find --objective warm 2>"$work/e"
like "$(cat "$work/e")" "of which image\? Give --template" "and is told so"
xeno find --objective warm --template nothing-here 2>"$work/e"
like "$(cat "$work/e")" "which layers 'template://nothing-here' has is not known here" "an image that nobody here knows"
ok "is found a place for, when that is not the question" xeno find -q --template nothing-here

# --- x2 ran it ---
ok "it runs at the dearer one" run --server x2 --template "$base" -- true || sed 's/^/# /' "$work/e"
ok "which is the first now" wait_for 20 answer "x2 1/1, x1 0/1" --template "$base" --objective warm
xeno find --template "$base" --objective warm >"$work/o"
like "$(grep -w x2 "$work/o")" "1/1 .*1 of 1 layers of the image are there" "and a person is told why"
is "$(here x1)" "$before" "the other's advert is what both said before"
not_ok "its own is not" [ "$(here x2)" = "$before" ]
is "$(answers --template "$base")" "x1 0/1, x2 1/1" "the cheaper one otherwise, and it is said what each has"
for name in base "$digest" template://base/1 "oci://$store/$me/base@$digest"; do
    is "$(answers --template "$name" --objective warm)" "x2 1/1, x1 0/1" "by ${name%@*}"
done
is "$(answers --template "$base" --overlay "$page" --objective warm)" "x2 1/2, x1 0/2" "an overlay is layers, too"
ok "run goes there" run -d --name again --template "$base" --objective warm -- sleep 100 || sed 's/^/# /' "$work/e"
is "$(xeno session show again --server x2 --json | jq -r .state)" running "where it is"
is "$(answers --template "oci://127.0.0.1:1/away")" "x1 0/0, x2 0/0" "a registry that is away costs the answer nothing but that"
like "$(xeno find --template "oci://127.0.0.1:1/away" 2>&1)" "where the image is already is not asked: .*127.0.0.1:1" "and it is said"
done_testing
