#!/bin/bash
# Are our image stores OCI layouts to skopeo and umoci, and theirs to us? Same bytes, same trees,
# both ways; hostile or broken ones are refused whole.
. "$(dirname "$0")/lib.sh"
need xeno skopeo umoci jq tar
rootless=()
[ "$(id -u)" = 0 ] || rootless=(--rootless)
store=$work/store
export XENO_IMAGES=$store HOME=$work XDG_RUNTIME_DIR=$work
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"

skopeo_() { skopeo --policy "$work/policy.json" "$@"; }
# tree DIR: every entry with its kind, mode and content. Names only, where nothing else matters.
tree() { (cd "$1" && find . -mindepth 1 ! -type l -printf '%P %y %m ' -type f -exec sha256sum {} \; -o \
    -mindepth 1 ! -type l -printf '\n' -o -type l -printf '%P -> %l\n') | sed 's/ \.\/.*//' | sort; }
# unpacked LAYOUT:NAME DIR: the root file system as umoci sees it, in DIR/rootfs.
unpacked() { umoci unpack "${rootless[@]}" --image "$1" "$2" >"$work/umoci.log" 2>&1; }

mkdir -p "$work/root/"{bin,etc/deep,tmp,var/www}
cd "$work/root" || exit 1
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
printf '#!/bin/sh\necho hello\n' >bin/hello
chmod 755 bin/hello
chmod 1777 tmp
ln -s hello bin/hi
ln etc/passwd etc/deep/hard
head -c 300000 /dev/zero >var/zeros
printf 'a name with spaces and \303\244' >"var/name with spaces and ä"
cd "$work" || exit 1
tree root >root.tree

# --- ours, read by theirs ---
ok "import a folder" xeno template import root --name base --compression gzip --env A=b --arg /bin/hello
ok "skopeo reads it" skopeo_ inspect "oci:$store:base"
config=$(skopeo_ inspect --config "oci:$store:base")
is "$(jq -r '.config.Cmd | join(" ")' <<<"$config")" /bin/hello "with its command"
like "$(jq -c .config.Env <<<"$config")" '"A=b"' "and environment"
is "$(jq -r '"\(.os)/\(.architecture)"' <<<"$config")" "linux/$(dpkg --print-architecture)" "and machine"
is "$(jq -r '.rootfs.diff_ids | length' <<<"$config")" 1 "one layer"
digest=$(xeno template show base --json | jq -r .digest)
is "$(skopeo_ inspect "oci:$store:base" --format '{{.Digest}}')" "$digest" "by the digest we say"
ok "umoci lists it" grep -qx base <(umoci ls --layout "$store")
ok "umoci unpacks it" unpacked "$store:base" "$work/b1"
tree b1/rootfs >got.tree
is "$(diff root.tree got.tree | head -n 20)" "" "the tree is the folder's"
is "$(stat -c %h b1/rootfs/etc/passwd)" 2 "hard links are kept"
ok "skopeo copies it elsewhere" skopeo_ copy -q "oci:$store:base" "oci:$work/copy:x"
is "$(skopeo_ inspect "oci:$work/copy:x" --format '{{.Digest}}')" "$digest" "unchanged"
ok "skopeo makes a docker archive of it" skopeo_ copy -q "oci:$store:base" "docker-archive:$work/d.tar:base:1"
ok "import with zstd" xeno template import root --name modern --compression zstd
ok "skopeo reads and verifies zstd" skopeo_ copy -q "oci:$store:modern" "dir:$work/zstd.dir"
is "$(jq -r '.layers[0].mediaType' zstd.dir/manifest.json)" application/vnd.oci.image.layer.v1.tar+zstd \
    "which the manifest says it is"
mkdir -p page && echo '<h1>page</h1>' >page/index.html
ok "an overlay" xeno overlay create page page:/var/www --base base --hide /var/zeros --compression gzip
ok "is an image to skopeo" skopeo_ inspect "oci:$store:page"
ok "export to a file" xeno template export base "$work/base.tar"
is "$(skopeo_ inspect "oci-archive:$work/base.tar" --format '{{.Digest}}')" "$digest" "skopeo reads the archive"
ok "export to a layout" xeno template export base "$work/out/"
is "$(umoci ls --layout out)" base "umoci reads that"
ok "every blob in the store has the content of its name" sh -c "cd '$store/blobs/sha256' &&
    sha256sum * | awk '\$1 != \$2 { exit 1 }'"

