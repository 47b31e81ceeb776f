#!/bin/bash
# Random operations on xeno-cowfs and on a plain directory agree, with the server killed in between
# and in the middle. XENO_STORM_SECONDS and XENO_STORM_SEED make it longer and another one.
. "$(dirname "$0")/../lib/tap.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
seconds=${XENO_STORM_SECONDS:-10} seed=${XENO_STORM_SEED:-$RANDOM}
cd "$work" || exit 1
mkdir storm
at_end 'umount -l "$work/storm/m"'
said=$(timeout $((seconds * 4 + 120)) "$build/src/cowfs/tests/cowfs-storm" "$seed" "$seconds" storm \
    "$build/src/cowfs/xeno-cowfs" 2>&1)
like "$said" "^agree: seed $seed" "both agree all the time"
echo "# $(tail -n 1 <<<"$said")"
like "$said" ", [1-9][0-9]* kills" "the server was killed meanwhile"
done_testing
