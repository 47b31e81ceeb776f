/* src/task/oci/seccomp.c - the filter of system calls of a session's programs. */
#include "task/oci/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/io.h"

#define FILTER_MAX_BYTES (4096 * 8) /* what the kernel takes */

/* CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET */
#define CLONE_NEW_ANYTHING 0x7e020000

static const char allowed[] =
    "_llseek _newselect accept accept4 access alarm arch_prctl bind brk cachestat capget "
    "capset chdir chmod chown chown32 chroot clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect "
    "copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old "
    "epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat "
    "exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
    "fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync "
    "fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs "
    "fstatfs64 fsync ftruncate ftruncate64 futex futex_time64 futex_waitv futimesat "
    "get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
    "getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 "
    "getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid "
    "gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 "
    "io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat "
    "listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise "
    "map_shadow_stack mbind membarrier memfd_create memfd_secret mincore mkdir mkdirat "
    "mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr "
    "mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock "
    "munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause "
    "pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect "
    "poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease "
    "process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev "
    "pwritev2 read readahead readdir readlink readlinkat readv recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 "
    "restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr "
    "sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp "
    "select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 "
    "sendmmsg sendmsg sendto set_mempolicy set_robust_list set_thread_area set_tid_address "
    "setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 "
    "setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid "
    "setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr "
    "shmat shmctl shmdt shmget shutdown sigaction sigaltstack signal signalfd signalfd4 "
    "sigpending sigprocmask sigreturn sigsuspend socketcall socketpair splice stat stat64 "
    "statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill "
    "time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 "
    "timer_settime timer_settime64 timerfd timerfd_create timerfd_gettime timerfd_gettime64 "
    "timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask "
    "uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice wait4 "
    "waitid waitpid write writev";

/* Known, and not for strangers. All else is "not implemented". */
static const char refused[] =
    "acct add_key adjtimex bdflush bpf clock_adjtime clock_adjtime64 clock_settime "
    "clock_settime64 create_module delete_module fanotify_init finit_module fsconfig "
    "fsmount fsopen fspick get_kernel_syms init_module io_uring_enter io_uring_register "
    "io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie "
    "migrate_pages mount mount_setattr move_mount move_pages nfsservctl nice "
    "open_by_handle_at open_tree perf_event_open pivot_root process_madvise query_module "
    "quotactl quotactl_fd reboot request_key setdomainname sethostname setns settimeofday "
    "stime swapoff swapon sysfs syslog umount umount2 unshare uselib userfaultfd ustat "
    "vhangup vm86 vm86old";

/* Calls that depend on one argument. */
static const struct {
    const char *name;
    unsigned arg;
    enum scmp_compare op;
    uint64_t value, mask; /* mask only for MASKED_EQ, where (argument & value) == mask */
} depends[] = {
    { "clone", 0, SCMP_CMP_MASKED_EQ, CLONE_NEW_ANYTHING, 0 },
    { "personality", 0, SCMP_CMP_EQ, 0x0, 0 },
    { "personality", 0, SCMP_CMP_EQ, 0x0008, 0 },
    { "personality", 0, SCMP_CMP_EQ, 0x20000, 0 },
    { "personality", 0, SCMP_CMP_EQ, 0x20008, 0 },
    { "personality", 0, SCMP_CMP_EQ, 0xffffffff, 0 },
    { "socket", 0, SCMP_CMP_NE, AF_VSOCK, 0 },
};

/* --- for runtimes that compile it themselves --- */

static const char *op_name(enum scmp_compare op)
{
    return op == SCMP_CMP_EQ   ? "SCMP_CMP_EQ"
           : op == SCMP_CMP_NE ? "SCMP_CMP_NE"
                               : "SCMP_CMP_MASKED_EQ";
}

/* names: words with spaces between. */
static struct xeno_json *rule(const char *action, int error, const char *names)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *list = xeno_json_array();
    xeno_autofree char *copy = xeno_strdup(names);

    for (char *save, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        xeno_json_append_str(list, w);
    xeno_json_set(obj, "names", list);
    xeno_json_set_str(obj, "action", action);
    if (error > 0)
        xeno_json_set_int(obj, "errnoRet", error);
    return obj;
}

struct xeno_json *xeno_oci_seccomp_json(void)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *arches = xeno_json_array();
    struct xeno_json *calls = xeno_json_array();

    xeno_json_set_str(obj, "defaultAction", "SCMP_ACT_ERRNO");
    xeno_json_set_int(obj, "defaultErrnoRet", ENOSYS);
