/* src/cli/tests/test-args.c */
#include "cli/args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cli_option options[] = {
    { "order", 'o', "ORDER", "", false, 0 },
    { "publish", 'p', "PORT", "", true, 0 },
    { "terminal", 't', NULL, "", false, 0 },
    { "lifetime", 0, "TIME", "", false, 0 },
    { "max-total", 0, "CREDITS", "", false, 0 },
    { "memory", 0, "SIZE", "", false, 0 },
    { NULL },
};

/* Words joined by '|', and the options that are given. */
static const struct {
    const char *name;
    int tail;
    const char *line;  /* split at blanks */
    const char *words; /* NULL: refused */
    const char *order;
    size_t published;
    bool terminal;
} rows[] = {
    { "nothing", 0, "", "", NULL, 0, false },
    { "words", 0, "a b", "a|b", NULL, 0, false },
    { "options anywhere", 0, "a -o x b --terminal c", "a|b|c", "x", 0, true },
    { "with an equals sign", 0, "--order=x", "", "x", 0, false },
    { "empty value", 0, "--order= a", "a", "", 0, false },
    { "several", 0, "-p 1 --publish 2 -p3", "", NULL, 3, false },
    { "letters together", 0, "-tp 80", "", NULL, 1, true },
    { "shortened", 0, "--ord x", "", "x", 0, false },
    { "after --", 0, "a -- -o x", "a|-o|x", NULL, 0, false },
    { "a dash is a word", 0, "- a", "-|a", NULL, 0, false },
    { "tail from the first word", 1, "-t ls -o x", "ls|-o|x", NULL, 0, true },
    { "tail after --", 1, "-t -- -o x", "-o|x", NULL, 0, true },
    { "-- inside the tail stays", 1, "sh -- -t", "sh|--|-t", NULL, 0, false },
    { "tail after one word", 2, "s1 -t ls -o x", "s1|ls|-o|x", NULL, 0, true },
    { "tail after one word and --", 2, "-t s1 -- ls -o x", "s1|ls|-o|x", NULL, 0, true },
    { "tail with nothing in it", 2, "s1 -t", "s1", NULL, 0, true },
    { "unknown", 0, "--nosuch", NULL, NULL, 0, false },
    { "unknown letter", 0, "-x", NULL, NULL, 0, false },
    { "value missing", 0, "a --order", NULL, NULL, 0, false },
    { "value for a flag", 0, "--terminal=yes", NULL, NULL, 0, false },
    { "twice", 0, "-o a -o b", NULL, NULL, 0, false },
};

static int parse(const char *line, int tail, char *room, struct cli_args *ret, struct xeno_err *err)
{
    static char *argv[32];
    int argc = 1;

    argv[0] = (char *)"verb";
    strcpy(room, line);
    for (char *word = strtok(room, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return cli_args_parse(options, tail, argc, argv, ret, err);
}

static void parse_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct cli_args a;
        struct xeno_err err = XENO_ERR_INIT;
        char room[128], words[128] = "";
        size_t n;
        int r = parse(rows[i].line, rows[i].tail, room, &a, &err);

        print_message("%s\n", rows[i].name);
        if (!rows[i].words) {
            assert_int_equal(r, -EINVAL);
            assert_string_equal(err.token, "cli.usage");
            cli_args_release(&a);
            continue;
        }
        assert_int_equal(r, 0);
        for (int w = 0; w < a.word_count; w++) {
            strcat(words, w ? "|" : "");
            strcat(words, a.words[w]);
        }
        assert_string_equal(words, rows[i].words);
        assert_int_equal(cli_flag(&a, "terminal"), rows[i].terminal);
        cli_values(&a, "publish", &n);
        assert_int_equal(n, rows[i].published);
        if (rows[i].order)
            assert_string_equal(cli_value(&a, "order"), rows[i].order);
        else
            assert_null(cli_value(&a, "order"));
        cli_args_release(&a);
    }
}

static void values_are_read(void **state)
{
    struct cli_args a;
    struct xeno_err err = XENO_ERR_INIT;
    char room[128];
    xeno_credit c = xeno_micro(7);
    xeno_time t = xeno_ns(7);
    int64_t bytes = 7;

    (void)state;
    assert_int_equal(parse("--max-total 0.25 --lifetime 2h --memory 64M", 0, room, &a, &err), 0);
    assert_int_equal(cli_credit(&a, "max-total", &c, &err), 0);
    assert_int_equal(cli_duration(&a, "lifetime", &t, &err), 0);
    assert_int_equal(cli_size(&a, "memory", &bytes, &err), 0);
    assert_true(c.micro == 250000 && t.ns == xeno_s(7200).ns && bytes == INT64_C(64) << 20);
    cli_args_release(&a);

    /* Not given: as they were. Wrong: refused, and the option named. */
    assert_int_equal(parse("--max-total 1e3", 0, room, &a, &err), 0);
    assert_int_equal(cli_duration(&a, "lifetime", &t, &err), 0);
    assert_true(t.ns == xeno_s(7200).ns);
    assert_int_equal(cli_credit(&a, "max-total", &c, &err), -EINVAL);
    assert_memory_equal(err.text, "--max-total: ", 13);
    assert_true(c.micro == 250000);
    cli_args_release(&a);
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } list[] = { { "1", 1 },   { "99", 99 }, { "100", -1 }, { "0", -1 },
                 { "-1", -1 }, { "x", -1 },  { "1x", -1 },  { "99999999999999999999", -1 } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(list); i++) {
        struct cli_args a;
        char room[64], line[64];
        int64_t n = -1;

        snprintf(line, sizeof line, "--order=%s", list[i].text);
        assert_int_equal(parse(line, 0, room, &a, NULL), 0);
        assert_int_equal(cli_number(&a, "order", 1, 99, &n, NULL), list[i].want < 0 ? -EINVAL : 0);
        assert_int_equal(n, list[i].want);
        cli_args_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_rows),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
