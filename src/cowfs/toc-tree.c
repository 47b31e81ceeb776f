/* src/cowfs/toc-tree.c - make the tree of a table, judging it as the unpacker would. */
#include "cowfs/toc-tree.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <uthash.h>

#include "image/place.h"
#include "image/tree.h"

#define OPAQUE     "user.overlay.opaque"
#define CAPABILITY "security.capability"
#define NO_OBJECT  UINT32_MAX

/* A directory by its path, while the tree is made. */
struct folder {
    UT_hash_handle hh;
    uint32_t object;
    char path[];
};
/* A name in its directory. */
struct entry {
    uint32_t dir, text, object;
};

struct maker {
    const struct xeno_toc *toc;
    const struct toc_tree_opts *opts;
    struct toc_tree t;
    struct folder *folders;
    uint32_t *of_member; /* which object a member is */
    struct entry *entries;
    size_t entry_count;
    size_t object_room, entry_room, text_room;
    uint32_t whiteout; /* one object is all of them */
};

/* --- parts --- */

static uint32_t add_text(struct maker *m, const void *data, size_t len)
{
    size_t at = m->t.text_len;

    if (at + len > m->text_room) {
        m->text_room = (at + len) * 2 + 4096;
        m->t.text = xeno_grow(m->t.text, m->text_room);
    }
    memcpy(m->t.text + at, data, len);
    m->t.text_len += len;
    return (uint32_t)at;
}

static uint32_t add_object(struct maker *m, const struct object *o)
{
    if (m->t.object_count == m->object_room) {
        m->object_room = m->object_room * 2 + 64;
        m->t.objects = xeno_grow(m->t.objects, m->object_room);
    }
    m->t.objects[m->t.object_count] = *o;
    return (uint32_t)m->t.object_count++;
}

static void set_time(struct object *o, struct timespec mtime)
{
    o->mtime_s = mtime.tv_sec;
    o->mtime_ns = mtime.tv_nsec < 0 || mtime.tv_nsec >= 1000000000 ? 0 : (uint32_t)mtime.tv_nsec;
}

/* --- attributes: name, zero, length, value; an empty name ends them --- */

static void add_xattr(struct maker *m, const char *name, const void *value, size_t len)
{
    uint32_t n = (uint32_t)len;

    add_text(m, name, strlen(name) + 1);
    add_text(m, &n, sizeof n);
    add_text(m, value, len);
}

/* A capability as a file's that somebody in a user namespace set: with the id of its root. */
static void add_capability(struct maker *m, const struct xeno_tar_xattr *x)
{
    struct vfs_ns_cap_data cap = { .rootid = htole32(m->opts->shift) };
    uint32_t magic;

    if (m->opts->own)
        return; /* nor would the unpacker have the right */
    if (m->opts->shift == 0) {
        add_xattr(m, x->name, x->value, x->len);
        return;
    }
    memcpy(&cap, x->value, x->len);
    magic = le32toh(cap.magic_etc) & VFS_CAP_FLAGS_EFFECTIVE;
    cap.magic_etc = htole32(VFS_CAP_REVISION_3 | magic);
    add_xattr(m, x->name, &cap, sizeof cap);
}

static uint32_t add_xattrs(struct maker *m, const struct xeno_toc_file *f, bool opaque)
{
    uint32_t at = (uint32_t)m->t.text_len;

    for (size_t i = 0; f && i < f->xattr_count; i++) {
        struct xeno_tar_xattr x = f->xattrs[i];
        char copy[20];

        if (!xeno_xattr_keep(&x, copy))
            continue;
        if (strcmp(x.name, CAPABILITY) == 0)
            add_capability(m, &x);
        else
            add_xattr(m, x.name, x.value, x.len);
    }
    if (opaque)
        add_xattr(m, OPAQUE, "y", 1);
    if (m->t.text_len == at)
        return 0;
    add_text(m, "", 1);
    return at;
}

bool toc_tree_xattr(const struct toc_tree *t, const struct object *o, const char **at,
                    struct toc_xattr *ret)
{
    const char *p = *at ? *at : t->text + o->xattrs;

