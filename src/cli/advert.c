/* src/cli/advert.c - adverts as answers carry them, checked; and those that we went by. */
#include "cli/advert.h"

#include <string.h>

#include "cli/kept.h"
#include "cli/out.h"

static const struct cli_kept adverts = { "adverts", 2 * XENO_ADVERT_JWS_MAX + 1024, 256 };

int cli_advert_open(const struct xeno_json_at *at, struct xeno_advert **ret, struct xeno_err *err)
{
    xeno_auto(xeno_advert) whole = NULL;
    const char *jws, *delta = NULL;
    int r = xeno_json_str(at, "advert", 1, XENO_ADVERT_JWS_MAX, &jws, err);

    if (r == 0)
        r = xeno_json_str_opt(at, "delta", 1, XENO_ADVERT_JWS_MAX, &delta, err);
    if (r >= 0)
        r = xeno_advert_open(jws, strlen(jws), &whole, err);
    if (r == 0 && delta)
        return xeno_advert_merge(whole, delta, strlen(delta), ret, err);
    if (r == 0)
        *ret = xeno_take(&whole);
    return r;
}

void cli_advert_keep(struct cli *cli, const struct cli_server *server, const char *session,
                     const struct xeno_json_at *at)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    xeno_autofree char *text = NULL;
    const char *delta = cli_str(at, "delta");

    xeno_json_set_str(j, "advert", cli_str(at, "advert"));
    xeno_json_set_str(j, "delta", *delta ? delta : NULL);
    text = xeno_json_format(j, false, NULL);
    cli_kept_put(cli, &adverts, server, session, text);
}

struct xeno_json *cli_advert_kept(struct cli *cli, const struct cli_server *server,
                                  const char *session)
{
    xeno_autofree char *text = cli_kept_get(cli, &adverts, server, session);
    struct xeno_json *j = NULL;

    if (!text || xeno_json_parse(text, strlen(text), adverts.max_bytes, &j, NULL) < 0)
        return NULL;
    return j;
}
