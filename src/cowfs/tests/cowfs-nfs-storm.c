/* src/cowfs/tests/cowfs-nfs-storm.c - a client writes while the server is killed, again and again.
 *
 *     cowfs-nfs-storm SEED SECONDS FOLDER SERVER    FOLDER is empty, and is left as it is
 *
 * libnfs is the client. It writes, commits, reads and renames by handles that it took once. The
 * server is killed (SIGKILL) at rest and with a write under way; what it had not been told to
 * commit is then zeroed in the upper, as if the machine had gone down. What was committed must be
 * there at all times; what was not, the client sends again when the verifier tells it to; and every
 * handle goes on working. In the end the upper must hold what was written, byte by byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nfsc/libnfs.h>

#include <nfsc/libnfs-raw.h>

#include <nfsc/libnfs-raw-nfs.h>

#include "base/io.h"
#include "base/mem.h"

#define FILES      6
#define FILE_BYTES (192 << 10)
#define WRITE_MAX  (24 << 10)
#define LOOSE_MAX  256 /* writes of a file that are not committed */
#define WAIT_S     60

struct nfs_fh { /* libnfs has it in a private header */
    int len;
    char *val;
};
struct loose {
    uint32_t at, len;
    writeverf3 verf;
};
static struct file {
    char name[16];
    struct nfsfh *open;
    nfs_fh3 handle;
    uint8_t want[FILE_BYTES], sure[FILE_BYTES]; /* sure: what must be there whatever happens */
    struct loose loose[LOOSE_MAX];
    size_t count;
} files[FILES];

enum { LOOSE, SURE, UNDER_WAY /* done or not: it is not known yet */ };

static uint64_t seed;
static uint32_t dice(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

static void fail(const char *what)
{
    printf("fails: %s\n", what);
    exit(1);
}

/* --- the server --- */

static const char *program;
static pid_t server;
static int port;
static unsigned kills, writes, commits, resent, renames;

static void start(void)
{
    char where[64], line[64] = "";
    int p[2];

    if (pipe2(p, O_CLOEXEC) < 0)
        fail("pipe");
    snprintf(where, sizeof where, "--nfs=127.0.0.1:%d", port);
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(p[1], 1);
        execl(program, program, "--lower=low", "--upper=upper", "--work=work", where,
              "--nfs-client=127.0.0.1", "--foreground", (char *)NULL);
        _exit(127);
    }
    close(p[1]);
    for (size_t n = 0; n < sizeof line - 1 && !strchr(line, '\n'); n++)
        if (read(p[0], line + n, 1) != 1)
            fail("the server does not start");
    close(p[0]);
    if (sscanf(line, "ready port=%d", &port) != 1)
        fail("the server does not say that it is ready");
}

