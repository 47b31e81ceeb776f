/* src/image/import.c - bring an image in: a folder, a tar, an OCI layout, a Docker archive. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/build-priv.h"
#include "image/job.h"
#include "image/store-priv.h"

#define CHUNK (256 * 1024)

static enum xeno_image_kind kind_of(const struct xeno_import_opts *o)
{
    return o->kind == XENO_IMAGE_ANY ? XENO_IMAGE_TEMPLATE : o->kind;
}

/* --- a folder --- */

/* The root folder of a template is everybody's to enter, however the folder here was made. */
static void fix_root(struct xeno_scan *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->items[i].path, ".") == 0) {
            s->items[i].fixed = true;
            s->items[i].mode = 0755;
        }
    }
}

static int pack_scan(struct xeno_store *st, struct xeno_scan *scan,
                     const struct xeno_import_opts *o, struct xeno_layer *ret, struct xeno_err *err)
{
    enum xeno_compression c = o->compression_set ? o->compression : XENO_COMPRESS_ZSTD;
    xeno_auto(xeno_layer_writer) w = NULL;
    xeno_auto(xeno_pack) p = NULL;
    struct xeno_pack_output out;
    int r = xeno_layer_new(st, c, &w, err);

    if (r >= 0)
        r = xeno_layer_pack(w, &out, err);
    if (r >= 0)
        r = xeno_pack_new(&out, &p, err);
    if (r >= 0)
        r = xeno_scan_pack(scan, p, o->progress, err);
    return r < 0 ? r : xeno_layer_commit(w, ret, NULL, err);
}

static int import_dir(struct xeno_store *st, const struct xeno_import_opts *o,
                      struct xeno_made *made, struct xeno_err *err)
{
    struct xeno_scan scan = { .keep_owner = geteuid() == 0,
                              .keep_times = o->keep_times,
                              .keep_xattrs = true };
    const struct xeno_unpack_limits *lim = o->limits ? o->limits : &xeno_unpack_defaults;
    struct xeno_layer layer;
    int r = xeno_name_check(o->name, err);

    if (r >= 0)
        r = xeno_scan_add(&scan, o->path, ".", lim, err);
    if (r >= 0) {
        fix_root(&scan);
        r = xeno_scan_sort(&scan, err);
    }
    if (r >= 0)
        r = pack_scan(st, &scan, o, &layer, err);
    made->skipped = scan.skipped;
    xeno_scan_release(&scan);
    if (r >= 0)
        r = xeno_layer_check(st, &layer, lim, o->progress, made, err);
    if (r >= 0)
        r = xeno_image_finish(st, &layer, kind_of(o), &o->defaults, true, NULL, o->name, made, err);
    return r;
}

/* --- a tar of a root file system --- */

