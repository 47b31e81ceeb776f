#!/bin/bash
# `make demo`, as a stranger runs it: it must end in three bills that agree with the ledger.
. "$(dirname "$0")/../lib/tap.sh"
need_root
unset XENO_HOME
(cd "$top" && BUILD=$build timeout 600 scripts/demo >"$work/out" 2>&1)
is $? 0 "the demo succeeds" || sed 's/^/# /' "$work/out" | tail -n 40
is "$(grep -c '<h1>Hello from a XenoServer near you</h1>' "$work/out")" 3 "three Apaches show the page"
like "$(cat "$work/out")" "an order for x1|restricted to 1 other XenoServer" "a narrowed order is refused elsewhere"
is "$(grep -c 'measured by the XenoServer: the same' "$work/out")" 3 "each bill is what was measured"
like "$(cat "$work/out")" "They agree, to the micro-credit" "bill, ledger and usage reports agree"
like "$(cat "$work/out")" '10 credits, less 0\.[0-9]+ that were charged, are 9\.' "what was not spent is free again"
like "$(cat "$work/out")" 'stopped and removed' "it says that nothing stays"
dir=$(grep -o '/var/tmp/xeno-demo\.[A-Za-z0-9]*' "$work/out" | head -n 1)
ok "nor does its folder" sh -c '[ -n "$1" ] && [ ! -e "$1" ]' - "$dir"
is "$(grep -c $'\e' "$work/out")" 0 "no colours and no progress bars where there is no terminal"
done_testing
