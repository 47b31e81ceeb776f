#!/bin/bash
# What the command line writes, and where: JSON of every verb, colours and progress on terminals only,
# help that fits and whose examples are right, errors that say what to do next. Needs no root.
. "$(dirname "$0")/../lib/tap.sh"
export XENO_HOME=$work/me XENO_IMAGES=$work/images TERM=xterm-256color COLUMNS=80
unset NO_COLOR
plat=$work/platform
at_end "xeno platform down --dir $plat --purge"
cd "$work" || exit 1
esc=$'\e'

status() {
    timeout 60 "$@" >"$work/o" 2>"$work/e" </dev/null
    echo $?
}
# on_tty COLUMNS COMMAND: what a terminal gets, bare, in $work/t.
mkfifo "$work/silent" # at the end of its input script(1) would type something
on_tty() { timeout 60 script -qec "stty rows 24 cols $1; $2" "$work/typescript" <>"$work/silent" >"$work/t"; }
# What a person sees of it: no colours, and of a line that was drawn over the last state.
seen() { sed -e 's/\r$//' -e "s/$esc\[[0-9;]*[A-Za-z]//g" -e 's/.*\r//' "$work/t"; }

# --- help ---
xeno help >"$work/help"
verbs=$(sed -n 's/^  \([a-z]* \{0,1\}[a-z]*\)  .*/\1/p' "$work/help" | sed 's/ *$//')
ok "there are verbs" [ "$(wc -l <<<"$verbs")" -gt 40 ]
while read -r verb; do
    # shellcheck disable=SC2086
    xeno $verb --help >"$work/h"
    sed '/^Examples:/,$d' "$work/h" >>"$work/all-help"
    sed -n '/^Examples:/,/^$/s/^  //p' "$work/h" >>"$work/examples"
done <<<"$verbs"
is "$(cat "$work/help" "$work/all-help" | awk 'length > 80' | head -n 3)" "" "help fits into 80 columns"
is "$(status xeno order) $(grep -c '^  order ' "$work/o")" "2 $(grep -c '^order ' <<<"$verbs")" "a family alone shows its verbs"
for typo in "runn:run" "sesion ls:session ls" "order crate:order create" "session lss:session ls"; do
    # shellcheck disable=SC2086
    is "$(status xeno ${typo%:*}) $(sed -n 's/.*did you mean: xeno //p' "$work/e")" "2 ${typo#*:}" "'${typo%:*}' is meant for another"
done
is "$(status xeno frobnicate) $(grep -c 'did you mean' "$work/e")" "2 0" "what is like nothing is meant for nothing"

# So are those of the guides.
sed -n 's/^    \(xeno .*\)$/\1/p' "$top"/docs/{operator,xenocorp}.md >"$work/guides"
ok "the guides have some" [ "$(wc -l <"$work/guides")" -ge 12 ]
cat "$work/guides" >>"$work/examples"

# Examples are bash. Each is read as the shell reads it, with --help put behind the verb: then options
# and values are checked, and nothing is done.
cat >"$work/read-examples" <<'BASH'
set -u
xeno() {
    local words=1 said r
    grep -qxF -- "$1 ${2:-}" "$work/verbs" && words=2
    said=$(command xeno "${@:1:words}" --help "${@:words+1}" 2>&1)
    r=$?
    [ $r = 0 ] && [[ $said == "Usage: xeno ${*:1:words}"* ]] || echo "$r: xeno $*: ${said%%$'\n'*}" >&3
    echo read >&4
    echo value
}
jq() { cat >/dev/null && echo value; }
xargs() { "$@" value; }
tar() { :; }
docker() { :; }
podman() { cat >/dev/null; }
BASH
sed -e 's,/etc/bash_completion.d/xeno,completion,' -e 's/^\. <(\(.*\))$/\1/' "$work/examples" >>"$work/read-examples"
echo "$verbs" >"$work/verbs"
touch "$work/token"
(cd "$work" && work=$work timeout 120 bash "$work/read-examples" 3>"$work/wrong" 4>"$work/read" >/dev/null 2>"$work/shell")
is "$(cat "$work/wrong" "$work/shell")" "" "the examples of the help are right"
ok "all $(wc -l <"$work/read") of them were read" [ "$(wc -l <"$work/read")" -ge "$(grep -cE '(^|[(| ])xeno ' "$work/examples")" ]

