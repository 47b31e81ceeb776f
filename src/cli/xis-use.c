/* src/cli/xis-use.c - which information services we ask. */
#include <errno.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/xis-verbs.h"

#define FILE_NAME "xis.json"

int cli_xis_pick(const struct cli *cli, const struct cli_args *args, struct cli_urls *ret,
                 struct xeno_err *err)
{
    int r =
        cli_urls_pick(cli, args ? cli_value(args, "xis") : NULL, "XENO_XIS", FILE_NAME, ret, err);

    if (r == 0 && ret->count == 0)
        r = xeno_fail(err, -ENOENT, "xis.none", "you have no information service");
    return r;
}

int cli_xis_default(const struct cli *cli, const char *url, struct xeno_err *err)
{
    return cli_urls_default(cli, FILE_NAME, url, err);
}

int cli_xis_ask(struct cli *cli, const struct cli_args *args, const char *method, const char *path,
                const char *text, const char *type, struct xeno_json **ret, struct xeno_err *err)
{
    cli_autourls x = { .count = 0 };
    int r = cli_profile_need(cli, err);

    if (r == 0)
        r = cli_xis_pick(cli, args, &x, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < x.count; i++) {
        struct cli_ask ask = { .method = method,
                               .base = x.urls[i],
                               .path = path,
                               .text = text,
                               .type = text && !type ? "application/json" : type };
        struct xeno_err why = XENO_ERR_INIT;

        r = cli_ask(cli, &ask, ret, &why);
        if (r >= 0)
            return r;
        if (err)
            *err = why;
        if (cli_exit_of(&why) != CLI_UNREACHABLE)
            break;
    }
    return r;
}

int cli_run_xis_use(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    cli_autourls x = { .count = 0 };
    int r = 0;

    for (int i = 0; i < args->word_count && r == 0; i++)
        r = cli_urls_add(&x, args->words[i], err);
    if (r == 0)
        r = args->word_count > 0 ? cli_urls_save(cli, FILE_NAME, &x, err)
                                 : cli_xis_pick(cli, NULL, &x, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(cli_urls_json(&x));
    for (size_t i = 0; i < x.count; i++)
        cli_say(cli, "%s", cli_clean(x.urls[i]));
    return CLI_OK;
}
