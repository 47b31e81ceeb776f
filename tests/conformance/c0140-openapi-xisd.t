#!/bin/bash
# Does xisd do what schemas/openapi.yaml says, and nothing else?
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 1
client eve 1
xis_start --watches 1
node "$here/openapi-xisd.mjs"
