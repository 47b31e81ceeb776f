/* src/line/matrix.c - read a table of round trips. */
#include "line/matrix.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN UINT32_MAX

struct xeno_matrix {
    size_t n;
    uint32_t *us; /* n rows of n */
};

void xeno_matrix_free(struct xeno_matrix *m)
{
    if (!m)
        return;
    free(m->us);
    free(m);
}

static int cell(const char **at, size_t line, size_t column, uint32_t *ret, struct xeno_err *err)
{
    char *end;
    double ms = strtod(*at, &end);

    if (end == *at || !strchr(" \t\r\n", *end) || ms > XENO_MATRIX_RTT_MS)
        return xeno_fail(err, -EINVAL, "matrix.format",
                         "line %zu, column %zu: '%.*s' is no time in milliseconds up to %d", line,
                         column,
                         (int)strcspn(*at, " \t\r\n") > 20 ? 20 : (int)strcspn(*at, " \t\r\n"), *at,
                         XENO_MATRIX_RTT_MS);
    *ret = isnan(ms) || ms < 0 ? UNKNOWN : (uint32_t)lround(ms * 1000);
    *at = end + strspn(end, " \t\r");
    return 0;
}

static size_t columns(const char *line)
{
    size_t n = 0;

    line += strspn(line, " \t\r");
    for (; *line && *line != '\n'; n++) {
        line += strcspn(line, " \t\r\n");
        line += strspn(line, " \t\r");
    }
    return n;
}

static int row(struct xeno_matrix *m, const char **at, size_t i, struct xeno_err *err)
{
    int r = 0;

    *at += strspn(*at, " \t\r");
    for (size_t j = 0; r == 0 && j < m->n; j++) {
        if (**at == '\n' || **at == '\0')
            return xeno_fail(err, -EINVAL, "matrix.format",
                             "line %zu has %zu columns, the first line %zu: it is to be a square",
                             i + 1, j, m->n);
        r = cell(at, i + 1, j + 1, &m->us[i * m->n + j], err);
    }
    if (r == 0 && **at != '\n' && **at != '\0')
        return xeno_fail(err, -EINVAL, "matrix.format",
                         "line %zu has more than the %zu columns of the first line", i + 1, m->n);
    *at += **at == '\n';
    return r;
}

static void fill_gaps(struct xeno_matrix *m)
{
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < m->n; j++) {
            uint32_t *us = &m->us[i * m->n + j], back = m->us[j * m->n + i];

            if (i == j)
                *us = 0;
            else if (*us == UNKNOWN)
                *us = back == UNKNOWN ? 1000000 : back;
        }
}

int xeno_matrix_read(const char *text, size_t len, struct xeno_matrix **ret, struct xeno_err *err)
{
    xeno_auto(xeno_matrix) m = xeno_new0(struct xeno_matrix);
    xeno_autofree char *own = NULL;
    const char *at;
    int r = 0;

    if (len > XENO_MATRIX_MAX_BYTES)
        return xeno_fail(err, -E2BIG, "matrix.size", "the table has more than %zu bytes",
                         XENO_MATRIX_MAX_BYTES);
    own = xeno_strndup(text, len); /* strtod() wants an end */
    at = own;
    m->n = columns(at);
    if (m->n < 2 || m->n > XENO_MATRIX_NODES)
        return xeno_fail(err, -E2BIG, "matrix.size",
                         "the table has %zu columns: 2 to %d nodes can be emulated", m->n,
                         XENO_MATRIX_NODES);
    m->us = xeno_new0_n(uint32_t, m->n * m->n);
    for (size_t i = 0; r == 0 && i < m->n; i++)
        r = row(m, &at, i, err);
    if (r == 0 && at[strspn(at, " \t\r\n")])
        r = xeno_fail(err, -EINVAL, "matrix.format",
                      "there are more than %zu lines: it is to be a square", m->n);
    if (r < 0)
        return r;
    fill_gaps(m);
    *ret = xeno_take(&m);
    return 0;
}

size_t xeno_matrix_nodes(const struct xeno_matrix *m)
{
    return m->n;
}

uint32_t xeno_matrix_rtt_us(const struct xeno_matrix *m, size_t a, size_t b)
{
    return m->us[(a - 1) * m->n + b - 1];
}

size_t xeno_matrix_site(const struct xeno_matrix *m, size_t node)
{
    for (size_t i = 1; i < node; i++)
        if (xeno_matrix_rtt_us(m, node, i) <= XENO_MATRIX_SITE_US)
            return i;
    return node;
}

static size_t gcd(size_t a, size_t b)
{
    while (b) {
        size_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

size_t xeno_matrix_spread(size_t nodes, size_t i)
{
    size_t step = nodes / 5 + 1;

    while (gcd(step, nodes) != 1)
        step++;
    return i % nodes * step % nodes + 1;
}
