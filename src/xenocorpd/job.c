/* src/xenocorpd/job.c - requests at work. */
#include "xenocorpd/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define PAGE_DEFAULT 100

static void job_free(struct job *j)
{
    if (j->free_args)
        j->free_args(j->args);
    xeno_json_unref(j->reply);
    free(j->text);
    free(j);
}

/* --- on the threads --- */

static int item_check(struct xeno_work_item *item)
{
    struct job *j = (struct job *)item;

    return j->check(j, &item->err);
}

/* A group that is tried again starts from nothing. */
static void drop_answer(struct job *j)
{
    xeno_json_unref(xeno_take(&j->reply));
    free(xeno_take(&j->text));
}

static int keep_answer(struct job *j, struct xeno_corp *corp)
{
    j->text = xeno_json_format(j->reply, false, &j->text_len);
    return xeno_idem_keep(corp, j->idem, j->idem_sha, j->status, j->text, &j->item.err);
}

static int item_apply(struct xeno_work_item *item, void *user)
{
    struct job *j = (struct job *)item;
    struct xeno_corp *corp = books_corp(user);
    int r = 0;

    drop_answer(j);
    if (j->idempotent)
        r = xeno_idem_find(corp, j->idem, j->idem_sha, &j->status, &j->text, &item->err);
    if (r > 0) {
        j->text_len = strlen(j->text);
        return 0;
    }
    if (r == 0)
        r = j->act(j, corp, &item->err);
    if (r == 0 && j->idempotent)
        r = keep_answer(j, corp);
    return r;
}

/* --- the answer --- */

static void answer(struct job *j)
{
    if (j->item.result < 0) {
        j->d->counts.refused++;
        if (xeno_err_is(&j->item.err, "db.io") || xeno_err_is(&j->item.err, "db.full"))
            xeno_log_err(LOG_ERR, "books", &j->item.err, "path=%s", xeno_http_path(j->q));
        xeno_http_reply_err(j->q, &j->item.err);
    } else if (j->text) {
        xeno_http_reply_data(j->q, j->status, j->type ? j->type : "application/json", j->text,
                             j->text_len);
    } else {
        xeno_http_reply_json(j->q, j->status, xeno_take(&j->reply));
    }
}

static void item_done(struct xeno_work_item *item)
{
    struct job *j = (struct job *)item;

    if (j->finish)
        j->finish(j);
    if (j->q)
        answer(j);
    job_free(j);
}

struct job *job_new(struct corpd *d, struct xeno_http_req *q,
                    int (*act)(struct job *j, struct xeno_corp *corp, struct xeno_err *err),
                    void *args, void (*free_args)(void *args))
{
    struct job *j = xeno_new0(struct job);
    const struct xeno_cert *peer = q ? xeno_http_peer(q) : NULL;

    j->d = d;
    j->q = q;
    if (peer)
        j->peer = peer->id;
    j->act = act;
    j->args = args;
    j->free_args = free_args;
    j->status = 200;
    j->item = (struct xeno_work_item){
        .apply = item_apply, .done = item_done, .bytes = 4096, .weight = 4
    };
    return j;
}

bool job_keep(struct job *j)
{
    const char *key = xeno_http_header(j->q, "Idempotency-Key");
    struct xeno_err err = XENO_ERR_INIT;
    size_t len = 0;
    const char *body = xeno_http_body(j->q, &len);
    int n = snprintf(j->idem, sizeof j->idem, "%s %s %s", j->peer.s, xeno_http_path(j->q),
                     key ? key : "");

    if (!key || n >= (int)sizeof j->idem) {
        xeno_fail(&err, -EINVAL, "http.idempotency",
                  "this request needs an Idempotency-Key of 1 to 128 bytes");
        xeno_http_reply_err(j->q, &err);
        job_free(j);
        return false;
    }
    xeno_sha256_of(body ? body : "", body ? len : 0, j->idem_sha);
    j->idempotent = true;
    return true;
}

