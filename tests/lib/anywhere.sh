# tests/lib/anywhere.sh - a whole platform for tests of sessions whose image is elsewhere: a XenoCorp, a
# XenoStore ($store), a XenoServer x1 with an image manager, clients pub and me; source tap.sh first.
#
#     anywhere_up [OPTION...]     all of it; options are xenod's. $x1 is the XenoServer's id
#     as_ WHO                     from here on the command line is WHO's
#     root_of FOLDER [FILES]      a root file system with busybox, and so many files /usr/bigN of 4 MB
#     run WORD...                 xeno run in 60 s at most; its output in $work/o, messages in $work/e
#     imaged_start NAME [OPTION...], imaged_stop NAME [-9]   the image manager of a XenoServer
#     imaged_status NAME MEMBER   one of its numbers
#     network                     bytes that the image manager has had from the network
#     spoil FROM LENGTH [DIGEST]  of a blob in the store's folder, the largest: other bytes there;
#                                 FROM is in percent, -N is so many bytes before its end
driver=oci
. "$(dirname "${BASH_SOURCE[0]}")/corp.sh"
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
. "$(dirname "${BASH_SOURCE[0]}")/store.sh"

as_() { export XENO_HOME=$work/home-$1 XENO_IMAGES=$work/images-$1 NO_COLOR=1; }

client() {
    as_ "$1"
    xeno register "$url" --token "$(new_token client)" --name "$1" >"$work/o" 2>&1 || bail "register $1" "$(cat "$work/o")"
    as op POST /v1/admin/fund "{\"id\":\"$(xeno whoami --json | jq -r .id)\",\"amount\":100000000}" >/dev/null
    xeno server add "https://127.0.0.1:$(cat "$work/x1/port")" --name x1 >"$work/o" 2>&1 || bail "server add" "$(cat "$work/o")"
    xeno store use "$store" --id "$(id_of store)" >"$work/o" 2>&1
}

anywhere_up() {
    corp_init
    corp_start
    join op client "$token"
    store_join
    store_start
    imaged_join x1 "charge-interval = 1s" "$@"
    imaged_start x1 --registries "$store"
    server_start x1
    x1=$(cat "$work/x1.id")
    client pub
    client me
}

root_of() {
    local name i
    mkdir -p "$1"/{bin,etc,tmp,root,proc,dev,sys,usr}
    cp "$(command -v busybox)" "$1/bin/busybox"
    for name in $(busybox --list); do [ "$name" = busybox ] || ln -s busybox "$1/bin/$name"; done
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
    for ((i = 1; i <= ${2:-0}; i++)); do head -c 4000000 /dev/urandom >"$1/usr/big$i"; done
}

# patience N: N, or more in the emulated machine, where time means little.
patience() { if [ -n "${XENO_IN_VM:-}" ]; then echo $(($1 * 5)); else echo "$1"; fi; }
run() { timeout 60 xeno run "$@" >"$work/o" 2>"$work/e"; }
network() { imaged_status x1 network_bytes; }
spoil() {
    local blob size from
    read -r size blob < <(find "$work/store" -type f -path "*${3:+*${3#sha256:}}*" -size +2M -printf '%s %p\n' | sort -rn)
    from=$((size * $1 / 100))
    [ "$1" -ge 0 ] || from=$((size + $1))
    head -c "$2" /dev/zero | dd of="$blob" bs=1 seek=$from conv=notrunc status=none
}

# server_join with an image manager, which the task manager will use, too.
imaged_join() {
    declare -g "taskd_$1=--imaged=$work/$1/imaged.sock --imaged-store=$work/$1/imaged/store"
    server_join "$@" "imaged = $work/$1/imaged.sock" "imaged-store = $work/$1/imaged/store"
}

imaged_start() {
    local name=$1
    shift
    background "$name-imaged" xeno-imaged --dir "$work/$name/imaged" --socket "$work/$name/imaged.sock" \
        --identity "$work/$name/xenod" "$@"
    echo "$pid" >"$work/$name/imaged.pid"
    wait_for 10 test -S "$work/$name/imaged.sock" ||
        bail "xeno-imaged does not start" "$(cat "$work/$name-imaged.log")"
}

imaged_stop() { stop "$1" imaged "${2:--TERM}"; }
imaged_status() { xeno-imaged --socket "$work/$1/imaged.sock" --status | jq -r ".$2"; }
