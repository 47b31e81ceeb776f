#!/bin/bash
# Random operations on xeno-cowfs and on a plain directory agree, with the server killed in between
# and in the middle; over directories, over directories that a mount file names, and over images read by
# pieces, of which some are evicted and spoilt meanwhile. XENO_STORM_SECONDS and XENO_STORM_SEED make it longer and another one.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
seconds=${XENO_STORM_SECONDS:-10} seed=${XENO_STORM_SEED:-$RANDOM}
cd "$work" || exit 1

storm() { # FOLDER SERVER SECONDS
    mkdir "$1"
    at_end "umount -l \"$work/$1/m\""
    said=$(timeout $((seconds * 2 + 120)) "$build/src/cowfs/tests/cowfs-storm" "$seed" "$3" "$1" "$2" 2>&1)
    like "$said" "^agree: seed $seed" "$1: both agree all the time"
    echo "# $(tail -n 1 <<<"$said")"
    like "$said" ", [1-9][0-9]* kills" "$1: the server was killed meanwhile"
}
storm directories "$build/src/cowfs/xeno-cowfs" $((seconds * 3 / 10))

# The layers are mounted in the root of one that has nothing else; its mount file is hidden by the upper, where it counts
# all the same.
cat >mounting <<SH
#!/bin/bash
[ -d top ] || { mkdir top && printf 'file://%s/b\nfile://%s/a\n' "\$PWD" "\$PWD" >top/.mount; }
[ -e u/.mount ] || mknod u/.mount c 0 0
exec "$build/src/cowfs/xeno-cowfs" --lower=top --mount-dirs="\$PWD" "\${@:2}"
SH
chmod +x mounting
storm mounts "$work/mounting" $((seconds * 3 / 10))

# The same server, over images of the two layers; what hides in them is written as an image has it.
cat >by-pieces <<SH
#!/bin/bash
hide() { find "\$1" -type c -printf '%h %f\\n' | while read -r d f; do rm "\$d/\$f" && : >"\$d/.wh.\$f"; done; }
if [ ! -d images ]; then
    for l in a b; do
        cp -a \$l \$l.image && hide \$l.image && tar -C \$l.image --xattrs --numeric-owner -cf \$l.tar . &&
            "$tool" images import \$l.tar \$l >/dev/null || exit 1
    done
fi
find cache/pieces -type f 2>/dev/null | wc -l >>pieces.count
find cache/pieces -type f 2>/dev/null | shuf -n 6 | while read -r p; do
    ((RANDOM % 2)) && rm "\$p" || { [ -s "\$p" ] && printf '?' | dd of="\$p" bs=1 seek=\$((\$(stat -c %s "\$p") / 2)) conv=notrunc status=none; }
done
exec "$build/src/cowfs/xeno-cowfs" --images=b,a --image-store=images --cache=cache --cache-bytes=1M --shift=0 "\${@:2}" 2>>server.log
SH
chmod +x by-pieces
storm images "$work/by-pieces" $((seconds / 2))
most=$(sort -n images/pieces.count | tail -n 1)
ok "pieces were read, $most of them" [ "$most" -gt 4 ]
ok "some were evicted for others" grep -q "evicted=[1-9]" images/server.log
not_ok "none was wrong" grep -E "lies|cowfs.read" images/server.log
done_testing
