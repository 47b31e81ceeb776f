/* src/keep/keep.c - certificates arrive, and are reclaimed. */
#include "keep/keep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keep/row.h"

/* --- arriving --- */

static int insert(struct xeno_db *db, const struct xeno_writecert *c, const char *text,
                  const char *chain, const char *order, const struct xeno_pub *holder,
                  const struct xeno_keep_terms *terms, struct xeno_err *err)
{
    char key[XENO_PUB_TEXT];
    int r;

    xeno_pub_text(holder, key);
    r = xeno_db_run(
        db, err,
        "INSERT INTO kept (state, size, copies, copy, price, tariff, due_ms, epoch, budget, rank,"
        " issued_ms, expires_ms, window_ms, from_ms, at_ms, end_ms, paying, total, rest, told,"
        " charged, charged_to_ms, seq, posted, refused, release_due, id, owner, ord, digest, why,"
        " holder, doc, chain, receipt, reclaimed)"
        " VALUES (1, $1, $2, 0, $3, $4, 0, 0, 0, 0, $5, $6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,"
        " 0, $7, $8, $9, $10, '', $11, $12, $13, '', '')",
        "iiiiiittttttt", c->size, c->copies, terms->price, terms->tariff,
        c->issued.ns / XENO_NS_PER_MS, c->expires.ns / XENO_NS_PER_MS, c->id, c->owner.s, order,
        c->digest, key, text, chain);
    for (size_t i = 0; i < c->count && r >= 0; i++)
        r = xeno_db_run(db, err,
                        "INSERT INTO certified (cert, digest, size)"
                        " SELECT n, $2, $3 FROM kept WHERE id = $1",
                        "tti", c->id, c->objects[i].digest, c->objects[i].size);
    return r < 0 ? r : 0;
}

int xeno_keep_add(struct xeno_db *db, const struct xeno_writecert *c, const char *text,
                  const char *chain, const char *order, const struct xeno_pub *holder,
                  const struct xeno_keep_terms *terms, int64_t now_ms, struct xeno_err *err)
{
    xeno_autofree char *known = NULL;
    struct keep_row row = { .n = 0 };
    int64_t have = 0;
    int r = keep_clock(db, now_ms, err);

    if (r == 0)
        r = keep_find_text(db, KEEP_SELECT "WHERE id = $1", c->id, &row, err);
    if (r > 0)
        r = keep_text(db, row.n, "SELECT doc FROM kept WHERE n = $1", &known, err);
    if (r < 0)
        return r;
    if (known && strcmp(known, text) == 0)
        return 0;
    if (known)
        return xeno_fail(err, -EEXIST, "storage.certificate", "another certificate is %s", c->id);
    r = xeno_db_one_int(db, 0, &have, err,
                        "SELECT count(*) FROM kept WHERE owner = $1 AND state < 3", "t",
                        c->owner.s);
    if (r < 0)
        return r;
    if (have >= terms->most)
        return xeno_fail(err, -EPERM, "store.certificates",
                         "an owner may have %" PRId64 " certificates here: reclaim one first",
                         terms->most);
    r = insert(db, c, text, chain, order, holder, terms, err);
    return r < 0 ? r : 1;
}

/* --- letting go --- */

static int reclaim_kept(struct xeno_db *db, const struct xeno_key *store, struct keep_row *row,
                        int64_t now_ms, char **ret, struct xeno_err *err)
{
    struct xeno_reclaim_receipt receipt = { .from = xeno_ms(row->from_ms) };
    xeno_autofree char *text = NULL;
    int r = keep_end(db, row, now_ms, true, "reclaimed", err);

    if (r < 0)
        return r;
    receipt.to = xeno_ms(row->at_ms);
    receipt.charged = xeno_micro(row->charged);
    receipt.rest = xeno_micro(row->budget - row->charged);
    snprintf(receipt.owner.s, sizeof receipt.owner.s, "%s", row->owner);
    snprintf(receipt.certificate, sizeof receipt.certificate, "%s", row->id);
    snprintf(receipt.order, sizeof receipt.order, "%s", row->order);
    text = xeno_reclaim_receipt_sign(store, &receipt);
    r = xeno_db_run(db, err, "UPDATE kept SET reclaimed = $1 WHERE n = $2", "ti", text, row->n);
    if (r < 0)
        return r;
    *ret = xeno_take(&text);
    return 0;
}

/* Is it signed by who signed the certificate, and about it? */
static int check_reclaim(struct xeno_db *db, const struct keep_row *row, const char *text,
                         struct xeno_err *err)
{
    xeno_autofree char *holder = NULL;
    struct xeno_reclaim reclaim;
    struct xeno_pub pub;
    int r = keep_text(db, row->n, "SELECT holder FROM kept WHERE n = $1", &holder, err);

    if (r == 0 && (!holder || !xeno_pub_parse(holder, &pub)))
        r = xeno_fail(err, -EIO, "storage.row", "the key of a holder is damaged");
    if (r == 0)
        r = xeno_reclaim_read(text, strlen(text), &pub, &reclaim, err);
    if (r == 0 && strcmp(reclaim.certificate, row->id) != 0)
        r = xeno_fail(err, -ENOENT, "storage.unknown", "it reclaims %s", reclaim.certificate);
    return r;
}

int xeno_keep_reclaim(struct xeno_db *db, const struct xeno_key *store, const char *id,
                      const char *text, int64_t now_ms, char **ret, struct xeno_err *err)
{
    struct keep_row row;
    int r;

    while ((r = keep_run_ends(db, now_ms, err)) > 0)
        ;
    if (r == 0)
        r = keep_find_text(db, KEEP_SELECT "WHERE id = $1", id, &row, err);
    if (r < 0)
        return r;
    if (r == 0)
        return xeno_fail(err, -ENOENT, "storage.unknown", "there is no certificate %.40s here", id);
    r = check_reclaim(db, &row, text, err);
    if (r < 0)
        return r;
    if (row.state == KEEP_ASKED)
        return xeno_fail(err, -EAGAIN, "storage.asked",
                         "the XenoCorp has not answered yet whether %s is paid for", row.id);
    if (row.state == KEEP_KEPT)
        return reclaim_kept(db, store, &row, now_ms, ret, err);
    r = keep_text(db, row.n, "SELECT reclaimed FROM kept WHERE n = $1", ret, err);
    if (r == 0 && !*ret)
        r = xeno_fail(err, -EALREADY, "storage.ended", "certificate %s has ended: %s", row.id,
                      row.why);
    return r;
}
