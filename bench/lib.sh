# bench/lib.sh - what the bench scripts share. Source it first.
#
# Gives: $build, $work (a temporary folder), platform_up N (a platform on loopback with its client
# profile in $XENO_HOME), record JSON (prints it and keeps it in $XENO_BENCH_OUT), busybox_template.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${XENO_BUILD:-$top/build}
PATH=$build/src/cli:$build/bench:$PATH
work=$(mktemp -d /var/tmp/xeno-bench.XXXXXX)
chmod 755 "$work"
export XENO_HOME=$work/client
platform=
quick=${XENO_BENCH_QUICK:-}

[ "$(id -u)" = 0 ] || { echo "bench: needs root: it runs real containers" >&2; exit 1; }

bench_end() {
    trap - EXIT
    [ -z "$platform" ] || xeno platform down --dir "$platform" --purge >/dev/null 2>&1 || true
    rm -rf --one-file-system "$work"
}
trap bench_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

record() {
    while read -r line; do
        echo "$line"
        [ -z "${XENO_BENCH_OUT:-}" ] || echo "$line" >>"$XENO_BENCH_OUT"
    done
}

platform_up() {
    platform=$work/platform
    xeno platform up --dir "$platform" --servers "$1" >"$work/up.log" 2>&1 ||
        { cat "$work/up.log" >&2; exit 1; }
}

# A template of one static busybox: as small as a user land can be, so that the figures are ours.
busybox_template() {
    mkdir -p "$work/busybox/bin" "$work/busybox/proc" "$work/busybox/sys" "$work/busybox/dev" \
        "$work/busybox/etc" "$work/busybox/tmp"
    cp /bin/busybox "$work/busybox/bin/busybox"
    for tool in sh echo cat sleep true httpd; do ln -sf busybox "$work/busybox/bin/$tool"; done
    xeno template import "$work/busybox" --name busybox:bench >/dev/null
}

# json FILTER < output of `xeno ... --json`
json() { jq -r "$1"; }
