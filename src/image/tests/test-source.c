/* src/image/tests/test-source.c - who is asked for bytes, how often, and what is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "image/source.h"

#define BLOB "sha256:0000000000000000000000000000000000000000000000000000000000000000"

struct fake {
    struct xeno_source base;
    enum { GOOD, LIES, AWAY, HAS_NOT, KNOWS_BETTER } mood;
    int asked;
};

static struct xeno_env_test world;
static struct fake *one, *two;
static char told[4096];
static int waits;

static int fake_read(struct xeno_source *s, const char *digest, int64_t offset, void *buf,
                     size_t len, const struct xeno_source_want *want, struct xeno_err *err)
{
    struct fake *f = (struct fake *)s;

    (void)digest;
    (void)offset;
    (void)want;
    f->asked++;
    if (f->mood == AWAY)
        return xeno_fail(err, -ECONNREFUSED, "http.connect", "nobody there");
    if (f->mood == HAS_NOT)
        return xeno_fail(err, -ENOENT, "image.blob", "never seen");
    if (f->mood == KNOWS_BETTER)
        return xeno_fail(err, -EBADMSG, "agent.wrong", "it has that from a liar");
    memset(buf, f->mood == LIES ? '?' : '!', len);
    return 0;
}

static void fake_free(struct xeno_source *s)
{
    free((struct fake *)s);
}

static const struct xeno_source_ops fake_ops = { .read = fake_read, .free = fake_free };

static struct fake *fake_new(const char *name)
{
    struct fake *f = xeno_new0(struct fake);

    f->base.ops = &fake_ops;
    f->base.name = xeno_strdup(name);
    return f;
}

static void hear(void *arg, const struct xeno_source_event *e)
{
    static const char *const words[] = { "lies", "away", "back" };

    (void)arg;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s %s\n", e->source,
             words[e->state]);
    assert_string_equal(e->digest, BLOB);
    assert_true((e->err != NULL) == (e->state != XENO_SOURCE_BACK));
}

static void pass(void *arg, xeno_time length)
{
    (void)arg;
    assert_true(length.ns >= 0 && length.ns <= XENO_NS_PER_S);
    world.now = xeno_time_add(world.now, length.ns > 0 ? length : xeno_ns(1));
    waits++;
}

static struct xeno_sources *make(int64_t patience_ms)
{
    struct xeno_sources_opts opts = {
        .env = &world.env, .patience = xeno_ms(patience_ms), .event = hear, .wait = pass
    };
    struct xeno_sources *s;

    xeno_env_test_init(&world, xeno_s(1000), 1);
    told[0] = '\0';
    waits = 0;
    s = xeno_sources_new(&opts);
    one = fake_new("one");
    two = fake_new("two");
    xeno_sources_add(s, &one->base);
    xeno_sources_add(s, &two->base);
    return s;
}

static int check(void *arg, const void *data, struct xeno_err *err)
{
    (void)arg;
    return memcmp(data, "!!!!", 4) == 0 ? 0 : xeno_fail(err, -EBADMSG, "image.corrupt", "not that");
}

static int read_at(struct xeno_sources *s, int64_t offset, struct xeno_err *err)
{
    char buf[4];

    return xeno_sources_read(s, BLOB, offset, buf, 4, NULL, check, NULL, err);
}

static int read_it(struct xeno_sources *s, struct xeno_err *err)
{
    return read_at(s, 7, err);
}

static void first_comes_first(void **state)
{
    xeno_auto(xeno_sources) s = make(0);

    (void)state;
    assert_int_equal(read_it(s, NULL), 0);
    assert_int_equal(one->asked, 1);
    assert_int_equal(two->asked, 0);
    one->mood = HAS_NOT; /* is no failure */
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_it(s, NULL), 0);
    assert_int_equal(one->asked, 4);
    assert_int_equal(two->asked, 3);
    assert_string_equal(told, "");
    assert_int_equal(xeno_sources_bytes(s), 16);
}

static void nobody_has_it(void **state)
{
    xeno_auto(xeno_sources) s = make(60000);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    one->mood = two->mood = HAS_NOT;
    assert_int_equal(read_it(s, &err), -ENOENT);
    assert_string_equal(err.text, "two: never seen");
    assert_int_equal(waits, 0);
}

/* Whoever says himself that the bytes are wrong is no liar and not away: other parts are asked of
 * him at once. */
