/* src/xenocorpd/corpd.h - the daemon's state, for its own files. */
#ifndef XENO_XENOCORPD_CORPD_H
#define XENO_XENOCORPD_CORPD_H

#include "corp/corp.h"
#include "doc/revoke.h"
#include "http/server.h"
#include "xenocorpd/books.h"
#include "xenocorpd/options.h"

struct sd_event;
struct sd_event_source;

/* What is counted since the start, for /metrics. Only the loop's thread writes. */
struct corpd_counts {
    int64_t requests, refused, validations, posted, repeated, charges_refused, micro_posted;
};

struct corpd {
    int argc; /* to read the configuration again */
    char **argv;
    struct corpd_options options;
    const struct xeno_env *env;
    int dir;  /* descriptor of options.dir */
    int lock; /* held while the books are open: they have one writer */

    struct xeno_key *ca_key, *tls_key;
    char *ca_pem;
    char *tls_pem;       /* our certificate and the CA's */
    xeno_time tls_renew; /* wall clock */

    struct xeno_db *db;
    struct xeno_corp *corp; /* the writer's, once `work` runs */
    struct books *books;
    struct xeno_work *work;

    struct sd_event *loop;
    struct xeno_daemon_loop *basics; /* signals, watchdog, finished work */
    struct sd_event_source *sources[4];
    size_t source_count;
    struct xeno_http_server *server;
    bool ticking, listing; /* such a job is under way */

    char *revocations_text;               /* signed */
    struct xeno_revocations *revocations; /* the same, to look serials up in */
    struct corpd_counts counts;
};

/* --- state.c --- */
/* Folder, lock, keys, certificates, database: needs the rights the daemon starts with.
 * Errors: -ENOENT corpd.init when --init was never run; token corpd.lock; those of the parts. */
int corpd_open(struct corpd *d, struct xeno_err *err);
/* The first start: CA, own certificate, ledger. Errors: -EEXIST corpd.init. */
int corpd_init(struct corpd *d, struct xeno_err *err);
/* A token for an operator; the books are open and no thread runs. */
int corpd_operator_token(struct corpd *d, char ret[64], struct xeno_err *err);
void corpd_release(struct corpd *d);
/* Make our TLS certificate anew when it is time, or `now_please`. Returns: 1 when it was. */
int corpd_renew_tls(struct corpd *d, bool now_please, struct xeno_err *err);

/* --- serve.c --- */
/* The loop and the listening server, which answers nobody until the loop runs. Context: before the
 * sandbox, which allows no new listening. */
int corpd_listen(struct corpd *d, struct xeno_err *err);
/* Threads and timers. Context: inside the sandbox; the threads inherit it. */
int corpd_start(struct corpd *d, struct xeno_err *err);
/* Have the list of revoked credentials made anew. */
void corpd_refresh_revocations(struct corpd *d);
void corpd_set_revocations(struct corpd *d, char *text); /* takes text */

/* --- api.c --- */
extern const struct xeno_http_route corpd_routes[];

#endif
