/* bench/rd/tally.c - how often the best was chosen, and by how much it was missed. */
#include "tally.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats.h"

void tally_add(struct tally *t, double got, double best)
{
    if (t->n == t->room) {
        t->room = t->room * 2 + 1024;
        t->penalty = xeno_grow(t->penalty, t->room);
    }
    t->penalty[t->n++] = got - best;
    t->hits += got <= best;
    t->seed_n++;
    t->seed_hits += got <= best;
}

void tally_seed(struct tally *t)
{
    double share = t->seed_n ? 100. * (double)t->seed_hits / (double)t->seed_n : 0;

    t->seed_sum += share;
    t->seed_square += share * share;
    t->seeds += t->seed_n > 0;
    t->seed_n = t->seed_hits = 0;
}

double tally_share(const struct tally *t)
{
    return t->n ? 100. * (double)t->hits / (double)t->n : 0;
}

void tally_print(struct tally *t, const char *name)
{
    double k = (double)t->seeds, mean = t->seed_sum / k;
    double var = fmax(t->seed_square / k - mean * mean, 0);

    if (t->n == 0)
        return;
    bench_sort(t->penalty, t->n);
    printf("%-44s %5.1f%% +-%4.1f %9.2f %9.2f\n", name, tally_share(t),
           k > 1 ? 1.96 * sqrt(var / (k - 1)) : 0, bench_quantile(t->penalty, t->n, .5),
           bench_quantile(t->penalty, t->n, .9));
}

void tally_release(struct tally *t)
{
    free(t->penalty);
    *t = (struct tally){ .n = 0 };
}