#ifdef __x86_64__
    xeno_json_append_str(arches, "SCMP_ARCH_X86_64");
    xeno_json_append_str(arches, "SCMP_ARCH_X86");
#endif
    xeno_json_set(obj, "architectures", arches);
    xeno_json_append(calls, rule("SCMP_ACT_ALLOW", 0, allowed));
    xeno_json_append(calls, rule("SCMP_ACT_ERRNO", EPERM, refused));
    for (size_t i = 0; i < XENO_LEN(depends); i++) {
        struct xeno_json *one = rule("SCMP_ACT_ALLOW", 0, depends[i].name);
        struct xeno_json *args = xeno_json_array();
        struct xeno_json *arg = xeno_json_object();

        xeno_json_set_int(arg, "index", depends[i].arg);
        xeno_json_set_int(arg, "value", (int64_t)depends[i].value);
        xeno_json_set_int(arg, "valueTwo", (int64_t)depends[i].mask);
        xeno_json_set_str(arg, "op", op_name(depends[i].op));
        xeno_json_append(args, arg);
        xeno_json_set(one, "args", args);
        xeno_json_append(calls, one);
    }
    xeno_json_set(obj, "syscalls", calls);
    return obj;
}

/* --- compiled --- */

/* A name that this kernel's architecture does not have is passed over. */
static int add_calls(scmp_filter_ctx ctx, uint32_t action, const char *names)
{
    xeno_autofree char *copy = xeno_strdup(names);
    int r = 0;

    for (char *save, *w = strtok_r(copy, " ", &save); w && r == 0; w = strtok_r(NULL, " ", &save)) {
        int nr = seccomp_syscall_resolve_name(w);

        if (nr != __NR_SCMP_ERROR)
            r = seccomp_rule_add(ctx, action, nr, 0);
    }
    return r;
}

static int add_rules(scmp_filter_ctx ctx)
{
    int r;

    r = add_calls(ctx, SCMP_ACT_ALLOW, allowed);
    if (r == 0)
        r = add_calls(ctx, SCMP_ACT_ERRNO(EPERM), refused);
    for (size_t i = 0; r == 0 && i < XENO_LEN(depends); i++) {
        struct scmp_arg_cmp cmp = { .arg = depends[i].arg,
                                    .op = depends[i].op,
                                    .datum_a = depends[i].value,
                                    .datum_b = depends[i].mask };

        r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
                                   seccomp_syscall_resolve_name(depends[i].name), 1, &cmp);
    }
    return r;
}

static char *base64(const unsigned char *in, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = xeno_alloc0((len + 2) / 3 * 4 + 1, 1), *o = out;

    for (size_t i = 0; i < len; i += 3) {
        unsigned n = (unsigned)in[i] << 16 | (i + 1 < len ? (unsigned)in[i + 1] << 8 : 0) |
                     (i + 2 < len ? in[i + 2] : 0);

        *o++ = digits[n >> 18];
        *o++ = digits[n >> 12 & 63];
        *o++ = i + 1 < len ? digits[n >> 6 & 63] : '=';
        *o++ = i + 2 < len ? digits[n & 63] : '=';
    }
    return out;
}

static int export_filter(scmp_filter_ctx ctx, char **ret)
{
    xeno_autoclose int fd = memfd_create("filter", MFD_CLOEXEC);
    xeno_autofree char *program = NULL;
    size_t len;
    int r;

    r = seccomp_export_bpf(ctx, fd);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r == 0)
        r = xeno_read_all(fd, FILTER_MAX_BYTES, &program, &len);
    if (r == 0)
        *ret = base64((const unsigned char *)program, len);
    return r;
}

int xeno_oci_seccomp_bpf(char **ret, struct xeno_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int r = ctx ? 0 : -ENOMEM;

#ifdef __x86_64__
    if (r == 0)
        r = seccomp_arch_add(ctx, SCMP_ARCH_X86);
#endif
    if (r == 0) /* binary search instead of a list: fewer instructions for each call */
        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r == 0)
        r = add_rules(ctx);
    if (r == 0)
        r = export_filter(ctx, ret);
    if (ctx)
        seccomp_release(ctx);
    return r < 0 ? xeno_fail_errno(err, r, "oci.seccomp", "compile the filter of system calls") : 0;
}
