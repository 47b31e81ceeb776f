/* src/cli/urls.h - a list of services that do the same, and which of them are ours.
 *
 * In the profile's folder as NAME.json, {"urls":["https://HOST:PORT",...]}; an option or a variable
 * of the environment (with commas) wins over it.
 */
#ifndef XENO_CLI_URLS_H
#define XENO_CLI_URLS_H

#include "cli/cli.h"
#include "json/json.h"

#define CLI_URLS_MAX 8

struct cli_urls {
    size_t count;
    char *urls[CLI_URLS_MAX];
};
void cli_urls_release(struct cli_urls *u);
#define cli_autourls __attribute__((cleanup(cli_urls_release))) struct cli_urls

/* Those of a text, with commas or spaces between; appended, without slashes at the end.
 * Errors: usage. */
int cli_urls_add(struct cli_urls *u, const char *text, struct xeno_err *err);

/* `file`: "xis.json". One that is missing is an empty list. Errors: those of reading it. */
int cli_urls_load(const struct cli *cli, const char *file, struct cli_urls *ret,
                  struct xeno_err *err);
int cli_urls_save(const struct cli *cli, const char *file, const struct cli_urls *u,
                  struct xeno_err *err);
/* Those in `said`, else in the environment's `variable`, else in the file. */
int cli_urls_pick(const struct cli *cli, const char *said, const char *variable, const char *file,
                  struct cli_urls *ret, struct xeno_err *err);
/* Keep `url` as the one, unless there are others already. */
int cli_urls_default(const struct cli *cli, const char *file, const char *url,
                     struct xeno_err *err);

/* {"urls":[...]} */
struct xeno_json *cli_urls_json(const struct cli_urls *u);

#endif
