/* src/cowfs/tests/cowfs-storm.c - random operations on a stack and on a plain directory must agree.
 *
 *     cowfs-storm SEED SECONDS FOLDER SERVER    as root; FOLDER is empty, and is left as it is
 *
 * Every operation is done in the mount and in the directory, and must have one result in both;
 * every so often all is compared. The server is killed (SIGKILL) and started again, at rest and in
 * the middle of an operation: then what was acknowledged must be there, the operation in flight
 * done or not, and every inode number what it was. After a round of operations little is left of
 * what the layers had, so the upper is emptied and the next begins over the same layers. Ends with
 * a line of what was done; the first disagreement is told with its operation.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_MAX  (96 << 10)
#define HANDLES   6
#define PATH_ROOM 64
#define ROUND     10000 /* operations over one upper */

static uint64_t seed;
static uint32_t dice(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

enum kind {
    PUT,
    WRITE,
    APPEND,
    TRUNCATE,
    PUNCH,
    ZERO,
    RESERVE,
    COPY,
    MAP,
    HOPEN,
    HWRITE,
    HREAD,
    HCLOSE,
    /* one step each, so that they may be killed in the middle */
    UNLINK,
    RMDIR,
    MKDIR,
    RENAME,
    EXCHANGE,
    LINK,
    SYMLINK,
    CHMOD,
    CHOWN,
    SETX,
    RMX,
    KINDS
};
static const char *const kind_names[] = { "put",    "write",   "append",   "truncate", "punch",
                                          "zero",   "reserve", "copy",     "map",      "hopen",
                                          "hwrite", "hread",   "hclose",   "unlink",   "rmdir",
                                          "mkdir",  "rename",  "exchange", "link",     "symlink",
                                          "chmod",  "chown",   "setx",     "rmx" };

struct op {
    enum kind kind;
    char a[PATH_ROOM], b[PATH_ROOM];
    size_t off, len;
    unsigned n;
};

/* One of the two trees. */
struct side {
    int root;
    int handles[HANDLES];
};

static char content[FILE_MAX], seen[2][FILE_MAX * 2];

/* --- one operation on one side; 0, a positive answer, or -errno --- */

static long done(long r)
{
    return r < 0 ? -errno : r;
}

static long write_at(int fd, size_t len, off_t off)
{
    ssize_t n = off < 0 ? write(fd, content, len) : pwrite(fd, content, len, off);

    return n == (ssize_t)len ? n : -EIO;
}

/* From what `a` was to what `b` is, at its beginning. */
static long copy_to(struct side *s, const struct op *o, int in)
{
    xeno_autoclose int out =
        openat(s->root, o->b, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    loff_t from = (loff_t)o->off, to = 0;
    long sum = 0, n;

    if (out < 0)
        return -errno;
    while ((n = copy_file_range(in, &from, out, &to, o->len - (size_t)sum, 0)) > 0)
        sum += n;
    return n < 0 ? -errno : sum;
}

static long with_file(struct side *s, const struct op *o, int flags)
{
    xeno_autoclose int fd =
        openat(s->root, o->a, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    struct stat st;
    char *p;
    long r;

    if (fd < 0)
        return -errno;
    switch (o->kind) {
    case PUT:
    case APPEND:
        return write_at(fd, o->len, -1);
    case WRITE:
        return write_at(fd, o->len, (off_t)o->off);
    case TRUNCATE:
        return done(ftruncate(fd, (off_t)o->off));
    case PUNCH:
        return done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)o->off,
                              (off_t)o->len + 1));
    case ZERO:
        return done(fallocate(fd, FALLOC_FL_ZERO_RANGE | (o->n & 64 ? FALLOC_FL_KEEP_SIZE : 0),
                              (off_t)o->off, (off_t)o->len + 1));
    case RESERVE:
        return done(
            fallocate(fd, o->n & 64 ? FALLOC_FL_KEEP_SIZE : 0, (off_t)o->off, (off_t)o->len + 1));
    case COPY:
        return copy_to(s, o, fd);
    default:
        if (fstat(fd, &st) < 0 || st.st_size == 0)
            return 0;
        p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            return -errno;
        for (size_t i = o->off; i < o->off + o->len && i < (size_t)st.st_size; i++)
            p[i] = content[i - o->off];
        r = done(msync(p, (size_t)st.st_size, MS_SYNC));
        munmap(p, (size_t)st.st_size);
        return r;
    }
}

