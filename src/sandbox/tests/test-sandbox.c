/* src/sandbox/tests/test-sandbox.c - each case is a process of its own, since none can leave. */
#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "db/db.h"

static char dir[64];

/* --- what is tried: each returns 0 when the call worked, else its errno --- */

static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int do_ptrace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, 0, 0));
}
static int do_mount(void)
{
    return result(mount("none", "/mnt", "tmpfs", 0, NULL));
}
static int do_unshare(void)
{
    return result(unshare(CLONE_NEWUSER));
}
static int do_exec(void)
{
    return result(execl("/bin/true", "true", (char *)NULL));
}
static int do_fork(void)
{
    return result(fork());
}
static int do_raw_fork(void)
{
    return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}
static int do_io_uring(void)
{
    return result(syscall(SYS_io_uring_setup, 1, NULL));
}
static int do_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}
static int do_raw_socket(void)
{
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int do_write_and_execute(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}
static int do_make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? 0 : result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int do_kill(void)
{
    return result(kill(1, 0));
}
static int do_setuid(void)
{
    return result(setuid(0));
}
static int do_raise_limit(void)
{
    return result(syscall(SYS_prlimit64, 0, 7, "12345678123456781234567812345678", NULL));
}
static int do_write_elsewhere(void)
{
    return result(open("/tmp/xeno-test-sandbox-elsewhere", O_WRONLY | O_CREAT, 0600));
}
static int do_read_elsewhere(void)
{
    return result(open("/root", O_RDONLY | O_DIRECTORY));
}
/* "/var/lib" is given for reading only. */
static int do_read_given(void)
{
    return result(open("/var/lib", O_RDONLY | O_DIRECTORY));
}
static int do_write_given(void)
{
    return result(open("/var/lib/xeno-test-sandbox", O_WRONLY | O_CREAT, 0600));
}
static int do_bind(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return result(bind(fd, (struct sockaddr *)&a, sizeof a));
}
static int do_bind_named(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(32109),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return result(bind(fd, (struct sockaddr *)&a, sizeof a));
}
/* Every set is empty; an ordinary user cannot cut the bounding set, which then is of no use to it.
 */
static int do_capabilities(void)
{
    static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "CapBnd:" };
    xeno_autofree char *text = NULL;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    size_t len;

    if (fd < 0 || xeno_read_all(fd, 65536, &text, &len) < 0)
        return 255;
    for (size_t i = 0; i < XENO_LEN(sets) - (geteuid() == 0 ? 0 : 1); i++) {
        const char *p = strstr(text, sets[i]);

        if (!p || strtoull(p + 7, NULL, 16) != 0)
            return 254;
    }
    return strstr(text, "NoNewPrivs:\t1") ? 0 : 253;
}

/* --- and what must still work --- */

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}
static int do_thread(void)
{
    int ran = 0;
    pthread_t t;
    int r = pthread_create(&t, NULL, thread, &ran);

    if (r == 0)
        pthread_join(t, NULL);
    return r ? r : !ran;
}
static int do_lookup(void)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res = NULL;
    int r = getaddrinfo("localhost", "80", &hints, &res);

    if (r == 0)
        freeaddrinfo(res);
    return r;
}
static int do_database(void)
{
    static const char *const steps[] = { "CREATE TABLE t (a bigint)" };
    xeno_auto(xeno_db) db = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    char url[96];
    int r;

    snprintf(url, sizeof url, "sqlite:%s/sandbox.db", dir);
    r = xeno_db_open(url, &db, &err);
    if (r == 0)
        r = xeno_db_migrate(db, steps, 1, &err);
    for (int i = 0; r >= 0 && i < 3000; i++) /* past a checkpoint of the journal */
        r = xeno_db_run(db, &err, "INSERT INTO t VALUES ($1)", "i", (int64_t)i);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    return r < 0 ? -r : 0;
}
static int do_files(void)
{
    char path[96];

    snprintf(path, sizeof path, "%s/file", dir);
    return -xeno_file_write(AT_FDCWD, path, 0600, "x", 1, NULL);
}
/* What only a file server does: another kind of file, moved from one directory to another. */
static int do_serve(void)
{
    char a[96], b[96];

    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b/pipe", dir);
    unlink(b);
    mkdir(a, 0700);
    snprintf(a, sizeof a, "%s/b", dir);
    mkdir(a, 0700);
    snprintf(a, sizeof a, "%s/a/pipe", dir);
    unlink(a);
    if (mknodat(AT_FDCWD, a, S_IFIFO | 0600, 0) < 0)
        return errno;
    return result(rename(a, b));
}
static int do_connect(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(1) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = result(connect(fd, (struct sockaddr *)&a, sizeof a));

    return r == EINPROGRESS || r == ECONNREFUSED ? 0 : r;
}
static int do_epoll(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int ep = epoll_create1(EPOLL_CLOEXEC), pair[2];

    if (ep < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return errno;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &ev) < 0 || write(pair[1], "x", 1) != 1)
        return errno;
    return epoll_wait(ep, &ev, 1, 1000) == 1 ? 0 : errno;
}

