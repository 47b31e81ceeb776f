/* src/image/collect.c - remove blobs that no image of the store needs.
 *
 * Mark and sweep under .lock held alone, so that nobody is adding. Marking reads documents loosely
 * (any digest in the usual places counts), so that content of other tools, of kinds unknown here,
 * is kept. A document that is there but cannot be read stops the collection: what it needs is not
 * known.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/enc.h"
#include "base/io.h"
#include "image/manifest-priv.h"
#include "image/store-priv.h"

#define DEPTH_MAX 4
#define REFS_MAX  65536

struct mark {
    char digest[XENO_DIGEST_TEXT];
    UT_hash_handle hh;
};

static void marks_free(struct mark **marks)
{
    struct mark *m, *next;

    HASH_ITER (hh, *marks, m, next) {
        HASH_DEL(*marks, m);
        free(m);
    }
}

/* Returns: was it new? */
static bool mark_add(struct mark **marks, const char *digest)
{
    struct mark *m;

    HASH_FIND_STR(*marks, digest, m);
    if (m)
        return false;
    m = xeno_new0(struct mark);
    snprintf(m->digest, sizeof(m->digest), "%s", digest);
    HASH_ADD_STR(*marks, digest, m);
    return true;
}

static int mark_document(struct xeno_store *st, struct mark **marks, const char *digest, int depth,
                         struct xeno_err *err);

/* A layer's table of contents, where it is a blob of its own (image/agent.h). */
static void mark_table(struct mark **marks, const struct xeno_json_at *layer)
{
    static const char *const keys[] = { XENO_NOTE_TOC, XENO_NOTE_TOC_OLD };
    struct xeno_json_at notes;
    const char *digest;

    if (xeno_json_obj_opt(layer, "annotations", &notes, NULL) != 0)
        return;
    for (size_t i = 0; i < XENO_LEN(keys); i++)
        if (xeno_json_str_opt(&notes, keys[i], 1, XENO_DIGEST_TEXT - 1, &digest, NULL) == 0 &&
            xeno_digest_ok(digest))
            mark_add(marks, digest);
}

static int mark_descriptor(struct xeno_store *st, struct mark **marks,
                           const struct xeno_json_at *at, bool document, int depth,
                           struct xeno_err *err)
{
    const char *digest;

    mark_table(marks, at);
    if (xeno_json_str(at, "digest", 1, XENO_DIGEST_TEXT - 1, &digest, NULL) < 0 ||
        !xeno_digest_ok(digest))
        return 0; /* not one of ours to keep or to remove */
    if (!mark_add(marks, digest) || !document)
        return 0;
    return mark_document(st, marks, digest, depth, err);
}

static int mark_list(struct xeno_store *st, struct mark **marks, const struct xeno_json_at *top,
                     const char *key, bool documents, int depth, struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t n = 0;
    int r = xeno_json_arr_opt(top, key, REFS_MAX, &list, &n, err);

    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        r = mark_descriptor(st, marks, &at, documents, depth, err);
    }
    return r;
}

static int mark_text(struct xeno_store *st, struct mark **marks, const char *text, size_t len,
                     int depth, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, one;
    int r = xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &doc, err);

    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    if (xeno_json_obj_opt(&top, "config", &one, NULL) == 0)
        r = mark_descriptor(st, marks, &one, false, depth, err);
    if (r >= 0 && xeno_json_obj_opt(&top, "subject", &one, NULL) == 0)
        r = mark_descriptor(st, marks, &one, true, depth + 1, err);
    if (r >= 0)
        r = mark_list(st, marks, &top, "layers", false, depth, err);
    if (r >= 0)
        r = mark_list(st, marks, &top, "blobs", false, depth, err);
    if (r >= 0)
        r = mark_list(st, marks, &top, "manifests", true, depth + 1, err);
    return r;
}

static int mark_document(struct xeno_store *st, struct mark **marks, const char *digest, int depth,
                         struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    if (depth > DEPTH_MAX)
        return xeno_fail(err, -EINVAL, "image.index", "indexes nested deeper than %d", DEPTH_MAX);
    r = xeno_store_read(st, digest, XENO_MANIFEST_MAX_BYTES, &text, &len, err);
    if (r == -ENOENT)
        return 0; /* needs nothing any more */
    if (r >= 0)
        r = mark_text(st, marks, text, len, depth, err);
    if (r < 0)
        return xeno_context(err, r, "%s cannot be read, so what it needs is not known; remove it",
                            digest);
    return 0;
}

static int drop_unnamed(struct xeno_index *ix, void *arg, struct xeno_err *err)
{
    size_t *dropped = arg;

    (void)err;
    for (size_t i = ix->count; i-- > 0;) {
        if (ix->items[i].name[0] == '\0') {
            xeno_index_del(ix, i);
            ++*dropped;
        }
    }
    return 0;
}

/* Remove files of folder `path` that have no mark; all of them when marks is NULL. */
static int sweep(struct xeno_store *st, const char *path, struct mark *const *marks,
                 struct xeno_store_collected *ret, struct xeno_err *err)
{
    int fd = openat(st->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    int r = 0;

    if (!d)
        return errno == ENOENT && !marks
                   ? 0
                   : xeno_fail_errno(err, -errno, "image.store", "list '%s/%s'", st->path, path);
    while (r == 0 && (e = readdir(d)) != NULL) {
        char digest[XENO_DIGEST_TEXT];
        struct mark *m = NULL;
        struct stat sb = { .st_size = 0 };

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (marks) {
            snprintf(digest, sizeof(digest), "sha256:%.64s", e->d_name);
            if (!xeno_digest_ok(digest) || strlen(e->d_name) != 64)
                continue; /* no blob; not ours to judge */
            HASH_FIND_STR(*marks, digest, m);
        }
        if (m)
            continue;
        (void)fstatat(dirfd(d), e->d_name, &sb, AT_SYMLINK_NOFOLLOW);
        r = xeno_remove_tree(dirfd(d), e->d_name, err);
        ret->blobs += marks != NULL;
        ret->bytes += sb.st_size;
    }
    closedir(d);
    return r;
}

int xeno_store_collect(struct xeno_store *st, bool unnamed, struct xeno_store_collected *ret,
                       struct xeno_err *err)
{
    struct mark *marks __attribute__((cleanup(marks_free))) = NULL;
    struct xeno_store_collected done = { .blobs = 0 };
    xeno_autoclose int lock = -1;
    xeno_auto(xeno_index) ix = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    if (st->holds > 0)
        return xeno_fail(err, -EBUSY, "image.lock", "the store is being written by the caller");
    r = xeno_store_flock(st, ".lock", LOCK_EX, &lock, err);
    if (r >= 0 && unnamed)
        r = xeno_store_index_change(st, drop_unnamed, &done.images, err);
    if (r >= 0)
        r = xeno_store_index(st, &ix, err); /* whole and sound, or nothing is removed */
    if (r >= 0) {
        text = xeno_index_format(ix, &len);
        r = mark_text(st, &marks, text, len, 0, err);
    }
    if (r >= 0)
        r = sweep(st, XENO_STORE_BLOBS, &marks, &done, err);
    if (r >= 0)
        r = sweep(st, XENO_STORE_TMP, NULL, &done, err);
    if (r < 0)
        return xeno_context(err, r, "collect");
    if (ret)
        *ret = done;
    return 0;
}
