/* src/image/tree.c - judge the members of a layer, one after the other.
 *
 * The table of names holds whatever the archive has put somewhere. Invariants:
 *   1. every name in it but "." has its folder in it, as a folder;
 *   2. a name is there at most once, and its type never changes, but for a whiteout that the same
 *      layer then fills: "hide what is below, and put this in its place";
 *   3. what the table says is what is on disk below the root.
 */
#include "image/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "image/mount-file.h"
#include "image/place.h"

#define PART_MAX  255
#define BLOCK     4096
#define INODE     256
#define WHITEOUT  ".wh."
#define OPAQUE    ".wh..wh..opq"
#define AUFS      ".wh..wh."
#define OWNER_MAX 65535

enum seen_type { SEEN_DIR, SEEN_FILE, SEEN_WHITEOUT };

struct seen {
    UT_hash_handle hh;
    enum seen_type type;
    bool implicit; /* a folder that only what is in it has named so far */
    bool opaque;
    int64_t member; /* that made it; -1: none */
    unsigned mode;
    int64_t uid, gid;
    struct timespec mtime;
    char path[];
};

struct xeno_tree {
    struct xeno_place place;
    const struct xeno_unpack_limits *limits;
    struct seen *names;
    int64_t entries, name_bytes, disk_bytes;
    bool mounts;
};

static struct seen *seen_find(struct xeno_tree *tr, const char *path, size_t len)
{
    struct seen *s;

    HASH_FIND(hh, tr->names, path, len, s);
    return s;
}

static int seen_add(struct xeno_tree *tr, const char *path, size_t len, enum seen_type type,
                    struct seen **ret, struct xeno_err *err)
{
    struct seen *s;

    tr->name_bytes += (int64_t)len;
    if (tr->name_bytes > tr->limits->all_names_bytes)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "with '%.*s' the names of the layer are longer than %lld bytes",
                         (int)(len > 200 ? 200 : len), path,
                         (long long)tr->limits->all_names_bytes);
    s = xeno_alloc0(1, sizeof(*s) + len + 1);
    memcpy(s->path, path, len);
    s->type = type;
    s->member = -1;
    s->mode = 0755;
    HASH_ADD_KEYPTR(hh, tr->names, s->path, len, s);
    tr->disk_bytes += type == SEEN_DIR ? BLOCK : INODE;
    *ret = s;
    return 0;
}

struct xeno_tree *xeno_tree_new(int root, bool own, const struct xeno_unpack_limits *limits)
{
    struct xeno_tree *tr = xeno_new0(struct xeno_tree);
    struct seen *top;

    xeno_place_init(&tr->place, root, own);
    tr->limits = limits;
    tr->name_bytes = -1; /* "." is free of charge */
    (void)seen_add(tr, ".", 1, SEEN_DIR, &top, NULL);
    top->implicit = true;
    return tr;
}

void xeno_tree_free(struct xeno_tree *tr)
{
    struct seen *s, *next;

    if (!tr)
        return;
    HASH_ITER (hh, tr->names, s, next) {
        HASH_DEL(tr->names, s);
        free(s);
    }
    xeno_place_release(&tr->place);
    free(tr);
}

bool xeno_tree_mounts(const struct xeno_tree *tr)
{
    return tr->mounts;
}

int64_t xeno_tree_entries(const struct xeno_tree *tr)
{
    return tr->entries;
}

int64_t xeno_tree_disk_bytes(const struct xeno_tree *tr)
{
    return tr->disk_bytes;
}

/* Append one part of a name to out. */
static int name_part(const char *raw, const char *part, size_t n, char *out, size_t *len,
                     struct xeno_err *err)
{
    if (n == 2 && part[0] == '.' && part[1] == '.')
        return xeno_fail(err, -EINVAL, "unpack.name", "'%.200s' goes up by '..'", raw);
    if (n > PART_MAX)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "'%.200s' has a part of %zu bytes; a file name may be %d", raw, n,
                         PART_MAX);
    if (*len > 0)
        out[(*len)++] = '/';
    memcpy(out + *len, part, n);
    *len += n;
    return 0;
}

int xeno_tree_name(const char *raw, const struct xeno_unpack_limits *limits, char *out,
                   struct xeno_err *err)
{
    size_t all = strlen(raw), len = 0;
    int64_t depth = 0;
    int r;

