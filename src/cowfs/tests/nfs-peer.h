/* src/cowfs/tests/nfs-peer.h - calls as a client makes them, for tests and fuzzers: encoded,
 * answered by xeno_nfs_answer(), decoded. */
#ifndef XENO_COWFS_TESTS_NFS_PEER_H
#define XENO_COWFS_TESTS_NFS_PEER_H

#include <string.h>

#include "cowfs/nfs.h"
#include "nfsmount.h"
#include "nfsproto.h"

struct peer {
    struct xeno_nfs *s;
    const char *client;
    uint32_t uid, gid;
    uint32_t xid; /* of the next call; counts */
};

/* Bytes of a call. Returns: their number. */
static inline size_t peer_encode(const struct peer *p, uint32_t prog, uint32_t proc, xdrproc_t args,
                                 const void *in, char *buf, size_t size)
{
    uint32_t head[] = { p->xid, 0 /* a call */, 2, prog, 3, proc };
    gid_t none = 0;
    XDR x;

    xdrmem_create(&x, buf, (u_int)size, XDR_ENCODE);
    for (size_t i = 0; i < XENO_LEN(head); i++)
        xdr_uint32_t(&x, &head[i]);
    {
        char body[128];
        struct authunix_parms auth = { .aup_machname = (char[]){ "test" },
                                       .aup_uid = p->uid,
                                       .aup_gid = p->gid,
                                       .aup_gids = &none };
        struct opaque_auth cred = { .oa_flavor = AUTH_SYS, .oa_base = body };
        struct opaque_auth verf = { .oa_flavor = AUTH_NONE };
        XDR y;

        xdrmem_create(&y, body, sizeof body, XDR_ENCODE);
        xdr_authunix_parms(&y, &auth);
        cred.oa_length = xdr_getpos(&y);
        xdr_opaque_auth(&x, &cred);
        xdr_opaque_auth(&x, &verf);
    }
    if (args && !args(&x, (void *)(uintptr_t)in))
        return 0;
    return xdr_getpos(&x);
}

static inline bool_t peer_nothing(XDR *x, ...)
{
    (void)x;
    return TRUE;
}

/* What was answered, after "accepted, success"; else what it is instead, below zero. */
static inline int peer_decode(struct xeno_buf *reply, uint32_t xid, xdrproc_t res, void *out)
{
    struct rpc_msg m = { .rm_xid = 0 };
    int r;
    XDR x;

    xdrmem_create(&x, reply->data, (u_int)reply->len, XDR_DECODE);
    m.acpted_rply.ar_results.where = out;
    m.acpted_rply.ar_results.proc = res ? res : peer_nothing;
    if (!xdr_replymsg(&x, &m) || m.rm_xid != xid)
        return -1;
    if (m.rm_reply.rp_stat != MSG_ACCEPTED)
        r = -100 - (int)m.rjcted_rply.rj_stat;
    else if (m.acpted_rply.ar_stat != SUCCESS)
        r = -200 - (int)m.acpted_rply.ar_stat;
    else
        r = xdr_getpos(&x) == reply->len ? 0 : -2;
    if (m.rm_reply.rp_stat == MSG_ACCEPTED)
        xdr_free((xdrproc_t)xdr_opaque_auth, (char *)&m.acpted_rply.ar_verf);
    return r;
}

static inline int peer_call(struct peer *p, uint32_t prog, uint32_t proc, xdrproc_t args,
                            const void *in, xdrproc_t res, void *out)
{
    static __thread char call[(1 << 20) + 4096];
    xeno_autobuf reply = XENO_BUF_INIT;
    size_t len = peer_encode(p, prog, proc, args, in, call, sizeof call);
    int r = xeno_nfs_answer(p->s, p->client, call, len, &reply);

    return r < 0 ? r : peer_decode(&reply, p->xid++, res, out);
}

#endif
