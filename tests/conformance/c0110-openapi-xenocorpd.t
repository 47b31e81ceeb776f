#!/bin/bash
# Does xenocorpd do what schemas/openapi.yaml says, and nothing else?
. "$(dirname "$0")/lib.sh"
need_npm
corp_start
client alice 5000000
server_party first
server_party second
new_key bob
new_key third
new_key store
node "$here/openapi-xenocorpd.mjs"
