#!/bin/bash
# The command line with real containers: output, input, exit codes, signals, terminals, the bill.
. "$(dirname "$0")/../lib/tap.sh"
need_root
export XENO_HOME=$work/me NO_COLOR=1
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"

status() {
    timeout 120 "$@" >"$work/o" 2>"$work/e"
    echo $?
}

ok "platform up" xeno platform up --servers 2 --dir "$plat" --server-set charge-interval=1s || bail "no platform"
[ "$(xeno platform status --dir "$plat" --json | jq -r .driver)" = oci ] || bail "containers cannot run here"

# --- output and exit codes ---
is "$(status xeno run -- echo hello) $(cat "$work/o")" "0 hello" "a command's output"
like "$(cat "$work/e")" '^bill: [0-9.]+ credits' "and its bill, on stderr"
is "$(status xeno run -q -- sh -c 'echo out; echo err >&2; printf tail; exit 7')" 7 "its exit code"
is "$(cat "$work/o")" "out
tail" "stdout apart, the last line as it is"
is "$(cat "$work/e")" err "stderr apart"
is "$(status xeno run -q -- sh -c 'sh -c "kill -9 \$\$"; exit $?')" 137 "128 and the signal that ended it"
is "$(status xeno run -q -- nosuchprogram)" 127 "127 when it is not found"
is "$(status xeno run -q -- /etc/passwd)" 126 "126 when it cannot be run"
is "$(status xeno run -q -e A=b -w /tmp -u nobody -- sh -c 'echo $A $PWD $(id -un)') $(cat "$work/o")" \
    "0 b /tmp nobody" "environment, folder and user"
is "$(status xeno run -q -- sh -c 'seq 100000 | md5sum') $(cut -c1-32 "$work/o")" \
    "0 $(seq 100000 | md5sum | cut -c1-32)" "it computes what we do"
is "$(status xeno run -q -- seq 50000) $(md5sum <"$work/o")" "0 $(seq 50000 | md5sum)" "no line of much output is lost"
is "$(status xeno run --json -- sh -c 'echo text; exit 3')" 3 "--json keeps the exit code"
is "$(cat "$work/e") $(jq -r '.exit' "$work/o")" "text 3" "prints one document, the output goes to stderr"
is "$(jq '.usage.amount' "$work/o")" "$(xeno bill "$(jq -r .session "$work/o")" --json | jq .charged)" \
    "its usage is what was charged"
is "$(xeno session ls --json | jq '.sessions | length')" 0 "no session is left"
is "$(xeno account --json | jq .held)" 0 "no money is held"

# --- signals: the first goes to the command, the second ends the session ---
background run1 xeno run -q --name sig -- sh -c 'trap "echo caught; exit 9" INT TERM; echo ready; while :; do sleep 0.1; done'
wait_for 20 grep -q ready "$work/run1.log"
kill -TERM "$pid"
wait "$pid"
is "$? $(tail -n 1 "$work/run1.log")" "9 caught" "SIGTERM reaches the command"
background run2 xeno run --name sig2 -- sh -c 'trap "" INT TERM; echo ready; while :; do sleep 0.1; done'
wait_for 20 grep -q ready "$work/run2.log"
kill -TERM "$pid"
wait_for 5 grep -q 'passed on' "$work/run2.log"
kill -TERM "$pid"
wait "$pid"
is $? 143 "a second one ends us"
is "$(xeno session ls --json | jq '.sessions | length')" 0 "and the session"

# --- an interrupt while it starts: what was begun is undone ---
pid_of() { xeno platform status --dir "$plat" --json | jq -r ".processes[] | select(.name == \"$1\").pid"; }
sessions() { xeno session ls --json | jq -r '.sessions | length'; }
taskd=$(pid_of 'x1 xeno-taskd')
for how in "run --name early --server x1 -- sleep 100" "session create --name early --server x1"; do
    kill -STOP "$taskd" # so that it is surely not there yet
    # shellcheck disable=SC2086
    background early xeno $how
    early=$pid
    wait_for 10 sh -c '[ "$(xeno session ls --json | jq ".sessions | length")" = 1 ]'
    kill -TERM "$early"
    wait_for 5 grep -q 'ending cleanly' "$work/early.log"
    kill -CONT "$taskd"
    wait "$early"
    is "$? $(sessions)" "143 0" "${how%% --*}: interrupted while it starts, it leaves no session"
    is "$(xeno account --json | jq .held)" 0 "and no money set aside"
    rm -f "$work/early.log"
