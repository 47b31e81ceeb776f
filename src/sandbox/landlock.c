/* src/sandbox/landlock.c - which part of the file system is left, by Landlock.
 *
 * System folders may be read, the given ones also written. Nothing may be executed, and no TCP port
 * may be bound any more (where the kernel can refuse that: ABI 4). Debian's header is of ABI 2, so
 * what came later is defined here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "sandbox/parts.h"
#include "sandbox/sandbox.h"

#define FS_REFER      (1ULL << 13) /* ABI 2: from one directory to another */
#define FS_TRUNCATE   (1ULL << 14) /* ABI 3 */
#define NET_BIND_TCP  (1ULL << 0)  /* ABI 4 */
#define RULE_NET_PORT 2

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define FS_WRITE                                                                                   \
    (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                     \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     FS_TRUNCATE)
#define FS_ALL                                                                                     \
    (FS_WRITE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                        \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)

struct ruleset {
    uint64_t fs;
    uint64_t net;
};

struct net_port {
    uint64_t access, port;
};

/* What libraries read: name look-up, certificates, time zones, locales, random numbers. */
static const char *const system_folders[] = { "/etc",        "/usr", "/lib", "/lib64",
                                              "/proc",       "/sys", "/run", "/dev/urandom",
                                              "/dev/random", NULL };
static const char *const system_sinks[] = { "/dev/null", NULL };

static int abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool xeno_sandbox_has_landlock(void)
{
    return abi() > 0;
}

static int allow(int ruleset, const char *path, uint64_t access, uint64_t handled,
                 struct xeno_err *err)
{
    xeno_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = { .parent_fd = fd };
    struct stat st;

    if (fd < 0)
        return 0; /* not on this machine */
    if (fstat(fd, &st) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.landlock", "stat '%s'", path);
    rule.allowed_access = access & handled & (S_ISDIR(st.st_mode) ? ~0ULL : FS_FILE);
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.landlock", "allow '%s'", path);
    return 0;
}

static int allow_all(int ruleset, const char *const *paths, uint64_t access, uint64_t handled,
                     struct xeno_err *err)
{
    for (; *paths; paths++) {
        int r = allow(ruleset, *paths, access, handled, err);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Port 0 stands for those that the kernel chooses: a connection from an address of one's own. */
static int allow_source(int ruleset, struct xeno_err *err)
{
    struct net_port rule = { .access = NET_BIND_TCP };

    if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.landlock",
                               "allow connections from an address");
    return 0;
}

int xeno_sandbox_landlock(const char *const *folders, const char *const *readable, bool serves,
                          bool moves, bool calls, struct xeno_err *err)
{
    uint64_t write = (serves ? FS_ALL & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE : FS_WRITE) |
                     (moves ? FS_REFER : 0);
    int version = abi(), r;
    struct ruleset rs = { .fs = version >= 3 ? FS_ALL : FS_ALL & ~FS_TRUNCATE,
                          .net = version >= 4 ? NET_BIND_TCP : 0 };
    xeno_autoclose int fd = -1;

    if (version < 1 || (moves && version < 2))
        return 0; /* the first one had no leave to move between directories */
    if (moves)
        rs.fs |= FS_REFER;
    fd = (int)syscall(SYS_landlock_create_ruleset, &rs, version >= 4 ? sizeof rs : sizeof rs.fs, 0);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "sandbox.landlock", "make a ruleset");
    r = allow_all(fd, system_folders, FS_READ, rs.fs, err);
    if (r == 0)
        r = allow_all(fd, system_sinks, FS_FILE, rs.fs, err);
    if (r == 0)
        r = allow_all(fd, folders, write, rs.fs, err);
    if (r == 0 && readable)
        r = allow_all(fd, readable, FS_READ, rs.fs, err);
    if (r == 0 && calls && rs.net)
        r = allow_source(fd, err);
    if (r < 0)
        return r;
    if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.landlock", "restrict the file system");
    return 0;
}
