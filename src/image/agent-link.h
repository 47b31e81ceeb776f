/* src/image/agent-link.h - the asking side of the image manager's protocol on an sd-event loop.
 *
 * For xenod: nothing blocks. Connects at once and again after each loss (100 ms to 2 s apart). What
 * is asked while there is no connection, or was open when it was lost, fails with -ENOTCONN
 * agent.away, and the asker decides: everything may be asked again.
 *
 * Callbacks are told exactly once, from the loop, never from within a call; err is NULL or says why
 * there is no answer (image/agent.h). Context: one thread.
 */
#ifndef XENO_IMAGE_AGENT_LINK_H
#define XENO_IMAGE_AGENT_LINK_H

#include <systemd/sd-event.h>

#include "image/agent.h"

struct xeno_agent_link;

/* Borrows loop until freed; copies the path. state (NULL allowed): a connection stands (again), so
 * say what to keep; or it was lost. Errors: -ENAMETOOLONG agent.socket. */
int xeno_agent_link_new(sd_event *loop, const char *socket_path, void (*state)(void *data, bool up),
                        void *data, struct xeno_agent_link **ret, struct xeno_err *err);
/* Open requests are dropped without a call. */
void xeno_agent_link_free(struct xeno_agent_link *l);
XENO_DEFINE_AUTO(xeno_agent_link, xeno_agent_link_free);

bool xeno_agent_link_up(const struct xeno_agent_link *l);

/* All of them: a timeout of zero is 60 s. Returns: 0 and `done` will be told, or a failure at once
 * and it will not. Errors: -ENOTCONN agent.away, -EINVAL agent.name, -EAGAIN agent.busy: over
 * XENO_AGENT_LINK_MAX open requests. */
#define XENO_AGENT_LINK_MAX 64

/* im is the callback's to free; NULL when there is an error. */
typedef void xeno_agent_resolved(void *data, struct xeno_agent_image *im,
                                 const struct xeno_err *err);
int xeno_agent_link_resolve(struct xeno_agent_link *l, const char *name, enum xeno_image_kind kind,
                            xeno_time timeout, xeno_agent_resolved *done, void *data,
                            struct xeno_err *err);

/* items are in the order asked for, borrowed for the call. */
typedef void xeno_agent_progressed(void *data, const struct xeno_agent_progress *items,
                                   size_t count, const struct xeno_err *err);
int xeno_agent_link_progress(struct xeno_agent_link *l, const char *const *layers, size_t count,
                             xeno_time timeout, xeno_agent_progressed *done, void *data,
                             struct xeno_err *err);

typedef void xeno_agent_kept(void *data, const struct xeno_err *err);
int xeno_agent_link_keep(struct xeno_agent_link *l, const char *const *images, size_t count,
                         xeno_time timeout, xeno_agent_kept *done, void *data,
                         struct xeno_err *err);

/* Forget every open request whose data is `data`: its `done` is not told any more. */
void xeno_agent_link_forget(struct xeno_agent_link *l, const void *data);

#endif
