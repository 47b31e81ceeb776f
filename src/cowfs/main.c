/* src/cowfs/main.c - xeno-cowfs: one stack, one mount or one export, one process. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/args.h"
#include "cowfs/fuse.h"
#include "cowfs/nfs.h"
#include "cowfs/program.h"

#define OFFSET(field) offsetof(struct options, field)
static const struct xeno_conf_item items[] = {
    { "lower", XENO_CONF_TEXT, OFFSET(lower), .unit = "directories with colons between them",
      .help = "Layers that are directories, topmost first; they are never changed." },
    { "images", XENO_CONF_TEXT, OFFSET(images), .unit = "references with commas between them",
      .help = "Images whose layers lie below those of lower and are read by pieces, topmost first: "
              "names or digests in image-store, or oci://HOST/REPO:TAG in a registry." },
    { "stack", XENO_CONF_TEXT, OFFSET(stack), .unit = "file",
      .help =
          "A file that says which layers there are, instead of lower and images: directories and "
          "layers read by pieces in any order." },
    { "imaged", XENO_CONF_TEXT, OFFSET(imaged), .unit = "socket",
      .help = "Where xeno-imaged is asked for what is read of the layers of stack." },
    { "imaged-store", XENO_CONF_TEXT, OFFSET(imaged_store), .unit = "directory",
      .help = "The image store of xeno-imaged: where the manifests are of what mount files name." },
    { "image-store", XENO_CONF_TEXT, OFFSET(image_store), .unit = "directory",
      .help = "An image store of this host: where images are found by name, and asked first for "
              "what is read." },
    { "cache", XENO_CONF_TEXT, OFFSET(cache), .unit = "directory",
      .help = "Where pieces that were read are kept, for all mounts with the same cache; needed "
              "for layers read by pieces." },
    { "cache-bytes", XENO_CONF_SIZE, OFFSET(cache_bytes), .unit = "bytes", .fallback = "10G",
      .min = 1 << 20, .max = INT64_C(1) << 50,
      .help = "How much the cache may hold; what was not read for longest goes." },
    { "ahead-bytes", XENO_CONF_SIZE, OFFSET(ahead_bytes), .unit = "bytes", .fallback = "64M",
      .max = INT64_C(1) << 40,
      .help = "How much is fetched ahead of reads, as the last mount of these images read it; 0: "
              "nothing." },
    { "mount-files", XENO_CONF_BOOL, OFFSET(mount_files), .fallback = "yes",
      .help =
          "Lay over a directory what the file .mount in a layer lists there; no: such a file is "
          "a file." },
    { "mount-registries", XENO_CONF_TEXT, OFFSET(mount_registries),
      .unit = "HOST or HOST:PORT, with commas",
      .help = "Registries that mount files may name, beside those of images." },
    { "mount-dirs", XENO_CONF_TEXT, OFFSET(mount_dirs),
      .unit = "directories with colons between them",
      .help = "Where the directories of this host are that mount files may name by file://." },
    { "registry-ca", XENO_CONF_TEXT, OFFSET(registry_ca), .unit = "file",
      .help = "The CA certificates (PEM) that registries are trusted by, instead of this "
              "machine's." },
    { "registry-auth", XENO_CONF_TEXT, OFFSET(registry_auth), .unit = "file",
      .help = "Passwords for registries, as podman login keeps them; otherwise where podman looks "
              "for them." },
    { "registry-plain", XENO_CONF_BOOL, OFFSET(registry_plain), .fallback = "no",
      .help = "Speak HTTP without TLS to a registry, which must be on this machine." },
    { "patience", XENO_CONF_DURATION, OFFSET(patience), .fallback = "20s", .min = 1, .max = 3600000,
      .help = "How long a read waits for a source that does not answer before it fails." },
    { "shift", XENO_CONF_INT, OFFSET(shift), .fallback = "1879048192", .max = 0x7fff0000,
      .help = "Added to the owners of files in images, as the layer cache does it for sessions; "
              "where there are no such ids all files are the server's own." },
    { "upper", XENO_CONF_TEXT, OFFSET(upper), .unit = "directory", .required = true,
      .help = "Where what is written goes; nobody else may change it meanwhile." },
    { "work", XENO_CONF_TEXT, OFFSET(work), .unit = "directory", .required = true,
      .help = "A directory on the file system of upper, for this stack alone." },
    { "mount", XENO_CONF_TEXT, OFFSET(mount), .unit = "directory",
      .help = "Where the stack is to be seen, over FUSE; this, fuse-fd or nfs." },
    { "fuse-fd", XENO_CONF_INT, OFFSET(fuse_fd), .fallback = "-1", .min = -1, .max = 65535,
      .help =
          "A descriptor of /dev/fuse that whoever starts this program has mounted and passes on; "
          "-1: none; it says \"ready\" on its standard output once it serves, and needs no right to "
          "mount: it is confined as over NFS." },
    { "options", XENO_CONF_TEXT, OFFSET(options), .unit = "as of mount(8), with commas",
      .help = "More options of the mount, such as suid, dev, ro or noexec." },
    { "nfs", XENO_CONF_TEXT, OFFSET(nfs), .unit = "ADDRESS:PORT, port 0: any",
      .help = "Where the stack is served over NFS instead." },
    { "nfs-client", XENO_CONF_TEXT, OFFSET(nfs_client), .unit = "addresses with commas",
      .help = "Who may connect; nobody else may." },
    { "nfs-uids", XENO_CONF_TEXT, OFFSET(nfs_uids), .unit = "as-told, no-root or UID:GID",
      .fallback = "as-told",
      .help = "Whose the requests are: of whom they say, with root as nobody, or all of one." },
    { "nfs-sync", XENO_CONF_BOOL, OFFSET(nfs_sync), .fallback = "yes",
      .help =
          "Put changes of names and attributes on the disk before they are answered, as the "
          "protocol wants it; no: when upper is of no use after the machine went down anyway." },
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

/* So many more threads, when reads may wait for a store: what is here is served meanwhile. Over
 * FUSE the kernel has as many reads under way at most (fuse.c). */
