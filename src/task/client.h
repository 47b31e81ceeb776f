/* src/task/client.h - the asking side of the task protocol, for xenod (rfc/0003).
 *
 * Asynchronous on an sd-event loop. Connects at once and again after each loss (100 ms to 2 s
 * apart); requests asked while there is no connection, and those a loss left open, fail with
 * -ENOTCONN task.away, and the asker decides (every op but start, exec and signal may simply be
 * asked again). Nothing blocks. Context: one thread; callbacks come from the loop, never from
 * within a call.
 */
#ifndef XENO_TASK_CLIENT_H
#define XENO_TASK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "json/json.h"
#include "rpc/link.h"
#include "task/proto.h"

struct xeno_task_client;

/* Any may be NULL. */
struct xeno_task_client_hooks {
    /* A connection stands (again): reconcile by `list`; or it was lost: up is false. */
    void (*state)(void *data, bool up);
    void (*event)(void *data, const struct xeno_task_event *e);
    void *data;
};

/* Borrows loop until freed; copies path and hooks.
 * Errors: -ENAMETOOLONG task.socket. That nobody listens yet is not an error. */
int xeno_task_client_new(sd_event *loop, const char *socket_path,
                         const struct xeno_task_client_hooks *hooks, struct xeno_task_client **ret,
                         struct xeno_err *err);
/* Open requests are dropped without a call. */
void xeno_task_client_free(struct xeno_task_client *c);
XENO_DEFINE_AUTO(xeno_task_client, xeno_task_client_free);

bool xeno_task_client_up(const struct xeno_task_client *c);

/* As rpc/link.h says. */
typedef xeno_rpc_done xeno_task_done;

/* Ask. The request's id is chosen here; q is borrowed for the call. A timeout of zero is 60 s.
 *
 * Returns: 0 and `done` will be told; or a failure at once, and it will not.
 * Errors:  -ENOTCONN task.away, -EMSGSIZE task.size, -ENOBUFS task.slow (over
 *          XENO_TASK_QUEUE_MAX unsent bytes or XENO_TASK_OPEN_MAX open requests).
 */
#define XENO_TASK_OPEN_MAX 4096
int xeno_task_client_ask(struct xeno_task_client *c, struct xeno_task_request *q, xeno_time timeout,
                         xeno_task_done *done, void *data, struct xeno_err *err);

/* Ask for all there is, page by page; told exactly once. items is the callback's to keep until it
 * returns; err is NULL or says why there are none. */
typedef void xeno_task_usage_done(void *data, const struct xeno_task_usage *items, size_t n,
                                  const struct xeno_err *err);
typedef void xeno_task_list_done(void *data, const struct xeno_task_session_info *items, size_t n,
                                 const struct xeno_err *err);
int xeno_task_client_usage(struct xeno_task_client *c, xeno_time timeout,
                           xeno_task_usage_done *done, void *data, struct xeno_err *err);
int xeno_task_client_list(struct xeno_task_client *c, xeno_time timeout, xeno_task_list_done *done,
                          void *data, struct xeno_err *err);

/* Forget every open request whose data is `data`: its `done` is not told any more. Those of
 * xeno_task_client_usage() and _list() included. */
void xeno_task_client_forget(struct xeno_task_client *c, const void *data);

#endif
