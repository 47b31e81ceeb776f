/* src/corp/complaints.c - taking complaints, and telling of them. */
#include "corp/complaints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "corp/internal.h"
#include "crypto/jws.h"
#include "xis/advert.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct xeno_complaint_checked {
    struct xeno_json *doc; /* what `c` borrows from */
    struct xeno_complaint c;
    int64_t version;
    char *text;
    char sha[2 * 8 + 1]; /* the first bytes of its hash */
};

void xeno_complaint_checked_free(struct xeno_complaint_checked *c)
{
    if (!c)
        return;
    xeno_json_unref(c->doc);
    free(c->text);
    free(c);
}

/* --- the evidence --- */

static int check_receipt(const char *text, const struct xeno_pub *server, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    int r = xeno_jws_parse(text, strlen(text), &jws, err);

    if (r == 0 && strncmp(jws->typ, "xeno-", 5) != 0)
        r = xeno_fail(err, -EPERM, "jws.typ", "it is of type '%s', none of ours", jws->typ);
    return r < 0 ? r : xeno_jws_check(jws, jws->typ, server, err);
}

static int check_evidence(struct xeno_complaint_checked *c, struct xeno_err *err)
{
    xeno_auto(xeno_advert) advert = NULL;
    xeno_auto(xeno_advert) merged = NULL;
    int r = xeno_advert_open(c->c.advert, strlen(c->c.advert), &advert, err);

    if (r == 0 && (advert->withdrawn || strcmp(advert->id.s, c->c.server.s) != 0))
        r = xeno_fail(err, -EPERM, "complaint.evidence", "it is not what %s advertised",
                      c->c.server.s);
    if (r == 0 && c->c.delta)
        r = xeno_advert_merge(advert, c->c.delta, strlen(c->c.delta), &merged, err);
    if (r < 0)
        return xeno_context(err, r, "advert");
    c->version = merged ? merged->version : advert->version;
    for (size_t i = 0; i < c->c.receipt_count; i++) {
        r = check_receipt(c->c.receipts[i], &advert->key, err);
        if (r < 0)
            return xeno_context(err, r, "receipts[%zu]", i);
    }
    return 0;
}

int xeno_complaint_check(const char *text, size_t len, const struct xeno_pub *client,
                         struct xeno_complaint_checked **ret, struct xeno_err *err)
{
    xeno_auto(xeno_complaint_checked) c = xeno_new0(struct xeno_complaint_checked);
    uint8_t sha[32];
    int r = xeno_complaint_read(text, len, client, &c->doc, &c->c, err);

    if (r == 0)
        r = check_evidence(c, err);
    if (r < 0)
        return r;
    c->text = xeno_strndup(text, len);
    xeno_sha256_of(text, len, sha);
    xeno_hex(sha, (sizeof c->sha - 1) / 2, c->sha);
    *ret = xeno_take(&c);
    return 0;
}

/* --- filing --- */

/* Was it ever the client's? Then *ret is the session's number. */
static int had_session(struct xeno_corp *corp, const struct corp_party *client,
                       const struct corp_party *server, const char *name, int64_t *ret,
                       struct xeno_err *err)
{
    struct corp_session *s = NULL;
    int64_t count = 0;
    int r = corp_session(corp, server->n, name, &s, err);

    if (r == 0 && s)
        r = corp_one(corp, 0, &count, err,
                     "SELECT count(*) FROM binding b JOIN orders o ON o.n = b.ord"
                     " WHERE b.session = $1 AND o.client = $2",
                     "ii", s->n, client->n);
    if (r < 0)
        return r;
    if (count == 0)
        return xeno_fail(err, -ENOENT, "complaint.session",
                         "no order of yours ever paid for a session %s at %s", name, server->id);
    *ret = s->n;
    return 0;
}

/* The number of the complaint about that session; 0: there is none, and may be one.
 * Errors: complaint.twice, complaint.rate. */
static int may_file(struct xeno_corp *corp, const struct xeno_complaint_checked *c,
                    const struct corp_party *client, int64_t session, int64_t *ret,
                    struct xeno_err *err)
{
    int64_t n = 0, same = 0, today = 0;
    int r = corp_one(corp, 0, &n, err, "SELECT n FROM complaint WHERE client = $1 AND session = $2",
                     "ii", client->n, session);