static int copy_to_blob(struct xeno_store *st, int fd, struct xeno_layer *layer,
                        const struct xeno_import_opts *o, struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = "copy", .total_bytes = layer->size_bytes };
    xeno_autofree char *chunk = xeno_alloc0(1, CHUNK);
    xeno_auto(xeno_blob_writer) w = NULL;
    ssize_t n;
    int r = xeno_blob_new(st, &w, err);

    while (r >= 0 && (n = read(fd, chunk, CHUNK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.source", "read '%s'", o->path);
        r = xeno_blob_add(w, chunk, (size_t)n, err);
        at.done_bytes += n;
        if (r >= 0)
            r = xeno_progress_tell(o->progress, &at, err);
    }
    return r < 0 ? r : xeno_blob_commit(w, NULL, layer->digest, &layer->size_bytes, err);
}

/* A compressed tar is kept byte by byte: a digest that somebody has published stays true. */
static int import_tar(struct xeno_store *st, int fd, const struct xeno_layer *file,
                      const struct xeno_import_opts *o, struct xeno_made *made,
                      struct xeno_err *err)
{
    enum xeno_compression to = o->compression_set                        ? o->compression
                               : file->compression != XENO_COMPRESS_NONE ? file->compression
                                                                         : XENO_COMPRESS_ZSTD;
    struct xeno_layer layer = *file;
    int r = xeno_name_check(o->name, err);

    if (r < 0)
        return r;
    if (to == file->compression)
        r = copy_to_blob(st, fd, &layer, o, err);
    else if (to == XENO_COMPRESS_ZSTD)
        r = xeno_layer_repack(st, fd, file, o->limits, o->progress, &layer, err);
    else
        r = xeno_layer_convert(st, fd, file, to, o->limits, o->progress, &layer, err);
    if (r >= 0)
        r = xeno_layer_check(st, &layer, o->limits, o->progress, made, err);
    if (r >= 0)
        r = xeno_image_finish(st, &layer, kind_of(o), &o->defaults, true, NULL, o->name, made, err);
    return r;
}

/* --- an OCI layout --- */

static int only_one(struct xeno_store *from, struct xeno_index **ret, const char *path,
                    struct xeno_err *err)
{
    xeno_auto(xeno_index) all = NULL;
    int r = xeno_store_index(from, &all, err);

    if (r < 0)
        return r;
    if (all->count != 1)
        return xeno_fail(err, -EINVAL, "image.ref", "'%s' holds %zu images: say which%s%s%s", path,
                         all->count, all->count > 0 ? " (" : "",
                         all->count > 0 ? all->items[0].name : "", all->count > 0 ? ", ...)" : "");
    *ret = xeno_take(&all);
    return 0;
}

static int import_layout(struct xeno_store *st, const char *path, const struct xeno_import_opts *o,
                         struct xeno_made *made, struct xeno_err *err)
{
    struct xeno_copy_opts copy = { .name = o->name,
                                   .check = true,
                                   .compression = o->compression,
                                   .compression_set = o->compression_set,
                                   .limits = o->limits,
                                   .progress = o->progress };
    xeno_auto(xeno_store) from = NULL;
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_index) only = NULL;
    const char *ref = o->ref;
    int r = xeno_store_open(path, XENO_STORE_READ, &from, err);

    if (r >= 0 && !ref) {
        r = only_one(from, &only, o->path, err);
        if (r >= 0) {
            ref = only->items[0].digest;
            if (!copy.name && only->items[0].name[0] != '\0')
                copy.name = only->items[0].name;
        }
    }
    if (!copy.name && ref && strncmp(ref, "sha256:", 7) != 0)
        copy.name = ref;
    if (r >= 0)
        r = xeno_name_check(copy.name, err);
    if (r >= 0)
        r = xeno_store_resolve(from, ref, o->defaults.arch, &im, err);
    if (r < 0)
        return r;
    copy.digest = im->digest;
    return xeno_copy_image(from, st, &copy, made, err);
}

/* --- archives of layouts and of Docker --- */

static int unpack_archive(int fd, const struct xeno_layer *file, const char *dir,
                          const struct xeno_import_opts *o, struct xeno_err *err)
{
    struct xeno_unpack_opts opts = { .limits = o->limits,
                                     .progress = o->progress,
                                     .own = geteuid() != 0 };
    xeno_autoclose int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct xeno_unpacked done;

    if (dirfd < 0)
        return xeno_fail_errno(err, -errno, "image.write", "open '%s'", dir);
    return xeno_unpack_layer(fd, file, dirfd, &opts, &done, err);
}

static int import_archive(struct xeno_store *st, int fd, const struct xeno_layer *file, bool oci,
                          const struct xeno_import_opts *o, struct xeno_made *made,
                          struct xeno_err *err)
{
    xeno_autofree char *dir = NULL;
    int r = xeno_store_tmpdir(st, &dir, err);

    if (r < 0)
        return r;
    r = unpack_archive(fd, file, dir, o, err);
    if (r >= 0)
        r = oci ? import_layout(st, dir, o, made, err) : xeno_docker_import(st, dir, o, made, err);
    (void)xeno_remove_tree(AT_FDCWD, dir, NULL);
    return r;
}

/* --- which of them is it? --- */

struct look {
    bool oci, docker;
};

static int look_at(void *arg, const struct xeno_listed *e, struct xeno_err *err)
{
    struct look *l = arg;

    (void)err;
    if (e->type == XENO_TAR_FILE && strcmp(e->path, "oci-layout") == 0)
        l->oci = true;
    if (e->type == XENO_TAR_FILE && strcmp(e->path, "manifest.json") == 0)
        l->docker = true;
    return 0;
}

