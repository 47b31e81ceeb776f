#!/bin/bash
# Does jose read what `xeno` signs, and `xeno` what jose signs? Orders narrowed and handed on.
. "$(dirname "$0")/lib.sh"
need_npm
need xeno
corp_start
client agent 1000000
xenod_start x1
export XENO_HOME=$work/home
token client
ok "register" xeno register "$corp_url" --token "$token" --name carol
carol=$(xeno whoami --json | jq -r .id)
json operator POST "$corp_url/v1/admin/fund" "{\"id\":\"$carol\",\"amount\":10000000}" -H "$(once carol)"
ok "order create" xeno order create 4 --lifetime 1h
order=$(xeno order list --json | jq -r '.orders[0].order')
xeno order show "$order" --chain >"$work/made.order"
key=$(node --input-type=module -e 'import crypto from "node:crypto"; import fs from "node:fs";
    console.log(crypto.createPublicKey(fs.readFileSync(process.argv[1])).export({ format: "jwk" }).x)' \
    "$work/agent/key.pem")
ok "order restrict" sh -c 'xeno order restrict "$1" --max-total 2.5 --env-type Linux >"$2"' - \
    "$order" "$work/narrow.order"
ok "order restrict again, and give it away" sh -c \
    'xeno order restrict "$1" --server "$2" --max-rate 1.5 --for 30m --give "$3" >"$4"' - \
    "$work/narrow.order" "$SERVER_ID" "$key" "$work/given.order"
chains=$(jq -n --rawfile made "$work/made.order" --rawfile narrow "$work/narrow.order" \
    --rawfile given "$work/given.order" '[$made, $narrow, $given] | map(gsub("\\s"; ""))')
out=$(cd "$here" && CHAINS=$chains node --input-type=module -e '
    import fs from "node:fs";
    import { readChain, restrict, signer, textOfCertificate } from "./documents.mjs";
    const corp = await textOfCertificate(fs.readFileSync(process.env.WORK + "/ca.pem", "utf8"));
    const agent = await signer(fs.readFileSync(process.env.WORK + "/agent/key.pem", "utf8"));
    const chains = JSON.parse(process.env.CHAINS);
    const read = await Promise.all(chains.map(c => readChain(c, corp)));
    const further = await restrict(chains[2], agent, { max_total: 700000 });
    fs.writeFileSync(process.env.WORK + "/further.order", further);
    console.log(JSON.stringify(read.map(r => ({ key: r.key, restrict: r.blocks.slice(1).map(b => b.restrict) }))));
' 2>"$work/node.err") || bail "jose reads the chains" "$(cat "$work/node.err")"
ok "jose verifies every block that xeno signed" test -n "$out"
is "$(jq -cS '.[1].restrict' <<<"$out")" '[{"env_types":["Linux"],"max_total":2500000}]' "and reads the restriction"
is "$(jq -r '.[2].key' <<<"$out")" "$key" "the last key is the agent's"
is "$(jq -r '.[2].restrict[1].max_rate' <<<"$out")" 1500000 "a rate in micro-credits an hour"
is "$(jq -r '.[2].restrict[1].servers[0]' <<<"$out")" "$SERVER_ID" "the XenoServer by its id"
shown=$(xeno order show "$work/further.order" --json)
is "$(jq -r '.max_total' <<<"$shown")" 700000 "xeno reads the block that jose signed"
is "$(jq -r '.blocks' <<<"$shown")" 4 "as the fourth"
tr 'A-Y' 'B-Z' <"$work/further.order" >"$work/broken.order"
not_ok "and refuses a changed one" xeno order show "$work/broken.order"

# The agent pays with what it was given: its TLS credential is for the key in force.
cat >"$work/requirement.xml" <<'XML'
<EnvironmentalRequirements><Basic><EnvName>agent</EnvName><EnvType>Linux</EnvType></Basic>
<QoS><CPUmsps>20</CPUmsps><MemoryMB>16</MemoryMB><DiskMB>16</DiskMB></QoS></EnvironmentalRequirements>
XML
session_by() { # session_by PARTY CHAIN-FILE KEY
    json "$1" POST "$server_url/v1/sessions" "$(jq -n --rawfile requirements "$work/requirement.xml" \
        --arg chain "$(present "$work/$1/key.pem" "$(id_of "$1")" "$(tr -d '[:space:]' <"$2")" "$SERVER_ID")" '{$chain, $requirements}')" \
        -H "$(once "$3")"
}
session_by agent "$work/further.order" s1
is "$status" 201 "the XenoServer takes the chain that xeno began and jose ended, from its holder"
json agent POST "$server_url/v1/sessions/$(jq -r .session <<<"$body")/end" '' -H "$(once e1)"
session_by agent "$work/narrow.order" s2
is "$status $(jq -r .type <<<"$body")" "403 order.signature" "but not one that is another's"
done_testing
