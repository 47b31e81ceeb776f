/* bench/rd/matrix.c - read matrices of round trips. */
#include "matrix.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define MOST_MS 10000. /* a round trip of more is none */

uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double draw_unit(uint64_t *seed)
{
    return (double)(draw(seed) >> 11) * 0x1p-53;
}

double draw_bell(uint64_t *seed)
{
    double r = sqrt(-2 * log(1 - draw_unit(seed)));

    return r * cos(2 * M_PI * draw_unit(seed));
}

void draw_some(uint64_t *seed, size_t n, size_t but, size_t k, uint32_t *ret)
{
    bool used[MATRIX_MAX] = { false };

    if (but < n)
        used[but] = true;
    for (size_t i = 0; i < k;) {
        uint32_t v = (uint32_t)(draw(seed) % n);

        if (used[v])
            continue;
        used[v] = true;
        ret[i++] = v;
    }
}

/* What is being read: rows that grow while they come. */
struct reading {
    const char *path;
    double unit_ms;
    FILE *in;
    char *line;
    size_t size, number; /* of the line */
    float *cells;
    size_t n, far;
};

static bool bad(const struct reading *r, const char *what, size_t cell, const char *text)
{
    fprintf(stderr, "%s: line %zu, cell %zu: %s%s%.20s%s\n", r->path, r->number, cell, what,
            text ? " '" : "", text ? text : "", text ? "'" : "");
    return false;
}

/* The next line that says something, its end cut off; NULL at the end of the file. */
static char *next_line(struct reading *r)
{
    while (getline(&r->line, &r->size, r->in) >= 0) {
        char *line = r->line + strspn(r->line, " ");

        r->number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (*line != '#' && line[strspn(line, " \t")] != '\0')
            return line;
    }
    return NULL;
}

/* Take the next cell off the line; NULL when there is none. */
static char *next_cell(char **line)
{
    char *cell = *line, *end;

    if (!cell)
        return NULL;
    cell += strspn(cell, " ");
    end = cell + strcspn(cell, "\t,; ");
    *line = NULL;
    if (*end) {
        char *more = end + strspn(end, " ");
        bool hard = *more == '\t' || *more == ',' || *more == ';';

        if (hard || *more)
            *line =
                more + hard; /* after a blank at the end there is nothing, after a comma there is */
        *end = '\0';
    }
    return cell;
}

/* A cell as milliseconds, below zero when it is missing. False: it is no cell at all. */
static bool value(struct reading *r, const char *cell, float *ret)
{
    static const char *const missing[] = { "", "-", "?", "x", "na", "n/a", "null", "none", "*" };
    char *end;
    double v = strtod(cell, &end);

    *ret = -1;
    for (size_t i = 0; i < XENO_LEN(missing); i++)
        if (strcasecmp(cell, missing[i]) == 0)
            return true;
    if (end == cell || *end)
        return false;
    v *= r->unit_ms;
    if (!isfinite(v) || v <= 0)
        return true;
    r->far += v > MOST_MS;
    if (v <= MOST_MS)
        *ret = (float)v;
    return true;
}

static size_t count_cells(const char *line)
{
    xeno_autofree char *copy = xeno_strdup(line);
    char *rest = copy;
    size_t n = 0;

    while (next_cell(&rest))
        n++;
    return n;
}

/* How many lines from this one on say something; the file is where it was. */
static size_t count_lines(struct reading *r)
{
    long at = ftell(r->in);
    size_t n = 1, number = r->number;

    while (next_line(r))
        n++;
    (void)fseek(r->in, at, SEEK_SET);
    r->number = number;
    return n;
}

static bool read_row(struct reading *r, char *line, float *row)
{
    size_t column = 0;

    for (char *cell; (cell = next_cell(&line)); column++) {
        if (column == r->n && *cell == '\0' && !line)
            return true; /* a separator behind the last one */
        if (column == r->n)
            return bad(r, "there are fewer lines than cells in this one", column + 1, cell);
        if (!value(r, cell, &row[column]))
            return bad(r, "neither a number nor a sign of a missing one", column + 1, cell);
    }
    return column == r->n ||
           bad(r, "the line ends, but there are more lines than cells", column, NULL);
}

static bool read_rows(struct reading *r, char *first)
{
    xeno_autofree char *line = xeno_strdup(first);

    r->n = count_lines(r);
    if (r->n < MATRIX_MIN || r->n > MATRIX_MAX)
        return bad(r, "a matrix has from 20 to 4096 lines, and one of pairs three cells a line", 1,
                   NULL);
    r->cells = xeno_new0_n(float, r->n * r->n);
    if (!read_row(r, line, r->cells))
        return false;
    for (size_t row = 1; row < r->n; row++)
        if (!read_row(r, next_line(r), r->cells + row * r->n))
            return false;
    return true;
}

