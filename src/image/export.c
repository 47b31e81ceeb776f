/* src/image/export.c - give an image out as an OCI layout: a tar or a folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/build-priv.h"
#include "image/store-priv.h"

#define CHUNK (256 * 1024)

struct exporter {
    struct xeno_store *st;
    struct xeno_pack *pack;
    const struct xeno_progress *progress;
    struct xeno_progress_at at;
    int fd;
    char chunk[CHUNK];
};

static int fd_write(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    int r = xeno_write_all(*(int *)arg, data, len);

    return r < 0 ? xeno_fail_errno(err, r, "image.write", "write the archive") : 0;
}

static int put_folder(struct exporter *x, const char *name, struct xeno_err *err)
{
    struct xeno_tar_entry e = { .type = XENO_TAR_DIR, .name = name, .link = "", .mode = 0755 };

    return xeno_pack_add(x->pack, &e, err);
}

static int put_text(struct exporter *x, const char *name, const char *text, size_t len,
                    struct xeno_err *err)
{
    struct xeno_tar_entry e = {
        .type = XENO_TAR_FILE, .name = name, .link = "", .mode = 0644, .size_bytes = (int64_t)len
    };
    int r = xeno_pack_add(x->pack, &e, err);

    return r < 0 ? r : xeno_pack_data(x->pack, text, len, err);
}

static int put_blob(struct exporter *x, const char *digest, struct xeno_err *err)
{
    struct xeno_tar_entry e = { .type = XENO_TAR_FILE, .link = "", .mode = 0644 };
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    char path[XENO_BLOB_PATH], have[XENO_DIGEST_TEXT];
    xeno_autoclose int fd = -1;
    uint8_t sha[32];
    ssize_t n;
    int r = xeno_store_open_blob(x->st, digest, &fd, &e.size_bytes, err);

    if (r < 0)
        return r;
    xeno_blob_path(digest, path);
    e.name = path;
    r = xeno_pack_add(x->pack, &e, err);
    while (r >= 0 && (n = read(fd, x->chunk, sizeof(x->chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.read", "read blob %s", digest);
        xeno_sha256_add(hash, x->chunk, (size_t)n);
        r = xeno_pack_data(x->pack, x->chunk, (size_t)n, err);
        x->at.done_bytes += n;
        if (r >= 0)
            r = xeno_progress_tell(x->progress, &x->at, err);
    }
    if (r < 0)
        return r;
    xeno_sha256_end(hash, sha);
    xeno_digest_text(sha, have);
    if (strcmp(have, digest) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s has the content of %s", digest,
                         have);
    return 0;
}

static int put_layers(struct exporter *x, const struct xeno_image *im, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < im->layer_count; i++) {
        bool before = false;

        for (size_t k = 0; k < i; k++)
            before |= strcmp(im->layers[k].digest, im->layers[i].digest) == 0;
        if (!before)
            r = put_blob(x, im->layers[i].digest, err);
    }
    return r;
}

static int put_image(struct exporter *x, const struct xeno_image *im, const char *name,
                     struct xeno_err *err)
{
    static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    struct xeno_descriptor d = { .media_type = XENO_MT_MANIFEST };
    xeno_auto(xeno_index) ix = xeno_index_new();
    xeno_autofree char *index = NULL, *manifest = NULL;
    size_t len;
    int r = xeno_store_read(x->st, im->digest, XENO_MANIFEST_MAX_BYTES, &manifest, &len, err);

    if (r < 0)
        return r;
    snprintf(d.digest, sizeof(d.digest), "%s", im->digest);
    snprintf(d.name, sizeof(d.name), "%s", name);
    snprintf(d.arch, sizeof(d.arch), "%s", im->arch);
    snprintf(d.os, sizeof(d.os), "%s", im->os);
    d.size_bytes = (int64_t)len;
    xeno_index_add(ix, &d);
    index = xeno_index_format(ix, &len);
    r = put_text(x, "oci-layout", layout, sizeof(layout) - 1, err);
    if (r >= 0)
        r = put_text(x, "index.json", index, len, err);
    if (r >= 0)
        r = put_folder(x, "blobs", err);
    if (r >= 0)
        r = put_folder(x, XENO_STORE_BLOBS, err);
    if (r >= 0)
        r = put_blob(x, im->digest, err);
    if (r >= 0 && strcmp(im->digest, im->config.digest) != 0)
        r = put_blob(x, im->config.digest, err);
    if (r >= 0)
        r = put_layers(x, im, err);
    return r < 0 ? r : xeno_pack_end(x->pack, err);
}

static int write_tar(struct xeno_store *st, const struct xeno_image *im, const char *name, int fd,
                     const struct xeno_progress *progress, struct xeno_err *err)
{
    xeno_autofree struct exporter *x = xeno_new0(struct exporter);
    xeno_auto(xeno_pack) pack = NULL;
    struct xeno_pack_output out = { .write = fd_write, .arg = &x->fd };
    int r;

    x->st = st;
    x->progress = progress;
    x->fd = fd;
    x->at = (struct xeno_progress_at){ .phase = "copy", .total_bytes = im->size_bytes };
    r = xeno_pack_new(&out, &pack, err);
    x->pack = pack;
    return r < 0 ? r : put_image(x, im, name, err);
}

static int export_tar(struct xeno_store *st, const struct xeno_image *im, const char *name,
                      const struct xeno_export_opts *o, struct xeno_err *err)
{
    xeno_autofree char *tmp = xeno_asprintf("%s.tmp%ld", o->path, (long)getpid());
    xeno_autoclose int fd = -1;
    int r;

    if (strcmp(o->path, "-") == 0)
        return write_tar(st, im, name, STDOUT_FILENO, o->progress, err);
    fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "image.write", "create '%s'", tmp);
    r = write_tar(st, im, name, fd, o->progress, err);
    if (r >= 0 && (fsync(fd) < 0 || rename(tmp, o->path) < 0))
        r = xeno_fail_errno(err, -errno, "image.write", "write '%s'", o->path);
    if (r < 0)
        unlink(tmp);
    return r;
}

/* The name an archive gives the image: the one it was asked by. */
static const char *name_for(const char *ref)
{
    struct xeno_image_ref parsed;

    if (xeno_image_ref_parse(ref, &parsed, NULL) < 0 || parsed.by_digest)
        return "";
    return parsed.text;
}

