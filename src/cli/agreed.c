/* src/cli/agreed.c - what an hour of a session may cost, as it was agreed when it was made.
 *
 * What a crash takes away is asked of the XenoServer again, and shown.
 */
#include "cli/agreed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/api.h"
#include "cli/kept.h"
#include "cli/out.h"

#define NUMBER_MAX 32 /* bytes of a file */

static const struct cli_kept agreed = { "agreed", NUMBER_MAX, 1024 };

void cli_agreed_put(struct cli *cli, const struct cli_server *server, const char *session,
                    int64_t per_hour)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof text, "%" PRId64 "\n", per_hour);
    cli_kept_put(cli, &agreed, server, session, text);
}

int64_t cli_agreed_get(struct cli *cli, const struct cli_server *server, const char *session)
{
    xeno_autofree char *text = cli_kept_get(cli, &agreed, server, session);
    long long per_hour;
    char *end;

    if (!text)
        return -1;
    errno = 0;
    per_hour = strtoll(text, &end, 10);
    return end != text && *end == '\n' && errno == 0 && per_hour >= 0 ? per_hour : -1;
}

void cli_agreed_drop(struct cli *cli, const struct cli_server *server, const char *session)
{
    cli_kept_drop(cli, &agreed, server, session);
}

int cli_agreed_price(struct cli *cli, const struct cli_args *args, const struct cli_found *f,
                     int64_t *ret, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(f->object);
    int64_t says = cli_int(&top, "rate_per_hour", -1);
    xeno_credit most = xeno_micro(cli_agreed_get(cli, &f->server, f->session));
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    int r = cli_credit(args, "max-price", &most, err);

    if (r < 0)
        return r;
    if (says < 0)
        return xeno_fail(err, -EPROTO, "session.price", "%s does not say what %s costs an hour",
                         f->server.name, f->session);
    xeno_credit_text(xeno_micro(says), a);
    if (most.micro < 0)
        cli_note(cli,
                 "%s says that %s costs at most %s credits an hour; what was agreed is not "
                 "known here",
                 f->server.name, f->session, a);
    else if (says > most.micro)
        return xeno_fail(err, -EDQUOT, "price.per-hour",
                         "%s can cost %s credits an hour, says %s; you agreed to %s (more: "
                         "--max-price)",
                         f->session, a, f->server.name, xeno_credit_text(most, b));
    *ret = says;
    return 0;
}