static bool machine(struct reading *r, char **line, size_t cell, size_t *ret)
{
    char *text = next_cell(line), *end = NULL;

    *ret = text && isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : MATRIX_MAX + 1;
    if (*ret > MATRIX_MAX || *end)
        return bad(r, "no number of a machine (0 to 4096)", cell, text ? text : "");
    r->n = *ret + 1 > r->n ? *ret + 1 : r->n;
    return true;
}

/* All pairs have a place in the largest matrix first, which then is made as small as it is. */
static bool read_pairs(struct reading *r, char *line)
{
    const size_t stride = MATRIX_MAX + 1;
    xeno_autofree float *all = xeno_new0_n(float, stride *stride);

    for (; line; line = next_line(r)) {
        size_t i, j;
        const char *cell;
        float v, *at;

        if (!machine(r, &line, 1, &i) || !machine(r, &line, 2, &j))
            return false;
        cell = next_cell(&line);
        if (!cell || !value(r, cell, &v) || line)
            return bad(r, "not \"machine machine round-trip\"", 3, cell);
        at = &all[i * stride + j];
        if (v > 0 && (*at <= 0 || v < *at))
            *at = v;
    }
    r->cells = xeno_new0_n(float, r->n * r->n);
    for (size_t i = 0; i < r->n; i++)
        memcpy(r->cells + i * r->n, all + i * stride, r->n * sizeof *all);
    return true;
}

/* What the machines at `keep` have of it. */
static void keep_only(struct matrix *m, const uint32_t *keep, size_t k)
{
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++) { /* ascending: nothing is written before it was read */
            m->ms[i * k + j] = m->ms[keep[i] * m->n + keep[j]];
            m->said[i * k + j] = m->said[keep[i] * m->n + keep[j]];
        }
    m->n = k;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void matrix_part(struct matrix *m, size_t k, uint64_t seed)
{
    xeno_autofree uint32_t *keep = xeno_new0_n(uint32_t, m->n);

    k = k < m->n ? k : m->n;
    draw_some(&seed, m->n, m->n, k, keep);
    qsort(keep, k, sizeof *keep, by_number);
    keep_only(m, keep, k);
}

/* Of two directions the mean is the truth. */
static void even(struct matrix *m)
{
    m->ms = xeno_memdup(m->said, m->n * m->n * sizeof *m->said);
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j <= i; j++) {
            float *a = &m->ms[i * m->n + j], *b = &m->ms[j * m->n + i], v = -1;

            if (*a > 0 && *b > 0)
                v = (*a + *b) / 2;
            else if (*a > 0 || *b > 0)
                v = *a > 0 ? *a : *b;
            *a = *b = i == j ? 0 : v;
        }
}

/* Leave out who knows less than half of the others. */
static void leave_out(struct matrix *m, const struct reading *r)
{
    xeno_autofree uint32_t *keep = xeno_new0_n(uint32_t, m->n);
    size_t n = m->n, k = 0, pairs = 0;

    for (size_t i = 0; i < n; i++) {
        size_t have = 0;

        for (size_t j = 0; j < n; j++)
            have += i != j && matrix_at(m, i, j) > 0;
        if (2 * have >= n - 1)
            keep[k++] = (uint32_t)i;
    }
    keep_only(m, keep, k);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < i; j++)
            pairs += matrix_at(m, i, j) <= 0;
    if (k < n || pairs > 0 || r->far > 0)
        fprintf(stderr,
                "%s: %zu machines of %zu left out (less than half of the others measured); %zu "
                "pairs are missing; %zu cells were of more than 10 s\n",
                r->path, n - k, n, pairs, r->far);
}

bool matrix_read(const char *path, double unit_ms, struct matrix *ret)
{
    struct reading r = { .path = path, .unit_ms = unit_ms, .in = fopen(path, "r") };
    char *line;
    bool ok;

    *ret = (struct matrix){ .n = 0 };
    if (!r.in) {
        perror(path);
        return false;
    }
    line = next_line(&r);
    if (line)
        ok = count_cells(line) == 3 ? read_pairs(&r, line) : read_rows(&r, line);
    else
        ok = bad(&r, "the file says nothing", 0, NULL);
    fclose(r.in);
    free(r.line);
    *ret = (struct matrix){ .n = r.n, .said = r.cells };
    if (ok) {
        even(ret);
        leave_out(ret, &r);
        if (ret->n < MATRIX_MIN) {
            fprintf(stderr, "%s: %zu machines are left; at least %d are needed%s\n", path, ret->n,
                    MATRIX_MIN, r.far > 0 ? " (is it in microseconds? --unit us)" : "");
            ok = false;
        }
    }
    if (!ok)
        matrix_free(ret);
    return ok;
}

void matrix_free(struct matrix *m)
{
    free(m->ms);
    free(m->said);
    *m = (struct matrix){ .n = 0 };
}
