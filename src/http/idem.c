/* src/http/idem.c - a repeated POST gets the first answer again.
 *
 * Two layers: entries of requests at work, to which repeats attach; and kept answers, in the
 * program's own store when it has one, else in the same table, bounded by count, size and age.
 * The table is in the order of making, so the oldest is in front.
 */
#include "http/server-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEEP_NS      (600 * XENO_NS_PER_S)
#define KEEP_ENTRIES 4096
#define KEEP_BYTES   ((size_t)8 << 20)

static void entry_free(struct xeno_http_server *s, struct idem_entry *e)
{
    HASH_DEL(s->idem, e);
    s->idem_bytes -= e->size;
    free(e->key);
    free(e->body);
    free(e);
}

static void tidy(struct xeno_http_server *s, xeno_time now)
{
    struct idem_entry *e, *next;

    HASH_ITER (hh, s->idem, e, next) {
        bool full = HASH_COUNT(s->idem) > KEEP_ENTRIES || s->idem_bytes > KEEP_BYTES;

        if (!e->done)
            continue;
        if (!full && now.ns - e->at.ns < KEEP_NS)
            break;
        entry_free(s, e);
    }
}

static void refuse_other(struct xeno_http_req *q)
{
    struct xeno_err err;

    xeno_fail(&err, -ENOTUNIQ, "http.idempotency",
              "this Idempotency-Key was used for another request: make a new one");
    http_refuse(q, &err);
}

static bool from_program(struct xeno_http_req *q)
{
    struct xeno_http_server *s = q->server;
    xeno_autofree char *body = NULL;
    int status = 0;

    if (!s->opts.idem_get ||
        !s->opts.idem_get(q->idem_key, q->body_sha, &status, &body, s->opts.user))
        return false;
    if (status == 0)
        refuse_other(q);
    else
        http_give_kept(q, status, body ? body : "");
    return true;
}

bool http_idem_begin(struct xeno_http_req *q)
{
    struct xeno_http_server *s = q->server;
    struct idem_entry *e;

    tidy(s, xeno_mono(s->opts.env));
    HASH_FIND_STR(s->idem, q->idem_key, e);
    if (!e) {
        if (from_program(q))
            return true;
        e = xeno_new0(struct idem_entry);
        e->key = xeno_strdup(q->idem_key);
        snprintf(e->body_sha, sizeof(e->body_sha), "%s", q->body_sha);
        HASH_ADD_KEYPTR(hh, s->idem, e->key, strlen(e->key), e);
        q->idem = e;
        return false;
    }
    if (strcmp(e->body_sha, q->body_sha) != 0) {
        refuse_other(q);
    } else if (e->done) {
        http_give_kept(q, e->status, e->body);
    } else {
        q->next_waiting = e->waiting;
        e->waiting = q;
    }
    return true;
}

static void answer_waiting(struct idem_entry *e, int status, const char *body)
{
    struct xeno_http_req *q;
    struct xeno_err err;

    while ((q = e->waiting) != NULL) {
        e->waiting = q->next_waiting;
        q->next_waiting = NULL;
        if (body) {
            http_give_kept(q, status, body);
        } else {
            xeno_fail(&err, -EAGAIN, "http.idempotency",
                      "the first request with this Idempotency-Key ended unanswered: try again");
            http_refuse(q, &err);
        }
    }
}

void http_idem_end(struct xeno_http_req *q, int status, const char *body)
{
    struct xeno_http_server *s = q->server;
    struct idem_entry *e = xeno_take(&q->idem);
    bool keep = body && status < 500 && status != 429;

    if (!e)
        return;
    answer_waiting(e, status, body);
    if (keep && s->opts.idem_put)
        s->opts.idem_put(e->key, e->body_sha, status, body, s->opts.user);
    if (!keep || s->opts.idem_put) {
        entry_free(s, e);
        return;
    }
    e->done = true;
    e->status = status;
    e->body = xeno_strdup(body);
    e->size = strlen(body) + strlen(e->key) + sizeof(*e);
    e->at = xeno_mono(s->opts.env);
    s->idem_bytes += e->size;
}

void http_idem_forget(struct xeno_http_req *q)
{
    struct idem_entry *e;
    struct xeno_http_req **at;

    if (q->idem)
        http_idem_end(q, 0, NULL);
    if (!q->idem_key)
        return;
    HASH_FIND_STR(q->server->idem, q->idem_key, e);
    for (at = e ? &e->waiting : NULL; at && *at; at = &(*at)->next_waiting) {
        if (*at != q)
            continue;
        *at = q->next_waiting;
        return;
    }
}

void http_idem_release(struct xeno_http_server *s)
{
    struct idem_entry *e, *next;

    HASH_ITER (hh, s->idem, e, next) {
        entry_free(s, e);
    }
}
