/* src/image/tests/test-pieces.c - the cache of pieces: what is kept, evicted, shared, survived. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "image/pieces-priv.h"

#define KIB    1024
#define PIECES 64

static char folder[64];

/* A source: piece i is `size` bytes that follow from i. */
struct item {
    struct xeno_piece piece;
    uint8_t sha[SHA];
    int id;
    size_t size;
};
static struct item items[PIECES];
static _Atomic int *fetches; /* of each item, over all processes */
static enum { RIGHT, WRONG, AWAY } mood;
static int slow_ms;

static void fill(int id, char *out, size_t size)
{
    uint32_t x = (uint32_t)id * 2654435761u + 1;

    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        out[i] = (char)(x >> 24);
    }
}

static int give(void *arg, void *out, struct xeno_err *err)
{
    struct item *it = arg;

    atomic_fetch_add(&fetches[it->id], 1);
    usleep((useconds_t)slow_ms * 1000);
    if (mood == AWAY)
        return xeno_fail(err, -EHOSTUNREACH, "test.away", "nobody is there");
    fill(it->id, out, it->size);
    if (mood == WRONG)
        ((char *)out)[it->size / 2] ^= 1;
    return 0;
}

static struct item *item(int i, size_t size)
{
    xeno_autofree char *data = xeno_alloc0(1, size);
    struct item *it = &items[i];

    it->id = i;
    it->size = size;
    fill(i, data, size);
    xeno_sha256_of(data, size, it->sha);
    it->piece = (struct xeno_piece){
        .sha = it->sha, .size_bytes = (int64_t)size, .fetch = give, .arg = it
    };
    return it;
}

static struct xeno_pieces *open_cache(int64_t max)
{
    struct xeno_pieces *p = NULL;

    assert_int_equal(xeno_pieces_open(folder, max, &p, NULL), 0);
    return p;
}

/* The whole piece, and a part of it, are what they should be. Returns: that of the first. */
static int read_piece(struct xeno_pieces *p, struct item *it)
{
    xeno_autofree char *want = xeno_alloc0(1, it->size), *got = xeno_alloc0(1, it->size);
    int r = xeno_pieces_read(p, &it->piece, 0, got, it->size, NULL);

    if (r < 0)
        return r;
    fill(it->id, want, it->size);
    assert_memory_equal(got, want, it->size);
    memset(got, 0, it->size);
    assert_true(xeno_pieces_read(p, &it->piece, (int64_t)it->size / 3, got, it->size / 2, NULL) >=
                0);
    assert_memory_equal(got, want + it->size / 3, it->size / 2);
    return r;
}

static char *path_of(const struct item *it, char out[PIECE_PATH + 80])
{
    char path[PIECE_PATH];

    piece_path(it->sha, path);
    snprintf(out, PIECE_PATH + 80, "%s/pieces/%s", folder, path);
    return out;
}

static bool is_kept(const struct item *it)
{
    char path[PIECE_PATH + 80];

    return access(path_of(it, path), F_OK) == 0;
}