enum { KILLED = -1 };

static const struct {
    const char *name;
    int (*try)(void);
    int want; /* errno, 0, or KILLED */
    bool needs_landlock;
    const char *profile; /* NULL: that of a daemon */
} rows[] = {
    { "ptrace", do_ptrace, KILLED },
    { "mount", do_mount, KILLED },
    { "unshare", do_unshare, KILLED },
    { "exec", do_exec, KILLED },
    { "io_uring", do_io_uring, KILLED },
    { "bpf", do_bpf, KILLED },
    { "fork", do_fork, EPERM },
    { "raw fork", do_raw_fork, EPERM },
    { "raw socket", do_raw_socket, EPERM },
    { "write and execute", do_write_and_execute, EPERM },
    { "make executable", do_make_executable, EPERM },
    { "kill", do_kill, EPERM },
    { "setuid", do_setuid, EPERM },
    { "raise a limit", do_raise_limit, EPERM },
    { "capabilities", do_capabilities, 0 },
    { "write elsewhere", do_write_elsewhere, EACCES, true },
    { "read elsewhere", do_read_elsewhere, EACCES, true },
    { "bind a port", do_bind, EACCES, true },
    { "bind an address, who calls", do_bind, 0, false, "xenod-calls" },
    { "it may not bind a port of its choice", do_bind_named, EACCES, true, "xenod-calls" },
    { "write what may be read", do_write_given, EACCES, true },
    { "read what may be read", do_read_given, 0 },
    { "thread", do_thread, 0 },
    { "look-up", do_lookup, 0 },
    { "database", do_database, 0 },
    { "files", do_files, 0 },
    { "connect", do_connect, 0 },
    { "epoll", do_epoll, 0 },
    { "serve files", do_serve, EPERM },
    { "serve files as a server of them", do_serve, 0, false, "cowfs" },
    { "it may not mount", do_mount, KILLED, false, "cowfs" },
    { "it may not exec", do_exec, KILLED, false, "cowfs" },
    { "it may not write elsewhere", do_write_elsewhere, EACCES, true, "cowfs" },
    { "it may not read elsewhere", do_read_elsewhere, EACCES, true, "cowfs" },
    { "it may not write what may be read", do_write_given, EACCES, true, "cowfs" },
    { "it may not bind a port", do_bind, EACCES, true, "cowfs" },
};

static int run(const char *profile, int (*try)(void), int *ret_status)
{
    const char *const folders[] = { dir, "/nonexistent", NULL };
    const char *const readable[] = { "/var/lib", NULL };
    struct xeno_err err = XENO_ERR_INIT;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(20);
        if (xeno_sandbox_enter_with(profile ? profile : "xenod", folders, readable, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            _exit(255);
        }
        _exit(try());
    }
    return waitpid(pid, ret_status, 0) == pid ? 0 : -1;
}

static void what_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        int status;

        if (rows[i].needs_landlock && !xeno_sandbox_has_landlock()) {
            print_message("%s: this kernel has no Landlock\n", rows[i].name);
            continue;
        }
        assert_int_equal(run(rows[i].profile, rows[i].try, &status), 0);
        print_message("%s: status %x\n", rows[i].name, status);
        if (rows[i].want == KILLED) {
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGSYS);
        } else {
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), rows[i].want);
        }
    }
}

static void a_profile_must_be_known(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_sandbox_enter("xenodd", NULL, &err), -EINVAL);
    assert_string_equal(err.token, "sandbox.profile");
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/xeno-test-sandbox-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return xeno_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left),
        cmocka_unit_test(a_profile_must_be_known),
    };
    return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
