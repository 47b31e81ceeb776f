/* src/doc/charge-match.c - a batch of charges in our own writer's form, matched rather than parsed.
 *
 * A JSON library takes most of the time of reading a batch: a hundred small allocations for each
 * charge. XenoServers all send what xeno_charge_batch_sign() wrote, so that text is matched first,
 * member by member in its order, without an allocation. Whatever differs from it in one byte, and
 * whatever is out of bounds, is left to the parser, which alone decides what an error is
 * (docs/decisions: charges are matched). fuzz-charge holds the two against each other.
 */
#include "doc/charge-priv.h"

#include <stdlib.h>
#include <string.h>

/* A constant piece of text; strncmp() because the text may end in the middle of it. */
#define LITERAL(p, text)                                                                           \
    (strncmp(*(p), text, sizeof(text) - 1) == 0 && (*(p) += sizeof(text) - 1, true))

/* `chars` letters of base32. */
static bool id(const char **p, size_t chars, char *out)
{
    for (size_t i = 0; i < chars; i++) {
        char c = (*p)[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
            return false;
        out[i] = c;
    }
    out[chars] = '\0';
    *p += chars;
    return true;
}

/* A whole number without sign, leading zeros, fraction or exponent. */
static bool number(const char **p, int64_t min, int64_t max, int64_t *ret)
{
    const char *digits = *p;
    uint64_t n = 0;
    size_t len = 0;

    while (len < 19 && digits[len] >= '0' && digits[len] <= '9')
        n = n * 10 + (uint64_t)(digits[len++] - '0'); /* 19 digits fit */
    if (len == 0 || (len > 1 && digits[0] == '0') || n > (uint64_t)max || (int64_t)n < min)
        return false;
    *ret = (int64_t)n;
    *p += len;
    return true; /* a further digit or ".5" is not what follows, so that match fails */
}

static bool milliseconds(const char **p, xeno_time *ret)
{
    int64_t ms;

    if (!number(p, 0, XENO_DOC_MS_MAX, &ms))
        return false;
    *ret = xeno_ms(ms);
    return true;
}

/* Printable ASCII without quotes and backslashes; anything more interesting is for the parser. */
static bool plain_text(const char **p, size_t max, char *out)
{
    size_t len = 0;

    for (; (*p)[len] != '"'; len++) {
        if (len == max || (*p)[len] < ' ' || (*p)[len] > '~' || (*p)[len] == '\\')
            return false;
        out[len] = (*p)[len];
    }
    out[len] = '\0';
    *p += len;
    return true;
}

static bool resource(const char **p, enum xeno_res *ret)
{
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        const char *name = xeno_res_name((enum xeno_res)i);
        size_t len = strlen(name);

        if (strncmp(*p, name, len) == 0 && (*p)[len] == '"') {
            *ret = (enum xeno_res)i;
            *p += len;
            return true;
        }
    }
    return false;
}

static bool item(const char **p, struct xeno_charge_item *it)
{
    return LITERAL(p, "{\"res\":\"") && resource(p, &it->res) && LITERAL(p, "\",\"reserved\":") &&
           number(p, 0, XENO_QUANTITY_MAX, &it->reserved) && LITERAL(p, ",\"used\":") &&
           number(p, 0, XENO_QUANTITY_MAX, &it->used) && LITERAL(p, ",\"price_reserved\":") &&
           number(p, 0, XENO_CREDIT_MAX, &it->price_reserved.micro) &&
           LITERAL(p, ",\"price_used\":") && number(p, 0, XENO_CREDIT_MAX, &it->price_used.micro) &&
           LITERAL(p, ",\"amount\":") && number(p, 0, XENO_CREDIT_MAX, &it->amount.micro) &&
           LITERAL(p, "}");
}

static bool items(const char **p, struct xeno_charge *c)
{
    if (LITERAL(p, "[]"))
        return true;
    if (!LITERAL(p, "["))
        return false;
    do {
        if (c->item_count == XENO_RES_COUNT || !item(p, &c->items[c->item_count++]))
            return false;
    } while (LITERAL(p, ","));
    return LITERAL(p, "]");
}

static bool boolean(const char **p, bool *ret)
{
    *ret = LITERAL(p, "true");
    return *ret || LITERAL(p, "false");
}

static bool charge(const char **p, struct xeno_charge *c)
{
    return LITERAL(p, "{\"order\":\"") && id(p, XENO_ORDER_ID_CHARS, c->order) &&
           LITERAL(p, "\",\"epoch\":") && number(p, 1, INT64_MAX, &c->epoch) &&
           LITERAL(p, ",\"session\":\"") && id(p, XENO_SESSION_ID_CHARS, c->session) &&
           LITERAL(p, "\",\"seq\":") && number(p, 1, INT64_MAX, &c->seq) &&
           LITERAL(p, ",\"from_ms\":") && milliseconds(p, &c->from) && LITERAL(p, ",\"to_ms\":") &&
           milliseconds(p, &c->to) && LITERAL(p, ",\"tariff\":") &&
           number(p, 0, INT64_MAX, &c->tariff) && LITERAL(p, ",\"amount\":") &&
           number(p, 0, XENO_CREDIT_MAX, &c->amount.micro) && LITERAL(p, ",\"final\":") &&
           boolean(p, &c->final) && LITERAL(p, ",\"activity\":\"") &&
           plain_text(p, XENO_CHARGE_ACTIVITY_MAX, c->activity) && LITERAL(p, "\",\"items\":") &&
           items(p, c) && LITERAL(p, "}") && xeno_charge_check(c, NULL) == 0;
}

static bool batch(const char **p, struct xeno_charge_batch *b)
{
    char server[XENO_ID_CHARS + 1];

    if (!LITERAL(p, "{\"v\":1,\"server\":\"") || !id(p, XENO_ID_CHARS, server) ||
        strcmp(server, b->server.s) != 0 || !LITERAL(p, "\",\"charges\":["))
        return false;
    do {
        if (b->count == XENO_CHARGE_BATCH_MAX || !charge(p, &b->charges[b->count++]))
            return false;
    } while (LITERAL(p, ","));
    return LITERAL(p, "]}");
}

bool xeno_charge_match(const char *text, size_t len, struct xeno_charge_batch *b)
{
    const char *p = text;

    b->charges = xeno_new0_n(struct xeno_charge, XENO_CHARGE_BATCH_MAX);
    b->faults = xeno_new0_n(struct xeno_err *, XENO_CHARGE_BATCH_MAX);
    if (batch(&p, b) && (size_t)(p - text) == len)
        return true;
    free(xeno_take(&b->charges));
    free(xeno_take(&b->faults));
    b->count = 0;
    return false;
}
