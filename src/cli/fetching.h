/* src/cli/fetching.h - how far the image of a session is that its XenoServer has to fetch. */
#ifndef XENO_CLI_FETCHING_H
#define XENO_CLI_FETCHING_H

#include "cli/progress.h"
#include "json/json.h"

/* What the object of a session says of its image; borrows. */
struct cli_fetching {
    bool elsewhere;        /* some of it is fetched */
    const char *state;     /* "here", "waiting", "fetching", "ready", "failed" */
    const char *way;       /* "local", "pieces", "whole"; "": not known yet */
    const char *why;       /* what went wrong; "" */
    int64_t layers, bytes; /* of the whole image */
    int64_t fetched_bytes; /* that have come, */
    int64_t needed_bytes;  /* of those that must before it starts; 0: not known */
};
struct cli_fetching cli_fetching_of(const struct xeno_json *object);

/* Show it on `p` (NULL: nowhere) while it is fetched. */
void cli_fetching_show(struct cli_progress *p, const struct xeno_json *object);

/* A wait for a session, which gets longer as long as bytes of its image come. */
#define CLI_PATIENCE_MAX_S 900
struct cli_patience {
    xeno_time end, last; /* monotonic: when it is over, and when at the latest */
    xeno_time length;
    int64_t fetched_bytes;
};
struct cli_patience cli_patience_for(struct cli *cli, xeno_time length);
/* Look at the object; is the patience over? */
bool cli_patience_over(struct cli_patience *w, struct cli *cli, const struct xeno_json *object);

/* "pieces of 12.3 MB fetched: 1.1 MB": for people; the caller's, NULL: nothing is known. */
char *cli_fetching_text(const struct xeno_json *object);

#endif