    if (all == 0)
        return xeno_fail(err, -EINVAL, "unpack.name", "a member has no name");
    if (raw[0] == '/')
        return xeno_fail(err, -EINVAL, "unpack.name", "'%.200s' is absolute", raw);
    if ((int64_t)all > limits->name_bytes || all >= PATH_MAX)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "'%.200s...' is %zu bytes long; a name may be %lld", raw, all,
                         (long long)limits->name_bytes);
    for (const char *p = raw; *p != '\0';) {
        size_t n = strcspn(p, "/");

        if (n > 0 && !(n == 1 && p[0] == '.')) {
            r = name_part(raw, p, n, out, &len, err);
            if (r < 0)
                return r;
            if (++depth > limits->depth)
                return xeno_fail(err, -EFBIG, "unpack.limit",
                                 "'%.200s' is nested deeper than %lld folders", raw,
                                 (long long)limits->depth);
        }
        p += n;
        p += strspn(p, "/");
    }
    if (len == 0)
        out[len++] = '.';
    out[len] = '\0';
    return 0;
}

static int make_opaque(struct xeno_tree *tr, struct seen *dir, struct xeno_err *err)
{
    if (dir->opaque)
        return 0;
    dir->opaque = true;
    return xeno_place_dir_opaque(&tr->place, dir->path, err);
}

/* A folder where there was nothing, or a whiteout (which makes it opaque). */
static int make_dir(struct xeno_tree *tr, const char *path, size_t len, struct seen *old,
                    struct seen **ret, struct xeno_err *err)
{
    struct seen *s = old;
    int r = 0;

    if (old)
        r = xeno_place_unlink(&tr->place, old->path, err);
    else
        r = seen_add(tr, path, len, SEEN_DIR, &s, err);
    if (r < 0)
        return r;
    s->type = SEEN_DIR;
    s->implicit = true;
    r = xeno_place_dir(&tr->place, s->path, err);
    if (r >= 0 && old)
        r = make_opaque(tr, s, err);
    *ret = s;
    return r;
}

/* Every folder on the way to `path` is a folder, made now when nobody named it before. */
static int make_parents(struct xeno_tree *tr, const char *path, struct xeno_err *err)
{
    int r = 0;

    for (const char *p = strchr(path, '/'); r >= 0 && p; p = strchr(p + 1, '/')) {
        size_t len = (size_t)(p - path);
        struct seen *s = seen_find(tr, path, len);

        if (s && s->type == SEEN_DIR)
            continue;
        if (s && s->type != SEEN_WHITEOUT)
            return xeno_fail(err, -EINVAL, "unpack.name",
                             "'%.200s' passes through '%.200s', which is no folder", path, s->path);
        r = make_dir(tr, path, len, s, &s, err);
    }
    return r;
}

/* The table's entry for a new file at `path`, or an error when the name is taken. */
static int claim(struct xeno_tree *tr, const char *path, int64_t member, struct xeno_err *err)
{
    size_t len = strlen(path);
    struct seen *s = seen_find(tr, path, len);
    int r = 0;

    if (!s)
        r = seen_add(tr, path, len, SEEN_FILE, &s, err);
    else if (s->type != SEEN_WHITEOUT)
        return xeno_fail(err, -EINVAL, "unpack.twice", "'%.200s' is in the archive twice", path);
    else
        r = xeno_place_unlink(&tr->place, path, err);
    if (r < 0)
        return r;
    s->type = SEEN_FILE; /* replaces what is below anyhow */
    s->member = member;
    return 0;
}

static int add_dir(struct xeno_tree *tr, const char *path, const struct xeno_tar_entry *e,
                   struct xeno_err *err)
{
    size_t len = strlen(path);
    struct seen *s = seen_find(tr, path, len);
    int r = 0;

    if (s && !(s->type == SEEN_DIR && s->implicit) && s->type != SEEN_WHITEOUT)
        return xeno_fail(err, -EINVAL, "unpack.twice", "'%.200s' is in the archive twice", path);
    if (!s || s->type == SEEN_WHITEOUT)
        r = make_dir(tr, path, len, s, &s, err);
    if (r < 0)
        return r;
    s->implicit = false;
    s->member = tr->entries - 1;
    s->mode = e->mode;
    s->uid = e->uid;
    s->gid = e->gid;
    s->mtime = e->mtime;
    return xeno_place_dir_xattrs(&tr->place, path, e, err);
}

