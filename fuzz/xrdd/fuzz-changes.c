/* fuzz/xrdd/fuzz-changes.c - pages of an XIS's change feed, any bytes, as an RD takes them: nothing
 * crashes, a page leads on or is refused, and nobody is known but by what was signed.
 *
 * The input is pages, each on a line; the first letter says which of two XIS tells it. In a page $0
 * to $4 stand for texts that are signed: versions 1, 2 and the withdrawal 3 of one XenoServer, and
 * versions 1 and 2 of another; $a and $b are their ids. */
#include <stdio.h>
#include <string.h>

#include "../fuzz.h"
#include "base/buf.h"
#include "xrdd/told.h"

#define NOW   xeno_s(1700000000)
#define LINES 64
#define TEXTS 5

static struct {
    char *text[TEXTS];
    struct xeno_id id[2];
} said;

static char *sign(const struct xeno_key *key, int64_t version)
{
    static const char *const corps[] = { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL };
    static const char *const isolation[] = { "container", NULL };
    const struct xeno_advert_head head = { .version = version,
                                           .expires = xeno_time_add(NOW, xeno_s(600)),
                                           .endpoint = "https://192.0.2.1:443",
                                           .corps = corps,
                                           .isolation = isolation };
    xeno_auto(xeno_advert_maker) m = xeno_advert_maker_new(xeno_key_pub(key), &head);
    char *text = NULL;

    xeno_advert_add_int(m, "MemoryMB", 100 * version);
    XENO_REQUIRE(xeno_advert_sign(m, key, &text, NULL) == 0);
    return text;
}

static void say(void)
{
    for (int i = 0; i < 2; i++) {
        uint8_t seed[32] = { (uint8_t)(1 + i) };
        xeno_auto(xeno_key) key = xeno_key_from_seed(seed);

        said.id[i] = xeno_id_of(xeno_key_pub(key));
        said.text[3 * i] = sign(key, 1);
        said.text[3 * i + 1] = sign(key, 2);
        if (i == 0)
            said.text[2] = xeno_advert_sign_withdrawal(key, 3, xeno_time_add(NOW, xeno_s(600)));
    }
}

/* The page that a line stands for. */
static void write_page(struct xeno_buf *page, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = line[i] == '$' && i + 1 < len ? line[i + 1] : '\0';

        if (c >= '0' && c < '0' + TEXTS)
            xeno_buf_printf(page, "%s", said.text[c - '0']);
        else if (c == 'a' || c == 'b')
            xeno_buf_printf(page, "%s", said.id[c - 'a'].s);
        else {
            xeno_buf_add(page, line + i, 1);
            continue;
        }
        i++;
    }
}

/* Who is known, and by what. */
static void check(const struct xrdd_world *w)
{
    const struct xeno_rd *rd = xrdd_world_rd(w);

    for (uint32_t slot = 0; slot < xeno_rd_slots(rd); slot++) {
        const struct xeno_advert *a = xeno_rd_at(rd, slot);
        int which;

        if (!a)
            continue;
        which = strcmp(a->id.s, said.id[1].s) == 0;
        XENO_REQUIRE(strcmp(a->id.s, said.id[which].s) == 0);
        XENO_REQUIRE((a->version == 1 || a->version == 2) && !a->delta);
        XENO_REQUIRE(strcmp(a->jws, said.text[3 * which + (int)a->version - 1]) == 0);
    }
}

static void take(struct xrdd_told *t, const char *line, size_t len)
{
    xeno_autobuf page = { .max = XRDD_TOLD_MAX };
    int64_t after = t->after;

    write_page(&page, line, len);
    if (page.len == 0 || xrdd_told_take(t, page.data, page.len, NULL) < 0)
        XENO_REQUIRE(t->after == after);
    else
        XENO_REQUIRE(t->after >= 0 && (!t->more || t->after == 0 || t->after > after));
    XENO_REQUIRE(t->refused <= t->changes && strlen(t->epoch) <= XRDD_EPOCH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xeno_env_test env;
    xeno_auto(xrdd_world) world = NULL;
    struct xrdd_told told[2];
    const char *p = (const char *)data, *end = p + size;

    if (!said.text[0])
        say();
    xeno_env_test_init(&env, NOW, 1);
    world = xrdd_world_new(&env.env, 8);
    for (unsigned i = 0; i < 2; i++)
        told[i] = (struct xrdd_told){ world, i, "https://xis.example", .after = 0 };
    for (int i = 0; i < LINES && p < end; i++) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));

        eol = eol ? eol : end;
        if (eol > p)
            take(&told[(unsigned char)*p % 2], p + 1, (size_t)(eol - p) - 1);
        check(world);
        p = eol + 1;
    }
    return 0;
}
