/* src/cli/order.h - making and closing orders, for the verbs that do it on the way. */
#ifndef XENO_CLI_ORDER_H
#define XENO_CLI_ORDER_H

#include "cli/profile.h"

/* A new order; not yet in the wallet. `key` NULL: ours. */
int cli_order_make(struct cli *cli, xeno_credit amount, xeno_time life, const struct xeno_pub *key,
                   char **ret_chain, struct xeno_order_terms *ret, struct xeno_err *err);

/* Close it; *ret (NULL allowed) is the order as it is then. */
int cli_order_close(struct cli *cli, const char *order, struct xeno_json **ret,
                    struct xeno_err *err);

#endif
