/* src/xis/replica-tree.c - the hash tree over (id, version), by the first two letters of ids.
 *
 * A change marks its bucket; order and hashes are made when they are asked for. So a change costs
 * nothing to speak of, and a comparison at most a hash over everything (some milliseconds for
 * 100,000).
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xis/replica-priv.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

char xeno_replica_letter(size_t i)
{
    return alphabet[i];
}

static size_t letter_at(char c)
{
    const char *at = strchr(alphabet, c);

    assert(at && c != '\0');
    return (size_t)(at - alphabet);
}

bool xeno_replica_prefix_ok(const char *text)
{
    return strlen(text) <= 2 && strspn(text, alphabet) == strlen(text);
}

static struct bucket *bucket_of(struct xeno_replica *r, const char *id)
{
    return &r->buckets[letter_at(id[0]) * LETTERS + letter_at(id[1])];
}

void xeno_replica_tree_add(struct xeno_replica *r, struct entry *e)
{
    struct bucket *b = bucket_of(r, e->id.s);

    if (b->count == b->room) {
        b->room = b->room ? b->room * 2 : 8;
        b->entries = xeno_grow(b->entries, b->room);
    }
    e->slot = b->count;
    b->entries[b->count++] = e;
    b->dirty = true;
}

void xeno_replica_tree_drop(struct xeno_replica *r, struct entry *e)
{
    struct bucket *b = bucket_of(r, e->id.s);

    b->entries[e->slot] = b->entries[--b->count];
    b->entries[e->slot]->slot = e->slot;
    b->dirty = true;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *)a)->id.s, (*(struct entry *const *)b)->id.s);
}

static void bucket_hash(struct bucket *b)
{
    xeno_auto(xeno_sha256) h = xeno_sha256_new();
    uint8_t full[32];
    char line[XENO_ID_CHARS + 24];

    for (uint32_t i = 0; i < b->count; i++) {
        int len = snprintf(line, sizeof line, "%s:%" PRId64 "\n", b->entries[i]->id.s,
                           b->entries[i]->version);

        xeno_sha256_add(h, line, (size_t)len);
    }
    xeno_sha256_end(h, full);
    memcpy(b->hash, full, sizeof b->hash);
}

const struct bucket *xeno_replica_bucket(struct xeno_replica *r, const char *prefix)
{
    struct bucket *b = bucket_of(r, prefix);

    if (!b->dirty)
        return b;
    if (b->count > 0)
        qsort(b->entries, b->count, sizeof *b->entries, by_id);
    for (uint32_t i = 0; i < b->count; i++)
        b->entries[i]->slot = i;
    bucket_hash(b);
    b->dirty = false;
    return b;
}

void xeno_replica_hash(struct xeno_replica *r, const char *prefix, uint8_t ret[XENO_REPLICA_HASH])
{
    size_t len = strlen(prefix);
    uint8_t below[LETTERS][XENO_REPLICA_HASH], full[32];

    if (len == 2) {
        memcpy(ret, xeno_replica_bucket(r, prefix)->hash, XENO_REPLICA_HASH);
        return;
    }
    for (size_t i = 0; i < LETTERS; i++) {
        char child[3] = { 0 };

        memcpy(child, prefix, len);
        child[len] = alphabet[i];
        xeno_replica_hash(r, child, below[i]);
    }
    xeno_sha256_of(below, sizeof below, full);
    memcpy(ret, full, XENO_REPLICA_HASH);
}
