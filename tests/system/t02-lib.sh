# What the tests of the task manager share: a xeno-taskd of its own, a layer of busybox, and words
# to speak the task protocol. Sourced after tests/lib/tap.sh.
PATH=$build/src/taskd/tests:$PATH
inst=q$((RANDOM % 9000 + 1000))
net=10.$((RANDOM % 50 + 150)).$((RANDOM % 250))
socket=$work/D/socket
disk=$((32 * 1024 * 1024))
layer_hex=$(printf 'busybox for %s' "$inst" | sha256sum | cut -d' ' -f1)
subid=1879048192

# patience N: N, or more in the emulated machine, where time means little.
patience() { if [ -n "${XENO_IN_VM:-}" ]; then echo $(($1 * 5)); else echo "$1"; fi; }

# The layer is put where the cache has it; importing images is another test's business.
make_layer() {
    local root=$work/cache/layers/$layer_hex name
    mkdir -p "$root"/{bin,etc,tmp,root,proc,dev,sys,var/www,home}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $(busybox --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nwww:x:33:\nmore:x:50:www\n' >"$root/etc/group"
    chmod 1777 "$root/tmp"
    chmod 700 "$work/cache"
    chown -hR $subid:$subid "$root"
}

taskd_pid=
start_taskd() {
    xeno-taskd --dir="$work/D" --cache="$work/cache" --instance="$inst" --pool="$net.0/24" "$@" \
        >>"$work/taskd.log" 2>&1 &
    taskd_pid=$!
    wait_for 20 test -S "$socket" && wait_for 20 ask describe
}
stop_taskd() {
    kill "$taskd_pid" 2>/dev/null
    wait "$taskd_pid" 2>/dev/null
    taskd_pid=
}
kill_taskd() {
    kill -9 "$taskd_pid"
    wait "$taskd_pid" 2>/dev/null
    rm -f "$socket"
}

ask() { task-ask "$socket" "$@"; }
# create ID KEY=VALUE...
create() {
    local id=$1
    shift
    ask create "$id" oci "disk=$disk" "layer=sha256:$layer_hex" "$@"
}
# listen: from here on events are written to $work/events. heard REGEX: until such a one is there or
# the patience is over, then no more are; prints all of them.
listen() {
    task-ask "$socket" events "$(patience 120)" >"$work/events" 2>"$work/listening" &
    listener=$!
    wait_for 20 test -s "$work/listening"
}
heard() {
    wait_for 20 grep -qE "$1" "$work/events"
    kill "$listener"
    cat "$work/events"
}
# What the log of a task says, without the times.
logs() { ask logs "$1" "$2" | sed -E 's/^[^ ]+ (stdout|stderr) [FP] //'; }
# One number of the usage report: used ID KEY
used() { ask usage | grep "\"session\":\"$1\"" | grep -oE "\"$2\":[0-9]+" | cut -d: -f2; }
state() { ask list | grep "\"session\":\"$1\"" | grep -oE '"state":"[a-z]+"' | head -1 | cut -d'"' -f4; }

# Everything of this instance that is left in the kernel, one a line. Cables go in the background.
cables_gone() { ! ip -o link | grep -q "xv$inst-"; }
leftovers() {
    wait_for 5 cables_gone
    grep -E " $work/" /proc/self/mountinfo | cut -d' ' -f5
    losetup -a 2>/dev/null | grep "$work" | grep -v /pool/.spare- # a running daemon may have some
    find /sys/fs/cgroup -type d -path "*xeno-$inst/sessions/*" 2>/dev/null
    ip -o link 2>/dev/null | grep -oE "xv$inst-[^@: ]+"
    ls "$work/D/netns" "$work/D/runtime" "$work/D/exits" "$work/D/sessions" 2>/dev/null |
        grep -vE '^$|:$'
    pgrep -af "conmon.*--cid $inst-" || true
}

t02_cleanup() {
    [ -z "$taskd_pid" ] || stop_taskd
    xeno-taskd --dir="$work/D" --cache="$work/cache" --instance="$inst" --remove
}
at_end t02_cleanup