/* Bytes of all pieces and litter, as the cache counts them, whatever it thinks. */
static int64_t on_disk(const char *name)
{
    xeno_autofree char *path = xeno_asprintf("%s/%s", folder, name);
    DIR *d = opendir(path);
    int64_t sum = 0;
    struct dirent *e;
    struct stat st;

    assert_non_null(d);
    while ((e = readdir(d))) {
        xeno_autofree char *below = xeno_asprintf("%s/%s", name, e->d_name);

        if (e->d_name[0] == '.')
            continue;
        assert_int_equal(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
        sum += S_ISDIR(st.st_mode) ? on_disk(below) : piece_room(st.st_size);
    }
    closedir(d);
    return sum;
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/var/tmp/xeno-test-pieces.XXXXXX");
    assert_non_null(mkdtemp(folder));
    fetches = mmap(NULL, PIECES * sizeof *fetches, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(fetches != MAP_FAILED);
    mood = RIGHT;
    slow_ms = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(fetches, PIECES * sizeof *fetches);
    return xeno_remove_tree(AT_FDCWD, folder, NULL);
}

/* --- what is kept --- */

static void fetched_once(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 << 20);
    xeno_auto(xeno_pieces) other = open_cache(64 << 20);
    static const size_t sizes[] = { 1, 2, 4096, 4097, 256 * KIB, 256 * KIB + 1 };

    (void)state;
    for (int i = 0; i < (int)XENO_LEN(sizes); i++) {
        assert_int_equal(read_piece(p, item(i, sizes[i])), 1);
        assert_int_equal(read_piece(p, &items[i]), 0);
        assert_int_equal(read_piece(other, &items[i]), 0);
        assert_int_equal(fetches[i], 1);
    }
    assert_int_equal(on_disk("work"), 0);
    assert_int_equal(p->shared->bytes, on_disk("pieces"));
}

static void wrong_bytes_are_not_kept(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 << 20);
    struct xeno_err err = XENO_ERR_INIT;
    struct item *it = item(0, 5000);
    char buf[10];

    (void)state;
    mood = WRONG;
    assert_int_equal(xeno_pieces_read(p, &it->piece, 0, buf, 10, &err), -EBADMSG);
    assert_true(xeno_err_is(&err, "image.corrupt"));
    assert_int_equal(xeno_pieces_ahead(p, &it->piece, true, &err), -EBADMSG);
    mood = AWAY;
    assert_int_equal(xeno_pieces_read(p, &it->piece, 0, buf, 10, &err), -EHOSTUNREACH);
    assert_true(xeno_err_is(&err, "test.away"));
    assert_int_equal(on_disk("pieces") + on_disk("work"), 0);
    mood = RIGHT;
    assert_int_equal(read_piece(p, it), 1);
}

/* A bad disk, or a machine that lost power before it wrote. */
static void spoilt_is_fetched_again(void **state)
{
    char path[PIECE_PATH + 80];
    struct item *it = item(0, 100 * KIB);

    (void)state;
    for (int how = 0; how < 3; how++) {
        xeno_auto(xeno_pieces) p = open_cache(64 << 20);
        struct xeno_pieces_count count;
        int fd;

        assert_int_equal(read_piece(p, it), 1);
        fd = open(path_of(it, path), O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        if (how == 0)
            assert_int_equal(pwrite(fd, "?", 1, 70 * KIB), 1);
        else
            assert_int_equal(ftruncate(fd, how == 1 ? 0 : 200 * KIB), 0);
        close(fd);
        xeno_pieces_free(xeno_take(&p));
        p = open_cache(64 << 20);
        mood = AWAY;
        assert_int_equal(read_piece(p, it), -EHOSTUNREACH);
        mood = RIGHT;
        assert_int_equal(read_piece(p, it), 1);
        xeno_pieces_counts(p, &count);
        assert_int_equal(count.spoilt, 1);
        assert_int_equal(remove(path), 0);
    }
}

/* --- the bound --- */

/* The time of use is the disk's clock; give it room to move. */
static void later(void)
{
    usleep(20000);
}

static void bound_holds(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(1 << 20);
    int kept = 0;

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
        assert_true(on_disk("pieces") <= 1 << 20);
        assert_int_equal(p->shared->bytes, on_disk("pieces"));
    }
    for (int i = 0; i < PIECES; i++)
        kept += is_kept(&items[i]);
    assert_true(kept >= 14); /* of 17 that fit */
    assert_true(is_kept(&items[PIECES - 1]));
    assert_false(is_kept(&items[0]));
}

static void larger_than_the_bound(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 * KIB);
    struct xeno_pieces_count count;

    (void)state;
    assert_int_equal(read_piece(p, item(0, 40 * KIB)), 1);
    assert_int_equal(read_piece(p, item(1, 100 * KIB)), 1);
    assert_true(is_kept(&items[0]) && !is_kept(&items[1]));
    xeno_pieces_counts(p, &count);
    assert_int_equal(count.unkept, 2); /* read_piece reads twice */
    assert_int_equal(on_disk("work"), 0);
}

/* What a second mount read outlives a long read of what nobody else wants. */
static void read_again_stays(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(1 << 20);
    xeno_auto(xeno_pieces_user) u = NULL;

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
    later();
    assert_int_equal(xeno_pieces_user_open(p, "second", &u, NULL), 0);
    for (int i = 0; i < 6; i++)
        xeno_pieces_used(u, items[i].sha, false);
    xeno_pieces_user_free(xeno_take(&u)); /* so that nothing is pinned */
    for (int i = 6; i < PIECES; i++)
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
    for (int i = 0; i < 6; i++)
        assert_true(is_kept(&items[i]));
    assert_true(on_disk("pieces") <= 1 << 20);
}