    if (r == 0 && n != 0)
        r = corp_one(corp, 0, &same, err,
                     "SELECT count(*) FROM complaint WHERE n = $1 AND doc = $2", "it", n, c->text);
    if (r < 0)
        return r;
    *ret = n;
    if (n != 0)
        return same ? 0
                    : xeno_fail(err, -EEXIST, "complaint.twice",
                                "there is a complaint of yours about this session: number %" PRId64,
                                n);
    r = corp_one(corp, 0, &today, err,
                 "SELECT count(*) FROM complaint WHERE client = $1 AND time_ms > $2", "ii",
                 client->n, xeno_corp_now_ms(corp) - DAY_MS);
    if (r == 0 && today >= XENO_COMPLAINTS_A_DAY)
        r = xeno_fail(err, -EUSERS, "complaint.rate", "at most %d complaints a day",
                      XENO_COMPLAINTS_A_DAY);
    return r;
}

static int write_down(struct xeno_corp *corp, const struct xeno_complaint_checked *c,
                      const struct corp_party *client, const struct corp_party *server,
                      int64_t session, int64_t *ret_n, struct xeno_err *err)
{
    const char *about = xeno_complaint_word(c->c.about);
    xeno_autofree char *detail = xeno_asprintf("%s %s %s", about, c->c.session, c->sha);
    int64_t count = 0;
    int r = corp_one(corp, 0, &count, err, "SELECT count(*) FROM complaint WHERE server = $1", "i",
                     server->n);

    if (r == 0)
        r = corp_one(corp, 0, ret_n, err,
                     "INSERT INTO complaint"
                     " (client, server, session, about, version, count, time_ms, doc)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING n",
                     "iiitiiit", client->n, server->n, session, about, c->version, count + 1,
                     xeno_corp_now_ms(corp), c->text);
    return r < 0 ? r : corp_audit(corp, client->id, "complaint", server->id, detail, err);
}

int xeno_complaint_file(struct xeno_corp *corp, const struct xeno_complaint_checked *c,
                        int64_t *ret_n, struct xeno_err *err)
{
    struct corp_party *client = NULL, *server = NULL;
    int64_t session = 0, n = 0;
    int r = corp_party_of_kind(corp, c->c.client.s, CORP_CLIENT, &client, err);

    if (r == 0)
        r = corp_party_of_kind(corp, c->c.server.s, CORP_SERVER, &server, err);
    if (r == 0)
        r = had_session(corp, client, server, c->c.session, &session, err);
    if (r == 0)
        r = may_file(corp, c, client, session, &n, err);
    if (r == 0 && n == 0)
        r = write_down(corp, c, client, server, session, &n, err);
    if (r < 0)
        return r;
    *ret_n = n;
    return 0;
}

/* --- telling --- */

#define COLUMNS "SELECT c.n, c.time_ms, s.id, p.id, e.name, c.about, c.version, c.count, "
#define JOINS                                                                                      \
    " FROM complaint c JOIN party s ON s.n = c.server JOIN party p ON p.n = c.client"              \
    " JOIN session e ON e.n = c.session"

static void from_row(struct xeno_query *q, struct xeno_complaint_row *ret)
{
    ret->n = xeno_query_col_int(q, 0);
    ret->time_ms = xeno_query_col_int(q, 1);
    snprintf(ret->server, sizeof ret->server, "%s", xeno_query_col_text(q, 2));
    snprintf(ret->client, sizeof ret->client, "%s", xeno_query_col_text(q, 3));
    snprintf(ret->session, sizeof ret->session, "%s", xeno_query_col_text(q, 4));
    ret->about = XENO_COMPLAINT_OTHER;
    (void)xeno_complaint_about_parse(xeno_query_col_text(q, 5), &ret->about);
    ret->version = xeno_query_col_int(q, 6);
    ret->count = xeno_query_col_int(q, 7);
}

int xeno_complaints(struct xeno_corp *corp, int64_t after, int max, struct xeno_complaint_row *ret,
                    struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_query(corp, &q, COLUMNS "''" JOINS " WHERE c.n > $1 ORDER BY c.n LIMIT $2", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, after);
    xeno_query_int(&q, 2, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0)
        from_row(&q, &ret[count++]);
    return r < 0 ? r : count;
}

int xeno_complaint_get(struct xeno_corp *corp, int64_t n, struct xeno_complaint_row *ret,
                       char **ret_document, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = corp_query(corp, &q, COLUMNS "c.doc" JOINS " WHERE c.n = $1", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, n);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return xeno_fail(err, -ENOENT, "complaint.unknown", "there is no complaint %" PRId64, n);
    from_row(&q, ret);
    *ret_document = xeno_strdup(xeno_query_col_text(&q, 8));
    return 0;
}
