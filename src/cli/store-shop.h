/* src/cli/store-shop.h - a XenoStore that is paid, and how it is asked. */
#ifndef XENO_CLI_STORE_SHOP_H
#define XENO_CLI_STORE_SHOP_H

#include "cli/remote.h"
#include "cli/store-pay.h"
#include "doc/storage.h"

#define CLI_SHOP_WAIT_S  60
#define CLI_SHOP_POLL_MS 200

struct cli_shop {
    char host[XENO_REGISTRY_HOST_MAX + 1];
    char id[XENO_ID_CHARS + 1];
    struct xeno_pub key; /* of that id */
    int64_t price;       /* micro-credits for a GiB and day */
};

/* Ask a XenoStore of our XenoCorp who it is and what it costs; host NULL: the default store.
 * Errors: -EPROTO storage.store: its key is not its id's. */
int cli_shop_open(struct cli *cli, const char *host, struct cli_shop *ret, struct xeno_err *err);

/* Ask; `body` is taken, ret may be NULL. */
int cli_shop_ask(struct cli *cli, const struct cli_shop *shop, const char *method,
                 struct xeno_json *body, struct xeno_json **ret, struct xeno_err *err,
                 const char *fmt, ...) __attribute__((format(printf, 7, 8)));

void cli_shop_pause(void); /* CLI_SHOP_POLL_MS */

#endif
