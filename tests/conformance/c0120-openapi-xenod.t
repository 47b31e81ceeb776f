#!/bin/bash
# Does xenod do what schemas/openapi.yaml says, and nothing else? On the null driver: no root.
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 90000000
client eve 1000000
xenod_start x1 --probe-allow 127.0.0.1
node "$here/openapi-xenod.mjs"
