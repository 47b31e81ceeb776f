/* sim/corpside.h - a XenoCorp in the simulator: the real books of src/corp behind a made-up
 * network.
 *
 * What the program xenocorpd does with HTTP requests is done here with struct sim_request: the same
 * groups, the same kept answers, the same refusals. The XenoCorp can be away (nothing is answered)
 * and can crash at a request, before its commit or after it.
 */
#ifndef XENO_SIM_CORPSIDE_H
#define XENO_SIM_CORPSIDE_H

#include "corp/corp.h"
#include "corp/registry.h"
#include "json/json.h"
#include "sim/books.h"
#include "sim/world.h"

struct sim_corp {
    struct world *w;
    struct xeno_db *db;
    struct xeno_key *ca;
    char *ca_pem;
    struct xeno_corp *corp;
    struct sim_books *books; /* the second set */
    bool away;
    int check_each; /* whole check of the ledger after so many commits; 0: never */
    int64_t commits, crashes, checks;
};

struct sim_party {
    struct xeno_key *key;
    struct xeno_id id;
};

void sim_corp_open(struct sim_corp *c, struct world *w);
void sim_corp_release(struct sim_corp *c);

/* Join as a client or XenoServer, by token and certificate request as in life. */
void sim_corp_join(struct sim_corp *c, enum xeno_role role, struct sim_party *ret);
void sim_corp_fund(struct sim_corp *c, const struct sim_party *p, int64_t micro);
/* An order of `micro` for `ms`; NULL when it is refused. The chain is the caller's. */
char *sim_corp_order(struct sim_corp *c, const struct sim_party *p, int64_t micro, int64_t ms,
                     char ret_order[33]);
/* The chain as its holder shows it to `server`, at that price an hour at most (0: any); takes the
 * one it is made from, NULL stays NULL. */
char *sim_present(struct sim_corp *c, const struct sim_party *p, char *chain,
                  const struct xeno_id *server, int64_t max_rate);
void sim_corp_close(struct sim_corp *c, const struct sim_party *p, const char *order);
/* What time does to the books. */
void sim_corp_tick(struct sim_corp *c);

struct sim_request {
    struct xeno_id server; /* who asks, as its credential proved */
    struct xeno_pub pub;
    char *path, *key, *body; /* owned; key may be NULL */
    size_t body_len;
};
void sim_request_free(struct sim_request *q);
XENO_DEFINE_AUTO(sim_request, sim_request_free);

/* Returns: 1 with the answer's body (the caller's); 0 when no answer came (away, crashed); a
 * failure with the problem in err, and whether it is definite in *ret_refused. */
int sim_corp_handle(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                    bool *ret_refused, struct xeno_err *err);

/* After each commit: the sum of all accounts, and what the second set of books says of every
 * account and order that was touched; each `check_each` commits the whole ledger. */
void sim_corp_check(struct sim_corp *c);

#endif
