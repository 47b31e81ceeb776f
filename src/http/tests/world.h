/* src/http/tests/world.h - a CA, a server with routes that do as the tests wish, and clients, all
 * in one event loop over loopback. */
#ifndef XENO_HTTP_TESTS_WORLD_H
#define XENO_HTTP_TESTS_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "http/client.h"
#include "http/server.h"

struct sd_event;

struct world {
    struct sd_event *loop;
    struct xeno_key *ca, *server_key, *client_key, *other_key;
    char *ca_pem, *server_chain, *client_pem;
    struct xeno_id server_id, client_id, ca_id;
    struct xeno_http_server *server;
    struct xeno_http_client *client;
    char base[64]; /* "https://127.0.0.1:PORT" */

    unsigned made;                /* calls of the handler of POST /made */
    struct xeno_http_req *parked; /* the last request of POST /later or POST /park */
    unsigned gone;                /* calls of its `gone` */
    struct xeno_http_stream *stream;
    unsigned stream_gone;
    size_t counted;         /* bytes made for POST /counted, whose body says how many there are */
    unsigned counted_done;  /* answers to it that are over */
    const char *revoked;    /* serial */
    char *file;             /* that GET /files/... answers with; NULL: it says 404 */
    unsigned sunk, dropped; /* bodies of PUT /sink/... that came whole, and that did not */
    size_t sunk_bytes;
};

/* Few requests at once, small headers, and time enough for a slow machine. */
extern const struct xeno_http_limits world_limits;
extern unsigned world_pings; /* requests that got to GET /ping or /private, of any server */

/* env NULL: the real one. */
void world_start(struct world *w, const struct xeno_http_limits *limits,
                 const struct xeno_env *env);
void world_stop(struct world *w);
/* Another server of this CA: its own port, the same routes. */
struct xeno_http_server *world_server(struct world *w, const struct xeno_http_limits *limits,
                                      const struct xeno_env *env);
/* A certificate by `ca` that is good from `from_s` to `to_s` seconds from now; the caller's. */
char *world_cert(const struct xeno_key *ca, const char *ca_pem, const struct xeno_key *key,
                 enum xeno_party kind, int64_t from_s, int64_t to_s);
struct xeno_http_client *world_client(struct world *w, const char *cert,
                                      const struct xeno_key *key);

/* Ask and run the loop; status 0 and err when there was no answer. The body is the caller's. */
int ask(struct world *w, struct xeno_http_client *c, const char *method, const char *path,
        const char *idem_key, const char *body, char **ret_body, struct xeno_err *err);

void run_ms(struct world *w, unsigned ms);
/* Run the loop until the condition holds; a machine may be slow, so the bound is generous. */
#define until(w, cond)                                                                             \
    do {                                                                                           \
        for (int tries_ = 0; !(cond) && tries_ < 10000; tries_++)                                  \
            run_ms((w), 2);                                                                        \
        assert_true(cond);                                                                         \
    } while (0)
/* Run the loop until the child has ended; its exit code. */
int run_child(struct world *w, pid_t pid);

#endif
