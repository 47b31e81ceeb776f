/* bench/cowfs/nfs/client.c - one job of the file server's bench over NFS, timed: libnfs asks.
 *
 *     bench-nfs [--depth N] [--server PID] JOB URL [LIST]
 *
 * URL as libnfs has it (nfs://ADDRESS/EXPORT?version=3&...). --depth: items under way at once
 * (default 1). LIST: a file of lines "look PATH", "read PATH", "write PATH BYTES"; the jobs stat
 * and read look at, or read whole, the paths of its "read" lines, and replay does all of it in
 * order. Other jobs: walk (READDIRPLUS of every directory), seq and random (of /big, 1 MiB and 4
 * KiB at a time), write-seq and write-random (a file of our own, with COMMIT), make (new files of 4
 * KiB, each with COMMIT), mode (chmod of them), remove (of them and their directory).
 *
 * Prints {"job":J,"value":V,"unit":"ops/s" or "MB/s","n":N,"cpu_us":C}; cpu_us: of the server's
 * processor for one, with --server. Exit: 0, 1 when a call failed, 2 for wrong usage.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/env.h"
#include "base/mem.h"

#define BLOCK       (1 << 20)
#define SMALL       4096
#define WRITE_BYTES (64 << 20)
#define ANYWHERE    (8 << 20) /* of it, 4 KiB at a time */
#define RANDOM_READ 20000
#define RANDOM_SEED 1
#define NEW_FILES   2000
#define DEPTH_MAX   64
#define WAIT_MS     30000

enum kind { LOOK, READ, WRITE, MODE, REMOVE, PART_IN, PART_OUT };

struct item {
    enum kind kind;
    char *path;
    uint64_t at, size;
};

struct client {
    struct nfs_context *nfs;
    struct nfsfh *big; /* of PART_ items */
    struct item *items;
    size_t count, room, next, under_way;
    int64_t done, moved;
    bool bytes, failed;
    char block[BLOCK];
};

/* One item under way. */
struct slot {
    struct client *c;
    struct item *it;
    struct nfsfh *fh;
    uint64_t at;
    bool closing;
};

static void add(struct client *c, enum kind kind, char *path, uint64_t at, uint64_t size)
{
    if (c->count == c->room) {
        c->room = c->room * 2 + 256;
        c->items = xeno_grow(c->items, c->room);
    }
    c->items[c->count++] = (struct item){ .kind = kind, .path = path, .at = at, .size = size };
}

static int failed(struct client *c, const char *path)
{
    fprintf(stderr, "bench-nfs: %s: %s\n", path, nfs_get_error(c->nfs));
    c->failed = true;
    return 1;
}

/* --- items, each as many calls as it takes --- */

static void begin(struct slot *s);

static void end(struct slot *s)
{
    s->c->under_way--;
    s->c->done++;
    begin(s);
}

static void stop(struct slot *s)
{
    failed(s->c, s->it->path ? s->it->path : "big");
    s->c->under_way--;
}

static void on_end(int status, struct nfs_context *nfs, void *data, void *arg)
{
    struct slot *s = arg;

    (void)nfs, (void)data;
    if (status < 0 && !(s->it->kind == LOOK && status == -ENOENT)) /* a compiler looks in vain */
        stop(s);
    else
        end(s);
}

/* A piece came or went: on with the rest, then close. */
static void on_moved(int status, struct nfs_context *nfs, void *data, void *arg);

static void go_on(struct slot *s)
{
    struct client *c = s->c;
    uint64_t left = s->it->size - s->at < BLOCK ? s->it->size - s->at : BLOCK;
    int r;

    if (s->closing || (s->it->kind == WRITE && left == 0))
        r = nfs_close_async(c->nfs, s->fh, on_end, s);
    else if (s->it->kind == WRITE)
        r = nfs_pwrite_async(c->nfs, s->fh, s->at, left, c->block, on_moved, s);
    else
        r = nfs_pread_async(c->nfs, s->fh, s->at, BLOCK, on_moved, s);
    if (r < 0)
        stop(s);
}

static void on_moved(int status, struct nfs_context *nfs, void *data, void *arg)
{
    struct slot *s = arg;

    (void)nfs, (void)data;
    if (status < 0) {
        stop(s);
        return;
    }
    s->at += (uint64_t)status;
    s->c->moved += status;
    s->closing = s->it->kind == READ ? status < BLOCK : s->at == s->it->size;
    go_on(s);
}

