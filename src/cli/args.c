/* src/cli/args.c - the words and options of a command line. */
#include "cli/args.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

void cli_args_release(struct cli_args *a)
{
    for (size_t i = 0; i < CLI_OPTIONS_MAX; i++) {
        free(a->given[i]);
        a->given[i] = NULL;
    }
    free(a->words);
    a->words = NULL;
}

static size_t count_options(const struct cli_option *options)
{
    size_t n = 0;

    while (options[n].name)
        n++;
    assert(n < CLI_OPTIONS_MAX);
    return n;
}

/* getopt's tables: "+:abc:" and the long names, whose value is 256 + index. */
static void tables(const struct cli_option *options, size_t n, char *letters, struct option *longs)
{
    char *p = letters;

    *p++ = '+'; /* stop at each word: we decide whether options may follow */
    *p++ = ':';
    for (size_t i = 0; i < n; i++) {
        if (options[i].letter) {
            *p++ = options[i].letter;
            if (options[i].value)
                *p++ = ':';
        }
        longs[i] = (struct option){ .name = options[i].name,
                                    .has_arg = options[i].value ? required_argument : no_argument,
                                    .val = 256 + (int)i };
    }
    *p = '\0';
    longs[n] = (struct option){ .name = NULL };
}

static int index_of(const struct cli_option *options, size_t n, int c)
{
    if (c >= 256)
        return c - 256;
    for (size_t i = 0; i < n; i++)
        if (options[i].letter == c)
            return (int)i;
    return -1;
}

static int add(struct cli_args *a, int i, char *value, struct xeno_err *err)
{
    size_t n = a->given_count[i];

    if (n > 0 && !a->options[i].many)
        return cli_usage(err, "--%s is given twice", a->options[i].name);
    a->given[i] = xeno_grow(a->given[i], n + 2);
    a->given[i][n] = value ? value : (char *)"";
    a->given[i][n + 1] = NULL;
    a->given_count[i] = n + 1;
    return 0;
}

static void add_word(struct cli_args *a, char *word)
{
    a->words = xeno_grow(a->words, (size_t)a->word_count + 2);
    a->words[a->word_count++] = word;
    a->words[a->word_count] = NULL;
}

/* Options up to the next word or "--". Returns: 1 at a word, 0 at the end or after "--". */
static int read_options(struct cli_args *a, size_t n, const char *letters,
                        const struct option *longs, int argc, char **argv, struct xeno_err *err)
{
    int c;

    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        int i, r;

        if (c == ':')
            return cli_usage(err, "%s needs a value", argv[optind - 1]);
        i = c == '?' ? -1 : index_of(a->options, n, c);
        if (i < 0)
            return cli_usage(err, "there is no option %s", argv[optind - 1]);
        r = add(a, i, optarg, err);
        if (r < 0)
            return r;
    }
    return optind < argc && strcmp(argv[optind - 1], "--") != 0;
}

int cli_args_parse(const struct cli_option *options, int tail, int argc, char **argv,
                   struct cli_args *ret, struct xeno_err *err)
{
    char letters[2 * CLI_OPTIONS_MAX + 3];
    struct option longs[CLI_OPTIONS_MAX + 1];
    size_t n = count_options(options);
    int r;

    *ret = (struct cli_args){ .options = options };
    tables(options, n, letters, longs);
    optind = 0; /* start over, also with another table */
    opterr = 0;
    while ((r = read_options(ret, n, letters, longs, argc, argv, err)) > 0) {
        if (tail > 0 && ret->word_count == tail - 1)
            break;
        add_word(ret, argv[optind++]);
    }
    if (r < 0)
        return r;
    while (optind < argc)
        add_word(ret, argv[optind++]);
    return 0;
}

static size_t find(const struct cli_args *a, const char *name)
{
    for (size_t i = 0; a->options[i].name; i++)
        if (strcmp(a->options[i].name, name) == 0)
            return i;
    assert(!"an option that is in no table");
    abort();
}

bool cli_flag(const struct cli_args *a, const char *name)
{
    return a->given_count[find(a, name)] > 0;
}

const char *cli_value(const struct cli_args *a, const char *name)
{
    size_t i = find(a, name);

    return a->given_count[i] > 0 ? a->given[i][a->given_count[i] - 1] : NULL;
}

const char *const *cli_values(const struct cli_args *a, const char *name, size_t *ret_count)
{
    static const char *const none[] = { NULL };
    size_t i = find(a, name);

    *ret_count = a->given_count[i];
    return a->given_count[i] > 0 ? (const char *const *)a->given[i] : none;
}

int cli_credit(const struct cli_args *a, const char *name, xeno_credit *ret, struct xeno_err *err)
{
    const char *text = cli_value(a, name);
    struct xeno_err why = XENO_ERR_INIT;

    if (text && xeno_credit_parse(text, ret, &why) < 0)
        return cli_usage(err, "--%s: %s", name, why.text);
    return 0;
}

int cli_duration(const struct cli_args *a, const char *name, xeno_time *ret, struct xeno_err *err)
{
    const char *text = cli_value(a, name);
    struct xeno_err why = XENO_ERR_INIT;

    if (text && xeno_duration_parse(text, ret, &why) < 0)
        return cli_usage(err, "--%s: %s", name, why.text);
    return 0;
}

int cli_size(const struct cli_args *a, const char *name, int64_t *ret_bytes, struct xeno_err *err)
{
    const char *text = cli_value(a, name);
    struct xeno_err why = XENO_ERR_INIT;

    if (text && xeno_size_parse(text, ret_bytes, &why) < 0)
        return cli_usage(err, "--%s: %s", name, why.text);
    return 0;
}

int cli_number(const struct cli_args *a, const char *name, int64_t min, int64_t max, int64_t *ret,
               struct xeno_err *err)
{
    const char *text = cli_value(a, name);
    char *end;
    long long n;

    if (!text)
        return 0;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || n < min || n > max)
        return cli_usage(err, "--%s: '%s' is not a number from %" PRId64 " to %" PRId64, name, text,
                         min, max);
    *ret = n;
    return 0;
}
