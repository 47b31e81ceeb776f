/* src/image/base.c - layers laid over each other, as names. */
#include "image/base.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#define LINKS_MAX 40 /* as the kernel */
#define WHITEOUT  ".wh."
#define OPAQUE    ".wh..wh..opq"

struct node {
    struct xeno_listed e;
    size_t layer;
    UT_hash_handle hh;
    char text[]; /* path, link */
};

struct xeno_base {
    struct node *nodes;
    size_t layer; /* the one being read */
};

static void drop(struct xeno_base *b, struct node *n)
{
    HASH_DEL(b->nodes, n);
    free(n);
}

void xeno_base_free(struct xeno_base *b)
{
    struct node *n, *next;

    if (!b)
        return;
    HASH_ITER (hh, b->nodes, n, next) {
        HASH_DEL(b->nodes, n);
        free(n);
    }
    free(b);
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    if (strcmp(dir, ".") == 0)
        return strcmp(path, ".") != 0;
    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* Hide what layers below this one have at `path` (self) and below it. */
static void hide(struct xeno_base *b, const char *path, bool self)
{
    for (struct node *n = b->nodes, *next; n; n = next) {
        next = n->hh.next;
        if (n->layer < b->layer &&
            (is_below(n->e.path, path) || (self && strcmp(n->e.path, path) == 0)))
            drop(b, n);
    }
}

static void add(struct xeno_base *b, const struct xeno_listed *e)
{
    size_t path_len = strlen(e->path) + 1, link_len = strlen(e->link) + 1;
    struct node *n, *old;

    HASH_FIND(hh, b->nodes, e->path, path_len - 1, old);
    if (old) {
        bool was_dir = old->e.type == XENO_TAR_DIR;

        drop(b, old);
        if (was_dir && e->type != XENO_TAR_DIR)
            hide(b, e->path, false);
    }
    n = xeno_alloc0(1, sizeof(*n) + path_len + link_len);
    n->e = *e;
    memcpy(n->text, e->path, path_len);
    memcpy(n->text + path_len, e->link, link_len);
    n->e.path = n->text;
    n->e.link = n->text + path_len;
    n->layer = b->layer;
    HASH_ADD_KEYPTR(hh, b->nodes, n->e.path, path_len - 1, n);
}

/* Folders that a layer only passes through exist all the same. */
static void add_parents(struct xeno_base *b, const char *path)
{
    char dir[PATH_MAX];

    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        struct xeno_listed e = { .type = XENO_TAR_DIR, .mode = 0755, .path = dir, .link = "" };
        const struct xeno_listed *there;

        snprintf(dir, sizeof(dir), "%.*s", (int)(p - path), path);
        there = xeno_base_get(b, dir);
        if (!there || there->type != XENO_TAR_DIR)
            add(b, &e);
    }
}

static int on_entry(void *arg, const struct xeno_listed *e, struct xeno_err *err)
{
    struct xeno_base *b = arg;
    const char *slash = strrchr(e->path, '/'), *base = slash ? slash + 1 : e->path;
    char path[PATH_MAX];

    (void)err;
    if (strlen(e->path) >= sizeof(path))
        return 0;
    add_parents(b, e->path);
    if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) != 0) {
        add(b, e);
        return 0;
    }
    if (strcmp(base, OPAQUE) == 0) {
        snprintf(path, sizeof(path), "%.*s", slash ? (int)(slash - e->path) : 1,
                 slash ? e->path : ".");
        hide(b, path, false);
    } else {
        snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash + 1 - e->path) : 0, e->path,
                 base + strlen(WHITEOUT));
        hide(b, path, true);
    }
    return 0;
}

int xeno_base_read(struct xeno_store *st, const struct xeno_image *im,
                   const struct xeno_progress *progress, struct xeno_base **ret,
                   struct xeno_err *err)
{
    xeno_auto(xeno_base) b = xeno_new0(struct xeno_base);
    struct xeno_unpacked done;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < im->layer_count; i++) {
        xeno_autoclose int fd = -1;
        int64_t size;

        b->layer = i;
        r = xeno_store_open_blob(st, im->layers[i].digest, &fd, &size, err);
        if (r >= 0)
            r = xeno_layer_list(fd, &im->layers[i], NULL, progress, on_entry, b, &done, err);
    }
    if (r < 0)
        return r;
    *ret = xeno_take(&b);
    return 0;
}

const struct xeno_listed *xeno_base_get(const struct xeno_base *b, const char *path)
{
    struct node *n = NULL;

    if (b)
        HASH_FIND(hh, b->nodes, path, strlen(path), n);
    return n ? &n->e : NULL;
}

/* Append part of a name to out; ".." takes one away. */
static int step(char *out, const char *part, size_t len)
{
    size_t have = strcmp(out, ".") == 0 ? 0 : strlen(out);

    if (len == 2 && part[0] == '.' && part[1] == '.') {
        char *slash = have ? strrchr(out, '/') : NULL;

        if (slash)
            *slash = '\0';
        else
            strcpy(out, ".");
        return 0;
    }
    if (have + len + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    if (have > 0)
        out[have++] = '/';
    memcpy(out + have, part, len);
    out[have + len] = '\0';
    return 0;
}

int xeno_base_resolve(const struct xeno_base *b, const char *path, bool last, char *out,
                      struct xeno_err *err)
{
    xeno_autofree char *rest = xeno_strdup(path);
    int links = 0;

    strcpy(out, ".");
    for (char *p = rest; *p != '\0';) {
        const struct xeno_listed *e;
        size_t len;

        p += strspn(p, "/");
        len = strcspn(p, "/");
        if (len == 0)
            break;
        if (!(len == 1 && p[0] == '.') && step(out, p, len) < 0)
            return xeno_fail(err, -EINVAL, "overlay.target", "'%.160s' is too long", path);
        p += len;
        e = xeno_base_get(b, out);
        if (!e || e->type != XENO_TAR_SYMLINK || (!last && p[strspn(p, "/")] == '\0'))
            continue;
        if (++links > LINKS_MAX)
            return xeno_fail(err, -ELOOP, "overlay.target",
                             "'%.160s' passes through more than %d links", path, LINKS_MAX);
        /* Go on from the link's folder, or from the root, with what the link says before the
         * rest. */
        p = xeno_asprintf("%s%s", e->link, p);
        if (p[0] == '/')
            strcpy(out, ".");
        else
            (void)step(out, "..", 2);
        free(rest);
        rest = p;
    }
    return 0;
}

int xeno_base_below(const struct xeno_base *b, const char *path,
                    int (*fn)(void *arg, const struct xeno_listed *e), void *arg)
{
    int r = 0;

    for (struct node *n = b->nodes; r >= 0 && n; n = n->hh.next)
        if (is_below(n->e.path, path))
            r = fn(arg, &n->e);
    return r;
}
