#!/bin/bash
# Does xrdd do what schemas/openapi.yaml says, and nothing else? A second one has no XIS that answers.
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 1
xis_start
node_start xrdd dark --xis https://127.0.0.1:1 --finds-per-minute 1
export DARK_URL=$node_url
node_start xrdd rd --xis "$xis_url"
export RD_URL=$node_url
node "$here/openapi-xrdd.mjs"
