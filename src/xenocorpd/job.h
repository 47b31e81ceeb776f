/* src/xenocorpd/job.h - a request at work: from its handler, through group commit, to its answer.
 *
 * A handler reads the request on the loop's thread, makes a job and submits it; act() runs in a
 * group on the writer and fills the answer, which leaves after the commit. act() may run more than
 * once, and sees nothing of the loop.
 */
#ifndef XENO_XENOCORPD_JOB_H
#define XENO_XENOCORPD_JOB_H

#include <stddef.h>

#include "corp/idem.h"
#include "json/json.h"
#include "xenocorpd/corpd.h"

struct job {
    struct xeno_work_item item; /* first: the two pointers are one */
    struct corpd *d;
    struct xeno_http_req *q; /* NULL: our own job, nobody asks */
    struct xeno_id peer;     /* "" for nobody */

    /* On the writer. Returns 0 with status and reply set, or a failure with err filled. */
    int (*act)(struct job *j, struct xeno_corp *corp, struct xeno_err *err);
    /* On a checker; NULL: nothing to check. */
    int (*check)(struct job *j, struct xeno_err *err);
    /* On the loop, before the answer leaves (it may still set `reply`), also after a failure;
     * NULL: nothing. */
    void (*finish)(struct job *j);

    void *args; /* of the handler; freed by free_args */
    void (*free_args)(void *args);

    int status;
    struct xeno_json *reply; /* the answer: this, or text of that type */
    char *text;
    size_t text_len;
    const char *type; /* of text; NULL: application/json */

    bool idempotent; /* its answer is kept with what it did */
    char idem[XENO_IDEM_NAME_MAX + 1];
    uint8_t idem_sha[32];
};

/* A job for `q`, answering 200 unless it says otherwise. `args` is taken. */
struct job *job_new(struct corpd *d, struct xeno_http_req *q,
                    int (*act)(struct job *j, struct xeno_corp *corp, struct xeno_err *err),
                    void *args, void (*free_args)(void *args));
/* Keep its answer under the request's Idempotency-Key. When there is none or it cannot be one, the
 * request is answered with the problem, the job is gone, and false is returned. */
bool job_keep(struct job *j);
/* Give it to the threads; it is gone. When they are full, so is the answer: 503 corp.busy. */
void job_submit(struct job *j);

/* --- who asks --- */

/* The peer's certificate when it is of the kind; otherwise the request is answered and NULL. */
const struct xeno_cert *job_client(struct xeno_http_req *q);
const struct xeno_cert *job_node(struct xeno_http_req *q);
const struct xeno_cert *job_seller(struct xeno_http_req *q); /* a XenoServer or a node */
const struct xeno_cert *job_operator(struct xeno_http_req *q);
/* Does an operator ask? Nobody is answered. */
bool job_is_operator(const struct xeno_http_req *q);

/* Query `name`, which must be there, as a number; otherwise answered and false. */
bool job_number(struct xeno_http_req *q, const char *name, int64_t min, int64_t max, int64_t *ret);

/* Set "receipt" in the reply: the newest head of the log, which covers this job. In finish(). */
void job_receipt(struct job *j);

/* Query "limit" and "after" of a paged list, within bounds; otherwise answered and false. */
bool job_page(struct xeno_http_req *q, int most, int64_t *ret_after, int *ret_limit);

/* What was found for such a page. */
struct job_rows {
    const char *name; /* of the list in the answer */
    const void *rows; /* `count` of them, each of `size` bytes */
    size_t size;
    size_t n; /* where in a row the int64_t is after which the next page begins */
    int count, limit;
    struct xeno_json *(*json)(const void *row);
};
/* Make it the reply: the list, and "next" when there may be more. Returns: 0, or r->count when that
 * is a failure. */
int job_answer_rows(struct job *j, const struct job_rows *r);
#define JOB_ROWS(name_, json_, rows_, n_, count_, limit_)                                          \
    &(const struct job_rows)                                                                       \
    {                                                                                              \
        .name = name_, .rows = rows_, .size = sizeof *(rows_),                                     \
        .n = offsetof(__typeof__(*(rows_)), n_), .count = count_, .limit = limit_, .json = json_   \
    }

#endif
