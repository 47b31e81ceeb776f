# tests/lib/image.sh - for the tests of images; source tap.sh first.
#
# tool STORE VERB ARGUMENT... is the library's own small program; layers are mounted as sessions
# mount them: overlayfs with userxattr, lowers from the cache.
tool=$build/src/image/tests/image-tool
[ -x "$tool" ] || bail "src/image/tests is not built"
base=1879048192 # XENO_SUBID_BASE

# mount_stack NAME LOWER...: the lowers (bottom first) with a writable layer, at $work/NAME/m.
mount_stack() {
    local name=$1 lower= l
    shift
    for l in "$@"; do lower=$l${lower:+:$lower}; done
    mkdir -p "$work/$name"/{u,w,m}
    chown $base:$base "$work/$name/u" "$work/$name/w"
    chmod 755 "$work/$name/u"
    at_end "umount $work/$name/m"
    mount -t overlay -o "userxattr,lowerdir=$lower,upperdir=$work/$name/u,workdir=$work/$name/w" \
        overlay "$work/$name/m"
}

# tree DIR [SHIFT]: owners (less SHIFT), types, modes, sizes of files, names, link targets.
tree() {
    (cd "$1" && find . -mindepth 1 \( -type f -printf '%U %G %y %m %s %p\n' \) -o \
        \( -type l -printf '%U %G %y - - %p %l\n' \) -o -printf '%U %G %y %m - %p\n') |
        awk -v s="${2:-0}" '{ $1 -= s; $2 -= s; print }' | sort -k 6
}

# A root file system of some 40 names without any package: links, modes, owners, hard links.
small_root() {
    local r=$1
    mkdir -p "$r"/{usr/bin,usr/lib,etc/conf.d,var/www/html,var/log,run,home/u,tmp,old/deep/er}
    ln -s usr/bin "$r/bin"
    ln -s usr/lib "$r/lib"
    ln -s /run "$r/var/run"
    chmod 1777 "$r/tmp"
    echo '#!/bin/sh' >"$r/usr/bin/tool"
    chmod 4755 "$r/usr/bin/tool"
    ln "$r/usr/bin/tool" "$r/usr/bin/tool2"
    for i in 1 2 3; do echo "conf $i" >"$r/etc/conf.d/$i"; done
    echo root:x:0:0 >"$r/etc/passwd"
    echo old >"$r/old/deep/er/file"
    echo hidden >"$r/old/.dot"
    head -c 300000 /dev/urandom >"$r/usr/lib/blob"
    truncate -s 5M "$r/var/log/sparse"
    mkfifo "$r/run/pipe"
    echo 'grüße' >"$r/home/u/grüße 日本"
    chown -R 1000:1000 "$r/home/u"
    chown 33:33 "$r/var/www/html"
}