static long with_handle(struct side *s, const struct op *o, char *buf)
{
    int *fd = &s->handles[o->n % HANDLES];
    int r;

    switch (o->kind) {
    case HOPEN:
        if (*fd >= 0)
            close(*fd);
        *fd = openat(s->root, o->a,
                     (o->n & 64 ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        return *fd < 0 ? -errno : 0;
    case HWRITE:
        return *fd < 0 ? 0 : done(pwrite(*fd, content, o->len, (off_t)o->off));
    case HREAD:
        return *fd < 0 ? 0 : done(pread(*fd, buf, FILE_MAX, (off_t)o->off));
    default:
        r = *fd < 0 ? 0 : close(*fd);
        *fd = -1;
        return done(r);
    }
}

/* Attributes have no calls by descriptor and name. */
static long with_xattr(struct side *s, const struct op *o)
{
    char path[PATH_ROOM + 32];

    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", s->root, o->a);
    return done(o->kind == SETX ? lsetxattr(path, "user.t", content, o->len % 100, 0)
                                : lremovexattr(path, "user.t"));
}

static long apply(struct side *s, const struct op *o, char *buf)
{
    switch (o->kind) {
    case PUT:
        return with_file(s, o, O_WRONLY | O_CREAT | O_TRUNC);
    case APPEND:
        return with_file(s, o, O_WRONLY | O_APPEND);
    case WRITE:
    case TRUNCATE:
    case PUNCH:
    case ZERO:
    case RESERVE:
    case MAP:
        return with_file(s, o, O_RDWR);
    case COPY:
        return with_file(s, o, O_RDONLY);
    case UNLINK:
        return done(unlinkat(s->root, o->a, 0));
    case RMDIR:
        return done(unlinkat(s->root, o->a, AT_REMOVEDIR));
    case MKDIR:
        return done(mkdirat(s->root, o->a, 0755));
    case RENAME:
        return done(renameat2(s->root, o->a, s->root, o->b, o->n & 64 ? RENAME_NOREPLACE : 0));
    case EXCHANGE:
        return done(renameat2(s->root, o->a, s->root, o->b, RENAME_EXCHANGE));
    case LINK:
        return done(linkat(s->root, o->a, s->root, o->b, 0));
    case SYMLINK:
        return done(symlinkat(o->b, s->root, o->a));
    case CHMOD:
        return done(fchmodat(s->root, o->a, 0600 | (o->n & 0177), 0));
    case CHOWN:
        return done(fchownat(s->root, o->a, o->n % 3000, o->n % 7, AT_SYMLINK_NOFOLLOW));
    case SETX:
    case RMX:
        return with_xattr(s, o);
    default:
        return with_handle(s, o, buf);
    }
}

static void random_path(char *p)
{
    size_t len = 0;

    for (uint32_t depth = 1 + dice(2) + (dice(4) == 0); depth > 0; depth--)
        len += (size_t)sprintf(p + len, "%s%c", len ? "/" : "", 'a' + (int)dice(7));
}

static struct op random_op(void)
{
    struct op o = { .kind = dice(KINDS), .off = dice(FILE_MAX / 2), .len = dice(FILE_MAX / 2) };

    random_path(o.a);
    random_path(o.b);
    o.n = dice(1 << 16);
    if (dice(4) == 0) /* small ones too */
        o.len %= 100;
    for (size_t i = 0; i < o.len; i += 64)
        content[i] = (char)dice(256);
    return o;
}

/* --- all of it --- */

static bool quiet; /* while a difference may still be right */

static int differ(const char *path, const char *what)
{
    if (!quiet)
        printf("differ: %s: %s\n", path, what);
    return -1;
}

/* Of a file or a directory. */
static int compare_inside(int a, int b, const char *path, bool dir)
{
    xeno_autoclose int fa = openat(a, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    xeno_autoclose int fb = openat(b, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t na = dir ? 0 : read(fa, seen[0], sizeof seen[0]);
    ssize_t nb = dir ? 0 : read(fb, seen[1], sizeof seen[1]);
    char va[128], vb[128];

    if (na != nb || na < 0 || memcmp(seen[0], seen[1], (size_t)na) != 0)
        return differ(path, "contents");
    na = fgetxattr(fa, "user.t", va, sizeof va);
    nb = fgetxattr(fb, "user.t", vb, sizeof vb);
    return na == nb && (na <= 0 || memcmp(va, vb, (size_t)na) == 0) ? 0 : differ(path, "attribute");
}

static int compare_one(int a, int b, const char *path, uint64_t *inos, bool *ret_dir)
{
    struct stat x, y;
    char la[PATH_ROOM] = "", lb[PATH_ROOM] = "";

    if (fstatat(a, path, &x, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(b, path, &y, AT_SYMLINK_NOFOLLOW) < 0)
        return differ(path, "is not there");
    *ret_dir = S_ISDIR(x.st_mode);
    if (x.st_mode != y.st_mode || x.st_uid != y.st_uid || x.st_gid != y.st_gid)
        return differ(path, "mode or owner");
    if (!*ret_dir && (x.st_nlink != y.st_nlink || x.st_size != y.st_size))
        return differ(path, "links or size");
    if (S_ISLNK(x.st_mode))
        return readlinkat(a, path, la, sizeof la - 1) == readlinkat(b, path, lb, sizeof lb - 1) &&
                       strcmp(la, lb) == 0
                   ? 0
                   : differ(path, "target");
    for (const char *p = path; *p; p++)
        x.st_ino = (x.st_ino ^ (uint64_t)*p) * UINT64_C(0x9e3779b97f4a7c15);
    *inos += x.st_ino;
    return compare_inside(a, b, path, *ret_dir);
}

static int names_of(int root, const char *path, char names[64][4])
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    while (d && (e = readdir(d)) && n < 64)
        if (e->d_name[0] != '.')
            snprintf(names[n++], 4, "%.3s", e->d_name);
    if (d)
        closedir(d);
    qsort(names, (size_t)n, 4, (int (*)(const void *, const void *))strcmp);
    return d ? n : -1;
}

static int compare_tree(int a, int b, const char *path, uint64_t *inos)
{
    char na[64][4] = { { 0 } }, nb[64][4] = { { 0 } };
    int n = names_of(a, path, na);

    if (n < 0 || n != names_of(b, path, nb) || memcmp(na, nb, sizeof na) != 0)
        return differ(path, "names");
    for (int i = 0; i < n; i++) {
        xeno_autofree char *child = xeno_asprintf("%s/%s", path, na[i]);
        bool dir = false;

        if (compare_one(a, b, child, inos, &dir) < 0 ||
            (dir && compare_tree(a, b, child, inos) < 0))
            return -1;
    }
    return 0;
}

/* --- the server --- */

static const char *server_path;
static pid_t server;
static struct side mounted, plain;

static int start_server(void)
{
    struct stat before, now;

    if (stat("m", &before) < 0)
        return -1;
    server = fork();
    if (server == 0) {
        execl(server_path, "xeno-cowfs", "--lower=b:a", "--upper=u", "--work=w", "--mount=m",
              "--foreground=yes", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 2000; i++) {
        if (stat("m", &now) == 0 && now.st_dev != before.st_dev) {
            mounted.root = open("m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            return mounted.root < 0 ? -1 : 0;
        }
        usleep(5000);
    }
    return -1;
}

static void stop_server(int sig)
{
    for (size_t i = 0; i < HANDLES; i++) {
        xeno_cleanup_close_(&mounted.handles[i]);
        xeno_cleanup_close_(&plain.handles[i]);
        mounted.handles[i] = plain.handles[i] = -1;
    }
    if (sig)
        kill(server, sig);
    xeno_cleanup_close_(&mounted.root);
    waitpid(server, NULL, 0);
    umount2("m", MNT_DETACH);
}

/* Layers with something in every place, some of it hidden or merged. */
static int make_layers(void)
{
    static const char *const folders[] = { "a", "b", "u", "w", "m", "p" };
    char path[PATH_ROOM + 8];

    for (size_t i = 0; i < XENO_LEN(folders); i++)
        if (mkdir(folders[i], 0755) < 0)
            return -1;
    for (int i = 0; i < 4 * 3 * 2; i++) {
        snprintf(path, sizeof path, "%s/%c/%c", i % 2 ? "a" : "b", 'a' + i / 6, 'c' + i / 2 % 3);
        path[i / 2 % 3 ? 5 : 3] = '\0';
        mkdir(path, 0755);
    }
    for (int i = 0; i < 900; i++) {
        xeno_autoclose int fd = -1;
        struct op o = random_op();

        o.len *= 2;
        for (size_t k = 0; k < o.len; k++) /* what no compression makes small */
            content[k] = (char)dice(256);
        snprintf(path, sizeof path, "%s/%s", dice(2) ? "a" : "b", o.a);
        if (dice(4) == 0)
            mkdir(path, 0755);
        else if (dice(8) == 0)
            mknod(path, S_IFCHR, 0);
        else if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) >= 0 &&
                 (write_at(fd, o.len, (off_t)o.off) < 0 || fsetxattr(fd, "user.t", "x", 1, 0) < 0))
            return -1;
    }
    return system("rm -rf a/m; find a -type c -delete") == 0 ? 0 : -1;
}

/* --- the storm --- */

static unsigned long count, refused, kills, torn, rounds = 1;

static void tell(const struct op *o, long got, long want)
{
    printf("%s %s %s off %zu len %zu n %u: mount %ld, directory %ld\n", kind_names[o->kind], o->a,
           o->b, o->off, o->len, o->n, got, want);
}

static int step(void)
{
    struct op o = random_op();
    long got = apply(&mounted, &o, seen[0]), want;

    count++;
    refused += got < 0;
    if (got == -EXDEV)
        return 0; /* a directory with parts in layers */
    want = apply(&plain, &o, seen[1]);
    if (got == want && (o.kind != HREAD || got <= 0 || memcmp(seen[0], seen[1], (size_t)got) == 0))
        return 0;
    tell(&o, got, want);
    return -1;
}

static int check(uint64_t *inos)
{
    *inos = 0;
    return compare_tree(mounted.root, plain.root, ".", inos);
}

static int kill_at_rest(void)
{
    uint64_t before, after;

    if (check(&before) < 0)
        return -1;
    stop_server(SIGKILL);
    kills++;
    if (start_server() < 0 || check(&after) < 0)
        return -1;
    return before == after ? 0 : differ(".", "inode numbers after a restart");
}

/* A child of ours pulls the trigger while we are at work. */
static int kill_at_work(void)
{
    struct op o = random_op();
    useconds_t wait = dice(300);
    uint64_t inos;
    pid_t killer;
    long got;
    int r;

    stop_server(SIGKILL); /* close all handles, and begin with cold caches */
    if (start_server() < 0)
        return -1;
    o.kind = UNLINK + dice(KINDS - UNLINK);
    killer = fork();
    if (killer == 0) {
        usleep(wait);
        _exit(kill(server, SIGKILL) < 0);
    }
    got = apply(&mounted, &o, seen[0]);
    waitpid(killer, NULL, 0);
    stop_server(0);
    kills++;
    if (start_server() < 0)
        return -1;
    if (got != -ENOTCONN && got != -ECONNABORTED && got != -EIO) {
        if (got != -EXDEV && apply(&plain, &o, seen[1]) != got)
            return differ(o.a, "result before a kill");
        return check(&inos);
    }
    torn++;
    quiet = true;
    r = check(&inos);
    quiet = false;
    if (r == 0)
        return 0;
    apply(&plain, &o, seen[1]);
    if (check(&inos) == 0)
        return 0;
    tell(&o, got, 0);
    return -1;
}

/* The layers as they were made, under an upper with nothing in it. The server that has read all of
 * them ends by itself, so that it logs what it did. */
static int begin_round(void)
{
    uint64_t inos;

    if (start_server() < 0 || system("cp -a m/. p/") != 0)
        return -1;
    plain.root = open("p", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (plain.root < 0 || check(&inos) < 0)
        return -1;
    stop_server(SIGTERM);
    return start_server();
}

static int end_round(void)
{
    int r = kill_at_rest();

    stop_server(SIGTERM);
    xeno_cleanup_close_(&plain.root);
    return r;
}

static int next_round(void)
{
    if (end_round() < 0 || system("rm -rf u w p && mkdir u w p") != 0 || begin_round() < 0)
        return -1;
    rounds++;
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t inos;
    time_t end;
    int r;

    if (argc != 5 || chdir(argv[3]) < 0) {
        fprintf(stderr, "cowfs-storm SEED SECONDS FOLDER SERVER\n");
        return 2;
    }
    seed = strtoull(argv[1], NULL, 10);
    end = time(NULL) + atol(argv[2]);
    server_path = argv[4];
    umask(022);
    for (size_t i = 0; i < HANDLES; i++)
        mounted.handles[i] = plain.handles[i] = -1;
    if (make_layers() < 0)
        return 2;
    r = begin_round();
    while (r == 0 && time(NULL) < end) {
        uint32_t what = dice(1000);

        r = count >= rounds * ROUND ? next_round()
            : what < 2              ? kill_at_rest()
            : what < 6              ? kill_at_work()
            : what < 12             ? check(&inos)
                                    : step();
    }
    if (r == 0)
        r = end_round();
    else
        stop_server(SIGTERM);
    printf("%s: seed %s, %lu operations (%lu refused) in %lu rounds, %lu kills, %lu of them in an "
           "operation\n",
           r == 0 ? "agree" : "DISAGREE", argv[1], count, refused, rounds, kills, torn);
    return r == 0 ? 0 : 1;
}
