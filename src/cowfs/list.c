/* src/cowfs/list.c - the names of a directory, merged, as they were when it was asked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cowfs/core.h"

struct item {
    uint64_t ino;
    uint32_t name; /* in the text */
    short part;
    uint8_t type;
};
struct xeno_cowfs_list {
    char *text;
    size_t text_len, text_room;
    struct item *items;
    size_t count, room;
};

/* Only while one part is listed. */
struct gather {
    struct xeno_cowfs *c;
    struct xeno_cowfs_list *l;
    int layer, dir;
    short part;
    bool impure;
};

static int add(struct xeno_cowfs_list *l, const char *name, uint8_t type, uint64_t ino, short part)
{
    size_t len = strlen(name) + 1;

    if (l->text_len + len > XENO_COWFS_LIST_MAX_BYTES)
        return -EOVERFLOW;
    if (l->text_len + len > l->text_room) {
        l->text_room = l->text_room * 2 + 4096;
        l->text = xeno_grow(l->text, l->text_room);
    }
    if (l->count == l->room) {
        l->room = l->room * 2 + 64;
        l->items = xeno_grow(l->items, l->room);
    }
    memcpy(l->text + l->text_len, name, len);
    l->items[l->count++] =
        (struct item){ .ino = ino, .name = (uint32_t)l->text_len, .part = part, .type = type };
    l->text_len += len;
    return 0;
}

/* Whiteouts are kept, as DT_UNKNOWN, until all is merged. */
static int gather_one(void *arg, const char *name, uint8_t type, uint64_t ino)
{
    struct gather *g = arg;
    struct xeno_cowfs_layer *l = g->c->layers[g->layer];
    struct stat st = { .st_ino = ino };
    uint64_t kept = 0;

    if (type == DT_CHR || type == DT_UNKNOWN) {
        int r = l->ops->stat(l, g->dir, name, &st);

        if (r < 0)
            return r == -ENOENT ? 0 : r;
        type = is_whiteout(&st) ? DT_UNKNOWN : (uint8_t)IFTODT(st.st_mode);
    }
    if (g->impure && (type == DT_REG || type == DT_DIR))
        kept = ino_kept(g->c, g->dir, name);
    return add(g->l, name, type, kept ? kept : ino_of(g->c, g->layer, &st), g->part);
}

static int compare(const void *a, const void *b, void *text)
{
    const struct item *x = a, *y = b;
    int r = strcmp((char *)text + x->name, (char *)text + y->name);

    return r != 0 ? r : x->part - y->part;
}

/* Of each name the topmost, unless that is a whiteout. */
static void merge(struct xeno_cowfs_list *l, size_t from)
{
    size_t out = from;

    if (l->count > from)
        qsort_r(l->items + from, l->count - from, sizeof *l->items, compare, l->text);
    for (size_t i = from; i < l->count;) {
        const char *name = l->text + l->items[i].name;
        size_t next = i + 1;

        while (next < l->count && strcmp(l->text + l->items[next].name, name) == 0)
            next++;
        if (l->items[i].type != DT_UNKNOWN)
            l->items[out++] = l->items[i];
        i = next;
    }
    l->count = out;
}

static int gather_part(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int i,
                       struct xeno_cowfs_list *l)
{
    struct gather g = { .c = c, .l = l, .layer = n->parts[i].layer, .part = (short)i };
    struct xeno_cowfs_layer *layer = c->layers[g.layer];
    char mark;

    g.dir = part_fd(c, n, i);
    if (g.dir < 0)
        return g.dir;
    g.impure =
        g.layer == UPPER &&
        (atomic_load(&n->impure) ||
         layer->ops->getxattr(layer, g.dir, "", XENO_COWFS_OWN_PREFIX "impure", &mark, 1) == 1);
    return layer->ops->list(layer, g.dir, gather_one, &g);
}

int list_merged(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_list **ret)
{
    xeno_auto(xeno_cowfs_list) l = xeno_new0(struct xeno_cowfs_list);
    int r;

    if (!S_ISDIR(n->type))
        return -ENOTDIR;
    r = add(l, ".", DT_DIR, n->ino, 0);
    if (r == 0)
        r = add(l, "..", DT_DIR, n->parent ? n->parent->ino : n->ino, 0);
    for (int i = 0; i < n->parts_count && r == 0 && !n->gone; i++)
        r = gather_part(c, n, i, l);
    if (r < 0)
        return r;
    merge(l, 2);
    *ret = xeno_take(&l);
    return 0;
}

size_t list_count(const struct xeno_cowfs_list *l)
{
    return l->count;
}

int xeno_cowfs_list_open(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                         struct xeno_cowfs_list **ret)
{
    int r = use_dir(c, n);

    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&c->tree);
    r = list_merged(c, n, ret);
    pthread_rwlock_unlock(&c->tree);
    return r;
}

void xeno_cowfs_list_free(struct xeno_cowfs_list *l)
{
    if (!l)
        return;
    free(l->text);
    free(l->items);
    free(l);
}

bool xeno_cowfs_list_renumbered(struct xeno_cowfs_node *n)
{
    return atomic_exchange(&n->renumbered, false);
}

bool xeno_cowfs_list_at(const struct xeno_cowfs_list *l, size_t at, struct xeno_cowfs_entry *ret)
{
    if (at >= l->count)
        return false;
    ret->name = l->text + l->items[at].name;
    ret->ino = l->items[at].ino;
    ret->type = l->items[at].type;
    return true;
}
