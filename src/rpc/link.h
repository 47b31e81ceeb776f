/* src/rpc/link.h - the asking side of a framed protocol over a unix socket, on an sd-event loop.
 *
 * Connects at once and again after each loss (100 ms to 2 s apart); requests asked while there is
 * no connection, and those a loss left open, fail with -ENOTCONN NAME.away, and the asker decides.
 * Nothing blocks. Context: one thread; callbacks come from the loop, never from within a call, and
 * may free the link.
 */
#ifndef XENO_RPC_LINK_H
#define XENO_RPC_LINK_H

#include <systemd/sd-event.h>

#include "base/units.h"
#include "json/json.h"
#include "rpc/frame.h"

struct xeno_rpc_link;

struct xeno_rpc_opts {
    const char *socket;           /* copied */
    const char *peer;             /* "the task manager"; static */
    struct xeno_frames_kind kind; /* its name begins the errors' tokens */
    size_t open_max;              /* requests that wait for their answer */
    /* A connection stands (again), or it was lost: up is false. NULL. */
    void (*state)(void *data, bool up);
    /* A message without id; a failure ends the connection. NULL: it is passed over. */
    int (*event)(void *data, const struct xeno_json_at *msg, struct xeno_err *err);
    void *data;
};

/* Borrows loop until freed. Errors: -ENAMETOOLONG NAME.socket. That nobody listens yet is not an
 * error. */
int xeno_rpc_link_new(sd_event *loop, const struct xeno_rpc_opts *opts, struct xeno_rpc_link **ret,
                      struct xeno_err *err);
/* Open requests are dropped without a call. */
void xeno_rpc_link_free(struct xeno_rpc_link *l);
XENO_DEFINE_AUTO(xeno_rpc_link, xeno_rpc_link_free);

bool xeno_rpc_link_up(const struct xeno_rpc_link *l);

/* The answer to a request, told exactly once.
 *
 * ok is the reply's object (borrowed for the call) and err NULL, or ok is NULL and err says why:
 * code, token and text as the peer gave them, or NAME.away, NAME.timeout. A descriptor the callback
 * wants to keep it takes: copy it and set its place to -1; the rest are closed after.
 */
typedef void xeno_rpc_done(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                           const struct xeno_err *err);

struct xeno_rpc_ask {
    xeno_time timeout; /* 0: 60 s */
    xeno_rpc_done *done;
    void *data;
    const void *owner;        /* whom to forget it for */
    void (*drop)(void *data); /* frees data when nobody will be told; NULL: nothing */
};

/* The id of the next request, to be formatted with. */
int64_t xeno_rpc_next_id(struct xeno_rpc_link *l);

/* Ask: `text` is the request, with that id.
 *
 * Returns: 0 and `done` will be told; or a failure at once, and it will not; nor `drop`.
 * Errors:  -ENOTCONN NAME.away, -EMSGSIZE NAME.size, -ENOBUFS NAME.slow (too many unsent bytes or
 *          open requests).
 */
int xeno_rpc_link_ask(struct xeno_rpc_link *l, int64_t id, const char *text, size_t len,
                      const struct xeno_rpc_ask *ask, struct xeno_err *err);

/* Forget every open request of that owner: its `done` is not told any more. */
void xeno_rpc_forget(struct xeno_rpc_link *l, const void *owner);

#endif
