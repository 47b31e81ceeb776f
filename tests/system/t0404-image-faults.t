#!/bin/bash
# A disk that is full, a store that is damaged, tools that are stopped: whole or not at all.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
cd "$work" || exit 1
S=$work/store
small_root root
head -c 6M /dev/urandom >root/usr/lib/large
"$tool" "$S" import root web >/dev/null || bail "cannot import"
hex=$("$tool" "$S" resolve web | awk '$1 == "layer" { print substr($2, 8) }')

# A small disk: 4 MB, 300 inodes
disk() {
    truncate -s 4M "$1.img"
    mkfs.ext4 -q -F -N 300 -m 0 -O ^has_journal "$1.img"
    mkdir "$1"
    mount -o loop "$1.img" "$1"
    at_end "umount $work/$1"
}
disk full
like "$("$tool" "$S" ensure full/cache s1 web 2>&1)" '^unpack.write: .*No space left' "a layer that does not fit is told"
is "$(ls -A full/cache/layers full/cache/work full/cache/meta | grep -c $hex)" 0 "and leaves nothing"
used=$(find full | wc -l)
for i in $(seq 5); do "$tool" "$S" ensure full/cache s1 web >/dev/null 2>&1; done
is "$(find full | wc -l)" "$used" "however often it is tried"
like "$("$tool" full/store import root web 2>&1)" '^(image.write|io.write): .*No space left' "an import that does not fit is told"
is "$("$tool" full/store list; find full/store/blobs full/store/.tmp -type f | wc -l)" 0 "and leaves nothing"
like "$("$tool" "$S" export web full/out.tar 2>&1)" '^image.write: .*No space left' "so with an export"
is "$(ls full | grep -c out)" 0 "no half of an archive"
mkdir few && for i in $(seq 600); do echo $i >few/$i; done
"$tool" "$S" import few few >/dev/null
like "$("$tool" "$S" ensure full/cache s2 few 2>&1)" '^(unpack.write|cache.io): .*No space left' "no inodes is no space either"
is "$(ls -A full/cache/work | wc -l)" 0 "and leaves nothing"

# Without extended attributes opaque folders cannot be said: refused, not silently wrong
mkdir -p opq/var && : >opq/var/.wh..wh..opq && tar -C opq -cf opq.tar .
"$tool" "$S" import opq.tar opq >/dev/null
mkdir plain && mount -t ramfs none plain && at_end "umount $work/plain"
like "$("$tool" "$S" ensure plain/cache s1 opq 2>&1)" "^unpack.write: .*make opaque 'var'" \
    "a file system without attributes is told"

# Damage
blob=$S/blobs/sha256/$hex
cp "$blob" good
printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
like "$("$tool" "$S" ensure cache s1 web 2>&1)" '^image.corrupt: .*has the content of' "a flipped byte is found"
is "$(ls -A cache/layers cache/work | grep -c $hex)" 0 "before anything appears"
like "$("$tool" "$S" verify web 2>&1)" '^image.corrupt: ' "verify says so"
like "$("$tool" "$S" export web out.tar 2>&1)" '^image.corrupt: ' "export gives no spoilt image out"
is "$(ls out.tar* 2>/dev/null | wc -l)" 0 "not even half of it"
head -c 10000 good >"$blob"
like "$("$tool" "$S" ensure cache s1 web 2>&1)" '^image.corrupt: ' "a short blob is found"
rm "$blob"
like "$("$tool" "$S" resolve web 2>&1)" '^image.blob: .*No such file' "a missing blob is told"
ok "importing again heals it" "$tool" "$S" import root web
ok "all is well" "$tool" "$S" verify web

# Killed while importing: the store is sound, and collection clears up
for ms in 5 20 60 120; do
    "$tool" "$S" import root "k$ms" >/dev/null 2>&1 &
    victim=$!
    sleep "$(printf '0.%03d' $ms)"
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
done
ok "after kills the store lists" "$tool" "$S" list
is "$("$tool" "$S" list | grep -c broken)" 0 "nothing broken"
"$tool" "$S" gc unnamed >/dev/null
is "$(ls -A "$S/.tmp" | wc -l)" 0 "and nothing is left over"
ok "web is as it was" "$tool" "$S" verify web
done_testing
