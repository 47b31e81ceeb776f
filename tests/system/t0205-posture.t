#!/bin/bash
# What a stranger's program finds inside, and what it cannot do. And what the daemon itself may do.
. "$(dirname "$0")/../lib/tap.sh"
need_root
. "$(dirname "$0")/t02-lib.sh"
make_layer
export NOTIFY_SOCKET=$work/notify # as a service manager sets it
start_taskd || bail "xeno-taskd does not start" "$(cat "$work/taskd.log")"

s=aaaaaaaaaaaaaaaa
create $s cpu=1000 address=$net.5 >/dev/null
ask start $s t1 -- sleep 1000 >/dev/null
inside() { ask exec $s "e$RANDOM" -- sh -c "$1" </dev/null 2>&1; }
pid=$(cat "$work/D/sessions/$s/tasks/t1/pid")

is "$(awk '/^Uid/ {print $2}' /proc/$pid/status)" $subid "its root is a subordinate user of the host"
not_ok "in a user namespace of its own" test "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)"
for ns in pid mnt ipc uts net cgroup; do
    not_ok "and a $ns namespace" test "$(readlink /proc/$pid/ns/$ns)" = "$(readlink /proc/self/ns/$ns)"
done
status=$(inside 'cat /proc/self/status')
like "$status" 'CapBnd:.00000000a80425fb' "no capability beyond those of a default container"
like "$status" 'NoNewPrivs:.1' "no new privileges"
like "$status" 'Seccomp:.2' "a filter of system calls"
like "$(inside 'mknod /tmp/x b 254 0')" 'not permitted' "no device can be made"
like "$(inside 'mount -t tmpfs x /tmp')" 'denied|not permitted' "nothing can be mounted"
like "$(inside 'unshare -U true')" 'not permitted' "no user namespace can be made"
like "$(inside 'chroot / true && echo fine')" fine "but chroot works, as in a default container"
like "$(inside 'dmesg')" 'not permitted' "the kernel's log is closed"
like "$(inside 'date -s 2001-01-01')" 'not permitted' "the clock cannot be set"
like "$(inside 'echo 1 >/proc/sys/kernel/sysrq; echo b >/proc/sysrq-trigger; echo 1 >/sys/kernel/mm/ksm/run')" \
    'Read-only.*' "/proc/sys, sysrq and /sys are read-only"
is "$(inside 'mount | grep -c " /sys .*ro,"')" 1 "/sys is mounted so"
is "$(inside 'cut -d" " -f5 /proc/self/mountinfo | grep -c /var/tmp')" 0 "no mount tells of the host's folders"
is "$(inside 'ls /sys/class/net' | tr '\n' ' ')" "eth0 lo " "and shows its own network alone"
is "$(inside 'cat /proc/kcore /proc/timer_list 2>/dev/null | wc -c')" 0 "/proc/kcore and others are masked"
is "$(inside 'ls /sys/firmware' )" "" "/sys/firmware is masked"
ok "only its own few processes are seen" test "$(inside 'ls -d /proc/[0-9]* | wc -l')" -le 6
not_ok "the host's processes are not there" inside "test -e /proc/$taskd_pid/status -a $taskd_pid -gt 1000"
is "$(inside 'find /dev -type b | wc -l')" 0 "no block device"
is "$(inside 'ls /dev | grep -vxE "core|fd|full|mqueue|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero"')" "" \
    "no device but those of every container"
is "$(inside 'echo $(( $(ulimit -c) + 0 ))')" 0 "no core dumps to the host"
like "$(inside 'cat /proc/self/cgroup')" ':/$' "its cgroup looks like the root"
like "$(inside 'ls /sys/fs/cgroup')" '^$' "and control groups are not to be seen"
is "$(inside 'kill -9 1; echo alive')" alive "its first process is safe from itself"
like "$(inside "cat $work/D/lock $work/D/sessions/$s/session.json")" 'No such file' "the host's files are not there"

# whoever else is on the machine
not_ok "another user of the host cannot enter the folder" \
    setpriv --reuid 65534 --regid 65534 --clear-groups ls "$work/D/sessions/$s"
not_ok "nor read a log" setpriv --reuid 65534 --regid 65534 --clear-groups cat "$work/D/sessions/$s/tasks/t1/log"
not_ok "nor talk to the daemon" \
    setpriv --reuid 65534 --regid 65534 --clear-groups timeout 2 task-ask "$socket" describe

# the daemon
is "$(find /proc/$taskd_pid/fd -lname 'socket:*' | wc -l | awk '{print ($1 > 0)}')" 1 "the daemon has sockets"
is "$(nsenter -t $taskd_pid -n ip -o link 2>/dev/null | grep -vc ' lo:')" 0 \
    "but lives in a network namespace with nothing in it"
is "$(nsenter -t $taskd_pid -n ss -Hltun 2>/dev/null | wc -l)" 0 "and listens on no port"
is "$(awk '/NoNewPrivs/ {print $2}' /proc/$taskd_pid/status)" 1 "it cannot gain privileges"
caps=$((16#$(awk '/CapBnd/ {print $2}' /proc/$taskd_pid/status)))
for cap in 16:sys_module 17:sys_rawio 22:sys_boot 25:sys_time 34:syslog; do
    is $((caps >> ${cap%%:*} & 1)) 0 "it gave up ${cap##*:}"
done

rouser=$(pgrep -P $taskd_pid -x xeno-rouser)
is "$(awk '/^CapPrm|^CapEff|^CapBnd/ {print $2}' /proc/$rouser/status | uniq)" 0000000000000000 \
    "the process that keeps the cgroups' lock awake has no rights"
is "$(ls /proc/$rouser/fd | wc -l)" 2 "and nothing open but its way in and its way out"
like "$(readlink /proc/$rouser/fd/1)" 'daemons/cgroup.procs$' "which leads to the daemons' own group"

# the runtime, through which a container's first process comes
cp /bin/sh "$work/program"
keeps_itself='exec 3</proc/$$/exe; exec /bin/sh -c "echo >>/proc/self/fd/3"'
like "$("$build/src/task/xeno-crun" --xeno-run "$work/program" -c "$keeps_itself" 2>&1)" 'Read-only file system' \
    "nobody can write the runtime's program through a process of it"

# the supervisors: of conmon nothing is left in the namespaces of others
conmon=$(cat "$work/D/sessions/$s/tasks/t1/conmon.pid")
is "$(readlink /proc/$conmon/ns/mnt)" "$(readlink /proc/$taskd_pid/ns/mnt)" \
    "conmon holds no copy of anybody's mounts"

ask destroy $s >/dev/null
is "$(leftovers)" "" "nothing is left"
done_testing
