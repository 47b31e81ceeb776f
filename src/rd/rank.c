/* src/rd/rank.c - the best of the servers that match. */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

/* --- what a server is worth under one objective: less is better, INFINITY is not known --- */

/* Without layers an image is one thing that is there or not. */
size_t rd_layers_of(const struct rd_find *f)
{
    return f->req->layer_count > 0 ? f->req->layer_count : f->image_known;
}

size_t rd_layers_there(const struct rd_find *f, uint32_t slot)
{
    const struct rd_server *s = f->rd->servers[slot];
    size_t n = 0;

    if (f->req->layer_count == 0)
        return f->image_known && rd_has(s->images, s->image_count, f->image);
    for (size_t i = 0; i < f->req->layer_count; i++) {
        uint64_t layer = f->req->layers[i];

        if (f->rd->bloom[slot] & rd_bloom(layer))
            n += rd_has(s->layers, s->layer_count, layer);
    }
    return n;
}

static double known(double v)
{
    return isnan(v) ? INFINITY : v;
}

static size_t row(const struct rd_find *f, size_t from, size_t n, uint32_t slot,
                  struct xeno_latency ret[XENO_RD_PLACES])
{
    for (size_t i = 0; i < n; i++)
        ret[i] = rd_latency(f, from + i, slot);
    return n;
}

/* The largest, the mean or the difference as if what is predicted were certain. */
static double roughly(enum xeno_rd_what what, float *const *columns, size_t n, uint32_t slot)
{
    double low = INFINITY, high = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++) {
        double ms = columns[i][slot];

        if (!(ms < INFINITY))
            return INFINITY;
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
        sum += ms;
    }
    return what == XENO_RD_RTT_MAX ? high : what == XENO_RD_EQUAL ? high - low : sum / (double)n;
}

static bool of_latency(enum xeno_rd_what what)
{
    return what == XENO_RD_RTT_MAX || what == XENO_RD_RTT_MEAN || what == XENO_RD_EQUAL;
}

static double rough_value(const struct rd_find *f, enum xeno_rd_what what, uint32_t slot)
{
    size_t near = f->req->near_count;

    if (!of_latency(what))
        return rd_term_value(f, what, slot);
    return what == XENO_RD_EQUAL ? roughly(what, f->s->rough + near, f->req->equal_count, slot)
                                 : roughly(what, f->s->rough, near, slot);
}

double rd_term_value(const struct rd_find *f, enum xeno_rd_what what, uint32_t slot)
{
    struct xeno_latency l[XENO_RD_PLACES];
    const struct rd_cell *load;
    int64_t total;
    size_t n;

    switch (what) {
    case XENO_RD_COST:
        total = rd_total(f, slot);
        return total < 0 ? INFINITY : (double)total;
    case XENO_RD_RTT_MAX:
        n = row(f, 0, f->req->near_count, slot, l);
        return known(xeno_latency_max(l, n));
    case XENO_RD_RTT_MEAN:
        n = row(f, 0, f->req->near_count, slot, l);
        return known(xeno_latency_mean(l, n));
    case XENO_RD_EQUAL:
        n = row(f, f->req->near_count, f->req->equal_count, slot, l);
        return known(xeno_latency_spread(l, n));
    case XENO_RD_WARM:
        return (double)(rd_layers_of(f) - rd_layers_there(f, slot));
    case XENO_RD_LOAD:
        load = &f->rd->pinned[RD_T_LOAD].cells[slot];
        return load->kind == RD_NUMBER ? load->n : INFINITY;
    case XENO_RD_DISJOINT: /* looked at among the best only: rd_apart() */
    case XENO_RD_WHAT_COUNT:
        break;
    }
    return 0;
}

/* --- the common scale --- */

static void swap(double *a, double *b)
{
    double t = *a;

    *a = *b;
    *b = t;
}

/* The k-th smallest of v[0..n), which is put in another order; k < n. */
static double nth(double *v, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;

    while (low < high) {
        double pivot = v[low + (high - low) / 2];
        size_t i = low, j = high;

        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            swap(&v[i++], &v[j--]);
        }
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return v[k];
}

/* The scale on which the best of these servers is 0 and the median 1. When more than half are as
 * good as the best, the worst that is known is 1. */
static struct rd_scale scale_of(struct rd_find *f, const double *by_slot, const uint32_t *slots,
                                size_t n)
{
    double best = INFINITY, worst = -INFINITY, unit;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        double v = by_slot[slots[i]];

        if (!(v < INFINITY))
            continue;
        f->s->values[count++] = v;
        best = v < best ? v : best;
        worst = v > worst ? v : worst;
    }
    unit = count > 0 ? nth(f->s->values, count, count / 2) - best : 0;
    if (!(unit > 0))
        unit = worst - best;
    return (struct rd_scale){ best, unit > 0 ? unit : 1 };
}

