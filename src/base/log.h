/* src/base/log.h - one line an event, to stderr.
 *
 * A line is: level, fixed event name, key=value words. Under systemd the level is its <N> prefix.
 * Only programs log; library and domain code returns its error, which is logged once, where it
 * stops. What is charged for is a ledger entry, not a log line. errno survives every call.
 */
#ifndef XENO_BASE_LOG_H
#define XENO_BASE_LOG_H

#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

#include "base/err.h"

/* Lines above `level` are dropped. The default is LOG_INFO. `program` is borrowed for ever. */
void xeno_log_init(const char *program, int level);

void xeno_log(int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with error=TOKEN and text="..." of `err` at the end. */
void xeno_log_err(int level, const char *event, const struct xeno_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
