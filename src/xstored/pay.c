/* src/xstored/pay.c - being paid for what is kept: time passes, and the XenoCorp is asked
 * (keep/keep.h). */
#include "xstored/pay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/log.h"

#define ANSWER_MAX     (1 << 20)
#define RETRY_FIRST_NS (XENO_NS_PER_S / 2)
#define RETRY_DOUBLE   6 /* half a second to half a minute */
#define LOOK_NS        (10 * XENO_NS_PER_S)
#define UNPAID_ROWS    64

static int64_t mono_ns(const struct xstored *d)
{
    return xeno_mono(d->env).ns;
}

int64_t pay_now(struct xstored *d)
{
    struct xstored_pay *p = d->pay;
    int64_t mono = mono_ns(d) / XENO_NS_PER_MS;

    (void)xeno_bill_pass(&p->at_ms, xstored_now_ms(d),
                         p->mono_ms >= 0 ? mono - p->mono_ms : XENO_PASSED_UNKNOWN);
    p->mono_ms = mono;
    return p->at_ms;
}

struct xeno_keep_terms pay_terms(const struct xstored *d)
{
    return (struct xeno_keep_terms){ .price = d->opt.price.micro,
                                     .tariff = d->opt.price.micro,
                                     .interval_ms = d->opt.charge_every.ns / XENO_NS_PER_MS,
                                     .most = d->opt.certificates };
}

/* --- the lines to the XenoCorp --- */

void pay_send(struct xstored *d, const char *path, const char *type, const char *body,
              void (*done)(const struct xeno_http_answer *a, void *arg), void *arg)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", d->opt.corp_url, path);
    uint8_t nonce[10];
    char key[17];
    struct xeno_http_ask ask = { .method = body ? "POST" : "GET",
                                 .url = url,
                                 .server_id = xeno_member_corp(d->member)->s,
                                 .type = type,
                                 .body = body,
                                 .body_len = body ? strlen(body) : 0,
                                 .idempotency_key = body ? key : NULL,
                                 .deadline = xeno_s(15),
                                 .max_body = ANSWER_MAX,
                                 .done = done,
                                 .arg = arg };

    /* A key of its own each time: an answer that was kept may have become untrue. */
    xeno_random(d->env, nonce, sizeof nonce);
    xeno_base32(nonce, sizeof nonce, key);
    xeno_http_send(d->client, &ask);
}

void pay_done(struct xstored *d, int line, bool failed)
{
    struct xstored_pay *p = d->pay;

    p->lines[line].busy = false;
    if (!failed) {
        p->lines[line].tries = 0;
        p->lines[line].after_ns = 0;
        return;
    }
    p->lines[line].after_ns = mono_ns(d) + (RETRY_FIRST_NS << p->lines[line].tries);
    if (p->lines[line].tries < RETRY_DOUBLE)
        p->lines[line].tries++;
}

struct asking {
    struct xstored *d;
    struct xeno_keep_op op;
    struct xeno_json *reply; /* NULL: it was refused */
    struct xeno_err why;
    struct xeno_keep_terms terms;
    int64_t now_ms;
};

static void asking_free(void *arg)
{
    struct asking *a = arg;

    xeno_keep_op_release(&a->op);
    xeno_json_unref(a->reply);
    free(a);
}

static int act_answered(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct asking *a = j->args;

    return xeno_keep_answered(db, xeno_member_key(j->d->member), &a->op, a->reply, &a->why,
                              &a->terms, a->now_ms, err);
}

static void finish_answered(struct job *j)
{
    const struct asking *a = j->args;

    if (j->item.result < 0)
        xeno_log_err(LOG_WARNING, "corp.answer", &j->item.err, "path=%s again=later", a->op.path);
    else if (!a->reply)
        xeno_log_err(LOG_NOTICE, "corp.refused", &a->why, "path=%s certificate=%s", a->op.path,
                     a->op.id);
    pay_done(j->d, (int)a->op.kind, j->item.result < 0);
    if (j->item.result >= 0)
        pay_kick(j->d);
}

static void on_answer(const struct xeno_http_answer *h, void *arg)
{
    struct asking *a = arg;
    struct xstored *d = a->d;
    struct job *j;

    xeno_member_corp_heard(d->member, h->status != 0);
    if (h->err)
        a->why = *h->err;
    else if (xeno_json_parse(h->body, h->len, ANSWER_MAX, &a->reply, &a->why) < 0)
        a->reply = NULL;
    if (!a->reply && !xeno_member_corp_refused(h)) {
        xeno_log_err(LOG_NOTICE, "corp.answer", &a->why, "status=%d", h->status);
        pay_done(d, (int)a->op.kind, true);
        asking_free(a);
        return;
    }
    a->terms = pay_terms(d);
    a->now_ms = pay_now(d);
    j = job_new(d, NULL, act_answered, a, asking_free);
    j->finish = finish_answered;
    job_submit(j);
}

