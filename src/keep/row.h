/* src/keep/row.h - a certificate in the books, while it is worked on. Private to src/keep. */
#ifndef XENO_KEEP_ROW_H
#define XENO_KEEP_ROW_H

#include "bill/outbox.h"
#include "keep/keep.h"

enum { KEEP_ASKED = 1, KEEP_KEPT = 2, KEEP_ENDED = 3 };

#define KEEP_WHY 200

struct keep_row {
    int64_t n, state;
    int64_t size, copies, copy;
    int64_t price, tariff; /* as agreed */
    int64_t due_ms;        /* when it is charged next */
    int64_t epoch, budget; /* of the binding; budget: what the order had left then */
    int64_t rank;          /* when it was bound: the smaller, the older; 0: not */
    int64_t issued_ms, expires_ms, window_ms;
    int64_t from_ms, at_ms, end_ms; /* counted from, to; when it ends if nothing changes */
    int64_t paying;                 /* bytes it pays for now */
    int64_t total, rest;            /* MiB * ms, and bytes * ms below one */
    int64_t told;                   /* MiB * ms named in charges */
    int64_t charged, charged_to_ms, seq;
    int64_t posted, refused;
    int64_t release; /* the binding is to be released */
    char id[XENO_SESSION_ID_CHARS + 1];
    char owner[XENO_ID_CHARS + 1];
    char order[XENO_ORDER_ID_CHARS + 1];
    char digest[XENO_DIGEST_TEXT];
    char why[KEEP_WHY];
};

/* The first row that `where` finds, which has one parameter. Returns: 1; 0: none. */
int keep_find_text(struct xeno_db *db, const char *sql, const char *value, struct keep_row *ret,
                   struct xeno_err *err);
int keep_find_int(struct xeno_db *db, const char *sql, int64_t value, struct keep_row *ret,
                  struct xeno_err *err);
int keep_save(struct xeno_db *db, const struct keep_row *r, struct xeno_err *err);
int keep_clock(struct xeno_db *db, int64_t now_ms, struct xeno_err *err);
/* A text column of its own: doc, chain, receipt, reclaimed; the caller's, NULL when empty. */
int keep_text(struct xeno_db *db, int64_t n, const char *sql, char **ret, struct xeno_err *err);

#define KEEP_COLUMNS                                                                               \
    "n, state, size, copies, copy, price, tariff, due_ms, epoch, budget, rank, issued_ms,"         \
    " expires_ms, window_ms, from_ms, at_ms, end_ms, paying, total, rest, told, charged,"          \
    " charged_to_ms, seq, posted, refused, release_due, id, owner, ord, digest, why"
#define KEEP_SELECT "SELECT " KEEP_COLUMNS " FROM kept "
void keep_row_from(struct xeno_query *q, struct keep_row *ret);

/* --- run.c --- */
int64_t keep_owed(const struct keep_row *r);
void keep_advance(struct keep_row *r, int64_t to_ms);
void keep_plan(struct keep_row *r); /* end_ms, from what it pays for and has left */
int keep_paying(struct xeno_db *db, struct keep_row *r, struct xeno_err *err);
/* All ends up to now, in their order. Call it before any other change. Returns: 1: there are more
 * than are done at once. */
int keep_run_ends(struct xeno_db *db, int64_t now_ms, struct xeno_err *err);
/* It ends at that time: with a final charge, or with its binding released. */
int keep_end(struct xeno_db *db, struct keep_row *r, int64_t at_ms, bool final, const char *why,
             struct xeno_err *err);

#endif
