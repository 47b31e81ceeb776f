#!/bin/bash
# The table of POSIX cases on the kernel's overlayfs and on xeno-cowfs over one pair of layers, and on one
# that is a session's, with the lower one read by pieces; where one fails is what posix.differences says, and
# nothing else. Then each serves what the other wrote.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
. "$(dirname "$0")/../lib/cowfs.sh"
cowfs=$build/src/cowfs/xeno-cowfs
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
ok "the layers are made" posix_disk up-{overlayfs,xeno-cowfs,xeno-cowfs-pieces} || done_testing
cd "$work/disk" || exit 1

overlay_mount() { # UPPER WORK WHERE
    mount -t overlay overlay -o "userxattr,lowerdir=middle:bottom,upperdir=$1,workdir=$2" "$3"
}
cowfs_mount() { # UPPER WORK WHERE
    "$cowfs" --lower=middle:bottom --upper="$1" --work="$2" --mount="$3" --options=suid,dev
}
# The lower layer as an image; but for files of holes, of which there are more than an image may have.
pieces_prepare() {
    cp -a middle holes && tar -C bottom --exclude=sparse --numeric-owner --xattrs --xattrs-include='user.*' -cf bottom.tar . &&
        (cd bottom && find . -name sparse -print0 | tar --null -T - -Sc) | tar -C holes -Sx &&
        "$tool" "$work/images" import bottom.tar bottom && rm bottom.tar
}
# As xeno-taskd has it: mounted by who starts it, with few rights, confined.
pieces_mount() { # UPPER WORK WHERE
    "$tool" "$work/images" stack bottom "$PWD/holes" >"$work/stack" &&
        "$build/src/task/tests/serve-tool" "$cowfs" "$work/stack" "$PWD/$1" "$PWD/$2" "$PWD/$3" "$work/cache" \
            --image-store="$work/images" --shift=0 2>>"$work/pieces.log"
}
at_end 'for m in "$work"/disk/on-*; do umount -l "$m"; done'

before=$(find bottom middle -printf '%p %y %m %U:%G %s %T@ %C@\n' | sort | sha256sum)
ok "one of them becomes an image" pieces_prepare
for fs in overlayfs xeno-cowfs xeno-cowfs-pieces; do
    mkdir "wk-$fs" "on-$fs"
    case $fs in overlayfs) mounter=overlay_mount ;; xeno-cowfs) mounter=cowfs_mount ;; *) mounter=pieces_mount ;; esac
    ok "$fs is mounted" $mounter "up-$fs" "wk-$fs" "on-$fs" || done_testing
    timeout 300 "$suite" "$cases" run "$PWD/on-$fs" >"$work/$fs.out"
    is "$(wc -l <"$work/$fs.out")" "$(grep -c '^=' "$cases")" "$fs: every case was run"
    ok "$fs: it differs where it is known to, of $(wc -l <"$work/$fs.out") cases" posix_differs "$fs" "$work/$fs.out"
done
is "$(find bottom middle -printf '%p %y %m %U:%G %s %T@ %C@\n' | sort | sha256sum)" "$before" \
    "nothing changed in the layers"

ok "some of it was read by pieces" [ "$(find "$work/cache/pieces" -type f | wc -l)" -gt 3 ]
umount on-xeno-cowfs-pieces

# What one wrote the other serves: names, kinds, owners, sizes, contents. (What only one of them did,
# because the other differs, is the same within one upper.)
tree() { (cd "$1" && find . -printf '%p %y %m %U:%G %l\n' | sort && find . -type f ! -name sparse -print0 | sort -z | xargs -0 sha256sum); }
tree on-overlayfs >o.tree
tree on-xeno-cowfs >c.tree
ino() { (cd "$1" && find . -type f -printf '%i %p\n' | sort); }
ino on-xeno-cowfs >c.ino
umount on-overlayfs on-xeno-cowfs
ok "the server has ended with its mount" wait_for 10 flock -n "wk-xeno-cowfs" true
is "$(find wk-xeno-cowfs -mindepth 2 | wc -l)" 0 "it leaves nothing in its work directory"
ok "xeno-cowfs over what overlayfs wrote" cowfs_mount up-overlayfs wk-overlayfs on-overlayfs
ok "overlayfs over what xeno-cowfs wrote" overlay_mount up-xeno-cowfs wk-xeno-cowfs on-xeno-cowfs
ok "the same is seen of the one" diff <(tree on-overlayfs) o.tree
ok "the same is seen of the other" diff <(tree on-xeno-cowfs) c.tree
umount on-overlayfs on-xeno-cowfs
ok "xeno-cowfs over its own again" cowfs_mount up-xeno-cowfs wk-xeno-cowfs on-xeno-cowfs
ok "with the numbers that its files had" diff <(ino on-xeno-cowfs) c.ino
not_ok "a second server for it is refused" cowfs_mount up-xeno-cowfs wk-xeno-cowfs on-overlayfs

cd "$work" || exit 1
# Listings are kept by the kernel: what is written becomes a file of its own, with its own number.
mkdir -p links/l links/u links/w links/m
echo text >links/l/a
ln links/l/a links/l/b
ok "over hard links" "$cowfs" --lower=links/l --upper=links/u --work=links/w --mount=links/m
listed() { # d_ino and name, as getdents64(2) has them: other tools ask stat(2)
    perl -MFcntl -e 'sysopen(D, $ARGV[0], O_RDONLY | O_DIRECTORY) or die; my $b = "\0" x 32768; my $n;
        my $nr = `uname -m` =~ /x86_64/ ? 217 : 61;
        while (($n = syscall($nr, fileno(D), $b, 32768)) > 0) { for (my $at = 0; $at < $n;) {
            my ($i, $o, $l, $t, $f) = unpack("QqSCZ*", substr($b, $at)); print "$i $f\n" if $f !~ /^\./; $at += $l; } }' "$1" | sort
}
numbers() { [ "$(listed links/m)" = "$(cd links/m && stat -c '%i %n' -- * | sort)" ]; }
ok "a listing has the numbers of what is in it" numbers
echo more >>links/m/a
ok "also once one of them was taken over" numbers
ls links/m >/dev/null
rm links/m/b
touch links/m/c
is "$(ls links/m | tr '\n' ' ')" "a c " "and the names that are there"
umount links/m

# As an ordinary user in a user namespace of one's own, with a /dev/fuse that all may open, as udev
# makes it.
mkdir -p home/{l,u,w,m,l2,u2,w2} && echo text >home/l/file && echo of an image >home/l2/text && chown -R 1000:1000 home
"$tool" home/images import home/l2/ mine >/dev/null && chown -R 1000:1000 home/images
cat >as-user <<'SH'
cd home && "$1" --lower=l --upper=u --work=w --mount=m && echo more >>m/file && mv m/file m/renamed &&
    printf 'text\nmore\n' | cmp - m/renamed && umount m &&
    "$1" --images=mine --image-store=images --cache=cache --upper=u2 --work=w2 --mount=m &&
    [ "$(cat m/text)" = "of an image" ] && echo more >>m/text && [ "$(stat -c %u m/text)" = 0 ] && umount m
SH
cat >with-fuse <<'SH'
mknod fuse c 10 229 && chmod 666 fuse && mount --bind fuse /dev/fuse &&
    setpriv --reuid 1000 --regid 1000 --clear-groups unshare -Urm sh as-user "$1"
SH
ok "a user serves a directory of his own, and an image" unshare -m sh with-fuse "$cowfs"
is "$(cat home/l/file) $(ls home/u)" "text file
renamed" "his layer is what it was"
done_testing