static void pinned_goes_last(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(1 << 20);
    xeno_auto(xeno_pieces_user) u = NULL;

    (void)state;
    assert_int_equal(xeno_pieces_user_open(p, "mount", &u, NULL), 0);
    assert_int_equal(xeno_pieces_user_open(p, "mount", &u, NULL), -EEXIST);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
        xeno_pieces_used(u, items[i].sha, true);
    }
    for (int i = 4; i < 40; i++)
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
    for (int i = 0; i < 4; i++)
        assert_true(is_kept(&items[i]));
    xeno_pieces_user_free(xeno_take(&u));
    for (int i = 40; i < PIECES; i++)
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
    for (int i = 0; i < 4; i++)
        assert_false(is_kept(&items[i]));
}

/* Pins are a wish, the bound is a promise. */
static void all_pinned_is_bounded_too(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(1 << 20);
    xeno_auto(xeno_pieces_user) u = NULL;

    (void)state;
    assert_int_equal(xeno_pieces_user_open(p, "mount", &u, NULL), 0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
        xeno_pieces_used(u, items[i].sha, true);
        assert_true(on_disk("pieces") <= 1 << 20);
    }
    assert_true(is_kept(&items[39]));
}

/* The pins of a mount that was killed hold nothing. */
static void dead_mounts_pin_nothing(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(1 << 20);
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        struct xeno_pieces_user *u = NULL;

        if (xeno_pieces_user_open(p, "killed", &u, NULL) == 0)
            for (int i = 0; i < 4; i++)
                if (xeno_pieces_read(p, &item(i, 60 * KIB)->piece, 0, &status, 4, NULL) == 1)
                    xeno_pieces_used(u, items[i].sha, true);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(on_disk("users") > 0);
    assert_true(is_kept(item(0, 60 * KIB)));
    for (int i = 4; i < PIECES; i++)
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
    assert_false(is_kept(&items[0]));
    assert_int_equal(on_disk("users"), 0);
}

/* After a crash of the machine the number may be anything, and is counted anew. */
static void counted_again_after_a_boot(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(1 << 20);

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(read_piece(p, item(i, 60 * KIB)), 1);
    p->shared->bytes = 5;
    memset(p->shared->boot, 'x', 36);
    xeno_pieces_free(xeno_take(&p));
    p = open_cache(1 << 20);
    assert_int_equal(read_piece(p, item(10, 60 * KIB)), 1);
    assert_int_equal(p->shared->bytes, on_disk("pieces"));
    for (int i = 0; i < 11; i++)
        assert_true(is_kept(&items[i]));
}

/* --- one at a time --- */

static struct xeno_pieces *shared_cache;

static void *reader(void *arg)
{
    (void)arg;
    for (int i = 0; i < 8; i++)
        assert_true(read_piece(shared_cache, &items[i]) >= 0);
    return NULL;
}

static void threads_share_a_fetch(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 << 20);
    pthread_t threads[8];

    (void)state;
    shared_cache = p;
    slow_ms = 20;
    for (int i = 0; i < 8; i++)
        item(i, 10000);
    for (size_t i = 0; i < XENO_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fetches[i], 1);
}

