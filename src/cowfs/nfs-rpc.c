/* src/cowfs/nfs-rpc.c - from the bytes of a call to those of its answer (RFC 5531).
 *
 * Records are decoded and encoded by libtirpc and what rpcgen made, in memory. Its own server is
 * not used: it knows no bounds of what is under way, and answers in one thread.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "cowfs/nfs-priv.h"
#include "nfsmount.h"

#define REPLY_ROOM                                                                                 \
    8192                /* of results without data; the longest are a link's text and DUMP's list  \
                         */
#define ARGS_MAX   4096 /* of the structures that rpcgen made */
#define HASH_BYTES 512  /* of a request: what comes after is data, and its length is in it */

/* --- programs --- */

static void do_null(struct call *c, void *args, void *res)
{
    (void)c;
    (void)args;
    (void)res;
}

#define XDR(fn) (xdrproc_t) xdr_##fn
#define PROC(name, args, res, fn, changes)                                                         \
    [NFSPROC3_##                                                                                   \
        name] = { #name, XDR(args##3args), XDR(res##3res), sizeof(args##3args), sizeof(res##3res), \
                  fn,    changes }
const struct nfs_proc nfs_procs[] = {
    [NFSPROC3_NULL] = { .name = "NULL", .fn = do_null },
    PROC(GETATTR, GETATTR, GETATTR, do_getattr, false),
    PROC(SETATTR, SETATTR, SETATTR, do_setattr, true),
    PROC(LOOKUP, LOOKUP, LOOKUP, do_lookup, false),
    PROC(ACCESS, ACCESS, ACCESS, do_access, false),
    PROC(READLINK, READLINK, READLINK, do_readlink, false),
    PROC(READ, READ, READ, do_read, false),
    PROC(WRITE, WRITE, WRITE, do_write, true),
    PROC(CREATE, CREATE, CREATE, do_create, true),
    PROC(MKDIR, MKDIR, CREATE, do_mkdir, true),
    PROC(SYMLINK, SYMLINK, CREATE, do_symlink, true),
    PROC(MKNOD, MKNOD, CREATE, do_mknod, true),
    PROC(REMOVE, REMOVE, REMOVE, do_remove, true),
    PROC(RMDIR, REMOVE, REMOVE, do_rmdir, true),
    PROC(RENAME, RENAME, RENAME, do_rename, true),
    PROC(LINK, LINK, LINK, do_link, true),
    PROC(READDIR, READDIR, READDIR, do_readdir, false),
    PROC(READDIRPLUS, READDIRPLUS, READDIRPLUS, do_readdirplus, false),
    PROC(FSSTAT, FSSTAT, FSSTAT, do_fsstat, false),
    PROC(FSINFO, FSINFO, FSINFO, do_fsinfo, false),
    PROC(PATHCONF, PATHCONF, PATHCONF, do_pathconf, false),
    PROC(COMMIT, COMMIT, COMMIT, do_commit, false),
};
const size_t nfs_procs_count = XENO_LEN(nfs_procs);

/* --- memory of a call --- */

static void *keep(struct call *c, void *p)
{
    /* Grows at powers of two. */
    if ((c->memory_count & (c->memory_count - 1)) == 0)
        c->memory = xeno_grow(c->memory, c->memory_count ? c->memory_count * 2 : 1);
    c->memory[c->memory_count++] = p;
    return p;
}

void *call_alloc(struct call *c, size_t size)
{
    return keep(c, xeno_alloc0(1, size));
}

/* Before the data of READ: the answer's head (6 words), status, attributes (22), count, end,
 * length. */
#define DATA_AT (32 * 4)

char *call_data(struct call *c, size_t size)
{
    size_t room = DATA_AT + size + 4;

    if (c->reply->room < room) {
        char *p = realloc(c->reply->data, room); /* a size that came from outside, bounded */

        if (!p)
            return NULL;
        c->reply->data = p;
        c->reply->room = room;
    }
    return c->reply->data + DATA_AT;
}

static void call_release(struct call *c)
{
    for (size_t i = 0; i < c->memory_count; i++)
        free(c->memory[i]);
    free(c->memory);
}

/* --- the head of a call --- */

struct head {
    uint32_t xid, rpcvers, prog, vers, proc;
    struct opaque_auth cred, verf;
};

static bool read_numbers(XDR *x, struct head *h)
{
    uint32_t type = CALL;

    return xdr_uint32_t(x, &h->xid) && xdr_uint32_t(x, &type) && type == CALL &&
           xdr_uint32_t(x, &h->rpcvers) && xdr_uint32_t(x, &h->prog) && xdr_uint32_t(x, &h->vers) &&
           xdr_uint32_t(x, &h->proc);
}

