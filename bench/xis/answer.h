/* bench/xis/answer.h - an HTTP answer as it comes, by length or in chunks: as much of HTTP as xisd
 * speaks, for a client that is to cost little.
 */
#ifndef XENO_BENCH_XIS_ANSWER_H
#define XENO_BENCH_XIS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer {
    int status;
    const char *body; /* whole, and borrowed, once answer_add() says so */
    size_t body_len;

    char *data; /* its own: header, what of the body is without chunks' heads, what came */
    size_t room, len;
    size_t head; /* of the header; 0: it is not here yet */
    size_t want; /* of the body, unless in chunks */
    size_t next; /* where the next chunk begins */
    bool chunked;
};

void answer_begin(struct answer *a); /* the next one, in the same memory */
char *answer_room(struct answer *a, size_t *ret_room);
/* So many bytes have come there. Returns: it is whole. */
bool answer_add(struct answer *a, size_t n);
/* Of a whole one to lookups: how many of its lines are results; -1: one is not. */
int64_t answer_results(const struct answer *a);

#endif
