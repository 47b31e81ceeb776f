/* src/image/tool.h - run another program and take what it says: data and lines. */
#ifndef XENO_IMAGE_TOOL_H
#define XENO_IMAGE_TOOL_H

#include <stddef.h>

#include "base/err.h"

struct xeno_tool {
    const char *const *argv; /* found on PATH */
    const char *const *env;  /* "K=V" to set besides ours, NULL-terminated; NULL: none */
    /* Standard output, piece by piece. */
    int (*data)(void *arg, const void *data, size_t len, struct xeno_err *err);
    /* A line of standard error, without its end; control characters made '?'. < 0 stops. */
    int (*line)(void *arg, const char *line, struct xeno_err *err);
    void *arg;
};

/* Run it to its end; it dies with us. When a callback fails it is told to end (SIGTERM) and the
 * callback's error is returned.
 *
 * Errors: -ENOENT build.tool: there is no such program; -EIO build.failed: its exit status is in
 *         the text.
 */
int xeno_tool_run(const struct xeno_tool *tool, struct xeno_err *err);

#endif
