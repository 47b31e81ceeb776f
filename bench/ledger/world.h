/* bench/ledger/world.h - a XenoCorp on a disk, with parties, orders and signed batches to post.
 *
 * Everything that clients and XenoServers would do (making chains, signing) happens outside the
 * measured time.
 */
#ifndef XENO_BENCH_LEDGER_WORLD_H
#define XENO_BENCH_LEDGER_WORLD_H

#include "corp/charges.h"
#include "corp/validate.h"

#define WORLD_CLIENTS  50
#define WORLD_SERVERS  4
#define WORLD_SESSIONS 2000 /* bound ones that batches charge, in all */

struct world_party {
    struct xeno_key *key;
    struct xeno_id id;
};

struct world_session {
    char order[XENO_ORDER_ID_CHARS + 1], name[XENO_SESSION_ID_CHARS + 1];
    int server;
    int64_t seq;
};

struct world {
    const struct xeno_env *env;
    struct xeno_db *db;
    struct xeno_key *ca;
    char *ca_pem;
    struct xeno_corp *corp;
    struct world_party clients[WORLD_CLIENTS], servers[WORLD_SERVERS];
    struct world_session sessions[WORLD_SESSIONS];
    int next; /* session that the next batch starts with */
};

/* Make it in folder `dir`. Prints and exits when something fails. */
void world_open(struct world *w, const char *dir);
void world_close(struct world *w);

/* A chain of two blocks over a new order, restricted to a server; the caller's. */
char *world_chain(struct world *w, int client, int server, char order[XENO_ORDER_ID_CHARS + 1]);
/* The signed text of a hundred charges to as many sessions of one server; the caller's. */
char *world_batch(struct world *w, size_t count, int *ret_server);
/* Bind the sessions that batches charge. */
void world_bind(struct world *w);

double world_now(void); /* seconds, monotonic */
void world_must(int r, const struct xeno_err *err, const char *what);

#endif
