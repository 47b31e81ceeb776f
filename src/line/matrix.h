/* src/line/matrix.h - round trips between the nodes of a network, as they were measured.
 *
 * A square table in text: line i, column j, separated by tabs or spaces, is the round trip from
 * node i to node j in milliseconds; a number below zero, or "nan": it is not known, and the other
 * way, or else a second, counts. Nodes are numbered from 1. Pure.
 */
#ifndef XENO_LINE_MATRIX_H
#define XENO_LINE_MATRIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_MATRIX_NODES     510 /* each has an address in a prefix of 23 bits */
#define XENO_MATRIX_RTT_MS    60000
#define XENO_MATRIX_MAX_BYTES ((size_t)8 << 20)
#define XENO_MATRIX_SITE_US   2000

struct xeno_matrix;

/* Borrows text. Errors: -EINVAL matrix.format, with line and column; -E2BIG matrix.size. */
int xeno_matrix_read(const char *text, size_t len, struct xeno_matrix **ret, struct xeno_err *err);
void xeno_matrix_free(struct xeno_matrix *m);
XENO_DEFINE_AUTO(xeno_matrix, xeno_matrix_free);

size_t xeno_matrix_nodes(const struct xeno_matrix *m);
/* In microseconds. a, b: from 1 to the number of nodes. */
uint32_t xeno_matrix_rtt_us(const struct xeno_matrix *m, size_t a, size_t b);
/* The first node within XENO_MATRIX_SITE_US of this one: those of one site share their way out. */
size_t xeno_matrix_site(const struct xeno_matrix *m, size_t node);
/* The node that the i-th place (from 0) gets: neighbours in a table are often neighbours in fact,
 * so places are taken apart from each other; `nodes` places have all of them. */
size_t xeno_matrix_spread(size_t nodes, size_t i);

#endif
