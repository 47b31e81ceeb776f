/* src/cli/agreed.h - what an hour of a session may cost, as it was agreed when it was made.
 *
 * In the profile, a small file a session (agreed/SERVER-SESSION), the newest 1,024 of them: so that
 * an order given later is presented at the price of the quote, too. Best effort: what is not known
 * here, the XenoServer is asked for.
 */
#ifndef XENO_CLI_AGREED_H
#define XENO_CLI_AGREED_H

#include "cli/args.h"
#include "cli/find.h"

/* Remember, find and forget it, in micro-credits an hour; -1: not known. */
void cli_agreed_put(struct cli *cli, const struct cli_server *server, const char *session,
                    int64_t per_hour);
int64_t cli_agreed_get(struct cli *cli, const struct cli_server *server, const char *session);
void cli_agreed_drop(struct cli *cli, const struct cli_server *server, const char *session);

/* At which price to present an order for `f`: what its XenoServer says it can cost, if that is not
 * above --max-price, or above what was agreed where that is not given. Where neither is known, the
 * XenoServer's word is taken and shown.
 * Errors: -EDQUOT price.per-hour: it says more; -EPROTO session.price: it says nothing. */
int cli_agreed_price(struct cli *cli, const struct cli_args *args, const struct cli_found *f,
                     int64_t *ret, struct xeno_err *err);

#endif