static int add_hardlink(struct xeno_tree *tr, const char *path, const struct xeno_tar_entry *e,
                        struct xeno_err *err)
{
    char target[PATH_MAX];
    struct seen *s;
    int r = xeno_tree_name(e->link, tr->limits, target, err);

    if (r < 0)
        return xeno_context(err, r, "target of the hard link '%.200s'", path);
    s = seen_find(tr, target, strlen(target));
    if (!s || s->type != SEEN_FILE)
        return xeno_fail(err, -EINVAL, "unpack.link",
                         "'%.200s' is a hard link to '%.200s', which is no file of this layer so "
                         "far",
                         path, target);
    r = claim(tr, path, s->member, err);
    return r < 0 ? r : xeno_place_hardlink(&tr->place, path, target, err);
}

/* ".wh.NAME" in a folder hides NAME of the layers below; the special one hides all. */
static int add_whiteout(struct xeno_tree *tr, const char *path, const struct xeno_tar_entry *e,
                        struct xeno_err *err)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *name;
    size_t dir_len = slash ? (size_t)(slash - path) : 1;
    char hidden[PATH_MAX];
    struct seen *s;

    if (e->type != XENO_TAR_FILE && e->type != XENO_TAR_HARDLINK)
        return xeno_fail(err, -EINVAL, "unpack.type", "the whiteout '%.200s' is no plain file",
                         path);
    if (strcmp(base, OPAQUE) == 0)
        return make_opaque(tr, seen_find(tr, slash ? path : ".", dir_len), err);
    if (strncmp(base, AUFS, strlen(AUFS)) == 0)
        return 0; /* what aufs kept for itself: means nothing elsewhere */
    name = base + strlen(WHITEOUT);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return xeno_fail(err, -EINVAL, "unpack.name", "the whiteout '%.200s' hides no name", path);
    snprintf(hidden, sizeof(hidden), "%.*s%s", slash ? (int)dir_len + 1 : 0, path, name);
    s = seen_find(tr, hidden, strlen(hidden));
    if (!s) {
        int r = seen_add(tr, hidden, strlen(hidden), SEEN_WHITEOUT, &s, err);

        return r < 0 ? r : xeno_place_whiteout(&tr->place, hidden, err);
    }
    if (s->type == SEEN_WHITEOUT)
        return xeno_fail(err, -EINVAL, "unpack.twice", "'%.200s' is in the archive twice", path);
    return s->type == SEEN_DIR ? make_opaque(tr, s, err) : 0;
}

static int judge(struct xeno_tree *tr, const struct xeno_tar_entry *e, char *path,
                 struct xeno_err *err)
{
    int r = xeno_tree_name(e->name, tr->limits, path, err);

    if (r < 0)
        return r;
    if (++tr->entries > tr->limits->entries)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "'%.200s' is one member too many; a layer may have %lld", path,
                         (long long)tr->limits->entries);
    if (e->type == XENO_TAR_OTHER)
        return xeno_fail(err, -EINVAL, "unpack.type",
                         "'%.200s' is %s; only files, folders, links and fifos are let in", path,
                         e->kind);
    if (e->uid < 0 || e->uid > OWNER_MAX || e->gid < 0 || e->gid > OWNER_MAX)
        return xeno_fail(err, -EINVAL, "unpack.owner",
                         "'%.200s' belongs to %lld:%lld; ids of a session end at %d", path,
                         (long long)e->uid, (long long)e->gid, OWNER_MAX);
    if (strcmp(path, ".") == 0 && e->type != XENO_TAR_DIR)
        return xeno_fail(err, -EINVAL, "unpack.type", "the root folder '%.200s' is no folder",
                         e->name);
    for (const char *p = path; (p = strstr(p, WHITEOUT)) != NULL; p++)
        if ((p == path || p[-1] == '/') && (strchr(p, '/') || e->type == XENO_TAR_DIR))
            return xeno_fail(err, -EINVAL, "unpack.name",
                             "'%.200s' has a folder named as a whiteout", path);
    return 0;
}

int xeno_tree_add(struct xeno_tree *tr, struct xeno_tar *t, const struct xeno_tar_entry *e,
                  struct xeno_err *err)
{
    char path[PATH_MAX];
    const char *base;
    int r = judge(tr, e, path, err);

