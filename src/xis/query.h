/* src/xis/query.h - what is asked of adverts: one language for lookups in XIS and constraints in
 * RD.
 *
 * A query is a tree of JSON (RFC 0016, 3): clauses over one token each, and `and`, `or`, `not`:
 *
 *   {"token":"CPUmsps","min":100,"max":150}       a number in that range, inclusive
 *   {"token":"EnvType","is":"Linux"}              this text, or this number
 *   {"token":"EnvType","in":["Linux","Xen"]}      one of these
 *   {"token":"Name","from":"a","to":"b"}          a string in that range, bytewise, inclusive
 *   {"token":"Location/Country","exists":true}    it is told at all
 *   {"and":[q,..]} {"or":[q,..]} {"not":q}
 *
 * Total and three-valued: a clause about a token that is missing, or a number asked of what has
 * only strings (and the other way round), is unknown; `not` of unknown is unknown; an `and` with a
 * false part is false, an `or` with a true part is true. `exists` is never unknown. A token with
 * several values makes a clause true when any of them does. Only true matches.
 *
 * A text that is a number as adverts have them (xeno_advert_is_number()) is that number, also where
 * it is given as a string: adverts know no strings of that kind.
 *
 * A tree is read-only once read and may be evaluated by any number of threads. Pure.
 */
#ifndef XENO_XIS_QUERY_H
#define XENO_XIS_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"

#define XENO_QUERY_NODES  64
#define XENO_QUERY_DEPTH  8           /* a clause by itself is 1 deep */
#define XENO_QUERY_VALUES 64          /* of one "in" */
#define XENO_QUERY_BYTES  (64 * 1024) /* of all tokens and texts in it */

enum xeno_truth { XENO_FALSE, XENO_TRUE, XENO_UNKNOWN };

enum xeno_query_op {
    XENO_QUERY_AND,
    XENO_QUERY_OR,
    XENO_QUERY_NOT,
    XENO_QUERY_NUMBERS, /* min to max */
    XENO_QUERY_STRINGS, /* from to to */
    XENO_QUERY_IN,      /* one of values; "is" has one */
    XENO_QUERY_EXISTS,
};

/* A value as adverts have it: text where it is no number. */
struct xeno_query_value {
    bool number;
    double n;
    const char *text; /* NULL for a number */
};

/* Nodes stand in preorder: a node's parts are node + 1, then each part's `end`, below its own. */
struct xeno_query_node {
    enum xeno_query_op op;
    unsigned depth;        /* 0 at the top */
    size_t end;            /* index of the first node after it and its parts */
    const char *token;     /* of a clause */
    double min, max;       /* NUMBERS: -INFINITY and INFINITY where open */
    const char *from, *to; /* STRINGS: NULL where open */
    bool exists;           /* EXISTS: wanted */
    size_t value_count;    /* IN */
    struct xeno_query_value *values;
};

struct xeno_query_tree {
    size_t count;
    struct xeno_query_node nodes[]; /* the top is 0 */
};
void xeno_query_free(struct xeno_query_tree *q);
XENO_DEFINE_AUTO(xeno_query_tree, xeno_query_free);

/* Read the query that stands at `at`.
 *
 * Returns: 0 and the tree, the caller's, which borrows nothing.
 * Errors:  -EINVAL query.form (no clause, two kinds of clause in one, an unknown member, an empty
 *          list, min above max), query.nodes, query.depth, query.values, -EFBIG query.bytes; for
 *          members of a wrong type json.*. All name the place.
 */
int xeno_query_read(const struct xeno_json_at *at, struct xeno_query_tree **ret,
                    struct xeno_err *err);
/* The same of a text. Errors: json.* too. */
int xeno_query_parse(const char *text, size_t len, struct xeno_query_tree **ret,
                     struct xeno_err *err);

/* The i-th value that the thing asked about has of `node`'s token; false: it has no more than i.
 * `node` is of the tree that is evaluated, so that what is prepared for each node is found by its
 * index (node - q->nodes). */
typedef bool xeno_query_source(void *ctx, const struct xeno_query_node *node, size_t i,
                               struct xeno_query_value *ret);

enum xeno_truth xeno_query_eval(const struct xeno_query_tree *q, xeno_query_source *source,
                                void *ctx);
/* Of one node with its parts. */
enum xeno_truth xeno_query_eval_node(const struct xeno_query_tree *q, size_t node,
                                     xeno_query_source *source, void *ctx);
/* What a clause is of one value: true, false, or unknown because it is of the other kind. */
enum xeno_truth xeno_query_clause(const struct xeno_query_node *clause,
                                  const struct xeno_query_value *v);

/* The tree from `node` on as JSON again, the caller's. Reading it gives an equal tree. */
struct xeno_json *xeno_query_json(const struct xeno_query_tree *q, size_t node);
/* For people: "CPUmsps from 100 to 150", "not (EnvType is Linux or Name is told)". */
void xeno_query_words(const struct xeno_query_tree *q, size_t node, struct xeno_buf *out);

/* "1.5", as an advert would say it: at most 17 digits, no exponent for what adverts can hold; out
 * holds XENO_NUMBER_TEXT bytes. Returns: out. */
#define XENO_NUMBER_TEXT 32
const char *xeno_number_text(double n, char out[XENO_NUMBER_TEXT]);

#endif
