#!/bin/bash
# Is schemas/openapi.yaml sound in itself?
. "$(dirname "$0")/lib.sh"
need_npm
node "$here/openapi-document.mjs"