# --- theirs, read by ours ---
ok "umoci makes a layout" umoci init --layout theirs
umoci new --image theirs:app >"$work/umoci.log" 2>&1
unpacked theirs:app b2
cp -a root/. b2/rootfs/
umoci repack --image theirs:app b2 >"$work/umoci.log" 2>&1
rm -r b2 # umoci keeps what it knows of a bundle in it
unpacked theirs:app b2
rm b2/rootfs/var/zeros
rm -r b2/rootfs/etc/deep
mkdir b2/rootfs/etc/deep
echo new >b2/rootfs/etc/deep/new
umoci repack --image theirs:app b2 >"$work/umoci.log" 2>&1
umoci config --image theirs:app --config.cmd /bin/hi --config.env X=y --config.workingdir /tmp >"$work/umoci.log" 2>&1
ok "import what umoci made, layers with whiteouts" xeno template import theirs --ref app --name app
is "$(xeno template show app --json | jq '.layers | length')" 2 "two layers"
ok "verified" xeno template show app --verify
is "$(xeno template show app --json | jq -r '.argv[0], (.env[] | select(startswith("X="))), .cwd' | xargs)" \
    "/bin/hi X=y /tmp" "with command, environment and folder"
is "$(skopeo_ inspect "oci:$store:app" --format '{{.Digest}}')" \
    "$(skopeo_ inspect "oci:theirs:app" --format '{{.Digest}}')" "its digest is theirs"
unpacked "$store:app" b3
tree b2/rootfs >want.tree
tree b3/rootfs >got.tree
is "$(diff want.tree got.tree | head -n 20)" "" "and so is its tree, from our store"
ok "import skopeo's docker archive" xeno template import d.tar --name from-docker --compression gzip
unpacked "$store:from-docker" b4
tree b4/rootfs >got.tree
is "$(diff root.tree got.tree | head -n 20)" "" "the tree is the folder's again"
skopeo_ copy -q oci:theirs:app "oci-archive:$work/app.tar:app"
ok "import skopeo's oci archive" xeno template import app.tar --name app2
is "$(xeno template show app2 --json | jq -r .digest)" "$(xeno template show app --json | jq -r .digest)" "the same image"
ok "skopeo writes into our store" skopeo_ copy -q oci:theirs:app "oci:$store:copied"
ok "and we read it" xeno template show copied --verify
is "$(xeno template ls --json | jq -r '[.templates[].name] | sort | join(" ")')" \
    "app app2 base copied from-docker modern" "all of them are listed"
ok "umoci adds a tag in our store" umoci tag --image "$store:copied" again
ok "and we find it" xeno template show again
ok "remove some" xeno template rm app app2 copied
ok "what shares their layers stays whole" xeno template show again --verify
ok "also to skopeo" skopeo_ copy -q "oci:$store:again" "dir:$work/again.dir"

# --- broken and hostile ---
cp -r theirs broken
blob=$(skopeo_ inspect --raw oci:theirs:app | jq -r '.layers[0].digest' | cut -d: -f2)
chmod u+w "broken/blobs/sha256/$blob"
printf x | dd of="broken/blobs/sha256/$blob" bs=1 seek=100 conv=notrunc status=none
before=$(find "$store" -type f | sort)
not_ok "a layer whose content is not its digest is refused" xeno template import broken --ref app --name bad
mkdir -p evil
tar -C root -cf evil/layer.tar --transform 's,^bin/hello,../../../escape,' bin/hello 2>/dev/null
not_ok "so is a tar that leads out" xeno template import evil/layer.tar --name bad
rm -rf evil/layer.tar
is "$(find "$store" -type f | sort)" "$before" "and nothing of either stays behind"
done_testing