done

# --- the XenoServer's daemon restarts under it ---
background through xeno run --name through --server x1 -- sh -c 'for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.5; done; exit 3'
through=$pid
wait_for 20 grep -q 'line 2' "$work/through.log"
kill -9 "$(pid_of 'x1 xenod')"
wait_for 10 grep -q 'trying again' "$work/through.log"
xeno platform up --dir "$plat" >/dev/null
wait "$through"
is "$? $(grep -c '^line' "$work/through.log") $(grep '^line' "$work/through.log" | uniq | tail -n 1)" "3 8 line 8" \
    "each line once, and the exit code"

# --- exec ---
s=$(xeno run -q -d --name box -- sleep 300)
is "$(status xeno session exec box -- sh -c 'echo in; exit 5') $(cat "$work/o")" "5 in" "exec"
is "$(echo piped | timeout 20 xeno session exec -i box -- cat)" piped "its input"
is "$(head -c 3000000 /dev/zero | timeout 60 xeno session exec -i box -- wc -c | tr -d ' ')" 3000000 "a lot of input"
head -c 1000000 /dev/urandom >"$work/random"
is "$(timeout 60 xeno session exec -i box -- cat <"$work/random" | cmp - "$work/random" && echo same)" same "a file in and out, byte for byte"
is "$(status xeno session exec box -- cat </dev/zero) $(wc -c <"$work/o")" "0 0" "without -i there is none"
is "$(status xeno session exec box -- nosuchprogram)" 127 "127 when it is not found"
is "$(status xeno deploy --follow box -- sh -c 'echo second; exit 4') $(cat "$work/o")" "4 second" "deploy --follow"
task=$(xeno deploy box -- sh -c 'for i in 1 2 3; do echo line $i; done; sleep 200')
wait_for 10 sh -c "xeno session logs box $task | grep -q 'line 3'"
is "$(xeno session logs --tail 1 box "$task")" "line 3" "the end of a log"
like "$(xeno session logs --timestamps box "$task" | head -n 1)" '^20..-.*stdout F line 1$' "with times"

# --- a terminal: script(1) gives us one ---
mkfifo "$work/silent" # at the end of its input script(1) would type something
on_tty() { timeout 60 script -qec "$1" "$work/typescript" <>"$work/silent" | tr -d '\r'; }
# The program may look before its terminal has a size (HACKING.md): busybox's stty complains then, and
# ends with 0.
is "$(on_tty "stty rows 40 cols 100; xeno session exec -t box -- sh -c 'for i in 1 2 3 4 5; do s=\$(stty size 2>/dev/null); [ -n \"\$s\" ] && break; sleep 1; done; echo \$s'")" \
    "40 100" "its size is ours"
is "$(on_tty "stty rows 40 cols 100; (sleep 2; stty rows 50 cols 90 </dev/tty) & xeno session exec -t box -- sh -c 'sleep 4; stty size'")" \
    "50 90" "and follows ours"
