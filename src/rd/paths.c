/* src/rd/paths.c - shared hops and prefixes, and sets of paths that have least of them. */
#include "rd/paths.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define RISK_PREFIX .9     /* of two paths with a prefix in common, and no address */
#define RISK_UNSEEN .5     /* of two paths of which nothing was seen */
#define LOOK_AT_ALL 200000 /* sets: up to here every one is looked at */
#define STARTS      64     /* otherwise, so many members to grow a set from */

static bool any_of(const uint8_t *a, uint8_t first, uint8_t mask)
{
    return (a[0] & mask) == first;
}

/* Addresses that are used in many networks, so that two of them need not be one machine. */
static bool everywhere(const struct xeno_hop *h)
{
    const uint8_t *a = h->addr;
    static const uint8_t none[15];

    if (h->family == 4)
        return a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 ||
               (a[0] == 100 && any_of(a + 1, 64, 0xc0)) || (a[0] == 169 && a[1] == 254) ||
               (a[0] == 172 && any_of(a + 1, 16, 0xf0)) || (a[0] == 192 && a[1] == 168);
    return any_of(a, 0xfc, 0xfe) || (a[0] == 0xfe && any_of(a + 1, 0x80, 0x80)) || a[0] == 0xff ||
           (memcmp(a, none, sizeof none) == 0 && a[15] <= 1);
}

/* Any address; family 0 when the text is none. */
static struct xeno_hop parse(const char *text)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct xeno_hop h = { .family = 0 };

    if (inet_pton(AF_INET, text, h.addr) == 1) {
        h.family = 4;
    } else if (inet_pton(AF_INET6, text, h.addr) == 1) {
        h.family = 6;
        if (memcmp(h.addr, mapped, sizeof mapped) == 0) {
            memmove(h.addr, h.addr + 12, 4);
            memset(h.addr + 4, 0, 12);
            h.family = 4;
        }
    }
    return h;
}

struct xeno_hop xeno_hop_read(const char *text)
{
    return parse(text);
}

int xeno_path_read(const char *text, struct xeno_path *ret, struct xeno_err *err)
{
    struct xeno_path p = { .count = 0 };

    for (;;) {
        char word[INET6_ADDRSTRLEN];
        struct xeno_hop h = { .family = 0 };
        size_t len = 0;

        while (isspace((unsigned char)*text))
            text++;
        if (*text == '\0')
            break;
        while (text[len] && !isspace((unsigned char)text[len]))
            len++;
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), text);
        if (len < sizeof word)
            h = parse(word);
        if (h.family == 0 && strcmp(word, "*") != 0)
            return xeno_fail(err, -EINVAL, "paths.hop", "hop '%s' is no address and not '*'", word);
        if (p.count == XENO_PATH_HOPS)
            return xeno_fail(err, -E2BIG, "paths.long", "a path has at most %d hops",
                             XENO_PATH_HOPS);
        if (h.family != 0 && everywhere(&h))
            h = (struct xeno_hop){ .family = 0 };
        p.hops[p.count++] = h;
        text += len;
    }
    *ret = p;
    return 0;
}

static bool same(const struct xeno_hop *a, const struct xeno_hop *b)
{
    return a->family != 0 && a->family == b->family &&
           memcmp(a->addr, b->addr, a->family == 4 ? 4 : 16) == 0;
}

static bool same_prefix(const struct xeno_hop *a, const struct xeno_hop *b)
{
    return a->family != 0 && a->family == b->family &&
           memcmp(a->addr, b->addr, a->family == 4 ? 3 : 6) == 0;
}

/* Hops that count: the address asked about, at the end, does not, nor does what is in its prefix.
 */
static bool counts(const struct xeno_hop *h, const struct xeno_hop *to)
{
    return !to || h->family == 0 || !same_prefix(h, to);
}

static double silent(const struct xeno_path *p, const struct xeno_hop *to)
{
    size_t n = 0, quiet = 0;

    for (size_t i = 0; i < p->count; i++) {
        n += counts(&p->hops[i], to);
        quiet += p->hops[i].family == 0;
    }
    return n == 0 ? 1 : (double)quiet / (double)n;
}

/* Has hop i of the path, or one before it that is in the same prefix, been met already? */
static bool met(const struct xeno_path *p, size_t i, bool prefix)
{
    for (size_t k = 0; k < i; k++)
        if (prefix ? same_prefix(&p->hops[k], &p->hops[i]) : same(&p->hops[k], &p->hops[i]))
            return true;
    return false;
}

struct xeno_path_shared xeno_path_shared(const struct xeno_path *a, const struct xeno_path *b,
                                         const struct xeno_hop *to)
{
    struct xeno_path_shared s = { .unseen = fmax(silent(a, to), silent(b, to)) };
    bool by_hop[XENO_PATH_HOPS] = { false };

    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count && counts(&a->hops[i], to); k++)
            by_hop[i] = by_hop[i] || same(&a->hops[i], &b->hops[k]);
    for (size_t i = 0; i < a->count; i++) {
        bool near = false, hop_near = false;

        s.hops += by_hop[i] && !met(a, i, false);
        if (!counts(&a->hops[i], to) || met(a, i, true))
            continue;
        for (size_t k = 0; k < b->count; k++)
            near = near || same_prefix(&a->hops[i], &b->hops[k]);
        for (size_t k = i; k < a->count; k++)
            hop_near = hop_near || (by_hop[k] && same_prefix(&a->hops[i], &a->hops[k]));
        s.prefixes += near && !hop_near;
    }
    return s;
}

