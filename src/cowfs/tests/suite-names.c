/* src/cowfs/tests/suite-names.c - cowfs-suite's operations on names and what is listed. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "suite.h"

/* --- names --- */

static int op_unlink(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return unlink(a[0]);
}
static int op_rmdir(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return rmdir(a[0]);
}
static int op_mkdir(struct world *w, char **a, int n)
{
    (void)w;
    return mkdir(a[0], n > 1 ? octal(a[1]) : 0755);
}
static int op_rename(struct world *w, char **a, int n)
{
    unsigned flags = n < 3                            ? 0
                     : strcmp(a[2], "noreplace") == 0 ? RENAME_NOREPLACE
                     : strcmp(a[2], "exchange") == 0  ? RENAME_EXCHANGE
                     : strcmp(a[2], "whiteout") == 0  ? RENAME_WHITEOUT
                                                      : RENAME_NOREPLACE | RENAME_EXCHANGE;

    (void)w;
    return renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], flags);
}
static int op_link(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return linkat(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}
static int op_flink(struct world *w, char **a, int n)
{
    char path[64];

    (void)n;
    snprintf(path, sizeof path, "/proc/self/fd/%d", w->fds[slot(a[0])]);
    return linkat(AT_FDCWD, path, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW);
}
static int op_symlink(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return symlink(a[0], a[1]);
}
static int op_readlink(struct world *w, char **a, int n)
{
    (void)n;
    return say_bytes(w, readlink(a[0], w->said, sizeof w->said - 1));
}
static int op_mknod(struct world *w, char **a, int n)
{
    mode_t type = a[1][0] == 'p'   ? S_IFIFO
                  : a[1][0] == 'c' ? S_IFCHR
                  : a[1][0] == 'b' ? S_IFBLK
                  : a[1][0] == 's' ? S_IFSOCK
                                   : S_IFREG;

    (void)w;
    return mknod(a[0], type | octal(a[2]),
                 n > 4 ? makedev((unsigned)atoi(a[3]), (unsigned)atoi(a[4])) : 0);
}
static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}
static int op_ls(struct world *w, char **a, int n)
{
    char *names[512];
    size_t count = 0, len = 0;
    DIR *d = opendir(a[0]);
    struct dirent *e;

    (void)n;
    if (!d)
        return -1;
    while ((e = readdir(d)) && count < XENO_LEN(names))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            names[count++] = xeno_strdup(e->d_name);
    closedir(d);
    qsort(names, count, sizeof *names, by_name);
    w->said[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(w->said + len, sizeof w->said - len, "%s%s", i ? " " : "", names[i]);
        free(names[i]);
    }
    return 0;
}
/* Names of this length come by several calls of getdents(2). */
#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Names come and go while a directory is read: no name twice, none lost that stayed. */
static int op_steady(struct world *w, char **a, int n)
{
    enum { STAY = 250 };
    unsigned char seen[STAY] = { 0 };
    char path[512];
    struct dirent *e;
    DIR *d;
    int got = 0, k;

    (void)n;
    for (int i = 0; i < STAY; i++) {
        snprintf(path, sizeof path, "%s/stay%d-%s", a[0], i, LONG);
        if (mknod(path, S_IFREG | 0644, 0) < 0)
            return -1;
    }
    d = opendir(a[0]);
    if (!d)
        return -1;
    while ((e = readdir(d))) {
        snprintf(path, sizeof path, "%s/come%d", a[0], got);
        mknod(path, S_IFREG | 0644, 0);
        if (got % 3 == 0)
            unlink(path);
        got++;
        if (sscanf(e->d_name, "stay%d", &k) == 1 && k >= 0 && k < STAY)
            seen[k]++;
    }
    closedir(d);
    for (int i = 0; i < STAY; i++)
        if (seen[i] != 1)
            return say(w, "stay%d was seen %d times", i, seen[i]);
    return say(w, "steady");
}

