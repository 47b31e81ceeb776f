/* src/cli/publisher.h - whom the user trusts to say what a signed name stands for.
 *
 * publishers.json in the profile's folder: {"publishers":[{"name","id","at"}]}. A short name means
 * something here only; the id is what is believed. `at` says where that publisher's images are
 * ("oci://HOST[:PORT][/FOLDER]"); without it they are in the default store, below its id. A place
 * is not trusted, only asked.
 */
#ifndef XENO_CLI_PUBLISHER_H
#define XENO_CLI_PUBLISHER_H

#include "cli/cli.h"
#include "doc/name.h"

struct cli_publisher {
    struct xeno_id id;
    char name[XENO_NAME_WORD]; /* "": it has none */
    char *at;                  /* NULL: the default store */
};
void cli_publisher_release(struct cli_publisher *p);
#define cli_autopublisher __attribute__((cleanup(cli_publisher_release))) struct cli_publisher

/* The one that `word` names: an id, a short name, or "" for the user. `ret` starts out empty.
 * Errors: -ENOENT publisher.unknown; for "" those of cli_profile_need(). */
int cli_publisher_find(struct cli *cli, const char *word, struct cli_publisher *ret,
                       struct xeno_err *err);

/* Is it "oci://HOST[:PORT][/FOLDER]"? Errors: usage, naming `what`. */
int cli_publisher_place(const char *what, const char *at, struct xeno_err *err);

/* What people call it: the short name, else the first letters of the id. */
const char *cli_publisher_called(const struct cli *cli, const struct xeno_id *id,
                                 char out[XENO_NAME_WORD]);

#endif
