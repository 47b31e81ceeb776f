/* src/xstored/audit.c - the XenoCorp asks for a block of what is kept: read it, prove it, answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "xstored/pay.h"

#define LIST_MAX (1 << 20)
#define POLL_NS  (30 * XENO_NS_PER_S)

struct audit {
    struct xstored *d;
    struct xeno_store_answer answer; /* with what was asked */
    int64_t size;
    char *text; /* owned: signed */
};

static void audit_free(void *arg)
{
    struct audit *a = arg;

    free(a->text);
    free(a);
}

/* --- answering --- */

static void on_verdict(const struct xeno_http_answer *h, void *arg)
{
    struct audit *a = arg;
    xeno_auto(xeno_json) reply = NULL;
    const char *result = "";
    bool refused = xeno_member_corp_refused(h);

    if (!h->err && xeno_json_parse(h->body, h->len, LIST_MAX, &reply, NULL) == 0) {
        struct xeno_json_at top = xeno_json_top(reply);

        (void)xeno_json_str(&top, "result", 1, 16, &result, NULL);
    }
    xeno_log(strcmp(result, "passed") == 0 ? LOG_INFO : LOG_WARNING, "audit",
             "audit=%" PRId64 " certificate=%s result=%s", a->answer.audit, a->answer.certificate,
             *result ? result : "unheard");
    pay_done(a->d, PAY_AUDIT, h->err && !refused);
    if (!h->err)
        pay_ask_audits(a->d); /* there may be more */
    audit_free(a);
}

static int prove(struct job *j, struct xeno_err *err)
{
    struct audit *a = j->args;
    xeno_auto(xeno_blocktree) tree = NULL;
    struct xeno_hash root;
    int r = xeno_blocktree_new(a->size, a->answer.block, &tree, err);

    if (r == 0)
        r = pay_read(j->d, a->answer.digest, a->size, tree, err);
    if (r == 0)
        r = xeno_blocktree_end(tree, &root, &a->answer, err);
    if (r == 0)
        a->text = xeno_store_answer_sign(xeno_member_key(j->d->member), &a->answer);
    return r;
}

/* What cannot be shown now may be healed in time: it is asked for again until the deadline. */
static void finish_prove(struct job *j)
{
    struct audit *a = j->args;
    struct xstored *d = j->d;
    int64_t size;
    int fd = -1;

    if (j->item.result < 0) {
        xeno_log_err(LOG_ERR, "audit", &j->item.err, "audit=%" PRId64 " object=%s again=later",
                     a->answer.audit, a->answer.digest);
        if (j->item.result == -EBADMSG &&
            d->objects->back->find(d->objects, a->answer.digest, &fd, &size, NULL) == 0)
            xstored_damaged(d, a->answer.digest, fd, "its content is not right");
        pay_done(d, PAY_AUDIT, true);
        return;
    }
    a = xeno_memdup(a, sizeof *a); /* the job's own goes with it */
    a->text = xeno_strdup(a->text);
    pay_send(d, "/v1/audits/answers", "application/jose", a->text, on_verdict, a);
}

/* --- what is asked? --- */

static int read_question(const struct xeno_json_at *item, struct xeno_store_answer *ret)
{
    const char *certificate = NULL, *digest = NULL;
    int r = xeno_json_int(item, "audit", 1, INT64_MAX, &ret->audit, NULL);

    if (r == 0)
        r = xeno_json_int(item, "block", 0, XENO_STORED_MAX, &ret->block, NULL);
    if (r == 0)
        r = xeno_json_str(item, "certificate", XENO_SESSION_ID_CHARS, XENO_SESSION_ID_CHARS,
                          &certificate, NULL);
    if (r == 0)
        r = xeno_json_str(item, "digest", XENO_DIGEST_TEXT - 1, XENO_DIGEST_TEXT - 1, &digest,
                          NULL);
    if (r < 0 || !xeno_digest_ok(digest))
        return -EINVAL;
    memcpy(ret->certificate, certificate, XENO_SESSION_ID_CHARS + 1);
    memcpy(ret->digest, digest, XENO_DIGEST_TEXT);
    return 0;
}

/* The first that can be answered. Returns: true when it is at work. */
static bool take_one(struct xstored *d, const struct xeno_json *list)
{
    struct xeno_json_at top = xeno_json_top(list), all;
    size_t count = 0;

    if (xeno_json_arr(&top, "audits", 1000, &all, &count, NULL) < 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&all, i);
        struct audit *a = xeno_new0(struct audit);
        struct job *j;

        a->d = d;
        if (read_question(&item, &a->answer) < 0 ||
            xeno_keep_object(d->view, a->answer.certificate, a->answer.digest, &a->size, NULL) <
                0) {
            audit_free(a);
            continue;
        }
        j = job_new(d, NULL, NULL, a, audit_free);
        j->prepare = prove;
        j->finish = finish_prove;
        job_submit(j);
        return true;
    }
    return false;
}

static void on_list(const struct xeno_http_answer *h, void *arg)
{
    struct xstored *d = arg;
    xeno_auto(xeno_json) list = NULL;
    int64_t every = d->opt.charge_every.ns < POLL_NS ? d->opt.charge_every.ns : POLL_NS;

    xeno_member_corp_heard(d->member, h->status != 0);
    if (h->err || xeno_json_parse(h->body, h->len, LIST_MAX, &list, NULL) < 0) {
        pay_done(d, PAY_AUDIT, true);
        return;
    }
    if (take_one(d, list))
        return;
    pay_done(d, PAY_AUDIT, false);
    d->pay->lines[PAY_AUDIT].after_ns = xeno_mono(d->env).ns + every;
}

void pay_ask_audits(struct xstored *d)
{
    struct xstored_pay *p = d->pay;
    int64_t kept = 0;

    if (p->lines[PAY_AUDIT].busy || xeno_mono(d->env).ns < p->lines[PAY_AUDIT].after_ns)
        return;
    if (xeno_db_one_int(d->view, 0, &kept, NULL,
                        "SELECT EXISTS (SELECT 1 FROM kept WHERE state = 2)", "") < 0 ||
        !kept)
        return;
    p->lines[PAY_AUDIT].busy = true;
    pay_send(d, "/v1/audits", "application/json", NULL, on_list, d);
}
