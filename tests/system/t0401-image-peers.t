#!/bin/bash
# skopeo, umoci and podman read the layouts we write, and we read theirs.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
for p in skopeo umoci podman; do
    command -v $p >/dev/null || bail "$p is not installed"
done
cd "$work" || exit 1
small_root root
S=$work/store

# Ours, read by others
ok "a folder is imported" "$tool" "$S" import root web:1
digest=$("$tool" "$S" resolve web:1 | awk '$1 == "image" { print $2 }')
is "$(skopeo inspect "oci:$S:web:1" | python3 -c 'import json,sys; print(json.load(sys.stdin)["Digest"])')" \
    "$digest" "skopeo inspects it in place"
ok "skopeo copies it out of the store" skopeo copy -q "oci:$S:web:1" oci:sk:web
is "$(umoci list --layout "$S")" "web:1" "umoci lists the store"

ok "an archive is exported" "$tool" "$S" export web:1 web.tar
ok "skopeo reads the archive" skopeo copy -q oci-archive:web.tar oci:sk2:web
is "$(python3 -c 'import json; print(json.load(open("sk2/index.json"))["manifests"][0]["digest"])')" \
    "$digest" "with the same digest"
ok "an archive with gzip layers" "$tool" "$S" export web:1 gz.tar gzip
mkdir um && tar -C um -xf gz.tar
ok "umoci unpacks it" umoci unpack --image um:web:1 bundle
is "$(tree bundle/rootfs)" "$(tree root)" "to what it was made of: names, modes, owners, sizes"
ok "every content is right" diff -r --no-dereference --exclude=pipe root bundle/rootfs

# Layers in pieces (zstd:chunked): a table of ours and one of skopeo's say the same of the same files,
# but for where a large one is cut.
head -c 3000000 /dev/urandom >root/big
ok "a folder with a large file" "$tool" "$S" import root big:1
ok "skopeo writes it again in pieces" skopeo copy -q --dest-compress-format zstd:chunked \
    "oci:$S:big:1" oci:sk3:big
ours=$("$tool" "$S" toc big:1) theirs=$("$tool" sk3 toc big)
is "$(cut -d' ' -f1-4,6- <<<"$ours")" "$(cut -d' ' -f1-4,6- <<<"$theirs")" "both tables name the same"
like "$ours" "3000000 sha256:$(sha256sum <root/big | cut -c1-64) [1-9][0-9]" "the large file in pieces"
is "$(zstd -dcq "$S/blobs/sha256/$("$tool" "$S" resolve big:1 | sed -n 's/^layer sha256:\([0-9a-f]*\).*/\1/p')" |
    sha256sum | cut -c1-64)" \
    "$("$tool" "$S" resolve big:1 | sed -n 's/^layer [^ ]* sha256:\([0-9a-f]*\).*/\1/p')" \
    "zstd makes the same tar of it"
rm root/big

podman() {
    command podman --root "$work/pod" --runroot "$work/podrun" --storage-driver vfs --runtime runc "$@"
}
ok "podman loads the archive" podman load -q -i web.tar
ok "podman pulls from the folder" podman pull -q oci:store:web:1
like "$(podman image inspect -f '{{.Architecture}} {{.Config.Cmd}}' localhost/web:1)" ' \[/bin/sh\]$' \
    "with its defaults"

# Theirs, read by us
umoci init --layout theirs && umoci new --image theirs:a
tar -C root -cf root.tar .
umoci raw add-layer --image theirs:a root.tar
umoci config --image theirs:a --config.env X=1 --config.workingdir /home --config.cmd /bin/tool
umoci unpack --image theirs:a edit >/dev/null
rm -r edit/rootfs/old/deep edit/rootfs/etc/conf.d/2
echo new >edit/rootfs/etc/conf.d/4
rm -r edit/rootfs/var/www && mkdir edit/rootfs/var/www && echo again >edit/rootfs/var/www/x
umoci repack --image theirs:a edit
ok "umoci's layout is imported" "$tool" "$S" import theirs theirs:a
is "$("$tool" "$S" resolve theirs:a | grep -c '^layer ')" 2 "with both layers"
like "$("$tool" "$S" resolve theirs:a | tr '\n' ' ')" 'env X=1 .*arg /bin/tool cwd /home' "and its defaults"
ok "its layers are unpacked" "$tool" "$S" ensure cache s1 theirs:a
mapfile -t lowers < <("$tool" "$S" ensure cache s1 theirs:a)
mount_stack theirs "${lowers[@]}"
ok "and stacked by overlayfs" mountpoint -q theirs/m
umoci unpack --image theirs:a again >/dev/null
is "$(tree theirs/m $base)" "$(tree again/rootfs)" "show what umoci shows: whiteouts, owners, modes"

ok "skopeo's archive is imported" bash -c \
    "skopeo copy -q oci:$S:web:1 oci-archive:sk.tar:web && $tool $S import sk.tar web:2"
is "$("$tool" "$S" resolve web:2 | awk '$1 == "image" { print $2 }')" "$digest" "under the same digest"
skopeo copy -q oci:um:web:1 docker-archive:docker.tar:my/web:3
ok "a Docker archive is imported" "$tool" "$S" import docker.tar -
is "$("$tool" "$S" resolve my/web:3 | awk '$1 == "layer" { print $3 }')" \
    "$("$tool" "$S" resolve web:1 | awk '$1 == "layer" { print $3 }')" "with the same tar inside"
ok "from standard input, compressed" bash -c "gzip -1 <docker.tar | $tool $S import - piped"
podman save -q --format oci-archive -o pod.tar localhost/web:1
ok "podman's own archive is imported" "$tool" "$S" import pod.tar pod
ok "every blob of the store verifies" bash -c \
    "$tool $S list | cut -d' ' -f1 | while read -r n; do $tool $S verify \$n || exit 1; done"
ok "a store after collection is still read by skopeo" bash -c \
    "$tool $S rm pod && $tool $S gc unnamed && skopeo inspect oci:$S:web:1 >/dev/null"
done_testing
