/* src/cli/words.c - the argument list of a program that is to be started. */
#include "cli/words.h"

#include <stdarg.h>
#include <stdlib.h>

void cli_words_release(struct cli_words *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->list[i]);
}

void cli_word(struct cli_words *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (w->count < CLI_WORDS_MAX)
        w->list[w->count++] = xeno_vasprintf(fmt, ap);
    va_end(ap);
}

void cli_words_set(struct cli_words *w, const struct cli_args *args, const char *option)
{
    const char *const *list;
    size_t n;

    list = cli_values(args, option, &n);
    for (size_t i = 0; i < n; i++)
        cli_word(w, "--%s", list[i]);
}
