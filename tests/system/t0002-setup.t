#!/bin/bash
# What `make demo` and `make check` do before they do anything: install what is missing, ask nothing, say
# what they do; tell an ordinary user what needs root, and why. Nothing is really installed: apt-get is
# a script here that keeps a list.
. "$(dirname "$0")/../lib/tap.sh"
need_root
mkdir "$work/tree" "$work/bin"
git -C "$top" ls-files -z | tar -C "$top" --null -T - -cf - | tar -C "$work/tree" -xf - || bail "no copy of the tree"
cd "$work/tree" || exit 1
unset BUILD # of whoever tests us

# The world as scripts/setup sees it: packages are lines in $work/there.
cat >"$work/bin/dpkg-query" <<SH
#!/bin/bash
echo asked >>$work/questions
shift 3
for p; do grep -qx "\$p" $work/there && echo "installed \$p" || { echo "no packages found matching \$p" >&2; r=1; }; done
exit \${r:-0}
SH
cat >"$work/bin/apt-get" <<SH
#!/bin/bash
echo "\$*" >>$work/apt
[ "\$(head -c 1)" = "" ] && [ "\$DEBIAN_FRONTEND" = noninteractive ] || { echo "it would have asked"; exit 9; }
[ ! -e $work/no-network ] || { echo "E: Could not resolve 'deb.debian.org'"; exit 100; }
[ "\$1" = install ] || exit 0
for p; do case \$p in -* | install | broken*) ;; *) echo "\$p" >>$work/there ;; esac done
SH
printf '#!/bin/sh\necho "$*" >>%s/units\n' "$work" >"$work/bin/systemctl"
chmod +x "$work/bin/"*
export PATH=$work/bin:$PATH
touch "$work/there" "$work/apt"
chmod 755 "$work/bin"
status() {
    : >"$work/apt"
    : >"$work/questions"
    timeout 60 "$@" >"$work/o" 2>"$work/e" < <(yes no)
    echo $?
}

# --- root ---
printf 'aaa # a word on why\nbbb\n\n# only words\nccc\n' >"$work/list"
echo bbb >"$work/there"
is "$(status scripts/setup "$work/list")" 0 "what is missing is installed"
is "$(cat "$work/o")" "setup: installing 2 packages by apt-get: aaa ccc
setup: done" "and it says what"
is "$(cat "$work/apt")" "update -q
install -y -q --no-install-recommends aaa ccc" "only that, without asking"
is "$(status scripts/setup "$work/list") $(cat "$work/o" "$work/e" "$work/apt")" "0 " "again: nothing to do, nothing to say"
is "$(wc -l <"$work/questions")" 1 "one question finds that out"
echo docker-registry >"$work/daemons"
is "$(status scripts/setup "$work/daemons") $(cat "$work/units")" "0 -q mask docker-registry" \
    "a daemon of which the program is wanted does not start"
echo broken >>"$work/list"
is "$(status scripts/setup "$work/list") $(cat "$work/e")" "1 setup: still missing after apt-get install: broken" \
    "what cannot be had is said"
touch "$work/no-network"
is "$(status scripts/setup "$work/list")" 1 "without a network it fails"
like "$(cat "$work/e")" "Could not resolve" "with what apt-get said"
like "$(cat "$work/e")" "sources" "and what to look at"
rm "$work/no-network"
mkdir "$work/plain"
for tool in sed sort grep dirname id; do ln -s "$(command -v $tool)" "$work/plain/"; done
is "$(status env PATH="$work/plain" scripts/setup)" 1 "another system"
like "$(cat "$work/e")" "not a Debian system: install these by hand: .*gcc" "is told what to install"
sed 's/#.*//; s/ *$//' scripts/packages | grep . >>"$work/there"
is "$(status scripts/setup) $(cat "$work/o" "$work/e" "$work/apt")" "0 " "the project's own list is read"

# --- an ordinary user ---
user=(setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$work/home")
mkdir "$work/home"
chown -R 65534:65534 "$work/home" "$work/tree"
chmod 666 "$work/apt" "$work/questions"
is "$(status "${user[@]}" make demo)" 2 "make demo ends for a user"
like "$(tr '\n' ' ' <"$work/e")" "needs root.*containers.*only root may.*cgroups.*Run: sudo make demo" "who is told why, and what to do"
is "$(cat "$work/apt")" "" "nothing was installed"
is "$(status "${user[@]}" scripts/setup "$work/list")" 1 "a user cannot install"
like "$(cat "$work/e")" "missing 1 package, and only root" "is told so"
like "$(cat "$work/e")" "^  apt-get install --no-install-recommends broken$" "and what root would do"
is "$(cat "$work/apt")" "" "nothing was tried"

# make check runs what a user can run. Building is not what this is about.
for tool in meson ninja; do
    printf '#!/bin/sh\necho "%s $*" >>%s/built\n' $tool "$work" >"$work/bin/$tool"
done
printf '#!/bin/sh\necho "tests: $*"\n' >scripts/tap
chmod +x "$work/bin/"* scripts/tap
touch "$work/built"
chmod 666 "$work/built"
is "$(status "${user[@]}" make check)" 0 "make check works for a user"
like "$(tr '\n' ' ' <"$work/e")" "not root: running the unit tests only.*which only root may.*as root" "who is told what is left out, and why"
is "$(grep '^tests:' "$work/o")" "tests: build unit" "and gets the unit tests"
is "$(status make check) $(grep '^tests:' "$work/o")" "0 tests: build unit system conformance" "root gets all of them"
is "$(cat "$work/apt")" "" "and nothing was installed"
done_testing
