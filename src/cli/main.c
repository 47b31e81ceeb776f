/* src/cli/main.c - xeno: the command line of clients, operators and developers. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/guard.h"
#include "cli/task.h"
#include "conf/args.h"
#include "crypto/key.h"

/* Options of the verb, then those that every verb has. */
static struct cli_option *all_options(const struct cli_option *own)
{
    size_t n = 0, common = 0;
    struct cli_option *all;

    while (own[n].name)
        n++;
    while (cli_common_options[common].name)
        common++;
    all = xeno_new0_n(struct cli_option, n + common + 1);
    memcpy(all, own, n * sizeof *all);
    memcpy(all + n, cli_common_options, (common + 1) * sizeof *all);
    return all;
}

static int check_words(const struct cli_command *c, const struct cli_args *args,
                       struct xeno_err *err)
{
    if (args->word_count < c->min_words)
        return cli_usage(err, "missing %s", c->usage);
    if (c->max_words >= 0 && args->word_count > c->max_words)
        return cli_usage(err, "'%s' is one word too many", args->words[c->max_words]);
    return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct xeno_err *err)
{
    const struct cli_command *c = cli->command;
    xeno_autofree struct cli_option *options = all_options(c->options);
    struct cli_args args;
    int r = cli_args_parse(options, c->tail, argc, argv, &args, err);

    if (r == 0) {
        cli->json |= cli_flag(&args, "json");
        cli->quiet |= cli_flag(&args, "quiet");
        cli->colour &= !cli->json;
        if (cli_flag(&args, "help"))
            cli_help_one(cli, c);
        else if ((r = check_words(c, &args, err)) == 0)
            r = c->run(cli, &args, err);
    }
    cli_args_release(&args);
    return r;
}

/* Printed and turned into an exit status here, where every error stops. */
static int end(struct cli *cli, int r, const struct xeno_err *err)
{
    int status = r;

    if (r < 0) {
        cli_complain(cli, err);
        status = cli->command && cli->command->runs ? cli_start_status(err) : (int)cli_exit_of(err);
        if (err->code == -EINTR && cli_guard_caught())
            status = 128 + cli_guard_caught();
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_OK) {
        fprintf(stderr, "xeno: standard output could not be written\n");
        status = CLI_FAILED;
    }
    cli_release(cli);
    return status;
}

int main(int argc, char **argv)
{
    struct cli cli = { .env = xeno_env_real() };
    struct xeno_err err = XENO_ERR_INIT;
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    int words = 0, r;

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    xeno_log_init("xeno", LOG_ERR);
    xeno_crypto_init();
    cli.out_tty = isatty(STDOUT_FILENO);
    cli.err_tty = isatty(STDERR_FILENO);
    cli.colour = cli.out_tty && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_help_all(&cli, NULL);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("xeno %s\n", xeno_version());
        return CLI_OK;
    }
    /* "xeno order" alone is a question. */
    if (cli_is_family(argv[1]) &&
        (argc == 2 || strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        cli_help_all(&cli, argv[1]);
        return argc == 2 ? CLI_USAGE : CLI_OK;
    }
    /* These may stand before the verb as well. */
    while (argc > 2 && (strcmp(argv[1], "--json") == 0 || strcmp(argv[1], "--quiet") == 0 ||
                        strcmp(argv[1], "-q") == 0)) {
        cli.json |= strcmp(argv[1], "--json") == 0;
        cli.quiet |= strcmp(argv[1], "--json") != 0;
        argv++;
        argc--;
    }
    r = cli_find(argc - 1, argv + 1, &cli.command, &words, &err);
    if (r == 0) {
        /* The last word of the verb stands where a program's name does. */
        r = run(&cli, argc - words, argv + words, &err);
    }
    return end(&cli, r, &err);
}
