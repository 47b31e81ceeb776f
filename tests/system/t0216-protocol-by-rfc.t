#!/bin/bash
# The example of rfc/0003, word by word: what it says is sent to a task manager is sent, and what it says
# comes back comes back. By an ordinary user, on the null driver; with nothing of ours to speak it.
. "$(dirname "$0")/../lib/tap.sh"
as=()
[ "$(id -u)" = 0 ] && as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
mkdir "$work/u"
[ "$(id -u)" = 0 ] && chown 65534:65534 "$work/u"
rfc=$top/rfc/0003-task-protocol.md

# Standard input: the example, one "> BODY" or "< BODY" a line. Prints "ok" or "not ok" and the line.
cat >"$work/replay.pl" <<'PERL'
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;
$SIG{ALRM} = sub { die "no more frames\n" };
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0], Type => SOCK_STREAM) or die "connect: $!\n";
my @come;
sub take { # exactly N bytes
    my ($n, $b) = (shift, '');
    while (length($b) < $n) { sysread($s, $b, $n - length($b), length($b)) or die "closed\n"; }
    return $b;
}
sub has { # is everything of WANT in GOT?
    my ($want, $got) = @_;
    return 0 unless defined $got && ref($want) eq ref($got);
    if (ref($want) eq 'HASH') { return !grep { !has($want->{$_}, $got->{$_}) } keys %$want; }
    if (ref($want) eq 'ARRAY') {
        return @$want == @$got && !grep { !has($want->[$_], $got->[$_]) } 0 .. $#$want;
    }
    return $want eq $got;
}
sub comes { # until it is among what came; each is taken once
    my $want = shift;
    alarm 20;
    for (my $i = 0;; $i++) {
        push @come, decode_json(take(unpack 'N', take(4))) if $i > $#come;
        next unless has($want, $come[$i]);
        splice @come, $i, 1;
        alarm 0;
        return 1;
    }
}
while (my $line = <STDIN>) {
    chomp $line;
    my ($way, $body) = split / /, $line, 2;
    my $json = decode_json($body);
    my $good = $way eq '>' ? syswrite($s, pack('N/a*', $body)) : eval { comes($json) };
    print $good ? "ok" : "not ok", " $line\n";
    print map { "got " . encode_json($_) . "\n" } @come unless $good;
    last unless $good;
}
PERL
chmod 644 "$work/replay.pl"
# Lines of the example; what is indented by more belongs to the line before.
awk '/^## 7/ { on = 1 } !on { next }
     /^    [<>] / { if (text) print text; text = substr($0, 5); next }
     /^       "/ && text { sub(/^ +/, ""); text = text $0; next }
     text { print text; text = "" }
     END { if (text) print text }' "$rfc" >"$work/example"
ok "the example has requests and replies" [ "$(cut -c1 "$work/example" | sort | uniq -c | xargs)" = "12 < 10 >" ]

background taskd "${as[@]}" xeno-taskd --dir="$work/u/D" --instance=n1
ok "a task manager starts" wait_for 10 test -S "$work/u/D/socket" || bail "xeno-taskd" "$(cat "$work/taskd.log")"
"${as[@]}" perl "$work/replay.pl" "$work/u/D/socket" <"$work/example" >"$work/out" 2>&1
while IFS= read -r line; do
    ok "$line" grep -qxF "ok $line" "$work/out" || sed 's/^/# /' "$work/out"
done <"$work/example"
done_testing
