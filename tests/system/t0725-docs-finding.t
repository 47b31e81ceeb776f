#!/bin/bash
# docs/finding.md, "Try it", as it is written: every block, in one shell, each command must succeed. Only where
# the state goes is changed. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
awk '/^```sh$/ {on = 1; n++; print "echo \"### block " n "\""; next} /^```$/ {on = 0} on' \
    "$top/docs/finding.md" >"$work/walk"
blocks=$(grep -c '^echo "### block' "$work/walk")
ok "it has its blocks" [ "$blocks" -ge 5 ]
{
    echo 'set -euo pipefail'
    sed -e "s#xeno platform \([a-z]*\)#xeno platform \1 --dir $work/platform#" "$work/walk"
} >"$work/run.sh"
at_end "xeno platform down --dir $work/platform --purge"
export XENO_HOME=$work/me NO_COLOR=1
timeout 120 bash "$work/run.sh" >"$work/out" 2>&1
status=$?
is "$status" 0 "all its commands succeed" || sed 's/^/# /' "$work/out" | tail -n 40
out=$(cat "$work/out")
like "$out" "### block $blocks" "to the last block"
like "$out" '^4 of 4 XenoServers match' "all are found"
like "$out" '  1 of 4: not: Location/Country is CH' "and why one is not"
like "$out" 'is filed, with the advert that you went by' "a complaint has its advert"
is "$(grep -c '^match ' "$work/out")" 3 "a watch tells of three"
like "$out" 'x1 would be found for this' "its operator knows that, too"
ok "nothing is left" [ ! -e "$work/platform" ]
done_testing
