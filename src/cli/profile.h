/* src/cli/profile.h - who the user is: key, credential, XenoCorp, wallet, known XenoServers.
 *
 * A folder, mode 0700: $XENO_HOME, else $XDG_CONFIG_HOME/xeno, else ~/.config/xeno.
 *
 *     key.pem          the secret key; never leaves the machine
 *     credential.pem   from the XenoCorp; renewed when a third of its life is left
 *     ca.pem           the XenoCorp's certificate, which signs orders and names who is trusted
 *     profile.json     {"corp_url","corp_id","name","images"}
 *     wallet/ID.chain  orders; wallet/ID.once: made for one session
 *     agreed/SERVER-SESSION  what an hour of that session may cost (cli/agreed.h)
 *     adverts/SERVER-SESSION by which its XenoServer was found (cli/advert.h)
 *     log-head         newest signed head of the XenoCorp's log that was seen (cli/log.h)
 *     publishers.json  who is believed about signed names (cli/publisher.h)
 *     published/       what we signed of our own (image/seen.h)
 *     names/           what was seen of the signed names of sessions (image/seen.h)
 *     xis.json         the information services that are asked (cli/xis.h)
 *     rd.json          the RDs that find XenoServers for us (cli/discover.h)
 *     servers.json     {"servers":[{"name","id","url"}]}, the first is the default
 */
#ifndef XENO_CLI_PROFILE_H
#define XENO_CLI_PROFILE_H

#include <stdio.h>

#include "cli/cli.h"
#include "crypto/x509.h"
#include "doc/order.h"

struct cli_profile {
    char *path;
    int dirfd;
    char *corp_url, *name;
    char *images; /* the store of a platform on this machine; NULL: none known */
    char *ca_pem, *cert_pem;
    struct xeno_key *key;
    struct xeno_cert *cert;
    struct xeno_pub corp;
    struct xeno_id corp_id;
};
void cli_profile_free(struct cli_profile *p);
XENO_DEFINE_AUTO(cli_profile, cli_profile_free);

/* The folder's name; the caller's. */
char *cli_profile_path(const struct cli *cli);

/* Write `name` there in one step, mode 0600; the folder is made when it is missing. */
int cli_profile_put(const struct cli *cli, const char *name, const struct xeno_json *j,
                    struct xeno_err *err);

/* Read the profile into cli->profile; again: no effect. A credential near its end is renewed.
 * Errors: -ENOENT profile.missing, and what reading it gives. */
int cli_profile_need(struct cli *cli, struct xeno_err *err);

/* Ask for a new credential now. */
int cli_profile_renew(struct cli *cli, struct xeno_err *err);

/* What a registration gave. Borrows. */
struct cli_identity {
    const struct xeno_key *key;
    const char *cert_pem, *ca_pem, *corp_url, *corp_id;
    const char *name, *images; /* NULL: none */
};
/* Write a profile; the folder `dir` is made when missing. */
int cli_profile_write(const char *dir, const struct cli_identity *id, struct xeno_err *err);

/* --- wallet --- */

/* Find an order: an id or its first letters in the wallet, the name of a file with a chain, or "-"
 * for standard input. Returns: the chain, the caller's, and its checked terms.
 * Errors: -ENOENT profile.order, -EINVAL profile.order (more than one), those of doc/order.h. */
int cli_wallet_find(struct cli *cli, const char *ref, char **ret_chain,
                    struct xeno_order_terms *ret, struct xeno_err *err);
int cli_wallet_put(struct cli *cli, const char *chain, char ret_order[XENO_ORDER_ID_CHARS + 1],
                   struct xeno_err *err);
void cli_wallet_drop(struct cli *cli, const char *order);
/* It was made for one session only, and is closed when that ends, by whichever command. */
void cli_wallet_mark(struct cli *cli, const char *order);
bool cli_wallet_marked(struct cli *cli, const char *order);
/* For who picks an order by himself: no other command that does so has it until the file is closed.
 * Returns: NULL when one has it, or when it was made a moment ago, for that one's session. */
FILE *cli_wallet_claim(struct cli *cli, const char *order);
/* Ids of the orders in the wallet, NULL-terminated; the caller's with its strings. */
char **cli_wallet_list(struct cli *cli);
void cli_strv_free(char **list);

/* --- XenoServers --- */

struct cli_server {
    char *name, *id, *url;
};
struct cli_servers {
    size_t count;
    struct cli_server *items;
};
void cli_servers_free(struct cli_servers *s);
XENO_DEFINE_AUTO(cli_servers, cli_servers_free);

int cli_servers_load(struct cli *cli, struct cli_servers **ret, struct xeno_err *err);
int cli_servers_save(struct cli *cli, const struct cli_servers *s, struct xeno_err *err);
/* Add, or replace the one of that id or name. Copies. */
void cli_servers_add(struct cli_servers *s, const char *name, const char *id, const char *url);
/* By name, id or its first letters, or URL; NULL: $XENO_SERVER, else the only one, else the first.
 * Borrowed from `s`. Errors: -ENOENT profile.server, -EINVAL profile.which. */
int cli_servers_pick(const struct cli_servers *s, const char *ref, const struct cli_server **ret,
                     struct xeno_err *err);

#endif