/* Into a layout of its own, converted on the way, and the archive is made of that. */
static int export_converted(struct xeno_store *st, struct xeno_copy_opts *copy,
                            const struct xeno_export_opts *o, struct xeno_err *err)
{
    xeno_auto(xeno_store) to = NULL;
    xeno_auto(xeno_image) im = NULL;
    struct xeno_made made = { .layers = 0 };
    char dir[] = "/var/tmp/xeno-export-XXXXXX";
    int r;

    if (!mkdtemp(dir))
        return xeno_fail_errno(err, -errno, "image.write", "make a folder in /var/tmp");
    r = xeno_store_open(dir, XENO_STORE_CREATE, &to, err);
    if (r >= 0)
        r = xeno_copy_image(st, to, copy, &made, err);
    if (r >= 0)
        r = xeno_store_load(to, made.digest, &im, err);
    if (r >= 0)
        r = export_tar(to, im, copy->name ? copy->name : "", o, err);
    (void)xeno_remove_tree(AT_FDCWD, dir, NULL);
    return r;
}

int xeno_image_export(struct xeno_store *st, const struct xeno_export_opts *o, struct xeno_err *err)
{
    const char *name = name_for(o->ref);
    struct xeno_copy_opts copy = { .name = name[0] != '\0' ? name : NULL,
                                   .compression = o->compression,
                                   .compression_set = o->compression_set,
                                   .progress = o->progress };
    xeno_auto(xeno_store) to = NULL;
    xeno_auto(xeno_image) im = NULL;
    struct xeno_made made = { .layers = 0 };
    size_t len = strlen(o->path);
    int r = xeno_store_resolve(st, o->ref, NULL, &im, err);

    if (r < 0)
        return xeno_context(err, r, "export");
    copy.digest = im->digest;
    if (len > 0 && o->path[len - 1] == '/') {
        r = xeno_store_open(o->path, XENO_STORE_CREATE, &to, err);
        if (r >= 0)
            r = xeno_copy_image(st, to, &copy, &made, err);
    } else if (o->compression_set) {
        r = export_converted(st, &copy, o, err);
    } else {
        r = export_tar(st, im, name, o, err);
    }
    return r < 0 ? xeno_context(err, r, "export") : 0;
}
