#!/bin/bash
# Does xstored do what schemas/openapi.yaml says, and nothing else beside the registry?
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 1
client eve 1
store_start
node "$here/openapi-xstored.mjs"
