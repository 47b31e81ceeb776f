/* src/cowfs/main.c - xeno-cowfs: one stack, one mount or one export, one process. */
#include <cap-ng.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/args.h"
#include "cowfs/fuse.h"
#include "cowfs/layer.h"
#include "cowfs/nfs.h"

struct options {
    char *lower, *upper, *work, *mount, *options;
    char *nfs, *nfs_client, *nfs_uids;
    int64_t threads;
    bool foreground;
};

#define OFFSET(field) offsetof(struct options, field)
static const struct xeno_conf_item items[] = {
    { "lower", XENO_CONF_TEXT, OFFSET(lower), .unit = "directories with colons between them",
      .required = true, .help = "The layers, topmost first; they are never changed." },
    { "upper", XENO_CONF_TEXT, OFFSET(upper), .unit = "directory", .required = true,
      .help = "Where what is written goes; nobody else may change it meanwhile." },
    { "work", XENO_CONF_TEXT, OFFSET(work), .unit = "directory", .required = true,
      .help = "A directory on the file system of upper, for this stack alone." },
    { "mount", XENO_CONF_TEXT, OFFSET(mount), .unit = "directory",
      .help = "Where the stack is to be seen, over FUSE; this or nfs." },
    { "options", XENO_CONF_TEXT, OFFSET(options), .unit = "as of mount(8), with commas",
      .help = "More options of the mount, such as suid, dev, ro or noexec." },
    { "nfs", XENO_CONF_TEXT, OFFSET(nfs), .unit = "ADDRESS:PORT, port 0: any",
      .help = "Where the stack is served over NFS instead." },
    { "nfs-client", XENO_CONF_TEXT, OFFSET(nfs_client), .unit = "addresses with commas",
      .help = "Who may connect; nobody else may." },
    { "nfs-uids", XENO_CONF_TEXT, OFFSET(nfs_uids), .unit = "as-told, no-root or UID:GID",
      .fallback = "as-told",
      .help = "Whose the requests are: of whom they say, with root as nobody, or all of one." },
    { "threads", XENO_CONF_INT, OFFSET(threads), .fallback = "8", .min = 1, .max = 256,
      .help = "Requests that are served at a time." },
    { "foreground", XENO_CONF_BOOL, OFFSET(foreground), .fallback = "no",
      .help = "Stay the caller's child instead of going to the background once mounted." },
};
static const struct xeno_conf_program program = {
    .name = "xeno-cowfs",
    .purpose = "serve one writable directory over read-only layers",
    .items = items,
    .count = XENO_LEN(items),
};

/* --- the stack --- */

static int open_layers(const char *lower, struct xeno_cowfs_layer **layers, size_t *ret_count,
                       struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(lower);
    char *rest = copy, *path;
    size_t n = 0;

    while ((path = strsep(&rest, ":"))) {
        int r;

        if (n == XENO_COWFS_LAYERS_MAX)
            r = xeno_fail(err, -E2BIG, "cowfs.layers", "more than %d layers",
                          XENO_COWFS_LAYERS_MAX);
        else
            r = xeno_cowfs_layer_dir(path, &layers[n], err);
        if (r < 0) {
            while (n > 0) {
                n--;
                layers[n]->ops->free(layers[n]);
            }
            return r;
        }
        n++;
    }
    *ret_count = n;
    return 0;
}

static int open_stack(const struct options *o, struct xeno_cowfs **ret, struct xeno_err *err)
{
    struct xeno_cowfs_layer *layers[XENO_COWFS_LAYERS_MAX];
    size_t count;
    int r = open_layers(o->lower, layers, &count, err);

    return r < 0 ? r : xeno_cowfs_open(o->upper, o->work, layers, count, ret, err);
}

/* --- rights --- */

/* What is left: making files of any owner and kind, with any attribute, and unmounting at the end;
 * the last two are CAP_SYS_ADMIN. Where we are not root there is nothing to drop. */
static int drop_rights(struct xeno_err *err)
{
    static const unsigned kept[] = { CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                                     CAP_FOWNER,  CAP_FSETID,       CAP_MKNOD,
                                     CAP_SETFCAP, CAP_SYS_ADMIN };

    if (geteuid() != 0)
        return 0; /* and fusermount3, which unmounts for us, must be able to gain some */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    capng_clear(CAPNG_SELECT_BOTH);
    for (size_t i = 0; i < XENO_LEN(kept); i++)
        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, kept[i]);
    if (capng_apply(CAPNG_SELECT_BOTH) != 0)
        return xeno_fail(err, -EPERM, "cowfs.rights", "cannot give up capabilities");
    return 0;
}

