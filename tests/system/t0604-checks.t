#!/bin/bash
# An operator's view: --check of each daemon on a machine where something is missing says what it is and
# what to do; on one where all is there it says so.
. "$(dirname "$0")/../lib/tap.sh"
. "$top/tests/lib/corp.sh"
need_root
cd "$work" || exit 1

check() { # COMMAND...: its exit status, output in $work/o
    timeout 60 "$@" >"$work/o" 2>"$work/e"
    echo $?
}
line() { grep -E "^(ok|MISSING|note) +$1 " "$work/o"; }

# --- XenoCorp ---
is "$(check xenocorpd --dir "$corp_dir" --check)" 1 "no XenoCorp there"
like "$(cat "$work/e")" 'make one with --init' "is told to make one"
corp_init
is "$(check xenocorpd --dir "$corp_dir" --check)" 0 "one that was made is fit"
is "$(check xenocorpd --dir "$corp_dir" --init)" 1 "it is not made twice"
like "$(cat "$work/e")" 'is a XenoCorp already' "and that is said"
mv "$corp_dir/ca-key.pem" "$work/"
rm "$corp_dir/tls-key.pem"
find "$corp_dir" -type f -exec sha256sum {} + | sort >"$work/before"
for verb in --check --init; do
    is "$(check xenocorpd --dir "$corp_dir" $verb)" 1 "$verb without the key of its CA"
    like "$(cat "$work/e")" 'not its key ca-key.pem: bring that back' "is told what to bring back"
done
is "$(find "$corp_dir" -type f -exec sha256sum {} + | sort)" "$(cat "$work/before")" "and nothing was made in its place"
mv "$work/ca-key.pem" "$corp_dir/"
is "$(check xenocorpd --dir "$corp_dir" --check)" 0 "with the key back, all is well; its server's own key is made anew"
corp_start
is "$(check xenocorpd --dir "$corp_dir" --listen "127.0.0.1:$corp_port")" 1 "nor does it run twice"
like "$(cat "$work/e")" 'another xenocorpd has the books' "as is said"

# --- task manager ---
mkdir "$work/images"
inst=h$((RANDOM % 9000 + 1000)) pool=10.$((RANDOM % 40 + 210)).$((RANDOM % 250)).0/24
taskd=(xeno-taskd --dir "$work/taskd" --instance $inst --pool $pool)
is "$(check "${taskd[@]}" --images "$work/nothing" --check)" 1 "no images"
like "$(line images)" 'MISSING .*xeno template build .*--store' "is told how to make one"
is "$(check "${taskd[@]}" --images "$work/images" --peer-uid 65534 --check) $(grep -c MISSING "$work/o")" "0 0" "all is there"
is "$(check unshare -m sh -c 'for p in /usr/bin/conmon /usr/sbin/mkfs.ext4; do mount --bind /dev/null $p; done; exec "$@"' - \
    "${taskd[@]}" --images "$work/images" --check)" 1 "two programs are not"
like "$(line conmon)" 'MISSING .*apt-get install conmon' "conmon"
like "$(line mkfs.ext4)" 'MISSING .*apt-get install e2fsprogs' "mkfs.ext4"
like "$(line 'driver oci')" 'MISSING .*conmon' "so no container can run"
pieces=(--images "$work/images" --imaged "$work/imaged/socket")
is "$(check "${taskd[@]}" "${pieces[@]}" --check)" 0 "with an image manager"
like "$(line pieces)" '^ok .*/xeno-cowfs' "layers can be read by pieces"
like "$(line imaged)" "note .*nobody listens at $work/imaged/socket" "though it does not run yet"
is "$(check unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' - "${taskd[@]}" "${pieces[@]}" --check)" 1 "without FUSE"
like "$(line pieces)" 'MISSING .*modprobe fuse' "is told what to do"
mkdir -m 755 "$work/taskd-user"
chown 65534 "$work/taskd-user"
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
is "$(check "${user[@]}" "$(command -v xeno-taskd)" --dir "$work/taskd-user" --images "$work/images" --check)" 0 "without root"
like "$(line rights)" 'note .*only the driver null' "is only noted: tests may want that"
background taskd "${taskd[@]}" --images "$work/images"
taskd_pid=$pid
wait_for 20 grep -q 'taskd.ready' "$work/taskd.log"
is "$(check "${taskd[@]}" --images "$work/images" --check)" 0 "one that runs is not in the way of its check"
like "$(line folder)" 'note .*another xeno-taskd works in' "which says so"

