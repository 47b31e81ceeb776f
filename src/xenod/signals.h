/* src/xenod/signals.h - signals by the names that people write. */
#ifndef XENOD_SIGNALS_H
#define XENOD_SIGNALS_H

#include "base/err.h"

/* "TERM", "SIGTERM" or "15". Errors: -EINVAL task.signal, *ret untouched. */
int xenod_signal_parse(const char *text, int *ret, struct xeno_err *err);

#endif
