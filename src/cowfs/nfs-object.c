/* src/cowfs/nfs-object.c - the objects that handles lead to.
 *
 * `lock` is held for moments: while the tables are looked at and changed, never while the stack is
 * asked. `scan` is held while the tree is read.
 *
 *   unread     when the tree was last read, a directory could not be: what is not found may be
 * there complete   every object of the stack that nobody told of has a place in the table epoch
 * counts what a reading that is under way may have missed
 */
#include "cowfs/nfs-object.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "base/env.h"
#include "cowfs/nfs-places.h"
#include "cowfs/nfs-priv.h"

#define DEPTH_MAX      65536 /* of directories within each other */
#define SCAN_WAIT_S    2     /* then a client is told to ask again */
#define SCAN_TIMES_OFF 20    /* so many times as long as it took nobody reads the tree again */

enum { READS, WRITES };

struct xeno_nfs_objects {
    struct xeno_cowfs *c;
    const struct xeno_nfs_key *key;
    size_t max, files_max, files;
    pthread_mutex_t lock, scan;
    struct xeno_nfs_object *numbers, *nodes, *unused, *open, *root;
    struct xeno_nfs_places *places;
    bool complete, overflowed, unread;
    uint64_t epoch;
    unsigned scans;
    xeno_time scan_next;
};

/* --- files of objects; `lock` held --- */

static void close_files(struct xeno_nfs_objects *o, struct xeno_nfs_object *b)
{
    if (!b->file[READS] && !b->file[WRITES])
        return;
    for (int i = READS; i <= WRITES; i++) {
        if (b->file[i])
            xeno_cowfs_file_close(o->c, b->file[i]);
        o->files -= b->file[i] != NULL;
        b->file[i] = NULL;
    }
    DL_DELETE2(o->open, b, prev_open, next_open);
}

static void trim_files(struct xeno_nfs_objects *o)
{
    struct xeno_nfs_object *b, *next;

    DL_FOREACH_SAFE2(o->open, b, next, next_open)
    {
        if (o->files <= o->files_max)
            return;
        if (b->pins == 0)
            close_files(o, b);
    }
}

int xeno_nfs_object_file(struct xeno_nfs_objects *o, struct xeno_nfs_object *b, bool write,
                         struct xeno_cowfs_file **ret)
{
    struct xeno_cowfs_file *f = NULL;
    int i = write ? WRITES : READS, r = 0;

    pthread_mutex_lock(&o->lock);
    *ret = b->file[i] ? b->file[i] : b->file[WRITES];
    pthread_mutex_unlock(&o->lock);
    if (*ret)
        return 0;
    r = xeno_cowfs_file_open(o->c, b->node, write ? O_RDWR : O_RDONLY, &f);
    if (r < 0)
        return r;
    pthread_mutex_lock(&o->lock);
    if (b->file[i]) {
        xeno_cowfs_file_close(o->c, f); /* somebody else was faster */
    } else {
        if (!b->file[READS] && !b->file[WRITES])
            DL_APPEND2(o->open, b, prev_open, next_open);
        b->file[i] = f;
        o->files++;
        trim_files(o);
    }
    *ret = b->file[i];
    pthread_mutex_unlock(&o->lock);
    return 0;
}

/* --- the table of objects; `lock` held --- */

static void free_object(struct xeno_nfs_objects *o, struct xeno_nfs_object *b)
{
    close_files(o, b);
    xeno_cowfs_forget(o->c, b->node, 1);
    free(b);
}

static void forget(struct xeno_nfs_objects *o, struct xeno_nfs_object *b)
{
    HASH_DELETE(by_number, o->numbers, b);
    HASH_DELETE(by_node, o->nodes, b);
    b->known = false;
    if (b->pins == 0) {
        DL_DELETE(o->unused, b);
        free_object(o, b);
    }
}

static void pin(struct xeno_nfs_objects *o, struct xeno_nfs_object *b)
{
    if (b->pins++ == 0)
        DL_DELETE(o->unused, b);
}

static void trim_objects(struct xeno_nfs_objects *o)
{
    while (HASH_CNT(by_number, o->numbers) > o->max && o->unused)
        forget(o, o->unused);
}