static bool read_auth(XDR *x, struct head *h)
{
    return xdr_opaque_auth(x, &h->cred) && xdr_opaque_auth(x, &h->verf);
}

/* Neither root nor root's group. */
static void no_root(struct xeno_nfs_cred *who)
{
    if (who->uid == 0)
        *who = (struct xeno_nfs_cred){ .uid = XENO_NFS_NOBODY, .gid = XENO_NFS_NOBODY };
    if (who->gid == 0)
        who->gid = XENO_NFS_NOBODY;
    for (size_t i = 0; i < who->count; i++)
        if (who->groups[i] == 0)
            who->groups[i] = XENO_NFS_NOBODY;
}

/* Who asks, as this export maps it. */
static enum auth_stat read_cred(struct call *c, const struct opaque_auth *auth)
{
    struct authunix_parms p = { .aup_machname = NULL };
    struct xeno_nfs *s = c->s;
    XDR x;

    c->who = (struct xeno_nfs_cred){ .uid = XENO_NFS_NOBODY, .gid = XENO_NFS_NOBODY };
    if (auth->oa_flavor == AUTH_SYS) {
        xdrmem_create(&x, auth->oa_base, auth->oa_length, XDR_DECODE);
        if (!xdr_authunix_parms(&x, &p)) {
            xdr_free((xdrproc_t)xdr_authunix_parms, (char *)&p);
            return AUTH_BADCRED;
        }
        c->who.uid = p.aup_uid;
        c->who.gid = p.aup_gid;
        for (u_int i = 0; i < p.aup_len && i < XENO_NFS_GROUPS_MAX; i++)
            c->who.groups[c->who.count++] = p.aup_gids[i];
        xdr_free((xdrproc_t)xdr_authunix_parms, (char *)&p);
    } else if (auth->oa_flavor != AUTH_NONE) {
        return AUTH_TOOWEAK;
    }
    if (s->uids == ALL_ONE)
        c->who = (struct xeno_nfs_cred){ .uid = s->uid, .gid = s->gid };
    if (s->uids == NO_ROOT)
        no_root(&c->who);
    return AUTH_OK;
}

/* --- answers --- */

/* Nothing in it but zeros, for what has no results. */
static bool_t xdr_nothing(XDR *x, ...)
{
    (void)x;
    return TRUE;
}

static int encode(struct rpc_msg *m, size_t room, struct xeno_buf *reply)
{
    XDR x;

    if (reply->room < room + 1) {
        reply->data = xeno_grow(reply->data, room + 1);
        reply->room = room + 1;
    }
    xdrmem_create(&x, reply->data, (u_int)room, XDR_ENCODE);
    if (!xdr_replymsg(&x, m))
        return -EMSGSIZE;
    reply->len = xdr_getpos(&x);
    return 0;
}

/* The same, before data that is in its place already. */
static int encode_head(struct rpc_msg *m, size_t data_len, struct xeno_buf *reply)
{
    uint32_t len = htobe32((uint32_t)data_len);
    int r = encode(m, DATA_AT, reply);

    if (r < 0 || reply->len != DATA_AT)
        return -EMSGSIZE;
    memcpy(reply->data + DATA_AT - sizeof len, &len, sizeof len);
    while (data_len % 4 != 0)
        reply->data[DATA_AT + data_len++] = '\0';
    reply->len += data_len;
    return 0;
}

static struct rpc_msg accepted(uint32_t xid, enum accept_stat stat)
{
    struct rpc_msg m = { .rm_xid = xid, .rm_direction = REPLY };

    m.rm_reply.rp_stat = MSG_ACCEPTED;
    m.acpted_rply.ar_verf = (struct opaque_auth){ .oa_flavor = AUTH_NONE };
    m.acpted_rply.ar_stat = stat;
    m.acpted_rply.ar_results.proc = (xdrproc_t)xdr_nothing;
    return m;
}

static int refuse(uint32_t xid, enum accept_stat stat, uint32_t vers, struct xeno_buf *reply)
{
    struct rpc_msg m = accepted(xid, stat);

    if (stat == PROG_MISMATCH)
        m.acpted_rply.ar_vers.low = m.acpted_rply.ar_vers.high = vers;
    return encode(&m, REPLY_ROOM, reply);
}

static int deny(uint32_t xid, enum reject_stat stat, enum auth_stat why, struct xeno_buf *reply)
{
    struct rpc_msg m = { .rm_xid = xid, .rm_direction = REPLY };

    m.rm_reply.rp_stat = MSG_DENIED;
    m.rjcted_rply.rj_stat = stat;
    if (stat == AUTH_ERROR)
        m.rjcted_rply.rj_why = why;
    else
        m.rjcted_rply.rj_vers.low = m.rjcted_rply.rj_vers.high = RPC_MSG_VERSION;
    return encode(&m, REPLY_ROOM, reply);
}

