/* src/image/overlay.c - one layer from folders, made to fit over a template. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base.h"
#include "image/build-priv.h"

struct maker {
    struct xeno_store *st;
    const struct xeno_overlay_opts *o;
    struct xeno_image *image; /* the template; NULL: none */
    struct xeno_base *base;
    struct xeno_scan scan;
    char (*targets)[PATH_MAX]; /* of the sources that are folders, resolved */
    size_t target_count;
};

static int check_target(const char *target, struct xeno_err *err)
{
    if (target[0] != '/' || strlen(target) >= PATH_MAX)
        return xeno_fail(err, -EINVAL, "overlay.target",
                         "'%.160s' is not an absolute name in the session", target);
    return 0;
}

/* A file goes to the name given, or into the folder when that ends in "/". */
static int file_target(const char *source, const char *target, char *out, struct xeno_err *err)
{
    const char *base = strrchr(source, '/') ? strrchr(source, '/') + 1 : source;
    size_t len = strlen(target);
    int n = snprintf(out, PATH_MAX, "%s%s", target, target[len - 1] == '/' ? base : "");

    return n >= PATH_MAX ? xeno_fail(err, -EINVAL, "overlay.target", "'%.160s' is too long", target)
                         : 0;
}

static int add_source(struct maker *m, const struct xeno_overlay_source *src, struct xeno_err *err)
{
    const char *target = src->target ? src->target : "/";
    char wanted[PATH_MAX], path[PATH_MAX];
    struct stat sb;
    int r = check_target(target, err);

    if (r < 0)
        return r;
    if (stat(src->dir, &sb) < 0)
        return xeno_fail_errno(err, -errno, "image.source", "'%.200s'", src->dir);
    if (S_ISDIR(sb.st_mode)) {
        r = xeno_base_resolve(m->base, target, true, path, err);
        if (r >= 0)
            memcpy(m->targets[m->target_count++], path, sizeof(path));
    } else {
        r = file_target(src->dir, target, wanted, err);
        if (r >= 0)
            r = xeno_base_resolve(m->base, wanted, false, path, err);
    }
    return r < 0 ? r : xeno_scan_add(&m->scan, src->dir, path, &xeno_unpack_defaults, err);
}

/* A folder named "lib" would hide the template's link "lib" and all behind it: what is in it goes
 * to where the link leads. A folder that the template has keeps the template's owner and mode. */
static int fit(struct maker *m, struct xeno_scan_item *item, struct xeno_err *err)
{
    const struct xeno_listed *e;
    char path[PATH_MAX];
    int r = xeno_base_resolve(m->base, item->path, false, path, err);

    if (r < 0)
        return r;
    e = xeno_base_get(m->base, path);
    if (item->dir && e && e->type == XENO_TAR_SYMLINK) {
        char led[PATH_MAX];

        r = xeno_base_resolve(m->base, path, true, led, err);
        if (r < 0)
            return r;
        e = xeno_base_get(m->base, led);
        if (e && e->type == XENO_TAR_DIR)
            memcpy(path, led, sizeof(path));
    }
    if (strcmp(path, item->path) != 0) {
        free(item->path);
        item->path = xeno_strdup(path);
    }
    if (item->dir && e && e->type == XENO_TAR_DIR) {
        item->fixed = true;
        item->mode = e->mode;
        item->uid = e->uid;
        item->gid = e->gid;
        item->mtime_s = e->mtime_s;
    } else if (item->dir && strcmp(path, ".") == 0) {
        item->fixed = true;
        item->mode = 0755;
    }
    return 0;
}

/* Every folder on the way is in the layer, as the template has it: overlayfs shows the topmost. */
static void add_parents(struct maker *m, const char *path)
{
    char dir[PATH_MAX];

    snprintf(dir, sizeof(dir), "%s", path);
    for (char *slash = dir;;) {
        struct xeno_scan_item item = { .kind = XENO_SCAN_FOLDER, .dir = true };
        const struct xeno_listed *e;

        slash = strrchr(dir, '/');
        if (slash)
            *slash = '\0';
        else
            strcpy(dir, ".");
        e = xeno_base_get(m->base, dir);
        item.fixed = e != NULL; /* else a source may know it better */
        item.mode = e ? e->mode : 0755;
        item.uid = e ? e->uid : 0;
        item.gid = e ? e->gid : 0;
        item.mtime_s = e ? e->mtime_s : 0;
        item.path = xeno_strdup(dir);
        xeno_scan_add_item(&m->scan, &item);
        if (!slash)
            break;
    }
}

static void add_all_parents(struct maker *m)
{
    size_t n = m->scan.count; /* only of what is there now */
    const char *last = "";

    for (size_t i = 0; i < n; i++) {
        const char *path = m->scan.items[i].path, *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash + 1 - path) : 0;

        if (i > 0 && strncmp(path, last, len) == 0 && !strchr(last + len, '/'))
            continue; /* in the same folder as the one before */
        if (strcmp(path, ".") != 0)
            add_parents(m, path);
        last = path;
    }
}

