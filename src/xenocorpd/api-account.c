/* src/xenocorpd/api-account.c - what a party has, and how it came about. */
#include "corp/ledger.h"
#include "corp/registry.h"
#include "corp/statement.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

static int act_account(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct xeno_party_view v;
    int r = xeno_party_get(corp, j->peer.s, &v, err);

    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "id", v.id.s);
    xeno_json_set_str(j->reply, "kind", xeno_role_name(v.role));
    xeno_json_set_str(j->reply, "name", v.name);
    xeno_json_set_int(j->reply, "free", v.free.micro);
    xeno_json_set_int(j->reply, "held", v.held.micro);
    xeno_json_set_int(j->reply, "earned", v.earned.micro);
    xeno_json_set_str(j->reply, "currency", "XCR");
    return 0;
}

void api_account(struct xeno_http_req *q, void *user)
{
    job_submit(job_new(user, q, act_account, NULL, NULL));
}

/* --- statements --- */

struct page {
    int64_t after;
    int limit;
};

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

static struct xeno_json *line_json(const void *row)
{
    const struct xeno_statement_line *line = row;
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "entry", line->entry);
    xeno_json_set_int(o, "time_ms", line->time_ms);
    xeno_json_set_str(o, "kind", line->kind);
    xeno_json_set_int(o, "amount", line->amount);
    if (line->free || line->held) {
        xeno_json_set_int(o, "free", line->free);
        xeno_json_set_int(o, "held", line->held);
    }
    if (line->fee)
        xeno_json_set_int(o, "fee", line->fee);
    xeno_json_set_int(o, "balance", line->balance);
    xeno_json_set_str(o, "order", or_null(line->order));
    xeno_json_set_str(o, "session", or_null(line->session));
    xeno_json_set_str(o, "server", or_null(line->server));
    if (line->seq) {
        xeno_json_set_int(o, "seq", line->seq);
        xeno_json_set_int(o, "from_ms", line->from_ms);
        xeno_json_set_int(o, "to_ms", line->to_ms);
    }
    xeno_json_set_str(o, "text", or_null(line->text));
    return o;
}

static int act_statement(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct page *p = j->args;
    xeno_autofree struct xeno_statement_line *lines =
        xeno_new0_n(struct xeno_statement_line, (size_t)p->limit);
    int count = xeno_statement(corp, j->peer.s, p->after, p->limit, lines, err);

    return job_answer_rows(j, JOB_ROWS("entries", line_json, lines, entry, count, p->limit));
}

void api_statement(struct xeno_http_req *q, void *user)
{
    struct page p;

    if (!job_page(q, XENO_STATEMENT_MAX, &p.after, &p.limit))
        return;
    job_submit(job_new(user, q, act_statement, xeno_memdup(&p, sizeof p), free));
}