    if (o->xattrs == 0 || *p == '\0')
        return false;
    ret->name = p;
    p += strlen(p) + 1;
    memcpy(&ret->len, p, sizeof ret->len);
    ret->value = p + sizeof ret->len;
    *at = p + sizeof ret->len + ret->len;
    return true;
}

/* --- objects --- */

static uint32_t make_dir(struct maker *m, const struct xeno_tree_name *n)
{
    struct object o = { .mode = (uint16_t)(S_IFDIR | n->mode | (m->opts->own ? 0700 : 0)),
                        .uid = (uint16_t)n->uid,
                        .gid = (uint16_t)n->gid,
                        .nlink = 2 };
    struct folder *f = xeno_alloc0(1, sizeof *f + strlen(n->path) + 1);

    set_time(&o, n->mtime);
    o.xattrs = add_xattrs(m, n->member < 0 ? NULL : &m->toc->files[n->member], n->opaque);
    f->object = add_object(m, &o);
    strcpy(f->path, n->path);
    HASH_ADD_STR(m->folders, path, f);
    return f->object;
}

static uint32_t make_file(struct maker *m, int64_t member)
{
    static const unsigned types[] = {
        [XENO_TAR_FILE] = S_IFREG, [XENO_TAR_SYMLINK] = S_IFLNK, [XENO_TAR_FIFO] = S_IFIFO
    };
    const struct xeno_toc_file *f = &m->toc->files[member];
    struct object o = { .mode = (uint16_t)(types[f->type] | f->mode),
                        .uid = (uint16_t)f->uid,
                        .gid = (uint16_t)f->gid };

    if (m->of_member[member] != NO_OBJECT)
        return m->of_member[member];
    set_time(&o, f->mtime);
    if (f->type == XENO_TAR_SYMLINK) {
        o.mode = S_IFLNK | 0777;
        o.size = (int64_t)strlen(f->link);
        o.at = add_text(m, f->link, strlen(f->link) + 1);
    } else if (f->type == XENO_TAR_FILE) {
        o.size = f->size_bytes;
        o.at = (uint32_t)f->chunk;
        o.count = (uint32_t)f->chunk_count;
        o.xattrs = add_xattrs(m, f, false);
    }
    m->of_member[member] = add_object(m, &o);
    return m->of_member[member];
}

static uint32_t make_whiteout(struct maker *m)
{
    static const struct object o = { .mode = S_IFCHR | 0600, .nlink = 1 };

    if (m->whiteout == NO_OBJECT)
        m->whiteout = add_object(m, &o);
    return m->whiteout;
}

/* The directory that `path` is in; it was told before. */
static uint32_t dir_of(struct maker *m, const char *path, const char **ret_base)
{
    const char *slash = strrchr(path, '/');
    struct folder *f;

    *ret_base = slash ? slash + 1 : path;
    HASH_FIND(hh, m->folders, slash ? path : ".", slash ? (size_t)(slash - path) : 1, f);
    return f->object;
}

static void add_entry(struct maker *m, const char *path, uint32_t object)
{
    struct object *o = &m->t.objects[object];
    const char *base;
    uint32_t dir = dir_of(m, path, &base);

    if (S_ISDIR(o->mode))
        o = &m->t.objects[dir]; /* its ".." is a name of the directory above */
    if (o->nlink < UINT16_MAX && object != m->whiteout)
        o->nlink++;
    if (m->entry_count == m->entry_room) {
        m->entry_room = m->entry_room * 2 + 64;
        m->entries = xeno_grow(m->entries, m->entry_room);
    }
    m->entries[m->entry_count++] =
        (struct entry){ .dir = dir, .text = add_text(m, base, strlen(base) + 1), .object = object };
}

static int add_name(void *arg, const struct xeno_tree_name *n, struct xeno_err *err)
{
    struct maker *m = arg;
    uint32_t object;

    (void)err;
    if (n->kind == XENO_TREE_DIR)
        object = make_dir(m, n);
    else if (n->kind == XENO_TREE_FILE)
        object = make_file(m, n->member);
    else
        object = make_whiteout(m);
    if (strcmp(n->path, ".") != 0)
        add_entry(m, n->path, object);
    return 0;
}

/* --- the whole --- */

