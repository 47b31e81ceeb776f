/* src/cli/store-pay.h - paying a XenoStore for what it keeps (rfc/0013-storage-certificates.md). */
#ifndef XENO_CLI_STORE_PAY_H
#define XENO_CLI_STORE_PAY_H

#include "cli/args.h"
#include "cli/cli.h"
#include "image/store.h"

#define STORE_PAY_OPTIONS                                                                          \
    { "pay", 0, "CREDITS", "have it kept, for so much at most", false, 0 },                        \
        { "copy", 0, "HOST", "keep another copy at that XenoStore, too", true, 0 },                \
    {                                                                                              \
        "for", 0, "TIME", "how long it is to be kept (default 30d)", false, 0                      \
    }

/* Have the image with manifest `digest`, which is in `st` and was pushed to each of `hosts`, kept
 * there as --pay and --for say: its price is shown, for each copy an order for just that is made,
 * and closed when it is bound, so that what is not used comes back by itself. *ret: a list of the
 * certificate as each store has it, the caller's; empty when keeping it costs nothing.
 * Errors: -EDQUOT price.limit (they cost more), the stores' and the XenoCorp's; copies that were
 *         bought before stay so. */
int cli_store_pay(struct cli *cli, const struct cli_args *args, const char *const *hosts,
                  size_t count, struct xeno_store *st, const char *digest, struct xeno_json **ret,
                  struct xeno_err *err);

/* Remark what was bought; NULL: nothing. */
void cli_store_paid(struct cli *cli, const struct xeno_json *list);

/* Rows of the table in remote.c. */
extern const struct cli_option cli_certificate_options[], cli_audit_options[];
int cli_run_certificates(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_run_certificate(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_run_reclaim(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_run_audit(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
