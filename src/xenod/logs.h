/* src/xenod/logs.h - lines of a container log (the format of Kubernetes' CRI, as conmon writes it).
 *
 *     2026-11-21T10:33:00.123456789+00:00 stdout F the text
 *
 * Time, stream, F for a whole line or P for a part of one, text. Pure.
 */
#ifndef XENOD_LOGS_H
#define XENOD_LOGS_H

#include "base/buf.h"

enum xenod_log_want {
    XENOD_LOG_STDOUT = 1,
    XENOD_LOG_STDERR = 2,
    XENOD_LOG_TIMES = 4, /* as it stands, with time and stream */
};

/* `struct xenod_log_reader rd = { .want = ... };` */
struct xenod_log_reader {
    unsigned want;
    struct xeno_buf line; /* the beginning of one whose end has not come */
};
void xenod_log_release(struct xenod_log_reader *rd);

/* Take bytes of the file as they come; append what is wanted of them to `out`. A line that is not
 * of that format is passed on as it is. */
void xenod_log_feed(struct xenod_log_reader *rd, const char *data, size_t len,
                    struct xeno_buf *out);

/* Where the last `lines` lines of the text begin. */
size_t xenod_log_tail(const char *text, size_t len, size_t lines);

#endif
