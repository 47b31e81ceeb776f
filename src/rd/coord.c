/* src/rd/coord.c - network coordinates: a robust fit of one point to measured round trips. */
#include "rd/coord.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VARS = XENO_COORD_DIM + 1 }; /* a point and a height */

/* A round trip is believed to about this part of itself and this much beside: what differs by less
 * fits. What is off by some OUTLIER of these scales hardly pulls any more. */
#define SCALE_PART .15
#define SCALE_MS   3.
#define OUTLIER    3.

#define BETTER  .9 /* of the error: then the middle of the peers is the better place */
#define HELD_MS 10 /* by less one is not held anywhere */
#define DRIFT   .8 /* what is left after a sample of how far it moved */

struct peer {
    struct xeno_id id;
    struct xeno_coord at;
    bool placed;                   /* `at` is set */
    float rtt[XENO_COORD_HISTORY]; /* ring of the newest */
    unsigned rtt_count, rtt_next;
    uint64_t heard; /* number of the node's sample that was its last */
    double rtt_ms;  /* the median of them */
};

struct xeno_coord_node {
    struct xeno_coord at;
    struct peer peers[XENO_COORD_PEERS];
    size_t peer_count;
    uint64_t samples;
    double drift_ms; /* how far it moved of late */
    double kept_ms;  /* the error that a point kept from before had */
};

static bool in_range(double v, double low)
{
    return isfinite(v) && v >= low && v <= XENO_COORD_MAX_MS;
}

bool xeno_coord_ok(const struct xeno_coord *c)
{
    for (int i = 0; i < XENO_COORD_DIM; i++)
        if (!in_range(c->x[i], -XENO_COORD_MAX_MS))
            return false;
    return in_range(c->height_ms, 0) && in_range(c->error_ms, 0);
}

bool xeno_coord_useful(const struct xeno_coord *c)
{
    return c->samples >= XENO_COORD_FEW && c->error_ms <= 150;
}

static double distance(const struct xeno_coord *a, const struct xeno_coord *b)
{
    double sum = 0;

    for (int i = 0; i < XENO_COORD_DIM; i++)
        sum += (a->x[i] - b->x[i]) * (a->x[i] - b->x[i]);
    return sqrt(sum);
}

static double predict(const struct xeno_coord *a, const struct xeno_coord *b)
{
    return fmax(distance(a, b) + a->height_ms + b->height_ms, XENO_COORD_MIN_MS);
}

double xeno_coord_rtt(const struct xeno_coord *a, const struct xeno_coord *b, double *ret_low,
                      double *ret_high)
{
    double ms, off;

    if (!xeno_coord_ok(a) || !xeno_coord_ok(b) || !xeno_coord_useful(a) || !xeno_coord_useful(b))
        return NAN;
    ms = predict(a, b);
    off = 2.2 * sqrt((a->error_ms * a->error_ms + b->error_ms * b->error_ms) / 2);
    if (ret_low)
        *ret_low = fmax(ms - off, XENO_COORD_MIN_MS);
    if (ret_high)
        *ret_high = ms + off;
    return ms;
}

