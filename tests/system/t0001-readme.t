#!/bin/bash
# The README's ten minutes by hand, run as they are written: every ```sh block, in one shell, each
# command must succeed. Only where the state goes is changed, so that a platform of the machine's own
# is left alone.
. "$(dirname "$0")/../lib/tap.sh"
need_root

awk '/^```sh$/ {on = 1; n++; print "echo \"### block " n "\""; next} /^```$/ {on = 0} on' \
    "$top/README.md" >"$work/walk"
blocks=$(grep -c '^echo "### block' "$work/walk")
ok "the README has its blocks" [ "$blocks" -ge 8 ]
mkdir "$work/tree"
{
    echo 'set -euo pipefail'
    echo "make() { :; } # built already"
    # The build under test stands where a reader's own build would.
    sed -e "s#export PATH=.*#export PATH=$build/src/cli:\$PATH#" \
        -e "s#xeno platform \([a-z]*\)#xeno platform \1 --dir $work/platform#" "$work/walk"
} >"$work/run.sh"
at_end "xeno platform down --dir $work/platform --purge"
# Where `xeno` keeps a profile unless XENO_HOME says otherwise.
unset XENO_HOME
export XDG_CONFIG_HOME=$work/config
(cd "$work/tree" && timeout 300 bash "$work/run.sh" >"$work/out" 2>&1)
status=$?
is "$status" 0 "all its commands succeed" || sed 's/^/# /' "$work/out" | tail -n 40
out=$(cat "$work/out")
like "$out" "### block $blocks" "to the last block"
like "$out" '^hello$' "a command's output is streamed"
like "$out" '2 blocks, signatures good' "the order is narrowed"
is "$(grep -c '<h1>hello from x2</h1>' "$work/out")" 3 "the page answers, also after suspend and restore, and is published"
like "$out" '^image .*2 layers, ready, by pieces; [0-9.]+ (B|[KM]iB) came' "to XenoServers that had never seen it"
like "$out" '^2 of 2, at x[12]$' "each replica answers for itself"
like "$out" 'measured by the XenoServer: the same' "the bill is what was measured"
like "$out" 'the books balance' "the books balance"
ok "nothing is left" [ ! -e "$work/platform" ]
ok "nor of the client that was made: the walk can be walked again" [ ! -e "$work/config/xeno" ]
done_testing
