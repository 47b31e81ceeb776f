/* src/cli/help.c - finding a verb, and --help. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

#define COLUMNS  79
#define NEAR_MAX 40

const struct cli_family cli_families[] = {
    { "Who you are", cli_account_commands },
    { "Purchase orders", cli_order_commands },
    { "XenoServers", cli_server_commands },
    { "Finding XenoServers", cli_find_commands },
    { "What XenoServers say of themselves", cli_xis_commands },
    { "Running things", cli_run_commands },
    { "Sessions", cli_session_commands },
    { "What it cost", cli_bill_commands },
    { "When it was not what was advertised", cli_complain_commands },
    { "Images (operators)", cli_image_commands },
    { "XenoStores and other registries", cli_store_commands },
    { "Publishers of signed names", cli_publisher_commands },
    { "XenoCorp (and its operators)", cli_corp_commands },
    { "A platform on this machine", cli_platform_commands },
    { "Help", cli_help_commands },
    { NULL, NULL },
};

const struct cli_option cli_common_options[] = {
    { "json", 0, NULL, "print one JSON document; errors too, on standard error", false, 0 },
    { "quiet", 'q', NULL, "no remarks, only results", false, 0 },
    { "help", 'h', NULL, "show this help", false, 0 },
    { NULL },
};

/* How many words of argv are the words of `name`; 0 when it is another verb. */
static int match(const char *name, int argc, char **argv)
{
    size_t len = strcspn(name, " ");

    if (argc < 1 || strlen(argv[0]) != len || strncmp(argv[0], name, len) != 0)
        return 0;
    if (name[len] == '\0')
        return 1;
    return argc > 1 && strcmp(argv[1], name + len + 1) == 0 ? 2 : 0;
}

bool cli_is_family(const char *word)
{
    size_t len = strlen(word);
    bool first = false;

    for (const struct cli_family *f = cli_families; f->title; f++)
        for (const struct cli_command *c = f->commands; c->name; c++) {
            if (strcmp(c->name, word) == 0)
                return false; /* and one by itself: "find" */
            first |= strncmp(c->name, word, len) == 0 && c->name[len] == ' ';
        }
    return first;
}

/* How many letters must be put in, left out, changed or swapped with the next to make b of a (the
 * "optimal string alignment"); words longer than we have are not near. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), rows[3][NEAR_MAX + 1];

    if (n > NEAR_MAX || m > NEAR_MAX)
        return NEAR_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *up = rows[(i + 2) % 3], *above = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above[j - 2] + 1 < best)
                best = above[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

/* The verb most like what was typed, if it is like it at all. */
static const char *nearest(const char *typed)
{
    const char *found = NULL;
    size_t best = NEAR_MAX;

    for (const struct cli_family *f = cli_families; f->title; f++)
        for (const struct cli_command *c = f->commands; c->name; c++) {
            size_t d = distance(typed, c->name);

            if (d < best && d * 3 <= strlen(c->name)) {
                best = d;
                found = c->name;
            }
        }
    return found;
}

int cli_find(int argc, char **argv, const struct cli_command **ret, int *ret_words,
             struct xeno_err *err)
{
    xeno_autofree char *two = NULL;
    const char *meant = NULL;

    for (const struct cli_family *f = cli_families; f->title; f++)
        for (const struct cli_command *c = f->commands; c->name; c++) {
            int words = match(c->name, argc, argv);

            if (words > 0) {
                *ret = c;
                *ret_words = words;
                return 0;
            }
        }
    if (argc > 1 && argv[1][0] != '-') {
        two = xeno_asprintf("%s %s", argv[0], argv[1]);
        meant = nearest(two);
    }
    if (!meant)
        meant = nearest(argv[0]);
    if (meant)
        return cli_usage(err, "there is no verb '%s'; did you mean: xeno %s",
                         strchr(meant, ' ') && two ? two : argv[0], meant);
    if (cli_is_family(argv[0]))
        return cli_usage(err, "there is no verb '%s'; of this family there are: xeno help %s",
                         two ? two : argv[0], argv[0]);
    return cli_usage(err, "there is no verb '%s'", argv[0]);
}

/* Text in lines of at most COLUMNS, beginning where `at` columns are used up already; further lines
 * are indented. An empty line ends a paragraph; other line feeds are spaces. */
static void print_wrapped(const char *text, size_t at, size_t indent)
{
    bool first = true;

    while (*text) {
        size_t len = strcspn(text, " \n");

        if (text[0] == '\n' && text[1] == '\n') {
            printf("\n\n%*s", (int)indent, "");
            at = indent;
            first = true;
            text += 2;
            continue;
        }
        if (!first && at + 1 + len > COLUMNS) {
            printf("\n%*s", (int)indent, "");
            at = indent;
            first = true;
        }
        printf("%s%.*s", first ? "" : " ", (int)len, text);
        at += len + !first;
        first = false;
        text += len;
        if (*text == ' ' || (*text == '\n' && text[1] != '\n'))
            text++;
    }
    putchar('\n');
}

static void print_options(const struct cli_option *o)
{
    char left[64];

    for (; o->name; o++) {
        xeno_autofree char *text = NULL;

        snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
                 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        text = xeno_asprintf("%s%s", o->help, o->many ? " (may be repeated)" : "");
        printf("  %-30s%s", left, strlen(left) < 30 ? " " : "\n                                 ");
        print_wrapped(text, 33, 33);
    }
}

void cli_help_one(const struct cli *cli, const struct cli_command *c)
{
    const char *bold = cli->colour ? "\033[1m" : "", *plain = cli->colour ? "\033[0m" : "";

    printf("%sUsage:%s xeno %s [OPTION]...%s%s\n\n%c%s.\n", bold, plain, c->name,
           c->usage[0] ? " " : "", c->usage, c->summary[0] - 'a' + 'A', c->summary + 1);
    if (c->about) {
        putchar('\n');
        print_wrapped(c->about, 0, 0);
    }
    printf("\n%sOptions:%s\n", bold, plain);
    print_options(c->options);
    print_options(cli_common_options);
    printf("\n%sExamples:%s\n", bold, plain);
    for (const char *p = c->examples; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n'))
        printf("  %.*s\n", (int)strcspn(p, "\n"), p);
    putchar('\n');
    print_wrapped(
        c->runs ? "Exit status: the command's own; 125 not started, 126 cannot be run, 127 not "
                  "found, 128 and the signal when interrupted."
                : "Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by a rule or limit, "
                  "4 unreachable, 128 and the signal when interrupted.",
        0, 0);
}

void cli_help_all(const struct cli *cli, const char *family)
{
    const char *bold = cli->colour ? "\033[1m" : "", *plain = cli->colour ? "\033[0m" : "";

    if (!family)
        printf("%sUsage:%s xeno VERB [OPTION]... [ARGUMENT]...\n\n"
               "Rent slices of other people's machines with signed orders, run things there,\n"
               "and see each micro-credit they cost. `xeno VERB --help` shows options and\n"
               "examples of a verb.\n",
               bold, plain);
    for (const struct cli_family *f = cli_families; f->title; f++) {
        bool head = false;

        for (const struct cli_command *c = f->commands; c->name; c++) {
            size_t len = strcspn(c->name, " ");

            if (family && (strlen(family) != len || strncmp(family, c->name, len) != 0))
                continue;
            if (!head)
                printf("\n%s%s%s\n", bold, f->title, plain);
            head = true;
            printf("  %-20s %s\n", c->name, c->summary);
        }
    }
    if (!family)
        printf("\nA whole platform on this machine: xeno platform up\n");
}
