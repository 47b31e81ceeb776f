/* src/cowfs/nfs-list.c - NFS requests that list directories.
 *
 * A name's cookie is a hash of it, and a listing is in the order of cookies: so a cookie says where
 * to go on in whatever the directory is by then, also after a restart. Listings under way are kept,
 * a bounded number of them, so that each request does not read the directory anew; one that begins
 * does.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cowfs/nfs-priv.h"

#define LISTS_MAX   16
#define ENTRIES_MAX (1 << 20) /* in all that are kept; a single one may have more */
#define REPLY_MAX   65536

/* Sizes of what is answered, in XDR. */
#define SIZE_FIXED  112 /* status, attributes of the directory, verifier, ends */
#define SIZE_ENTRY  24  /* fileid, length of the name, cookie, that one follows */
#define SIZE_ATTR   88
#define SIZE_HANDLE (8 + XENO_NFS_HANDLE_BYTES)

enum { COOKIE_SELF = 1, COOKIE_PARENT = 2 };

struct spot {
    uint64_t cookie;
    size_t at; /* in the list */
};
struct kept {
    uint64_t dir; /* number */
    struct xeno_cowfs_list *list;
    struct spot *spots;
    size_t count;
    unsigned users;
    bool old; /* another has taken its place */
    struct kept *prev, *next;
};
struct nfs_lists {
    pthread_mutex_t lock;
    struct kept *all; /* oldest first */
    size_t count, entries;
};

/* --- what is kept --- */

