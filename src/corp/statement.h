/* src/corp/statement.h - statements: the journal as a client and as a XenoServer read it.
 *
 * Amounts are signed from the reader's side; a line's balance is what the reader owned after it
 * (a client: free and held together; a XenoServer: earned). The amounts of all lines add up to the
 * ledger's account, and each line's balance is the one before it and its amount.
 */
#ifndef XENO_CORP_STATEMENT_H
#define XENO_CORP_STATEMENT_H

#include "corp/corp.h"
#include "doc/types.h"

#define XENO_STATEMENT_MAX  1000 /* lines in a page */
#define XENO_STATEMENT_TEXT 257

struct xeno_statement_line {
    int64_t entry, time_ms;
    const char *kind;   /* "fund", "order", "charge", "return" */
    int64_t amount;     /* change of what the reader owns; 0 when money only moved within */
    int64_t free, held; /* of a client: change of its free credit and of what orders hold */
    int64_t fee;        /* of a XenoServer: XenoCorp's part, not in amount */
    int64_t balance;
    char order[XENO_ORDER_ID_CHARS + 1]; /* "" when none, here and below */
    char session[XENO_SESSION_ID_CHARS + 1];
    char server[XENO_ID_CHARS + 1]; /* of a client's charge; a XenoServer is not told
                                       whose order it was */
    int64_t seq, from_ms, to_ms;    /* 0 when none */
    char text[XENO_STATEMENT_TEXT];
};

/* Up to `max` lines of party `id` after entry `after`, oldest first. Returns: how many.
 * Errors: -ENOENT registry.unknown. */
int xeno_statement(struct xeno_corp *corp, const char *id, int64_t after, int max,
                   struct xeno_statement_line *ret, struct xeno_err *err);

#endif
