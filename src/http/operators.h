/* src/http/operators.h - the clients whom a daemon's configuration names as its operators. */
#ifndef XENO_HTTP_OPERATORS_H
#define XENO_HTTP_OPERATORS_H

#include <stdbool.h>

#include "base/err.h"

struct xeno_http_req;

/* Is `id` one of the words of a list with commas? NULL has none. */
bool xeno_http_ids_have(const char *list, const char *id);
/* Is it the id of whoever asks? Nobody's is when the request is anonymous. */
bool xeno_http_is_operator(const struct xeno_http_req *q, const char *list);

/* May whoever asks read the metrics? From this machine everybody may, from elsewhere operators.
 * Errors: -EPERM api.loopback. */
int xeno_http_may_watch(const struct xeno_http_req *q, const char *operators, struct xeno_err *err);

#endif
