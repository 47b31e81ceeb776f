#!/bin/sh
# man-check.sh PROGRAM PAGE - the page's section on verbs is the one the table of verbs gives, its exit
# statuses are those of --help, and mandoc finds nothing to say about it.
set -u
want=$("$1" help --mdoc) || exit 1
got=$(awk '/^\.Sh /{on = $2 == "VERBS"; next} on' "$2")
if [ "$want" != "$got" ]; then
    echo "The verbs of $2 are not those of $1: put its help --mdoc there."
    exit 1
fi
want=$(for verb in bill run; do "$1" $verb --help | sed -n '/^Exit status:/,$p'; done | grep -oE '[0-9]+' | sort -nu)
got=$(awk '/^\.Sh /{on = $2 == "EXIT"; next} on' "$2" | grep -oE '[0-9]+' | sort -nu)
if [ "$want" != "$got" ]; then
    echo "The exit statuses of $2 are not those of $1 --help."
    exit 1
fi
command -v mandoc >/dev/null || exit 77
# Pages of other folders and of other packages may not be installed where this runs.
complaints=$(mandoc -Tlint "$2" 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db')
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }
