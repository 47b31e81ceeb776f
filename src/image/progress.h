/* src/image/progress.h - how long work tells its caller how far it is, and is told to stop. */
#ifndef XENO_IMAGE_PROGRESS_H
#define XENO_IMAGE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct xeno_progress_at {
    const char
        *phase;       /* one word for people: "read", "unpack", "pack", "verify", "build", "copy" */
    const char *text; /* what is worked on, or a line of a tool's output; NULL: nothing new */
    int64_t done_bytes;
    int64_t total_bytes; /* 0: not known */
};

/* Called now and then, at most some ten times a second except for `text` lines. `at` and what it
 * points to are borrowed for the call. False stops the work, which then fails with -ECANCELED
 * image.cancelled and leaves nothing behind. A NULL progress or a NULL fn is never called. */
struct xeno_progress {
    bool (*fn)(void *arg, const struct xeno_progress_at *at);
    void *arg;
};

#endif
