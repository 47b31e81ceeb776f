/* src/xenod/signals.c - signals by the names that people write. */
#include "xenod/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIGNAL_MAX 64

int xenod_signal_parse(const char *text, int *ret, struct xeno_err *err)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    char *end;
    long n = strtol(text, &end, 10);

    if (end != text && *end == '\0' && n >= 1 && n <= SIGNAL_MAX) {
        *ret = (int)n;
        return 0;
    }
    for (int i = 1; i <= SIGNAL_MAX; i++) {
        const char *abbrev = sigabbrev_np(i);

        if (abbrev && strcmp(abbrev, name) == 0) {
            *ret = i;
            return 0;
        }
    }
    return xeno_fail(err, -EINVAL, "task.signal",
                     "'%.20s' is not a signal: write TERM, SIGTERM or a number from 1 to %d", text,
                     SIGNAL_MAX);
}
