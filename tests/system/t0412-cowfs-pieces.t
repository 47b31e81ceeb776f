#!/bin/bash
# A template in a registry is mounted and read by pieces: as unpacked, fetching what is read and no more,
# also when the registry is gone; a wrong piece is an I/O error and an event, never wrong bytes.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
for p in docker-registry nfs-cat; do
    command -v $p >/dev/null || bail "$p is not installed"
done
export XENO_HOME=$work/me XENO_IMAGES=$work/here HOME=$work
unset REGISTRY_AUTH_FILE
cowfs=$build/src/cowfs/xeno-cowfs
cd "$work" || exit 1

registry_start() {
    printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp:\n  addr: %s\n' \
        "$work/registry" "$at" >registry.yml
    background registry docker-registry serve "$work/registry.yml"
    registry_pid=$pid
    wait_for 10 bash -c "</dev/tcp/${at/:/\/}" || bail "docker-registry does not answer" "$(cat registry.log)"
}
# up CACHE [OPTION...]: mounts at m; the server's words go to cowfs.log.
up() {
    local cache=$1
    shift
    rm -rf upper wk cowfs.log && mkdir -p upper wk m
    background cowfs "$cowfs" --foreground=yes --images="$ref" --registry-plain=yes --cache="$cache" \
        --upper=upper --work=wk --mount=m --options=suid,dev --ahead-bytes=0 "$@"
    cowfs_pid=$pid
    wait_for 20 mountpoint -q m || bail "it is not mounted" "$(cat cowfs.log)"
}
down() { umount m && wait "$cowfs_pid" || bail "it did not end well" "$(cat cowfs.log)"; }
at_end 'umount -l "$work/m"'
count() { sed -n "s/.* cowfs.pieces .*\b$1=\([0-9]*\).*/\1/p" cowfs.log; } # of the mount that ended
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

at=127.0.0.1:$(free_port) ref=oci://$at/me/t:1
registry_start
small_root root
for i in $(seq 40); do head -c $((i * 1000)) /dev/urandom >root/usr/lib/$i; done
head -c 8000000 /dev/urandom >root/usr/big
ok "a template" xeno template import root --name t:1
ok "is pushed" xeno template push t:1 "$ref" --insecure-http || done_testing
lower=$("$tool" here ensure layers s t:1)
blob=$("$tool" here resolve t:1 | sed -n 's/^layer sha256:\([0-9a-f]*\) .*/\1/p')

# --- what is seen, and what that costs ---
up cache
ok "the same is seen as when it is unpacked" diff <(tree m) <(tree "$lower")
down
is "$(count fetched)" 1 "for which its table was fetched and nothing else"
table=$(count source_bytes)
up cache
head -c 100 m/etc/passwd >/dev/null
dd if=m/usr/big of=some bs=4096 skip=1000 count=1 status=none
ok "a part of a large file is read right" cmp some <(dd if=root/usr/big bs=4096 skip=1000 count=1 status=none)
down
some=$(count source_bytes)
ok "which fetched that part of it ($some bytes)" [ "$some" -gt 4096 ] && ok "and no more" [ "$some" -lt 1000000 ]
up cache
ok "every byte is right" diff <(sums m) <(sums "$lower")
is "$(stat -c %b m/var/log/sparse) $(stat -c %s m/var/log/sparse)" "10240 5242880" "of the sparse one too"
down
all=$((table + some + $(count source_bytes))) stored=$(stat -c %s "here/blobs/sha256/$blob")
ok "nothing was fetched twice: $all of $stored bytes" [ "$all" -lt "$stored" ]

# --- writing ---
up cache
echo more >>m/etc/passwd
ok "a file is written" cmp m/etc/passwd <(cat root/etc/passwd && echo more)
is "$(find upper -type f | sort)" "upper/etc/passwd" "which is copied"
ok "one is removed, one renamed" bash -c "rm m/usr/lib/3 && mv m/usr/lib/4 m/usr/lib/3"
ok "as it should be" cmp m/usr/lib/3 root/usr/lib/4

# --- over NFS ---
rm -rf upper2 wk2 && mkdir upper2 wk2
background nfs "$cowfs" --foreground=yes --images="$ref" --registry-plain=yes --cache=cache5 --upper=upper2 --work=wk2 \
    --nfs=127.0.0.1:0 --nfs-client=127.0.0.1
