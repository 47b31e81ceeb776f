/* src/cli/order-present.c - show an order to one XenoServer, for one use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/order.h"
#include "cli/out.h"

const struct cli_option cli_order_present_options[] = {
    { "max-rate", 0, "CREDITS", "for this much an hour at most, as it was quoted", false, 0 },
    { "output", 'o', "FILE", "write the chain there instead of standard output", false,
      CLI_OFFER_FILE },
    { NULL },
};

int cli_order_present(struct cli *cli, const char *chain, const char *server, xeno_credit max_rate,
                      char **ret, struct xeno_err *err)
{
    if (max_rate.micro > XENO_CREDIT_MAX) /* more than an order can say */
        max_rate = xeno_micro(0);
    return xeno_order_present(chain, strlen(chain), &cli->profile->corp, cli->profile->key, server,
                              max_rate, xeno_wall(cli->env), ret, err);
}

int cli_order_present_at(struct cli *cli, const char *chain, const char *server, int64_t per_hour,
                         char **ret, struct xeno_err *err)
{
    return cli_order_present(cli, chain, server, xeno_micro(per_hour > 0 ? per_hour : 1), ret, err);
}

/* The id of the server named; any full id will do, known or not. */
static int server_id(struct cli *cli, const char *name, char **ret, struct xeno_err *err)
{
    xeno_auto(cli_servers) known = NULL;
    const struct cli_server *s;
    int r;

    if (xeno_id_ok(name)) {
        *ret = xeno_strdup(name);
        return 0;
    }
    r = cli_servers_load(cli, &known, err);
    if (r == 0)
        r = cli_servers_pick(known, name, &s, err);
    if (r < 0)
        return r;
    *ret = xeno_strdup(s->id);
    return 0;
}

int cli_order_present_verb(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    const char *path = cli_value(args, "output");
    xeno_autofree char *chain = NULL;
    xeno_autofree char *server = NULL;
    xeno_autofree char *out = NULL;
    xeno_credit max_rate = xeno_micro(0);
    int r = cli_credit(args, "max-rate", &max_rate, err);

    if (r == 0)
        r = cli_wallet_find(cli, args->words[0], &chain, t, err);
    if (r == 0)
        r = server_id(cli, args->words[1], &server, err);
    if (r == 0)
        r = cli_order_present(cli, chain, server, max_rate, &out, err);
    if (r == 0 && path)
        r = cli_order_write(path, out, err);
    if (r == 0)
        r = xeno_order_read(out, strlen(out), &cli->profile->corp, t, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_order_print(cli, out, t);
    else if (!path)
        puts(out);
    return CLI_OK;
}
