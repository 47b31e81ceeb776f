/* src/xis/tests/fake.c - adverts that nobody signed. */
#include "xis/tests/fake.h"

#include <inttypes.h>
#include <string.h>

#include "base/enc.h"

struct xeno_id fake_id(uint32_t n)
{
    uint8_t b[20] = { 0 };
    struct xeno_id id;

    /* The order of ids is not that of the numbers. */
    n *= 2654435761u;
    memcpy(b, &n, sizeof n);
    xeno_base32(b, sizeof b, id.s);
    return id;
}

struct xeno_advert *fake_withdrawal(uint32_t n, int64_t version, xeno_time expires)
{
    struct xeno_advert *a = xeno_new0(struct xeno_advert);

    a->id = fake_id(n);
    a->version = a->base = version;
    a->expires = expires;
    a->withdrawn = true;
    a->jws = xeno_asprintf("W%" PRIu32 ".%" PRId64, n, version);
    a->jws_len = strlen(a->jws);
    return a;
}

static char *put(char *at, const char **ret, const char *text)
{
    *ret = at;
    return stpcpy(at, text) + 1;
}

struct xeno_advert *fake_advert(uint32_t n, int64_t version, xeno_time expires,
                                const struct fake_leaf *leaves, size_t count)
{
    struct xeno_advert *a = fake_withdrawal(n, version, expires);
    size_t room = 3 + XENO_ID_CHARS + 1;
    char *at;

    a->withdrawn = false;
    a->jws[0] = 'A';
    for (size_t i = 0; i < count; i++)
        room += strlen(leaves[i].path) + strlen(leaves[i].value) + 2;
    a->leaf_count = count + 1;
    a->leaves = xeno_alloc0(1, a->leaf_count * sizeof a->leaves[0] + room);
    at = (char *)(a->leaves + a->leaf_count);
    at = put(at, &a->leaves[0].path, "Id");
    at = put(at, &a->leaves[0].value, a->id.s);
    for (size_t i = 0; i < count; i++) {
        struct xeno_leaf *l = &a->leaves[i + 1];

        at = put(at, &l->path, leaves[i].path);
        at = put(at, &l->value, leaves[i].value);
        l->number = xeno_advert_is_number(l->value, &l->n);
    }
    return a;
}
