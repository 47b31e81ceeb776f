#!/bin/bash
# Inside: a kernel's NFS client on xeno-cowfs, which the kernel outside has not. What libnfs does not do:
# files that are open when their name goes, mappings, a cache of its own, and waiting for a server that
# was killed.
. "$(dirname "$0")/../lib/tap.sh"
[ -n "${XENO_IN_VM:-}" ] || skip_all "runs inside tests/vm only"
cowfs=$build/src/cowfs/xeno-cowfs
cd "$work" || exit 1
# What is at /var/tmp here has no attributes of users.
truncate -s 64M disk.img && mkfs.ext4 -q -F disk.img && mkdir disk && mount -o loop disk.img disk || bail "no disk"
at_end 'umount -l "$work/disk"'
cd disk || exit 1
mkdir -p low/dir/sub up wk m
echo lower >low/file
for i in 1 2 3 4 5 6; do head -c $((i * 30000)) /dev/urandom >"low/dir/$i"; done
echo deep >low/dir/sub/deep
sums() { (cd "$1" && find . -type f | sort | xargs sha256sum); }
sums low >want

serve() { # PORT: sets $server and $port
    : >server.log
    "$cowfs" --lower=low --upper=up --work=wk --nfs="127.0.0.1:$1" --nfs-client=127.0.0.1 --foreground >server.log 2>&1 &
    server=$!
    wait_for 60 grep -q ^ready server.log
    port=$(sed -n 's/^ready port=//p' server.log)
}
at_end 'kill "$server"'
at_end 'umount -f -l "$work/disk/m"'
serve 0
modprobe nfsv3
# Without mount.nfs(8): what it would have found out is said.
ok "it is mounted" mount -i -t nfs 127.0.0.1:/ m \
    -o "vers=3,proto=tcp,mountproto=tcp,nolock,hard,timeo=5,addr=127.0.0.1,mountaddr=127.0.0.1,port=$port,mountport=$port" || done_testing
is "$(sums m)" "$(cat want)" "what is there is read"

cp -a m/dir m/copy
ok "a tree is copied" diff -r low/dir m/copy
# Some cases of the table that t0410 and t0416 have (src/cowfs/tests/cowfs-suite.c).
cat >cases <<'CASES'
= writes by a mapping
mwrite file 1 OW
read file -> lOWer
= an unlinked file that is open
fd 0 file rw
unlink file
fwrite 0 NEW
fread 0 -> NEWer
stat file -> ENOENT
= what a rename replaces stays open
put new x
fd 0 file r
rename new file
fread 0 -> lower
read file -> x
= rights of another
chmod file 640
as 1000 1000
read file -> EACCES
put mine x -> EACCES
= one of several makes it
together new 4 -> 1
= several append
race new 3 10 -> 30
= no room for a longer name
mkdir @256 -> ENAMETOOLONG
= emptied while it is listed
mkdir d
many d 80
drain d -> 80
rmdir d
CASES
for i in 0 1 2 3 4 5 6 7; do mkdir m/00$i && printf lower >m/00$i/file; done
"$build/src/cowfs/tests/cowfs-suite" cases run "$PWD/m" >cases.out
is "$(grep -c ^ok cases.out) $(grep -v ^ok cases.out)" "8 " "cases: mappings, open files, rights, several at once, listings"
mv m/copy/sub m/moved && mkdir m/copy/sub && ln m/copy/2 m/link && chmod 600 m/copy/3 && truncate -s 100000 m/copy/4
is "$(cat m/moved/deep) $(stat -c '%h' m/link) $(stat -c %a m/copy/3) $(stat -c %s m/copy/4)" "deep 2 600 100000" "names and attributes"

# Killed while a client writes, and started again at its place: the client goes on, and all is there.
(for i in 1 2 3 4 5 6 7 8; do head -c $((i * 40000)) /dev/zero | tr '\0' "$i" >"m/w$i" && sync -d "m/w$i" && echo "$i" || exit 1; done >written) &
writer=$!
written() { [ "$(wc -l <written)" -ge "$1" ]; }
for k in 1 2; do
    wait_for 60 written $((k * 3))
    kill -9 "$server"
    wait "$server" 2>/dev/null
    serve "$port"
done
wait "$writer"
is "$?" 0 "who writes over kill -9 of the server is told of no error"
bad=
for i in 1 2 3 4 5 6 7 8; do head -c $((i * 40000)) /dev/zero | tr '\0' "$i" | cmp -s - "up/w$i" || bad+=" $i"; done
is "$bad" "" "and what he wrote is in the upper"
is "$(cat m/moved/deep)" deep "what was known before is still there"
ok "it is unmounted" umount m
is "$(sums low)" "$(cat want)" "the layer is what it was"
done_testing