cat >"$work/modes" <<'MODES'
before=$(stty -g)
xeno session exec -t box -- sh -c 'exit 6'; echo "code $?"
[ "$before" = "$(stty -g)" ] && echo "same after exit" || echo "differs after exit"
xeno session exec -t box -- sleep 50 & pid=$!
(sleep 2; kill -TERM $pid; sleep 1; kill -TERM $pid) & wait $pid; echo "code $?"
[ "$before" = "$(stty -g)" ] && echo "same after signals" || echo "differs after signals"
xeno session exec -t box -- sleep 50 & pid=$!
sleep 2; kill -SEGV $pid; wait $pid 2>/dev/null
[ "$before" = "$(stty -g)" ] && echo "same after a crash" || echo "differs after a crash"
MODES
on_tty "bash $work/modes" >"$work/o"
like "$(cat "$work/o")" 'code 6' "the exit code comes through"
like "$(cat "$work/o")" 'same after exit' "the terminal's mode is back after the command"
like "$(cat "$work/o")" 'code 143' "signals end it"
like "$(cat "$work/o")" 'same after signals' "and leave the mode as it was"
like "$(cat "$work/o")" 'same after a crash' "a crash too"
typed() { # SECONDS TEXT COMMAND [KEYS]: type text after a while, keys a second later, then wait
    (sleep "$1"; printf "$2"; sleep 1; printf "${4:-}"; sleep 2) | timeout 60 script -qec "$3; echo code \$?" "$work/typescript" | tr -d '\r'
}
like "$(typed 2 'echo $((6*7)); exit 4\n' 'xeno run -q -t -- sh' | tr '\n' ' ')" ' 42 .*code 4' "a shell, typed to"
typed 2 'echo fir""st\n' 'xeno run -t --name shell -- sh' '\020\021' >"$work/o"
like "$(cat "$work/o")" 'left it running' "ctrl-p ctrl-q leaves it"
typed 2 'echo sec""ond; exit 3\n' 'xeno session attach shell' >"$work/o"
like "$(tr '\n' ' ' <"$work/o")" 'first .*second .*code 3' "attach shows what was, and goes on"
ok "end them" xeno session end -q shell box

# --- images and ports ---
mkdir "$work/www"
echo '<h1>from an overlay</h1>' >"$work/www/index.html"
is "$(status xeno overlay create page "$work/www:/var/www" --base busybox --json) $(jq .layers "$work/o")" "0 1" "overlay create"
is "$(xeno overlay ls --json | jq -r '.overlays[].name')" page "overlay ls"
is "$(xeno template ls --json | jq -r '.templates[].name')" busybox "template ls"
ok "template show --verify" xeno template show page --verify
s=$(xeno run -q -d --name web --overlay page -p 80 -- httpd -f -p 80 -h /var/www)
port=$(xeno session show web --json | jq '.ports[0].host_port')
wait_for 10 curl -sf "http://127.0.0.1:$port/"
is "$(curl -s "http://127.0.0.1:$port/")" '<h1>from an overlay</h1>' "a page from a session"
ok "suspend" xeno session suspend web
not_ok "which is gone then" curl -sf -m 2 "http://127.0.0.1:$port/"
ok "restore" xeno session restore web
ok "and back" wait_for 10 curl -sf "http://127.0.0.1:$port/"
ok "end" xeno session end web
wait_for 10 sh -c '[ "$(xeno session usage web --json | jq .pending)" = 0 ]'
xeno bill "$s" --json >"$work/o"
is "$(jq .charged "$work/o")" "$(jq .usage.amount "$work/o")" "the bill is what was measured"
ok "template rm" xeno template rm page

# --- out of memory, out of order ---
is "$(status xeno run -q --memory 16M -- sh -c 'x=a; while :; do x=$x$x; done')" 137 "out of memory"
instances=$(jq -r '.servers[].instance' "$plat/platform.json")
xeno run -q -d --name last -- sleep 100 >/dev/null
ok "down, with a session running" xeno platform down --dir "$plat" --purge
left=0
for i in $instances; do
    [ -e "/sys/class/net/xb-$i" ] && left=$((left + 1))
    nft list table inet "xeno-$i" >/dev/null 2>&1 && left=$((left + 1))
    for d in /sys/fs/cgroup/*/"xeno-$i" "/sys/fs/cgroup/xeno-$i"; do [ -e "$d" ] && left=$((left + 1)); done
done
is $left 0 "no bridge, rule or control group is left"
is "$(grep -c "$plat" /proc/self/mounts)" 0 "nor a mount"
ok "nor its folder" [ ! -e "$plat" ]
done_testing
