/* src/cli/words.h - the argument list of a program that is to be started. */
#ifndef XENO_CLI_WORDS_H
#define XENO_CLI_WORDS_H

#include "cli/args.h"

#define CLI_WORDS_MAX 64

struct cli_words {
    char *list[CLI_WORDS_MAX + 1]; /* owned; NULL-terminated */
    size_t count;
};
void cli_words_release(struct cli_words *w);
#define cli_autowords __attribute__((cleanup(cli_words_release))) struct cli_words

/* One more; what does not fit is left out. */
void cli_word(struct cli_words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What the user gave as --OPTION KEY=VALUE, as --KEY=VALUE; last, so that it wins. */
void cli_words_set(struct cli_words *w, const struct cli_args *args, const char *option);

#endif
