/* src/rd/tests/naive.h - find again, one server and one constraint at a time, from rfc/0019 and not
 * from the code: what find is compared with. */
#ifndef XENO_RD_TESTS_NAIVE_H
#define XENO_RD_TESTS_NAIVE_H

#include "rd/find.h"
#include "xis/advert.h"
#include "xis/query.h"

#define NAIVE_PARTS 4

struct naive_server {
    struct xeno_advert *advert; /* a copy of its own */
    int64_t complaints;
};

struct naive_question {
    struct xeno_rd_request req;
    const char *parts[NAIVE_PARTS]; /* of its where */
    size_t part_count;
    struct xeno_rd_client client;
    xeno_time now;
};

/* A round trip that only the server's id and the target decide. */
struct xeno_latency naive_rtt(const struct xeno_id *id, size_t target);

/* Whether it is asked for at all. */
bool naive_asked(const struct naive_question *q, enum xeno_rd_constraint c);
enum xeno_truth naive_holds(const struct naive_question *q, const struct naive_server *s,
                            enum xeno_rd_constraint c);
bool naive_matches(const struct naive_question *q, const struct naive_server *s);

int64_t naive_total(const struct naive_question *q, const struct xeno_advert *a); /* -1: unknown */
double naive_value(const struct naive_question *q, const struct naive_server *s,
                   enum xeno_rd_what what);

#endif