double xeno_path_risk(const struct xeno_path *a, const struct xeno_path *b,
                      const struct xeno_hop *to)
{
    struct xeno_path_shared s = xeno_path_shared(a, b, to);

    if (s.hops > 0)
        return 1;
    if (s.prefixes > 0)
        return RISK_PREFIX;
    return RISK_UNSEEN * s.unseen;
}

/* How bad a set is: its riskiest pair, then the sum of risks. */
struct badness {
    double worst, sum;
};

static bool better(struct badness a, struct badness b)
{
    return a.worst < b.worst - 1e-9 || (a.worst < b.worst + 1e-9 && a.sum < b.sum - 1e-9);
}

/* The risks of all pairs, n * n; a path that is not known is worse than any that is. */
static float *risks_of(const struct xeno_path *const *paths, size_t n, const struct xeno_hop *to)
{
    float *risk = xeno_new0_n(float, n *n);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            risk[i * n + k] = risk[k * n + i] =
                paths[i] && paths[k] ? (float)xeno_path_risk(paths[i], paths[k], to) : 2;
    return risk;
}

static struct badness badness_of(const float *risk, size_t n, const size_t *set, size_t k)
{
    struct badness b = { 0, 0 };

    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < i; j++) {
            double r = risk[set[i] * n + set[j]];

            b.worst = fmax(b.worst, r);
            b.sum += r;
        }
    return b;
}

static double sets_of(size_t n, size_t k)
{
    double sets = 1;

    for (size_t i = 0; i < k; i++)
        sets *= (double)(n - i) / (double)(i + 1);
    return sets;
}

/* Every set in lexical order; the first of the best stays. */
static struct badness all_sets(const float *risk, size_t n, size_t k, size_t *ret)
{
    struct badness best = { HUGE_VAL, HUGE_VAL };
    size_t set[XENO_PATHS_SET], i = k;

    for (size_t m = 0; m < k; m++)
        set[m] = m;
    while (i > 0) {
        struct badness b = badness_of(risk, n, set, k);

        if (better(b, best)) {
            best = b;
            memcpy(ret, set, k * sizeof *set);
        }
        for (i = k; i > 0 && set[i - 1] == n - k + i - 1;)
            i--;
        if (i == 0)
            break;
        set[i - 1]++;
        for (size_t m = i; m < k; m++)
            set[m] = set[m - 1] + 1;
    }
    return best;
}

static bool has(const size_t *set, size_t k, size_t v)
{
    for (size_t i = 0; i < k; i++)
        if (set[i] == v)
            return true;
    return false;
}

/* Put in place `at` of the set of k whoever makes it best. */
static struct badness fill(const float *risk, size_t n, size_t *set, size_t k, size_t at,
                           struct badness now)
{
    size_t best = set[at];

    for (size_t v = 0; v < n; v++) {
        struct badness b;

        if (has(set, k, v))
            continue;
        set[at] = v;
        b = badness_of(risk, n, set, k);
        if (better(b, now)) {
            now = b;
            best = v;
        }
        set[at] = best;
    }
    return now;
}

/* From one start: the next best again and again, then exchanges while they help. */
static struct badness grow(const float *risk, size_t n, size_t k, size_t start, size_t *set)
{
    struct badness b = { 0, 0 };

    set[0] = start;
    for (size_t m = 1; m < k; m++) {
        set[m] = SIZE_MAX;
        b = fill(risk, n, set, m + 1, m, (struct badness){ HUGE_VAL, HUGE_VAL });
    }
    for (int round = 0; round < 4; round++) {
        struct badness before = b;

        for (size_t m = 0; m < k; m++)
            b = fill(risk, n, set, k, m, b);
        if (!better(b, before))
            break;
    }
    return b;
}

static int ascending(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

int xeno_paths_disjoint(const struct xeno_path *const *paths, size_t n, size_t k,
                        const struct xeno_hop *to, size_t *ret_set, double *ret_risk,
                        struct xeno_err *err)
{
    xeno_autofree float *risk = NULL;
    struct badness best = { HUGE_VAL, HUGE_VAL };
    size_t set[XENO_PATHS_SET] = { 0 };

    if (k == 0 || k > XENO_PATHS_SET || k > n)
        return xeno_fail(err, -EINVAL, "paths.set", "no set of %zu of %zu paths (1 to %d)", k, n,
                         XENO_PATHS_SET);
    if (n > XENO_PATHS_MAX)
        return xeno_fail(err, -E2BIG, "paths.many", "%zu paths, at most %d", n, XENO_PATHS_MAX);
    risk = risks_of(paths, n, to);
    if (sets_of(n, k) <= LOOK_AT_ALL) {
        best = all_sets(risk, n, k, ret_set);
    } else {
        for (size_t i = 0; i < n && i < STARTS; i++) {
            struct badness b = grow(risk, n, k, i * (n < STARTS ? 1 : n / STARTS), set);

            if (better(b, best)) {
                best = b;
                memcpy(ret_set, set, k * sizeof *set);
            }
        }
        qsort(ret_set, k, sizeof *ret_set, ascending);
    }
    if (ret_risk)
        *ret_risk = fmin(best.worst, 1);
    return 0;
}
