/* src/cli/register.h - joining a XenoCorp, for those who do it for others (platform up). */
#ifndef XENO_CLI_REGISTER_H
#define XENO_CLI_REGISTER_H

#include "cli/profile.h"

/* Borrows everything. */
struct cli_joining {
    const char *url, *token; /* of the XenoCorp, which must be the one that the token names */
    const struct xeno_key *key;
    struct xeno_json *body;    /* with the token and a request by `key` */
    const char *name, *images; /* for the profile; NULL: none */
};

/* The key of the profile folder `dir`, made when there is none. It is on the disk before anything
 * is sent, so that a lost answer can be asked for again. */
int cli_own_key(struct cli *cli, const char *dir, struct xeno_key **ret, struct xeno_err *err);

/* Join as a client, and write the profile. */
int cli_register(struct cli *cli, const char *dir, const struct cli_joining *join,
                 struct xeno_err *err);

#endif
