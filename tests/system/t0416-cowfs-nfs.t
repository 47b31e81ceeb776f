#!/bin/bash
# xeno-cowfs over NFS with libnfs as the client: whole trees in and out, an unprivileged server, who may
# connect, and a server that is killed while a client writes. XENO_STORM_SECONDS and XENO_STORM_SEED
# make that longer and another one.
. "$(dirname "$0")/../lib/tap.sh"
need_root
cowfs=$work/xeno-cowfs # where anybody may execute it
cp "$build/src/cowfs/xeno-cowfs" "$cowfs" || exit 1
seconds=${XENO_STORM_SECONDS:-4} seed=${XENO_STORM_SEED:-$RANDOM}
cd "$work" || exit 1

mkdir -p layer/dir/sub layer/many up wk
echo text >layer/file
printf 'a%.0s' {1..100000} >layer/dir/long
head -c 3000000 /dev/urandom >layer/dir/sub/large
ln -s ../file layer/dir/link
for i in {1..700}; do : >"layer/many/a-name-of-some-length-$i"; done
chown -R 1000:1000 up wk layer
before=$(find layer -printf '%p %y %m %U:%G %s %T@ %C@\n' | sort | sha256sum)

as=(setpriv --reuid 1000 --regid 1000 --clear-groups) # nobody special serves
serve() { # NAME CLIENT [OPTION...]
    background "$1" "${as[@]}" "$cowfs" --nfs=127.0.0.1:0 --nfs-client="$2" --foreground "${@:3}"
    ok "the $1 server is ready" wait_for 10 grep -q ^ready "$1.log"
    port=$(sed -n 's/^ready port=//p' "$1.log")
}
url() { echo "nfs://127.0.0.1/$1?version=3&nfsport=$port&mountport=$port"; }
ended() { kill "${1:-$pid}" && wait_for 10 not_there "${1:-$pid}"; }
not_there() { ! kill -0 "$1" 2>/dev/null; }

own=(--lower=layer --upper=up --work=wk --nfs-uids=1000:1000)
serve first 127.0.0.1 "${own[@]}"
is "$(awk '$1 == "Seccomp:" {print $2}' "/proc/$pid/status")" 2 "it has fewer system calls"
is "$(nfs-ls -R "$(url /)" | awk '$1 !~ /^l/ {print $1, $5, $6}' | sort)" \
    "$(cd layer && find . -mindepth 1 ! -type l -printf '%M %s %P\n' | sort)" "the whole tree is listed"
nfs-cat "$(url /dir/sub/large)" >out
ok "what is read is what is there" cmp out layer/dir/sub/large
ok "a directory of it can be mounted" nfs-ls "$(url dir/sub/)"
nfs-cp layer/dir/sub/large "$(url /new)" >/dev/null
ok "what is written is in the upper" cmp layer/dir/sub/large up/new
is "$(find layer -printf '%p %y %m %U:%G %s %T@ %C@\n' | sort | sha256sum)" "$before" \
    "nothing changed in the layer"
ok "it ends when told to" ended
is "$(wc -l <first.log)" 1 "with nothing to say"

serve second 127.0.0.9 "${own[@]}"
not_ok "another address is not served" nfs-ls "$(url /)"
like "$(cat second.log)" 'nfs.refused.*client=127.0.0.1' "and that is logged"
ended

# How often it syncs for a new file: with its data alone, or with its name as well.
syncs() { # YES-OR-NO
    local child
    strace -f -e trace=fsync,fdatasync -o "$1.trace" "$cowfs" "${own[@]}" --nfs=127.0.0.1:0 \
        --nfs-client=127.0.0.1 --foreground --nfs-sync="$1" >"$1.log" 2>&1 &
    wait_for 10 grep -q ^ready "$1.log"
    port=$(sed -n 's/^ready port=//p' "$1.log")
    nfs-cp layer/dir/long "$(url "/sync-$1")" >/dev/null
    read -r child _ <"/proc/$!/task/$!/children"
    ended "$child"
    grep -c sync "$1.trace"
}
yes=$(syncs yes) no=$(syncs no)
ok "names are synced ($yes) unless that is not wanted ($no)" test "$yes" -gt "$no"

not_ok "a port needs clients" "$cowfs" --lower=layer --upper=up --work=wk --nfs=127.0.0.1:0
is "$("$cowfs" --lower=layer --upper=up --work=wk --nfs=127.0.0.1:0 --nfs-client=127.0.0.1 --check)" ok \
    "--check opens what would be served"

# The table of POSIX cases, with all that NFS has requests for.
. "$top/tests/lib/cowfs.sh"
as=()
ok "layers for POSIX cases" posix_disk up
mkdir disk/wk
serve posix 127.0.0.1 --lower=disk/middle:disk/bottom --upper=disk/up --work=disk/wk --nfs-sync=no
XENO_NFS_PORT=$port timeout 100 "$suite-nfs" "$cases" run "" >posix.out
is "$(wc -l <posix.out)" "$(grep -c '^=' "$cases")" "every case was run"
ok "it differs where it is known to, of $(grep -vc ^none posix.out) cases" posix_differs nfs posix.out
is "$(sed -n 's/^none .*: //p' posix.out | sort -u)" "access times that do not move
allocation
asking for holes
copies by the server
extended attributes
files without a name
limits of the client
links of open files
locks
mappings
mounts of the client
other file systems
places in a listing (libnfs)
programs
rename with flags
several at once
times in nanoseconds, or of the server (libnfs)" "and was not asked for what there is no request for"
ended

mkdir storm
said=$(timeout $((seconds * 4 + 60)) "$build/src/cowfs/tests/cowfs-nfs-storm" "$seed" "$seconds" storm "$cowfs" 2>&1)
like "$said" "^agree: seed $seed" "nothing committed is lost, and handles stay, over kill -9"
echo "# $(tail -n 1 <<<"$said")"
like "$said" ", [1-9][0-9]* sent again" "the client was told to send again"
done_testing
