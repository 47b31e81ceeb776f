/* src/xenocorpd/api-audits.c - audits of what XenoStore nodes keep: owners and XenoCorp ask, nodes
 * fetch what they are asked and answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corp/storage.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

static struct xeno_json *challenge_json(const void *row)
{
    const struct xeno_challenge *h = row;
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "audit", h->n);
    xeno_json_set_str(o, "order", h->order);
    xeno_json_set_str(o, "certificate", h->certificate);
    xeno_json_set_str(o, "node", h->node);
    xeno_json_set_str(o, "by", h->owner ? "owner" : "corp");
    xeno_json_set_str(o, "digest", h->digest);
    xeno_json_set_int(o, "from", h->block * XENO_STORED_BLOCK);
    xeno_json_set_int(o, "block", h->block);
    xeno_json_set_int(o, "made_ms", h->made_ms);
    xeno_json_set_int(o, "deadline_ms", h->deadline_ms);
    if (h->ended_ms)
        xeno_json_set_int(o, "ended_ms", h->ended_ms);
    xeno_json_set_str(o, "result", xeno_challenge_word(h->result));
    return o;
}

/* --- list --- */

struct page {
    int64_t after;
    int limit;
};

static int act_list(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct page *a = j->args;
    xeno_autofree struct xeno_challenge *rows =
        xeno_new0_n(struct xeno_challenge, (size_t)a->limit);
    int count = xeno_challenges(corp, j->peer.s, a->after, a->limit, rows, err);

    return job_answer_rows(j, JOB_ROWS("audits", challenge_json, rows, n, count, a->limit));
}

void api_audits(struct xeno_http_req *q, void *user)
{
    struct page a = { .after = 0 };

    if (job_page(q, XENO_CHALLENGES_MAX, &a.after, &a.limit))
        job_submit(job_new(user, q, act_list, xeno_memdup(&a, sizeof a), free));
}

/* --- ask --- */

static int act_ask(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct xeno_challenge h;
    int r = xeno_challenge_ask(corp, j->peer.s, j->args, &h, err);

    if (r < 0)
        return r;
    j->status = 201;
    j->reply = challenge_json(&h);
    return 0;
}

void api_audit_ask(struct xeno_http_req *q, void *user)
{
    static const char *const known[] = { "order", NULL };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_json) body = NULL;
    const char *order = NULL;
    struct xeno_json_at at;
    int r;

    if (!job_client(q) || xeno_http_body_json(q, &body) < 0)
        return;
    at = xeno_json_top(body);
    r = xeno_json_only(&at, known, &err);
    if (r == 0)
        r = xeno_json_str(&at, "order", XENO_ORDER_ID_CHARS, XENO_ORDER_ID_CHARS, &order, &err);
    if (r < 0) {
        xeno_http_reply_err(q, &err);
        return;
    }
    job_submit(job_new(user, q, act_ask, xeno_strdup(order), free));
}

/* --- answer --- */

struct answer {
    const char *text; /* the request's body */
    size_t len;
    char *copy; /* owned: ended by a zero byte */
    struct xeno_pub node;
    struct xeno_store_answer read;
};

static void answer_free(void *args)
{
    struct answer *a = args;

    free(a->copy);
    free(a);
}

static int check_answer(struct job *j, struct xeno_err *err)
{
    struct answer *a = j->args;

    return xeno_store_answer_read(a->text, a->len, &a->node, &a->read, err);
}

static int act_answer(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct answer *a = j->args;
    struct xeno_challenge h;
    int r = xeno_challenge_answer(corp, j->peer.s, a->read.audit, &a->read, a->copy, &h, err);

    if (r < 0)
        return r;
    j->reply = challenge_json(&h);
    return 0;
}

static void finish_answer(struct job *j)
{
    if (j->item.result == 0)
        job_receipt(j);
}

void api_audit_answer(struct xeno_http_req *q, void *user)
{
    const struct xeno_cert *peer = job_node(q);
    struct answer *a;
    struct job *j;

    if (!peer)
        return;
    a = xeno_new0(struct answer);
    a->text = xeno_http_body(q, &a->len);
    a->copy = xeno_strndup(a->text, a->len);
    a->node = peer->pub;
    j = job_new(user, q, act_answer, a, answer_free);
    j->check = check_answer;
    j->finish = finish_answer;
    j->item.bytes = sizeof *a + 2 * a->len;
    job_submit(j);
}
