#!/bin/bash
# Does xstored do what schemas/openapi.yaml says, and nothing else beside the registry?
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 5000000
client eve 1
store_start --price-gib-day 4000 --charge-every 1s
node "$here/openapi-xstored.mjs"
