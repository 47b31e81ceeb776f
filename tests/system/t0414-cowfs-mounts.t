#!/bin/bash
# Mount files in a template's layers: what they name from an image store, a registry and the host is seen in its
# place and order, by pieces, as POSIX wants it; the same after a restart, also when a name has moved or its
# registry is gone; and what cannot be mounted is an I/O error there, and an event.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/image.sh"
. "$(dirname "$0")/../lib/cowfs.sh"
need_root
[ -c /dev/fuse ] || bail "there is no /dev/fuse"
for p in docker-registry nfs-cat; do command -v $p >/dev/null || bail "$p is not installed"; done
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
up() { # [OPTION...]
    rm -f cowfs.log && mkdir -p disk/up disk/wk m
    background cowfs "$cowfs" --foreground=yes --images=main --image-store=here --cache=cache --registry-plain=yes \
        --mount-registries="$at" --mount-dirs="$work/shared:$work/disk" --shift=0 --upper=disk/up --work=disk/wk --mount=m \
        --options=suid,dev --ahead-bytes=0 "$@"
    cowfs_pid=$pid
    wait_for 20 mountpoint -q m || bail "it is not mounted" "$(cat cowfs.log)"
}
down() { umount m && wait "$cowfs_pid" || bail "it did not end well" "$(cat cowfs.log)"; }
at_end 'umount -l "$work/m"'
mount_file() { mkdir -p "$1" && printf '%s\n' "${@:2}" >"$1/.mount"; }
image() { xeno template import "$1" --name "$2" >/dev/null; }

at=127.0.0.1:$(free_port)
registry_start
mkdir -p docs/{en,de} extra/en shared/pool bare main
echo en >docs/en/page && echo de >docs/de/page && head -c 3000000 /dev/urandom >docs/large
echo other >extra/en/page && echo more >extra/en/more
echo pool >shared/pool/file
echo x >bare/x
mount_file extra/pool "file://$work/shared/pool"
ok "images" eval 'image docs docs && image extra extra && xeno template import bare --name bare --compression gzip >/dev/null &&
    xeno template push docs "oci://$at/shop/docs:stable" --insecure-http' || done_testing

mount_file main/docs "# our pages" "oci://$at/shop/docs:stable" "template://extra"
mkdir main/docs/en && echo ours >main/docs/en/own
ok "layers of POSIX cases" posix_disk up/posix
mount_file main/posix "file://$work/disk/middle" "file://$work/disk/bottom"
# What cannot be.
mount_file main/bad/garbage "what is this"
mount_file main/bad/unknown "template://nobody"
mount_file main/bad/table "template://bare"
mount_file main/bad/host "file:///etc"
mount_file main/bad/above "file://$work/shared/pool/../../main"
ln -s "$work/main" shared/out && mount_file main/bad/out "file://$work/shared/out"
mount_file main/bad/registry "oci://127.0.0.1:1/a:b"
mount_file main/bad/cycle "template://cycle" && mount_file cycle "template://cycle"
mount_file main/bad/one-of-two "template://docs" "template://nobody"
mkdir main/bad/link && ln -s ../../docs/.mount main/bad/link/.mount
not_ok "a folder with a bad mount file is no template" image main main
tar -C main --sort=name --numeric-owner -cf main.tar .
ok "a tar is, whoever made it" eval 'image cycle cycle && image main.tar main'
manifest=$("$tool" here list | sed -n 's/^main:* sha256:\([0-9a-f]*\) .*/\1/p')
like "$(cat "here/blobs/sha256/$manifest")" '"org.xenoserver.layer.mounts":"yes"' "its manifest says that there are such"

# --- what it says before it is mounted ---
like "$(xeno template show main)" "mount files +yes: xeno overlay tree main" "xeno template show says so"
not_ok "xeno overlay tree fails for what cannot be" eval 'xeno overlay tree main --insecure-http >tree.out'
like "$(tr -s ' \n' ' ' <tree.out)" "main sha256:[0-9a-f]{64} layer sha256:[0-9a-f]{64} [^/]* /bad/above ! line 1" "it shows layers, and what is wrong"
like "$(tr -s ' \n' ' ' <tree.out)" "/docs oci://$at/shop/docs:stable sha256:[0-9a-f]{64} \(the name can move\) layer sha256:[0-9a-f]{64} [0-9.]+ MiB template://extra .* /pool file://$work/shared/pool /posix" \
    "and what is named, and what that names"