/* What readdir(3) says of each name is what lstat(2) says. */
static int op_dino(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    struct dirent *e;
    struct stat st;
    int r = 0;

    (void)n;
    if (!d)
        return -1;
    while ((e = readdir(d)) && r == 0)
        if (strcmp(e->d_name, "..") != 0 &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino != e->d_ino)
            r = say(w, "%s differs", e->d_name) + 1;
    closedir(d);
    return r == 0 ? say(w, "same") : 0;
}
static int op_types(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    struct dirent *e;
    struct stat st;
    int r = 0;

    (void)n;
    if (!d)
        return -1;
    while ((e = readdir(d)) && r == 0)
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            e->d_type != IFTODT(st.st_mode))
            r = say(w, "%s differs", e->d_name) + 1;
    closedir(d);
    return r == 0 ? say(w, "same") : 0;
}
static int op_many(struct world *w, char **a, int n)
{
    char path[512];

    (void)w;
    (void)n;
    for (int i = 0; i < atoi(a[1]); i++) {
        snprintf(path, sizeof path, "%s/%d-%s", a[0], i, LONG);
        if (mknod(path, S_IFREG | 0644, 0) < 0)
            return -1;
    }
    return 0;
}
static int op_count(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    int got = 0;

    (void)n;
    if (!d)
        return -1;
    while (readdir(d))
        got++;
    closedir(d);
    return say(w, "%d", got - 2);
}
/* Each name is removed as it is read: all of them are. */
static int op_drain(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    struct dirent *e;
    char path[512];
    int got = 0;

    (void)n;
    if (!d)
        return -1;
    while ((e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s", a[0], e->d_name);
        got += e->d_name[0] != '.' && unlink(path) == 0;
    }
    closedir(d);
    return say(w, "%d", got);
}
/* From the middle of a listing on, twice: the same. */
static int op_places(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    char *names[512];
    struct dirent *e;
    size_t count = 0, again = 0;
    bool same = true;
    long at;

    (void)n;
    if (!d)
        return -1;
    for (int i = 0; i < 5; i++)
        readdir(d);
    at = telldir(d);
    while ((e = readdir(d)) && count < XENO_LEN(names))
        names[count++] = xeno_strdup(e->d_name);
    seekdir(d, at);
    while ((e = readdir(d)) && again < count) {
        same = same && strcmp(names[again], e->d_name) == 0;
        again++;
    }
    closedir(d);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return say(w, same && count == again && count > 0 ? "same" : "different");
}
/* A name that comes is there once the listing is begun again. */
static int op_again(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    struct dirent *e;
    char path[256];
    int seen = 0;

    (void)n;
    if (!d)
        return -1;
    while (readdir(d))
        continue;
    snprintf(path, sizeof path, "%s/came", a[0]);
    if (mknod(path, S_IFREG | 0644, 0) == 0) {
        rewinddir(d);
        while ((e = readdir(d)))
            seen += strcmp(e->d_name, "came") == 0;
    }
    closedir(d);
    return say(w, "%d", seen);
}
/* c0 leads to the file, c1 to c0, and so on. */
static int op_chain(struct world *w, char **a, int n)
{
    char path[32], target[32] = "file";

    (void)w;
    (void)n;
    for (int i = 0; i < atoi(a[0]); i++) {
        snprintf(path, sizeof path, "c%d", i);
        if (symlink(target, path) < 0)
            return -1;
        snprintf(target, sizeof target, "%s", path);
    }
    return 0;
}
static int op_cd(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return chdir(a[0]);
}

const struct suite_op suite_names[] = {
    { "unlink", op_unlink, 1 },
    { "rmdir", op_rmdir, 1 },
    { "mkdir", op_mkdir, 1 },
    { "rename", op_rename, 2 },
    { "link", op_link, 2 },
    { "flink", op_flink, 2 },
    { "symlink", op_symlink, 2 },
    { "readlink", op_readlink, 1 },
    { "mknod", op_mknod, 3 },
    { "ls", op_ls, 1 },
    { "steady", op_steady, 1 },
    { "dino", op_dino, 1 },
    { "types", op_types, 1 },
    { "many", op_many, 2 },
    { "count", op_count, 1 },
    { "drain", op_drain, 1 },
    { "places", op_places, 1 },
    { "again", op_again, 1 },
    { "chain", op_chain, 1 },
    { "cd", op_cd, 1 },
    { NULL, NULL, 0 },
};