static bool in_scan(const struct maker *m, const char *path)
{
    size_t lo = 0, hi = m->scan.count;

    if (m->scan.count > 0 && strcmp(m->scan.items[0].path, ".") == 0) {
        if (strcmp(path, ".") == 0)
            return true;
        lo = 1; /* "." is first whatever its letters */
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(path, m->scan.items[mid].path);

        if (c == 0)
            return true;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return false;
}

struct missing {
    struct maker *m;
    struct xeno_scan found;
};

/* Not in the folders, but its own folder is: this is the topmost name to hide. */
static int note_missing(void *arg, const struct xeno_listed *e)
{
    struct missing *x = arg;
    struct xeno_scan_item item = { .kind = XENO_SCAN_WHITEOUT };
    char dir[PATH_MAX];
    char *slash;

    if (in_scan(x->m, e->path))
        return 0;
    snprintf(dir, sizeof(dir), "%s", e->path);
    slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    else
        strcpy(dir, ".");
    if (!in_scan(x->m, dir))
        return 0;
    item.path = xeno_strdup(e->path);
    xeno_scan_add_item(&x->found, &item);
    return 0;
}

/* Call with the scan sorted. */
static int add_missing(struct maker *m, struct xeno_err *err)
{
    struct missing x = { .m = m };

    for (size_t i = 0; i < m->target_count; i++)
        (void)xeno_base_below(m->base, m->targets[i], note_missing, &x);
    for (size_t i = 0; i < x.found.count; i++)
        xeno_scan_add_item(&m->scan, &x.found.items[i]);
    free(x.found.items); /* the strings went along */
    (void)err;
    return 0;
}

static int add_whiteouts(struct maker *m, struct xeno_err *err)
{
    for (const char *const *w = m->o->whiteouts; w && *w; w++) {
        struct xeno_scan_item item = { .kind = XENO_SCAN_WHITEOUT };
        char path[PATH_MAX];
        int r = check_target(*w, err);

        if (r >= 0)
            r = xeno_base_resolve(m->base, *w, false, path, err);
        if (r < 0)
            return r;
        if (strcmp(path, ".") == 0 || (m->base && !xeno_base_get(m->base, path)))
            return xeno_fail(err, -ENOENT, "overlay.target", "the template has no '%.160s' to hide",
                             *w);
        item.path = xeno_strdup(path);
        xeno_scan_add_item(&m->scan, &item);
    }
    return 0;
}

static int gather(struct maker *m, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < m->o->source_count; i++)
        r = add_source(m, &m->o->sources[i], err);
    for (size_t i = 0; r >= 0 && i < m->scan.count; i++)
        r = fit(m, &m->scan.items[i], err);
    if (r >= 0)
        r = add_whiteouts(m, err);
    if (r >= 0)
        add_all_parents(m);
    if (r >= 0)
        r = xeno_scan_sort(&m->scan, err);
    if (r >= 0 && m->o->remove) {
        r = add_missing(m, err);
        if (r >= 0)
            r = xeno_scan_sort(&m->scan, err);
    }
    return r;
}

static int pack(struct maker *m, struct xeno_layer *ret, struct xeno_err *err)
{
    enum xeno_compression c = m->o->compression_set ? m->o->compression : XENO_COMPRESS_ZSTD;
    xeno_auto(xeno_layer_writer) w = NULL;
    xeno_auto(xeno_pack) p = NULL;
    struct xeno_pack_output out;
    int r = xeno_layer_new(m->st, c, &w, err);

    if (r >= 0)
        r = xeno_layer_pack(w, &out, err);
    if (r >= 0)
        r = xeno_pack_new(&out, &p, err);
    if (r >= 0)
        r = xeno_scan_pack(&m->scan, p, m->o->progress, err);
    return r < 0 ? r : xeno_layer_commit(w, ret, NULL, err);
}

static int make(struct maker *m, struct xeno_made *made, struct xeno_err *err)
{
    const struct xeno_overlay_opts *o = m->o;
    struct xeno_layer layer;
    int r = 0;

    if (o->base) {
        r = xeno_store_resolve(m->st, o->base, o->defaults.arch, &m->image, err);
        if (r >= 0)
            r = xeno_base_read(m->st, m->image, o->progress, &m->base, err);
    }
    if (r >= 0)
        r = gather(m, err);
    if (r >= 0)
        r = pack(m, &layer, err);
    if (r >= 0)
        r = xeno_layer_check(m->st, &layer, NULL, o->progress, made, err);
    made->skipped = m->scan.skipped;
    if (r >= 0)
        r = xeno_image_finish(m->st, &layer, XENO_IMAGE_OVERLAY, &o->defaults, false,
                              m->image ? m->image->digest : NULL, o->name, made, err);
    return r;
}

int xeno_overlay_create(struct xeno_store *st, const struct xeno_overlay_opts *opts,
                        struct xeno_made *ret, struct xeno_err *err)
{
    struct maker m = { .st = st, .o = opts };
    struct xeno_made made = { .layers = 0 };
    int r = xeno_name_check(opts->name, err);

    if (r >= 0 && opts->remove && !opts->base)
        r = xeno_fail(err, -EINVAL, "overlay.target",
                      "what is to be removed is only known with a template to compare with");
    if (r >= 0 && opts->source_count == 0 && !(opts->whiteouts && opts->whiteouts[0]))
        r = xeno_fail(err, -ENOENT, "image.source", "an overlay needs at least one folder");
    if (r >= 0)
        r = xeno_store_hold(st, err);
    if (r < 0)
        return r;
    m.targets = xeno_alloc0(opts->source_count + 1, sizeof(*m.targets));
    m.scan.keep_owner = opts->keep_owner;
    m.scan.keep_times = opts->keep_times;
    m.scan.keep_xattrs = true;
    r = make(&m, &made, err);
    xeno_scan_release(&m.scan);
    xeno_base_free(m.base);
    xeno_image_free(m.image);
    free(m.targets);
    xeno_store_drop(st);
    if (r < 0)
        return xeno_context(err, r, "overlay '%s'", opts->name);
    *ret = made;
    return 0;
}