static void said_to_be_wrong(void **state)
{
    xeno_auto(xeno_sources) s = make(60000);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    one->mood = KNOWS_BETTER;
    two->mood = HAS_NOT;
    for (int i = 0; i < 5; i++)
        assert_int_equal(read_it(s, NULL), -ENOENT);
    two->mood = KNOWS_BETTER;
    assert_int_equal(read_it(s, &err), -EBADMSG);
    assert_string_equal(err.text, "two: it has that from a liar");
    one->mood = GOOD;
    assert_int_equal(read_it(s, NULL), 0);
    assert_int_equal(one->asked, 7);
    assert_int_equal(waits, 0);
    assert_string_equal(told, "");
}

static void a_liar_is_left_alone(void **state)
{
    xeno_auto(xeno_sources) s = make(0);

    (void)state;
    one->mood = LIES;
    for (int i = 0; i < 5; i++)
        assert_int_equal(read_it(s, NULL), 0);
    assert_int_equal(one->asked, 1);
    assert_string_equal(told, "one lies\n");
    one->mood = GOOD; /* of other bytes it may be right: one bad sector is no liar */
    assert_int_equal(read_at(s, 100, NULL), 0);
    assert_int_equal(one->asked, 2);
    one->mood = LIES;
    for (int i = 0; i < 10; i++)
        assert_int_equal(read_at(s, 200 + i, NULL), 0);
    assert_int_equal(one->asked, 4); /* three lies are enough */
    world.now = xeno_time_add(world.now, xeno_s(6 * 60));
    assert_int_equal(read_it(s, NULL), 0);
    assert_int_equal(one->asked, 5);
    assert_string_equal(told, "one lies\none lies\none lies\none lies\n");
}

/* Wrong bytes are an error at once, however patient the reader is. */
static void liars_are_not_waited_for(void **state)
{
    xeno_auto(xeno_sources) s = make(60000);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    one->mood = two->mood = LIES;
    assert_int_equal(read_it(s, &err), -EBADMSG);
    assert_true(xeno_err_is(&err, "image.corrupt"));
    assert_string_equal(err.text, "two: not that");
    assert_int_equal(read_it(s, &err), -EIO);
    assert_true(xeno_err_is(&err, "source.none"));
    assert_int_equal(waits, 0);
    assert_int_equal(one->asked + two->asked, 2);
}

static void one_that_is_away_is_told_once(void **state)
{
    xeno_auto(xeno_sources) s = make(0);

    (void)state;
    one->mood = AWAY;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(read_it(s, NULL), 0);
        world.now = xeno_time_add(world.now, xeno_s(1));
    }
    assert_in_range(one->asked, 4, 9); /* 0.5 s, 1, 2, ... 60 */
    assert_string_equal(told, "one away\n");
    one->mood = GOOD;
    world.now = xeno_time_add(world.now, xeno_s(100));
    assert_int_equal(read_it(s, NULL), 0);
    assert_string_equal(told, "one away\none back\n");
    assert_int_equal(read_it(s, NULL), 0);
    assert_int_equal(two->asked, 100);
}

static void come_back(void *arg, xeno_time length)
{
    pass(arg, length);
    if (waits == 3)
        one->mood = GOOD;
}

static void patience_is_bounded(void **state)
{
    xeno_auto(xeno_sources) s = make(20000);
    struct xeno_err err = XENO_ERR_INIT;
    xeno_time begin = world.now;

    (void)state;
    one->mood = two->mood = AWAY;
    assert_int_equal(read_it(s, &err), -EIO);
    assert_true(xeno_err_is(&err, "source.away"));
    assert_in_range((world.now.ns - begin.ns) / XENO_NS_PER_MS, 20000, 20100);
    assert_in_range(one->asked, 4, 8);
}

static void patience_is_rewarded(void **state)
{
    struct xeno_sources_opts opts = {
        .env = &world.env, .patience = xeno_s(20), .event = hear, .wait = come_back
    };
    xeno_auto(xeno_sources) s = NULL;

    (void)state;
    xeno_env_test_init(&world, xeno_s(1000), 1);
    told[0] = '\0';
    waits = 0;
    s = xeno_sources_new(&opts);
    one = fake_new("one");
    xeno_sources_add(s, &one->base);
    one->mood = AWAY;
    assert_int_equal(read_it(s, NULL), 0);
    assert_string_equal(told, "one away\none back\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_comes_first),        cmocka_unit_test(nobody_has_it),
        cmocka_unit_test(said_to_be_wrong),         cmocka_unit_test(a_liar_is_left_alone),
        cmocka_unit_test(liars_are_not_waited_for), cmocka_unit_test(one_that_is_away_is_told_once),
        cmocka_unit_test(patience_is_bounded),      cmocka_unit_test(patience_is_rewarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
