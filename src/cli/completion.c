/* src/cli/completion.c - the verbs help and completion. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/mdoc.h"
#include "cli/out.h"

static const struct cli_option no_options[] = { { NULL } };

static const struct cli_option help_options[] = {
    { "mdoc", 0, NULL, "print the section on verbs of the manual page", false, 0 },
    { NULL },
};

static int run_help(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    const struct cli_command *c;
    struct xeno_err ignored = XENO_ERR_INIT;
    int words;

    (void)err;
    if (cli_flag(args, "mdoc"))
        cli_mdoc();
    else if (args->word_count > 0 &&
             cli_find(args->word_count, args->words, &c, &words, &ignored) == 0)
        cli_help_one(cli, c);
    else
        cli_help_all(cli, args->word_count > 0 ? args->words[0] : NULL);
    return CLI_OK;
}

static const char *offer_name(enum cli_offer offer)
{
    static const char *const names[] = { [CLI_OFFER_NONE] = "",
                                         [CLI_OFFER_FILE] = "file",
                                         [CLI_OFFER_DIR] = "dir",
                                         [CLI_OFFER_SERVER] = "server",
                                         [CLI_OFFER_ORDER] = "order",
                                         [CLI_OFFER_SESSION] = "session",
                                         [CLI_OFFER_TEMPLATE] = "template",
                                         [CLI_OFFER_OVERLAY] = "overlay" };

    return names[offer];
}

/* One line a verb: "NAME|OFFER|--flag --option=offer ..." */
static void print_verb(const struct cli_command *c)
{
    const struct cli_option *lists[] = { c->options, cli_common_options };

    printf("%s|%s|", c->name, offer_name(c->offer));
    for (size_t l = 0; l < XENO_LEN(lists); l++)
        for (const struct cli_option *o = lists[l]; o->name; o++)
            printf(" --%s%s%s", o->name, o->value ? "=" : "", o->value ? offer_name(o->offer) : "");
    putchar('\n');
}

/* The script knows no verb: it reads the table above it. */
static const char script[] =
    "'\n"
    "\n"
    "_xeno_words() # KIND: what there is of it\n"
    "{\n"
    "    local home=${XENO_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/xeno} list=. f\n"
    "    case $1 in\n"
    "    server) list=$(sed -n 's/^ *\"name\": *\"\\([^\"]*\\)\".*/\\1/p' \"$home/servers.json\""
    " 2>/dev/null) ;;\n"
    "    order) list=$(for f in \"$home\"/wallet/*.chain; do f=${f##*/}; echo \"${f%.chain}\";"
    " done) ;;\n"
    "    session) list=$(timeout 3 xeno session ls --json 2>/dev/null |\n"
    "        sed -n 's/^ *\"\\(name\\|session\\)\": *\"\\([^\"]*\\)\".*/\\2/p') ;;\n"
    "    template | overlay) list=$(xeno \"$1\" ls --json 2>/dev/null |\n"
    "        sed -n 's/^ *\"name\": *\"\\([^\"]*\\)\".*/\\1/p') ;;\n"
    "    file) compopt -o filenames; list=$(compgen -f -- \"$cur\") ;;\n"
    "    dir) compopt -o filenames; list=$(compgen -d -- \"$cur\") ;;\n"
    "    *) list= ;;\n"
    "    esac\n"
    "    COMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n"
    "}\n"
    "\n"
    "_xeno()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local one=${COMP_WORDS[1]:-} two=${COMP_WORDS[2]:-} name offer options verb= o\n"
    "    COMPREPLY=()\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$(cut -d'|' -f1 <<<\"$_xeno_verbs\" | cut -d' ' -f1 | sort"
    " -u)\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    while IFS='|' read -r name offer options; do\n"
    "        if [ \"$name\" = \"$one\" ] || { [ \"$COMP_CWORD\" -gt 2 ] && [ \"$name\" ="
    " \"$one $two\" ]; }; then\n"
    "            verb=$name\n"
    "            break\n"
    "        fi\n"
    "    done <<<\"$_xeno_verbs\"\n"
    "    if [ -z \"$verb\" ]; then\n"
    "        [ \"$COMP_CWORD\" = 2 ] && COMPREPLY=($(compgen -W \"$(sed -n \"s/^$one"
    " \\([^|]*\\)|.*/\\1/p\" <<<\"$_xeno_verbs\")\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    for o in $options; do\n"
    "        case $o in\n"
    "        \"$prev\"=*) _xeno_words \"${o#*=}\"; return ;;\n"
    "        esac\n"
    "    done\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$(sed 's/=[a-z]*//g' <<<\"$options\")\" -- \"$cur\"))\n"
    "    else\n"
    "        _xeno_words \"$offer\"\n"
    "    fi\n"
    "}\n"
    "complete -F _xeno xeno\n";

static int run_completion(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    if (args->word_count > 0 && strcmp(args->words[0], "bash") != 0)
        return cli_usage(err, "there is completion for bash, not for '%s'", args->words[0]);
    if (cli->json)
        return cli_usage(err, "a script is not JSON");
    printf("# bash completion for xeno(1); made by: xeno completion\n_xeno_verbs='");
    for (const struct cli_family *f = cli_families; f->title; f++)
        for (const struct cli_command *c = f->commands; c->name; c++)
            print_verb(c);
    fputs(script, stdout);
    return CLI_OK;
}

const struct cli_command cli_help_commands[] = {
    { .name = "help",
      .usage = "[VERB]",
      .summary = "show the verbs, or one of them",
      .examples = "xeno help\nxeno help order\nxeno help order restrict",
      .options = help_options,
      .max_words = 2,
      .run = run_help },
    { .name = "completion",
      .usage = "[bash]",
      .summary = "print a completion script for the shell",
      .examples = "# for this shell\n. <(xeno completion)\n"
                  "# for all\nxeno completion > /etc/bash_completion.d/xeno",
      .options = no_options,
      .max_words = 1,
      .run = run_completion },
    { NULL },
};