#define WAITING_THREADS 64

static int threads_of(const struct options *o)
{
    return (int)o->threads + (by_pieces(o) || (o->mount_files && o->cache) ? WAITING_THREADS : 0);
}

/* What is served, and how. */
struct server {
    const struct options *o;
    struct xeno_cowfs *stack;
    struct xeno_cowfs_images *images; /* NULL: none */
    int ready;                        /* who waits for us; -1: nobody */
};

/* To the background, where who fetches ahead begins. */
static int begin(struct server *s, struct xeno_err *err)
{
    int r = say_ready(xeno_take_fd(&s->ready), err);

    if (r == 0 && s->images)
        xeno_cowfs_images_begin(s->images);
    return r;
}

static int open_fuse(struct server *s, struct xeno_cowfs_mount **ret, struct xeno_err *err)
{
    bool passed = s->o->fuse_fd >= 0;
    /* We leave the current directory. */
    xeno_autofree char *where = passed ? NULL : realpath(s->o->mount, NULL);
    struct xeno_cowfs_mount_opts opts = { .where = where,
                                          .fd = (int)s->o->fuse_fd,
                                          .options = s->o->options,
                                          .threads = threads_of(s->o) };

    if (!passed && !where)
        return xeno_fail_errno(err, -errno, "cowfs.mount", "find '%s'", s->o->mount);
    return xeno_cowfs_mount(s->stack, &opts, ret, err);
}

static int serve_fuse(struct server *s, struct xeno_err *err)
{
    bool passed = s->o->fuse_fd >= 0;
    xeno_auto(xeno_cowfs_mount) m = NULL;
    int r = open_fuse(s, &m, err);

    if (r == 0)
        r = drop_rights(!passed, err);
    if (r == 0 && passed)
        r = confine(s->o, err);
    if (r < 0)
        return r;
    if (passed) {
        puts("ready");
        fflush(stdout);
    }
    r = begin(s, err);
    return r == 0 ? xeno_cowfs_serve(m, err) : r;
}

static int open_nfs(const struct options *o, struct xeno_cowfs *c, struct xeno_nfs **ret,
                    struct xeno_err *err)
{
    struct xeno_nfs_opts opts = { .work = o->work,
                                  .uids = o->nfs_uids,
                                  .clients = o->nfs_client,
                                  .lazy = !o->nfs_sync,
                                  .threads = threads_of(o) };

    return xeno_nfs_new(c, &opts, ret, err);
}

static int serve_nfs(struct server *s, struct xeno_err *err)
{
    xeno_auto(xeno_nfs) n = NULL;
    int port = 0, r = open_nfs(s->o, s->stack, &n, err);

    if (r == 0)
        r = xeno_nfs_listen(n, s->o->nfs, &port, err);
    if (r == 0)
        r = drop_rights(true, err);
    if (r == 0)
        r = confine(s->o, err);
    if (r < 0)
        return r;
    printf("ready port=%d\n", port);
    fflush(stdout);
    r = begin(s, err);
    return r == 0 ? xeno_nfs_serve(n, err) : r;
}

/* One process serves one way. */
static int check_way(const struct options *o, struct xeno_err *err)
{
    bool mount = o->mount && *o->mount, nfs = o->nfs && *o->nfs;

    if (mount + nfs + (o->fuse_fd >= 0) != 1)
        return xeno_fail(err, -EINVAL, "cowfs.way", "give one of 'mount', 'fuse-fd' and 'nfs'");
    if (nfs && !(o->nfs_client && *o->nfs_client))
        return xeno_fail(err, -EINVAL, "cowfs.way", "'nfs' needs 'nfs-client'");
    return 0;
}

static int serve(struct options *o, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs_images) images = NULL; /* outlives the stack, which has its layers */
    xeno_auto(xeno_cowfs) c = NULL;
    struct server s = { .o = o, .ready = -1 };
    int r = check_way(o, err);

    umask(0);
    signal(SIGPIPE, SIG_IGN);
    raise_files();
    if (r == 0)
        r = read_parts(o, err);
    if (r == 0 && !o->foreground)
        r = to_background(&s.ready, err);
    if (r == 0)
        r = open_stack(o, &c, &images, err);
    if (r < 0)
        return r;
    s.stack = c;
    s.images = images;
    r = o->nfs ? serve_nfs(&s, err) : serve_fuse(&s, err);
    if (images) {
        xeno_cowfs_images_end(images);
        if (o->cache)
            log_counts(images);
    }
    return r;
}

static int check(struct options *o, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs_images) images = NULL;
    xeno_auto(xeno_cowfs) c = NULL;
    xeno_auto(xeno_nfs) s = NULL;
    int r = check_way(o, err);

    if (r == 0)
        r = read_parts(o, err);
    if (r == 0)
        r = open_stack(o, &c, &images, err);
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
    struct options o = { .fuse_fd = -1 };
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
    if (r < 0 && o.fuse_fd >= 0) /* who started us has somebody to tell */
        printf("failed %s %s\n", err.token, err.text);
    xeno_stack_free(o.parts);
    xeno_conf_release(items, XENO_LEN(items), &o);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