# --- environment manager ---
xenod=(xenod --dir "$work/x" --instance $inst --corp-url "$url" --listen "127.0.0.1:$(free_port)" --images "$work/images"
    --task-socket "$work/taskd/socket" --pool $pool)
is "$(check "${xenod[@]}" --check)" 1 "nothing is there yet"
like "$(line folder)" 'MISSING .*make it, owned by' "its folder"
is "$(check "${xenod[@]}")" 1 "it does not start"
like "$(cat "$work/e")" 'run xenod --enrol TOKEN' "and says what to do"
is "$(check "${xenod[@]}" --enrol xt1.nonsense)" 1 "a token that is none"
like "$(cat "$work/e")" 'not an enrolment token' "is called so"
join op client "$token"
as op POST /v1/admin/tokens '{"kind":"server","lifetime_s":600}' >/dev/null
server_token=$(jq -r .token "$work/body")
is "$(check "${xenod[@]}" --enrol "$server_token")" 0 "it enrols"
check "${xenod[@]}" --check >/dev/null
for what in clock folder disk credential journal XenoCorp listen seccomp 'task manager'; do
    like "$(line "$what")" '^ok' "$what"
done
like "$(line images)" '^(ok|MISSING .*xeno template build)' "images"
nc=$(free_port)
background taken python3 -m http.server --bind 127.0.0.1 "$nc"
taken_pid=$pid
wait_for 10 sh -c "ss -Hltn 'sport = :$nc' | grep -q ."
check "${xenod[@]}" --listen "127.0.0.1:$nc" --check >/dev/null
like "$(line listen)" 'note .*is taken: .*ss -ltnp' "a port that is taken"
is "$(check "${xenod[@]}" --listen "10.9.9.9:$nc" --check)" 1 "an address of another machine"
like "$(line listen)" 'MISSING .*Cannot assign' "is named"
check "${xenod[@]}" --probe-source 10.9.9.9 --check >/dev/null
like "$(line 'probe source')" 'MISSING .*10.9.9.9: Cannot assign' "nor may it be measured from"
like "$(line 'ICMP echo')" 'note ' "is ICMP possible?"

# --- image manager ---
imaged=(xeno-imaged --dir "$work/i" --socket "$work/i/socket" --identity "$work/x")
is "$(check "${imaged[@]}" --check)" 1 "nothing is there yet"
like "$(line folder)" 'MISSING .*owned by the user xeno-imaged runs as' "its folder"
mkdir -m 755 "$work/i"
is "$(check "${imaged[@]}" --check)" 0 "nothing is missing"
for what in clock folder socket credential registries seccomp; do
    like "$(line "$what")" '^ok' "$what"
done
like "$(line registries)" 'of the public internet only' "where it connects to is said"
is "$(check "${imaged[@]}" --registry-ca "$work/none.pem" --registry-auth "$work/none.json" --check) $(grep -c MISSING "$work/o")" "1 2" "files that are not there"
is "$(check "${imaged[@]}" --registries 'a.example, https://b.example' --check)" 1 "registries that cannot be read"
like "$(cat "$work/e")" "registries: 'https://b.example' is not HOST" "are named"
is "$(check "${imaged[@]}" --status)" 1 "the numbers of one that does not run"
like "$(cat "$work/e")" 'agent.away' "are not to be had"
background imaged "${imaged[@]}"
wait_for 20 check "${imaged[@]}" --status
is "$(check "${imaged[@]}" --status) $(jq .images "$work/o")" "0 0" "those of one that does are" ||
    sed 's/^/# /' "$work/e" "$work/imaged.log"

# --- store ---
xstored=(xstored --dir "$work/s" --corp-url "$url" --listen "127.0.0.1:$(free_port)")
is "$(check "${xstored[@]}" --check)" 1 "nothing is there yet"
like "$(line folder)" 'MISSING .*owned by the user xstored runs as' "its folder"
ok "which is not made by asking" [ ! -e "$work/s" ]
is "$(check "${xstored[@]}")" 1 "it does not start"
like "$(cat "$work/e")" 'run xstored --enrol TOKEN' "and says what to do"
as op POST /v1/admin/tokens '{"kind":"node","lifetime_s":600}' >/dev/null
node_token=$(jq -r .token "$work/body")
is "$(check "${xstored[@]}" --enrol "$node_token")" 0 "it enrols"
is "$(check "${xstored[@]}" --check)" 0 "nothing is missing"
for what in clock folder credential objects XenoCorp listen seccomp; do
    like "$(line "$what")" '^ok' "$what"
