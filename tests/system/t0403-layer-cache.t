#!/bin/bash
# Layers are unpacked once; a kill -9 at any moment leaves no half of one; hostile ones leave nothing.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/image.sh"
need_root
cd "$work" || exit 1
S=$work/store
small_root root
for d in $(seq 60); do
    mkdir -p root/many/$d
    for f in $(seq 20); do echo $d.$f >root/many/$d/$f; done
done
"$tool" "$S" import root big >/dev/null || bail "cannot import"
hex=$("$tool" "$S" resolve big | awk '$1 == "layer" { print substr($2, 8) }')

# Killed at moments spread over the whole of an unpacking
"$tool" "$S" ensure cache s0 big >/dev/null
want=$(tree cache/layers/$hex $base | md5sum)
"$tool" "$S" unpin cache s0
"$tool" "$S" collect cache >/dev/null
halves=0 whole=0 none=0
for ms in $(seq 1 2 80); do
    "$tool" "$S" ensure cache s1 big >/dev/null 2>&1 &
    victim=$!
    sleep "$(printf '0.%03d' "$ms")"
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
    if [ -d cache/layers/$hex ]; then
        whole=$((whole + 1))
        [ "$(tree cache/layers/$hex $base | md5sum)" = "$want" ] || halves=$((halves + 1))
        "$tool" "$S" unpin cache s1
        "$tool" "$S" collect cache >/dev/null
    else
        none=$((none + 1))
    fi
done
is $halves 0 "40 kills: $whole times the layer was whole, $none times not there, never half"
ok "at least one kill came in between" test $none -gt 0
ok "the next session gets it" "$tool" "$S" ensure cache s2 big
is "$(tree cache/layers/$hex $base | md5sum)" "$want" "and it is as it should be"
ok "what the dead left is cleared away" "$tool" "$S" collect cache
is "$(ls -A cache/work | wc -l)" 0 "nothing is in work/"
is "$(pgrep -cf "image-tool $S")" 0 "no unpacker outlives its parent"

# The confined child itself dies
"$tool" "$S" unpin cache s1
"$tool" "$S" unpin cache s2
"$tool" "$S" collect cache >/dev/null
background ensure "$tool" "$S" ensure cache s3 big
parent=$pid
wait_for 2 pgrep -P "$parent" && kill -9 "$(pgrep -P "$parent")" 2>/dev/null
wait "$parent"
status=$?
if [ $status = 0 ]; then
    ok "the child was quicker than the kill" test -d cache/layers/$hex
else
    like "$(cat ensure.log)" 'ended by signal 9|confine' "a dead child is an error, told"
fi
is "$(ls -A cache/work | wc -l)" 0 "with nothing left behind"

# Shared by all, counted, collected
ok "a first session" "$tool" "$S" ensure cache a big
inode=$(stat -c %i cache/layers/$hex/etc/passwd)
ok "a second" "$tool" "$S" ensure cache b big
is "$(stat -c %i cache/layers/$hex/etc/passwd)" "$inode" "uses the same files"
"$tool" "$S" unpin cache s3
"$tool" "$S" unpin cache a
like "$("$tool" "$S" collect cache)" 'removed 0 ' "while one session is left, the layer stays"
"$tool" "$S" unpin cache b
like "$("$tool" "$S" collect cache)" 'removed 1 ' "after the last it goes"
is "$(ls -A cache/layers | wc -l)" 0 "from the disk"

# Hostile archives: refused whole
hostile() { # NAME PYTHON: members are added to t
    python3 - "$work/$1.tar" <<PY
import io, sys, tarfile
t = tarfile.open(sys.argv[1], 'w')
def add(name, type=tarfile.REGTYPE, link='', data=b'x', uid=0):
    i = tarfile.TarInfo(name)
    i.type, i.linkname, i.uid = type, link, uid
    i.size = len(data) if type == tarfile.REGTYPE else 0
    t.addfile(i, io.BytesIO(data))
add('fine')
$2
t.close()
PY
}
before=$(find "$S" cache | sort | md5sum)
refused() { # NAME TOKEN PYTHON
    local out
    hostile "$1" "$3"
    out=$("$tool" "$S" import "$1.tar" "$1" 2>&1)
    like "$out" "^$2: " "$1 is refused: $2"
}
refused climbs unpack.name "add('../../../../../../../../$work/escaped')"
refused absolute unpack.name "add('$work/escaped')"
refused linked unpack.name "add('l', tarfile.SYMTYPE, '$work'); add('l/escaped')"
refused hard-link 'unpack.(link|name)' "add('h', tarfile.LNKTYPE, '$work/root/etc/passwd')"
refused device unpack.type "add('sda', tarfile.BLKTYPE)"
refused twice unpack.twice "add('fine')"
refused long-name unpack.limit "add('n' * 300)"
refused deep unpack.limit "add('/'.join('d' * 200))"
refused owner unpack.owner "add('o', uid=2**31)"
python3 -c "
import sys
h = bytearray(512); h[0:1] = b'a'; h[100:107] = b'0000644'; h[108:115] = h[116:123] = b'0000000'
h[124:136] = b'\x80' + (2**50).to_bytes(11, 'big'); h[136:147] = b'00000000000'; h[156:157] = b'0'
h[257:265] = b'ustar\x0000'; h[148:156] = b' ' * 8
h[148:155] = b'%06o\0' % sum(h); sys.stdout.buffer.write(h + bytes(1024))" >huge.tar
like "$("$tool" "$S" import huge.tar huge 2>&1)" "^unpack.limit: .*'a' is 1125899906842624 bytes" "a file of a petabyte"
head -c 128M /dev/zero | gzip -9 >bomb.tar.gz
like "$("$tool" "$S" import bomb.tar.gz bomb 2>&1)" '^unpack.limit: .*-fold' "a bomb of zeros"
"$tool" "$S" gc >/dev/null
is "$(find "$S" cache | sort | md5sum)" "$before" "store and cache are as before"
ok "nothing escaped" test ! -e "$work/escaped"
done_testing
