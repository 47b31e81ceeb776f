/* src/corp/log-priv.h - how the log lies in its tables, and its end in memory. Private to src/corp.
 *
 *   log_hash     n = (15 - level) << 48 | index: hashes of nodes `index` and on of height
 *                6 * level, up to LOG_ROW in a row. Leaves have the highest numbers, since a row
 *                after all others is the cheapest to insert.
 *   log_act      text of leaves that are not charges; `party` (0: none) may read it, and of a
 *                binding (its columns leaf, end_leaf) the sponsor of the order
 *   log_charges  `count` charges, from journal entry `entry` on, are the leaves from `leaf` on
 *   log_head     heads that were signed, one a minute at most: what --check holds the tree against
 */
#ifndef XENO_CORP_LOG_PRIV_H
#define XENO_CORP_LOG_PRIV_H

#include "corp/internal.h"
#include "corp/log.h"

#define LOG_STRIDE 6
#define LOG_LEVELS 8   /* of heights 0, 6, ... 42 */
#define LOG_ROW    126 /* hashes in a row: it fills a page of the database */

/* Nodes of one level that are in no row yet. */
struct log_level {
    int64_t first;
    int count;
    struct xeno_hash pending[LOG_ROW];
};

struct corp_log {
    int64_t size;               /* leaves, with those of the open group */
    struct xeno_hash peaks[49]; /* [h]: the complete subtree of 2^h leaves; where size has bit h */
    struct log_level levels[LOG_LEVELS];
    int64_t run_leaf, run_entry, run_count; /* charges in no row of log_charges yet */

    struct xeno_log_head head; /* of what is committed */
    char *head_text;           /* owned */
    int64_t kept_ms;           /* time of the newest head in log_head */
};

static inline int64_t log_key(int level, int64_t index)
{
    return (int64_t)(15 - level) << 48 | index;
}

/* Stored nodes as a source for proofs; rows only, so what is asked for must be committed. */
struct log_source {
    struct xeno_db *db;
};
struct xeno_tree log_tree(struct log_source *s);

/* The columns of a charge's leaf, from 0: server, order, epoch, session, seq, from_ms, to_ms,
 * tariff, amount, sha. */
#define LOG_CHARGE_COLUMNS                                                                         \
    "sp.id, o.id, e.epoch, s.name, e.seq, e.from_ms, e.to_ms, e.tariff, e.amount, e.sha"
#define LOG_CHARGE_JOINS                                                                           \
    " JOIN orders o ON o.n = e.ord JOIN session s ON s.n = e.session"                              \
    " JOIN party sp ON sp.n = e.server"
size_t log_charge_text(struct xeno_query *q, int column, char out[XENO_LEAF_MAX]);

#endif
