/* src/image/finish.c - the steps that all builders end in: check, convert, name. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/build-priv.h"
#include "image/job.h"
#include "image/store-priv.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const struct xeno_unpack_limits xeno_unpack_defaults = XENO_UNPACK_LIMITS;

int xeno_progress_tell(const struct xeno_progress *p, const struct xeno_progress_at *at,
                       struct xeno_err *err)
{
    if (p && p->fn && !p->fn(p->arg, at))
        return xeno_fail(err, -ECANCELED, "image.cancelled", "stopped");
    return 0;
}

static int layer_output(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    return xeno_layer_add(arg, data, len, err);
}

int xeno_layer_check(struct xeno_store *st, struct xeno_layer *layer,
                     const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                     struct xeno_made *made, struct xeno_err *err)
{
    struct xeno_unpack_opts opts = { .limits = limits, .progress = progress };
    struct xeno_unpacked found;
    xeno_autoclose int fd = -1;
    int64_t size;
    int r = xeno_store_open_blob(st, layer->digest, &fd, &size, err);

    if (r >= 0)
        r = xeno_unpack_check(fd, layer, &opts, &found, err);
    if (r < 0)
        return r;
    snprintf(layer->diff_id, sizeof(layer->diff_id), "%s", found.diff_id);
    layer->mounts = found.mounts;
    made->tar_bytes += found.tar_bytes;
    made->entries += found.entries;
    made->size_bytes += layer->size_bytes;
    made->layers++;
    return 0;
}

int xeno_layer_convert(struct xeno_store *to, int fd, const struct xeno_layer *from,
                       enum xeno_compression c, const struct xeno_unpack_limits *limits,
                       const struct xeno_progress *progress, struct xeno_layer *ret,
                       struct xeno_err *err)
{
    xeno_auto(xeno_layer_writer) w = NULL;
    int r = xeno_layer_new(to, c, &w, err);

    if (r >= 0)
        r = xeno_layer_bytes(fd, from, limits, progress, layer_output, w, err);
    return r < 0 ? r : xeno_layer_commit(w, ret, NULL, err);
}

int xeno_name_check(const char *name, struct xeno_err *err)
{
    if (name && xeno_image_name_ok(name))
        return 0;
    return xeno_fail(err, -EINVAL, "image.name",
                     "'%.160s' cannot be the name of an image: letters and digits joined by one of "
                     "- . _ : @ / +, at most %d",
                     name ? name : "", XENO_IMAGE_NAME_MAX);
}

static void set_defaults(struct xeno_image *im, const struct xeno_image_defaults *d, bool shell)
{
    static const char *const env[] = { DEFAULT_PATH, NULL }, *const sh[] = { "/bin/sh", NULL };

    xeno_words_free(im->env);
    im->env = xeno_words_dup(d->env ? d->env : shell ? env : NULL);
    xeno_words_free(im->argv);
    im->argv = xeno_words_dup(d->argv ? d->argv : shell ? sh : NULL);
    if (d->cwd) {
        free(im->cwd);
        im->cwd = xeno_strdup(d->cwd);
    }
    snprintf(im->arch, sizeof(im->arch), "%s", d->arch ? d->arch : xeno_image_host_arch());
    snprintf(im->os, sizeof(im->os), "linux");
    xeno_time_text(d->created, im->created);
}

int xeno_image_finish(struct xeno_store *st, const struct xeno_layer *layer,
                      enum xeno_image_kind kind, const struct xeno_image_defaults *d, bool shell,
                      const char *base, const char *name, struct xeno_made *made,
                      struct xeno_err *err)
{
    xeno_auto(xeno_image) im = xeno_image_new();
    int r;

    im->kind = kind;
    set_defaults(im, d, shell);
    xeno_image_add_layer(im, layer);
    if (base)
        snprintf(im->base, sizeof(im->base), "%s", base);
    r = xeno_store_commit(st, im, name, err);
    if (r < 0)
        return r;
    snprintf(made->digest, sizeof(made->digest), "%s", im->digest);
    return 0;
}

int xeno_store_tmpdir(struct xeno_store *st, char **ret_path, struct xeno_err *err)
{
    static atomic_uint serial;
    xeno_autofree char *path = xeno_asprintf("%s/%s/%ld.%u.d", st->path, XENO_STORE_TMP,
                                             (long)getpid(), atomic_fetch_add(&serial, 1));
    int r = xeno_mkdirs(st->dirfd, XENO_STORE_TMP, 0700, err);

    if (r >= 0)
        r = xeno_remove_tree(AT_FDCWD, path, err); /* a dead process had our id */
    if (r < 0)
        return r;
    if (mkdir(path, 0700) < 0)
        return xeno_fail_errno(err, -errno, "image.write", "make folder '%s'", path);
    *ret_path = xeno_take(&path);
    return 0;
}

int xeno_compression_of(int fd, enum xeno_compression *ret, struct xeno_err *err)
{
    static const unsigned char gzip[] = { 0x1f, 0x8b }, zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };
    unsigned char head[4] = { 0 };
    ssize_t n = pread(fd, head, sizeof(head), 0);

    if (n < 0)
        return xeno_fail_errno(err, -errno, "image.source", "read the archive");
    *ret = memcmp(head, gzip, sizeof(gzip)) == 0   ? XENO_COMPRESS_GZIP
           : memcmp(head, zstd, sizeof(zstd)) == 0 ? XENO_COMPRESS_ZSTD
                                                   : XENO_COMPRESS_NONE;
    return 0;
}
