/* src/imaged/ops.c - what is answered at once, and what becomes a job. */
#include "imaged/imaged.h"

static void op_progress(struct imaged *d, struct peer *p, const struct xeno_agent_request *q)
{
    xeno_autofree struct xeno_agent_progress *items =
        xeno_new0_n(struct xeno_agent_progress, q->count + 1);

    for (size_t i = 0; i < q->count; i++)
        memory_progress(d, q->digests[i], &items[i]);
    peer_reply(p, q->id, xeno_agent_progress_json(items, q->count), NULL, 0);
}

static void op_keep(struct imaged *d, struct peer *p, const struct xeno_agent_request *q)
{
    memory_keep(d, q->digests, q->count, q->more);
    peer_reply(p, q->id, NULL, NULL, 0);
}

static void op_status(struct imaged *d, struct peer *p, const struct xeno_agent_request *q)
{
    const struct imaged_counts *c = &d->count;
    const struct {
        const char *key;
        int64_t n;
    } rows[] = {
        { "store_bytes", atomic_load(&d->store_bytes) },
        { "waiting", (int64_t)work_waiting(d) },
        { "resolved", atomic_load(&c->resolved) },
        { "resolved_old", atomic_load(&c->resolved_old) },
        { "fetched_layers", atomic_load(&c->fetched_layers) },
        { "reads", atomic_load(&c->reads) },
        { "read_bytes", atomic_load(&c->read_bytes) },
        { "network_bytes", atomic_load(&c->network_bytes) },
        { "failed", atomic_load(&c->failed) },
        { "refused", atomic_load(&c->refused) },
        { "sources_away", (int64_t)repos_away(d) },
        { "collected_bytes", atomic_load(&c->collected_bytes) },
    };
    struct xeno_json *ok = xeno_json_object();

    pthread_mutex_lock(&d->mutex);
    xeno_json_set_int(ok, "images", HASH_COUNT(d->images));
    xeno_json_set_int(ok, "layers", HASH_COUNT(d->layers));
    pthread_mutex_unlock(&d->mutex);
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        xeno_json_set_int(ok, rows[i].key, rows[i].n);
    peer_reply(p, q->id, ok, NULL, 0);
}

void op_dispatch(struct imaged *d, struct peer *p, struct xeno_agent_request *q_taken)
{
    xeno_auto(xeno_agent_request) q = q_taken;

    switch (q->op) {
    case XENO_AGENT_RESOLVE:
        work_submit(d, p, JOB_RESOLVE, xeno_take(&q));
        break;
    case XENO_AGENT_FETCH:
        work_submit(d, p, JOB_FETCH, xeno_take(&q));
        break;
    case XENO_AGENT_READ:
        work_submit(d, p, JOB_READ, xeno_take(&q));
        break;
    case XENO_AGENT_PROGRESS:
        op_progress(d, p, q);
        break;
    case XENO_AGENT_KEEP:
        op_keep(d, p, q);
        break;
    default:
        op_status(d, p, q);
    }
}
