/* src/cli/help.c - finding a verb, and --help. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/commands.h"

const struct cli_family cli_families[] = {
    { "Who you are", cli_account_commands },
    { "Purchase orders", cli_order_commands },
    { "XenoServers", cli_server_commands },
    { "Running things", cli_run_commands },
    { "Sessions", cli_session_commands },
    { "What it cost", cli_bill_commands },
    { "Images (operators)", cli_image_commands },
    { "XenoCorp (operators)", cli_corp_commands },
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

/* The verbs that begin with the same word, or with the same letters. */
static char *near(const char *word)
{
    struct xeno_buf b = XENO_BUF_INIT;

    for (size_t len = strlen(word); len > 0 && b.len == 0; len--)
        for (const struct cli_family *f = cli_families; f->title; f++)
            for (const struct cli_command *c = f->commands; c->name; c++)
                if (strncmp(c->name, word, len) == 0)
                    xeno_buf_printf(&b, "%s%s", b.len ? ", " : "", c->name);
    return b.len ? xeno_buf_take(&b, NULL) : xeno_strdup("xeno --help shows them all");
}

int cli_find(int argc, char **argv, const struct cli_command **ret, int *ret_words,
             struct xeno_err *err)
{
    xeno_autofree char *others = NULL;

    for (const struct cli_family *f = cli_families; f->title; f++)
        for (const struct cli_command *c = f->commands; c->name; c++) {
            int words = match(c->name, argc, argv);

            if (words > 0) {
                *ret = c;
                *ret_words = words;
                return 0;
            }
        }
    others = near(argv[0]);
    return cli_usage(err, "there is no verb '%s%s%s'; there is: %s", argv[0],
                     argc > 1 && argv[1][0] != '-' ? " " : "",
                     argc > 1 && argv[1][0] != '-' ? argv[1] : "", others);
}

static void print_options(const struct cli_option *o)
{
    char left[64];

    for (; o->name; o++) {
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
                 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-30s %s%s\n", left, o->help, o->many ? " (may be repeated)" : "");
    }
}

void cli_help_one(const struct cli *cli, const struct cli_command *c)
{
    const char *bold = cli->colour ? "\033[1m" : "", *plain = cli->colour ? "\033[0m" : "";

    printf("%sUsage:%s xeno %s [OPTION]...%s%s\n\n%c%s.\n", bold, plain, c->name,
           c->usage[0] ? " " : "", c->usage, c->summary[0] - 'a' + 'A', c->summary + 1);
    if (c->about)
        printf("\n%s\n", c->about);
    printf("\n%sOptions:%s\n", bold, plain);
    print_options(c->options);
    print_options(cli_common_options);
    printf("\n%sExamples:%s\n", bold, plain);
    for (const char *p = c->examples; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n'))
        printf("  %.*s\n", (int)strcspn(p, "\n"), p);
    printf("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 refused by a rule or limit, 4 "
           "unreachable%s.\n",
           c->runs ? ";\n125 not started, 126 cannot be run, 127 not found, else the command's own"
                   : "");
}

void cli_help_all(const struct cli *cli, const char *family)
{
    const char *bold = cli->colour ? "\033[1m" : "", *plain = cli->colour ? "\033[0m" : "";

    if (!family)
        printf("%sUsage:%s xeno VERB [OPTION]... [ARGUMENT]...\n\nRent slices of other people's "
               "machines with signed orders, run things there, and see each\nmicro-credit they "
               "cost. `xeno VERB --help` shows options and examples of a verb.\n",
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