/* --- a procedure --- */

static int perform(struct call *c, const struct nfs_proc *p, XDR *x, uint32_t xid,
                   struct xeno_buf *reply)
{
    _Alignas(max_align_t) char args[ARGS_MAX] = { 0 }, res[ARGS_MAX] = { 0 };
    struct rpc_msg m = accepted(xid, SUCCESS);
    int r;

    if (p->args && !p->args(x, args)) {
        xdr_free(p->args, args);
        return refuse(xid, GARBAGE_ARGS, 0, reply);
    }
    p->fn(c, p->args ? args : NULL, res);
    m.acpted_rply.ar_results.where = res;
    if (p->res)
        m.acpted_rply.ar_results.proc = p->res;
    r = c->data_len > 0 ? encode_head(&m, c->data_len, reply)
                        : encode(&m, REPLY_ROOM + c->room, reply);
    if (p->args)
        xdr_free(p->args, args);
    return r < 0 ? refuse(xid, SYSTEM_ERR, 0, reply) : 0;
}

static struct xeno_nfs_dup_key dup_key(struct call *c, const struct head *h, const void *call,
                                       size_t len)
{
    const uint8_t *key = c->s->key.names;

    return (struct xeno_nfs_dup_key){
        .client = xeno_short_hash(key, c->client, strlen(c->client)),
        .bytes = xeno_short_hash(key, call, len < HASH_BYTES ? len : HASH_BYTES) ^ len,
        .xid = h->xid,
        .prog = h->prog,
        .vers = h->vers,
        .proc = h->proc,
    };
}

static int perform_once(struct call *c, const struct nfs_proc *p, const struct head *h, XDR *x,
                        const void *call, size_t len, struct xeno_buf *reply)
{
    struct xeno_nfs_dup_key key;
    int r;

    if (!p->changes)
        return perform(c, p, x, h->xid, reply);
    key = dup_key(c, h, call, len);
    if (!xeno_nfs_dup_begin(c->s->dups, &key, reply))
        return 0;
    r = perform(c, p, x, h->xid, reply);
    xeno_nfs_dup_end(c->s->dups, &key, r < 0 ? NULL : reply->data, reply->len);
    return r;
}

static int dispatch(struct call *c, const struct head *h, XDR *x, const void *call, size_t len,
                    struct xeno_buf *reply)
{
    bool nfs = h->prog == NFS_PROGRAM;
    const struct nfs_proc *procs = nfs ? nfs_procs : mount_procs;
    size_t count = nfs ? nfs_procs_count : mount_procs_count;
    enum auth_stat why;

    if (!nfs && h->prog != MOUNT_PROGRAM)
        return refuse(h->xid, PROG_UNAVAIL, 0, reply);
    if (h->vers != (nfs ? NFS_V3 : MOUNT_V3))
        return refuse(h->xid, PROG_MISMATCH, nfs ? NFS_V3 : MOUNT_V3, reply);
    if (h->proc >= count)
        return refuse(h->xid, PROC_UNAVAIL, 0, reply);
    why = read_cred(c, &h->cred);
    if (why != AUTH_OK && h->proc != 0) /* NULL asks nothing of anybody */
        return deny(h->xid, AUTH_ERROR, why, reply);
    return perform_once(c, &procs[h->proc], h, x, call, len, reply);
}

int xeno_nfs_answer(struct xeno_nfs *s, const char *client, const void *call, size_t len,
                    struct xeno_buf *reply)
{
    struct call c = { .s = s, .client = client, .reply = reply };
    struct head h = { .xid = 0 };
    int r;
    XDR x;

    if (len > XENO_NFS_RECORD_MAX)
        return -EBADMSG;
    xdrmem_create(&x, (char *)(uintptr_t)call, (u_int)len, XDR_DECODE); /* only read */
    if (!read_numbers(&x, &h))
        return -EBADMSG;
    if (h.rpcvers != RPC_MSG_VERSION)
        return deny(h.xid, RPC_MISMATCH, AUTH_OK, reply);
    if (read_auth(&x, &h))
        r = dispatch(&c, &h, &x, call, len, reply);
    else
        r = -EBADMSG;
    call_release(&c);
    xdr_free((xdrproc_t)xdr_opaque_auth, (char *)&h.cred);
    xdr_free((xdrproc_t)xdr_opaque_auth, (char *)&h.verf);
    return r;
}