/* Each directory in use takes one, each open file too. */
static void raise_files(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
}

/* --- the program --- */

static int background(const struct options *o, struct xeno_err *err)
{
    if (!o->foreground && daemon(0, 0) < 0)
        return xeno_fail_errno(err, -errno, "cowfs.serve", "go to the background");
    return 0;
}

static int serve_fuse(const struct options *o, struct xeno_cowfs *c, struct xeno_err *err)
{
    xeno_autofree char *where = realpath(o->mount, NULL); /* we leave the current directory */
    struct xeno_cowfs_mount_opts opts = { .where = where,
                                          .options = o->options,
                                          .threads = (int)o->threads };
    xeno_auto(xeno_cowfs_mount) m = NULL;
    int r;

    if (!where)
        return xeno_fail_errno(err, -errno, "cowfs.mount", "find '%s'", o->mount);
    r = xeno_cowfs_mount(c, &opts, &m, err);
    if (r == 0)
        r = drop_rights(err);
    if (r == 0)
        r = background(o, err);
    return r == 0 ? xeno_cowfs_serve(m, err) : r;
}

static int open_nfs(const struct options *o, struct xeno_cowfs *c, struct xeno_nfs **ret,
                    struct xeno_err *err)
{
    struct xeno_nfs_opts opts = {
        .work = o->work, .uids = o->nfs_uids, .clients = o->nfs_client, .threads = (int)o->threads
    };

    return xeno_nfs_new(c, &opts, ret, err);
}

static int serve_nfs(const struct options *o, struct xeno_cowfs *c, struct xeno_err *err)
{
    xeno_auto(xeno_nfs) s = NULL;
    int port = 0, r = open_nfs(o, c, &s, err);

    if (r == 0)
        r = xeno_nfs_listen(s, o->nfs, &port, err);
    if (r == 0)
        r = drop_rights(err);
    if (r < 0)
        return r;
    printf("ready port=%d\n", port);
    fflush(stdout);
    r = background(o, err);
    return r == 0 ? xeno_nfs_serve(s, err) : r;
}

/* One process serves one way. */
static int check_way(const struct options *o, struct xeno_err *err)
{
    bool mount = o->mount && *o->mount, nfs = o->nfs && *o->nfs;

    if (mount == nfs)
        return xeno_fail(err, -EINVAL, "cowfs.way", "give one of 'mount' and 'nfs'");
    if (nfs && !(o->nfs_client && *o->nfs_client))
        return xeno_fail(err, -EINVAL, "cowfs.way", "'nfs' needs 'nfs-client'");
    return 0;
}

static int serve(const struct options *o, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs) c = NULL;
    int r = check_way(o, err);

    umask(0);
    signal(SIGPIPE, SIG_IGN);
    raise_files();
    if (r == 0)
        r = open_stack(o, &c, err);
    if (r < 0)
        return r;
    return o->nfs ? serve_nfs(o, c, err) : serve_fuse(o, c, err);
}

static int check(const struct options *o, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs) c = NULL;
    xeno_auto(xeno_nfs) s = NULL;
    int r = check_way(o, err);

    if (r == 0)
        r = open_stack(o, &c, err);
    if (r == 0 && o->nfs)
        r = open_nfs(o, c, &s, err);
    if (r < 0)
        return r;
    if (!o->nfs && access("/dev/fuse", R_OK | W_OK) < 0)
        return xeno_fail_errno(err, -errno, "cowfs.mount", "/dev/fuse cannot be used");
    puts("ok");
    return 0;
}

int main(int argc, char **argv)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_conf_ask ask;
    struct options o = { .lower = NULL };
    int r;

    xeno_log_init("xeno-cowfs", LOG_INFO);
    r = xeno_conf_args(&program, &o, argc, argv, &ask, &err);
    if (r == 0 && ask.todo == XENO_CONF_CHECK)
        r = check(&o, &err);
    else if (r == 0 && ask.todo == XENO_CONF_RUN)
        r = serve(&o, &err);
    if (r < 0)
        xeno_log_err(LOG_ERR, "cowfs.failed", &err, "mount=%s nfs=%s", o.mount ? o.mount : "-",
                     o.nfs ? o.nfs : "-");
    xeno_conf_release(items, XENO_LEN(items), &o);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