wait_for 10 grep -q ready nfs.log || bail "it does not serve NFS" "$(cat nfs.log)"
nfs="nfsport=$(sed -n 's/^ready port=//p' nfs.log)"
ok "the same is read over NFS" cmp <(nfs-cat "nfs://127.0.0.1//usr/big?$nfs&mount${nfs#nfs}") root/usr/big
kill "$pid" && wait "$pid"
like "$(cat nfs.log)" "cowfs.pieces fetched=[1-9][0-9]+" "by its pieces"

# --- the registry is gone ---
exec 3<m/usr/lib/7
kill "$registry_pid" && wait "$registry_pid" 2>/dev/null
ok "what is cached is read on" cmp m/usr/big root/usr/big
exec 3<&-
down
# Mounted without it.
up cache
like "$(cat cowfs.log)" "cowfs.manifest.old .*source=oci://$at/me/t .*http\." "and it says so"
ok "every byte is right" diff <(sums m) <(sums "$lower")
down
is "$(count source_bytes)" 0 "nothing came from anywhere"
# And with the pieces of some files lost.
for h in $(sha256sum root/usr/lib/{1,2,5,6,8,9,10,11} | cut -c1-64); do rm "cache/pieces/${h:0:2}/$h"; done
up cache --patience=1ms
sums m >half 2>half.err
is "$(grep -c "usr/lib/.*Input/output error" half.err) $(wc -l <half.err)" "8 8" "what is not there is an I/O error"
ok "what is there is right" diff half <(sums "$lower" | grep -vE '/usr/lib/([12568]|9|1[01])$')
like "$(cat cowfs.log)" "cowfs.source.away source=oci://$at/me/t" "the source is named"
is "$(grep -c cowfs.source.away cowfs.log)" 1 "once"
registry_start
reads_right() { diff <(sums m) <(sums "$lower"); }
ok "when it is back all is right again" wait_for 60 reads_right
like "$(cat cowfs.log)" "cowfs.source.back source=oci://$at/me/t" "and that is said"
down

# --- wrong bytes ---
data=registry/docker/registry/v2/blobs/sha256/${blob:0:2}/$blob/data
cp "$data" right
for at_byte in 1000000 1600000; do
    head -c 30 /dev/zero | dd of="$data" bs=1 seek=$at_byte conv=notrunc status=none
done
up cache2
sums m >some 2>some.err
like "$(cat some.err)" "big: Input/output error" "a wrong piece is an I/O error"
is "$(wc -l <some.err) $(($(sums "$lower" | wc -l) - $(wc -l <some)))" "1 1" "in the file it belongs to"
is "$(grep -vcxFf <(sums "$lower") some)" 0 "and nothing is wrong"
like "$(cat cowfs.log)" "cowfs.source.lies source=oci://$at/me/t blob=sha256:$blob offset=[0-9]+ error=image.corrupt" \
    "the event names the source"
down
cp -r here spoilt && cp "$data" "spoilt/blobs/sha256/$blob" && cp right "$data"
# Two sources, of which the first is spoilt.
up cache3 --image-store=spoilt
ok "every byte is right" diff <(sums m) <(sums "$lower")
like "$(cat cowfs.log)" "cowfs.source.lies source=spoilt" "and it is named"
down

# --- a disk that is full ---
mkdir full && mount -t tmpfs -o size=2M tmpfs full
at_end 'umount "$work/full"'
up full/cache
ok "with a full disk every byte is right" diff <(sums m) <(sums "$lower")
down
ok "though not all is kept" [ "$(count unkept)" -gt 0 ]

# --- what was read is fetched ahead ---
up cache4
cat m/usr/lib/{39,11,25} >/dev/null
down
had=$(find cache4/pieces -type f | wc -l)
rm -r cache4/pieces cache4/used
# An empty cache, and a record.
up cache4 --ahead-bytes=1M
kept() { [ "$(find cache4/pieces -type f | wc -l)" = "$1" ]; }
ok "they come by themselves, and no more" wait_for 10 kept "$had"
kill "$registry_pid"
ok "so that they are there when the registry is not" cmp <(cat m/usr/lib/{39,11,25}) <(cat root/usr/lib/{39,11,25})
down
done_testing