/* splitmix64, as base/env.c has it for tests: scatters a seed. */
static uint64_t scatter(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct xeno_coord_node *xeno_coord_node_new(uint64_t seed)
{
    struct xeno_coord_node *n = xeno_new0(struct xeno_coord_node);

    for (int i = 0; i < XENO_COORD_DIM; i++)
        n->at.x[i] = (double)(scatter(&seed) >> 11) * 0x1p-53 * 10 - 5;
    n->at.height_ms = 1;
    n->at.error_ms = n->kept_ms = XENO_COORD_MAX_MS;
    return n;
}

void xeno_coord_node_free(struct xeno_coord_node *n)
{
    free(n);
}

void xeno_coord_node_restore(struct xeno_coord_node *n, const struct xeno_coord *c)
{
    if (!xeno_coord_ok(c) || c->samples == 0)
        return;
    n->at = *c;
    n->kept_ms = c->error_ms;
}

static struct peer *find(const struct xeno_coord_node *n, const struct xeno_id *id)
{
    for (size_t i = 0; i < n->peer_count; i++)
        if (strcmp(n->peers[i].id.s, id->s) == 0)
            return (struct peer *)&n->peers[i];
    return NULL;
}

/* The peer's place, a new one perhaps: in place of the one longest unheard of when all are taken.
 */
static struct peer *place(struct xeno_coord_node *n, const struct xeno_id *id)
{
    struct peer *p = find(n, id);

    if (p)
        return p;
    if (n->peer_count < XENO_COORD_PEERS) {
        p = &n->peers[n->peer_count++];
    } else {
        p = &n->peers[0];
        for (size_t i = 1; i < n->peer_count; i++)
            if (n->peers[i].heard < p->heard)
                p = &n->peers[i];
    }
    *p = (struct peer){ .id = *id };
    return p;
}

static double median(const float *v, unsigned n)
{
    float s[XENO_COORD_HISTORY];

    for (unsigned i = 0; i < n; i++) {
        unsigned k = i;

        for (; k > 0 && s[k - 1] > v[i]; k--)
            s[k] = s[k - 1];
        s[k] = v[i];
    }
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static double scale(const struct peer *p)
{
    return SCALE_PART * p->rtt_ms + SCALE_MS;
}

/* What a peer's word is worth: less when it is itself unsure, and nearly nothing when it is far
 * from what its place says (Geman and McClure's loss, whose pull fades), as far as we are sure of
 * ours. Nobody is believed to be surer of his place than we are of ours: to say so costs nothing.
 */
static double weight(const struct xeno_coord_node *n, const struct peer *p, double residual)
{
    double s = scale(p), own = n->at.error_ms, error = fmax(p->at.error_ms, own);
    double far = residual / (OUTLIER * s + own);
    double unsure = error / (s + error), fits = 1 + far * far;

    return (1.05 - unsure) / (s * s * fits * fits);
}

/* Solve the symmetric system a·d = b in place (Gauss, diagonal dominant by the damping). */
static void solve(double a[VARS][VARS], double b[VARS])
{
    for (int i = 0; i < VARS; i++)
        for (int r = i + 1; r < VARS; r++) {
            double f = a[r][i] / a[i][i];

            for (int c = i; c < VARS; c++)
                a[r][c] -= f * a[i][c];
            b[r] -= f * b[i];
        }
    for (int i = VARS - 1; i >= 0; i--) {
        for (int c = i + 1; c < VARS; c++)
            b[i] -= a[i][c] * b[c];
        b[i] /= a[i][i];
    }
}

static double within(double v, double limit)
{
    return fmax(fmin(v, limit), -limit);
}

/* One damped Gauss-Newton step of the weighted least squares over all placed peers. */
static void step(struct xeno_coord_node *n, double damping)
{
    double a[VARS][VARS] = { 0 }, b[VARS] = { 0 }, norm = 0;

    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        double d, f, w, g[VARS];

        if (!p->placed)
            continue;
        d = distance(&n->at, &p->at);
        f = d + n->at.height_ms + p->at.height_ms - p->rtt_ms;
        w = weight(n, p, f);
        for (int k = 0; k < XENO_COORD_DIM; k++)
            g[k] = (n->at.x[k] - p->at.x[k]) / fmax(d, 1e-3);
        g[XENO_COORD_DIM] = 1;
        for (int k = 0; k < VARS; k++) {
            for (int m = 0; m < VARS; m++)
                a[k][m] += w * g[k] * g[m];
            b[k] -= w * f * g[k];
        }
        norm += w;
    }
    for (int k = 0; k < VARS; k++)
        a[k][k] += damping * norm + 1e-12;
    solve(a, b);
    for (int k = 0; k < XENO_COORD_DIM; k++)
        norm = fmax(norm, fabs(b[k]));
    for (int k = 0; k < XENO_COORD_DIM; k++)
        n->at.x[k] = within(n->at.x[k] + within(b[k], XENO_COORD_STEP_MS), XENO_COORD_MAX_MS);
    n->at.height_ms = fmax(fmin(n->at.height_ms + b[XENO_COORD_DIM], XENO_COORD_STEP_MS), 0.01);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double middle(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return v[n / 2];
}

/* How far off half of the peers' round trips are from `at`; the peers are counted. */
static double off_by(const struct xeno_coord_node *n, const struct xeno_coord *at,
                     size_t *ret_count)
{
    double off[XENO_COORD_PEERS];
    size_t count = 0;

    for (size_t i = 0; i < n->peer_count; i++)
        if (n->peers[i].placed)
            off[count++] = fabs(predict(at, &n->peers[i].at) - n->peers[i].rtt_ms);
    *ret_count = count;
    return count ? middle(off, count) : 0;
}

/* Where the middle of the peers fits better than where we are, we begin anew there: it is in each
 * direction where half of them are to either side, which a few who lie cannot move far. Without it
 * those who claim to be sure of places far away, while nobody else is sure of anything yet, hold
 * everybody there for good: near to them the rest looks wrong. */
static void unhold(struct xeno_coord_node *n)
{
    double x[VARS][XENO_COORD_PEERS];
    struct xeno_coord c = n->at;
    size_t count = 0;

    for (size_t i = 0; i < n->peer_count; i++) {
        if (!n->peers[i].placed)
            continue;
        for (int k = 0; k < XENO_COORD_DIM; k++)
            x[k][count] = n->peers[i].at.x[k];
        x[XENO_COORD_DIM][count++] = n->peers[i].at.height_ms;
    }
    if (count < XENO_COORD_FEW)
        return;
    for (int k = 0; k < XENO_COORD_DIM; k++)
        c.x[k] = middle(x[k], count);
    c.height_ms = middle(x[XENO_COORD_DIM], count);
    if (off_by(n, &c, &count) < BETTER * off_by(n, &n->at, &count))
        n->at = c;
}

/* How far off the own predictions are, honestly: the median of them, and more when peers are few,
 * for a point with as much freedom as there are peers fits them all and says nothing; no less than
 * it moved of late, nor than what its peers are unsure of together. */
static double error_of(const struct xeno_coord_node *n)
{
    double v[XENO_COORD_PEERS], unsure, usual, off, few_ms;
    size_t count = 0, few = 0;

    off = off_by(n, &n->at, &few);
    if (few == 0)
        return XENO_COORD_MAX_MS;
    for (size_t i = 0; i < n->peer_count; i++)
        if (n->peers[i].placed)
            v[count++] = n->peers[i].at.error_ms;
    unsure = middle(v, count) / sqrt((double)count);
    count = 0;
    for (size_t i = 0; i < n->peer_count; i++)
        if (n->peers[i].placed)
            v[count++] = n->peers[i].rtt_ms;
    usual = middle(v, count);
    /* A point that was kept was found by more than those few. */
    few_ms = fmin(usual * VARS / (double)(VARS + count * count), n->kept_ms);
    off = off * (1 + (double)VARS / (double)count) + few_ms;
    return fmin(fmax(off, fmax(unsure, n->drift_ms)), XENO_COORD_MAX_MS);
}

/* One step from where the node is, noting how far that was. */
static void move(struct xeno_coord_node *n)
{
    struct xeno_coord before = n->at;

    if (n->at.error_ms > HELD_MS)
        unhold(n);
    step(n, .05);
    n->drift_ms = fmax(DRIFT * n->drift_ms, distance(&before, &n->at));
    n->at.error_ms = error_of(n);
}

bool xeno_coord_node_sample(struct xeno_coord_node *n, const struct xeno_id *peer,
                            const struct xeno_coord *at, double rtt_ms)
{
    struct peer *p;

    if (!in_range(rtt_ms, 0) || (at && !xeno_coord_ok(at)))
        return false;
    p = place(n, peer);
    p->heard = ++n->samples;
    p->rtt[p->rtt_next] = (float)fmax(rtt_ms, XENO_COORD_MIN_MS);
    p->rtt_next = (p->rtt_next + 1) % XENO_COORD_HISTORY;
    p->rtt_count += p->rtt_count < XENO_COORD_HISTORY;
    p->rtt_ms = median(p->rtt, p->rtt_count);
    if (!at)
        return true;
    p->at = *at;
    p->placed = true;
    move(n);
    n->at.samples += n->at.samples < UINT32_MAX;
    return true;
}

void xeno_coord_node_forget(struct xeno_coord_node *n, const struct xeno_id *peer)
{
    struct peer *p = find(n, peer);

    if (p)
        *p = n->peers[--n->peer_count];
}

double xeno_coord_node_rtt(const struct xeno_coord_node *n, const struct xeno_id *peer)
{
    const struct peer *p = find(n, peer);

    return p ? p->rtt_ms : NAN;
}

const struct xeno_coord *xeno_coord_node_at(const struct xeno_coord_node *n)
{
    return &n->at;
}
