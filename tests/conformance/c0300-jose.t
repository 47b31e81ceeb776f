#!/bin/bash
# Do signed documents mean the same to the JOSE library of npm and to us? Order chains block by
# block, charges, revocation list and status: read and made by jose, and judged by both daemons.
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 50000000
server_party first
xenod_start x1
node "$here/jose.mjs"
