/* src/taskd/collect.c - unpacked layers that no session needs go when the cache is over its bound.
 *
 * Asked for at the start and whenever a session is gone; done in a child process, one at a time and
 * not more often than each COLLECT_US, so that a hundred sessions that end together cost one look.
 * Pins are kept by session (image/cache.h), so task managers that share a cache may all do it.
 */
#include "base/log.h"
#include "image/cache.h"
#include "taskd/taskd.h"

#define COLLECT_US (10 * 1000000)

static int collect(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    xeno_auto(xeno_cache) cache = NULL;
    struct xeno_cache_use use = { .layers = 0 };
    int r;

    (void)arg;
    (void)ch;
    r = xeno_cache_open(d->conf.cache, &cache, err);
    if (r == 0)
        r = xeno_cache_collect(cache, d->conf.cache_max, &use, err);
    if (r == 0 && use.removed > 0)
        xeno_log(LOG_INFO, "cache.collected", "removed=%zu bytes=%lld left=%zu", use.removed,
                 (long long)use.removed_bytes, use.layers);
    return r;
}

static void collected(struct taskd *d, void *arg, int value, const struct xeno_err *err)
{
    (void)arg;
    (void)value;
    d->collecting = false;
    if (err)
        xeno_log_err(LOG_WARNING, "cache.collect", err, "cache=%s", d->conf.cache);
}

static const struct job_kind collect_kind = { .fn = collect, .done = collected };

void collect_tick(struct taskd *d, uint64_t now_us)
{
    if (!d->host.oci || !d->collect_due || d->collecting || now_us < d->collect_after_us)
        return;
    d->collect_due = false;
    d->collecting = true;
    d->collect_after_us = now_us + COLLECT_US;
    job_start(d, &collect_kind, &d->collecting);
}
