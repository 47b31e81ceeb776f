/* src/corp/check.c - the invariants of ledger.h, each as a query that counts what breaks it.
 *
 * They share no code with what keeps the books: everything is added up again from the journal.
 */
#include <errno.h>
#include <inttypes.h>

#include "corp/ledger.h"
#include "corp/log.h"

static const struct {
    const char *rule, *sql;
} rules[] = {
    { "the sum over all accounts is zero",
      "SELECT CASE WHEN (SELECT coalesce(sum(balance), 0) FROM account)"
      " + (SELECT coalesce(sum(held), 0) FROM orders) = 0 THEN 0 ELSE 1 END" },
    { "issued is what was paid in",
      "SELECT count(*) FROM account WHERE kind = 1 AND balance <>"
      " -(SELECT coalesce(sum(amount), 0) FROM entry WHERE kind = 1)" },
    { "fees are the sum of the charges' fees",
      "SELECT count(*) FROM account WHERE kind = 2 AND balance <>"
      " (SELECT coalesce(sum(fee), 0) FROM entry WHERE kind = 3)" },
    { "a client's account is the sum of its entries",
      "SELECT count(*) FROM account a LEFT JOIN (SELECT client,"
      "  sum(CASE kind WHEN 1 THEN amount WHEN 2 THEN -amount WHEN 4 THEN amount ELSE 0 END) AS f,"
      "  sum(CASE kind WHEN 1 THEN amount WHEN 3 THEN -amount ELSE 0 END) AS t"
      "  FROM entry GROUP BY client) e ON e.client = a.n"
      " WHERE a.kind = 3 AND (a.balance <> coalesce(e.f, 0) OR a.total <> coalesce(e.t, 0))" },
    { "a client's total is free credit and what its orders hold",
      "SELECT count(*) FROM account a LEFT JOIN (SELECT client, sum(held) AS h FROM orders"
      "  GROUP BY client) o ON o.client = a.n"
      " WHERE a.kind = 3 AND a.total <> a.balance + coalesce(o.h, 0)" },
    { "a XenoServer's or node's account is the sum of its entries",
      "SELECT count(*) FROM account a LEFT JOIN (SELECT server, sum(amount - fee) AS s FROM entry"
      "  WHERE server IS NOT NULL GROUP BY server) e ON e.server = a.n"
      " WHERE a.kind IN (4, 5) AND (a.balance <> coalesce(e.s, 0) OR a.total <> a.balance)" },
    { "only issued is negative", "SELECT count(*) FROM account WHERE balance < 0 AND kind <> 1" },
    { "an order holds what was set aside, less charges and returns",
      "SELECT count(*) FROM orders o LEFT JOIN (SELECT ord,"
      "  sum(CASE kind WHEN 2 THEN amount ELSE -amount END) AS h,"
      "  sum(CASE kind WHEN 3 THEN amount ELSE 0 END) AS c,"
      "  sum(CASE kind WHEN 2 THEN amount ELSE 0 END) AS a, sum(coalesce(fee, 0)) AS f"
      "  FROM entry WHERE ord IS NOT NULL GROUP BY ord) e ON e.ord = o.n"
      " WHERE e.h IS NULL OR o.held <> e.h OR o.charged <> e.c OR o.amount <> e.a"
      "  OR e.f <> o.charged / 10000 * o.fee_bp + o.charged % 10000 * o.fee_bp / 10000" },
    { "no order is charged above its limit",
      "SELECT count(*) FROM orders WHERE charged > amount OR held < 0" },
    { "no order is charged above the total its chain allowed",
      "SELECT count(*) FROM binding b JOIN (SELECT ord, epoch, sum(amount) OVER"
      "  (PARTITION BY ord ORDER BY n) AS so_far FROM entry WHERE kind = 3) e"
      " ON e.ord = b.ord AND e.epoch = b.epoch WHERE e.so_far > b.max_total" },
    { "a charge is posted at most once",
      "SELECT count(*) FROM (SELECT 1 FROM entry WHERE kind = 3 GROUP BY session, seq"
      "  HAVING count(*) > 1) AS twice" },
    { "every charge names its server, session, epoch and document",
      "SELECT count(*) FROM entry e LEFT JOIN session s ON s.n = e.session"
      " LEFT JOIN binding b ON b.ord = e.ord AND b.epoch = e.epoch"
      " LEFT JOIN batch d ON d.n = e.batch"
      " WHERE e.kind = 3 AND (s.n IS NULL OR s.server <> e.server OR b.ord IS NULL"
      "  OR b.session <> e.session OR b.server <> e.server OR d.n IS NULL"
      "  OR d.server <> e.server)" },
    { "every entry of an order names the order's client",
      "SELECT count(*) FROM entry e LEFT JOIN orders o ON o.n = e.ord"
      " WHERE e.ord IS NOT NULL AND (o.n IS NULL OR o.client <> e.client)" },
    { "an order that ended holds nothing and returned its rest once; another never did",
      "SELECT count(*) FROM orders o LEFT JOIN (SELECT ord, count(*) AS c FROM entry"
      "  WHERE kind = 4 GROUP BY ord) e ON e.ord = o.n"
      " WHERE CASE WHEN o.state >= 3"
      "  THEN o.held <> 0 OR coalesce(e.c, 0) <> 1 OR o.closed_ms = 0 OR o.b_session <> 0"
      "  ELSE coalesce(e.c, 0) <> 0 OR o.held <> o.amount - o.charged END" },
    { "bindings to nodes have a certificate, others none, and no more are in force than copies",
      "SELECT count(*) FROM binding b JOIN party p ON p.n = b.server LEFT JOIN certificate c"
      " ON c.ord = b.ord AND c.epoch = b.epoch WHERE (c.n IS NULL) = (p.kind = 5)"
      " OR (b.how = 0 AND (SELECT count(*) FROM certificate d JOIN binding e ON e.ord = d.ord"
      "  AND e.epoch = d.epoch WHERE d.id = c.id AND d.client = c.client AND e.how = 0"
      "  AND d.copy = c.copy) > 1)" },
    { "only a certificate's payment is suspended, and after an audit that failed",
      "SELECT count(*) FROM orders o WHERE b_suspended_ms <> 0 AND NOT EXISTS (SELECT 1"
      " FROM certificate c JOIN challenge h ON h.cert = c.n WHERE c.ord = o.n"
      " AND c.epoch = o.epoch AND h.result IN (2, 3) AND h.made_ms = o.b_suspended_ms)" },
    { "nothing is charged for the time after an audit that failed, once that was known",
      "SELECT count(*) FROM entry e JOIN certificate c ON c.ord = e.ord AND c.epoch = e.epoch"
      " JOIN challenge h ON h.cert = c.n WHERE e.kind = 3 AND h.result IN (2, 3)"
      " AND e.to_ms > h.made_ms AND e.time_ms > h.ended_ms" },
    { "an order has one binding at most, under its newest epoch",
      "SELECT count(*) FROM orders o LEFT JOIN (SELECT ord, count(*) AS c, max(epoch) AS top,"
      "  sum(CASE WHEN how = 0 THEN 1 ELSE 0 END) AS live,"
      "  max(CASE WHEN how = 0 THEN epoch ELSE 0 END) AS at FROM binding GROUP BY ord) b"
      " ON b.ord = o.n WHERE o.epoch <> coalesce(b.top, 0)"
      "  OR coalesce(b.live, 0) <> (CASE WHEN o.b_session <> 0 THEN 1 ELSE 0 END)"
      "  OR (o.b_session <> 0 AND b.at <> o.epoch)" },
    { "a binding's sum is that of its charges",
      "SELECT count(*) FROM binding b JOIN orders o ON o.n = b.ord LEFT JOIN (SELECT ord, epoch,"
      "  sum(amount) AS s FROM entry WHERE kind = 3 GROUP BY ord, epoch) e"
      " ON e.ord = b.ord AND e.epoch = b.epoch WHERE coalesce(e.s, 0) <>"
      "  (CASE WHEN b.how = 0 THEN o.b_charged ELSE b.charged END)" },
    { "a client's statement adds up line by line",
      "SELECT count(*) FROM (SELECT c_after - lag(c_after, 1, 0) OVER"
      "  (PARTITION BY client ORDER BY n) AS by, kind, amount FROM entry) AS line"
      " WHERE by <> CASE kind WHEN 1 THEN amount WHEN 3 THEN -amount ELSE 0 END" },
    { "a XenoServer's statement adds up line by line",
      "SELECT count(*) FROM (SELECT s_after - lag(s_after, 1, 0) OVER"
      "  (PARTITION BY server ORDER BY n) AS by, amount, fee FROM entry"
      "  WHERE server IS NOT NULL) AS line WHERE by <> amount - fee" },
};

int xeno_ledger_check(struct xeno_db *db, struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(rules); i++) {
        int64_t bad = 0;
        int r = xeno_db_one_int(db, 0, &bad, err, rules[i].sql, "");

        if (r < 0)
            return r;
        if (bad != 0)
            return xeno_fail(err, -EUCLEAN, "ledger.broken",
                             "rule \"%s\" is broken %" PRId64 " times", rules[i].rule, bad);
    }
    return xeno_log_check(db, err);
}
