/* src/spec/tests/test-task-doc.c */
#include "spec/task-doc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void everything_at_once(void **state)
{
    static const char text[] =
        "<Task><Name>web-1</Name><Command><Argument>/bin/sh</Argument><Argument>-c</Argument>"
        "<Argument> echo \"$A\" &amp;&amp; exit\n</Argument><Argument/></Command>"
        "<Environment name='A' value='1 &lt; 2&#10;x'/><Environment name='B' value=''/>"
        "<WorkingDirectory>/srv/my site</WorkingDirectory><User>www-data:1000</User>"
        "<Terminal>1</Terminal><Restart>never</Restart></Task>";
    xeno_auto(xeno_task_doc) t = NULL;
    xeno_auto(xeno_task_doc) back = NULL;
    xeno_autofree char *canonical = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;

    (void)state;
    assert_int_equal(xeno_task_doc_parse(text, strlen(text), &t, &err), 0);
    assert_string_equal(t->name, "web-1");
    assert_int_equal(t->argc, 4);
    assert_string_equal(t->argv[2], " echo \"$A\" && exit\n");
    assert_string_equal(t->argv[3], "");
    assert_null(t->argv[4]);
    assert_int_equal(t->env_count, 2);
    assert_string_equal(t->env[0], "A=1 < 2\nx");
    assert_string_equal(t->env[1], "B=");
    assert_string_equal(t->cwd, "/srv/my site");
    assert_string_equal(t->user, "www-data:1000");
    assert_true(t->terminal);
    canonical = xeno_task_doc_format(t, &len);
    assert_int_equal(xeno_task_doc_parse(canonical, len, &back, &err), 0);
    assert_true(xeno_task_doc_equal(t, back));
}

static void least(void **state)
{
    static const char text[] = "<?xml version=\"1.0\"?><Task><Command><Argument>true</Argument>"
                               "</Command></Task>";
    xeno_auto(xeno_task_doc) t = NULL;

    (void)state;
    assert_int_equal(xeno_task_doc_parse(text, strlen(text), &t, NULL), 0);
    assert_null(t->name);
    assert_null(t->cwd);
    assert_null(t->user);
    assert_int_equal(t->env_count, 0);
    assert_false(t->terminal);
}

#define CMD    "<Command><Argument>a</Argument></Command>"
#define DOC(x) "<Task>" x "</Task>"

static const struct {
    const char *text, *token, *element, *limit;
} bad[] = {
    { "<Task/>", "xml.schema", "Task", "Command" },
    { DOC("<Command/>"), "xml.schema", "Command", "1 to 256" },
    { DOC("<Command><Argument/></Command>"), "spec.argument", "Argument", "empty" },
    { DOC("<Name>A</Name>" CMD), "xml.schema", "Name", "1 to 31" },
    { DOC("<Name>-a</Name>" CMD), "xml.schema", "Name", "1 to 31" },
    { DOC("<Name>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</Name>" CMD), "xml.schema", "Name", "1 to 31" },
    { DOC(CMD "<Name>a</Name>"), "xml.schema", "Name", "Expected is one of" },
    { DOC(CMD CMD), "xml.schema", "Command", "not expected" },
    { DOC(CMD "<Environment name='1' value=''/>"), "xml.schema", "Environment@name", "no digit" },
    { DOC(CMD "<Environment name=' A' value=''/>"), "xml.schema", "Environment@name", "letters" },
    { DOC(CMD "<Environment name='A=' value=''/>"), "xml.schema", "Environment@name", "letters" },
    { DOC(CMD "<Environment name='A'/>"), "xml.schema", "Environment", "'value' is required" },
    { DOC(CMD "<Environment name='A' value='1'/><Environment name='A' value='2'/>"),
      "spec.environment", "Environment", "twice" },
    { DOC(CMD "<WorkingDirectory>tmp</WorkingDirectory>"), "xml.schema", "WorkingDirectory",
      "absolute" },
    { DOC(CMD "<User>a b</User>"), "xml.schema", "User", "32" },
    { DOC(CMD "<User>:0</User>"), "xml.schema", "User", "32" },
    { DOC(CMD "<Terminal>yes</Terminal>"), "xml.schema", "Terminal", "true or false" },
    { DOC(CMD "<Restart>always</Restart>"), "xml.schema", "Restart", "never" },
    { DOC(CMD "<Privileged>true</Privileged>"), "xml.schema", "Privileged", "not expected" },
    { "<!DOCTYPE Task>" DOC(CMD), "xml.dtd", "DOCTYPE", "line 1" },
};

static void bad_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_task_doc *t = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_task_doc_parse(bad[i].text, strlen(bad[i].text), &t, &err);

        print_message("%s\n", err.text);
        assert_int_equal(r, -EINVAL);
        assert_string_equal(err.token, bad[i].token);
        assert_non_null(strstr(err.text, bad[i].element));
        assert_non_null(strstr(err.text, bad[i].limit));
        assert_null(t);
    }
}

/* The bound is in bytes, also where the schema counts characters. */
static void arguments_are_bounded(void **state)
{
    static const struct {
        const char *unit;
        int count;
        int args;
        int want;
    } rows[] = {
        { "a", 8192, 1, 0 },        { "a", 8193, 1, -EINVAL },
        { "\xc3\xa9", 4096, 1, 0 }, { "\xc3\xa9", 4097, 1, -EINVAL },
        { "a", 1, 256, 0 },         { "a", 1, 257, -EINVAL },
        { "a", 8000, 10, -EFBIG },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        xeno_auto(xeno_task_doc) t = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        xeno_buf_puts(&b, "<Task><Command>");
        for (int a = 0; a < rows[i].args; a++) {
            xeno_buf_puts(&b, "<Argument>");
            for (int k = 0; k < rows[i].count; k++)
                xeno_buf_puts(&b, rows[i].unit);
            xeno_buf_puts(&b, "</Argument>");
        }
        xeno_buf_puts(&b, "</Command></Task>");
        assert_int_equal(xeno_task_doc_parse(b.data, b.len, &t, &err), rows[i].want);
        print_message("%.120s\n", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(least),
        cmocka_unit_test(bad_documents),
        cmocka_unit_test(arguments_are_bounded),
    };
    return cmocka_run_group_tests_name("task-doc", tests, NULL, NULL);
}