static void on_open(int status, struct nfs_context *nfs, void *data, void *arg)
{
    struct slot *s = arg;

    (void)nfs;
    if (status < 0) {
        stop(s);
        return;
    }
    s->fh = data;
    go_on(s);
}

static void on_part(int status, struct nfs_context *nfs, void *data, void *arg)
{
    struct slot *s = arg;

    if (status != (int)s->it->size) {
        stop(s);
        return;
    }
    s->c->moved += status;
    on_end(status, nfs, data, arg);
}

static void begin(struct slot *s)
{
    struct client *c = s->c;
    struct item *it;
    int r = 0;

    if (c->failed || c->next == c->count)
        return;
    it = &c->items[c->next++];
    *s = (struct slot){ .c = c, .it = it };
    c->under_way++;
    switch (it->kind) {
    case LOOK:
        r = nfs_lstat64_async(c->nfs, it->path, on_end, s);
        break;
    case READ:
        r = nfs_open_async(c->nfs, it->path, O_RDONLY, on_open, s);
        break;
    case WRITE:
        r = nfs_create_async(c->nfs, it->path, O_WRONLY | O_CREAT | O_TRUNC, 0644, on_open, s);
        break;
    case MODE:
        r = nfs_chmod_async(c->nfs, it->path, 0600, on_end, s);
        break;
    case REMOVE:
        r = nfs_unlink_async(c->nfs, it->path, on_end, s);
        break;
    case PART_IN:
        r = nfs_pread_async(c->nfs, c->big, it->at, it->size, on_part, s);
        break;
    case PART_OUT:
        r = nfs_pwrite_async(c->nfs, c->big, it->at, it->size, c->block, on_part, s);
        break;
    }
    if (r < 0)
        stop(s);
}

static int run_items(struct client *c, int depth)
{
    struct slot slots[DEPTH_MAX] = { 0 };

    for (int i = 0; i < depth; i++) {
        slots[i].c = c;
        begin(&slots[i]);
    }
    while (c->under_way > 0) {
        struct pollfd p = { .fd = nfs_get_fd(c->nfs), .events = (short)nfs_which_events(c->nfs) };

        if (poll(&p, 1, WAIT_MS) <= 0 || nfs_service(c->nfs, p.revents) < 0)
            return failed(c, "the server");
    }
    return c->failed;
}

/* --- jobs --- */

static int load(struct client *c, const char *list, bool all, enum kind kind)
{
    FILE *f = list ? fopen(list, "re") : NULL;
    char what[8], path[4096];
    uint64_t size;
    int n;

    if (!f) {
        fprintf(stderr, "bench-nfs: cannot read the list\n");
        return 1;
    }
    while ((n = fscanf(f, "%7s %4095s", what, path)) == 2) {
        enum kind k = strcmp(what, "look") == 0 ? LOOK : strcmp(what, "read") == 0 ? READ : WRITE;

        size = 0;
        if (k == WRITE && fscanf(f, "%" SCNu64, &size) != 1)
            break;
        if (all || k == READ)
            add(c, all ? k : kind, xeno_strdup(path), 0, size);
    }
    fclose(f);
    return n == EOF ? 0 : 1;
}

static int walk(struct client *c, const char *path)
{
    struct nfsdir *d;
    struct nfsdirent *e;
    int r = 0;

    if (nfs_opendir(c->nfs, path, &d) < 0)
        return failed(c, path);
    while (r == 0 && (e = nfs_readdir(c->nfs, d))) {
        xeno_autofree char *below = xeno_asprintf("%s/%s", path, e->name);

        if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
            continue;
        c->done++;
        if (S_ISDIR(e->mode))
            r = walk(c, below);
    }
    nfs_closedir(c->nfs, d);
    return r;
}

static void add_made(struct client *c, enum kind kind)
{
    for (int i = 0; i < NEW_FILES; i++)
        add(c, kind, xeno_asprintf("/made/%d", i), 0, kind == WRITE ? SMALL : 0);
}

/* Pieces of one open file, `count` of them: in a row, or anywhere among them. */
static void add_parts(struct client *c, enum kind kind, uint64_t size, uint64_t of, uint64_t count,
                      bool anywhere)
{
    srandom(RANDOM_SEED);
    for (uint64_t i = 0; i < count; i++)
        add(c, kind, NULL, size * (anywhere ? (uint64_t)random() % (of / size) : i), size);
}

