# bench/deploy/lib.sh - the world of bench/deploy: a user, a home (XenoCorp and XenoStore), and XenoServers at
# the ends of lines, each in a network namespace of its own; source ../lib.sh and ../line/lib.sh first.
#
#     world_up N [OPTION...] namespaces user, home, x1..xN; `xeno platform up` with its XenoServers moved
#                           to theirs; the client's profile in $XENO_HOME asks for home at $home
#     world_lines OPTION... (again) lines between home and each XenoServer, with these of bench-line
#     server_start I / server_stop I     the daemons of a XenoServer; `fresh I` in between: nothing fetched
#     as_user COMMAND...
#     count_zero; count_json             messages (IP packets) and bytes of each pair since then
#
# The user reaches all by a line of his own without delay to home, as if both were in one place.
home=198.19.200.1
corp_port=7440 store_port=7439
world_n=0
declare -A daemon_of daemon_exe daemon_uid

as_user() { in_space user "$@"; }

# Packets are counted where they arrive, so that each has the size it had on the line.
count_rules() { # SPACE
    local any='iifname "line*"' p
    echo 'table inet bench {'
    for p in user-xenoserver user-xenostore user-xenocorp xenoserver-xenostore xenoserver-xenocorp; do echo "counter $p { }"; done
    if [ "$1" = home ]; then
        cat <<EOF
chain f { type filter hook forward priority -300; iifname "line0" counter name user-xenoserver
    oifname "line0" counter name user-xenoserver
}
chain i { type filter hook input priority -300
    iifname "line0" tcp dport $store_port counter name user-xenostore
    iifname "line0" tcp dport $corp_port counter name user-xenocorp
    iifname != "line0" $any tcp dport $store_port counter name xenoserver-xenostore
    iifname != "line0" $any tcp dport $corp_port counter name xenoserver-xenocorp
}
EOF
    else
        local who=xenoserver
        [ "$1" != user ] || who=user
        cat <<EOF
chain i { type filter hook input priority -300
    $any tcp sport $store_port counter name $who-xenostore
    $any tcp sport $corp_port counter name $who-xenocorp
}
EOF
    fi
    echo '}'
}
spaces() { echo user home; seq -f 'x%.0f' "$world_n"; }
count_zero() {
    local s
    for s in $(spaces); do in_space "$s" nft reset counters table inet bench >/dev/null; done
}
count_json() {
    local s
    for s in $(spaces); do in_space "$s" nft -j list counters table inet bench; done |
        jq -s -c '[.[].nftables[].counter // empty] | group_by(.name) | map({key: .[0].name,
            value: {messages: (map(.packets) | add), bytes: (map(.bytes) | add)}}) | from_entries'
}

world_spaces() {
    local i s
    line_space user
    line_space home
    line home user 0
    in_space home ip addr add "$home/32" dev lo
    in_space user ip route add default dev line0
    in_space home sysctl -qw net.ipv4.ip_forward=1
    for i in $(seq "$world_n"); do
        line_space "x$i"
        line home "x$i" "$i"
        in_space "x$i" ip route add default dev "line$i"
    done
    for s in $(spaces); do
        count_rules "$s" >"$work/rules-$s"
        in_space "$s" nft -f "$work/rules-$s"
    done
}
world_lines() {
    local i
    for i in $(seq "$world_n"); do
        line_cut "$i"
        line_again home "x$i" "$i" "$@"
    done
}

