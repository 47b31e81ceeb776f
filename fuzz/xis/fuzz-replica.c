/* fuzz/xis/fuzz-replica.c - questions from a peer and its answers, any bytes: nothing crashes, an
 * answer of ours can be read by us, what was known is never made older, and no page stays open.
 *
 * The input is messages, each on a line: "?..." a question to us, "0..." and "1..." an answer of
 * that peer to what we asked it last, with N, E and A for the question's number, its epoch and its
 * place. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../fuzz.h"
#include "base/buf.h"
#include "json/json.h"
#include "xis/replica.h"

#define LINES 64

struct host {
    struct xeno_replica *r;
    int64_t versions[32]; /* by the id's first letter, highest that was kept */
    size_t open, offers;
};

static size_t slot(const char *id)
{
    return (size_t)(unsigned char)id[0] % 32;
}

static bool load(void *user, const struct xeno_id *id, int64_t version,
                 struct xeno_replica_text *ret)
{
    (void)user;
    *ret = (struct xeno_replica_text){ .jws = id->s, .jws_len = XENO_ID_CHARS };
    return version % 5 != 0;
}

static void take(void *user, const struct xeno_replica_offer *o)
{
    static const int results[] = { 0, 0, 0, -EBADMSG, -EAGAIN, -ETIME };
    struct host *h = user;
    int r = results[h->offers++ % XENO_LEN(results)];

    XENO_REQUIRE(o->text.jws_len == strlen(o->text.jws) && xeno_id_ok(o->item.id.s));
    if (r == 0) {
        XENO_REQUIRE(xeno_replica_news(h->r, &o->item.id, o->item.version));
        r = xeno_replica_put(h->r, &o->item, NULL);
        XENO_REQUIRE(r == 0 || r == -EDQUOT);
    }
    xeno_replica_took(h->r, o->ticket, r);
}

static void own(struct host *h, int64_t version)
{
    struct xeno_replica_item it = { .version = version, .expires = xeno_s(2000000000) };

    for (size_t i = 0; i < 8; i++) {
        memset(it.id.s, (int)('a' + i % 3), XENO_ID_CHARS);
        it.id.s[2] = (char)('a' + i);
        if (xeno_replica_news(h->r, &it.id, version))
            (void)xeno_replica_put(h->r, &it, NULL);
        h->versions[slot(it.id.s)] = version;
    }
}

static void question(struct host *h, const char *line, size_t len)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *answer = NULL;
    size_t answer_len;

    if (xeno_replica_answer(h->r, line, len, &answer, &answer_len, NULL) < 0)
        return;
    XENO_REQUIRE(answer_len <= XENO_REPLICA_ANSWER);
    XENO_REQUIRE(xeno_json_parse(answer, answer_len, XENO_REPLICA_ANSWER, &doc, NULL) == 0);
}

/* The text behind a member's name in our last question, as long as it is a number or digits. */
static size_t copy_member(const char *q, const char *name, struct xeno_buf *b)
{
    const char *at = strstr(q, name);
    size_t len = at ? strspn(at + strlen(name), "0123456789abcdef") : 0;

    if (len > 0)
        xeno_buf_add(b, at + strlen(name), len);
    return len;
}

static void answer(struct host *h, struct xeno_env_test *t, size_t peer, const char *line,
                   size_t len)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *q = NULL;
    xeno_time at;
    size_t q_len;

    for (int i = 0; i < 3 && !q; i++) {
        if (xeno_replica_ask(h->r, peer, &q, &q_len, &at) > 0)
            break;
        t->now = xeno_time_add(t->now, xeno_s(120));
    }
    if (!q)
        return;
    XENO_REQUIRE(q_len <= XENO_REPLICA_ASK);
    question(h, q, q_len); /* we answer what we ask */
    for (size_t i = 0; i < len; i++) {
        if (line[i] == 'N')
            copy_member(q, "\"n\":", &b);
        else if (line[i] == 'E' && copy_member(q, "\"epoch\":\"", &b) > 0)
            continue;
        else if (line[i] == 'E')
            xeno_buf_puts(&b, "00000000000000ee");
        else if (line[i] == 'A')
            copy_member(q, "\"after\":", &b);
        else
            xeno_buf_add(&b, &line[i], 1);
    }
    (void)xeno_replica_hear(h->r, peer, b.data ? b.data : "", b.len, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct xeno_replica_limits limits = { .poll = xeno_s(2),
                                                .repair = xeno_s(60),
                                                .patience = xeno_s(30),
                                                .backoff = xeno_s(60),
                                                .entries = 64,
                                                .fetches = 16 };
    struct host h = { .r = NULL };
    const struct xeno_replica_host host = { .user = &h, .load = load, .take = take };
    const char *p = (const char *)data, *end = p + size;
    xeno_auto(xeno_replica) r = NULL;
    struct xeno_env_test t;

    xeno_env_test_init(&t, xeno_s(1800000000), 7);
    h.r = r = xeno_replica_new(&t.env, &host, &limits, 2);
    if (size > 0 && data[0] % 2)
        own(&h, 7);
    for (int i = 0; i < LINES && p < end; i++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl ? nl : end) - p);

        if (len > 0 && *p == '?')
            question(&h, p + 1, len - 1);
        else if (len > 0)
            answer(&h, &t, *p == '1', p + 1, len - 1);
        p += len + 1;
    }
    XENO_REQUIRE(xeno_replica_stats(r).entries + xeno_replica_stats(r).forgotten <= limits.entries);
    for (size_t i = 0; i < 8 && h.versions[slot("a")] > 0; i++) {
        struct xeno_id id = { .s = "" };

        memset(id.s, (int)('a' + i % 3), XENO_ID_CHARS);
        id.s[2] = (char)('a' + i);
        XENO_REQUIRE(!xeno_replica_news(r, &id, 7)); /* still as new, whatever came */
    }
    return 0;
}
