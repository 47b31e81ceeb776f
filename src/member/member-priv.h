/* src/member/member-priv.h - a member as its files see it. Private to src/member. */
#ifndef XENO_MEMBER_MEMBER_PRIV_H
#define XENO_MEMBER_MEMBER_PRIV_H

#include "doc/revoke.h"
#include "member/member.h"

struct xeno_member {
    struct xeno_member_opts opt; /* its texts are owned */
    struct xeno_key *key;
    struct xeno_id id;
    char *cert_pem, *ca_pem;
    struct xeno_cert *cert; /* NULL: not loaded */
    struct xeno_pub corp_pub;
    struct xeno_id corp;

    struct xeno_http_client *client; /* borrowed; NULL: not yet */
    struct xeno_http_server *server;
    struct xeno_revocations *revoked; /* NULL: none known yet */
    bool renewing, fetching;
    xeno_time renew_after, fetch_after; /* monotonic; 0: at once */
    bool corp_answers;
};

/* Is `cert_pem` of this CA, in time, of our kind and for our key? Errors: x509.*, identity.* */
int member_check(const struct xeno_member *m, const char *cert_pem, const char *ca_pem,
                 struct xeno_cert **ret, struct xeno_err *err);

/* renew.c: a credential that is expired, anew. Runs the loop. */
int member_renew_expired(struct xeno_member *m, struct sd_event *loop, struct xeno_err *err);
void member_renew_tick(struct xeno_member *m);

/* revoked.c */
void member_revoked_load(struct xeno_member *m);
void member_revoked_tick(struct xeno_member *m);

#endif
