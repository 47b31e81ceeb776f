/* src/spec/tests/test-service-doc.c */
#include "spec/service-doc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

#define PARAMETERS                                                                                 \
    "<Parameter name='motd'><Value>one ${replica}</Value><Value/><Value>three</Value></Parameter>" \
    "<Parameter name='all'><Value>same</Value></Parameter>"
#define BASIC       "<Basic><EnvName>web</EnvName><EnvType>Linux</EnvType></Basic>"
#define NEEDS(x)    "<EnvironmentalRequirements>" BASIC x "</EnvironmentalRequirements>"
#define WITH_PORT   NEEDS("<Network><Port port='80'/></Network>")
#define ARGS(x)     "<Command>" x "</Command>"
#define TASK(x)     "<Task>" ARGS("<Argument>" x "</Argument>") "</Task>"
#define NAMED(n, x) "<Task><Name>" n "</Name>" ARGS("<Argument>" x "</Argument>") "</Task>"
#define SERVICE(x)  "<Service>" x "</Service>"

static const struct xeno_replica second = {
    .number = 2, .count = 3, .server = "x2", .address = "192.0.2.7", .port = 20080
};

static struct xeno_service *parse(const char *text)
{
    struct xeno_service *s = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_service_parse(text, strlen(text), &s, &err) < 0)
        fail_msg("%s: %s", err.token, err.text);
    return s;
}

static void a_replica_gets_its_own(void **state)
{
    xeno_auto(xeno_service) s = NULL;
    xeno_auto(xeno_task_doc) t = NULL;
    xeno_auto(xeno_requirement) q = NULL;

    (void)state;
    s = parse(SERVICE(PARAMETERS WITH_PORT "<Task><Name>main</Name>" ARGS(
        "<Argument>run-${replica}</Argument>"
        "<Argument>${all}${motd}.</Argument>"
        "<Argument>$HOME $$ $${replica} $</Argument>") "<Environment name='AT' value='${address}:${port}@${server}'/>"
                                                       "<WorkingDirectory>/srv/${replica}</WorkingDirectory></Task>" TASK(
                                                           "true")));
    assert_int_equal(s->task_count, 2);
    assert_int_equal(s->parameter_count, 2);
    assert_int_equal(xeno_service_task(s, 0, &second, &t, NULL), 0);
    assert_string_equal(t->argv[0], "run-2");
    assert_string_equal(t->argv[1], "same.");
    assert_string_equal(t->argv[2], "$HOME $$ ${replica} $");
    assert_int_equal(t->argc, 3);
    assert_string_equal(t->env[0], "AT=192.0.2.7:20080@x2");
    assert_string_equal(t->cwd, "/srv/${replica}"); /* only arguments and the environment */
    assert_string_equal(t->name, "main");
    assert_int_equal(xeno_service_requirement(s, 2, &q, NULL), 0);
    assert_string_equal(q->name, "web-2");
    assert_string_equal(s->req->name, "web");
}

/* What a value contains is not read again. */
static void values_are_put_in_once(void **state)
{
    struct xeno_replica first = second;
    xeno_auto(xeno_service) s = NULL;
    xeno_auto(xeno_task_doc) t = NULL;

    (void)state;
    first.number = 1;
    s = parse(SERVICE(PARAMETERS NEEDS("") TASK("${motd}")));
    assert_int_equal(xeno_service_task(s, 0, &first, &t, NULL), 0);
    assert_string_equal(t->argv[0], "one ${replica}");
}

static void refusals_of_a_replica(void **state)
{
    static const struct {
        const char *task, *token, *word;
        unsigned number;
    } rows[] = {
        { TASK("a${motd}"), "spec.parameter", "none for replica 4", 4 },
        { TASK("${motd}"), "spec.argument", "empty", 2 }, /* names no program then */
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_replica re = second;
        xeno_autofree char *text =
            xeno_asprintf("<Service>" PARAMETERS NEEDS("") "%s</Service>", rows[i].task);
        xeno_auto(xeno_service) s = parse(text);
        struct xeno_task_doc *t = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        re.number = rows[i].number;
        assert_int_equal(xeno_service_task(s, 0, &re, &t, &err), -EINVAL);
        assert_string_equal(err.token, rows[i].token);
        assert_non_null(strstr(err.text, rows[i].word));
        assert_null(t);
    }
}

