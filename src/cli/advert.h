/* src/cli/advert.h - adverts as answers carry them, checked; and those that we went by.
 *
 * Of a session at a XenoServer that an RD found, the profile keeps the advert in adverts/
 * (cli/kept.h), the 256 newest, also after the session's end: that is when people complain
 * (rfc/0020), and by then the XenoServer may advertise something else.
 */
#ifndef XENO_CLI_ADVERT_H
#define XENO_CLI_ADVERT_H

#include "cli/profile.h"
#include "json/json.h"
#include "xis/advert.h"

/* Of an object with "advert" and maybe "delta": both signatures are checked, and the delta is
 * merged. Whose it is, and whether it is timely, is the caller's to ask.
 * Errors: json.*, those of xis/advert.h. */
int cli_advert_open(const struct xeno_json_at *at, struct xeno_advert **ret, struct xeno_err *err);

/* Keep that object's advert and delta for the session. Best effort. */
void cli_advert_keep(struct cli *cli, const struct cli_server *server, const char *session,
                     const struct xeno_json_at *at);
/* {"advert","delta"?}; the caller's. NULL: none was kept. */
struct xeno_json *cli_advert_kept(struct cli *cli, const struct cli_server *server,
                                  const char *session);

#endif
