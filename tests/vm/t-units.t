#!/bin/bash
# Inside: the daemons as the units that systemd starts. First xeno-taskd, and containers that outlive
# it; then a XenoCorp, a XenoServer and a XenoStore, locked in as their units say, and a session with a
# real order.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/corp.sh"
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/../lib/store.sh"
[ -n "${XENO_IN_VM:-}" ] || skip_all "runs inside tests/vm only"

# `meson install` was done for this machine (t0900), as a package would. Nothing runs from the
# checkout: the units see nothing of /tmp and of people's homes, where it may be.
[ -x /usr/local/sbin/xeno-taskd ] || bail "nothing is installed"
PATH=/usr/local/libexec/xeno:/usr/local/sbin:/usr/local/bin:$PATH
systemd-sysusers /usr/local/lib/sysusers.d/xeno.conf || bail "no users"
mkdir -p /etc/xeno
cp /usr/local/share/doc/xeno/examples/*.conf /etc/xeno
sed -i "s/^#peer-uid.*/peer-uid = 0/" /etc/xeno/taskd.conf
service=xeno-taskd.service
socket=/run/xeno-taskd/x1.sock
dir=/var/lib/xeno/taskd
# The writable layers' images are sparse files on a file system that knows holes.
mkdir -p "$dir"
mount -t tmpfs -o size=1G,mode=0711 taskd "$dir"

# By themselves they would wait for ever.
systemctl() { SYSTEMD_BUS_TIMEOUT=120s timeout -k 5 240 systemctl "$@"; }
journalctl() { timeout -k 5 60 journalctl --no-pager -o cat "$@"; }
# ctl WORD...: systemctl, and why it failed, if it did.
ctl() {
    local r
    systemctl "$@"
    r=$?
    [ $r != 0 ] || return 0
    systemctl list-jobs --no-pager --plain
    systemctl status --no-pager -l -n 12 'xeno*' | grep -v '^ *\(Docs\|Loaded\|CPU\|Memory\):'
    return $r
}

out=$(ctl start $service 2>&1) || bail "the unit does not start" "$out"
prop() { systemctl show -P "$1" $service; }
is "$(prop ActiveState)" active "the unit runs, and says so itself"
is "$(prop Slice)" xeno.slice "in a slice of its own"
is "$(cat /sys/fs/cgroup/xeno.slice/cpu.weight)" 10000 "which is heavy"
base=/sys/fs/cgroup$(systemctl show -P ControlGroup xeno-sessions.service)
is "$base" /sys/fs/cgroup/xeno.slice/xeno-sessions.service "sessions have a unit of their own"
base=$base/xeno-x1
is "$(ls -d "$base"/daemons "$base"/sessions 2>&1 | xargs -n 1 basename | tr '\n' ' ')" "daemons sessions " \
    "whose group it has divided"
# Whose processes are in a group. The rouser (src/taskd/rouse.c) is where its last wish took it.
inside() {
    local p
    for p in $(cat "$1/cgroup.procs"); do cat "/proc/$p/comm"; done | grep -vx xeno-rouser | sort | xargs
}
is "$(inside "/sys/fs/cgroup$(prop ControlGroup)")" xeno-taskd "and it is alone in its own"
like "$(cat "$base/sessions/cgroup.subtree_control")" 'cpu.*memory.*pids' "sessions have controllers"
like "$(grep CapBnd "/proc/$(prop MainPID)/status")" '00000[0-9a-f]*$' "its capabilities are bounded"

# An image with busybox, by hand: an OCI layout needs no tool.
images=/var/lib/xeno/images
mkdir -p "$images/blobs/sha256" "$work/root"/{bin,proc,sys,dev,etc,tmp}
cp "$(command -v busybox)" "$work/root/bin/busybox"
ln -s busybox "$work/root/bin/sh"
tar -C "$work/root" --owner=0 --group=0 -cf "$work/layer.tar" .

# blob FILE TYPE: put it there; its descriptor.
blob() {
    local hex
    hex=$(sha256sum <"$1" | cut -d' ' -f1)
    cp "$1" "$images/blobs/sha256/$hex"
    printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s}' "$2" "$hex" "$(stat -c %s "$1")"
}
layer=$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)
printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >"$work/config"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$(blob "$work/config" config.v1+json)" "$(blob "$work/layer.tar" layer.v1.tar)" >"$work/manifest"
printf '{"schemaVersion":2,"manifests":[%s]}' "$(blob "$work/manifest" manifest.v1+json)" >"$images/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$images/oci-layout"

ask() { "$build/src/taskd/tests/task-ask" $socket "$@"; }
session=abcdefghijklmnop
create() {
    ask create $session oci cpu=200 memory=67108864 pids=64 disk=33554432 net=10000 address=10.201.1.2 \
        hostname=web port=80:8080:tcp "layer=sha256:$layer"
}

