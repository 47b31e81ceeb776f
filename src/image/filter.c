/* src/image/filter.c - Landlock and the list of system calls of a confined child.
 *
 * Both are spelt out as the kernel takes them: two short tables, in a process that is about to read
 * what a stranger wrote, are easier to be sure of than a library's compiler.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/confine.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#error "say here which AUDIT_ARCH this machine is"
#endif

#define FS_ALL_V1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* every right of version 1 */
#define FS_REFER  (1ULL << 13)                             /* version 2 */
#define FS_TRUNC  (1ULL << 14)                             /* version 3 */

int xeno_confine_landlock(int dirfd, enum xeno_confine_files files)
{
    struct landlock_ruleset_attr attr = { .handled_access_fs = FS_ALL_V1 };
    struct landlock_path_beneath_attr beneath = { .parent_fd = dirfd };
    xeno_autoclose int set = -1;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (version < 0)
        return -errno;
    if (version < 2)
        return -EOPNOTSUPP; /* it would refuse every hard link between two folders */
    attr.handled_access_fs |= FS_REFER;
    if (version >= 3)
        attr.handled_access_fs |= FS_TRUNC;
    set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
    if (set < 0)
        return -errno;
    beneath.allowed_access = files == XENO_CONFINE_READ
                                 ? LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR
                                 : attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
    if (dirfd >= 0 && syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0))
        return -errno;
    if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
        return -errno;
    return 0;
}

/* Reading, writing, memory without execution, time, the end. */
static const int calls_always[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_close,
    SYS_recvfrom,
    SYS_sendto,
    SYS_shutdown,
    SYS_fstat,
    SYS_lseek,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigreturn,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_sigaltstack,
    SYS_futex,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_sched_yield,
    SYS_ppoll,
    SYS_restart_syscall,
    SYS_mmap,
    SYS_mprotect,
    SYS_newfstatat,
#ifdef SYS_poll
    SYS_poll,
#endif
};

/* With a folder: reading what is in it. */
static const int calls_reading[] = {
    SYS_openat,    SYS_getdents64, SYS_readlinkat, SYS_flistxattr,
    SYS_fgetxattr, SYS_pread64,    SYS_fcntl,
};

/* With a folder: making things in it. */
static const int calls_writing[] = {
    SYS_openat,    SYS_openat2,   SYS_mkdirat,  SYS_symlinkat, SYS_linkat,   SYS_mknodat,
    SYS_unlinkat,  SYS_fchown,    SYS_fchmod,   SYS_fchownat,  SYS_fchmodat, SYS_utimensat,
    SYS_fsetxattr, SYS_ftruncate, SYS_pwrite64, SYS_fcntl,
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define DENY        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

#define PROGRAM_MAX 160

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
};

static void add(struct program *p, struct sock_filter op)
{
    p->code[p->len++] = op;
}

/* If the number in the accumulator is `nr`, allow. */
static void add_calls(struct program *p, const int *nrs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nrs[i], 0, 1));
        add(p, (struct sock_filter)ALLOW);
    }
}

/* Memory that is executable is refused: nothing new can be run. Leaves the number loaded. */
static void add_no_exec(struct program *p, int nr)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 4));
    add(p, (struct sock_filter)LOAD(args[2]));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
    add(p, (struct sock_filter)DENY);
    add(p, (struct sock_filter)LOAD(nr));
}

int xeno_confine_syscalls(enum xeno_confine_files files)
{
    struct program p = { .len = 0 };
    struct sock_fprog prog;

    _Static_assert(XENO_LEN(calls_always) * 2 + XENO_LEN(calls_writing) * 2 + 24 < PROGRAM_MAX,
                   "the filter does not fit");
    add(&p, (struct sock_filter)LOAD(arch));
    add(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    add(&p, (struct sock_filter)DENY);
    add(&p, (struct sock_filter)LOAD(nr));
    add_no_exec(&p, SYS_mmap);
    add_no_exec(&p, SYS_mprotect);
    add_calls(&p, calls_always, XENO_LEN(calls_always));
    if (files == XENO_CONFINE_READ)
        add_calls(&p, calls_reading, XENO_LEN(calls_reading));
    if (files == XENO_CONFINE_WRITE)
        add_calls(&p, calls_writing, XENO_LEN(calls_writing));
    add(&p, (struct sock_filter)DENY);
    prog = (struct sock_fprog){ .len = p.len, .filter = p.code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
        return -errno;
    return 0;
}
