/* src/keep/talk.c - what is asked of the XenoCorp, and what follows from its answers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keep/row.h"

#define HOUR_MS INT64_C(3600000)

void xeno_keep_op_release(struct xeno_keep_op *op)
{
    free(xeno_take(&op->body));
}

/* --- asking --- */

static int validate_body(struct xeno_db *db, const struct keep_row *row, char **ret,
                         struct xeno_err *err)
{
    xeno_autofree char *chain = NULL, *doc = NULL, *holder = NULL;
    xeno_auto(xeno_json) body = xeno_json_object();
    int r = keep_text(db, row->n, "SELECT chain FROM kept WHERE n = $1", &chain, err);

    if (r == 0)
        r = keep_text(db, row->n, "SELECT doc FROM kept WHERE n = $1", &doc, err);
    if (r == 0)
        r = keep_text(db, row->n, "SELECT holder FROM kept WHERE n = $1", &holder, err);
    if (r < 0)
        return r;
    xeno_json_set_str(body, "chain", chain);
    xeno_json_set_str(body, "session", row->id);
    xeno_json_set_int(body, "epoch", 0);
    xeno_json_set_str(body, "env_type", XENO_STORAGE_ENV);
    xeno_json_set_int(body, "rate_per_hour", xeno_stored_cost(row->size, row->price, HOUR_MS));
    xeno_json_set_str(body, "holder", holder);
    xeno_json_set_str(body, "certificate", doc);
    *ret = xeno_json_format(body, false, NULL);
    return 1;
}

static int next_validate(struct xeno_db *db, struct xeno_keep_op *op, struct xeno_err *err)
{
    struct keep_row row;
    int r =
        keep_find_int(db, KEEP_SELECT "WHERE state = $1 ORDER BY n LIMIT 1", KEEP_ASKED, &row, err);

    if (r <= 0)
        return r;
    op->path = "/v1/validate";
    op->type = "application/json";
    memcpy(op->id, row.id, sizeof op->id);
    return validate_body(db, &row, &op->body, err);
}

/* Only when all of its charges are settled: what was kept before is paid. */
static int next_release(struct xeno_db *db, struct xeno_keep_op *op, struct xeno_err *err)
{
    xeno_auto(xeno_json) body = NULL;
    struct keep_row row;
    int r = keep_find_int(db,
                          KEEP_SELECT "WHERE release_due = $1 AND NOT EXISTS (SELECT 1 FROM outbox"
                                      " WHERE session = kept.id) ORDER BY n LIMIT 1",
                          1, &row, err);

    if (r <= 0)
        return r;
    op->path = "/v1/validate/release";
    op->type = "application/json";
    memcpy(op->id, row.id, sizeof op->id);
    body = xeno_json_object();
    xeno_json_set_str(body, "order", row.order);
    xeno_json_set_str(body, "session", row.id);
    op->body = xeno_json_format(body, false, NULL);
    return 1;
}

int xeno_keep_next(struct xeno_db *db, const struct xeno_key *store, enum xeno_keep_kind kind,
                   struct xeno_keep_op *ret, struct xeno_err *err)
{
    int r;

    *ret = (struct xeno_keep_op){ .kind = kind };
    switch (kind) {
    case XENO_KEEP_VALIDATE:
        return next_validate(db, ret, err);
    case XENO_KEEP_RELEASE:
        return next_release(db, ret, err);
    case XENO_KEEP_CHARGES:
        ret->path = "/v1/charges";
        ret->type = "application/jose";
        r = xeno_outbox_batch(db, store, &ret->body, err);
        return r > 0 ? 1 : r;
    }
    return 0;
}

/* --- the order is bound, or not --- */

static int not_bound(struct xeno_db *db, struct keep_row *row, const struct xeno_err *why,
                     struct xeno_err *err)
{
    row->state = KEEP_ENDED;
    row->release = 1;
    row->paying = row->rank = row->copy = 0;
    snprintf(row->why, sizeof row->why, "%s: %.150s", why->token, why->text);
    return keep_save(db, row, err);
}

static int receipt(struct xeno_db *db, const struct xeno_key *store, const struct keep_row *row,
                   struct xeno_err *err)
{
    struct xeno_store_receipt r = { .size = row->size,
                                    .copy = row->copy,
                                    .epoch = row->epoch,
                                    .tariff = row->tariff,
                                    .price = { row->price },
                                    .from = xeno_ms(row->from_ms),
                                    .expires = xeno_ms(row->expires_ms) };
    xeno_autofree char *text = NULL;
    int e;

    snprintf(r.owner.s, sizeof r.owner.s, "%s", row->owner);
    snprintf(r.certificate, sizeof r.certificate, "%s", row->id);
    snprintf(r.digest, sizeof r.digest, "%s", row->digest);
    snprintf(r.order, sizeof r.order, "%s", row->order);
    text = xeno_store_receipt_sign(store, &r);
    e = xeno_db_run(db, err, "UPDATE kept SET receipt = $1, chain = '' WHERE n = $2", "ti", text,
                    row->n);
    return e < 0 ? e : 0;
}

static int read_bound(const struct xeno_json *reply, struct keep_row *row, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(reply);
    int r = xeno_json_int(&top, "epoch", 1, INT64_MAX, &row->epoch, err);

    if (r == 0)
        r = xeno_json_int(&top, "left", 0, XENO_CREDIT_MAX, &row->budget, err);
    if (r == 0)
        r = xeno_json_int(&top, "expires_ms", 0, XENO_DOC_MS_MAX, &row->window_ms, err);
    if (r == 0)
        r = xeno_json_int(&top, "copy", 1, XENO_WRITECERT_COPIES, &row->copy, err);
    return r < 0 ? -EPROTO : 0;
}

static int begin(struct xeno_db *db, const struct xeno_key *store, struct keep_row *row,
                 const struct xeno_keep_terms *terms, int64_t now_ms, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int64_t last = 0;
    int r = xeno_db_one_int(db, 0, &last, err, "SELECT max(rank) FROM kept", "");

    if (r < 0)
        return r;
    row->rank = last + 1;
    row->from_ms = row->at_ms = row->charged_to_ms = now_ms;
    row->due_ms = now_ms + terms->interval_ms;
    r = keep_paying(db, row, err);
    if (r < 0)
        return r;
    keep_plan(row);
    if (row->end_ms < now_ms + terms->interval_ms && row->end_ms < row->expires_ms) {
        xeno_fail(&why, -EDQUOT, "order.too-small",
                  "the order leaves %" PRId64 " micro-credits until %" PRId64
                  " ms, which is less than one interval of charges",
                  row->budget, row->window_ms);
        return not_bound(db, row, &why, err);
    }
    row->state = KEEP_KEPT;
    r = keep_save(db, row, err);
    return r < 0 ? r : receipt(db, store, row, err);
}

static int validated(struct xeno_db *db, const struct xeno_key *store,
                     const struct xeno_keep_op *op, const struct xeno_json *reply,
                     const struct xeno_err *why, const struct xeno_keep_terms *terms,
                     int64_t now_ms, struct xeno_err *err)
{
    struct keep_row row;
    int r = keep_find_text(db, KEEP_SELECT "WHERE id = $1", op->id, &row, err);

    if (r <= 0 || row.state != KEEP_ASKED)
        return r < 0 ? r : 0; /* an answer that was repeated */
    if (!reply) /* it may be bound by an answer that was lost, and refused since it took too long */
        return not_bound(db, &row, why, err);
    r = read_bound(reply, &row, err);
    return r < 0 ? r : begin(db, store, &row, terms, now_ms, err);
}

/* --- charges were taken, or not --- */

static int settled(struct xeno_db *db, const struct xeno_outbox_result *res, int64_t now_ms,
                   struct xeno_err *err)
{
    struct keep_row row;
    char why[KEEP_WHY];
    int r = keep_find_text(db, KEEP_SELECT "WHERE id = $1", res->session, &row, err);

    if (r <= 0)
        return r;
    if (res->refused)
        row.refused += res->amount;
    else
        row.posted += res->amount;
    if (!res->refused)
        return keep_save(db, &row, err);
    snprintf(why, sizeof why, "%s: %.150s", res->token, res->detail);
    if (row.state == KEEP_KEPT)
        return keep_end(db, &row, now_ms, false, why, err);
    row.release = row.release || res->final;
    return keep_save(db, &row, err);
}

static int charged(struct xeno_db *db, const struct xeno_json *reply, int64_t now_ms,
                   struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(reply), list;
    size_t count = 0;
    int r = xeno_json_arr(&top, "results", XENO_CHARGE_BATCH_MAX, &list, &count, err), done = 0;

    for (size_t i = 0; r >= 0 && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);
        struct xeno_outbox_result res;

        if (xeno_outbox_result(&item, &res) < 0)
            continue;
        r = xeno_outbox_settle(db, &res, now_ms, err);
        if (r <= 0)
            continue;
        done++;
        r = settled(db, &res, now_ms, err);
    }
    if (r == 0 && done == 0)
        r = xeno_fail(err, -EPROTO, "storage.answer", "the answer settles none of what was sent");
    return r < 0 ? r : 0;
}

/* --- all of them --- */

int xeno_keep_answered(struct xeno_db *db, const struct xeno_key *store,
                       const struct xeno_keep_op *op, const struct xeno_json *reply,
                       const struct xeno_err *why, const struct xeno_keep_terms *terms,
                       int64_t now_ms, struct xeno_err *err)
{
    int r;

    while ((r = keep_run_ends(db, now_ms, err)) > 0)
        ;
    if (r < 0)
        return r;
    switch (op->kind) {
    case XENO_KEEP_VALIDATE:
        return validated(db, store, op, reply, why, terms, now_ms, err);
    case XENO_KEEP_CHARGES:
        /* A batch that is refused as a whole is owed all the same: again, later. */
        return reply
                   ? charged(db, reply, now_ms, err)
                   : xeno_fail(err, -EPROTO, "storage.answer", "%s: %.150s", why->token, why->text);
    case XENO_KEEP_RELEASE:
        r = xeno_db_run(db, err, "UPDATE kept SET release_due = 0 WHERE id = $1", "t", op->id);
        return r < 0 ? r : 0;
    }
    return 0;
}
