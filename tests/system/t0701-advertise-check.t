#!/bin/bash
# xeno server advertise: what a XenoServer says of itself, as a person reads it, and whether it would be
# found. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
ok "platform up" xeno platform up --null --servers 1 --dir "$plat" --server-set place=Cambridge --server-set country=GB \
    --server-set 'accept={"token":"CPUmsps","max":400}' || bail "no platform"

check() { # OPTION...: what speaks against it, and the exit status
    xeno server advertise --check --json "$@" >"$work/o" 2>"$work/e"
    echo "$? $(jq -r '[.against[] | .constraint + (if .unknown then "?" else "" end)] | join(" ")' "$work/o" 2>/dev/null)"
}

# --- as it is ---
xeno server advertise x1 >"$work/shown"
is "$(sed -n 's/^place  *//p' "$work/shown")" "Cambridge, GB, as its operator says" "where it is"
like "$(sed -n 's/^free  *//p' "$work/shown")" '^[1-9][0-9]* ms/s of CPU, [0-9.]+ [GM]iB, disk ' "what is free"
like "$(cat "$work/shown")" "accepts  *\{\"token\":\"CPUmsps\",\"max\":400\}" "whom it accepts"
is "$(grep -cE '^(Id|Key|Name|Location|Machine)' "$work/shown")" 0 "nothing is said twice"
xeno server advertise --json >"$work/json"
is "$(jq -r .id "$work/json") $(jq -r '.advert | split(".")[1]' "$work/json" | tr '_-' '/+' | sed 's/$/==/' | base64 -di 2>/dev/null | grep -c '^<Advert>')" \
    "$(xeno server list --json | jq -r '.servers[0].id') 1" "for programs it is the signed document"

# --- would it be found? ---
is "$(check)" "0 " "for a small session it would"
is "$(check --memory 16777216M)" "1 MemoryMB" "not for more memory than it has"
is "$(check --cpu 500)" "1 Accept" "not by whom it does not accept"
is "$(check --cpu 500 --env-type Other --memory 16777216M)" "1 Accept EnvType MemoryMB" "all is said, not only the first"
is "$(check --where 'Location/Country is FR' --where 'Colour is red')" "1 where[0] where[1]?" "what is asked beyond the document, and what is not told"
echo '<EnvironmentalRequirements><Basic><EnvName>a</EnvName><EnvType>Linux</EnvType></Basic>
<Limits><MaxPricePerHour>0.000001</MaxPricePerHour></Limits></EnvironmentalRequirements>' >"$work/r.xml"
is "$(check -f "$work/r.xml")" "1 MaxPricePerHour" "a document"
xeno server advertise --check --env-type Other >"$work/o"
is "$(cat "$work/o")" "  does not run Other (the advert says Linux, Null)
x1 would not be found for this" "in words"
is "$(check --where 'CPUmsps >=' | cut -d' ' -f1) $(jq -r .error.type "$work/e")" "2 cli.usage" "a query that is none"
done_testing
