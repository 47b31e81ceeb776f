#!/usr/bin/perl
# What is no protocol ends the connection, and nothing else: other users, nonsense, half frames,
# floods, descriptors. The daemon answers the next connection as if nothing had been.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::UNIX;
use Socket;
use Test::More;
use Time::HiRes qw(sleep time);

$SIG{PIPE} = 'IGNORE'; # it ends connections while we write to them: that is the point

my $top = $0 =~ m{^(.*)/tests/system/} ? $1 : '.';
my $build = $ENV{XENO_BUILD} // "$top/build";
my $work = tempdir('xeno-test.XXXXXX', DIR => '/var/tmp', CLEANUP => 1);
chmod 0755, $work;
my @user = $> == 0 ? qw(setpriv --reuid 65534 --regid 65534 --clear-groups) : ();
if ($> == 0) { mkdir "$work/u"; chown 65534, 65534, "$work/u" }
else { mkdir "$work/u" }
my $socket = "$work/u/D/socket";

my $pid = fork;
if (!$pid) {
    open STDOUT, '>>', "$work/log";
    open STDERR, '>>', "$work/log";
    exec @user, "$build/src/taskd/xeno-taskd", "--dir=$work/u/D", '--instance=n2',
        $> == 0 ? '--peer-uid=0' : ();
    exit 127;
}
END { my $r = $?; if ($pid) { kill 'TERM', $pid; waitpid $pid, 0 } $? = $r }
for (1 .. 200) { last if -S $socket; sleep 0.05 }

sub dial { IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $socket) }
sub frame { my $text = shift; pack('N', length $text) . $text }
# What comes back within two seconds; '' at the end of the connection, undef for silence.
sub hear {
    my $s = shift;
    return undef unless IO::Select->new($s)->can_read(2);
    my $got = '';
    sysread $s, $got, 65540;
    return $got;
}
sub alive {
    my $s = dial() or return 0;
    syswrite $s, frame('{"id":7,"op":"describe"}');
    my $got = hear($s);
    return defined $got && $got =~ /"id":7,"ok":\{"drivers"/;
}
sub log_text { open my $f, '<', "$work/log" or return ''; local $/; return scalar <$f> }

SKIP: {
    skip 'only root can be somebody else', 1 if $> != 0;
    my $got = `setpriv --reuid 65534 --regid 65534 --clear-groups $build/src/taskd/tests/task-ask $socket describe 2>&1 & sleep 1; kill \$! 2>/dev/null`;
    like(log_text(), qr/peer.refused.*uid=65534/, 'another user is refused and logged');
}
ok(alive(), 'the right one is answered');

my @nonsense = (
    ['no frame', "GET / HTTP/1.0\r\n\r\n"],
    ['length 0', pack('N', 0)],
    ['length 65537', pack('N', 65537)],
    ['length 2^32-1', pack('N', 0xffffffff)],
    ['no JSON', frame('hello')],
    ['an array', frame('[]')],
    ['no op', frame('{"id":1}')],
    ['an unknown op', frame('{"id":1,"op":"format-disk"}')],
    ['an unknown member', frame('{"id":1,"op":"list","really":true}')],
    ['repeated members', frame('{"id":1,"id":2,"op":"list"}')],
    ['a path for a session', frame('{"id":1,"op":"destroy","session":"../../../../etc"}')],
    ['a path for a task',
        frame('{"id":1,"op":"logs","session":"aaaaaaaaaaaaaaaa","task":"../../x"}')],
    ['too deep', frame('{"id":1,"op":"list","x":' . '[' x 4000 . ']' x 4000 . '}')],
    ['a zero byte', frame("{\"id\":1,\"op\":\"li\0st\"}")],
    ['bad UTF-8', frame("{\"id\":1,\"op\":\"\xff\xfe\"}")],
);
for my $row (@nonsense) {
    my $s = dial();
    syswrite $s, $row->[1];
    is(hear($s), '', "$row->[0]: the connection ends");
}
ok(alive(), 'the next one is answered');

# Half a frame, and silence: it waits, and holds nobody else up.
my $slow = dial();
syswrite $slow, pack('N', 100) . '{"id"';
ok(alive(), 'half a frame holds nobody up');
close $slow;

# Byte by byte.
my $s = dial();
for my $byte (split //, frame('{"id":9,"op":"list"}')) { syswrite $s, $byte }
like(hear($s), qr/"id":9,"ok"/, 'a frame byte by byte is a frame');

# Many in one write.
$s = dial();
syswrite $s, join '', map { frame("{\"id\":$_,\"op\":\"list\"}") } 1 .. 200;
my ($all, $end) = ('', time + 5);
while (time < $end && $all !~ /"id":200,/) { my $got = hear($s) // last; $all .= $got }
is(scalar(() = $all =~ /"ok"/g), 200, '200 requests in one write get 200 answers');

# Connections beyond the limit are refused; when some end there is room again.
my @many = grep { defined } map { dial() } 1 .. 20;
sleep 0.3;
my $refused = grep { IO::Select->new($_)->can_read(0) } @many;
ok($refused >= 10, "connections are bounded ($refused of 20 refused)");
@many = ();
sleep 0.2;
ok(alive(), 'and there is room again');

# One who asks and never listens is cut off, and the daemon stays small.
$s = dial();
$s->blocking(0);
my $sent = 0;
my $ask = frame('{"id":1,"op":"describe"}') x 1000;
$end = time + 5;
while (time < $end) {
    my $n = syswrite $s, $ask;
    last if !defined $n && $!{EPIPE} || !defined $n && $!{ECONNRESET};
    $sent += $n if defined $n;
    sleep 0.01 if !defined $n;
}
ok(alive(), "one who never listens holds nobody up ($sent bytes asked)");
open my $status, '<', "/proc/$pid/status";
my ($rss) = map { /VmRSS:\s+(\d+)/ ? $1 : () } <$status>;
ok($rss < 32768, "and the daemon stays small ($rss KiB)");
done_testing();