static const struct {
    const char *text, *token, *word;
} bad[] = {
    { "<Task>" ARGS("<Argument>a</Argument>") "</Task>", "spec.service", "is Task" },
    { NEEDS(""), "spec.service", "is EnvironmentalRequirements" },
    { SERVICE(NEEDS("")), "xml.schema", "1 to 32 Task" },
    { SERVICE(TASK("a")), "xml.schema", "EnvironmentalRequirements" },
    { SERVICE(TASK("a") NEEDS("")), "xml.schema", "EnvironmentalRequirements" },
    { SERVICE(NEEDS("") NAMED("A", "a")), "xml.schema", "lower-case" },
    { SERVICE(NEEDS("<QoS><CPUmsps>0</CPUmsps></QoS>") TASK("a")), "xml.schema", "CPUmsps" },
    { SERVICE(NEEDS("<QoS><CPUmsps>10</CPUmsps><CPUBurstMs>9</CPUBurstMs></QoS>") TASK("a")),
      "spec.burst", "CPUBurstMs" },
    { SERVICE(NEEDS("") TASK("")), "spec.argument", "empty" },
    { SERVICE(NEEDS("") NAMED("t", "a") NAMED("t", "b")), "spec.service", "t is there twice" },
    { SERVICE(NEEDS("<Limits><MaxTasks>1</MaxTasks></Limits>") TASK("a") TASK("b")), "spec.service",
      "MaxTasks (1)" },
    { SERVICE("<Parameter name='A'><Value/></Parameter>" NEEDS("") TASK("a")), "xml.schema",
      "a letter first" },
    { SERVICE("<Parameter name='a'/>" NEEDS("") TASK("a")), "xml.schema", "Value" },
    { SERVICE("<Parameter name='port'><Value/></Parameter>" NEEDS("") TASK("a")), "spec.parameter",
      "port is taken" },
    { SERVICE("<Parameter name='a'><Value/></Parameter><Parameter name='a'><Value/></Parameter>" //
              NEEDS("") TASK("a")),
      "spec.parameter", "a is taken" },
    { SERVICE(NEEDS("") TASK("a${nothing}")), "spec.parameter", "${nothing}" },
    { SERVICE(NEEDS("") TASK("${port}")), "spec.parameter", "no Port" },
    { SERVICE(NEEDS("") TASK("a${")), "spec.parameter", "1 to 32" },
    { SERVICE(NEEDS("") TASK("a${}")), "spec.parameter", "1 to 32" },
    { SERVICE(NEEDS("") TASK("a${replica")), "spec.parameter", "and a }" },
    { SERVICE(NEEDS("") TASK("a${Replica}")), "spec.parameter", "lower-case" },
    { SERVICE(NEEDS("") TASK("a${aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}")), "spec.parameter",
      "1 to 32" },
};

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_service *s = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_service_parse(bad[i].text, strlen(bad[i].text), &s, &err);

        if (r >= 0 || strcmp(err.token, bad[i].token) != 0 || !strstr(err.text, bad[i].word))
            fail_msg("%s: %d %s %s", bad[i].text, r, err.token, err.text);
        assert_null(s);
    }
}

/* `n` times ${long}, a value of 1,000 bytes. */
static int with_long(size_t n, struct xeno_err *err)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_auto(xeno_service) s = NULL;
    int r;

    xeno_buf_puts(&b, "<Service><Parameter name='long'><Value>");
    for (int i = 0; i < 100; i++)
        xeno_buf_puts(&b, "0123456789");
    xeno_buf_puts(&b, "</Value></Parameter>" NEEDS("") "<Task><Command><Argument>");
    for (size_t i = 0; i < n; i++)
        xeno_buf_puts(&b, "${long}");
    xeno_buf_puts(&b, "</Argument></Command></Task></Service>");
    r = xeno_service_parse(b.data, b.len, &s, err);
    return r;
}

static void bounded(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(with_long(8, &err), 0);
    assert_int_equal(with_long(9, &err), -EINVAL);
    assert_string_equal(err.token, "spec.parameter");
    assert_int_equal(with_long(1000, &err), -EINVAL);
}

static void names_have_room_for_a_number(void **state)
{
    xeno_auto(xeno_service) s = NULL;
    xeno_auto(xeno_requirement) q = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    s = parse(SERVICE(NEEDS("") TASK("a")));
    memset(s->req->name, 'a', 61);
    s->req->name[61] = '\0';
    assert_int_equal(xeno_service_requirement(s, 9, &q, &err), 0);
    assert_int_equal(strlen(q->name), 63);
    xeno_requirement_free(xeno_take(&q));
    assert_int_equal(xeno_service_requirement(s, 10, &q, &err), -EINVAL);
    assert_string_equal(err.token, "spec.service");
    assert_null(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_gets_its_own),
        cmocka_unit_test(values_are_put_in_once),
        cmocka_unit_test(refusals_of_a_replica),
        cmocka_unit_test(refused),
        cmocka_unit_test(bounded),
        cmocka_unit_test(names_have_room_for_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
