/* src/cli/order.h - making and closing orders, for the verbs that do it on the way. */
#ifndef XENO_CLI_ORDER_H
#define XENO_CLI_ORDER_H

#include "cli/args.h"
#include "cli/profile.h"

/* A new order; not yet in the wallet. `key` NULL: ours. */
int cli_order_make(struct cli *cli, xeno_credit amount, xeno_time life, const struct xeno_pub *key,
                   char **ret_chain, struct xeno_order_terms *ret, struct xeno_err *err);

/* What is posted to /v1/orders for it, and what is made of the answer. */
struct xeno_json *cli_order_body(xeno_credit amount, xeno_time life, const struct xeno_pub *key);
int cli_order_take(struct cli *cli, const struct xeno_json *answer, char **ret_chain,
                   struct xeno_order_terms *ret, struct xeno_err *err);

/* Close it; *ret (NULL allowed) is the order as it is then. */
int cli_order_close(struct cli *cli, const char *order, struct xeno_json **ret,
                    struct xeno_err *err);

/* The chain as it is shown to one XenoServer (its id), for one use that begins now, at that price
 * an hour at most (0: any). */
int cli_order_present(struct cli *cli, const char *chain, const char *server, xeno_credit max_rate,
                      char **ret, struct xeno_err *err);

/* The same at a price that was agreed, in micro-credits an hour; nothing is a price, too. */
int cli_order_present_at(struct cli *cli, const char *chain, const char *server, int64_t per_hour,
                         char **ret, struct xeno_err *err);

/* --- between the files of the family --- */
void cli_order_print(struct cli *cli, const char *chain, const struct xeno_order_terms *t);
int cli_order_write(const char *path, const char *chain, struct xeno_err *err);
extern const struct cli_option cli_order_restrict_options[], cli_order_show_options[],
    cli_order_list_options[], cli_order_present_options[];
int cli_order_restrict(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_order_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_order_present_verb(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_order_list(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
