/* src/cowfs/nfs-data.c - NFS requests about contents: read, write, commit. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "cowfs/nfs-priv.h"

/* Copying so many takes longer than a way to another thread, who goes on meanwhile. */
#define MANY_BYTES (64 << 10)

/* The owner may, whatever the mode: the client has checked it when the file was opened. Who may
 * execute a file may read it, since that is how it is executed. */
static nfsstat3 check_data(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                           unsigned want)
{
    nfsstat3 status;

    if (!S_ISREG(st->st_mode))
        return S_ISDIR(st->st_mode) ? NFS3ERR_ISDIR : NFS3ERR_INVAL;
    if (c->who.uid == st->st_uid)
        return NFS3_OK;
    status = check_rights(c, b, st, want);
    if (status == NFS3ERR_ACCES && want == MAY_READ)
        status = check_rights(c, b, st, MAY_EXEC);
    return status;
}

/* --- read --- */

/* Of a file of `end` bytes: what is in memory at once; for the rest others are let go on. */
static ssize_t read_file(struct xeno_cowfs_file *f, char *data, size_t size, off_t at, off_t end)
{
    struct iovec iov = { data, size };
    int fd = xeno_cowfs_file_fd(f);
    ssize_t n, rest;

    if (size > MANY_BYTES && end - at > MANY_BYTES)
        nfs_may_wait();
    n = fd < 0 ? 0 : preadv2(fd, &iov, 1, at, RWF_NOWAIT);
    n = n < 0 ? 0 : n;
    if ((size_t)n == size || (n > 0 && at + n >= end))
        return n;
    nfs_may_wait();
    rest = xeno_cowfs_file_read(f, data + n, size - (size_t)n, at + n);
    return rest < 0 ? rest : n + rest;
}

static nfsstat3 read_data(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                          const READ3args *a, READ3resok *ok)
{
    size_t size = a->count < NFS3_DATA_MAX ? a->count : NFS3_DATA_MAX;
    struct xeno_cowfs_file *f = NULL;
    char *data;
    ssize_t n = 0;
    int r;

    if (a->offset > INT64_MAX - NFS3_DATA_MAX)
        return NFS3ERR_INVAL;
    r = xeno_nfs_object_file(c->s->objects, b, false, &f);
    if (r < 0)
        return status_of(r);
    data = call_data(c, size);
    if (!data)
        return NFS3ERR_JUKEBOX;
    n = read_file(f, data, size, (off_t)a->offset, st->st_size);
    if (n < 0)
        return status_of((int)n);
    c->data_len = (size_t)n;
    ok->count = (uint32_t)n;
    return NFS3_OK;
}

void do_read(struct call *c, void *args, void *res)
{
    READ3args *a = args;
    READ3res *r = res;
    READ3resok *ok = &r->READ3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_stat(c, &a->file, &b, &st);
    if (r->status == NFS3_OK) {
        r->status = check_data(c, b, &st, MAY_READ);
        if (r->status == NFS3_OK)
            r->status = read_data(c, b, &st, a, ok);
        if (r->status == NFS3_OK)
            ok->eof = a->offset + ok->count >= (uint64_t)st.st_size;
        fill_post(c, b, &st, &ok->file_attributes); /* the same place in resfail */
    }
    put_object(c, b);
}

/* --- write --- */

static int write_whole(int fd, const char *data, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
        at += n;
    }
    return 0;
}

/* Whoever is not root leaves no set-id bits on what he has written. */
static int clear_set_id(struct call *c, struct xeno_nfs_object *b, const struct stat *st)
{
    struct xeno_cowfs_set set = { .mode = true,
                                  .st_mode = xeno_nfs_mode_written(&c->who, st->st_mode) };
    struct stat after;

    return set.st_mode == st->st_mode ? 0 : xeno_cowfs_set(c->s->c, b->node, NULL, &set, &after);
}

static nfsstat3 write_data(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                           const WRITE3args *a)
{
    struct xeno_cowfs_file *f = NULL;
    int r;

    if (a->count > a->data.data_len || a->stable > FILE_SYNC)
        return NFS3ERR_INVAL;
    if (a->offset > INT64_MAX - NFS3_DATA_MAX)
        return NFS3ERR_FBIG;
    if (a->count == 0)
        return NFS3_OK; /* nothing changes */
    r = xeno_nfs_object_file(c->s->objects, b, true, &f);
    if (r == 0)
        r = clear_set_id(c, b, st);
    if (a->count > MANY_BYTES)
        nfs_may_wait();
    if (r == 0)
        r = write_whole(xeno_cowfs_file_fd(f), a->data.data_val, a->count, (off_t)a->offset);
    return status_of(r);
}

static nfsstat3 sync_data(struct call *c, struct xeno_nfs_object *b, bool all)
{
    struct xeno_cowfs_file *f = NULL;
    int r = xeno_nfs_object_file(c->s->objects, b, true, &f);

    nfs_may_wait();
    if (r == 0 && (all ? fsync(xeno_cowfs_file_fd(f)) : fdatasync(xeno_cowfs_file_fd(f))) < 0)
        r = -errno;
    return sync_failed(c, r);
}

static void tell_verifier(uint64_t v, writeverf3 ret)
{
    _Static_assert(sizeof v == NFS3_WRITEVERFSIZE, "a verifier is a number");
    memcpy(ret, &v, sizeof v);
}

void do_write(struct call *c, void *args, void *res)
{
    /* The verifier of before the write: if a sync fails meanwhile, it will not be that of COMMIT.
     */
    uint64_t verifier = atomic_load(&c->s->verifier);
    WRITE3args *a = args;
    WRITE3res *r = res;
    WRITE3resok *ok = &r->WRITE3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_object(c, &a->file, &b);
    if (r->status != NFS3_OK)
        return;
    lock_objects(c, b, NULL);
    r->status = stat_object(c, b, &st);
    if (r->status == NFS3_OK) {
        fill_before(&st, &ok->file_wcc); /* the same place in resfail */
        r->status = check_data(c, b, &st, MAY_WRITE);
        if (r->status == NFS3_OK)
            r->status = write_data(c, b, &st, a);
        post_attr(c, b, &ok->file_wcc.after);
    }
    unlock_objects(c, b, NULL);
    if (r->status == NFS3_OK && a->stable != UNSTABLE && a->count > 0)
        r->status = sync_data(c, b, a->stable == FILE_SYNC);
    if (r->status == NFS3_OK) {
        ok->count = a->count;
        ok->committed = a->stable;
        tell_verifier(verifier, ok->verf);
    }
    put_object(c, b);
}

void do_commit(struct call *c, void *args, void *res)
{
    COMMIT3args *a = args;
    COMMIT3res *r = res;
    COMMIT3resok *ok = &r->COMMIT3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_stat(c, &a->file, &b, &st);
    if (r->status == NFS3_OK) {
        fill_before(&st, &ok->file_wcc); /* the same place in resfail */
        r->status = check_data(c, b, &st, MAY_WRITE);
        if (r->status == NFS3_OK)
            r->status = sync_data(c, b, true);
        post_attr(c, b, &ok->file_wcc.after);
        if (r->status == NFS3_OK)
            tell_verifier(atomic_load(&c->s->verifier), ok->verf);
    }
    put_object(c, b);
}