struct nfs_lists *lists_new(void)
{
    struct nfs_lists *l = xeno_new0(struct nfs_lists);

    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void free_kept(struct kept *k)
{
    xeno_cowfs_list_free(k->list);
    free(k->spots);
    free(k);
}

/* `lock` held. */
static void drop(struct nfs_lists *l, struct kept *k)
{
    DL_DELETE(l->all, k);
    l->count--;
    l->entries -= k->count;
    k->old = true;
    if (k->users == 0)
        free_kept(k);
}

void lists_free(struct nfs_lists *l)
{
    if (!l)
        return;
    while (l->all)
        drop(l, l->all);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static struct kept *find_kept(struct nfs_lists *l, uint64_t dir)
{
    struct kept *k;

    DL_SEARCH_SCALAR(l->all, k, dir, dir);
    return k;
}

static int by_cookie(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;

    return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

static struct kept *make_kept(struct call *c, struct xeno_nfs_object *dir,
                              struct xeno_cowfs_list *list)
{
    struct kept *k = xeno_new0(struct kept);
    struct xeno_cowfs_entry e;
    size_t room = 0;

    k->dir = dir->id.number;
    k->list = list;
    for (size_t i = 0; xeno_cowfs_list_at(list, i, &e); i++) {
        if (i == room) {
            room = room * 2 + 64;
            k->spots = xeno_grow(k->spots, room);
        }
        k->spots[i].at = i;
        k->spots[i].cookie = i == 0   ? COOKIE_SELF
                             : i == 1 ? COOKIE_PARENT
                                      : xeno_nfs_cookie(&c->s->key, e.name);
        k->count++;
    }
    qsort(k->spots, k->count, sizeof *k->spots, by_cookie);
    return k;
}

static int get_kept(struct call *c, struct xeno_nfs_object *dir, bool anew, struct kept **ret)
{
    struct nfs_lists *l = c->s->lists;
    struct xeno_cowfs_list *list = NULL;
    struct kept *k, *old;
    int r;

    pthread_mutex_lock(&l->lock);
    k = anew ? NULL : find_kept(l, dir->id.number);
    if (k)
        k->users++;
    pthread_mutex_unlock(&l->lock);
    *ret = k;
    if (k)
        return 0;
    r = xeno_cowfs_list_open(c->s->c, dir->node, &list);
    if (r < 0)
        return r;
    *ret = k = make_kept(c, dir, list);
    k->users = 1;
    pthread_mutex_lock(&l->lock);
    old = find_kept(l, k->dir);
    if (old)
        drop(l, old);
    DL_APPEND(l->all, k);
    l->count++;
    l->entries += k->count;
    while (l->all != k && (l->count > LISTS_MAX || l->entries > ENTRIES_MAX))
        drop(l, l->all);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

/* ended: nobody will go on with it. */
static void put_kept(struct call *c, struct kept *k, bool ended)
{
    struct nfs_lists *l = c->s->lists;

    if (!k)
        return;
    pthread_mutex_lock(&l->lock);
    k->users--;
    if (k->old && k->users == 0)
        free_kept(k);
    else if (!k->old && ended && k->users == 0)
        drop(l, k);
    pthread_mutex_unlock(&l->lock);
}

/* --- entries --- */

/* One listing being answered. */
struct listing {
    struct xeno_nfs_object *dir;
    struct stat st;
    struct kept *kept;
    bool plus, may_look;
    size_t left, left_names; /* bytes */
    bool eof, any;
};

/* What is told of an entry. */
struct told {
    uint64_t fileid, cookie;
    char *name;
    struct xeno_nfs_object *b; /* pinned; NULL: not known */
    struct stat st;
};

static void cookie_verifier(struct call *c, cookieverf3 ret)
{
    uint64_t v = xeno_short_hash(c->s->key.names, "", 0);

    memcpy(ret, &v, sizeof v);
}

static nfsstat3 open_listing(struct call *c, struct listing *l, const nfs_fh3 *h, uint64_t cookie,
                             const cookieverf3 verf)
{
    nfsstat3 status = find_dir(c, h, &l->dir, &l->st);
    cookieverf3 ours;

    cookie_verifier(c, ours);
    if (status == NFS3_OK)
        status = check_rights(c, l->dir, &l->st, MAY_READ);
    if (status == NFS3_OK && cookie != 0 && memcmp(ours, verf, sizeof ours) != 0)
        status = NFS3ERR_BAD_COOKIE;
    if (status == NFS3_OK)
        status = status_of(get_kept(c, l->dir, cookie == 0, &l->kept));
    if (status == NFS3_OK)
        l->may_look = check_rights(c, l->dir, &l->st, MAY_EXEC) == NFS3_OK;
    return status;
}

static size_t first_after(const struct kept *k, uint64_t cookie)
{
    size_t low = 0, high = k->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (k->spots[mid].cookie <= cookie)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Of ".": itself; of "..": what it is in. */
static void find_dot(struct call *c, struct listing *l, struct told *t)
{
    struct xeno_cowfs_node *n = NULL;

    if (t->cookie == COOKIE_SELF) {
        t->fileid = l->dir->id.number;
    } else if (xeno_cowfs_parent(c->s->c, l->dir->node, &n) == 0 &&
               xeno_nfs_object_of(c->s->objects, n, NULL, &t->b) == 0) {
        t->fileid = t->b->id.number;
        put_object(c, t->b);
        t->b = NULL;
    }
}

/* False: it is gone since. */
static bool find_told(struct call *c, struct listing *l, size_t i, struct told *t)
{
    struct xeno_cowfs_entry e;

    xeno_cowfs_list_at(l->kept->list, l->kept->spots[i].at, &e);
    *t = (struct told){ .cookie = l->kept->spots[i].cookie, .fileid = e.ino };
    t->name = call_alloc(c, strlen(e.name) + 1);
    strcpy(t->name, e.name);
    if (t->cookie <= COOKIE_PARENT) {
        find_dot(c, l, t);
        return true;
    }
    /* A file may have another number than its inode's (cowfs/stack.h). */
    if (!(l->plus && l->may_look) && e.type != DT_REG)
        return true;
    if (xeno_nfs_object_lookup(c->s->objects, l->dir, e.name, &t->b, &t->st) < 0)
        return false;
    t->fileid = t->b->id.number;
    return true;
}

/* Is there room for it? Then it is taken. */
static bool fits(struct listing *l, const struct told *t)
{
    size_t name = SIZE_ENTRY + ((strlen(t->name) + 3) & ~(size_t)3);
    size_t all = name + (l->plus ? SIZE_ATTR + SIZE_HANDLE : 0);

    /* dircount is a wish: one name comes whatever it is. */
    if (all > l->left || (name > l->left_names && l->any))
        return false;
    l->left -= all;
    l->left_names -= name < l->left_names ? name : l->left_names;
    l->any = true;
    return true;
}

/* --- READDIR --- */

static void add_entry(struct call *c, const struct told *t, entry3 ***end)
{
    entry3 *e = call_alloc(c, sizeof *e);

    e->fileid = t->fileid;
    e->name = t->name;
    e->cookie = t->cookie;
    **end = e;
    *end = &e->nextentry;
}

static void add_plus(struct call *c, struct listing *l, const struct told *t, entryplus3 ***end)
{
    entryplus3 *e = call_alloc(c, sizeof *e);

    e->fileid = t->fileid;
    e->name = t->name;
    e->cookie = t->cookie;
    if (t->b && l->may_look) {
        fill_post(c, t->b, &t->st, &e->name_attributes);
        e->name_handle.handle_follows = TRUE;
        fill_handle(c, t->b, &e->name_handle.post_op_fh3_u.handle);
    } else if (t->cookie == COOKIE_SELF) {
        fill_post(c, l->dir, &l->st, &e->name_attributes);
    }
    **end = e;
    *end = &e->nextentry;
}

/* entries: an entry3 ** or, when plus, an entryplus3 **, the head of the answer. */
static nfsstat3 add_entries(struct call *c, struct listing *l, uint64_t cookie, entry3 **entries,
                            entryplus3 **plus)
{
    size_t i = first_after(l->kept, cookie);
    bool full = false;

    for (; i < l->kept->count && !full; i++) {
        struct told t;

        if (!find_told(c, l, i, &t))
            continue;
        full = !fits(l, &t);
        if (!full && l->plus)
            add_plus(c, l, &t, &plus);
        else if (!full)
            add_entry(c, &t, &entries);
        put_object(c, t.b);
    }
    l->eof = !full;
    return full && !l->any ? NFS3ERR_TOOSMALL : NFS3_OK;
}

static size_t room_of(uint32_t count)
{
    size_t max = count < REPLY_MAX ? count : REPLY_MAX;

    return max > SIZE_FIXED ? max - SIZE_FIXED : 0;
}

void do_readdir(struct call *c, void *args, void *res)
{
    READDIR3args *a = args;
    READDIR3res *r = res;
    READDIR3resok *ok = &r->READDIR3res_u.resok;
    struct listing l = { .left = room_of(a->count), .left_names = SIZE_MAX };

    r->status = open_listing(c, &l, &a->dir, a->cookie, a->cookieverf);
    if (r->status == NFS3_OK)
        r->status = add_entries(c, &l, a->cookie, &ok->reply.entries, NULL);
    if (r->status == NFS3_OK) {
        cookie_verifier(c, ok->cookieverf);
        ok->reply.eof = l.eof;
        c->room = REPLY_MAX;
    }
    post_attr(c, l.dir, &ok->dir_attributes); /* the same place in resfail */
    put_kept(c, l.kept, l.eof);
    put_object(c, l.dir);
}

void do_readdirplus(struct call *c, void *args, void *res)
{
    READDIRPLUS3args *a = args;
    READDIRPLUS3res *r = res;
    READDIRPLUS3resok *ok = &r->READDIRPLUS3res_u.resok;
    struct listing l = { .plus = true, .left = room_of(a->maxcount), .left_names = a->dircount };

    r->status = open_listing(c, &l, &a->dir, a->cookie, a->cookieverf);
    if (r->status == NFS3_OK)
        r->status = add_entries(c, &l, a->cookie, NULL, &ok->reply.entries);
    if (r->status == NFS3_OK) {
        cookie_verifier(c, ok->cookieverf);
        ok->reply.eof = l.eof;
        c->room = REPLY_MAX;
    }
    post_attr(c, l.dir, &ok->dir_attributes); /* the same place in resfail */
    put_kept(c, l.kept, l.eof);
    put_object(c, l.dir);
}
