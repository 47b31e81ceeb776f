/* src/line/held.c - packets under way, as a heap by time and order. */
#include "line/held.h"

#include <stdlib.h>
#include <string.h>

struct xeno_held {
    size_t packets_max, bytes_max, count, room, bytes;
    uint64_t seq;
    struct xeno_held_packet *heap;
    struct xeno_held_packet out; /* the one that was taken last */
};

struct xeno_held *xeno_held_new(size_t packets_max, size_t bytes_max)
{
    struct xeno_held *h = xeno_new0(struct xeno_held);

    h->packets_max = packets_max;
    h->bytes_max = bytes_max;
    return h;
}

void xeno_held_free(struct xeno_held *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->count; i++)
        free(h->heap[i].data);
    free(h->out.data);
    free(h->heap);
    free(h);
}

static bool before(const struct xeno_held_packet *a, const struct xeno_held_packet *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->seq < b->seq;
}

static void rise(struct xeno_held *h, size_t i)
{
    struct xeno_held_packet p = h->heap[i];

    while (i > 0 && before(&p, &h->heap[(i - 1) / 2])) {
        h->heap[i] = h->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->heap[i] = p;
}

static void sink(struct xeno_held *h)
{
    struct xeno_held_packet p = h->heap[0];
    size_t i = 0;

    for (size_t child = 1; child < h->count; child = 2 * i + 1) {
        if (child + 1 < h->count && before(&h->heap[child + 1], &h->heap[child]))
            child++;
        if (!before(&h->heap[child], &p))
            break;
        h->heap[i] = h->heap[child];
        i = child;
    }
    h->heap[i] = p;
}

bool xeno_held_put(struct xeno_held *h, int64_t due_ns, const void *data, size_t len)
{
    if (h->count == h->packets_max || len > h->bytes_max - h->bytes)
        return false;
    if (h->count == h->room) {
        h->room = h->room ? 2 * h->room : 64;
        h->heap = xeno_grow(h->heap, h->room);
    }
    h->heap[h->count] = (struct xeno_held_packet){
        .due_ns = due_ns, .seq = h->seq++, .len = len, .data = xeno_memdup(data, len)
    };
    h->bytes += len;
    rise(h, h->count++);
    return true;
}

const struct xeno_held_packet *xeno_held_take(struct xeno_held *h, int64_t now_ns)
{
    if (h->count == 0 || h->heap[0].due_ns > now_ns)
        return NULL;
    free(h->out.data);
    h->out = h->heap[0];
    h->bytes -= h->out.len;
    h->count--;
    if (h->count > 0) {
        h->heap[0] = h->heap[h->count];
        sink(h);
    }
    return &h->out;
}

int64_t xeno_held_next(const struct xeno_held *h)
{
    return h->count ? h->heap[0].due_ns : INT64_MAX;
}

size_t xeno_held_count(const struct xeno_held *h)
{
    return h->count;
}