double rd_scaled(struct rd_scale s, double v)
{
    if (!(v < INFINITY))
        return XENO_RD_WORST;
    v = (v - s.best) / s.unit;
    return v < XENO_RD_WORST ? v : XENO_RD_WORST;
}

/* The objective of the request, or what its other members ask for. */
static void terms_of(struct rd_find *f)
{
    const struct xeno_rd_request *r = f->req;
    const struct {
        bool asked;
        enum xeno_rd_what what;
    } rows[] = { { r->near_count > 0, XENO_RD_RTT_MAX },
                 { r->equal_count > 0, XENO_RD_EQUAL },
                 { *r->disjoint_to != '\0', XENO_RD_DISJOINT } };

    f->term_count = r->term_count;
    memcpy(f->terms, r->terms, sizeof(f->terms));
    for (size_t i = 0; r->term_count == 0 && i < XENO_LEN(rows); i++) {
        if (rows[i].asked)
            f->terms[f->term_count++] = (struct xeno_rd_term){ rows[i].what, 1 };
    }
    if (f->term_count == 0)
        f->terms[f->term_count++] = (struct xeno_rd_term){ XENO_RD_COST, 1 };
}

/* One objective ranks by its value; several by their weighted mean on the common scale. */
static void mix(struct rd_find *f, const uint32_t *slots, size_t n)
{
    double weights = 0;

    for (size_t t = 0; t < f->term_count; t++)
        weights += (double)f->terms[t].weight;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = slots[i];
        double sum = 0;

        for (size_t t = 0; f->term_count > 1 && t < f->term_count; t++)
            sum += (double)f->terms[t].weight * rd_scaled(f->scales[t], f->s->terms[t][slot]);
        f->s->score[slot] = f->term_count > 1 ? sum / weights : f->s->terms[0][slot];
    }
}

/* What is uncertain costs some arithmetic to weigh, so of very many only the best by a rough value
 * are looked at closely: see look_closely(). */
static void score_all(struct rd_find *f, const uint32_t *slots, size_t n, bool rough)
{
    for (size_t t = 0; t < f->term_count; t++) {
        enum xeno_rd_what what = f->terms[t].what;

        for (size_t i = 0; i < n; i++)
            f->s->terms[t][slots[i]] =
                rough ? rough_value(f, what, slots[i]) : rd_term_value(f, what, slots[i]);
        f->scales[t] = scale_of(f, f->s->terms[t], slots, n);
    }
    mix(f, slots, n);
}

/* --- choosing --- */

bool rd_before(const struct rd_find *f, uint32_t a, uint32_t b)
{
    double x = f->s->score[a], y = f->s->score[b];
    uint64_t p, q; /* unsigned: what is not known, -1, is the dearest */

    if (x != y)
        return x < y;
    p = (uint64_t)rd_total(f, a);
    q = (uint64_t)rd_total(f, b);
    if (p != q)
        return p < q;
    return strcmp(f->rd->servers[a]->advert->id.s, f->rd->servers[b]->advert->id.s) < 0;
}

/* A heap whose top is the worst that is kept. */
static void sift_down(const struct rd_find *f, uint32_t *heap, size_t n, size_t i)
{
    for (;;) {
        size_t worst = 2 * i + 1;
        uint32_t t;

        if (worst >= n)
            return;
        if (worst + 1 < n && rd_before(f, heap[worst], heap[worst + 1]))
            worst++;
        if (!rd_before(f, heap[i], heap[worst]))
            return;
        t = heap[i];
        heap[i] = heap[worst];
        heap[worst] = t;
        i = worst;
    }
}

static void sort(const struct rd_find *f, uint32_t *heap, size_t n)
{
    while (n > 1) {
        uint32_t t = heap[--n];

        heap[n] = heap[0];
        heap[0] = t;
        sift_down(f, heap, n, 0);
    }
}

static void sort_all(const struct rd_find *f, uint32_t *slots, size_t n)
{
    for (size_t i = n / 2 + 1; i-- > 0;)
        sift_down(f, slots, n, i);
    sort(f, slots, n);
}

