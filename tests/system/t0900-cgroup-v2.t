#!/bin/bash
# The container tests on cgroup v2: Debian's kernel with systemd, emulated, on this machine's own
# root file system (tests/vm). Skips only where the machine cannot be made.
. "$(dirname "$0")/../lib/tap.sh"
need_root

vm=$top/tests/vm
cache=$top/.cache/vm # outlives the build
limit=${XENO_VM_SECONDS:-1700}
out=$("$vm/prepare" "$cache" 2>&1)
case $? in
0) ;;
2) skip_all "no machine with cgroup v2: $out" ;;
3) cannot "$out" ;;
*) bail "tests/vm/prepare" "$out" ;;
esac
share=$work/share
mkdir -p "$share/tap"
ok "the programs are installed for it" env DESTDIR="$share/install" \
    meson install -C "$build" --no-rebuild --quiet

# What runs inside, two at a time, the longest first; each is a TAP script of its own world. Not the
# ones about other users' mistakes or money: they do not depend on the cgroups. Of the crash tests a
# short run: chance has its long one outside. Not t0210, which passes, but in 90 s and more: the
# pressure files it reads are version 2 outside, too.
inside=("$top"/tests/vm/t-units.t "$top"/tests/system/t0203-*.t "$top"/tests/system/t0204-*.t
    "$top"/tests/system/t020[1259]-*.t "$top"/tests/system/t0301-*.t "$top"/tests/vm/t-nfs.t
    "$top"/tests/vm/t-machine.t)
cat >"$share/one" <<EOF
export XENO_BUILD='$build' XENO_IN_VM=1 XENO_ROUNDS=4
n=\$(basename "\$1" .t)
timeout -k 5 1200 bash "\$1" >/vm/tap/\$n 2>&1
echo "\$? after \$SECONDS s" >/vm/tap/\$n.status
EOF
{
    printf "printf '%%s\\n' %s | xargs -n 1 -P 2 bash /vm/one\n" "${inside[*]}"
    echo "echo finished"
} >"$share/run"

started=$(date +%s)
"$vm/boot" "$cache" "$share" "$limit" "$top,$build" >"$work/boot.log" 2>&1
status=$?
is "$status" 0 "the machine ran its job and stopped after $(($(date +%s) - started)) s" ||
    sed 's/^/# /' "$work/boot.log" <(tail -n 20 "$share/console")
is "$(tail -n 1 "$share/output")" finished "to the end" || sed 's/^/# /' "$share/output"

for t in "${inside[@]}"; do
    n=$(basename "$t" .t)
    tap=$share/tap/$n
    status=$(cat "$tap.status" 2>/dev/null || echo "none: it did not end")
    tap_count=$((tap_count + 1))
    if grep -q '^1\.\.0 # SKIP' "$tap" 2>/dev/null; then
        echo "ok $tap_count - $n inside # SKIP $(sed -n 's/^1\.\.0 # SKIP //p' "$tap")"
    elif [ "${status%% *}" = 0 ] && grep -q '^1\.\.' "$tap" && ! grep -q '^not ok' "$tap"; then
        echo "ok $tap_count - $n inside: $(grep -c '^ok' "$tap") tests on cgroup v2 ($status)"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $n inside, status $status"
        { grep -v '^ok' "$tap" | head -n 60; echo "last: $(grep '^ok' "$tap" | tail -n 1)"; } 2>/dev/null | sed 's/^/# /'
    fi
done
done_testing