static void kick_line(struct xstored *d, enum xeno_keep_kind kind)
{
    struct xstored_pay *p = d->pay;
    struct xeno_err err = XENO_ERR_INIT;
    struct asking *a;
    int r;

    if (p->lines[kind].busy || mono_ns(d) < p->lines[kind].after_ns)
        return;
    a = xeno_new0(struct asking);
    a->d = d;
    r = xeno_keep_next(d->view, xeno_member_key(d->member), kind, &a->op, &err);
    if (r < 0)
        xeno_log_err(LOG_ERR, "books", &err, "%s", "");
    if (r <= 0) {
        asking_free(a);
        return;
    }
    p->lines[kind].busy = true;
    pay_send(d, a->op.path, a->op.type, a->op.body, on_answer, a);
}

void pay_kick(struct xstored *d)
{
    if (!d->pay || !d->client)
        return;
    for (int kind = 0; kind < XENO_KEEP_KINDS; kind++)
        kick_line(d, (enum xeno_keep_kind)kind);
}

/* --- time --- */

struct tick {
    int64_t now_ms, interval_ms, grace_ms;
    bool look, costs;
    int deleted;
    bool more;
};

static int act_tick(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct tick *t = j->args;
    int r = xeno_keep_tick(db, t->interval_ms, t->now_ms, err);

    t->more = r > 0;
    if (r < 0 || !t->look)
        return r < 0 ? r : 0;
    r = t->costs ? xstored_meta_unpaid(db, t->now_ms, t->grace_ms, UNPAID_ROWS, err)
                 : xstored_meta_all_free(db, err);
    t->deleted = r > 0 ? r : 0;
    return r < 0 ? r : 0;
}

static void finish_tick(struct job *j)
{
    const struct tick *t = j->args;
    struct xstored *d = j->d;

    d->pay->ticking = false;
    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "pay.tick", &j->item.err, "again=soon");
    if (t->deleted > 0)
        xeno_log(LOG_NOTICE, "unpaid.deleted", "manifests=%d", t->deleted);
    if (j->item.result >= 0)
        pay_kick(d);
}

/* Is anything due? Asked of the loop's own connection, so that an idle store writes nothing. */
static bool is_due(struct xstored *d, int64_t now_ms)
{
    int64_t due = 0;

    return xeno_db_one_int(d->view, 0, &due, NULL,
                           "SELECT EXISTS (SELECT 1 FROM kept WHERE state = 2 AND end_ms <= $1)"
                           " OR EXISTS (SELECT 1 FROM kept WHERE state = 2 AND due_ms <= $1)",
                           "i", now_ms) == 0 &&
           due != 0;
}

void xstored_pay_tick(struct xstored *d)
{
    struct xstored_pay *p = d->pay;
    int64_t now = pay_now(d);
    bool look = mono_ns(d) >= p->look_ns;
    struct tick *t;
    struct job *j;

    pay_kick(d);
    pay_ask_audits(d);
    if (p->ticking || (!look && !is_due(d, now)))
        return;
    p->ticking = true;
    if (look)
        p->look_ns = mono_ns(d) + (d->opt.grace.ns / 4 < LOOK_NS ? d->opt.grace.ns / 4 : LOOK_NS);
    t = xeno_new0(struct tick);
    *t = (struct tick){ .now_ms = now,
                        .interval_ms = d->opt.charge_every.ns / XENO_NS_PER_MS,
                        .grace_ms = d->opt.grace.ns / XENO_NS_PER_MS,
                        .look = look,
                        .costs = d->opt.price.micro > 0 };
    j = job_new(d, NULL, act_tick, t, free);
    j->finish = finish_tick;
    j->item.weight = 256;
    job_submit(j);
}

int xstored_pay_open(struct xstored *d, struct xeno_err *err)
{
    int r = xeno_keep_open(d->books, err);

    d->pay = xeno_new0(struct xstored_pay);
    d->pay->mono_ms = -1;
    return r < 0 ? r : xeno_keep_clock(d->books, &d->pay->at_ms, err);
}

/* --- reading what is kept --- */

int pay_read(struct xstored *d, const char *digest, int64_t size, struct xeno_blocktree *tree,
             struct xeno_err *err)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    xeno_autofree char *buf = xeno_alloc0(1, 1 << 18);
    xeno_autoclose int fd = -1;
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int64_t there = 0;
    ssize_t n = 0;
    int r = d->objects->back->find(d->objects, digest, &fd, &there, err);

    if (r == -EAGAIN && d->objects->back->fetch)
        r = d->objects->back->fetch(d->objects, digest, size, &fd, err);
    if (r < 0)
        return r;
    for (int64_t at = 0; (n = pread(fd, buf, 1 << 18, at)) != 0; at += n > 0 ? n : 0) {
        if (n < 0 && errno != EINTR)
            break;
        if (n < 0)
            continue;
        xeno_sha256_add(sha, buf, (size_t)n);
        xeno_blocktree_add(tree, buf, (size_t)n);
    }
    xeno_sha256_end(sha, sum);
    xeno_digest_text(sum, have);
    if (n < 0 || strcmp(have, digest) != 0)
        return xeno_fail(err, -EBADMSG, "store.damaged", "%s cannot be read, or is damaged",
                         digest);
    return 0;
}
