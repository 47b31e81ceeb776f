/* src/corp/statement.c - the journal from a party's side. */
#include "corp/statement.h"

#include <stdio.h>

#include "corp/internal.h"

static const char *const kinds[] = {
    [CORP_FUND] = "fund", [CORP_HOLD] = "order", [CORP_CHARGE] = "charge", [CORP_RETURN] = "return"
};

#define LINE_COLUMNS                                                                               \
    "SELECT e.n, e.time_ms, e.kind, e.amount, e.fee, e.c_after, e.s_after, o.id, s.name, p.id,"    \
    " e.seq, e.from_ms, e.to_ms, e.text FROM entry e LEFT JOIN orders o ON o.n = e.ord"            \
    " LEFT JOIN session s ON s.n = e.session LEFT JOIN party p ON p.n = e.server"

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}

/* What an entry did to a client: the legs of schema.h. */
static void client_side(struct xeno_statement_line *line, enum corp_entry_kind kind, int64_t amount)
{
    static const struct {
        int total, free, held;
    } legs[] = {
        [CORP_FUND] = { 1, 1, 0 },
        [CORP_HOLD] = { 0, -1, 1 },
        [CORP_CHARGE] = { -1, 0, -1 },
        [CORP_RETURN] = { 0, 1, -1 },
    };

    line->amount = legs[kind].total * amount;
    line->free = legs[kind].free * amount;
    line->held = legs[kind].held * amount;
}

static void line_from(struct xeno_query *q, bool server, struct xeno_statement_line *line)
{
    enum corp_entry_kind kind = (enum corp_entry_kind)xeno_query_col_int(q, 2);
    int64_t amount = xeno_query_col_int(q, 3), fee = xeno_query_col_int(q, 4);

    *line = (struct xeno_statement_line){
        .entry = xeno_query_col_int(q, 0),
        .time_ms = xeno_query_col_int(q, 1),
        .kind = kinds[kind],
        .balance = xeno_query_col_int(q, server ? 6 : 5),
        .seq = xeno_query_col_int(q, 10),
        .from_ms = xeno_query_col_int(q, 11),
        .to_ms = xeno_query_col_int(q, 12),
    };
    copy_text(line->order, sizeof line->order, xeno_query_col_text(q, 7));
    copy_text(line->session, sizeof line->session, xeno_query_col_text(q, 8));
    copy_text(line->text, sizeof line->text, xeno_query_col_text(q, 13));
    if (server) {
        line->amount = amount - fee;
        line->fee = fee;
    } else {
        client_side(line, kind, amount);
        copy_text(line->server, sizeof line->server, xeno_query_col_text(q, 9));
    }
}

int xeno_statement(struct xeno_corp *corp, const char *id, int64_t after, int max,
                   struct xeno_statement_line *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_party *p = NULL;
    bool server;
    int count = 0;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_seen(corp, corp_rows_flush(corp, err));
    if (r < 0)
        return r;
    server = p->kind != CORP_CLIENT;
    r = corp_query(corp, &q,
                   server ? LINE_COLUMNS " WHERE e.server = $1 AND e.n > $2 ORDER BY e.n LIMIT $3"
                          : LINE_COLUMNS " WHERE e.client = $1 AND e.n > $2 ORDER BY e.n LIMIT $3",
                   err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, p->n);
    xeno_query_int(&q, 2, after);
    xeno_query_int(&q, 3, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0)
        line_from(&q, server, &ret[count++]);
    return r < 0 ? r : count;
}
