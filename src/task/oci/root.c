/* src/task/oci/root.c - the root file system of a session, built and taken down. */
#include "task/oci/root.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "image/cache.h"
#include "task/oci/layers.h"
#include "task/rootfs.h"
#include "task/serve.h"

/* Of a server. Memory: the largest table that xeno-cowfs reads takes nine times its text meanwhile
 * (cowfs/layer-toc.h), and what it writes is counted as its own until it is on the disk. Threads:
 * those that wait for the image manager. Its processor time is the operator's, so it has no more
 * than the session itself, but enough for a small one to start as quickly as others. */
#define SERVER_MEMORY   (INT64_C(768) << 20)
#define SERVER_PIDS     128
#define SERVER_MSPS_MIN 500

/* How long a read waits for the image manager, and that for registries; and a create. */
#define READ_PATIENCE    "10s"
#define FETCH_PATIENCE_S 30

/* A copy of the mount in another container's namespace keeps the server for as long as a runtime
 * runs; nothing is cached then any more. */
#define END_WAIT_MS 2000
#define END_STEP_NS 2000000

char *xeno_oci_pin(const struct xeno_task_host *h, const struct xeno_run *run)
{
    return xeno_asprintf("%s-%s", h->instance, run->id);
}

static char *group_of(const struct xeno_run *run)
{
    return xeno_asprintf("%s" XENO_CGROUP_SERVER, run->id);
}

bool xeno_oci_root_served(const struct xeno_run *run)
{
    xeno_autofree char *path = xeno_run_path(run, "stack");

    return access(path, F_OK) == 0;
}

/* --- layers --- */

static int fetch(void *arg, const char *layer, struct xeno_agent_fetched *ret, struct xeno_err *err)
{
    const struct xeno_task_host *h = arg;
    struct xeno_agent_opts opts = { .env = xeno_env_real(),
                                    .socket = h->imaged,
                                    .patience = xeno_s(FETCH_PATIENCE_S) };
    xeno_auto(xeno_agent) agent = NULL;
    int r = xeno_agent_new(&opts, &agent, err);

    if (r == 0)
        r = xeno_agent_fetch(agent, layer, ret, err);
    if (r == 0 && ret->way == XENO_AGENT_PIECES)
        r = xeno_serve_check(h->cowfs, err);
    return r < 0 ? xeno_context(err, r, "layer %.19s", layer) : 0;
}

static struct xeno_oci_layers layers_of(const struct xeno_task_host *h)
{
    return (struct xeno_oci_layers){ .cache = h->cache,
                                     .images = h->images,
                                     .imaged_store = *h->imaged ? h->imaged_store : "",
                                     .fetch = fetch,
                                     .arg = (void *)(uintptr_t)h };
}

bool xeno_oci_away(const struct xeno_task_host *h, const struct xeno_task_spec *spec)
{
    struct xeno_oci_layers l = layers_of(h);

    return xeno_oci_layers_away(&l, spec);
}

int xeno_oci_fetch(const struct xeno_task_host *h, const struct xeno_task_spec *spec,
                   struct xeno_err *err)
{
    struct xeno_oci_layers l = layers_of(h);

    return xeno_oci_layers_fetch(&l, spec, err);
}

/* --- the stack's file --- */

static int read_stack(const struct xeno_run *run, struct xeno_stack **ret, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "stack");
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    if (access(path, F_OK) < 0)
        return 0;
    r = xeno_file_read(AT_FDCWD, path, XENO_STACK_MAX_BYTES, &text, &len, err);
    return r < 0 ? r : xeno_stack_parse(text, len, ret, err);
}

/* Synced, as it stays when the machine is started again; the session is not there before it is. */
static int write_stack(const struct xeno_run *run, const struct xeno_stack *s, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "stack");
    xeno_autofree char *text = NULL;
    size_t len;

    text = xeno_stack_format(s, &len);
    return xeno_file_write(AT_FDCWD, path, 0600, text, len, err);
}

/* --- the server --- */

struct entering {
    struct xeno_cgroups *cgroups;
    const char *group;
};

static void enter(void *arg)
{
    const struct entering *e = arg;

    xeno_cgroup_enter(e->cgroups, e->group);
}

static int make_group(const struct xeno_task_host *h, const struct xeno_run *run, const char *group,
                      struct xeno_err *err)
{
    int64_t msps = run->spec.cpu_msps > SERVER_MSPS_MIN ? run->spec.cpu_msps : SERVER_MSPS_MIN;
    struct xeno_cgroup_limits limits = { .cpu_msps = msps,
                                         .memory_bytes = SERVER_MEMORY,
                                         .pids = SERVER_PIDS };

    return xeno_cgroup_set(h->cgroups, group, &limits, err);
}

static bool is_store(const char *path)
{
    struct xeno_store *st = NULL;
    bool is = xeno_store_open(path, XENO_STORE_READ, &st, NULL) == 0;

    xeno_store_free(st);
    return is;
}

