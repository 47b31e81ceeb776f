/* src/cli/tests/test-out.c */
#include "cli/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

/* What a table prints, by way of a file in place of stdout. */
static void print_to(const struct cli *cli, const struct cli_table *t, char *out, size_t room)
{
    FILE *f = tmpfile();
    int saved;
    size_t n;

    assert_non_null(f);
    fflush(stdout);
    saved = dup(STDOUT_FILENO);
    dup2(fileno(f), STDOUT_FILENO);
    cli_table_print(cli, t);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(f);
    n = fread(out, 1, room - 1, f);
    out[n] = '\0';
    fclose(f);
}

static void table(void **state)
{
    static const char *const heads[] = { "NAME", "AMOUNT", "STATE" };
    cli_autotable t = cli_table_new(3, heads, 1U << 1);
    struct cli cli = { .json = false };
    char out[1024];

    (void)state;
    cli_cell(&t, "a");
    cli_cell_credit(&t, 1500000);
    cli_cell_paint(&t, "running", CLI_GREEN);
    cli_cell(&t, "\xc3\xa9t\xc3\xa9"); /* three places, five bytes */
    cli_cell_credit(&t, -12000000001);
    cli_cell(&t, NULL);
    print_to(&cli, &t, out, sizeof out);
    assert_string_equal(out, "NAME         AMOUNT  STATE\n"
                             "a          1.500000  running\n"
                             "\xc3\xa9t\xc3\xa9   -12000.000001  -\n");
    cli.colour = true;
    print_to(&cli, &t, out, sizeof out);
    assert_non_null(strstr(out, "\033[32mrunning\033[0m"));
    cli.json = true;
    print_to(&cli, &t, out, sizeof out);
    assert_string_equal(out, "");
}

/* A column in which nothing stands is none; a narrow terminal has ids cut, and then the last column
 * below its row. */
static void narrow(void **state)
{
    static const char *const heads[] = { "NAME", "ID", "WARM", "WHY" };
    cli_autotable t = cli_table_new(4, heads, 0);
    struct cli cli = { .out_tty = true };
    struct winsize size = { .ws_row = 24, .ws_col = 40 };
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), saved = dup(STDIN_FILENO);
    char out[1024];

    (void)state;
    assert_true(terminal >= 0 && ioctl(terminal, TIOCSWINSZ, &size) == 0);
    assert_true(dup2(terminal, STDIN_FILENO) >= 0);
    t.ids = 1U << 1;
    t.optional = 1U << 0 | 1U << 2;
    t.folds = true;
    cli_cell(&t, "x1");
    cli_cell(&t, "abcdefghijklmnopqrstuvwxyz");
    cli_cell(&t, NULL);
    cli_cell(&t, "near");
    print_to(&cli, &t, out, sizeof out);
    assert_string_equal(out, "NAME  ID                          WHY\n"
                             "x1    abcdefghijklmnopqrstuvwxyz  near\n");
    cli_cell(&t, "x2");
    cli_cell(&t, "z");
    cli_cell(&t, NULL);
    cli_cell(&t, "not so near");
    print_to(&cli, &t, out, sizeof out);
    assert_string_equal(out, "NAME  ID        WHY\n"
                             "x1    abcdefgh  near\n"
                             "x2    z         not so near\n");
    cli_cell(&t, "x3");
    cli_cell(&t, "y");
    cli_cell(&t, "1/2");
    cli_cell(&t, "the least of all, which is said at length");
    print_to(&cli, &t, out, sizeof out);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(terminal);
    assert_string_equal(out, "NAME  ID        WARM\n"
                             "x1    abcdefgh  -\n"
                             "      near\n"
                             "x2    z         -\n"
                             "      not so near\n"
                             "x3    y         1/2\n"
                             "      the least of all, which is said at length\n");
}

/* A peer must not move our cursor. */
static void clean(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = { { "plain", "plain" },
                 { "\033[31mred", "?[31mred" },
                 { "a\nb\tc\x7f", "a?b?c?" },
                 { "\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac" },
                 { "\xc2\x9b"
                   "31m",
                   "?\x9b"
                   "31m" } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_string_equal(cli_clean(rows[i].from), rows[i].to);
}

static void members(void **state)
{
    xeno_auto(xeno_json) j = NULL;
    static const char text[] = "{\"s\":\"x\",\"n\":5,\"b\":true,\"o\":{\"n\":6},\"l\":[1,2]}";
    struct xeno_json_at top, o;
    size_t n;

    (void)state;
    assert_int_equal(xeno_json_parse(text, strlen(text), 1000, &j, NULL), 0);
    top = xeno_json_top(j);
    assert_string_equal(cli_str(&top, "s"), "x");
    assert_string_equal(cli_str(&top, "n"), "");
    assert_string_equal(cli_str(&top, "none"), "");
    assert_int_equal(cli_int(&top, "n", -1), 5);
    assert_int_equal(cli_int(&top, "s", -1), -1);
    assert_true(cli_bool(&top, "b"));
    assert_false(cli_bool(&top, "none"));
    o = cli_obj(&top, "o");
    assert_int_equal(cli_int(&o, "n", -1), 6);
    o = cli_obj(&top, "none");
    assert_int_equal(cli_int(&o, "n", -1), -1);
    cli_list(&top, "l", &n);
    assert_int_equal(n, 2);
    cli_list(&top, "none", &n);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(narrow),
        cmocka_unit_test(clean),
        cmocka_unit_test(members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
