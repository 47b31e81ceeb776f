/* src/cowfs/nfs-mount.c - the MOUNT program: who gets the first handle, and the lists it tells. */
#include <string.h>
#include <utlist.h>

#include "cowfs/nfs-priv.h"
#include "nfsmount.h" /* made by rpcgen from nfsmount.x */

#define MOUNTS_MAX 64 /* that are told; it is a list for people */

struct mounted {
    char *client, *path;
    struct mounted *prev, *next;
};
struct nfs_mounts {
    pthread_mutex_t lock;
    struct mounted *all;
    size_t count;
};

/* --- the list of mounts --- */

struct nfs_mounts *mounts_new(void)
{
    struct nfs_mounts *m = xeno_new0(struct nfs_mounts);

    pthread_mutex_init(&m->lock, NULL);
    return m;
}

/* `lock` held. path NULL: all of the client's; client NULL: everybody's. */
static void remove_mounts(struct nfs_mounts *m, const char *client, const char *path)
{
    struct mounted *e, *next;

    DL_FOREACH_SAFE (m->all, e, next) {
        if ((client && strcmp(e->client, client) != 0) || (path && strcmp(e->path, path) != 0))
            continue;
        DL_DELETE(m->all, e);
        m->count--;
        free(e->client);
        free(e->path);
        free(e);
    }
}

void mounts_free(struct nfs_mounts *m)
{
    if (!m)
        return;
    remove_mounts(m, NULL, NULL);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void add_mount(struct nfs_mounts *m, const char *client, const char *path)
{
    pthread_mutex_lock(&m->lock);
    remove_mounts(m, client, path);
    if (m->count < MOUNTS_MAX) {
        struct mounted *e = xeno_new0(struct mounted);

        e->client = xeno_strdup(client);
        e->path = xeno_strdup(path);
        DL_APPEND(m->all, e);
        m->count++;
    }
    pthread_mutex_unlock(&m->lock);
}

/* --- requests --- */

/* Down from the root, name by name, as look-ups would; no link is followed. */
static nfsstat3 walk(struct call *c, char *path, struct xeno_nfs_object **ret)
{
    struct xeno_cowfs_node *root = xeno_cowfs_root(c->s->c);
    nfsstat3 status = status_of(xeno_nfs_object_of(c->s->objects, root, NULL, ret));
    struct stat st;
    char *name;

    if (status == NFS3_OK)
        status = stat_object(c, *ret, &st);
    while (status == NFS3_OK && (name = strsep(&path, "/"))) {
        struct xeno_nfs_object *b = NULL;

        if (*name == '\0' || strcmp(name, ".") == 0)
            continue;
        status = check_new_name(name);
        if (status == NFS3_OK)
            status = look_up(c, *ret, &st, name, &b, &st);
        put_object(c, *ret);
        *ret = b;
        if (status == NFS3_OK && !S_ISDIR(st.st_mode))
            status = NFS3ERR_NOTDIR;
    }
    return status;
}

static void do_mnt(struct call *c, void *args, void *res)
{
    dirpath *path = args;
    mountres3 *r = res;
    mountres3_ok *ok = &r->mountres3_u.mountinfo;
    xeno_autofree char *copy = xeno_strdup(*path);
    struct xeno_nfs_object *b = NULL;
    nfs_fh3 h;
    nfsstat3 status = walk(c, copy, &b);

    /* The statuses are those of NFS; what MOUNT does not know is "server fault". */
    r->fhs_status = (mountstat3)status;
    if (status == NFS3ERR_JUKEBOX || status == NFS3ERR_STALE)
        r->fhs_status = MNT3ERR_SERVERFAULT;
    if (status == NFS3_OK) {
        fill_handle(c, b, &h);
        ok->fhandle.fhandle3_val = h.data.data_val;
        ok->fhandle.fhandle3_len = h.data.data_len;
        ok->auth_flavors.auth_flavors_val = call_alloc(c, sizeof(int));
        ok->auth_flavors.auth_flavors_val[0] = AUTH_SYS;
        ok->auth_flavors.auth_flavors_len = 1;
        add_mount(c->s->mounts, c->client, *path);
    }
    put_object(c, b);
}

static char *call_text(struct call *c, const char *text)
{
    char *copy = call_alloc(c, strlen(text) + 1);

    return strcpy(copy, text);
}

static void do_dump(struct call *c, void *args, void *res)
{
    mountlist *end = res;
    struct mounted *e;

    (void)args;
    pthread_mutex_lock(&c->s->mounts->lock);
    DL_FOREACH (c->s->mounts->all, e) {
        *end = call_alloc(c, sizeof **end);
        (*end)->ml_hostname = call_text(c, e->client);
        (*end)->ml_directory = call_text(c, e->path);
        c->room += strlen(e->client) + strlen(e->path) + 32;
        end = &(*end)->ml_next;
    }
    pthread_mutex_unlock(&c->s->mounts->lock);
}

static void do_umnt(struct call *c, void *args, void *res)
{
    (void)res;
    pthread_mutex_lock(&c->s->mounts->lock);
    remove_mounts(c->s->mounts, c->client, args ? *(dirpath *)args : NULL);
    pthread_mutex_unlock(&c->s->mounts->lock);
}

static void do_export(struct call *c, void *args, void *res)
{
    exports *e = res;
    groups *end;

    (void)args;
    *e = call_alloc(c, sizeof **e);
    (*e)->ex_dir = call_text(c, "/");
    end = &(*e)->ex_groups;
    for (size_t i = 0; i < c->s->clients_count; i++) {
        *end = call_alloc(c, sizeof **end);
        (*end)->gr_name = call_text(c, c->s->clients[i]);
        end = &(*end)->gr_next;
    }
}

static void do_null(struct call *c, void *args, void *res)
{
    (void)c;
    (void)args;
    (void)res;
}

#define XDR(fn) (xdrproc_t) xdr_##fn
const struct nfs_proc mount_procs[] = {
    [MOUNTPROC3_NULL] = { .name = "NULL", .fn = do_null },
    [MOUNTPROC3_MNT] = { "MNT", XDR(dirpath), XDR(mountres3), sizeof(dirpath), sizeof(mountres3),
                         do_mnt, false },
    [MOUNTPROC3_DUMP] = { "DUMP", NULL, XDR(mountlist), 0, sizeof(mountlist), do_dump, false },
    [MOUNTPROC3_UMNT] = { "UMNT", XDR(dirpath), NULL, sizeof(dirpath), 0, do_umnt, false },
    [MOUNTPROC3_UMNTALL] = { .name = "UMNTALL", .fn = do_umnt },
    [MOUNTPROC3_EXPORT] = { "EXPORT", NULL, XDR(exports), 0, sizeof(exports), do_export, false },
};
const size_t mount_procs_count = XENO_LEN(mount_procs);
