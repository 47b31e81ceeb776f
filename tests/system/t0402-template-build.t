#!/bin/bash
# A Debian template is built by mmdebstrap, stored as one layer, and runs from an overlay mount.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
command -v mmdebstrap >/dev/null || bail "mmdebstrap is not installed"
cd "$work" || exit 1
S=$work/store

if ! "$tool" "$S" build debian:bookworm - busybox >made 2>log; then
    grep -qiE 'temporary failure|could not resolve|unable to (connect|fetch)' log &&
        cannot "package mirror: none can be reached"
    bail "the build failed" "$(tail -n 20 log)"
fi
ok "debian:bookworm with busybox is built" grep -q '^sha256:' made
like "$(cat log)" '^I: ' "the tool's lines were told"
name=debian-bookworm-busybox
is "$("$tool" "$S" list | awk '{ print $1, $3, $4 }')" "$name template 1" "named by what is in it, one layer"
like "$("$tool" "$S" resolve "template://$name")" '^env PATH=' "with a PATH"
ok "it is unpacked" "$tool" "$S" ensure cache s1 "template://$name"
lower=$("$tool" "$S" ensure cache s1 "$name")
is "$(find "$lower" \( -not -uid +$((base - 1)) -o -not -gid +$((base - 1)) \) | wc -l)" 0 \
    "no file belongs to a real user"
is "$(stat -c %a cache)" 700 "and nobody but root gets near"
is "$(find "$lower" -type b -o -type c -o -type s | wc -l)" 0 "there are no devices"
is "$(ls -A "$lower/var/cache/apt/archives" "$lower/var/lib/apt/lists" | grep -c deb)" 0 "apt's caches are gone"
is "$(stat -c %a "$lower/usr/bin/su")" 4755 "set-user-id bits stay"

mkdir -p site/sub extra/lib/xeno
echo '<h1>hello</h1>' >site/index.html
echo yes >extra/lib/xeno/marker
chmod 700 site
ok "an overlay is made over it" "$tool" "$S" overlay page "$name" site=/var/www/html extra=/ --hide=/etc/issue
first=$("$tool" "$S" resolve overlay://page | head -n 1)
ok "and once more" "$tool" "$S" overlay page "$name" site=/var/www/html extra=/ --hide=/etc/issue
is "$("$tool" "$S" resolve overlay://page | head -n 1)" "$first" "with the same digest"
mapfile -t lowers < <("$tool" "$S" ensure cache s2 "$name" overlay://page)
is "${#lowers[@]}" 2 "two layers for the session"
is "${lowers[0]}" "$lower" "the template's is shared"
mount_stack s2 "${lowers[@]}"
ok "they are mounted" mountpoint -q s2/m
inside() { chroot --userspec=$base:$base --groups= "$work/s2/m" "$@"; }
is "$(inside /bin/busybox cat /var/www/html/index.html)" '<h1>hello</h1>' "a program of the template reads the page"
is "$(inside /bin/cat /lib/xeno/marker)" yes "/lib is still a link, and leads to the overlay's file"
is "$(inside /usr/bin/stat -c %a /var/www/html /tmp | tr '\n' ' ')" "700 1777 " \
    "a new folder keeps its mode, /tmp the template's"
not_ok "what is hidden is not there" inside /bin/cat /etc/issue
ok "the session changes what it wants" inside /bin/sh -c \
    'echo x >/etc/motd && rm -r /usr/share/doc && mkdir /usr/share/doc && echo y >/var/www/html/index.html'
is "$(inside /bin/ls /usr/share/doc | wc -l)" 0 "a folder removed and made again is empty"
is "$(cat "$lower/etc/motd" 2>/dev/null | grep -c '^x$')" 0 "and the shared layer knows nothing of it"
ok "dpkg works inside" inside /usr/bin/dpkg -l busybox

"$tool" "$S" build debian:bookworm x no-such-package-at-all 2>err
like "$(cat err)" '^build.failed: .*Unable to locate package no-such-package' "a build that cannot work says why"
is "$("$tool" "$S" gc)" "0 0 0" "and leaves nothing in the store"
done_testing
