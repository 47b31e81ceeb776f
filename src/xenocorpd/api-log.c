/* src/xenocorpd/api-log.c - the audit log: its newest head, proofs, and what a party may read of it
 * (rfc/0006). */
#include "corp/log.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

/* The head is there already: nobody has to wait for the writer, and a crowd cannot hold it up. */
void api_log_head(struct xeno_http_req *q, void *user)
{
    struct corpd *d = user;
    struct xeno_json *reply = xeno_json_object();
    char head[XENO_LOG_HEAD_MAX + 1];

    books_head(d->books, head);
    xeno_json_set_str(reply, "head", head);
    xeno_http_reply_json(q, 200, reply);
}

void job_receipt(struct job *j)
{
    char head[XENO_LOG_HEAD_MAX + 1];

    books_head(j->d->books, head);
    xeno_json_set_str(j->reply, "receipt", head);
}

/* --- proofs --- */

struct proof {
    int64_t a, b; /* first and second, or leaf and size */
};

static int act_consistency(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct proof *a = j->args;
    struct xeno_proof p;
    int r = xeno_log_consistency(corp, a->a, a->b, &p, err);

    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_int(j->reply, "first", a->a);
    xeno_json_set_int(j->reply, "second", a->b);
    xeno_json_set(j->reply, "proof", xeno_proof_json(&p));
    return 0;
}

static int act_inclusion(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct proof *a = j->args;
    char text[XENO_HASH_TEXT];
    struct xeno_hash leaf;
    struct xeno_proof p;
    int r = xeno_log_inclusion(corp, a->a, a->b, &leaf, &p, err);

    if (r < 0)
        return r;
    xeno_hash_text(&leaf, text);
    j->reply = xeno_json_object();
    xeno_json_set_int(j->reply, "leaf", a->a);
    xeno_json_set_int(j->reply, "size", a->b);
    xeno_json_set_str(j->reply, "hash", text);
    xeno_json_set(j->reply, "proof", xeno_proof_json(&p));
    return 0;
}

static void ask_proof(struct xeno_http_req *q, void *user, const char *first, const char *second,
                      int (*act)(struct job *j, struct xeno_corp *corp, struct xeno_err *err))
{
    struct proof p = { -1, -1 };

    if (job_number(q, first, 0, XENO_TREE_MAX, &p.a) &&
        job_number(q, second, 0, XENO_TREE_MAX, &p.b))
        job_submit(job_new(user, q, act, xeno_memdup(&p, sizeof p), free));
}

void api_log_consistency(struct xeno_http_req *q, void *user)
{
    ask_proof(q, user, "first", "second", act_consistency);
}

void api_log_inclusion(struct xeno_http_req *q, void *user)
{
    ask_proof(q, user, "leaf", "size", act_inclusion);
}

/* --- entries --- */

struct reading {
    int64_t from;
    int limit;
    bool all, everything; /* everything: an operator reads */
};

static struct xeno_json *entry_json(const struct xeno_log_entry *e)
{
    struct xeno_json *o = xeno_json_object();
    char text[XENO_HASH_TEXT];

    xeno_hash_text(&e->hash, text);
    xeno_json_set_int(o, "n", e->n);
    xeno_json_set_str(o, "hash", text);
    xeno_json_set_str(o, "leaf", e->text);
    if (e->entry)
        xeno_json_set_int(o, "entry", e->entry);
    return o;
}

static int act_entries(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct reading *a = j->args;
    xeno_autofree struct xeno_log_entry *rows =
        xeno_new0_n(struct xeno_log_entry, (size_t)a->limit);
    int count = xeno_log_entries(corp, a->everything ? NULL : j->peer.s, a->all, a->from, a->limit,
                                 rows, err);
    struct xeno_json *list;

    if (count < 0)
        return count;
    list = xeno_json_array();
    for (int i = 0; i < count; i++)
        xeno_json_append(list, entry_json(&rows[i]));
    j->reply = xeno_json_object();
    xeno_json_set(j->reply, "entries", list);
    if (count == a->limit)
        xeno_json_set_int(j->reply, "next", rows[count - 1].n + 1);
    xeno_log_entries_release(rows, count);
    return 0;
}

void api_log_entries(struct xeno_http_req *q, void *user)
{
    struct reading r = { .all = xeno_http_query(q, "all") != NULL,
                         .everything = job_is_operator(q) };

    if (job_page(q, XENO_LOG_PAGE_MAX, &r.from, &r.limit))
        job_submit(job_new(user, q, act_entries, xeno_memdup(&r, sizeof r), free));
}
