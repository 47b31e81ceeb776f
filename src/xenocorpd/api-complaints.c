/* src/xenocorpd/api-complaints.c - complaints about adverts: filed by clients, counted for all. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corp/complaints.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

/* --- filing --- */

struct filing {
    const char *text; /* the request's body */
    size_t len;
    struct xeno_pub client;
    struct xeno_complaint_checked *checked;
};

static void filing_free(void *args)
{
    struct filing *a = args;

    xeno_complaint_checked_free(a->checked);
    free(a);
}

static int check_filing(struct job *j, struct xeno_err *err)
{
    struct filing *a = j->args;

    return xeno_complaint_check(a->text, a->len, &a->client, &a->checked, err);
}

static int act_file(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct filing *a = j->args;
    int64_t n;
    int r = xeno_complaint_file(corp, a->checked, &n, err);

    if (r < 0)
        return r;
    j->status = 201;
    j->reply = xeno_json_object();
    xeno_json_set_int(j->reply, "complaint", n);
    return 0;
}

static void finish_filing(struct job *j)
{
    if (j->item.result == 0)
        job_receipt(j);
}

void api_complaint_file(struct xeno_http_req *q, void *user)
{
    const struct xeno_cert *peer = job_client(q);
    struct filing *a;
    struct job *j;

    if (!peer)
        return;
    a = xeno_new0(struct filing);
    a->text = xeno_http_body(q, &a->len);
    a->client = peer->pub;
    j = job_new(user, q, act_file, a, filing_free);
    j->check = check_filing;
    j->finish = finish_filing;
    j->item.bytes = sizeof *a + 4 * a->len;
    job_submit(j);
}

/* --- telling --- */

static struct xeno_json *row_json(const void *at)
{
    const struct xeno_complaint_row *row = at;
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "complaint", row->n);
    xeno_json_set_int(o, "time_ms", row->time_ms);
    xeno_json_set_str(o, "server", row->server);
    xeno_json_set_str(o, "about", xeno_complaint_word(row->about));
    xeno_json_set_int(o, "version", row->version);
    xeno_json_set_int(o, "count", row->count);
    return o;
}

struct page {
    int64_t after;
    int limit;
};

static int act_list(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct page *a = j->args;
    xeno_autofree struct xeno_complaint_row *rows =
        xeno_new0_n(struct xeno_complaint_row, (size_t)a->limit);
    int count = xeno_complaints(corp, a->after, a->limit, rows, err);

    return job_answer_rows(j, JOB_ROWS("complaints", row_json, rows, n, count, a->limit));
}

void api_complaints(struct xeno_http_req *q, void *user)
{
    struct page a = { .after = 0 };

    if (job_page(q, XENO_COMPLAINTS_PAGE, &a.after, &a.limit))
        job_submit(job_new(user, q, act_list, xeno_memdup(&a, sizeof a), free));
}

/* --- one, with what was said --- */

struct one {
    int64_t n;
    bool all; /* for an operator */
};

static int act_one(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct one *a = j->args;
    struct xeno_complaint_row row;
    xeno_autofree char *document = NULL;
    int r = xeno_complaint_get(corp, a->n, &row, &document, err);

    if (r < 0)
        return r;
    if (!a->all && strcmp(j->peer.s, row.client) != 0 && strcmp(j->peer.s, row.server) != 0)
        return xeno_fail(
            err, -EPERM, "complaint.others",
            "complaint %" PRId64 " is told to its client, its XenoServer and operators", a->n);
    j->reply = row_json(&row);
    xeno_json_set_str(j->reply, "client", row.client);
    xeno_json_set_str(j->reply, "session", row.session);
    xeno_json_set_str(j->reply, "document", document);
    return 0;
}

void api_complaint(struct xeno_http_req *q, void *user)
{
    const char *text = xeno_http_param(q, "complaint");
    struct one a = { .n = 0, .all = job_is_operator(q) };
    char *end;

    a.n = strtoll(text, &end, 10);
    if (*end != '\0' || a.n < 1)
        a.n = 0; /* there is none of that name */
    job_submit(job_new(user, q, act_one, xeno_memdup(&a, sizeof a), free));
}
