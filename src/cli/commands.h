/* src/cli/commands.h - the table of verbs. */
#ifndef XENO_CLI_COMMANDS_H
#define XENO_CLI_COMMANDS_H

#include "cli/args.h"
#include "cli/cli.h"

struct cli_command {
    const char *name;  /* "order create": one or two words */
    const char *usage; /* what follows the name, without options: "AMOUNT", "SESSION -- COMMAND" */
    const char *summary;  /* one line, no full stop */
    const char *about;    /* paragraphs for --help; NULL: the summary says it all */
    const char *examples; /* lines; "# why" before a line explains it */
    const struct cli_option
        *options;             /* ends with name NULL; --json, --quiet and --help are added */
    int min_words, max_words; /* after the name; -1: any number */
    int tail;                 /* above 0: after tail - 1 words comes somebody else's command line */
    bool runs;                /* exits as that command does: own failures are 125 to 127 */
    enum cli_offer offer;     /* what its words are, for completion */
    int (*run)(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
};

/* Families, in the order of the help; each ends with name NULL. */
extern const struct cli_command cli_account_commands[], cli_order_commands[], cli_server_commands[],
    cli_find_commands[], cli_run_commands[], cli_session_commands[], cli_bill_commands[],
    cli_complain_commands[], cli_image_commands[], cli_store_commands[], cli_publisher_commands[],
    cli_corp_commands[], cli_platform_commands[], cli_xis_commands[], cli_help_commands[];

struct cli_family {
    const char *title;
    const struct cli_command *commands;
};
extern const struct cli_family cli_families[]; /* ends with title NULL */

/* The options every verb has. */
extern const struct cli_option cli_common_options[];

/* The verb that argv begins with, and how many words name it.
 * Errors: usage, with the nearest verbs. */
int cli_find(int argc, char **argv, const struct cli_command **ret, int *ret_words,
             struct xeno_err *err);

/* Is it the first word of verbs with two, and none by itself? */
bool cli_is_family(const char *word);

/* Help of one verb, and of all. */
void cli_help_one(const struct cli *cli, const struct cli_command *c);
void cli_help_all(const struct cli *cli, const char *family); /* NULL: all families */

#endif