static void processes_share_a_fetch(void **state)
{
    pid_t pids[4];
    int status;

    (void)state;
    slow_ms = 5;
    for (int i = 0; i < 20; i++)
        item(i, 10000);
    for (int k = 0; k < 4; k++) {
        pids[k] = fork();
        if (pids[k] == 0) {
            struct xeno_pieces *p = open_cache(64 << 20);
            char buf[100];
            int bad = 0;

            for (int i = 0; i < 20; i++)
                bad += xeno_pieces_read(p, &items[(i + k * 5) % 20].piece, 0, buf, 100, NULL) < 0;
            _exit(bad);
        }
    }
    for (int k = 0; k < 4; k++) {
        assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(fetches[i], 1);
    assert_int_equal(on_disk("work"), 0);
}

/* One that was stopped while it fetched, and while it evicted, holds up nobody for ever. */
static void stopped_process_is_not_waited_for(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(130 * KIB);
    char path[PIECE_PATH];
    struct xeno_pieces_count count;
    int ends[2], status;
    char c;
    pid_t pid;

    (void)state;
    for (int i = 0; i < 5; i++)
        item(i, 60 * KIB);
    assert_int_equal(read_piece(p, &items[4]), 1); /* so that all is counted */
    piece_path(items[0].sha, path);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        int work = -1, lock = -1;

        alarm(30);
        if (pieces_lock(p, p->work, path + 3, &work, NULL) == 0 &&
            pieces_lock(p, p->dirfd, "lock", &lock, NULL) == 0 && write(ends[1], "!", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &c, 1), 1);
    p->lock_wait_ms = 20;
    assert_int_equal(read_piece(p, &items[0]), 1);
    assert_true(is_kept(&items[0]));
    for (int i = 1; i < 4; i++)
        assert_int_equal(read_piece(p, &items[i]), 1); /* for some of them nobody can make room */
    xeno_pieces_counts(p, &count);
    assert_true(count.unkept > 0);
    assert_true(on_disk("pieces") <= 130 * KIB);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(read_piece(p, &items[3]), 1);
    assert_true(is_kept(&items[3]));
    close(ends[0]);
    close(ends[1]);
}

static sem_t begun, go;
static atomic_int order, at_end_of_read, at_begin_of_ahead;

static int give_late(void *arg, void *out, struct xeno_err *err)
{
    int r;

    sem_post(&begun);
    sem_wait(&go);
    r = give(arg, out, err);
    at_end_of_read = ++order;
    return r;
}

static int give_ahead(void *arg, void *out, struct xeno_err *err)
{
    at_begin_of_ahead = ++order;
    return give(arg, out, err);
}

static void *read_one(void *arg)
{
    char buf[10];

    assert_int_equal(xeno_pieces_read(shared_cache, arg, 0, buf, 10, NULL), 1);
    return NULL;
}

static void *ahead_one(void *arg)
{
    assert_int_equal(xeno_pieces_ahead(shared_cache, arg, true, NULL), 1);
    return NULL;
}

static void readers_go_first(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 << 20);
    pthread_t a, b;

    (void)state;
    shared_cache = p;
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    item(0, 1000)->piece.fetch = give_late;
    item(1, 1000)->piece.fetch = give_ahead;
    assert_int_equal(pthread_create(&a, NULL, read_one, &items[0].piece), 0);
    sem_wait(&begun);
    assert_int_equal(pthread_create(&b, NULL, ahead_one, &items[1].piece), 0);
    usleep(100000); /* time enough to do it wrong */
    sem_post(&go);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    assert_true(at_end_of_read < at_begin_of_ahead);
}

/* --- killed at each step --- */

static void be_killed(int max)
{
    struct xeno_pieces *p = NULL;
    char buf[10];

    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    if (xeno_pieces_open(folder, max, &p, NULL) == 0)
        for (int i = 0; i < 3; i++)
            xeno_pieces_read(p, &items[i].piece, 0, buf, 10, NULL);
    _exit(0);
}

/* Calls that leave something behind, or let go of something. */
static bool is_step(pid_t pid)
{
    static const uint64_t steps[] = { SYS_mkdirat,  SYS_ftruncate, SYS_write, SYS_utimensat,
                                      SYS_renameat, SYS_unlinkat,  SYS_flock, SYS_mmap };
    struct __ptrace_syscall_info info = { .op = 0 };

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    for (size_t i = 0; i < XENO_LEN(steps); i++)
        if (info.entry.nr == steps[i])
            return true;
    return false;
}

/* Kill it as it enters the n-th of those calls. Returns: false when it ended before. */
static bool kill_at(int n)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        be_killed(150 * KIB);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    while (WIFSTOPPED(status) && (!is_step(pid) || n-- > 0)) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    if (!WIFSTOPPED(status))
        return false;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return true;
}

