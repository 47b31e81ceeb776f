/* src/cowfs/tests/suite-process.c - cowfs-suite's operations with programs, limits, mounts and
 * several processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#define AWAY "/dev/shm/xeno-cowfs-suite" /* on another file system */

#ifdef SUITE_OVER_NFS
#define MISSING(what)                                                                              \
    if (suite_lacks(what) < 0)                                                                     \
    return -1
#else
#define MISSING(what) (void)0
#endif

/* away rename|link PATH */
static int op_away(struct world *w, char **a, int n)
{
    MISSING("other file systems");
    (void)w;
    (void)n;
    return strcmp(a[0], "link") == 0 ? linkat(AT_FDCWD, a[1], AT_FDCWD, AWAY, 0)
                                     : renameat2(AT_FDCWD, a[1], AT_FDCWD, AWAY, 0);
}

/* A program: this one. */
static int op_program(struct world *w, char **a, int n)
{
    xeno_autoclose int out = -1;
    char buf[65536];
    FILE *f;
    size_t len;

    MISSING("programs");
    (void)w;
    (void)n;
    out = open(a[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    f = out < 0 ? NULL : fopen("/proc/self/exe", "re");
    while (f && (len = fread(buf, 1, sizeof buf, f)) > 0)
        if (write(out, buf, len) != (ssize_t)len)
            len = 0;
    return f ? fclose(f) : -1;
}
/* Runs it until the case ends. */
static int op_run(struct world *w, char **a, int n)
{
    int wait[2], said[2], e = 0;

    MISSING("programs");
    (void)n;
    if (pipe2(wait, 0) < 0 || pipe2(said, O_CLOEXEC) < 0)
        return -1;
    if (fork() == 0) {
        dup2(wait[0], 0);
        close(wait[1]);
        execl(a[0], a[0], "wait", (char *)NULL);
        e = errno;
        _exit(write(said[1], &e, sizeof e) < 0);
    }
    close(wait[0]);
    close(said[1]);
    if (read(said[0], &e, sizeof e) > 0) {
        close(wait[1]);
        while (waitpid(-1, NULL, 0) > 0)
            continue;
    } else {
        w->runs = wait[1];
    }
    close(said[0]);
    errno = e;
    return e ? -1 : 0;
}

/* No file of this process grows beyond. */
static int op_limit(struct world *w, char **a, int n)
{
    struct rlimit l = { (rlim_t)atol(a[0]), RLIM_INFINITY };

    MISSING("limits of the client");
    (void)w;
    (void)n;
    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &l);
}

/* The case's folder cannot be written from now on. */
static int op_readonly(struct world *w, char **a, int n)
{
    char here[4096];

    MISSING("mounts of the client");
    (void)a;
    (void)n;
    if (!getcwd(here, sizeof here) || mount(here, here, NULL, MS_BIND, NULL) < 0)
        return -1;
    w->hidden = true;
    return mount(NULL, here, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 ? -1 : chdir(here);
}

static int append_records(const char *path, char who, int records)
{
    xeno_autoclose int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    char record[16];

    memset(record, who, sizeof record);
    for (int i = 0; i < records; i++)
        if (write(fd, record, sizeof record) != (ssize_t)sizeof record)
            return -1;
    return 0;
}
/* race PATH PROCESSES RECORDS: each appends so many; says how many are whole, of all. */
static int op_race(struct world *w, char **a, int n)
{
    int processes = atoi(a[1]) % 16, records = atoi(a[2]), whole = 0;
    char record[16], want[16];
    struct stat st;
    int fd;

    MISSING("several at once");
    (void)n;
    for (int i = 0; i < processes; i++)
        if (fork() == 0)
            _exit(append_records(a[0], (char)('a' + i), records) < 0);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    fd = open(a[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    /* Behind what there was before. */
    for (off_t at = st.st_size % 16; pread(fd, record, sizeof record, at) == 16; at += 16) {
        memset(want, record[0], sizeof want);
        whole += memcmp(record, want, sizeof want) == 0;
    }
    close(fd);
    return say(w, "%d", whole);
}
/* together PATH PROCESSES: each wants to be the one that makes it; says how many did. */
static int op_together(struct world *w, char **a, int n)
{
    int processes = atoi(a[1]) % 16, made = 0, status;

    MISSING("several at once");
    (void)n;
    for (int i = 0; i < processes; i++)
        if (fork() == 0)
            _exit(open(a[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) >= 0 ? 7 : 0);
    while (waitpid(-1, &status, 0) > 0)
        made += WEXITSTATUS(status) == 7;
    return say(w, "%d", made);
}

void process_end(struct world *w)
{
#ifndef SUITE_OVER_NFS
    const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
    char here[4096];

    if (w->runs >= 0)
        close(w->runs);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    for (int i = 0; i < SLOTS; i++)
        if (w->maps[i])
            munmap(w->maps[i], MAP_BYTES);
    setrlimit(RLIMIT_FSIZE, &none);
    if (w->hidden && getcwd(here, sizeof here) && chdir("/") == 0)
        umount2(here, MNT_DETACH);
#endif
    w->runs = -1;
    w->hidden = false;
    memset(w->maps, 0, sizeof w->maps);
}

const struct suite_op suite_process[] = {
    { "away", op_away, 2 },         { "program", op_program, 1 },
    { "run", op_run, 1 },           { "limit", op_limit, 1 },
    { "readonly", op_readonly, 0 }, { "race", op_race, 3 },
    { "together", op_together, 2 }, { NULL, NULL, 0 },
};
