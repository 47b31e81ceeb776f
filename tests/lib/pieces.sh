# tests/lib/pieces.sh - for tests of sessions whose layers are not on the host: source tap.sh, t02-lib.sh
# and image.sh first.
#
# pieces_there: an image with busybox and a large file is in the store $work/there, and another whose
# layer has no table; a peer of the image manager's protocol, of which $work/im/store has their
# manifests, gives what is asked for. In $layer, $manifest, $blob, $hex; $plain_layer, $plain_manifest.
pieces_there() {
    local root=$work/remote name
    mkdir -p "$root"/{bin,etc,tmp,root,proc,dev,sys,usr} "$work/im" "$work/plain/bin"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in sh cat chown cut dd df echo grep id ls mknod rm sha256sum sleep tail test true; do
        ln -s busybox "$root/bin/$name"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\n' >"$root/etc/group"
    echo "a text" >"$root/etc/text"
    echo "a second text" >"$root/usr/text2"
    for name in $(seq 20); do head -c 20000 /dev/urandom >"$root/usr/$name"; done
    head -c 4000000 /dev/urandom >"$root/usr/big"
    big_sum=$(sha256sum <"$root/usr/big" | cut -c1-64)
    chmod 1777 "$root/tmp"
    cp -a "$root/." "$work/plain/" && rm "$work/plain/usr/big"
    "$tool" "$work/there" import "$root" remote >/dev/null &&
        "$tool" "$work/there" import "$work/plain" plain gzip >/dev/null || return 1
    layer=$(layer_of remote) manifest=$(manifest_of remote) hex=${layer#sha256:} blob=$work/there/blobs/sha256/${layer#sha256:}
    plain_layer=$(layer_of plain) plain_manifest=$(manifest_of plain)
    cp -r "$work/there" "$work/im/store"
    rm "$work/im/store/blobs/sha256/"{"$hex","${plain_layer#sha256:}"}
    peer_start
}
layer_of() { "$tool" "$work/there" resolve "$1" | sed -n 's/^layer \(sha256:[0-9a-f]*\).*/\1/p'; }
manifest_of() { "$tool" "$work/there" list | sed -n "s/^$1[^ ]* sha256:\([0-9a-f]*\) .*/\1/p"; }
peer_start() {
    background peer "$top/tests/lib/imaged-peer.py" "$work/im/socket" "$work/there" "$work/im/store"
    peer_pid=$pid
    wait_for 10 test -S "$work/im/socket"
}
peer_kill() { kill -9 "$peer_pid" && wait "$peer_pid" 2>/dev/null; }
# remote ID KEY=VALUE...: a session of that image; create_of ID LAYER KEY=VALUE...: of that layer.
create_of() { ask create "$1" oci "disk=$disk" "layer=$2" "${@:3}"; }
remote() { create_of "$1" "$layer" "image=sha256:$manifest" "${@:2}"; }
restore() { ask restore "$1" "disk=$disk" "layer=$layer" "image=sha256:$manifest" "${@:2}"; }
# Bytes that were read from the peer.
fetched() { awk '$1 == "read" {n += $3} END {print n + 0}' "$work/im/socket.asked"; }
root_type() { findmnt -no FSTYPE "$work/D/sessions/$1/rootfs"; }
# Every xeno-cowfs of a session of this test, by its process.
servers() { pgrep -f "xeno-cowfs --foreground=yes --fuse-fd=3 --stack=$work/D/" | tr '\n' ' ' | sed 's/ $//'; }
# A file of a group, by its names in version 2 and version 1 of which the controller is the first word.
group_file() {
    cat "/sys/fs/cgroup/$1/xeno-$inst/sessions/$2/$4" 2>/dev/null ||
        find /sys/fs/cgroup -path "*xeno-$inst/sessions/$2/$3" -exec cat {} +
}
