/* src/cli/args.h - the words and options of a command line, read by a table.
 *
 * Options are GNU style, long with an optional letter; they may stand between words. "--" ends
 * them. A verb with a tail ends them also where somebody else's command line begins, so that `xeno
 * run ls -l` passes -l on.
 */
#ifndef XENO_CLI_ARGS_H
#define XENO_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"

/* What completion offers for the value of an option or a word. */
enum cli_offer {
    CLI_OFFER_NONE,
    CLI_OFFER_FILE,
    CLI_OFFER_DIR,
    CLI_OFFER_SERVER,
    CLI_OFFER_ORDER,
    CLI_OFFER_SESSION,
    CLI_OFFER_TEMPLATE,
    CLI_OFFER_OVERLAY
};

struct cli_option {
    const char *name;  /* "max-total" */
    char letter;       /* 'p', or 0 */
    const char *value; /* "CREDITS": takes a value; NULL: a flag */
    const char *help;
    bool many; /* may be given several times */
    enum cli_offer offer;
};

#define CLI_OPTIONS_MAX 64

struct cli_args {
    const struct cli_option *options; /* ends with name NULL */
    char **given[CLI_OPTIONS_MAX];    /* values of each option, NULL-terminated; owned lists */
    size_t given_count[CLI_OPTIONS_MAX];
    char **words; /* owned list of argv's words, NULL-terminated */
    int word_count;
};
void cli_args_release(struct cli_args *a);

/* Read argv (argv[0] is skipped). tail 0: options may stand anywhere; n: they end after n - 1
 * words. Errors: usage. */
int cli_args_parse(const struct cli_option *options, int tail, int argc, char **argv,
                   struct cli_args *ret, struct xeno_err *err);

/* By the option's name, which must be in the table. */
bool cli_flag(const struct cli_args *a, const char *name);
const char *cli_value(const struct cli_args *a, const char *name); /* the last; NULL: not given */
const char *const *cli_values(const struct cli_args *a, const char *name, size_t *ret_count);

/* The same, read as what it should be; not given: *ret stays. Errors: usage, naming the option. */
int cli_credit(const struct cli_args *a, const char *name, xeno_credit *ret, struct xeno_err *err);
int cli_duration(const struct cli_args *a, const char *name, xeno_time *ret, struct xeno_err *err);
int cli_size(const struct cli_args *a, const char *name, int64_t *ret_bytes, struct xeno_err *err);
int cli_number(const struct cli_args *a, const char *name, int64_t min, int64_t max, int64_t *ret,
               struct xeno_err *err);

#endif