static int build_served(const struct xeno_task_host *h, const struct xeno_run *run,
                        const struct xeno_rootfs *plain, struct xeno_err *err)
{
    xeno_autofree char *group = group_of(run);
    xeno_autofree char *stack = xeno_run_path(run, "stack");
    xeno_autofree char *images = xeno_asprintf("--image-store=%s", h->images);
    xeno_autofree char *imaged = xeno_asprintf("--imaged=%s", h->imaged);
    xeno_autofree char *imaged_store = xeno_asprintf("--imaged-store=%s", h->imaged_store);
    const char *more[] = { "--patience=" READ_PATIENCE, NULL, NULL, NULL, NULL };
    size_t n = 1;
    struct entering entering = { h->cgroups, group };
    struct xeno_serve serve = { .program = h->cowfs,
                                .stack = stack,
                                .cache = h->pieces,
                                .cache_bytes = h->pieces_bytes,
                                .more = more,
                                .enter = enter,
                                .arg = &entering };
    struct xeno_rootfs root = *plain;
    int r = make_group(h, run, group, err);

    if (is_store(h->images)) /* for what mount files name */
        more[n++] = images;
    if (*h->imaged) {
        more[n++] = imaged;
        more[n++] = imaged_store;
    }
    root.serve = &serve;
    return r < 0 ? r : xeno_rootfs_build(&root, err);
}

/* Of an earlier try, or of a server that was lost. */
static int clear(const struct xeno_task_host *h, const struct xeno_run *run, struct xeno_err *err)
{
    xeno_autofree char *at = xeno_run_path(run, "rootfs");
    int r = xeno_oci_root_kill(h, run, err);

    if (r == 0 && xeno_rootfs_mounted(at) && umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        r = xeno_fail_errno(err, -errno, "rootfs.mount", "unmount '%s'", at);
    return r;
}

/* The layers, and the file that says how they are stacked when xeno-cowfs does it. */
static int ready(const struct xeno_task_host *h, const struct xeno_run *run, bool *ret_served,
                 struct xeno_err *err)
{
    struct xeno_oci_layers l = layers_of(h);
    xeno_autofree char *pin = xeno_oci_pin(h, run);
    xeno_auto(xeno_stack) before = NULL;
    xeno_auto(xeno_stack) stack = NULL;
    int r = read_stack(run, &before, err);

    if (r == 0 && before)
        r = clear(h, run, err);
    if (r == 0)
        r = xeno_oci_layers_ready(&l, &run->spec, pin, before, &stack, err);
    if (r == 0 && stack)
        r = write_stack(run, stack, err);
    *ret_served = stack != NULL;
    return r;
}

int xeno_oci_root_build(const struct xeno_task_host *h, const struct xeno_run *run,
                        struct xeno_err *err)
{
    xeno_autofree char *pool = xeno_asprintf("%s/pool", h->dir);
    xeno_autofree char *layers = xeno_asprintf("%s/layers", h->cache);
    const char *lowers[XENO_TASK_LAYERS_MAX];
    struct xeno_rootfs root = { .session = run->path,
                                .pool = pool,
                                .layers = layers,
                                .lowers = lowers,
                                .nlowers = run->spec.nlayers,
                                .disk_bytes = run->spec.disk_bytes,
                                .owner = XENO_SUBID_BASE,
                                .spare = h->spare };
    bool served = false;
    int r = ready(h, run, &served, err);

    for (size_t i = 0; i < run->spec.nlayers; i++)
        lowers[i] = run->spec.layers[i] + strlen("sha256:");
    if (r < 0)
        return r;
    return served ? build_served(h, run, &root, err) : xeno_rootfs_build(&root, err);
}

int xeno_oci_server_fd(const struct xeno_task_host *h, struct xeno_run *run)
{
    xeno_autofree char *group = group_of(run);
    pid_t pid;
    int fd;

    if (!xeno_oci_root_served(run))
        return -1;
    pid = xeno_cgroup_first(h->cgroups, group);
    fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    return fd < 0 ? -ENOENT : fd;
}

/* --- the end --- */

static void await_end(const struct xeno_task_host *h, const char *group)
{
    for (int ms = 0; ms < END_WAIT_MS && xeno_cgroup_first(h->cgroups, group) > 0; ms += 2)
        nanosleep(&(struct timespec){ .tv_nsec = END_STEP_NS }, NULL);
}

bool xeno_oci_root_free(const struct xeno_task_host *h, const struct xeno_run *run)
{
    xeno_autofree char *at = xeno_run_path(run, "rootfs");

    if (!xeno_oci_root_served(run) || !xeno_rootfs_mounted(at))
        return false;
    xeno_serve_sync(at);
    return xeno_oci_root_kill(h, run, NULL) == 0;
}

int xeno_oci_root_end(const struct xeno_task_host *h, const struct xeno_run *run,
                      struct xeno_err *err)
{
    xeno_autofree char *group = group_of(run);
    xeno_autofree char *at = xeno_run_path(run, "rootfs");
    int r;

    if (!xeno_oci_root_served(run))
        return 0;
    r = xeno_serve_stop(at, err);
    if (r < 0)
        return r;
    await_end(h, group);
    return xeno_oci_root_kill(h, run, err);
}

int xeno_oci_root_kill(const struct xeno_task_host *h, const struct xeno_run *run,
                       struct xeno_err *err)
{
    xeno_autofree char *group = group_of(run);
    int r = xeno_cgroup_kill(h->cgroups, group, err);

    return r < 0 ? r : xeno_cgroup_remove(h->cgroups, group, err);
}
