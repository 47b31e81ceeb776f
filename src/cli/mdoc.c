/* src/cli/mdoc.c - the table of verbs as a section of xeno(1). */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/mdoc.h"

#define COLUMNS 76

static size_t put_word(const char *word, size_t len, bool first)
{
    if (first && (*word == '.' || *word == '\''))
        fputs("\\&", stdout);
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '\\')
            fputs("\\e", stdout);
        else
            putchar(word[i]);
    }
    return len;
}

static bool ends_sentence(const char *word, size_t len)
{
    while (len > 0 && strchr(")'\"", word[len - 1]))
        len--;
    return len > 0 && strchr(".!?", word[len - 1]);
}

/* Words filled into lines; each sentence begins one, as mdoc wants it. Blank lines are paragraphs.
 */
static void put_text(const char *text)
{
    size_t at = 0;

    while (*text) {
        size_t len = strcspn(text, " \n"), gap;

        if (at > 0 && at + 1 + len > COLUMNS) {
            putchar('\n');
            at = 0;
        } else if (at > 0) {
            putchar(' ');
            at++;
        }
        at += put_word(text, len, at == 0);
        gap = strspn(text + len, " \n");
        if (strncmp(text + len, "\n\n", 2) == 0) {
            fputs("\n.Pp\n", stdout);
            at = 0;
        } else if (ends_sentence(text, len)) {
            putchar('\n');
            at = 0;
        }
        text += len + gap;
    }
    if (at > 0)
        putchar('\n');
}

static void put_options(const struct cli_option *o)
{
    if (!o->name)
        return;
    fputs(".Bl -tag -width Ds\n", stdout);
    for (; o->name; o++) {
        char help[256];

        fputs(".It", stdout);
        if (o->letter)
            printf(" Fl %c ,", o->letter);
        printf(" Fl Fl %s", o->name);
        if (o->value)
            printf(" Ar %s", o->value);
        snprintf(help, sizeof help, "%c%s%s.",
                 o->help[0] >= 'a' && o->help[0] <= 'z' ? o->help[0] - 'a' + 'A' : o->help[0],
                 o->help + 1, o->many ? "; may be repeated" : "");
        putchar('\n');
        put_text(help);
    }
    fputs(".El\n", stdout);
}

static void put_command(const struct cli_command *c)
{
    char summary[256];

    printf(".It Cm %s Op Ar option ...%s%s\n", c->name, c->usage[0] ? " Ar " : "", c->usage);
    snprintf(summary, sizeof summary, "%c%s.", c->summary[0] - 'a' + 'A', c->summary + 1);
    put_text(summary);
    if (c->about)
        put_text(c->about);
    put_options(c->options);
}

void cli_mdoc(void)
{
    for (const struct cli_family *f = cli_families; f->title; f++) {
        printf(".Ss %s\n.Bl -tag -width Ds\n", f->title);
        for (const struct cli_command *c = f->commands; c->name; c++)
            put_command(c);
        fputs(".El\n", stdout);
    }
    fputs(".Ss Options of every verb\n", stdout);
    put_options(cli_common_options);
}