static int open_big(struct client *c, const char *job)
{
    bool anywhere = strstr(job, "random") != NULL, out = strncmp(job, "write", 5) == 0;
    uint64_t size = anywhere ? SMALL : BLOCK, of = anywhere ? ANYWHERE : WRITE_BYTES;
    struct nfs_stat_64 st;

    c->bytes = !anywhere;
    if (out) {
        add_parts(c, PART_OUT, size, of, of / size, anywhere);
        return nfs_open2(c->nfs, "/written", O_RDWR | O_CREAT, 0644, &c->big) < 0
                   ? failed(c, "written")
                   : 0;
    }
    if (nfs_open(c->nfs, "/big", O_RDONLY, &c->big) < 0 || nfs_fstat64(c->nfs, c->big, &st) < 0)
        return failed(c, "big");
    add_parts(c, PART_IN, size, st.nfs_size, anywhere ? RANDOM_READ : st.nfs_size / size, anywhere);
    return 0;
}

/* What is to be had ready before the clock runs. */
static int prepare(struct client *c, const char *job, const char *list)
{
    if (strcmp(job, "stat") == 0)
        return load(c, list, false, LOOK);
    if (strcmp(job, "read") == 0)
        return load(c, list, false, READ);
    if (strcmp(job, "replay") == 0)
        return load(c, list, true, READ);
    if (strcmp(job, "make") == 0) {
        add_made(c, WRITE);
        return nfs_mkdir(c->nfs, "/made") < 0 ? failed(c, "made") : 0;
    }
    if (strcmp(job, "mode") == 0 || strcmp(job, "remove") == 0) {
        add_made(c, *job == 'm' ? MODE : REMOVE);
        return 0;
    }
    return strcmp(job, "walk") == 0 ? 0 : open_big(c, job);
}

static int perform(struct client *c, const char *job, int depth)
{
    int r = strcmp(job, "walk") == 0 ? walk(c, "/tree") : run_items(c, depth);

    if (r == 0 && c->big && strncmp(job, "write", 5) == 0 && nfs_fsync(c->nfs, c->big) < 0)
        r = failed(c, "written");
    return r;
}

/* --- the server's processor time --- */

static double cpu_ns(int pid)
{
    xeno_autofree char *path = xeno_asprintf("/proc/%d/task", pid);
    DIR *d = pid > 0 ? opendir(path) : NULL;
    double sum = 0, ns;
    struct dirent *e;

    while (d && (e = readdir(d))) {
        xeno_autofree char *file = xeno_asprintf("%s/%s/schedstat", path, e->d_name);
        FILE *f = *e->d_name == '.' ? NULL : fopen(file, "re");

        if (f && fscanf(f, "%lf", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return sum;
}

static int measure(struct client *c, const char *job, int depth, int pid)
{
    const struct xeno_env *env = xeno_env_real();
    double cpu = cpu_ns(pid), s;
    xeno_time start = xeno_mono(env);

    if (perform(c, job, depth) != 0)
        return 1;
    s = (double)(xeno_mono(env).ns - start.ns) / 1e9;
    cpu = (cpu_ns(pid) - cpu) / 1e3 / (double)(c->done > 0 ? c->done : 1);
    printf("{\"job\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"n\":%" PRId64 ",\"cpu_us\":%.1f}\n",
           job, c->bytes ? (double)c->moved / 1e6 / s : (double)c->done / s,
           c->bytes ? "MB/s" : "ops/s", c->done, cpu);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench-nfs [--depth N] [--server PID] JOB URL [LIST]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "depth", required_argument, NULL, 'd' },
                                             { "server", required_argument, NULL, 's' },
                                             { NULL, 0, NULL, 0 } };
    static struct client c;
    struct nfs_url *url;
    int o, depth = 1, pid = 0;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == '?')
            return usage();
        *(o == 'd' ? &depth : &pid) = atoi(optarg);
    }
    if (argc - optind < 2 || depth < 1 || depth > DEPTH_MAX)
        return usage();
    c.nfs = nfs_init_context();
    url = nfs_parse_url_dir(c.nfs, argv[optind + 1]);
    if (!url || nfs_mount(c.nfs, url->server, url->path) < 0)
        return failed(&c, argv[optind + 1]);
    if (prepare(&c, argv[optind], argv[optind + 2]) != 0) /* NULL after the last */
        return 1;
    return measure(&c, argv[optind], depth, pid);
}