static void stop(void)
{
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

/* What nobody has promised is gone. */
static void lose(const struct file *f)
{
    char path[64];
    xeno_autoclose int fd = -1;

    snprintf(path, sizeof path, "upper/%.15s", f->name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < FILE_BYTES; i++)
        if (f->sure[i] == LOOSE && pwrite(fd, "", 1, (off_t)i) != 1)
            fail("zeroing");
}

static void restart(void)
{
    stop();
    for (int i = 0; i < FILES; i++)
        lose(&files[i]);
    start();
    kills++;
}

/* --- calls --- */

struct answer {
    bool done;
    nfsstat3 status;
    writeverf3 verf;
};

static void wait_for(struct nfs_context *nfs, struct answer *a)
{
    time_t until = time(NULL) + WAIT_S;

    while (!a->done) {
        struct pollfd p = { .fd = nfs_get_fd(nfs), .events = (short)nfs_which_events(nfs) };

        if (time(NULL) > until)
            fail("no answer");
        if (poll(&p, 1, 100) < 0 || nfs_service(nfs, p.revents) < 0)
            fail(nfs_get_error(nfs));
    }
}

static void wrote(struct rpc_context *rpc, int status, void *data, void *private)
{
    const WRITE3res *r = data;
    struct answer *a = private;

    (void)rpc;
    a->done = true;
    a->status = status == RPC_STATUS_SUCCESS ? r->status : NFS3ERR_SERVERFAULT;
    if (a->status == NFS3_OK)
        memcpy(a->verf, r->WRITE3res_u.resok.verf, sizeof a->verf);
}

static void committed(struct rpc_context *rpc, int status, void *data, void *private)
{
    const COMMIT3res *r = data;
    struct answer *a = private;

    (void)rpc;
    a->done = true;
    a->status = status == RPC_STATUS_SUCCESS ? r->status : NFS3ERR_SERVERFAULT;
    if (a->status == NFS3_OK)
        memcpy(a->verf, r->COMMIT3res_u.resok.verf, sizeof a->verf);
}

static void write_range(struct nfs_context *nfs, struct file *f, uint32_t at, uint32_t len,
                        bool sync, bool killed)
{
    WRITE3args a = {
        .file = f->handle, .offset = at, .count = len, .stable = sync ? FILE_SYNC : UNSTABLE
    };
    struct answer r = { .done = false };

    memset(f->sure + at, sync ? UNDER_WAY : LOOSE, len);
    a.data.data_len = len;
    a.data.data_val = (char *)f->want + at;
    if (rpc_nfs3_write_async(nfs_get_rpc_context(nfs), wrote, &a, &r) < 0)
        fail("cannot send");
    if (killed) {
        nfs_service(nfs, POLLOUT);
        usleep(dice(1500));
        restart();
    }
    wait_for(nfs, &r);
    if (r.status != NFS3_OK)
        fail("a write is refused");
    if (sync) {
        memset(f->sure + at, SURE, len);
        return;
    }
    f->loose[f->count] = (struct loose){ .at = at, .len = len };
    memcpy(f->loose[f->count++].verf, r.verf, sizeof r.verf);
}

/* Until every write has the verifier that COMMIT tells. */
static void commit(struct nfs_context *nfs, struct file *f)
{
    COMMIT3args a = { .file = f->handle };
    bool again = true;

    while (again) {
        static struct loose old[LOOSE_MAX];
        struct answer r = { .done = false };
        size_t count = f->count;

        if (rpc_nfs3_commit_async(nfs_get_rpc_context(nfs), committed, &a, &r) < 0)
            fail("cannot send");
        wait_for(nfs, &r);
        if (r.status != NFS3_OK)
            fail("a commit is refused");
        commits++;
        memcpy(old, f->loose, sizeof old);
        f->count = 0;
        again = false;
        for (size_t i = 0; i < count; i++) {
            if (memcmp(old[i].verf, r.verf, sizeof r.verf) == 0)
                continue;
            write_range(nfs, f, old[i].at, old[i].len, false, false);
            resent++;
            again = true;
        }
        /* Committed: all but what was sent again. */
        if (!again)
            memset(f->sure, SURE, sizeof f->sure);
    }
}

/* --- steps --- */

static void step_write(struct nfs_context *nfs, struct file *f, bool killed)
{
    uint32_t at = dice(FILE_BYTES - 1), most = FILE_BYTES - at;
    uint32_t len = 1 + dice(most < WRITE_MAX ? most : WRITE_MAX);

    if (f->count == LOOSE_MAX)
        commit(nfs, f);
    for (uint32_t i = at; i < at + len; i++)
        f->want[i] = (uint8_t)(1 + dice(255));
    write_range(nfs, f, at, len, dice(5) == 0, killed);
    writes++;
}

static void check(struct nfs_context *nfs, struct file *f)
{
    static uint8_t got[FILE_BYTES];
    int n = nfs_pread(nfs, f->open, 0, FILE_BYTES, got);

    if (n < 0)
        fail("a handle does not work any more");
    for (int i = 0; i < FILE_BYTES; i++)
        if (f->sure[i] == SURE && f->want[i] != (i < n ? got[i] : 0))
            fail("what was committed is not there");
}

static void step_rename(struct nfs_context *nfs, struct file *f)
{
    char name[16];

    snprintf(name, sizeof name, "r%u.%d", renames++, (int)(f - files));
    if (nfs_rename(nfs, f->name, name) < 0)
        fail(nfs_get_error(nfs));
    strcpy(f->name, name);
}

static void step(struct nfs_context *nfs)
{
    struct file *f = &files[dice(FILES)];

    switch (dice(24)) {
    case 0:
        commit(nfs, f);
        break;
    case 1:
        check(nfs, f);
        break;
    case 2:
        step_rename(nfs, f);
        break;
    case 3:
        if (dice(3) == 0)
            restart();
        break;
    case 4:
        step_write(nfs, f, dice(3) == 0);
        break;
    default:
        step_write(nfs, f, false);
    }
}

/* --- the whole --- */

static struct nfs_context *mounted(void)
{
    struct nfs_context *nfs = nfs_init_context();
    struct nfs_url *url;
    char text[128];

    snprintf(text, sizeof text,
             "nfs://127.0.0.1//?version=3&nfsport=%d&mountport=%d&autoreconnect=-1&dircache=0",
             port, port);
    url = nfs_parse_url_dir(nfs, text);
    if (!url || nfs_mount(nfs, url->server, url->path) < 0)
        fail(nfs_get_error(nfs));
    nfs_destroy_url(url);
    return nfs;
}

/* Half of them are in the layer: the first write takes them over. */
static void make_files(void)
{
    for (int i = 0; i < FILES; i += 2) {
        char path[64];
        xeno_autoclose int fd = -1;

        snprintf(path, sizeof path, "low/f%d", i);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        memset(files[i].want, 'l', FILE_BYTES);
        if (fd < 0 || xeno_write_all(fd, files[i].want, FILE_BYTES) < 0)
            fail("make the layer");
    }
}

static void open_files(struct nfs_context *nfs)
{
    for (int i = 0; i < FILES; i++) {
        struct file *f = &files[i];
        const struct nfs_fh *h;

        snprintf(f->name, sizeof f->name, "f%d", i);
        if (nfs_open2(nfs, f->name, O_RDWR | O_CREAT, 0644, &f->open) < 0)
            fail(nfs_get_error(nfs));
        h = nfs_get_fh(f->open);
        f->handle.data.data_len = (u_int)h->len;
        f->handle.data.data_val = h->val;
        memset(f->sure, SURE, sizeof f->sure);
    }
}

static void compare(const struct file *f)
{
    xeno_autofree char *got = NULL;
    char path[64];
    size_t len = 0;

    snprintf(path, sizeof path, "upper/%.15s", f->name);
    if (xeno_file_read(AT_FDCWD, path, FILE_BYTES, &got, &len, NULL) < 0)
        fail("a file is not in the upper");
    for (size_t i = 0; i < FILE_BYTES; i++)
        if (f->want[i] != (i < len ? (uint8_t)got[i] : 0))
            fail("the upper does not hold what was written");
}

int main(int argc, char **argv)
{
    time_t until;
    struct nfs_context *nfs;

    if (argc != 5 || chdir(argv[3]) < 0 || mkdir("low", 0755) < 0 || mkdir("upper", 0755) < 0 ||
        mkdir("work", 0755) < 0) {
        fprintf(stderr, "cowfs-nfs-storm SEED SECONDS FOLDER SERVER\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    seed = strtoull(argv[1], NULL, 10);
    program = argv[4];
    make_files();
    start();
    nfs = mounted();
    open_files(nfs);
    until = time(NULL) + atol(argv[2]);
    while (time(NULL) < until || kills < 3)
        step(nfs);
    for (int i = 0; i < FILES; i++) {
        commit(nfs, &files[i]);
        check(nfs, &files[i]);
    }
    for (int i = 0; i < FILES; i++)
        nfs_close(nfs, files[i].open);
    nfs_destroy_context(nfs);
    stop();
    for (int i = 0; i < FILES; i++)
        compare(&files[i]);
    printf("agree: seed %s, %u writes, %u commits, %u sent again, %u renames, %u kills\n", argv[1],
           writes, commits, resent, renames, kills);
    return 0;
}