static int find_format(int fd, const struct xeno_layer *file, const struct xeno_import_opts *o,
                       enum xeno_import_format *format, struct xeno_err *err)
{
    struct look l = { .oci = false };
    struct xeno_unpacked done;
    int r;

    if (*format != XENO_IMPORT_AUTO)
        return 0;
    r = xeno_layer_list(fd, file, o->limits, o->progress, look_at, &l, &done, err);
    if (r < 0)
        return xeno_context(err, r, "'%s'", o->path);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return xeno_fail_errno(err, -errno, "image.source", "read '%s' again", o->path);
    *format = l.oci ? XENO_IMPORT_OCI : l.docker ? XENO_IMPORT_DOCKER : XENO_IMPORT_TAR;
    return 0;
}

/* Standard input is read more than once: into a file that has no name. */
static int spool(struct xeno_store *st, int *ret_fd, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_asprintf("%s/%s/in.XXXXXX", st->path, XENO_STORE_TMP);
    xeno_autofree char *chunk = xeno_alloc0(1, CHUNK);
    xeno_autoclose int fd = -1;
    ssize_t n;
    int r = xeno_mkdirs(st->dirfd, XENO_STORE_TMP, 0700, err);

    if (r < 0)
        return r;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "image.write", "create '%s'", path);
    unlink(path);
    while ((n = read(STDIN_FILENO, chunk, CHUNK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? -errno : xeno_write_all(fd, chunk, (size_t)n);
        if (r < 0)
            return xeno_fail_errno(err, r, "image.source", "copy standard input");
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return xeno_fail_errno(err, -errno, "image.source", "read standard input again");
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

static int import_file(struct xeno_store *st, int fd, const struct xeno_import_opts *o,
                       struct xeno_made *made, struct xeno_err *err)
{
    enum xeno_import_format format = o->format;
    struct xeno_layer file = { .size_bytes = 0 };
    struct stat sb;
    int r;

    if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))
        return xeno_fail(err, -EINVAL, "image.format", "'%s' is neither a folder nor a file",
                         o->path);
    file.size_bytes = sb.st_size;
    r = xeno_compression_of(fd, &file.compression, err);
    if (r >= 0)
        r = find_format(fd, &file, o, &format, err);
    if (r < 0)
        return r;
    if (format == XENO_IMPORT_TAR)
        return import_tar(st, fd, &file, o, made, err);
    if (format == XENO_IMPORT_DIR)
        return xeno_fail(err, -EINVAL, "image.format", "'%s' is not a folder", o->path);
    return import_archive(st, fd, &file, format == XENO_IMPORT_OCI, o, made, err);
}

static int import_any(struct xeno_store *st, const struct xeno_import_opts *o,
                      struct xeno_made *made, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    struct stat sb;
    int r;

    if (strcmp(o->path, "-") == 0) {
        r = spool(st, &fd, err);
        return r < 0 ? r : import_file(st, fd, o, made, err);
    }
    fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &sb) < 0)
        return xeno_fail_errno(err, -errno, "image.source", "open '%s'", o->path);
    if (!S_ISDIR(sb.st_mode))
        return import_file(st, fd, o, made, err);
    if (o->format == XENO_IMPORT_OCI ||
        (o->format == XENO_IMPORT_AUTO && faccessat(fd, "oci-layout", F_OK, 0) == 0))
        return import_layout(st, o->path, o, made, err);
    if (o->format == XENO_IMPORT_AUTO || o->format == XENO_IMPORT_DIR)
        return import_dir(st, o, made, err);
    return xeno_fail(err, -EINVAL, "image.format", "'%s' is a folder", o->path);
}

int xeno_image_import(struct xeno_store *st, const struct xeno_import_opts *opts,
                      struct xeno_made *ret, struct xeno_err *err)
{
    struct xeno_made made = { .layers = 0 };
    int r = opts->name ? xeno_name_check(opts->name, err) : 0;

    if (r >= 0)
        r = xeno_store_hold(st, err);
    if (r < 0)
        return r;
    r = import_any(st, opts, &made, err);
    xeno_store_drop(st);
    if (r < 0)
        return xeno_context(err, r, "import");
    *ret = made;
    return 0;
}