void xeno_nfs_object_put(struct xeno_nfs_objects *o, struct xeno_nfs_object *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&o->lock);
    if (--b->pins == 0) {
        if (b->known) {
            DL_APPEND(o->unused, b);
            trim_objects(o);
        } else {
            free_object(o, b);
        }
    }
    pthread_mutex_unlock(&o->lock);
}

static struct xeno_nfs_object *by_number(struct xeno_nfs_objects *o, uint64_t number)
{
    struct xeno_nfs_object *b;

    HASH_FIND(by_number, o->numbers, &number, sizeof number, b);
    return b;
}

static void put_place(struct xeno_nfs_objects *o, uint64_t number, uint64_t in)
{
    if (xeno_nfs_places_put(o->places, number, in))
        return;
    xeno_nfs_places_clear(o->places);
    o->complete = false;
    o->epoch++;
}

static struct xeno_nfs_object *add(struct xeno_nfs_objects *o, struct xeno_cowfs_node *n,
                                   const struct xeno_cowfs_identity *id)
{
    struct xeno_nfs_object *b = xeno_new0(struct xeno_nfs_object), *old = by_number(o, id->number);

    if (old)
        forget(o, old); /* its number belongs to another now */
    b->id = *id;
    b->node = n;
    b->pins = 1;
    b->known = true;
    xeno_nfs_handle_make(o->key, id, b->handle);
    HASH_ADD(by_number, o->numbers, id.number, sizeof b->id.number, b);
    HASH_ADD(by_node, o->nodes, node, sizeof b->node, b);
    return b;
}

int xeno_nfs_object_of(struct xeno_nfs_objects *o, struct xeno_cowfs_node *n,
                       const struct xeno_nfs_object *in, struct xeno_nfs_object **ret)
{
    struct xeno_cowfs_identity id;
    struct xeno_nfs_object *b;
    int r = 0;

    pthread_mutex_lock(&o->lock);
    HASH_FIND(by_node, o->nodes, &n, sizeof n, b);
    if (b)
        pin(o, b);
    pthread_mutex_unlock(&o->lock);
    if (!b)
        r = xeno_cowfs_identity(o->c, n, &id);
    if (b || r < 0) {
        xeno_cowfs_forget(o->c, n, 1);
        if (r < 0)
            return r;
        n = NULL;
    }
    pthread_mutex_lock(&o->lock);
    if (n) {
        HASH_FIND(by_node, o->nodes, &n, sizeof n, b);
        if (b) {
            xeno_cowfs_forget(o->c, n, 1);
            pin(o, b);
        } else {
            b = add(o, n, &id);
        }
    }
    if (in)
        put_place(o, b->id.number, in->id.number);
    trim_objects(o);
    pthread_mutex_unlock(&o->lock);
    *ret = b;
    return 0;
}

int xeno_nfs_object_lookup(struct xeno_nfs_objects *o, const struct xeno_nfs_object *dir,
                           const char *name, struct xeno_nfs_object **ret, struct stat *ret_st)
{
    struct xeno_cowfs_node *n = NULL;
    int r = xeno_cowfs_lookup(o->c, dir->node, name, &n, ret_st);

    return r < 0 ? r : xeno_nfs_object_of(o, n, dir, ret);
}

/* --- who is where --- */

/* Of the names of a directory the one with this number. */
static int find_in(struct xeno_nfs_objects *o, const struct xeno_nfs_object *dir, uint64_t number,
                   struct xeno_nfs_object **ret)
{
    xeno_auto(xeno_cowfs_list) l = NULL;
    int r = xeno_cowfs_list_open(o->c, dir->node, &l);
    struct xeno_cowfs_entry e;

