#!/bin/bash
# The systemd units are well formed, point at programs that exist, and keep their promises.
. "$(dirname "$0")/../lib/tap.sh"
command -v systemd-analyze >/dev/null || skip_all "systemd-analyze is missing (package systemd)"

mkdir -p "$work/bin" "$work/units"
for program in xenocorpd:xenocorpd xenod:xenod xstored:xstored xisd:xisd xrdd:xrdd taskd:xeno-taskd imaged:xeno-imaged; do
    ln -s "$build/src/${program%:*}/${program#*:}" "$work/bin/${program#*:}"
done
for unit in "$top"/data/systemd/*; do
    sed "s|@[a-z]*dir@|$work/bin|" "$unit" >"$work/units/$(basename "$unit")"
done

for unit in "$work"/units/*; do
    n=$(basename "$unit")
    out=$(SYSTEMD_UNIT_PATH="$work/units:" systemd-analyze verify --man=no "$unit" 2>&1 |
        grep -F -e "$n" -e "$work" | grep -v 'xeno.slice is not')
    is "$out" "" "$n is in order"
done

# These face the network: systemd's own score of exposure, 0 to 10, is low.
for n in xenod xenocorpd xstored xisd xrdd xeno-imaged; do
    ok "$n.service is locked in" systemd-analyze security --offline=true --threshold=25 "$work/units/$n.service"
done

# xeno-taskd is followed by its sessions, not they by it: see docs/decisions, taskd has no mount namespace.
unit=$work/units/xeno-taskd.service
for line in Requires=xeno-sessions.service Delegate=yes KillMode=process OOMPolicy=continue TasksMax=infinity; do
    ok "xeno-taskd.service has $line" grep -qx "$line" "$unit"
done
for line in Delegate=yes KillMode=control-group OOMPolicy=continue TasksMax=infinity; do
    ok "xeno-sessions.service has $line" grep -qx "$line" "$work/units/xeno-sessions.service"
done
not_ok "and nothing that makes a mount namespace or a filter for its children" grep -qE \
    '^(Protect(System|Home|Clock|ControlGroups|Kernel.*|Proc|Hostname)|Private.*|ReadOnly.*|ReadWrite.*|Inaccessible.*|BindPaths|TemporaryFileSystem|Mount.*|SystemCall.*|Restrict.*|LockPersonality|MemoryDeny.*|DynamicUser|RootDirectory|IPAddress.*|Device.*)=' \
    "$unit"

# The users are made as the units want them.
mkdir -p "$work/root/etc"
systemd-sysusers --root="$work/root" "$top/data/sysusers.d/xeno.conf" 2>"$work/log"
is "$(cut -d: -f1,6 "$work/root/etc/passwd" | sort | tr '\n' ' ')" \
    "xenocorpd:/var/lib/xeno/xenocorpd xenod:/var/lib/xeno/xenod xisd:/var/lib/xeno/xisd xrdd:/var/lib/xeno/xrdd xstored:/var/lib/xeno/xstored " "the users exist and live where their state is" ||
    sed 's/^/# /' "$work/log"
done_testing