done
is "$(check "${xstored[@]}" --objects "$work/none" --check) $(line objects | grep -c 'MISSING .*make it, owned by')" "1 1" \
    "a folder for objects that is not there"
background xstored "${xstored[@]}"
wait_for 20 grep -q ' port=' "$work/xstored.log"
is "$(check "${xstored[@]}" --check)" 0 "one that runs is not in the way of its check"
like "$(line listen)" 'note .*by this xstored if it runs' "which says so"

# --- information service ---
xisd=(xisd --dir "$work/xis" --corp-url "$url" --listen "127.0.0.1:$(free_port)")
is "$(check "${xisd[@]}" --check)" 1 "nothing is there yet"
like "$(line folder)" 'MISSING .*owned by the user xisd runs as' "its folder"
is "$(check "${xisd[@]}")" 1 "it does not start"
like "$(cat "$work/e")" 'run xisd --enrol TOKEN' "and says what to do"
as op POST /v1/admin/tokens '{"kind":"node","lifetime_s":600}' >/dev/null
is "$(check "${xisd[@]}" --enrol "$(jq -r .token "$work/body")")" 0 "it enrols"
is "$(check "${xisd[@]}" --check)" 0 "nothing is missing"
background xisd "${xisd[@]}"
wait_for 20 grep -q ' port=' "$work/xisd.log"
is "$(check "${xisd[@]}" --check)" 0 "one that runs is not in the way of its check"

# --- resource discovery ---
xrdd=(xrdd --dir "$work/r" --corp-url "$url" --xis "https://127.0.0.1:1" --listen "127.0.0.1:$(free_port)")
is "$(check "${xrdd[@]}" --check)" 1 "nothing is there yet"
like "$(line folder)" 'MISSING .*owned by the user xrdd runs as' "its folder"
is "$(check "${xrdd[@]}")" 1 "it does not start"
like "$(cat "$work/e")" 'run xrdd --enrol TOKEN' "and says what to do"
as op POST /v1/admin/tokens '{"kind":"node","lifetime_s":600}' >/dev/null
is "$(check "${xrdd[@]}" --enrol "$(jq -r .token "$work/body")")" 0 "it enrols"
is "$(check "${xrdd[@]}" --check)" 1 "an XIS that is not there is missing"
like "$(line XIS)" 'MISSING .*does not answer' "and named"
is "$(check "${xrdd[@]}" --allow 127.0.0.0/40 --check) $(line allow | grep -c "is no network")" "1 1" "a network that is none"
background xrdd "${xrdd[@]}"
ok "it starts all the same" wait_for 20 grep -q ' port=' "$work/xrdd.log"

# --- without a XenoCorp ---
corp_stop
is "$(check "${xstored[@]}" --check)" 1 "XenoCorp is away for a store"
like "$(line XenoCorp)" 'MISSING .*does not answer.*who is revoked is not known' "and what that means is said"
is "$(check "${xenod[@]}" --check)" 1 "and for an environment manager"
like "$(line XenoCorp)" 'MISSING .*does not answer.*no session can begin, those that run go' "and what that means is said"
is "$(check "${xenod[@]}" --imaged "$work/nobody" --imaged-store "$work" --check)" 1 "no image manager"
like "$(line 'image manager')" 'MISSING .*start xeno-imaged' "is told to be started"
is "$(check "${xenod[@]}" --imaged "$work/nobody" --check)" 1 "half of what is said of it"
is "$(check "${xenod[@]}" --task-socket "$work/nobody" --check)" 1 "no task manager"
like "$(line 'task manager')" 'MISSING .*start xeno-taskd.*peer-uid' "is told what to start, and who must be allowed"
is "$(check "${user[@]}" "$(command -v xenod)" "${xenod[@]:1}" --check)" 1 "the wrong user"
like "$(line folder)" 'MISSING .*owned by the user xenod runs as' "is told whose folder it is"
kill -9 "$taken_pid" 2>/dev/null
kill "$taskd_pid"
wait "$taskd_pid"
ok "nothing of it stays in the kernel" "${taskd[@]}" --images "$work/images" --remove
done_testing
