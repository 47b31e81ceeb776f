/* src/image/pull-plan.h - where each byte of a layer's blob is to be had: here or at the registry.
 */
#ifndef XENO_IMAGE_PULL_PLAN_H
#define XENO_IMAGE_PULL_PLAN_H

#include <uthash.h>

#include "image/pull-priv.h"

#define PULL_SOURCES_MAX 64        /* older layers looked at */
#define PULL_RANGE_BYTES (1 << 20) /* of one request, unless a piece is larger */

/* The source of a span: one of these, or the number of an older layer. */
enum { PULL_FETCH = -1, PULL_TABLE = -2 };

/* Bytes [offset, offset + len) of the new blob. */
struct pull_span {
    int64_t offset, len;
    uint8_t key[32]; /* what it must hold: a piece's digest, or one of the heads the tables tell */
    int source;
    int64_t at; /* in that source */
    UT_hash_handle hh;
    struct pull_span *twin; /* the first of this key and length, which the table of keys holds */
};

struct pull_plan {
    struct pull *p;
    const struct xeno_layer *layer;
    struct xeno_toc *toc;
    char *tail; /* from the table's frame to the end of the blob: fetched already */
    int64_t tail_at, tail_len;
    struct pull_span *spans, *keys; /* in the order of the blob, without a gap */
    size_t count;
    int fds[PULL_SOURCES_MAX];
    size_t sources;
    struct xeno_layer *old; /* layers of the store that have a table, likeliest first */
    size_t old_count;
    int64_t fetched; /* bytes of spans that are to be fetched */
};

/* Fill in a plan of which p and layer are set; released also when it fails.
 * Returns: 0; 1 when the layer is better fetched whole, since little or nothing of it is here.
 * Errors:  those of xeno_registry_read() and of the table. */
int pull_plan_make(struct pull_plan *b, struct xeno_err *err);
void pull_plan_release(struct pull_plan *b);

#endif
