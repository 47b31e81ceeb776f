/* src/xstored/job.h - something at work: from a handler or a timer, through group commit, to the
 * answer.
 *
 *     prepare (a helper: slow, the disk) -> act (the writer, in a group) -> finish (the loop)
 *
 * act() may run more than once, each time in a transaction of its own inside the group's; what it
 * returns below zero undoes that alone. A failure is answered here, after finish() was told.
 */
#ifndef XENO_XSTORED_JOB_H
#define XENO_XSTORED_JOB_H

#include "xstored/xstored.h"

struct job {
    struct xeno_work_item item; /* first: the two pointers are one */
    struct xstored *d;
    struct xeno_http_req *q; /* NULL: our own, nobody asks */

    int (*prepare)(struct job *j, struct xeno_err *err);                 /* NULL: nothing */
    int (*act)(struct job *j, struct xeno_db *db, struct xeno_err *err); /* NULL: nothing */
    /* With item.result; answers j->q when it is not below zero. NULL: nothing, 202. */
    void (*finish)(struct job *j);

    struct xstored_limits limits; /* as they are now */
    struct xstored_refusal refusal;
    int64_t now_ms;
    void *args; /* of the handler; freed by free_args */
    void (*free_args)(void *args);
};

/* `args` is taken. */
struct job *job_new(struct xstored *d, struct xeno_http_req *q,
                    int (*act)(struct job *j, struct xeno_db *db, struct xeno_err *err), void *args,
                    void (*free_args)(void *args));
void job_free(struct job *j); /* one that is not submitted after all */
/* Give it to the threads; it is gone. When they are full it fails with -EAGAIN store.busy. */
void job_submit(struct job *j);

/* What most jobs are about: something of a repository, by its digest or tag. */
struct job_thing {
    char *repo, *name;
};
struct job_thing *job_thing_new(const char *repo, const char *name);
void job_thing_free(void *thing); /* as free_args */

/* xeno_work_new() on our metadata and objects. */
int job_start(struct xstored *d, struct xeno_err *err);

#endif