/* The k best of slots[0..n), in order, to its front. Returns: how many. */
static size_t best_to_front(const struct rd_find *f, uint32_t *slots, size_t n, size_t k)
{
    if (k > n)
        k = n;
    if (k == 0)
        return 0;
    for (size_t i = k / 2 + 1; i-- > 0;)
        sift_down(f, slots, k, i);
    for (size_t i = k; i < n; i++) {
        uint32_t t = slots[i];

        if (f->s->score[t] > f->s->score[slots[0]] || !rd_before(f, t, slots[0]))
            continue;
        slots[i] = slots[0];
        slots[0] = t;
        sift_down(f, slots, k, 0);
    }
    sort(f, slots, k);
    return k;
}

/* Bring the best of each group to the front. Names of operators and places are claims that anybody
 * can make, so two with one hash may count as the same. Returns: how many groups. */
static size_t groups_to_front(const struct rd_find *f, uint32_t *slots, size_t n)
{
    const uint64_t *key = f->req->spread == XENO_RD_SPREAD_PLACE ? f->rd->places : f->rd->operators;
    size_t mask = f->s->group_room - 1, groups = 0;
    uint32_t *table = f->s->groups; /* place in `slots` and one */

    memset(table, 0, f->s->group_room * sizeof(*table));
    for (size_t i = 0; i < n; i++) {
        size_t h = (key[slots[i]] * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & mask;
        uint32_t t;

        while (table[h] && key[slots[table[h] - 1]] != key[slots[i]])
            h = (h + 1) & mask;
        t = slots[i];
        if (!table[h]) {
            slots[i] = slots[groups];
            slots[groups] = t;
            table[h] = (uint32_t)++groups;
        } else if (rd_before(f, t, slots[table[h] - 1])) {
            slots[i] = slots[table[h] - 1];
            slots[table[h] - 1] = t;
        }
    }
    return groups;
}

static size_t choose(const struct rd_find *f, uint32_t *slots, size_t n)
{
    size_t k = (size_t)f->req->count, groups, got;

    if (f->req->spread == XENO_RD_SPREAD_NONE)
        return best_to_front(f, slots, n, k);
    groups = groups_to_front(f, slots, n);
    got = best_to_front(f, slots, groups, k);
    if (got < k)
        got += best_to_front(f, slots + got, n - got, k - got);
    sort_all(f, slots, got);
    return got;
}

/* On the scales that all of them gave. */
static void look_closely(struct rd_find *f, const uint32_t *slots, size_t n)
{
    for (size_t t = 0; t < f->term_count; t++) {
        for (size_t i = 0; of_latency(f->terms[t].what) && i < n; i++)
            f->s->terms[t][slots[i]] = rd_term_value(f, f->terms[t].what, slots[i]);
    }
    mix(f, slots, n);
}

static bool apart_asked(const struct rd_find *f, size_t *ret_term)
{
    for (size_t t = 0; t < f->term_count; t++) {
        if (f->terms[t].what == XENO_RD_DISJOINT) {
            *ret_term = t;
            return true;
        }
    }
    return false;
}

/* Paths are texts to be read and compared: they are looked at among the XENO_PATHS_MAX best by the
 * rest of the objective whose path is told at all (then any). */
static size_t narrow(struct rd_find *f, uint32_t *slots, size_t n, size_t term)
{
    for (size_t i = 0; i < n; i++)
        f->s->terms[term][slots[i]] = rd_path_told(f, slots[i]) ? 0 : INFINITY;
    mix(f, slots, n);
    n = best_to_front(f, slots, n, XENO_PATHS_MAX);
    rd_apart(f, slots, n, f->s->terms[term]);
    f->scales[term] = scale_of(f, f->s->terms[term], slots, n);
    mix(f, slots, n);
    return n;
}

size_t rd_rank(struct rd_find *f, uint32_t *ret, int *ret_sets)
{
    uint32_t *slots = f->s->order; /* match left those that match in it */
    size_t n = f->matched, term;
    bool rough = n > RD_CLOSE && f->req->spread == XENO_RD_SPREAD_NONE;

    terms_of(f);
    score_all(f, slots, n, rough);
    if (rough) {
        n = best_to_front(f, slots, n, RD_CLOSE);
        look_closely(f, slots, n);
    }
    if (apart_asked(f, &term))
        n = narrow(f, slots, n, term);
    if (f->req->sets > 0) {
        if (f->req->spread != XENO_RD_SPREAD_NONE)
            n = groups_to_front(f, slots, n);
        return rd_sets(f, slots, best_to_front(f, slots, n, RD_SET_POOL), ret, ret_sets);
    }
    n = choose(f, slots, n);
    memcpy(ret, slots, n * sizeof(*ret));
    memset(ret_sets, 0, n * sizeof(*ret_sets));
    return n;
}
