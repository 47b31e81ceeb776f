/* bench/cowfs/work.c - one job of the file server's bench, timed.
 *
 *     bench-cowfs JOB DIRECTORY
 *
 * The directory holds tree/ (folders of small files, in a layer) and big (a large file, in a
 * layer). Jobs: walk (lstat of every name below tree), read (every file below tree, whole), seq and
 * random (read big, 1 MiB and 4 KiB at a time), mode (chmod every file below tree), write-seq and
 * write-random (a file of our own), make (new small files), remove (every name below tree). Each
 * does its work once.
 *
 * Prints {"job":J,"value":V,"unit":"ops/s" or "MB/s","n":N}. Exit: 0, 1 when a call failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/mem.h"

#define BLOCK       (1 << 20)
#define SMALL       4096
#define WRITE_BYTES (64 << 20)
#define RANDOM_READ 20000
#define RANDOM_SEED 1
#define NEW_FILES   2000

static char block[BLOCK];
static int64_t done, moved;

static int failed(const char *path)
{
    fprintf(stderr, "bench-cowfs: %s: %s\n", path, strerror(errno));
    return -1;
}

/* --- below tree: a function of nftw(3) each --- */

static int look(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path, (void)st, (void)type, (void)at;
    done++;
    return 0;
}

static int read_whole(const char *path, const struct stat *st, int type, struct FTW *at)
{
    xeno_autoclose int fd = -1;
    ssize_t n;

    (void)st, (void)at;
    if (type != FTW_F)
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, block, BLOCK)) > 0)
        moved += n;
    if (fd < 0 || n < 0)
        return failed(path);
    done++;
    return 0;
}

static int set_mode(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)at;
    if (type != FTW_F)
        return 0;
    done++;
    return chmod(path, 0600) < 0 ? failed(path) : 0;
}

static int take_away(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    done++;
    return remove(path) < 0 ? failed(path) : 0;
}

static int below(const char *dir, const char *name,
                 int (*fn)(const char *, const struct stat *, int, struct FTW *))
{
    xeno_autofree char *path = xeno_asprintf("%s/%s", dir, name);

    return nftw(path, fn, 32, FTW_PHYS | (fn == take_away ? FTW_DEPTH : 0));
}

static int walk(const char *dir)
{
    return below(dir, "tree", look);
}

static int read_all(const char *dir)
{
    return below(dir, "tree", read_whole);
}

static int mode(const char *dir)
{
    return below(dir, "tree", set_mode);
}

static int remove_all(const char *dir)
{
    return below(dir, "tree", take_away);
}

/* --- contents --- */

static int seq(const char *dir)
{
    xeno_autofree char *path = xeno_asprintf("%s/big", dir);
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return failed(path);
    while ((n = read(fd, block, BLOCK)) > 0)
        moved += n;
    return n < 0 ? failed(path) : 0;
}

static int random_read(const char *dir)
{
    xeno_autofree char *path = xeno_asprintf("%s/big", dir);
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return failed(path);
    srandom(RANDOM_SEED);
    for (; done < RANDOM_READ; done++)
        if (pread(fd, block, SMALL, random() % (st.st_size / SMALL) * SMALL) != SMALL)
            return failed(path);
    return 0;
}

static int write_file(const char *dir, size_t piece, bool anywhere)
{
    xeno_autofree char *path = xeno_asprintf("%s/written", dir);
    xeno_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int64_t count = WRITE_BYTES / (int64_t)piece / (anywhere ? 8 : 1);

    if (fd < 0)
        return failed(path);
    srandom(RANDOM_SEED);
    for (; done < count; done++, moved += (int64_t)piece) {
        off_t at = (off_t)piece * (anywhere ? random() % count : done);

        if (pwrite(fd, block, piece, at) != (ssize_t)piece)
            return failed(path);
    }
    return fsync(fd) < 0 ? failed(path) : 0;
}

static int write_seq(const char *dir)
{
    return write_file(dir, BLOCK, false);
}

static int write_random(const char *dir)
{
    return write_file(dir, SMALL, true);
}

static int make(const char *dir)
{
    xeno_autofree char *made = xeno_asprintf("%s/made", dir);

    if (mkdir(made, 0700) < 0)
        return failed(made);
    for (; done < NEW_FILES; done++) {
        xeno_autofree char *path = xeno_asprintf("%s/%d", made, (int)done);
        xeno_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, block, SMALL) != SMALL)
            return failed(path);
    }
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(const char *dir);
    bool bytes; /* what counts is bytes, not operations */
} jobs[] = { { "walk", walk, false },        { "read", read_all, false },
             { "seq", seq, true },           { "random", random_read, false },
             { "mode", mode, false },        { "write-seq", write_seq, true },
             { "make", make, false },        { "write-random", write_random, false },
             { "remove", remove_all, false } };

int main(int argc, char **argv)
{
    const struct xeno_env *env = xeno_env_real();

    for (size_t i = 0; argc == 3 && i < XENO_LEN(jobs); i++) {
        xeno_time start = xeno_mono(env);
        double s, value;

        if (strcmp(jobs[i].name, argv[1]) != 0)
            continue;
        if (jobs[i].fn(argv[2]) != 0)
            return 1;
        s = (double)(xeno_mono(env).ns - start.ns) / 1e9;
        value = jobs[i].bytes ? (double)moved / 1e6 / s : (double)done / s;
        printf("{\"job\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"n\":%lld}\n", argv[1], value,
               jobs[i].bytes ? "MB/s" : "ops/s", (long long)done);
        return 0;
    }
    fprintf(stderr, "usage: bench-cowfs JOB DIRECTORY\n");
    return 2;
}
