/* src/task/tests/serve-tool.c - what xeno-taskd does for a session of which layers are read by
 * pieces.
 *
 *     serve-tool PROGRAM STACK UPPER WORK AT CACHE [OPTION...]     mount and serve
 *     serve-tool stop AT
 */
#include "task/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

int main(int argc, char **argv)
{
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    xeno_log_init("serve-tool", LOG_INFO);
    if (argc == 3 && strcmp(argv[1], "stop") == 0) {
        r = xeno_serve_stop(argv[2], &err);
    } else if (argc >= 7) {
        struct xeno_serve s = { .program = argv[1],
                                .stack = argv[2],
                                .upper = argv[3],
                                .work = argv[4],
                                .at = argv[5],
                                .cache = argv[6],
                                .cache_bytes = 1 << 30,
                                .more = (const char *const *)argv + 7 };

        r = xeno_serve_start(&s, &err);
    } else {
        return 2;
    }
    if (r < 0)
        fprintf(stderr, "%s: %s\n", err.token, err.text);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
