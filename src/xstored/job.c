/* src/xstored/job.c - jobs, and the books that the writer keeps. */
#include "xstored/job.h"

#include <errno.h>

#include "base/log.h"
#include "http/problem.h"

/* They wait for the disk, most of the time, or for the network. */
#define HELPERS     8
#define HELPERS_FAR 16

void job_free(struct job *j)
{
    if (j->free_args)
        j->free_args(j->args);
    free(j);
}

struct job_thing *job_thing_new(const char *repo, const char *name)
{
    struct job_thing *t = xeno_new0(struct job_thing);

    t->repo = xeno_strdup(repo);
    t->name = xeno_strdup(name);
    return t;
}

void job_thing_free(void *thing)
{
    struct job_thing *t = thing;

    free(t->repo);
    free(t->name);
    free(t);
}

/* --- on the threads --- */

static int item_check(struct xeno_work_item *item)
{
    struct job *j = (struct job *)item;

    return j->prepare(j, &item->err);
}

static int item_apply(struct xeno_work_item *item, void *user)
{
    struct job *j = (struct job *)item;
    struct xstored *d = user;
    int r = xeno_db_begin(d->books, &item->err);

    if (r < 0)
        return r;
    j->refusal = (struct xstored_refusal){ 0 };
    r = j->act(j, d->books, &item->err);
    if (r >= 0)
        r = xeno_db_commit(d->books, &item->err);
    if (r < 0)
        xeno_db_rollback(d->books);
    return r;
}

static int begin(void *user, struct xeno_err *err)
{
    return xeno_db_begin(((struct xstored *)user)->books, err);
}

/* The names of the objects first: metadata that is on the disk never names what is not. */
static int commit(void *user, struct xeno_err *err)
{
    struct xstored *d = user;
    int r = d->objects->back->flush(d->objects, err);

    if (r == 0)
        r = xeno_db_commit(d->books, err);
    if (r < 0)
        xeno_db_rollback(d->books);
    return r;
}

int job_start(struct xstored *d, struct xeno_err *err)
{
    const struct xeno_work_books books = { .user = d, .begin = begin, .commit = commit };

    struct xeno_work_limits limits = xeno_work_limits_default;

    limits.checkers = d->objects->back->fetch ? HELPERS_FAR : HELPERS;
    return xeno_work_new(&books, &limits, &d->work, err);
}

/* --- on the loop --- */

static void answer_failure(struct job *j)
{
    const struct xstored_refusal *f = &j->refusal;
    struct xeno_json *extra;

    if (f->limit == 0) {
        xstored_refuse(j->d, j->q, &j->item.err);
        return;
    }
    j->d->counts.refused++;
    extra = xeno_json_object();
    xeno_json_set_int(extra, "limit", f->limit);
    xeno_json_set_int(extra, "asked", f->asked);
    xeno_json_set_int(extra, "left", f->left);
    xeno_http_reply_problem(j->q, &j->item.err, extra);
}

static void item_done(struct xeno_work_item *item)
{
    struct job *j = (struct job *)item;

    if (j->finish)
        j->finish(j);
    if (j->item.result < 0 && j->q)
        answer_failure(j);
    else if (!j->finish && j->q)
        xeno_http_reply_data(j->q, 202, "text/plain", "", 0);
    job_free(j);
}

struct job *job_new(struct xstored *d, struct xeno_http_req *q,
                    int (*act)(struct job *j, struct xeno_db *db, struct xeno_err *err), void *args,
                    void (*free_args)(void *args))
{
    struct job *j = xeno_new0(struct job);

    j->d = d;
    j->q = q;
    j->act = act;
    j->args = args;
    j->free_args = free_args;
    j->limits = xstored_limits(d);
    j->now_ms = xstored_now_ms(d);
    j->item = (struct xeno_work_item){ .done = item_done, .bytes = 4096, .weight = 8 };
    return j;
}

void job_submit(struct job *j)
{
    j->item.check = j->prepare ? item_check : NULL;
    j->item.apply = j->act ? item_apply : NULL;
    if (xeno_work_submit(j->d->work, &j->item))
        return;
    j->item.result = xeno_fail(&j->item.err, -EAGAIN, "store.busy",
                               "too much is waiting here: try again in a moment");
    item_done(&j->item);
}