static void killed_at_each_step(void **state)
{
    int steps = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        item(i, 60 * KIB + (size_t)i); /* two fit: the others make it evict */
    for (bool killed = true; killed; steps++) {
        killed = kill_at(steps);
        {
            xeno_auto(xeno_pieces) p = open_cache(150 * KIB);
            struct xeno_pieces_count count;

            for (int i = 4; i > 0; i--)
                assert_true(read_piece(p, &items[i]) >= 0); /* and right, and within the bound */
            assert_true(on_disk("pieces") <= 150 * KIB);
            assert_int_equal(on_disk("work"), 0); /* also of the one that nobody asked for again */
            assert_true(p->shared->bytes >= on_disk("pieces"));
            xeno_pieces_counts(p, &count);
            assert_int_equal(count.spoilt, 0); /* what is there is whole */
        }
        if (steps % 2) /* from nothing, and from what is there */
            assert_int_equal(xeno_remove_tree(AT_FDCWD, folder, NULL), 0);
    }
    print_message("killed at %d places\n", steps - 1);
    assert_true(steps > 30);
}

/* --- records --- */

static void order_is_recorded(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 << 20);
    xeno_auto(xeno_pieces_user) u = NULL;
    xeno_autofree uint8_t *shas = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t count = 0;

    (void)state;
    assert_int_equal(xeno_pieces_user_open(p, "../etc", &u, &err), -EINVAL);
    assert_true(xeno_err_is(&err, "cache.name"));
    assert_int_equal(xeno_pieces_user_open(p, "m", &u, NULL), 0);
    assert_int_equal(xeno_pieces_record(u, "t", NULL), 0);
    assert_int_equal(xeno_pieces_recorded(p, "t", &shas, &count, NULL), -ENOENT);
    for (int i = 9; i >= 0; i--)
        xeno_pieces_used(u, item(i, 10)->sha, true);
    assert_int_equal(xeno_pieces_record(u, "t", NULL), 0);
    assert_int_equal(xeno_pieces_recorded(p, "t", &shas, &count, NULL), 0);
    assert_int_equal(count, 10);
    for (int i = 0; i < 10; i++)
        assert_memory_equal(shas + i * SHA, items[9 - i].sha, SHA);
}

static void records_are_bounded(void **state)
{
    xeno_auto(xeno_pieces) p = open_cache(64 << 20);
    xeno_auto(xeno_pieces_user) u = NULL;
    xeno_autofree uint8_t *shas = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(xeno_pieces_user_open(p, "m", &u, NULL), 0);
    for (int i = 0; i < XENO_PIECES_RECORD_MAX + 5; i++)
        xeno_pieces_used(u, item(0, 10)->sha, true);
    assert_int_equal(xeno_pieces_record(u, "t", NULL), 0);
    assert_int_equal(xeno_pieces_recorded(p, "t", &shas, &count, NULL), 0);
    assert_int_equal(count, XENO_PIECES_RECORD_MAX);
}

static const struct {
    const char *name, *data;
    size_t len, count; /* count 0: refused */
} rows[] = {
    { "empty", "", 0, 0 },
    { "head only", "xenorec1", 8, 0 },
    { "one", "xenorec10123456789012345678901234567890", 40, 0 },
    { "one whole", "xenorec101234567890123456789012345678901", 40, 1 },
    { "one and a part", "xenorec101234567890123456789012345678901234", 43, 1 },
    { "another head", "xenorec201234567890123456789012345678901", 40, 0 },
};

static void records_that_are_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree uint8_t *all = NULL;
        size_t count = 0, len = rows[i].len;

        if (len > strlen(rows[i].data))
            len = strlen(rows[i].data);
        print_message("%s\n", rows[i].name);
        all = pieces_record_parse(rows[i].data, len, &count);
        assert_int_equal(all ? count : 0, rows[i].count);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(fetched_once),
        TEST(wrong_bytes_are_not_kept),
        TEST(spoilt_is_fetched_again),
        TEST(bound_holds),
        TEST(larger_than_the_bound),
        TEST(read_again_stays),
        TEST(pinned_goes_last),
        TEST(all_pinned_is_bounded_too),
        TEST(dead_mounts_pin_nothing),
        TEST(counted_again_after_a_boot),
        TEST(threads_share_a_fetch),
        TEST(processes_share_a_fetch),
        TEST(stopped_process_is_not_waited_for),
        TEST(readers_go_first),
        TEST(killed_at_each_step),
        TEST(order_is_recorded),
        TEST(records_are_bounded),
        TEST(records_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