# --- nothing is there yet ---
for verb in whoami account "order list" "session ls" bill "server status"; do
    # shellcheck disable=SC2086
    is "$(status xeno $verb) $(grep -c '^  next: ' "$work/e")" "1 1" "$verb, without a profile: what to do next"
done
is "$(status xeno platform status --dir "$plat") $(grep -c 'next: .*platform up' "$work/e")" "1 1" "and without a platform"

# --- JSON ---
ok "platform up" xeno platform up --null --servers 1 --dir "$plat" --server-set charge-interval=1s || bail "no platform"
mkdir -p "$work/tree/etc"
echo x >"$work/tree/etc/x"
op() { XENO_HOME=$plat/operator xeno "$@"; }
order=$(xeno order create 1 --json | jq -r .order)
xeno run -q -d --name web -- sleep 600 >"$work/web"
web=$(cat "$work/web")
xeno deploy web --task more -- sleep 600 >/dev/null

echo 'MemoryMB >= 1 and not Location/Country = CH' >"$work/where"

# Each verb once: its exit status, then its words. "json" is tried with --json below.
cat >"$work/cases" <<CASES
0 platform status --dir $plat
0 platform up --dir $plat
0 whoami
0 account
0 corp verify
0 corp log
3 register https://127.0.0.1:1 --token x
0 order create 1
0 order restrict $order --max-total 0.5
0 order show $order --online
1 order present nosuch
0 order list
1 order close nosuch
0 server add $(xeno server list --json | jq -r '.servers[0].url') --name again
0 server list
0 server status
0 server check
0 server advertise
1 server remove nosuch
0 run --dry-run -- true
0 deploy web --task third -- sleep 600
0 session create --name second
0 session ls
0 session show web
0 session logs web
125 session exec nosuch -- true
125 session attach nosuch
0 session commit web --as kept
0 session usage web
0 session events web
0 session pause web
0 session resume web
0 session suspend web
0 session restore web
0 session extend web --lifetime 1m
0 session end second
0 bill
0 bill web
0 complain web --about other
2 template build nosuch
0 template import $work/tree --name tree
0 template export tree $work/tree.tar
0 template ls
0 template show tree
1 template diff nosuch tree
0 overlay create over $work/tree:/srv --base tree
0 overlay ls
0 overlay tree over
1 overlay log nosuch:1
1 overlay restore nosuch:1 --to 1
1 store show
1 template push tree
1 template pull tree
1 overlay push over
1 overlay pull over
1 template publish tree template://tree/1
1 overlay publish over overlay://over/1
0 publisher add somebody abcdefghijklmnopqrstuvwxyz234567 --at oci://localhost:1
0 publisher ls
0 publisher rm somebody
1 find use https://127.0.0.1:1
1 find --rd https://127.0.0.1:1 --near 192.0.2.7:20 --where MemoryMB>=512
0 store use localhost:1 --insecure-http
1 store login
1 store token
1 store usage
1 store ls
1 store audit aaaaaaaaaaaaaaaa
1 store reclaim aaaaaaaaaaaaaaaa
0 xis use
0 xis lookup MemoryMB --min 1 --desc
0 xis query @$work/where --order MemoryMB
1 xis get aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
0 xis explain @$work/where
2 xis watch MemoryMB
0 xis tokens
0 template rm over
0 op corp token
0 op corp fund client 1
0 op corp list
0 op corp show x1
1 op corp disable nosuch
0 op corp ledger
0 op corp charges --session $web
1 platform down --dir $work/nosuch
2 completion
CASES
# What stands there is what happens; statuses of refusals are others' business, so only 0 or not is.
client=$(op corp list --json | jq -r '.parties[] | select(.kind == "client") | .id' | head -n 1)
sed -i "s/fund client/fund $client/" "$work/cases"
while read -r want words; do
    case $words in op\ *) export XENO_HOME=$plat/operator words=${words#op } ;; *) export XENO_HOME=$work/me ;; esac
    # shellcheck disable=SC2086
    got=$(status xeno --json $words)
    name=$(cut -d' ' -f1,2 <<<"$words")
    if [ "$got" = 0 ]; then
        jq -es 'if $one then length == 1 and (.[0] | type) == "object" else all(type == "object") end' \
            --argjson one "$([ "$name" = "session logs" ] && echo false || echo true)" "$work/o" >/dev/null 2>&1
        parsed=$?
    else
        jq -es 'length == 1 and (.[0].error | .type != "" and .detail != "" and (.exit | type) == "number")' \
            "$work/e" >/dev/null 2>&1 && [ ! -s "$work/o" ]
        parsed=$?
    fi
    is "$([ "$got" = 0 ] && echo 0 || echo no) $parsed $(cat "$work/o" "$work/e" | grep -c "$esc")" \
        "$([ "$want" = 0 ] && echo 0 || echo no) 0 0" "--json $name" || head -n 5 "$work/o" "$work/e" | sed 's/^/# /'
    echo "$name" >>"$work/tried"
done <"$work/cases"
export XENO_HOME=$work/me
untried=$(while read -r verb; do grep -q "^$verb\( \|$\)" "$work/tried" || echo "$verb"; done <<<"$verbs")
is "$untried" help "each verb was tried (help is for people)"

# --- a bill that can be checked with pencil and paper ---
wait_for 10 sh -c '[ "$(xeno session usage web --json | jq .amount)" -gt 20 ]'
xeno session end -q web
xeno bill web >"$work/o"
is "$(awk 'NF == 8 && NR > 1 { d = $2 * $4 + $5 * $7 - $8; n++; if (d > 2e-6 || d < -2e-6) print }
    END { if (n < 3) print "only", n, "lines" }' "$work/o")" "" "quantities times prices are what each line costs"
is "$(awk 'NF == 8 && NR > 1 { sum += $8 } END { printf "%.6f", sum }' "$work/o")" \
    "$(printf %.6f "$(awk '/^charged at/ { print $5 }' "$work/o")")" "and the lines add up to what was charged"
xeno bill >"$work/o"
like "$(cat "$work/o")" ' order +0\.000000 .* 1\.00 set aside$' "the statement says what an order set aside"

# --- colours and terminals ---
on_tty 100 "xeno server status"
ok "colours on a terminal" grep -q "$esc\[1m" "$work/t"
on_tty 100 "NO_COLOR=1 xeno server status"
not_ok "not with NO_COLOR" grep -q "$esc" "$work/t"
on_tty 100 "TERM=dumb xeno server status"
not_ok "not with TERM=dumb" grep -q "$esc" "$work/t"
on_tty 100 "xeno server status --json"
not_ok "not with --json" grep -q "$esc" "$work/t"
is "$(xeno server status | grep -c "$esc")" 0 "not in a pipe"
on_tty 100 "xeno order show $order"
ok "each field is plain again behind its name" sh -c '! grep "$2\[2m" "$1" | grep -qv "$2\[0m"' - "$work/t" "$esc"
on_tty 70 "xeno order list"
is "$(seen | awk 'length > 70' | wc -l) $(seen | grep -c "^${order:0:8} ")" "0 1" "a narrow terminal gets the first letters of ids"
on_tty 120 "xeno order list"
is "$(seen | grep -c "^$order ")" 1 "a wide one all of them"
is "$(xeno order list | grep -c "^$order ")" 1 "and so does a pipe"

# --- progress ---
tar -C "$work/tree" -cf "$work/some.tar" .
slow="(head -c 1024 $work/some.tar; sleep 1.5; tail -c +1025 $work/some.tar)"
on_tty 80 "$slow | xeno template import - --name slow"
ok "long work shows itself on a terminal" grep -q $'\r. reading .*KiB' "$work/t"
is "$(seen | grep -c 'reading ')" 0 "and wipes it"
ok "none of it in a file" sh -c "$slow | xeno template import - --name slow >$work/o 2>$work/e"
is "$(cat "$work/o" "$work/e" | grep -c -e "$esc" -e $'\r')" 0 "not a byte of it"
for how in TERM=dumb:'' :--quiet :--json; do
    on_tty 80 "$slow | ${how%%:*} xeno template import - --name slow ${how#*:}"
    is "$(grep -c -e "$esc" -e "reading " "$work/t")" 0 "nor with ${how/:/}"
done

# --- what cannot be written ---
is "$(sh -c "xeno help >/dev/full 2>$work/e; echo \$?") $(cat "$work/e")" \
    "1 xeno: standard output could not be written" "a full disk is said"
xeno help 2>"$work/e" | head -n 1 >/dev/null
not_ok "a reader that left is no crash" grep -qi -e signal -e dump "$work/e"

ok "down" xeno platform down --dir "$plat" --purge
done_testing