    if (r >= 0)
        r = make_parents(tr, path, err);
    if (r < 0)
        return r;
    base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) == 0)
        return add_whiteout(tr, path, e, err);
    if (e->type == XENO_TAR_DIR)
        return add_dir(tr, path, e, err);
    if (strcmp(base, XENO_MOUNT_NAME) == 0)
        tr->mounts = true;
    if (e->type == XENO_TAR_HARDLINK)
        return add_hardlink(tr, path, e, err);
    r = claim(tr, path, tr->entries - 1, err);
    if (r < 0)
        return r;
    if (e->type == XENO_TAR_SYMLINK)
        return xeno_place_symlink(&tr->place, path, e, err);
    if (e->type == XENO_TAR_FIFO)
        return xeno_place_fifo(&tr->place, path, e, err);
    tr->disk_bytes += (e->size_bytes + BLOCK - 1) / BLOCK * BLOCK;
    return xeno_place_file(&tr->place, path, t, e, err);
}

/* The table is in order of appearance, a folder before what is in it: so backwards, each folder
 * gets its final mode and time after the last change inside. */
int xeno_tree_end(struct xeno_tree *tr, struct xeno_err *err)
{
    struct seen *s = tr->names ? ELMT_FROM_HH(tr->names->hh.tbl, tr->names->hh.tbl->tail) : NULL;

    xeno_place_release(&tr->place);
    for (; s; s = s->hh.prev) {
        int r;

        if (s->type != SEEN_DIR)
            continue;
        r = xeno_place_dir_attrs(&tr->place, s->path, s->mode, s->uid, s->gid, s->mtime, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int xeno_tree_each(const struct xeno_tree *tr,
                   int (*fn)(void *arg, const struct xeno_tree_name *n, struct xeno_err *err),
                   void *arg, struct xeno_err *err)
{
    static const int kinds[] = { [SEEN_DIR] = XENO_TREE_DIR,
                                 [SEEN_FILE] = XENO_TREE_FILE,
                                 [SEEN_WHITEOUT] = XENO_TREE_WHITEOUT };
    int r = 0;

    for (struct seen *s = tr->names; s && r >= 0; s = s->hh.next) {
        struct xeno_tree_name n = { .path = s->path,
                                    .kind = kinds[s->type],
                                    .opaque = s->opaque,
                                    .member = s->member,
                                    .mode = s->mode,
                                    .uid = s->uid,
                                    .gid = s->gid,
                                    .mtime = s->mtime };

        r = fn(arg, &n, err);
    }
    return r < 0 ? r : 0;
}

/* The hook wants the plain name, which xeno_tree_add() keeps to itself. */
static int call_hook(const struct xeno_tree_hook *hook, const struct xeno_unpack_limits *limits,
                     const struct xeno_tar_entry *e, struct xeno_err *err)
{
    char path[PATH_MAX];
    int r = xeno_tree_name(e->name, limits, path, err);

    return r < 0 ? r : hook->fn(hook->arg, path, e, err);
}

int xeno_tree_unpack(const struct xeno_tar_input *input, unsigned compressions, int root, bool own,
                     const struct xeno_unpack_limits *limits, const struct xeno_tree_hook *hook,
                     struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_auto(xeno_tree) tr = xeno_tree_new(root, own, limits);
    struct xeno_unpacked done = { .entries = 0 };
    xeno_auto(xeno_tar) t = NULL;
    struct xeno_tar_entry e;
    int r = xeno_tar_open(input, compressions, limits, &t, err);

    if (r < 0)
        return r;
    while ((r = xeno_tar_next(t, &e, err)) > 0) {
        r = xeno_tree_add(tr, t, &e, err);
        if (r >= 0 && hook)
            r = call_hook(hook, limits, &e, err);
        if (r < 0)
            return r;
    }
    if (r >= 0)
        r = xeno_tar_end(t, done.diff_id, &done.tar_bytes, err);
    if (r >= 0)
        r = xeno_tree_end(tr, err);
    if (r < 0)
        return r;
    done.entries = xeno_tree_entries(tr);
    done.disk_bytes = xeno_tree_disk_bytes(tr);
    done.mounts = xeno_tree_mounts(tr);
    *ret = done;
    return 0;
}