like "$(ask describe)" '"cgroup":"v2"' "taskd sees cgroup version 2"
out=$(create 2>&1)
is $? 0 "a session is made" || bail "cannot go on" "$out
$(journalctl -u $service -n 30)"
ok "a task starts in it" ask start $session web -- /bin/busybox httpd -f -p 80 -h /etc
group=$base/sessions/$session
is "$(cat "$group/memory.max")" 67108864 "its cgroup limits memory"
is "$(cat "$group/cpu.max")" "20000 100000" "and processor time"
pid=$(find "$group" -name cgroup.procs -exec cat {} + | sort -n | tail -n 1)
ok "its process is in there" test -n "$pid"
answers() { curl -s -m 5 http://127.0.0.1:8080/hostname | grep -qx web; }
ok "it answers on the published port" wait_for 10 answers

is "$(inside "$base/daemons")" "conmon sleep" "its supervisor is with the sessions"
is "$(inside "/sys/fs/cgroup$(prop ControlGroup)")" xeno-taskd "not with the daemon"

# The daemon goes and comes; the container stays.
main=$(prop MainPID)
ok "systemctl daemon-reload" ctl daemon-reload
ok "systemctl restart" ctl restart $service
ok "is another process" test "$main" != "$(prop MainPID)"
ok "the container is the same one" test -d "/proc/$pid"
ok "and answers" answers
like "$(ask list)" "\"session\":\"$session\".*\"state\":\"running\"" "the new daemon knows it"
main=$(prop MainPID)
[ "$main" -gt 1 ] || bail "the daemon does not run" "$(journalctl -u $service -n 30)"
kill -9 "$main"
again() { [ "$(prop ActiveState)" = active ] && ask list | grep -q "$session"; }
ok "after kill -9 systemd starts it again" wait_for 15 again
ok "and the container is still the same" test -d "/proc/$pid"
ok "systemctl stop" ctl stop $service
is "$(prop ActiveState)" inactive "stops the daemon"
ok "not the container" answers
ok "systemctl start" ctl start $service
ok "start takes it up again" wait_for 10 again

# A session that runs out of memory does not take the unit with it.
ok "a task that wants all memory starts" ask start $session hog -- /bin/busybox tail /dev/zero
killed() { [ "$(sed -n 's/^oom_kill //p' "$group/memory.events")" -gt 0 ]; }
ok "the kernel ends it" wait_for 30 killed
is "$(prop ActiveState)" active "the unit goes on"
like "$(ask usage)" '"oom_kills":[1-9]' "usage tells of it"

ok "the session is destroyed" ask destroy $session
ok "its cgroup is gone" test ! -e "$group"
is "$(ls "$dir/netns" 2>/dev/null)" "" "and its network"
is "$(findmnt -rno TARGET | grep -c "$session")" 0 "and its mounts"
is "$(journalctl -u $service | grep -c 'left-over')" 0 "no start found a process left over"
is "$(prop NRestarts)" 0 "the last start was a start"

# Stopping the sessions is another word, and means it: also at the machine's shutdown.
create >/dev/null
ask start $session web -- /bin/busybox sleep 1000 >/dev/null
pid=$(find "$group" -name cgroup.procs -exec cat {} + | sort -n | tail -n 1)
ok "another container runs" test -d "/proc/$pid"
ok "systemctl stop xeno-sessions" ctl stop xeno-sessions.service
ok "ends it" test ! -d "/proc/$pid"
is "$(prop ActiveState)" inactive "and the daemon"
ok "both start again" ctl start $service
like "$(ask list)" "\"session\":\"$session\"" "and the session is known"
ok "and can be destroyed" ask destroy $session
is "$(findmnt -rno TARGET | grep -c "$session")" 0 "whole"
ok "stop" ctl stop xeno-sessions.service

# --- the XenoCorp ---
corp_dir=/var/lib/xeno/xenocorpd
url=https://127.0.0.1:8440
install -d -o xenocorpd -g xenocorpd -m 700 $corp_dir
token=$(runuser -u xenocorpd -- xenocorpd --config /etc/xeno/xenocorpd.conf --init) || bail "xenocorpd --init"
ok "the XenoCorp's socket opens" ctl start xenocorpd.socket
is "$(systemctl show -P ActiveState xenocorpd.service)" inactive "only its socket is open"
corp_up() { as nobody GET /healthz && [ "$(status)" = 200 ]; }
ok "the first request starts xenocorpd" wait_for 30 corp_up
is "$(systemctl show -P ActiveState xenocorpd.service)" active "and systemd was told when it was ready"
ok "an operator joins" join op client "$token"

# locked NAME: what the unit and the daemon itself have left of its rights.
locked() {
    local st
    st=/proc/$(systemctl show -P MainPID "$1")/status
    awk '/^Cap(Prm|Eff|Bnd|Amb)/{print $2}' "$st" | sort -u
    awk '/^(NoNewPrivs|Seccomp):/{print $2}' "$st"
    stat -c %U "$st"
}
is "$(locked xenocorpd | xargs)" "0000000000000000 1 2 xenocorpd" "it has no capability, and filters"

# --- the XenoServer ---
sed -i "s/^peer-uid.*/peer-uid = $(id -u xenod)/" /etc/xeno/taskd.conf
cat >>/etc/xeno/xenod.conf <<EOF
corp-url = $url
endpoint = https://127.0.0.1:8443
hosts = 127.0.0.1
template = template://busybox:1
capacity.cpu = 2000
reserve.cpu = 0
capacity.disk = 8G
reserve.disk = 0
charge-interval = 2s
EOF
chmod 755 $images
"$build/src/image/tests/image-tool" $images import "$work/root" busybox:1 >"$work/import" 2>&1 ||
    bail "no template" "$(cat "$work/import")"
chmod -R go+rX $images
install -d -o xenod -g xenod -m 700 /var/lib/xeno/xenod
runuser -u xenod -- xenod --config /etc/xeno/xenod.conf --enrol "$(new_token server)" >"$work/enrol" 2>&1 ||
    bail "xenod --enrol" "$(cat "$work/enrol")"
ok "both daemons start" ctl start xeno-taskd.service xenod.service
mkdir "$work/x"
echo 8443 >"$work/x/port"
ok "xenod finds its task manager" wait_for 30 server_ready x ||
    journalctl -u xenod -u xeno-taskd -n 30 | sed 's/^/# /'
is "$(locked xenod | xargs)" "0000000000000000 1 2 xenod" "it has no capability, and filters"
new_client ann 10000000
s=$(new_session x ann "$(new_order ann 1000000)" "$(requirement web '<CPUmsps>300</CPUmsps><MemoryMB>64</MemoryMB><DiskMB>64</DiskMB>')")
like "$s" '^[a-z2-7]{16}$' "a client rents a slice with a signed order" || sed 's/^/# /' "$work/session"
type=application/xml at x ann POST "/v1/sessions/$s/tasks" "$(task_doc /bin/sh -c 'echo hello from a unit; exec sleep 1000')" >"$work/task"
task=$(jq -r .task "$work/task")
said() { at x ann GET "/v1/sessions/$s/tasks/$task/logs" | grep -q 'hello from a unit'; }
ok "runs a program in it" wait_for 30 said || sed 's/^/# /' "$work/task"
charged() { [ "$(at x ann GET "/v1/sessions/$s" | jq -r .spent)" -gt 0 ] && [ "$(as ann GET /v1/statement | jq '[.entries[] | select(.kind | test("charge"))] | length')" -gt 0 ]; }
ok "and is charged for it" wait_for 30 charged || as ann GET /v1/statement | sed 's/^/# /'

# --- a XenoStore ---
printf '%s\n' "corp-url = $url" 'hosts = 127.0.0.1' >>/etc/xeno/xstored.conf
store=127.0.0.1:8445
install -d -o xstored -g xstored -m 700 /var/lib/xeno/xstored
runuser -u xstored -- xstored --config /etc/xeno/xstored.conf --enrol "$(new_token node)" >"$work/enrol" 2>&1 ||
    bail "xstored --enrol" "$(cat "$work/enrol")"
ok "its socket opens" ctl start xstored.socket
is "$(systemctl show -P ActiveState xstored.service)" inactive "which is all that runs"
store_up() { [ "$(to nobody GET /healthz | jq -r .corp)" = true ]; }
ok "the first request starts xstored" wait_for 30 store_up || journalctl -u xstored -n 30 | sed 's/^/# /'
is "$(locked xstored | xargs)" "0000000000000000 1 2 xstored" "it has no capability, and filters"
new_client bob 1
echo hello >"$work/blob"
to ann POST "/v2/$(id_of ann)/x/blobs/uploads/?digest=$(sha "$work/blob")" --data-binary "@$work/blob" >/dev/null
is "$(status)" 201 "what is pushed is taken"
ok "it is started anew" ctl restart xstored.service
ok "and known" wait_for 30 store_up
is "$(to bob GET "/v2/$(id_of ann)/x/blobs/$(sha "$work/blob")")" hello "and is there for others"

for unit in xenod xenocorpd xeno-taskd; do
    ok "systemctl restart $unit" ctl restart $unit.service
done
ok "all know each other again" wait_for 30 server_ready x
ok "the session has not noticed" wait_for 10 state_is x ann "$s" running
at x ann POST "/v1/sessions/$s/end" >/dev/null
ok "it ends when its owner says so" wait_for 30 state_is x ann "$s" ended
for unit in xenod xenocorpd xeno-taskd xstored; do
    is "$(systemctl show -P NRestarts $unit.service)" 0 "$unit was never started by accident"
done
done_testing