void job_submit(struct job *j)
{
    struct xeno_err err = XENO_ERR_INIT;

    j->item.check = j->check ? item_check : NULL;
    if (xeno_work_submit(j->d->work, &j->item))
        return;
    if (j->q) {
        xeno_fail(&err, -EAGAIN, "corp.busy", "too much is waiting: try again in a moment");
        xeno_http_reply_err(j->q, &err);
    }
    j->item.result = -EAGAIN;
    if (j->finish && !j->q)
        j->finish(j);
    job_free(j);
}

/* --- who asks --- */

static const struct xeno_cert *peer_of(struct xeno_http_req *q, bool ok, const char *who)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (ok)
        return xeno_http_peer(q);
    xeno_fail(&err, -EPERM, "auth.role", "only %s may do this", who);
    xeno_http_reply_err(q, &err);
    return NULL;
}

const struct xeno_cert *job_client(struct xeno_http_req *q)
{
    const struct xeno_cert *c = xeno_http_peer(q);

    return peer_of(q, c && c->kind == XENO_PARTY_CLIENT, "a client");
}

const struct xeno_cert *job_node(struct xeno_http_req *q)
{
    const struct xeno_cert *c = xeno_http_peer(q);

    return peer_of(q, c && c->kind == XENO_PARTY_NODE, "a XenoStore node");
}

const struct xeno_cert *job_seller(struct xeno_http_req *q)
{
    const struct xeno_cert *c = xeno_http_peer(q);

    return peer_of(q, c && (c->kind == XENO_PARTY_SERVER || c->kind == XENO_PARTY_NODE),
                   "a XenoServer or a XenoStore node");
}

bool job_is_operator(const struct xeno_http_req *q)
{
    const struct xeno_cert *c = xeno_http_peer(q);
    bool ok = false;

    for (size_t i = 0; c && i < c->attr_count; i++)
        ok |= strcmp(c->attrs[i], "role=operator") == 0;
    return ok;
}

const struct xeno_cert *job_operator(struct xeno_http_req *q)
{
    return peer_of(q, job_is_operator(q), "an operator");
}

static bool query_int(struct xeno_http_req *q, const char *name, int64_t min, int64_t max,
                      int64_t *ret)
{
    const char *text = xeno_http_query(q, name);
    struct xeno_err err = XENO_ERR_INIT;
    char *end;
    long long n;

    if (!text)
        return true;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && n >= min && n <= max) {
        *ret = n;
        return true;
    }
    xeno_fail(&err, -EINVAL, "http.query",
              "%s: '%.40s' is not a number from %" PRId64 " to %" PRId64, name, text, min, max);
    xeno_http_reply_err(q, &err);
    return false;
}

bool job_number(struct xeno_http_req *q, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_query(q, name))
        return query_int(q, name, min, max, ret);
    xeno_fail(&err, -EINVAL, "http.query", "%s is missing: a number from %" PRId64 " to %" PRId64,
              name, min, max);
    xeno_http_reply_err(q, &err);
    return false;
}

bool job_page(struct xeno_http_req *q, int most, int64_t *ret_after, int *ret_limit)
{
    int64_t limit = PAGE_DEFAULT < most ? PAGE_DEFAULT : most;

    *ret_after = 0;
    if (!query_int(q, "after", 0, INT64_MAX, ret_after) || !query_int(q, "limit", 1, most, &limit))
        return false;
    *ret_limit = (int)limit;
    return true;
}

int job_answer_rows(struct job *j, const struct job_rows *r)
{
    struct xeno_json *list;
    const char *row = r->rows;
    int64_t n;

    if (r->count < 0)
        return r->count;
    list = xeno_json_array();
    for (int i = 0; i < r->count; i++)
        xeno_json_append(list, r->json(row + (size_t)i * r->size));
    j->reply = xeno_json_object();
    xeno_json_set(j->reply, r->name, list);
    if (r->count < r->limit)
        return 0;
    memcpy(&n, row + (size_t)(r->count - 1) * r->size + r->n, sizeof n);
    xeno_json_set_int(j->reply, "next", n);
    return 0;
}