# --- the daemons of a XenoServer ---
server_dirs() { # I
    local d=$platform/own-x$1 uid=${daemon_uid[$1-xenod]}
    mkdir -p "$d/cache" "$d/pieces" "$d/images"
    [ -f "$d/images/index.json" ] || cp -a "$work/pristine/." "$d/images/"
    install -d -o "$uid" -g "$uid" "$platform/x$1-imaged"
}
fresh() { # I
    rm -rf "$platform/own-x$1" "$platform/x$1-imaged"
}
daemon_start() { # I PROGRAM [OPTION...]
    local key=$1-$2 i=$1 name=$2
    shift 2
    mapfile -d '' -t words <"$work/cmdline-$key"
    # Not by in_space: its process would be a shell, and ending that would leave the daemon.
    nsenter --net="$work/net-x$i" setpriv --reuid "${daemon_uid[$key]}" --regid "${daemon_uid[$key]}" --clear-groups --inh-caps=-all \
        "${daemon_exe[$key]}" "${words[@]:1}" "$@" >>"$work/log-$key" 2>&1 &
    daemon_of[$key]=$!
}
server_start() { # I
    local i=$1 d=$platform/own-x$1
    server_dirs "$i"
    daemon_start "$i" xeno-imaged --registries="$home:$store_port"
    # By another name: the platform's is free for others once its daemons are gone.
    daemon_start "$i" xeno-taskd --instance="bd$i" --images="$d/images" --cache="$d/cache" --pieces="$d/pieces"
    daemon_start "$i" xenod --instance="bd$i" --images="$d/images" --listen="0.0.0.0:$((corp_port + i))" --endpoint="https://198.19.$i.2:$((corp_port + i))"
    for _ in $(seq 150); do
        as_user xeno server status "x$i" --json 2>/dev/null | jq -e '.servers[0].status.accepting' >/dev/null && return
        sleep 0.2
    done
    echo "bench: XenoServer x$i does not come up" >&2
    tail -n 3 "$work/log-$i-"* >&2
    return 1
}
server_stop() { # I
    local p
    for p in xenod xeno-taskd xeno-imaged; do
        [ -z "${daemon_of[$1-$p]:-}" ] || { kill "${daemon_of[$1-$p]}" 2>/dev/null && wait "${daemon_of[$1-$p]}" 2>/dev/null; } || true
        unset "daemon_of[$1-$p]"
    done
}
server_sweep() { # I [OPTION...]: what it has in the kernel
    local words
    [ -f "$work/cmdline-$1-xeno-taskd" ] || return 0
    mapfile -d '' -t words <"$work/cmdline-$1-xeno-taskd"
    in_space "x$1" "${daemon_exe[$1-xeno-taskd]}" "${words[@]:1}" "${@:2}" --remove >/dev/null 2>&1 || true
}
world_end() {
    local i
    for i in $(seq "$world_n"); do
        server_stop "$i"
        server_sweep "$i" --instance="bd$i"
    done
    line_clear
    bench_end
}

world_up() { # N [OPTION of platform up...]
    local i name pid key all=127.0.0.1,localhost
    world_n=$1
    shift
    trap world_end EXIT
    world_spaces
    platform=$work/platform
    # A XenoServer is known by its id; a certificate has eight names at most.
    [ "$world_n" -gt 6 ] || for i in $(seq "$world_n"); do all+=,198.19.$i.2; done
    in_space home xeno platform up --dir "$platform" --servers "$world_n" --store --port $corp_port \
        --corp-set "listen=0.0.0.0:$corp_port" --corp-set "hosts=localhost 127.0.0.1 $home" \
        --store-set "listen=0.0.0.0:$store_port" --store-set "hosts=127.0.0.1,localhost,$home" --store-set "endpoint=https://$home:$store_port" \
        --server-set "corp-url=https://$home:$corp_port" --server-set "hosts=$all" "$@" >"$work/up.log" 2>&1 ||
        { cat "$work/up.log" >&2; exit 1; }
    xeno platform status --dir "$platform" --json >"$work/status.json"
    cp -a "$platform/images" "$work/pristine" # busybox
    for i in $(seq "$world_n"); do
        for name in xenod xeno-taskd xeno-imaged; do
            pid=$(jq -r --arg n "x$i $name" '.processes[] | select(.name == $n).pid' "$work/status.json")
            key=$i-$name
            cp "/proc/$pid/cmdline" "$work/cmdline-$key"
            daemon_exe[$key]=$(readlink "/proc/$pid/exe")
            # Their users need not be able to reach the folder it was built in.
            [ "$name" = xeno-taskd ] || { cp "${daemon_exe[$key]}" "$work/$name" && daemon_exe[$key]=$work/$name; }
            daemon_uid[$key]=$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status")
            kill "$pid"
            while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
        done
        server_sweep "$i"
    done
    sed -i "s/127\.0\.0\.1/$home/g" "$XENO_HOME"/*.json
    for i in $(seq "$world_n"); do sed -i "s/$home:$((corp_port + i))/198.19.$i.2:$((corp_port + i))/g" "$XENO_HOME"/*.json; done
}

# --- the web server ---
# TEMPLATE OVERLAY: a service of one task, with what Debian's apache2ctl sets.
service() {
    local v
    cat <<EOF
<Service>
  <EnvironmentalRequirements>
    <Basic><EnvName>apache</EnvName><EnvType>Linux</EnvType><EnvTemplate>$1</EnvTemplate><EnvOverlay>$2</EnvOverlay></Basic>
    <Network><Port port="80"/></Network>
  </EnvironmentalRequirements>
  <Task>
    <Command><Argument>/usr/sbin/apache2</Argument><Argument>-D</Argument><Argument>FOREGROUND</Argument></Command>
EOF
    for v in RUN_USER=www-data RUN_GROUP=www-data PID_FILE=/run/apache2.pid RUN_DIR=/run LOCK_DIR=/run LOG_DIR=/tmp; do
        echo "    <Environment name=\"APACHE_${v%%=*}\" value=\"${v#*=}\"/>"
    done
    printf '  </Task>\n</Service>\n'
}
page_comes() { as_user curl -sf --retry 20 --retry-connrefused --retry-delay 1 --max-time 300 "http://$1:$2/" >/dev/null; }
