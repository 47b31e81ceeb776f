/* src/member/member.h - what a daemon of a XenoCorp's member is, and keeping that true.
 *
 * A member is a party that serves: a XenoServer, or a node (XenoStore, information service, RD
 * system). It has a folder: key.pem, made when it joins and never changed; credential.pem, which
 * lives a day and is renewed when two thirds of that are over; ca.pem, the XenoCorp's. Joining
 * exchanges a one-time token for the first credential. The token names the XenoCorp, so that
 * whoever else answers at its address is not taken for it; the key is written before the token is
 * spent, so that a repeat after a crash gives the same party a fresh credential.
 *
 * While the daemon runs, xeno_member_tick() renews the credential, and gives it to the server and
 * the client, and fetches the signed revocation list when the last one says so, once a minute at
 * the least. A list older than the one that is kept is a replay and is refused. The list is kept
 * over a restart: in the folder, or where the daemon keeps its hard state.
 *
 * What becomes of renewal and lists is logged here, since only here it stops.
 * Context: the thread of the loop.
 */
#ifndef XENO_MEMBER_MEMBER_H
#define XENO_MEMBER_MEMBER_H

#include <stdbool.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/x509.h"
#include "http/client.h"
#include "http/server.h"
#include "member/options.h"

struct sd_event;
struct xeno_member;

struct xeno_member_opts {
    const struct xeno_env *env;
    enum xeno_party
        kind;            /* XENO_PARTY_SERVER or XENO_PARTY_NODE; another's credential is refused */
    const char *program; /* "xenod", for the sentences that say what to run */
    const char *corp_url; /* "https://host:port"; NULL: not known, nothing can be asked */
    const char *dir;      /* the folder, for sentences */
    int dirfd;            /* the folder: borrowed, stays open */
    /* Where the revocation list is kept. `kept` returns the text, the member's to free, or NULL.
     * Both NULL: in the file "revocations" of the folder. */
    char *(*kept)(void *ctx);
    void (*keep)(const char *text, void *ctx);
    void *ctx;
};

/* Open the folder, and make it when it is missing: mode 0700, ours alone.
 * Errors: io.mkdir, identity.dir. */
int xeno_member_dir(const char *dir, int *ret_fd, struct xeno_err *err);

/* Copies the texts. Reads nothing yet. */
struct xeno_member *xeno_member_new(const struct xeno_member_opts *opts);
/* After the client that was attached: its callbacks are the member's. */
void xeno_member_free(struct xeno_member *m);
XENO_DEFINE_AUTO(xeno_member, xeno_member_free);

/* --- joining --- */

/* What is told to the XenoCorp. Borrows. */
struct xeno_member_join {
    /* What its operator says. No contact: the owner; no endpoint: the first host, with the port of
     * listen; no payout: not told. */
    const struct xeno_member_told *told;
    const char *listen;    /* "0.0.0.0:8443" */
    const char *about;     /* the member in which a kind says what it has: "machine", "storage"; */
    struct xeno_json *has; /* its value; both NULL: it has nothing to say */
};

/* Join with `token`: make the key unless there is one, ask, save credential and CA. Runs the loop
 * until the XenoCorp answered.
 *
 * Returns: 0, and the member is as after xeno_member_load().
 * Errors:  conf.missing (no corp_url), token.*, http.*, identity.*, the XenoCorp's registry.*
 */
int xeno_member_enrol(struct xeno_member *m, struct sd_event *loop, const char *token,
                      const struct xeno_member_join *join, struct xeno_err *err);

/* Where others reach us; the caller's. No endpoint told: the first host, with the port of listen.
 */
char *xeno_member_endpoint(const struct xeno_member_told *told, const char *listen);

/* --- being one --- */

/* Read key, credential and CA, and check them against each other and the clock. A credential that
 * expired while the machine was off cannot be shown any more, but a request by the same key will
 * do: it is renewed at once, for which the loop runs until the XenoCorp answered (NULL: it is not).
 *
 * Errors: -ENOENT identity.missing (says what to run), -EPERM identity.kind, identity.key,
 *         x509.*, and what the renewal failed for. The member has no credential then.
 */
int xeno_member_load(struct xeno_member *m, struct sd_event *loop, struct xeno_err *err);

/* All borrowed; after a good load. Those of the credential change with a renewal. */
const struct xeno_key *xeno_member_key(const struct xeno_member *m);
const struct xeno_id *xeno_member_id(const struct xeno_member *m);
const struct xeno_id *xeno_member_corp(const struct xeno_member *m);
const struct xeno_pub *xeno_member_corp_pub(const struct xeno_member *m);
const char *xeno_member_ca_pem(const struct xeno_member *m);
const char *xeno_member_cert_pem(const struct xeno_member *m);
const struct xeno_cert *xeno_member_cert(const struct xeno_member *m); /* NULL: not loaded */

/* Take the kept revocation list, and use `client` from now on: to renew and to fetch. A renewed
 * credential is given to it and to `server`. Both borrowed; either may come with a later call, and
 * stays when the later one is NULL. */
void xeno_member_attach(struct xeno_member *m, struct xeno_http_client *client,
                        struct xeno_http_server *server);

/* Renew and fetch when it is time; call it once a second. Without client or corp_url: no effect. */
void xeno_member_tick(struct xeno_member *m);
/* Fetch the revocation list at the next tick (a reload). */
void xeno_member_fetch_now(struct xeno_member *m);

/* Is the credential with this serial on the list? As struct xeno_http_server_opts wants it: `user`
 * is the member. */
bool xeno_member_revoked(const char *serial, void *user);

/* The XenoCorp says that the request itself is wrong: sending it again will not help. Everything
 * else is tried again. */
bool xeno_member_corp_refused(const struct xeno_http_answer *a);

/* Did the last request to the XenoCorp get an answer? The daemon tells of its own. */
bool xeno_member_corp_answers(const struct xeno_member *m);
void xeno_member_corp_heard(struct xeno_member *m, bool answered);

/* Ask the XenoCorp whether it is well, and wait (for --check). Errors: http.*, the XenoCorp's. */
int xeno_member_corp_check(const struct xeno_member *m, struct sd_event *loop,
                           struct xeno_err *err);

#endif
