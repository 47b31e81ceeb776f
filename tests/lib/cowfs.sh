# tests/lib/cowfs.sh - what the table of POSIX cases (tests/cowfs) needs. Source it after tap.sh.
cases=$work/cases
cat "$top"/tests/cowfs/*.cases >"$cases"
suite=$build/src/cowfs/tests/cowfs-suite
at_end 'umount -l "$work/disk"'

# posix_disk UPPER...: mounts a small file system, which can be full, at $work/disk, with the layers
# bottom and middle, and the uppers; one case finds a file with as many links as there may be.
posix_disk() {
    local many number upper path part
    many=$(grep -h '^=' "$cases" | grep -n '= more links than' | cut -d: -f1)
    number=$(printf %03d $((many - 1)))
    mkdir "$work/disk" && truncate -s 384M "$work/disk.img" || return 1
    mkfs.ext4 -q -F -m 0 -b 4096 -N 100000 -O ^has_journal "$work/disk.img" || return 1
    for upper; do
        path=
        echo "cd /"
        for part in ${upper//\// } "$number"; do
            path+=/$part
            echo "mkdir $path"
        done
        printf '%s\n' "set_inode_field $path mode 040777" "cd $path" "write /dev/null many" "set_inode_field many links_count 65000"
    done | /sbin/debugfs -w -f - "$work/disk.img" >"$work/debugfs.log" 2>&1
    mount -o loop "$work/disk.img" "$work/disk" || return 1
    mkdir "$work"/disk/{bottom,middle} && "$suite" "$cases" prepare "$work/disk/bottom" "$work/disk/middle"
}

# posix_differs SYSTEM OUTPUT: what is known to differ does, and nothing else.
posix_differs() {
    awk -F'|' -v fs="$1" '/^#/ {next} $1 == "both" || index(fs, $1) == 1 || ($1 == "session" && fs ~ /pieces/) {print $2}' "$top/tests/cowfs/posix.differences" | sort >"$2.want"
    sed -n 's/^not \(.*\): [a-z]* [^:]*: got .*/\1/p' "$2" | sort >"$2.got"
    diff "$2.want" "$2.got" || { grep ^not "$2"; return 1; }
}
