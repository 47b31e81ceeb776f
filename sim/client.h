/* sim/client.h - a client in the simulator: buys orders, rents sessions on any server, and does
 * with them what people do, wise or not. Some of its orders are too small, some of its sessions it
 * forgets; those must end by themselves.
 */
#ifndef XENO_SIM_CLIENT_H
#define XENO_SIM_CLIENT_H

#include "sim/server.h"

#define SIM_CLIENT_SESSIONS 6

struct sim_rented {
    struct sim_server *server; /* NULL: free place */
    char session[XENO_SESSION_CHARS + 1];
};

struct sim_client {
    struct world *w;
    struct sim_corp *corp;
    struct sim_server *servers;
    size_t server_count;
    struct sim_party self;
    struct sim_rented rented[SIM_CLIENT_SESSIONS];
    bool resting; /* does nothing new */
    int64_t created, refused, acts, forgotten, topped_up;
};

void sim_client_open(struct sim_client *c, struct world *w, struct sim_corp *corp,
                     struct sim_server *servers, size_t count, int64_t micro);
void sim_client_release(struct sim_client *c);
/* Act now and then from here on, about each `mean_ms`. */
void sim_client_begin(struct sim_client *c, int64_t mean_ms);
/* End everything it remembers. Returns: how many are still not ended. */
int sim_client_end_all(struct sim_client *c);

/* Steps of its own, for tests: an order's chain, narrowed or not; a session on server `i`. */
struct xeno_requirement *sim_requirement(struct world *w, bool small);
int sim_client_rent(struct sim_client *c, size_t i, int64_t micro,
                    const struct xeno_requirement *req, char ret_session[XENO_SESSION_CHARS + 1],
                    struct xeno_err *err);
int sim_client_deploy(struct sim_client *c, struct sim_server *s, const char *session);

#endif
