/* src/conf/tests/test-conf.c */
#include "conf/args.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/units.h"

struct conf {
    char *listen, *token;
    int64_t workers, cache_bytes;
    xeno_time grace;
    xeno_credit price;
    bool fast;
};

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = type_, .offset = offsetof(struct conf, field_), __VA_ARGS__         \
    }

static const struct xeno_conf_item items[] = {
    ITEM(listen, "listen", XENO_CONF_TEXT, .fallback = "127.0.0.1:1", .min = 3, .max = 20,
         .required = true, .help = "Address to listen on"),
    ITEM(token, "token", XENO_CONF_TEXT, .max = 8, .secret = true, .required = true,
         .help = "A secret"),
    ITEM(workers, "workers", XENO_CONF_INT, .fallback = "2", .min = 1, .max = 8, .unit = "threads",
         .help = "How many"),
    ITEM(cache_bytes, "cache.size", XENO_CONF_SIZE, .fallback = "64M", .max = 1 << 30,
         .help = "Kept in memory"),
    ITEM(grace, "grace", XENO_CONF_DURATION, .fallback = "90s", .min = 1000, .max = 3600000,
         .reloadable = true, .help = "How long - at most"),
    ITEM(price, "price", XENO_CONF_CREDIT, .fallback = "0.25", .max = XENO_CREDIT,
         .help = "What it costs."),
    ITEM(fast, "fast", XENO_CONF_BOOL, .fallback = "no", .help = "Skip the slow part"),
};
#define N XENO_LEN(items)

static void defaults_and_values(void **state)
{
    struct conf c;

    (void)state;
    xeno_conf_defaults(items, N, &c);
    assert_string_equal(c.listen, "127.0.0.1:1");
    assert_null(c.token);
    assert_int_equal(c.workers, 2);
    assert_int_equal(c.cache_bytes, 64 << 20);
    assert_true(c.grace.ns == 90 * XENO_NS_PER_S);
    assert_int_equal(c.price.micro, 250000);
    assert_false(c.fast);
    assert_int_equal(
        xeno_conf_parse(items, N, &c,
                        "# a comment\n\n listen = [::1]:80 \r\nworkers=8\n"
                        "cache.size = 0\ngrace = 2m\nprice = 1\nfast = yes\ntoken = a=b",
                        "t", NULL),
        0);
    assert_string_equal(c.listen, "[::1]:80");
    assert_string_equal(c.token, "a=b");
    assert_int_equal(c.workers, 8);
    assert_int_equal(c.cache_bytes, 0);
    assert_true(c.grace.ns == 120 * XENO_NS_PER_S);
    assert_int_equal(c.price.micro, XENO_CREDIT);
    assert_true(c.fast);
    xeno_conf_release(items, N, &c);
    assert_null(c.listen);
}