    if (r < 0)
        return r;
    /* First those that have it as their inode number; then files, which may have several names. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 2; xeno_cowfs_list_at(l, i, &e); i++) {
            struct xeno_nfs_object *b = NULL;
            struct stat st;

            if ((e.ino == number) != (pass == 0) || (pass == 1 && e.type != DT_REG) ||
                xeno_nfs_object_lookup(o, dir, e.name, &b, &st) < 0)
                continue;
            if (b->id.number == number) {
                *ret = b;
                return 0;
            }
            xeno_nfs_object_put(o, b);
        }
    }
    return -ENOENT;
}

/* From the nearest directory that is remembered down to the number. */
static int find_by_places(struct xeno_nfs_objects *o, uint64_t number, struct xeno_nfs_object **ret)
{
    xeno_autofree uint64_t *way = NULL;
    size_t depth = 0, room = 0;
    struct xeno_nfs_object *b, *next;
    int r = 0;

    pthread_mutex_lock(&o->lock);
    while (!(b = by_number(o, number)) && depth < DEPTH_MAX) {
        if (depth == room) {
            room = room * 2 + 16;
            way = xeno_grow(way, room);
        }
        way[depth++] = number;
        if (!xeno_nfs_places_get(o->places, number, &number))
            break;
    }
    if (b)
        pin(o, b);
    pthread_mutex_unlock(&o->lock);
    if (!b)
        return -ENOENT;
    for (; depth > 0 && r == 0; depth--, b = next) {
        next = NULL;
        r = find_in(o, b, way[depth - 1], &next);
        xeno_nfs_object_put(o, b);
    }
    *ret = b;
    return r;
}

/* --- the whole tree --- */

struct dir {
    struct xeno_cowfs_node *node;
    uint64_t number;
};
struct walk {
    struct dir *dirs;
    size_t count, room;
    bool full, unread;
};

/* Takes: the reference. */
static void visit(struct xeno_nfs_objects *o, struct walk *w, struct xeno_cowfs_node *n,
                  mode_t mode, uint64_t in)
{
    struct xeno_cowfs_identity id;

    if (xeno_cowfs_identity(o->c, n, &id) < 0) {
        xeno_cowfs_forget(o->c, n, 1);
        return;
    }
    pthread_mutex_lock(&o->lock);
    w->full = w->full || !xeno_nfs_places_put(o->places, id.number, in);
    pthread_mutex_unlock(&o->lock);
    if (!S_ISDIR(mode)) {
        xeno_cowfs_forget(o->c, n, 1);
        return;
    }
    if (w->count == w->room) {
        w->room = w->room * 2 + 64;
        w->dirs = xeno_grow(w->dirs, w->room);
    }
    w->dirs[w->count++] = (struct dir){ .node = n, .number = id.number };
}

static void visit_all(struct xeno_nfs_objects *o, struct walk *w, const struct dir *d)
{
    xeno_auto(xeno_cowfs_list) l = NULL;
    int r = xeno_cowfs_list_open(o->c, d->node, &l);
    struct xeno_cowfs_entry e;

    w->unread = w->unread || r == -EIO; /* what is mounted there cannot be now */
    if (r < 0)
        return; /* it is gone, or cannot be read by anybody */
    for (size_t i = 2; xeno_cowfs_list_at(l, i, &e) && !w->full; i++) {
        struct xeno_cowfs_node *n;
        struct stat st;

        if (xeno_cowfs_lookup(o->c, d->node, e.name, &n, &st) == 0)
            visit(o, w, n, st.st_mode, d->number);
    }
}

static void read_tree(struct xeno_nfs_objects *o)
{
    struct walk w = { .dirs = NULL };
    uint64_t epoch;

    pthread_mutex_lock(&o->lock);
    epoch = o->epoch;
    pthread_mutex_unlock(&o->lock);
    visit_all(o, &w, &(struct dir){ .node = o->root->node, .number = o->root->id.number });
    while (w.count > 0) {
        struct dir d = w.dirs[--w.count];

        if (!w.full)
            visit_all(o, &w, &d);
        xeno_cowfs_forget(o->c, d.node, 1);
    }
    free(w.dirs);
    pthread_mutex_lock(&o->lock);
    o->complete = epoch == o->epoch && !w.unread;
    o->unread = w.unread;
    o->overflowed = w.full;
    o->scans++;
    pthread_mutex_unlock(&o->lock);
}

/* Returns: 0 when the table knows more than before; -ESTALE when it knows all; -EAGAIN. */
static int learn(struct xeno_nfs_objects *o, unsigned scans_seen)
{
    const struct xeno_env *env = xeno_env_real();
    struct timespec until;
    bool again, all;

    nfs_may_wait();
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SCAN_WAIT_S;
    if (pthread_mutex_timedlock(&o->scan, &until) != 0)
        return -EAGAIN;
    pthread_mutex_lock(&o->lock);
    again = o->scans != scans_seen;
    all = o->complete || o->overflowed;
    pthread_mutex_unlock(&o->lock);
    if (!again && !all && xeno_mono(env).ns >= o->scan_next.ns) {
        xeno_time began = xeno_mono(env);

        read_tree(o);
        o->scan_next.ns = xeno_mono(env).ns;
        o->scan_next.ns += (o->scan_next.ns - began.ns) * SCAN_TIMES_OFF;
        again = true;
    }
    pthread_mutex_unlock(&o->scan);
    return again ? 0 : all ? -ESTALE : -EAGAIN;
}

static bool is_unread(struct xeno_nfs_objects *o)
{
    bool unread;

    pthread_mutex_lock(&o->lock);
    unread = o->unread;
    pthread_mutex_unlock(&o->lock);
    return unread;
}

int xeno_nfs_object_find(struct xeno_nfs_objects *o, const void *handle, size_t len,
                         struct xeno_nfs_object **ret)
{
    struct xeno_nfs_object *b = NULL;
    struct xeno_cowfs_identity id;
    int r = xeno_nfs_handle_read(o->key, handle, len, &id);
    unsigned scans;

