#!/bin/bash
# On an emulated network XenoServers find each other by the information service, measure each other and
# tell of it; they measure for a client what he asks for, and refuse what they must.
. "$(dirname "$0")/../lib/tap.sh"
need_root
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
table=$top/data/planetlab/rtt.tsv
rtt_ms() { awk -v a="$1" -v b="$2" 'NR == a { print $b }' "$table"; }
told() { xeno platform status --dir "$plat" --json | jq -r "$1"; }
ask() { # PATH JSON, of the first XenoServer
    curl -sS -m 30 -k --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" --key "$XENO_HOME/key.pem" \
        -H 'Content-Type: application/json' "$url$1" -d "$2"
}
# near US MS: never less than the table says, and not much more even on a machine with other things to do.
near() { awk -v g="$1" -v w="$2" 'BEGIN { exit !(g / 1000 >= w - 0.002 && g / 1000 < w * 1.5 + 60) }'; }

ok "platform up" xeno platform up --null --servers 3 --dir "$plat" --emulate planetlab --client-node 2 \
    --server-set probe-interval=1s --server-set xis-interval=100ms --server-set probe-rate=60 || bail "no platform"
net=$(told .emulation.net)
base=${net%.*}
url=$(told '.servers[0].url')
node() { local n=$((${base##*.} * 256 + $1)); echo "${base%.*}.$((n / 256)).$((n % 256))"; }

# what they tell of themselves
xis=$(told '.processes[] | select(.name == "xisd").url')
first=$(told '.servers[0].id')
advert() { # of the first, with its newest numbers
    curl -sS -m 30 -k --cacert "$XENO_HOME/ca.pem" --cert "$XENO_HOME/credential.pem" --key "$XENO_HOME/key.pem" \
        "$xis/v1/adverts/$first" >"$work/advert.json"
    for part in advert delta; do
        jq -r ".$part // empty" "$work/advert.json" | cut -d. -f2 | tr -- -_ +/ |
            sed 's/$/==/' | base64 -di 2>/dev/null >"$work/$part.xml"
    done
}
peers() { grep -o '<Peer><Id>[a-z0-9]*</Id>' "$work/advert.xml" | grep -oE '[a-z0-9]{32}'; }
knows_two() { advert && [ "$(peers | wc -l)" = 2 ]; }
ok "the first has measured both others" wait_for 60 knows_two || sed 's/^/# /' "$plat/log/x1.log" | tail
placed() { advert && cat "$work/advert.xml" "$work/delta.xml" | grep -qE '<Samples>[1-9]'; }
ok "and has a coordinate by them" wait_for 60 placed
at=0
for id in $(peers); do
    at=$((at + 1))
    n=$(told ".servers[] | select(.id == \"$id\").node")
    ms=$(grep -o '<RttMs>[0-9.]*' "$work/advert.xml" | sed -n "${at}s/<RttMs>//p")
    ok "as far as the table says: node 1 to $n, $ms ms for $(rtt_ms 1 "$n")" \
        near "$(awk -v m="$ms" 'BEGIN { print m * 1000 }')" "$(rtt_ms 1 "$n")"
done

# for others
got=$(ask /v1/probes "{\"address\":\"$(node 200)\",\"kind\":\"tcp\",\"count\":5}")
is "$(jq -r '.sent, (.rtt_us | length), .loss_percent, .port' <<<"$got" | xargs)" "5 5 0 443" "a client's measurement, though nobody listens there"
ok "is what the table says: $(jq .rtt_us[0] <<<"$got") us for $(rtt_ms 1 200) ms" near "$(jq '.rtt_us | min' <<<"$got")" "$(rtt_ms 1 200)"
again=$(ask /v1/probes "{\"address\":\"$(node 200)\",\"kind\":\"tcp\"}")
is "$(jq -c .rtt_us <<<"$again")" "$(jq -c .rtt_us <<<"$got")" "who asks again is told the same"
for _ in 1 2 3 4; do ask /v1/probes "{\"address\":\"$(node 201)\",\"kind\":\"tcp\",\"count\":1}" >"$work/at-once.$_" & done
wait
is "$(jq -c .rtt_us "$work"/at-once.* | sort -u | wc -l)" 1 "who ask at once, too"
is "$(ask /v1/probes "{\"address\":\"$(node 202)\"}" | jq '.rtt_us | length')" 3 "without a kind: what there is"
is "$(ask /v1/probes "{\"address\":\"$(node 511)\",\"kind\":\"tcp\",\"count\":1}" | jq -c '[.rtt_us, .loss_percent]')" '[[],100]' \
    "nobody there is an answer, too"
way=$(ask /v1/traceroutes "{\"address\":\"$(node 200)\",\"hops\":6}")
is "$(jq -r '.reached, (.hops | length), .hops[-1]' <<<"$way" | xargs)" "true 3 $(node 200)" "a traceroute: two routers, and there"
refused() { # PATH JSON TOKEN NAME
    is "$(ask "$1" "$2" | jq -r .type)" "$3" "$4"
}
refused /v1/probes '{"address":"127.0.0.1"}' probe.address "not the loopback"
refused /v1/probes '{"address":"192.168.1.1"}' probe.address "not the operator's network"
refused /v1/probes '{"address":"::ffff:169.254.169.254"}' probe.address "not by another spelling"
refused /v1/traceroutes '{"address":"10.79.0.1"}' probe.address "nor a way into it"
refused /v1/probes '{"address":"localhost"}' probe.address "no names"
refused /v1/probes "{\"address\":\"$(node 3)\",\"port\":22}" probe.port "no other ports"
refused /v1/probes "{\"address\":\"$(node 3)\",\"count\":6}" json.range "no more packets"
refused /v1/probes "{\"address\":\"$(node 3)\",\"flood\":true}" json.unknown "nothing else"
for n in $(seq 100 140); do
    type=$(ask /v1/traceroutes "{\"address\":\"$(node "$n")\",\"hops\":1}" | jq -r '.type // empty')
    [ -n "$type" ] && break
done
is "$type" probe.rate "who asks too often is told so"
is "$(ask /v1/probes "{\"address\":\"$(node 200)\",\"kind\":\"tcp\"}" | jq -c .rtt_us)" "$(jq -c .rtt_us <<<"$got")" \
    "what is known is told all the same"
is "$(curl -sS -m 30 -k -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' "$url/v1/probes" -d '{"address":"1.1.1.1"}')" 401 \
    "nothing without a credential"
done_testing
