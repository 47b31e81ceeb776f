/* src/cli/xis.h - the information services that we ask, and asking them (rfc/0016).
 *
 * They are kept in the profile's folder as xis.json, {"urls":[...]}: nodes of one XIS, of which the
 * first that answers is asked. --xis URL and $XENO_XIS (with commas) win.
 */
#ifndef XENO_CLI_XIS_H
#define XENO_CLI_XIS_H

#include "cli/args.h"
#include "cli/urls.h"

#define CLI_XIS_OPTION                                                                             \
    {                                                                                              \
        "xis", 0, "URL", "ask this information service, not yours", false, 0                       \
    }

/* Those to be asked; `args` NULL: of a verb without CLI_XIS_OPTION.
 * Errors: -ENOENT xis.none. */
int cli_xis_pick(const struct cli *cli, const struct cli_args *args, struct cli_urls *ret,
                 struct xeno_err *err);
/* Remember `url` as the one, unless there are others already. */
int cli_xis_default(const struct cli *cli, const char *url, struct xeno_err *err);

/* Ask the first node that answers. `text` NULL: no body. `type` NULL: JSON. */
int cli_xis_ask(struct cli *cli, const struct cli_args *args, const char *method, const char *path,
                const char *text, const char *type, struct xeno_json **ret, struct xeno_err *err);

#endif
