/* src/cowfs/nfs.c - an export: what it is made of and how it is asked for. */
#include "cowfs/nfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/env.h"
#include "cowfs/nfs-priv.h"
#include "crypto/key.h"

#define FILES_MAX                                                                                  \
    1024 /* open at once; a quarter of what the process may have, when that is less                \
          */

/* --- options --- */

/* As getnameinfo(3) would write it. Errors: -EINVAL. */
static int plain_address(const char *text, char out[INET6_ADDRSTRLEN])
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, text, &four) == 1)
        return inet_ntop(AF_INET, &four, out, INET6_ADDRSTRLEN) ? 0 : -EINVAL;
    if (inet_pton(AF_INET6, text, &six) == 1)
        return inet_ntop(AF_INET6, &six, out, INET6_ADDRSTRLEN) ? 0 : -EINVAL;
    return -EINVAL;
}

static int read_clients(struct xeno_nfs *s, const char *text, struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(text ? text : "");
    char *rest = copy, *one, plain[INET6_ADDRSTRLEN];

    while ((one = strsep(&rest, ","))) {
        if (plain_address(one, plain) < 0)
            return xeno_fail(err, -EINVAL, "nfs.clients", "'%s' is not an address", one);
        if (s->clients_count == XENO_NFS_CLIENTS_MAX)
            return xeno_fail(err, -EINVAL, "nfs.clients", "more than %d addresses",
                             XENO_NFS_CLIENTS_MAX);
        s->clients[s->clients_count++] = xeno_strdup(plain);
    }
    return 0;
}

static int read_uids(struct xeno_nfs *s, const char *text, struct xeno_err *err)
{
    unsigned uid, gid;
    char more;

    if (!text || strcmp(text, "as-told") == 0) {
        s->uids = AS_TOLD;
    } else if (strcmp(text, "no-root") == 0) {
        s->uids = NO_ROOT;
    } else if (sscanf(text, "%u:%u%c", &uid, &gid, &more) == 2) {
        s->uids = ALL_ONE;
        s->uid = uid;
        s->gid = gid;
    } else {
        return xeno_fail(err, -EINVAL, "nfs.uids", "'%s' is not 'as-told', 'no-root' or UID:GID",
                         text);
    }
    return 0;
}

static int read_key(struct xeno_nfs *s, const char *work, struct xeno_err *err)
{
    xeno_autoclose int dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return xeno_fail_errno(err, -errno, "nfs.key", "open '%s'", work);
    return xeno_nfs_key_load(dir, &s->key, err);
}

static size_t files_max(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur / 4 > FILES_MAX)
        return FILES_MAX;
    return rl.rlim_cur / 4;
}

int xeno_nfs_new(struct xeno_cowfs *c, const struct xeno_nfs_opts *opts, struct xeno_nfs **ret,
                 struct xeno_err *err)
{
    xeno_auto(xeno_nfs) s = xeno_new0(struct xeno_nfs);
    uint64_t verifier;
    int r;

    xeno_crypto_init();
    s->c = c;
    s->listener = -1;
    s->threads = opts->threads;
    s->lazy = opts->lazy;
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&s->stripes[i], NULL);
    r = read_uids(s, opts->uids, err);
    if (r == 0)
        r = read_clients(s, opts->clients, err);
    if (r == 0)
        r = read_key(s, opts->work, err);
    if (r < 0)
        return r;
    s->objects =
        xeno_nfs_objects_new(c, &s->key, XENO_NFS_OBJECTS_MAX, XENO_NFS_PLACES_MAX, files_max());
    if (!s->objects)
        return xeno_fail(err, -EIO, "nfs.root", "the root of the stack cannot be read");
    s->dups = xeno_nfs_dups_new(XENO_NFS_DUPLICATES_MAX);
    s->lists = lists_new();
    s->mounts = mounts_new();
    xeno_random(xeno_env_real(), &verifier, sizeof verifier);
    atomic_init(&s->verifier, verifier);
    s->fsid = xeno_short_hash(s->key.names, "fsid", 4);
    *ret = xeno_take(&s);
    return 0;
}

void xeno_nfs_free(struct xeno_nfs *s)
{
    if (!s)
        return;
    xeno_nfs_objects_free(s->objects);
    xeno_nfs_dups_free(s->dups);
    lists_free(s->lists);
    mounts_free(s->mounts);
    for (size_t i = 0; i < s->clients_count; i++)
        free(s->clients[i]);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&s->stripes[i]);
    xeno_cleanup_close_(&s->listener);
    xeno_wipe(&s->key, sizeof s->key);
    free(s);
}