is "$(xeno --json overlay tree main --insecure-http | jq -r '[.. | objects | .error | objects | .token] | sort | unique | join(" ")')" \
    "http.connect image.unknown mount.cycle mount.kind mount.ref" "also as JSON"
ok "an image in a registry is shown by its tables" eval 'xeno template push extra "oci://$at/shop/extra:1" --insecure-http &&
    xeno overlay tree "oci://$at/shop/extra:1" --insecure-http >tree.out'
like "$(cat tree.out)" "^    /pool$" "it is"

# --- what is seen ---
up
is "$(grep -c cowfs.mount cowfs.log)" 0 "nothing is mounted before it is used"
is "$(cat m/docs/en/{own,page,more} m/docs/de/page m/docs/pool/file | tr '\n' ' ')" "ours en more de pool " "each in its place and order"
ok "by pieces" cmp m/docs/large docs/large
is "$(find m/docs -printf '%i\n' | sort | uniq -d | wc -l)" 0 "each object has a number of its own"
like "$(cat cowfs.log)" "cowfs.mount place=/docs what=sha256:[0-9a-f]{64}" "it is told what was mounted where"
stat -c '%i %n' m/docs/*/* m/docs/large >before
not_ok "what is not there is not" stat m/docs/en/none
echo change >>m/docs/de/page && rm m/docs/en/more && mv m/docs/en/own m/docs/en/renamed
is "$(find disk/up/docs -type f -printf '%P\n' | sort | tr '\n' ' ')" "de/page en/renamed " "what is written goes to the upper"

# --- POSIX, through what is mounted ---
timeout 300 "$suite" "$cases" run "$work/m/posix" >posix.out
is "$(wc -l <posix.out)" "$(grep -c '^=' "$cases")" "every POSIX case was run"
ok "it differs where it is known to" posix_differs xeno-cowfs posix.out

# --- what cannot be ---
for case in garbage:mount.ref unknown:image.unknown table:image.toc host:mount.denied above:mount.ref out:cowfs.layer \
    registry:mount.denied cycle:mount.cycle one-of-two:image.unknown link:mount.kind; do
    what=${case%:*}
    is "$(ls -d "m/bad/$what" && ls "m/bad/$what" 2>&1)" "m/bad/$what
ls: reading directory 'm/bad/$what': Input/output error" "$what: an I/O error, and only in there"
    like "$(cat cowfs.log)" "cowfs.mount.failed place=/bad/$what ref=[^ ]+ error=${case#*:} " "and an event"
done
down

# --- a name that moves, and a restart ---
echo new >docs/en/page
ok "the name moves" eval 'image docs docs && xeno template push docs "oci://$at/shop/docs:stable" --insecure-http'
up
is "$(cat m/docs/en/page m/docs/de/page | tr '\n' ' ')" "en de change " "what is in use stays"
stat -c '%i %n' m/docs/*/* m/docs/large >after
ok "with the same numbers, of what was written too" diff <(grep -v 'own\|more' before) <(grep -v renamed after)
down
kill "$registry_pid" && wait "$registry_pid" 2>/dev/null
up
is "$(cat m/docs/en/page)" en "also when the registry is gone"
ok "and every byte" cmp m/docs/large docs/large
down
rm -r disk/up disk/wk && registry_start
up
is "$(cat m/docs/en/page)" new "who begins anew has what the name means now"
down
up --mount-files=no
is "$(ls -A m/docs)" ".mount
en" "and who does not want it has files"
down

# --- over NFS, by a server that can open nothing but its stack ---
mkdir -p low up2 wk2 && mount_file low/pool "file://$work/shared/pool"
nfs_up() {
    rm -f nfs.log
    background nfs "$cowfs" --foreground=yes --lower=low --mount-dirs="$work/shared" --upper=up2 --work=wk2 --nfs=127.0.0.1:0 --nfs-client=127.0.0.1
    wait_for 10 grep -q ^ready nfs.log || bail "it does not serve NFS" "$(cat nfs.log)"
    port=$(sed -n 's/^ready port=//p' nfs.log)
}
nfs_up
read_it() { nfs-cat "nfs://127.0.0.1//pool/file?nfsport=$port&mountport=$port"; }
is "$(read_it)" pool "what is mounted is read over NFS"
kill -9 "$pid" && wait "$pid" 2>/dev/null
nfs_up
is "$(read_it)" pool "also after kill -9"
done_testing
