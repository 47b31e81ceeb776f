#!/bin/sh
# man-check.sh PROGRAM PAGE - the page's list of options is the one the program's table gives, and
# mandoc finds nothing to say about it.
set -u
want=$("$1" --dump-config=mdoc) || exit 1
got=$(awk '/^\.Sh OPTIONS/{p=1; next} p && /^\.Bl/{on=1} on{print} on && /^\.El/{exit}' "$2")
if [ "$want" != "$got" ]; then
    echo "The options of $2 are not those of $1: put its --dump-config=mdoc there."
    exit 1
fi
command -v mandoc >/dev/null || exit 77
# Pages of other folders and of other packages may not be installed where this runs.
complaints=$(mandoc -Tlint "$2" 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db')
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }
