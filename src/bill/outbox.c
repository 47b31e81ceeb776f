/* src/bill/outbox.c - the rows of the outbox. */
#include "bill/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHARGE_TEXT_MAX 8192

int xeno_outbox_put(struct xeno_db *db, int64_t n, const struct xeno_charge *c,
                    struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *text = NULL;
    int r;

    r = xeno_charge_check(c, err);
    if (r < 0)
        return r;
    doc = xeno_charge_json(c);
    text = xeno_json_format(doc, false, NULL);
    r = xeno_db_run(db, err,
                    "INSERT INTO outbox (n, session, seq, amount, body)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    "itiit", n, c->session, c->seq, c->amount.micro, text);
    return r < 0 ? r : 0;
}

static int read_row(const char *text, struct xeno_charge *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    r = xeno_json_parse(text, strlen(text), CHARGE_TEXT_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    return xeno_charge_read(&top, ret, err);
}

/* The oldest charges, at most a batch full. Returns: how many, or a failure. */
static int read_oldest(struct xeno_db *db, struct xeno_charge *charges, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0, r;

    r = xeno_query_begin(db, &q, "SELECT body FROM outbox ORDER BY n LIMIT 100", err);
    if (r < 0)
        return r;
    while (count < XENO_CHARGE_BATCH_MAX && (r = xeno_query_step(&q, err)) > 0) {
        r = read_row(xeno_query_col_text(&q, 0), &charges[count], err);
        if (r < 0)
            return r;
        count++;
    }
    return r < 0 ? r : count;
}

int xeno_outbox_batch(struct xeno_db *db, const struct xeno_key *key, char **ret,
                      struct xeno_err *err)
{
    xeno_autofree struct xeno_charge *charges =
        xeno_new0_n(struct xeno_charge, XENO_CHARGE_BATCH_MAX);
    int count = read_oldest(db, charges, err), r;

    if (count <= 0)
        return count;
    r = xeno_charge_batch_sign(key, charges, (size_t)count, ret, err);
    return r < 0 ? r : count;
}

/* --- answers --- */

bool xeno_outbox_fenced(const char *token)
{
    static const char *const tokens[] = { "charge.order", "charge.epoch", "charge.server" };

    for (size_t i = 0; i < XENO_LEN(tokens); i++)
        if (strcmp(tokens[i], token) == 0)
            return true;
    return false;
}

static void read_error(const struct xeno_json_at *item, struct xeno_outbox_result *ret)
{
    struct xeno_json_at error;
    const char *token = "charge.refused", *detail = "";

    if (xeno_json_obj_opt(item, "error", &error, NULL) == 0) {
        (void)xeno_json_str_opt(&error, "type", 1, XENO_ERR_TOKEN_MAX - 1, &token, NULL);
        (void)xeno_json_str_opt(&error, "detail", 0, 4096, &detail, NULL);
    }
    ret->refused = true;
    snprintf(ret->token, sizeof(ret->token), "%s", token);
    snprintf(ret->detail, sizeof(ret->detail), "%s", detail);
}

int xeno_outbox_result(const struct xeno_json_at *item, struct xeno_outbox_result *ret)
{
    const char *session, *status;
    int r;

    *ret = (struct xeno_outbox_result){ .seq = 0 };
    r = xeno_json_str(item, "session", 1, XENO_SESSION_ID_CHARS, &session, NULL);
    if (r == 0)
        r = xeno_json_int(item, "seq", 1, INT64_MAX, &ret->seq, NULL);
    if (r == 0)
        r = xeno_json_str(item, "status", 1, 16, &status, NULL);
    if (r < 0)
        return r;
    snprintf(ret->session, sizeof ret->session, "%s", session);
    if (strcmp(status, "refused") == 0)
        read_error(item, ret);
    else if (strcmp(status, "posted") != 0 && strcmp(status, "repeated") != 0)
        return -EINVAL;
    return 0;
}

/* Which order a charge in the outbox is on, and its amount. Returns: 1, or 0 when it is gone. */
static int look_up(struct xeno_db *db, struct xeno_outbox_result *res, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_charge c;
    int r;

    r = xeno_query_begin(db, &q, "SELECT body FROM outbox WHERE session = $1 AND seq = $2", err);
    if (r < 0)
        return r;
    xeno_query_text(&q, 1, res->session);
    xeno_query_int(&q, 2, res->seq);
    r = xeno_query_step(&q, err);
    if (r <= 0)
        return r;
    r = read_row(xeno_query_col_text(&q, 0), &c, err);
    if (r < 0)
        return r;
    memcpy(res->order, c.order, sizeof(res->order));
    res->amount = c.amount.micro;
    res->final = c.final;
    return 1;
}

int xeno_outbox_settle(struct xeno_db *db, struct xeno_outbox_result *res, int64_t now_ms,
                       struct xeno_err *err)
{
    int r = look_up(db, res, err);

    if (r <= 0)
        return r;
    r = xeno_db_run(db, err, "DELETE FROM outbox WHERE session = $1 AND seq = $2", "ti",
                    res->session, res->seq);
    if (r >= 0 && res->refused)
        r = xeno_db_run(db, err,
                        "INSERT INTO refused (session, seq, amount, token, detail, time_ms)"
                        " VALUES ($1, $2, $3, $4, $5, $6)",
                        "tiitti", res->session, res->seq, res->amount, res->token, res->detail,
                        now_ms);
    return r < 0 ? r : 1;
}

struct xeno_json *xeno_outbox_refused(struct xeno_db *db, const char *session)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_json *list = xeno_json_array();

    if (xeno_query_begin(db, &q,
                         "SELECT seq, amount, token, detail, time_ms FROM refused"
                         " WHERE session = $1 ORDER BY seq LIMIT 100",
                         NULL) < 0)
        return list;
    xeno_query_text(&q, 1, session);
    while (xeno_query_step(&q, NULL) > 0) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_int(o, "seq", xeno_query_col_int(&q, 0));
        xeno_json_set_int(o, "amount", xeno_query_col_int(&q, 1));
        xeno_json_set_str(o, "type", xeno_query_col_text(&q, 2));
        xeno_json_set_str(o, "detail", xeno_query_col_text(&q, 3));
        xeno_json_set_int(o, "time_ms", xeno_query_col_int(&q, 4));
        xeno_json_append(list, o);
    }
    return list;
}