static void bad_lines(void **state)
{
    static const struct {
        const char *text, *token, *says;
    } rows[] = {
        { "nonsense", "conf.syntax", "t:1" },
        { "\n\nwho = me", "conf.unknown", "t:3: there is no option 'who'" },
        { "workers = 1\nworkers = 1", "conf.repeated", "t:2: workers was set in line 1" },
        { "workers = 0", "conf.range", "from 1 to 8 threads" },
        { "workers = 9", "conf.range", "workers" },
        { "workers = -1", "conf.range", "workers" },
        { "workers = 9223372036854775808", "conf.range", "not a whole number" },
        { "workers = 1x", "conf.range", "not a whole number" },
        { "workers = 1.5", "conf.range", "not a whole number" },
        { "workers =", "conf.range", "not a whole number" },
        { "cache.size = 2G", "conf.range", "cache.size" },
        { "cache.size = -1", "conf.range", "cache.size" },
        { "grace = 1", "conf.range", "grace" },
        { "grace = 2h", "conf.range", "from 1s to 1h" },
        { "price = 1.1", "conf.range", "price" },
        { "price = -1", "conf.range", "price" },
        { "fast = true", "conf.range", "fast" },
        { "listen = a", "conf.range", "3 to 20 bytes, not 1" },
        { "token = 123456789", "conf.range", "token" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct conf c;

        xeno_conf_defaults(items, N, &c);
        assert_int_equal(xeno_conf_parse(items, N, &c, rows[i].text, "t", &err), -EINVAL);
        print_message("%s: %s\n", rows[i].text, err.text);
        assert_string_equal(err.token, rows[i].token);
        assert_non_null(strstr(err.text, rows[i].says));
        assert_int_equal(c.price.micro, 250000); /* untouched */
        xeno_conf_release(items, N, &c);
    }
}

static void required_ones(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct conf c;

    (void)state;
    xeno_conf_defaults(items, N, &c);
    assert_int_equal(xeno_conf_complete(items, N, &c, &err), -EINVAL);
    assert_string_equal(err.token, "conf.missing");
    assert_non_null(strstr(err.text, "token"));
    assert_int_equal(xeno_conf_set(items, N, &c, "token", "s3cret", NULL), 0);
    assert_int_equal(xeno_conf_complete(items, N, &c, NULL), 0);
    assert_int_equal(xeno_conf_set(items, N, &c, "none", "1", &err), -EINVAL);
    assert_string_equal(err.token, "conf.unknown");
    xeno_conf_release(items, N, &c);
}

/* What is dumped can be read again, and holds no secret. */
static void dump_reads_back(void **state)
{
    xeno_autofree char *text = NULL;
    struct conf a, b;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    xeno_conf_defaults(items, N, &a);
    xeno_conf_set(items, N, &a, "token", "s3cret", NULL);
    xeno_conf_set(items, N, &a, "grace", "61s", NULL);
    xeno_conf_set(items, N, &a, "cache.size", "1025", NULL);
    xeno_conf_dump(items, N, &a, out);
    fclose(out);
    assert_null(strstr(text, "s3cret"));
    xeno_conf_defaults(items, N, &b);
    assert_int_equal(xeno_conf_parse(items, N, &b, text, "dump", NULL), 0);
    assert_true(b.grace.ns == 61 * XENO_NS_PER_S);
    assert_int_equal(b.cache_bytes, 1025);
    assert_string_equal(b.listen, a.listen);
    xeno_conf_release(items, N, &a);
    xeno_conf_release(items, N, &b);
}

static void mdoc_names_every_option(void **state)
{
    xeno_autofree char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    xeno_conf_mdoc(items, N, out);
    fclose(out);
    for (size_t i = 0; i < N; i++)
        assert_non_null(strstr(text, items[i].name));
    assert_non_null(strstr(text, "From 1s to 1h."));
    assert_null(strstr(text, "costs.."));
}

static void files(void **state)
{
    char path[] = "/tmp/xeno-test-conf-XXXXXX";
    xeno_autoclose int fd = mkstemp(path);
    struct xeno_err err = XENO_ERR_INIT;
    struct conf c;

    (void)state;
    xeno_conf_defaults(items, N, &c);
    assert_int_equal(xeno_write_all(fd, "workers = 3\n", 12), 0);
    assert_int_equal(xeno_conf_file(items, N, &c, path, NULL), 0);
    assert_int_equal(c.workers, 3);
    assert_int_equal(xeno_write_all(fd, "fast = yes\0x\n", 13), 0);
    assert_int_equal(xeno_conf_file(items, N, &c, path, &err), -EINVAL);
    assert_string_equal(err.token, "conf.syntax");
    unlink(path);
    assert_int_equal(xeno_conf_file(items, N, &c, path, &err), -ENOENT);
    xeno_conf_release(items, N, &c);
}

static void arguments(void **state)
{
    static const struct xeno_conf_verb verbs[] = { { "init", NULL, "make it" },
                                                   { "enrol", "TOKEN", "join" },
                                                   { NULL } };
    static const struct xeno_conf_program prog = { "t", "test", items, N, verbs };
    static const struct {
        const char *argv[6];
        const char *token; /* NULL: success */
        enum xeno_conf_todo todo;
        int64_t workers;
    } rows[] = {
        { { "--token=a" }, NULL, XENO_CONF_RUN, 2 },
        { { "--token", "a", "--workers", "3", "--workers=4" }, NULL, XENO_CONF_RUN, 4 },
        { { "--token=a", "--fast", "--check" }, NULL, XENO_CONF_CHECK, 2 },
        { { "--enrol", "xt1", "--workers=5" }, NULL, XENO_CONF_VERB, 5 },
        { { "--init" }, NULL, XENO_CONF_VERB, 2 },
        { { "--token=a", "--workers=9" }, "conf.range" },
        { { "--workers=1" }, "conf.missing" },
        { { "--token" }, "conf.argument" },
        { { "--init", "--check" }, "conf.argument" },
        { { "--init=1" }, "conf.argument" },
        { { "--none=1", "--token=a" }, "conf.unknown" },
        { { "word" }, "conf.argument" },
        { { "--" }, "conf.argument" },
        { { "--dump-config=html" }, "conf.argument" },
        { { "--token=a", "--config", "/nonexistent" }, "io.open" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_conf_ask ask = { .value = "old" };
        struct xeno_err err = XENO_ERR_INIT;
        char *argv[8] = { (char *)"t" };
        int argc = 1, r;
        struct conf c;

        for (; rows[i].argv[argc - 1]; argc++)
            argv[argc] = (char *)rows[i].argv[argc - 1];
        r = xeno_conf_args(&prog, &c, argc, argv, &ask, &err);
        print_message("%s: %s\n", argv[1], err.text);
        if (rows[i].token) {
            assert_true(r < 0);
            assert_string_equal(err.token, rows[i].token);
            assert_string_equal(ask.value, "old");
        } else {
            assert_int_equal(r, 0);
            assert_int_equal(ask.todo, rows[i].todo);
            assert_int_equal(c.workers, rows[i].workers);
        }
        xeno_conf_release(items, N, &c);
    }
}

static void arguments_win_over_the_file(void **state)
{
    static const struct xeno_conf_program prog = { "t", "test", items, N, NULL };
    char path[] = "/tmp/xeno-test-conf-XXXXXX";
    xeno_autoclose int fd = mkstemp(path);
    char *argv[] = { (char *)"t", (char *)"--workers=3", (char *)"--config", path,
                     (char *)"--token=a" };
    struct xeno_conf_ask ask;
    struct conf c;

    (void)state;
    assert_int_equal(xeno_write_all(fd, "workers = 7\ngrace = 5s\n", 23), 0);
    assert_int_equal(xeno_conf_args(&prog, &c, 5, argv, &ask, NULL), 0);
    assert_int_equal(c.workers, 3);
    assert_true(c.grace.ns == 5 * XENO_NS_PER_S);
    xeno_conf_release(items, N, &c);
    unlink(path);
}

static void takes_what_may_change(void **state)
{
    static const struct xeno_conf_item some[] = {
        ITEM(listen, "listen", XENO_CONF_TEXT, .fallback = "a", .help = "x"),
        ITEM(token, "token", XENO_CONF_TEXT, .fallback = "b", .reloadable = true, .help = "x"),
        ITEM(workers, "workers", XENO_CONF_INT, .fallback = "1", .reloadable = true, .help = "x"),
        ITEM(fast, "fast", XENO_CONF_BOOL, .fallback = "no", .reloadable = true, .help = "x"),
    };
    struct conf c, fresh;

    (void)state;
    memset(&c, 0, sizeof c);
    memset(&fresh, 0, sizeof fresh);
    xeno_conf_defaults(some, XENO_LEN(some), &c);
    xeno_conf_defaults(some, XENO_LEN(some), &fresh);
    assert_int_equal(xeno_conf_parse(some, XENO_LEN(some), &fresh,
                                     "listen = c\ntoken = d\nworkers = 2\nfast = yes", "t", NULL),
                     0);
    xeno_conf_take(some, XENO_LEN(some), &c, &fresh);
    assert_string_equal(c.listen, "a");
    assert_string_equal(c.token, "d");
    assert_string_equal(fresh.token, "b"); /* to be released there */
    assert_int_equal(c.workers, 2);
    assert_true(c.fast);
    xeno_conf_release(some, XENO_LEN(some), &fresh);
    xeno_conf_release(some, XENO_LEN(some), &c);
}

static int not_nine(const void *fresh, struct xeno_err *err)
{
    return ((const struct conf *)fresh)->workers == 9
               ? xeno_fail(err, -EINVAL, "test.nine", "nine is too many")
               : 0;
}

static void reads_it_again(void **state)
{
    static const struct xeno_conf_item some[] = {
        ITEM(listen, "listen", XENO_CONF_TEXT, .fallback = "a", .help = "x"),
        ITEM(workers, "workers", XENO_CONF_INT, .fallback = "1", .reloadable = true, .help = "x"),
    };
    const struct xeno_conf_program p = { .name = "t", .items = some, .count = XENO_LEN(some) };
    char *argv[] = { (char *)"t", (char *)"--workers=2", (char *)"--listen=b" };
    static const struct {
        const char *workers;
        int want, workers_then;
    } rows[] = {
        { "--workers=3", 0, 3 },
        { "--workers=9", -EINVAL, 3 },
        { "--workers=many", -EINVAL, 3 },
        { "--workers=4", 0, 4 },
    };
    struct xeno_conf_ask ask;
    struct conf c = { .workers = 0 };

    (void)state;
    assert_int_equal(xeno_conf_args(&p, &c, 2, argv, &ask, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct conf fresh = { .workers = 0 };

        argv[1] = (char *)(uintptr_t)rows[i].workers;
        assert_int_equal(xeno_conf_reload(&p, &c, &fresh, 3, argv, not_nine, NULL), rows[i].want);
        assert_int_equal(c.workers, rows[i].workers_then);
        assert_string_equal(c.listen, "a"); /* may not change */
    }
    xeno_conf_release(some, XENO_LEN(some), &c);
}

static void finds_the_folder(void **state)
{
    const struct {
        const char *one, *two, *want;
    } rows[] = {
        { "--config", "/etc/xeno/a.conf", "/etc/xeno" },
        { "--config=/a.conf", "--x=y", "/" },
        { "--x=y", "--config=a.conf", "." },
        { "--x=y", "--config", NULL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        char *argv[] = { (char *)"t", (char *)(uintptr_t)rows[i].one,
                         (char *)(uintptr_t)rows[i].two };
        xeno_autofree char *folder = xeno_conf_folder(3, argv);

        if (rows[i].want)
            assert_string_equal(folder, rows[i].want);
        else
            assert_null(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_values),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(required_ones),
        cmocka_unit_test(dump_reads_back),
        cmocka_unit_test(mdoc_names_every_option),
        cmocka_unit_test(files),
        cmocka_unit_test(arguments),
        cmocka_unit_test(arguments_win_over_the_file),
        cmocka_unit_test(takes_what_may_change),
        cmocka_unit_test(reads_it_again),
        cmocka_unit_test(finds_the_folder),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
