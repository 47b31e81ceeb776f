/* src/sandbox/seccomp.c - the system calls that are left.
 *
 * The list is what sd-event, libmicrohttpd, GnuTLS, libcurl, SQLite, libxml2 and glibc's name
 * look-up use. Three kinds of answer: allowed (some only with certain arguments); EPERM for all
 * that is not on a list; death for what no library of ours asks for and only an attacker would.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "sandbox/parts.h"
#include "sandbox/sandbox.h"

static const char *const allowed[] = {
    /* files */
    "access",
    "chdir",
    "chmod",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fchown",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents64",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "pread64",
    "preadv",
    "pwrite64",
    "pwritev",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "stat",
    "statfs",
    "statx",
    "sync_file_range",
    "umask",
    "unlink",
    "unlinkat",
    "utimensat",
    "write",
    "writev",
    /* waiting */
    "clock_nanosleep",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "inotify_add_watch",
    "inotify_init1",
    "inotify_rm_watch",
    "nanosleep",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "signalfd4",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    /* sockets; socket and socketpair below */
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendfile",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    /* memory; mmap and mprotect below */
    "brk",
    "madvise",
    "memfd_create", /* the credential, which libcurl reads from a file only (http/client.c) */
    "mlock",
    "mlock2",
    "mremap",
    "msync",
    "munlock",
    "munmap",
    /* threads; clone below */
    "exit",
    "exit_group",
    "futex",
    "get_robust_list",
    "gettid",
    "membarrier",
    "restart_syscall",
    "rseq",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    /* signals; tgkill below */
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sigaltstack",
    /* asking */
    "capget",
    "clock_getres",
    "clock_gettime",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettimeofday",
    "getuid",
    "sysinfo",
    "time",
    "times",
    "uname",
};

/* Of a file server, besides. */
static const char *const serving[] = {
    "copy_file_range", "fchmodat2", "fchownat",  "fgetxattr", "flistxattr",  "fremovexattr",
    "fsetxattr",       "getxattr",  "lgetxattr", "listxattr", "llistxattr",  "lremovexattr",
    "lsetxattr",       "mknodat",   "openat2",   "preadv2",   "removexattr", "setxattr",
    "splice",          "symlinkat", "vmsplice",
};

static const char *const deadly[] = {
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "clock_settime",
    "delete_module",
    "execve",
    "execveat",
    "finit_module",
    "fork",
    "fsconfig",
    "fsmount",
    "fsopen",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "umount2",
    "unshare",
    "userfaultfd",
    "vfork",
};

bool xeno_sandbox_has_seccomp(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

/* A name this processor does not have is passed over. */
static int add(scmp_filter_ctx f, uint32_t action, const char *name, unsigned count,
               const struct scmp_arg_cmp *args)
{
    int nr = seccomp_syscall_resolve_name(name), r;

    if (nr == __NR_SCMP_ERROR || nr < 0)
        return 0;
    r = seccomp_rule_add_array(f, action, nr, count, args);
    return r == -EEXIST ? 0 : r;
}

static int allow_if(scmp_filter_ctx f, const char *name, struct scmp_arg_cmp cmp)
{
    return add(f, SCMP_ACT_ALLOW, name, 1, &cmp);
}

static int allow_sockets(scmp_filter_ctx f)
{
    /* Netlink: getaddrinfo() asks which kinds of address the machine has. */
    static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
    int r = allow_if(f, "socketpair", SCMP_A0(SCMP_CMP_EQ, AF_UNIX));

    for (size_t i = 0; r == 0 && i < XENO_LEN(families); i++)
        r = allow_if(f, "socket", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    return r;
}

/* No memory is ever both written and executed; libraries may still be loaded from files. */
static int allow_memory(scmp_filter_ctx f)
{
    const scmp_datum_t wx = PROT_WRITE | PROT_EXEC;
    const scmp_datum_t parts[] = { 0, PROT_WRITE, PROT_EXEC };
    int r = allow_if(f, "mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    for (size_t i = 0; r == 0 && i < XENO_LEN(parts); i++)
        r = allow_if(f, "mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, wx, parts[i]));
    return r;
}

/* Threads, not processes. The flags of clone3 are out of a filter's sight: glibc falls back to
 * clone when it is told that there is no clone3. */
static int allow_threads(scmp_filter_ctx f)
{
    int r = allow_if(
        f, "clone",
        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS, CLONE_THREAD));

    if (r == 0)
        r = add(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
    if (r == 0)
        r = allow_if(f, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    return r;
}

static int allow_some_arguments(scmp_filter_ctx f)
{
    /* TCGETS is isatty(). */
    static const unsigned long requests[] = { FIONBIO,  FIONREAD,   FIOCLEX,
                                              FIONCLEX, TIOCGWINSZ, TCGETS };
    int r = allow_sockets(f);

    if (r == 0)
        r = allow_memory(f);
    if (r == 0)
        r = allow_threads(f);
    if (r == 0) /* abort() */
        r = allow_if(f, "tgkill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (r == 0) /* reading a limit, not setting one */
        r = allow_if(f, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0));
    for (size_t i = 0; r == 0 && i < XENO_LEN(requests); i++)
        r = allow_if(f, "ioctl", SCMP_A1(SCMP_CMP_EQ, requests[i]));
    return r;
}

static int fill(scmp_filter_ctx f, bool serves)
{
    int r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

    if (r == 0)
        r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; r == 0 && i < XENO_LEN(allowed); i++)
        r = add(f, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
    for (size_t i = 0; r == 0 && serves && i < XENO_LEN(serving); i++)
        r = add(f, SCMP_ACT_ALLOW, serving[i], 0, NULL);
    for (size_t i = 0; r == 0 && i < XENO_LEN(deadly); i++)
        r = add(f, SCMP_ACT_KILL_PROCESS, deadly[i], 0, NULL);
    if (r == 0)
        r = allow_some_arguments(f);
    return r;
}

int xeno_sandbox_seccomp(bool serves, struct xeno_err *err)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r;

    if (!f)
        return xeno_fail(err, -ENOMEM, "sandbox.seccomp", "no memory for a filter");
    r = fill(f, serves);
    if (r == 0)
        r = seccomp_load(f);
    seccomp_release(f);
    if (r < 0)
        return xeno_fail_errno(err, r, "sandbox.seccomp", "load the system call filter");
    return 0;
}