static int judge(const struct xeno_toc *toc, struct xeno_tree *tree, struct xeno_err *err)
{
    for (size_t i = 0; i < toc->count; i++) {
        const struct xeno_toc_file *f = &toc->files[i];
        struct xeno_tar_entry e = { .type = f->type,
                                    .name = f->name,
                                    .link = f->link,
                                    .uid = f->uid,
                                    .gid = f->gid,
                                    .mode = f->mode,
                                    .size_bytes = f->size_bytes,
                                    .mtime = f->mtime };
        int r = xeno_tree_add(tree, NULL, &e, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int compare(const void *a, const void *b, void *text)
{
    const struct entry *x = a, *y = b;

    if (x->dir != y->dir)
        return x->dir < y->dir ? -1 : 1;
    return strcmp((char *)text + x->text, (char *)text + y->text);
}

static void sort_names(struct maker *m)
{
    struct toc_tree *t = &m->t;

    if (m->entry_count > 0)
        qsort_r(m->entries, m->entry_count, sizeof *m->entries, compare, t->text);
    t->names = xeno_new0_n(struct name, m->entry_count + 1);
    t->name_count = m->entry_count;
    for (size_t i = 0; i < m->entry_count; i++) {
        struct object *dir = &t->objects[m->entries[i].dir];

        if (dir->count++ == 0)
            dir->at = (uint32_t)i;
        t->names[i] = (struct name){ .text = m->entries[i].text, .object = m->entries[i].object };
    }
}

static void take_pieces(struct maker *m)
{
    struct toc_tree *t = &m->t;

    t->pieces = xeno_new0_n(struct piece, m->toc->chunk_count + 1);
    t->piece_count = m->toc->chunk_count;
    for (size_t i = 0; i < t->piece_count; i++) {
        const struct xeno_toc_chunk *c = &m->toc->chunks[i];

        t->pieces[i] = (struct piece){ .file_offset = c->file_offset,
                                       .blob_offset = c->blob_offset,
                                       .blob_bytes = c->zeros ? 0 : (uint32_t)c->blob_bytes,
                                       .size = c->zeros ? 0 : (uint32_t)c->size_bytes };
        memcpy(t->pieces[i].sha, c->sha, 32);
    }
}

static void maker_release(struct maker *m)
{
    struct folder *f, *next;

    HASH_ITER (hh, m->folders, f, next) {
        HASH_DEL(m->folders, f);
        free(f);
    }
    free(m->of_member);
    free(m->entries);
}

int toc_tree_make(const struct xeno_toc *toc, const struct toc_tree_opts *opts,
                  const struct xeno_unpack_limits *limits, struct toc_tree *ret,
                  struct xeno_err *err)
{
    xeno_auto(xeno_tree) tree = xeno_tree_new(-1, opts->own, limits);
    struct maker m = { .toc = toc, .opts = opts, .whiteout = NO_OBJECT };
    int r = judge(toc, tree, err);

    if (r < 0)
        return r;
    m.of_member = xeno_new0_n(uint32_t, toc->count + 1);
    memset(m.of_member, 0xff, toc->count * sizeof *m.of_member);
    add_text(&m, "", 1); /* so that 0 is no place of attributes */
    r = xeno_tree_each(tree, add_name, &m, err);
    m.t.mounts = xeno_tree_mounts(tree);
    sort_names(&m);
    take_pieces(&m);
    m.t.objects = xeno_grow(m.t.objects, m.t.object_count);
    m.t.text = xeno_grow(m.t.text, m.t.text_len);
    maker_release(&m);
    *ret = m.t;
    return r;
}

void toc_tree_release(struct toc_tree *t)
{
    free(t->objects);
    free(t->names);
    free(t->pieces);
    free(t->text);
}

int toc_tree_find(const struct toc_tree *t, uint32_t dir, const char *name)
{
    const struct object *o = &t->objects[dir];
    uint32_t from = o->at, to = o->at + o->count;

    if (!S_ISDIR(o->mode))
        return -ENOTDIR;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int r = strcmp(name, t->text + t->names[mid].text);

        if (r == 0)
            return (int)t->names[mid].object;
        if (r < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return -ENOENT;
}