    if (r < 0)
        return r;
    scans = xeno_nfs_objects_scans(o);
    r = find_by_places(o, id.number, &b);
    if (r == -ENOENT) {
        r = learn(o, scans);
        if (r == 0)
            r = find_by_places(o, id.number, &b);
    }
    if (r == -ENOENT)
        return is_unread(o) ? -EIO : -ESTALE;
    if (r < 0)
        return r;
    if (b->id.born != id.born) {
        xeno_nfs_object_put(o, b);
        return -ESTALE;
    }
    *ret = b;
    return 0;
}

/* --- changes --- */

void xeno_nfs_object_moved(struct xeno_nfs_objects *o, const struct xeno_nfs_object *b,
                           const struct xeno_nfs_object *to, bool is_dir)
{
    pthread_mutex_lock(&o->lock);
    put_place(o, b->id.number, to->id.number);
    o->epoch += is_dir; /* who reads the tree now may pass by what is in it */
    pthread_mutex_unlock(&o->lock);
}

void xeno_nfs_object_removed(struct xeno_nfs_objects *o, struct xeno_nfs_object *b, size_t left)
{
    pthread_mutex_lock(&o->lock);
    xeno_nfs_places_drop(o->places, b->id.number);
    if (left > 0) {
        o->complete = false;
        o->epoch++;
    } else if (b->known) {
        forget(o, b);
    }
    pthread_mutex_unlock(&o->lock);
}

unsigned xeno_nfs_objects_scans(struct xeno_nfs_objects *o)
{
    unsigned n;

    pthread_mutex_lock(&o->lock);
    n = o->scans;
    pthread_mutex_unlock(&o->lock);
    return n;
}

struct xeno_nfs_objects *xeno_nfs_objects_new(struct xeno_cowfs *c, const struct xeno_nfs_key *key,
                                              size_t objects, size_t places, size_t files)
{
    struct xeno_nfs_objects *o = xeno_new0(struct xeno_nfs_objects);

    pthread_mutex_init(&o->lock, NULL);
    pthread_mutex_init(&o->scan, NULL);
    o->c = c;
    o->key = key;
    o->max = objects;
    o->files_max = files;
    o->places = xeno_nfs_places_new(places);
    /* Pinned for ever: every way begins here. */
    if (xeno_nfs_object_of(o, xeno_cowfs_root(c), NULL, &o->root) < 0) {
        xeno_nfs_objects_free(o);
        return NULL;
    }
    return o;
}

void xeno_nfs_objects_free(struct xeno_nfs_objects *o)
{
    struct xeno_nfs_object *b, *next;

    if (!o)
        return;
    HASH_CLEAR(by_node, o->nodes);
    HASH_ITER (by_number, o->numbers, b, next) {
        HASH_DELETE(by_number, o->numbers, b);
        free_object(o, b);
    }
    xeno_nfs_places_free(o->places);
    pthread_mutex_destroy(&o->lock);
    pthread_mutex_destroy(&o->scan);
    free(o);
}
