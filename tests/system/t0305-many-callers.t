#!/bin/bash
# Who calls a session from the same machine is told apart, so that nobody waits for another.
#
# A server that closes first keeps a finished connection for a minute (TIME-WAIT). A new one from the
# same address and port is taken at once when its clock has gone on; if it is somebody else's, with
# another clock, it is turned away and tries again a second later. So no two callers may share address
# and port: here each has 64 ports for 300 connections (of 128: the kernel gives out even ones first).
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/net.sh"
in_a_world "$@"
command -v ab >/dev/null || skip_all "no ab (apache2-utils)"

net add a 10.77.0.2 0 0 tcp:8081:80 || bail "cannot add a session"
net add b 10.77.0.3 0 0
net add c 10.77.0.4 0 0
mkdir "$work/www"
echo page >"$work/www/index.html"
few_ports() { "$@" sysctl -q -w net.ipv4.ip_local_port_range='40000 40127'; }
few_ports env
few_ports inside b
few_ports inside c
background httpd nsenter --net="$run/netns/a" busybox httpd -f -p 0.0.0.0:80 -h "$work/www"
wait_for 5 curl -sf http://10.77.0.2/

# answered COMMAND... URL: how many of 100 calls, one after the other, were.
answered() {
    "${@:1:$#-1}" ab -q -n 100 -c 1 "${@: -1}" 2>&1 | awk '/^Complete requests/ { print $3 }'
}
# number NAME COMMAND...: of a network namespace's counters.
number() { "${@:2}" nstat -asz "$1" | awk -v n="$1" '$1 == n { print int($2) }'; }
# callers: what the session's finished connections say who called, ADDRESS:PORT.
callers() { inside a ss -Htn state time-wait | awk '{ print $4 }'; }

for turn in 1 2 3; do
    is "$(answered env http://10.77.0.2/)" 100 "turn $turn: the host, by the session's address"
    is "$(answered env http://127.0.0.1:8081/)" 100 "the host, by the published port at 127.0.0.1"
    is "$(answered inside b http://198.51.100.1:8081/)" 100 "a session, by the published port"
    is "$(answered inside c http://198.51.100.1:8081/)" 100 "another session"
done
is "$(callers | cut -d: -f1 | sort -u | xargs)" "10.77.0.1 10.77.0.3 10.77.0.4 10.77.255.255" \
    "each is seen by an address of its own"
is "$(callers | awk -F: '$2 < 40000 || $2 > 40127' | wc -l)" 0 "and by the port it called from"
is "$(number TcpExtPAWSTimewait inside a)" 0 "nobody was taken for somebody else"
for who in env "inside b" "inside c"; do
    # shellcheck disable=SC2086
    is "$(number TcpExtTCPSynRetrans $who)" 0 "no call had to be repeated ($who)"
done
done_testing
