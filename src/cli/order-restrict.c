/* src/cli/order-restrict.c - narrow an order, offline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/order.h"
#include "cli/out.h"

const struct cli_option cli_order_restrict_options[] = {
    { "server", 's', "SERVER", "only at this XenoServer (name or id)", true, CLI_OFFER_SERVER },
    { "env-type", 0, "TYPE", "only environments of this type: Linux", true, 0 },
    { "max-total", 0, "CREDITS", "spend at most this in all", false, 0 },
    { "max-rate", 0, "CREDITS", "sessions of at most this an hour", false, 0 },
    { "not-before", 0, "TIME", "from then on: 2026-11-21T10:00:00Z", false, 0 },
    { "not-after", 0, "TIME", "until just before then", false, 0 },
    { "for", 0, "LENGTH", "until that long from now: 30m", false, 0 },
    { "give", 'g', "KEY", "hand it to this public key (43 letters); you cannot use what comes out",
      false, 0 },
    { "output", 'o', "FILE", "write the chain there instead of standard output", false,
      CLI_OFFER_FILE },
    { "save", 0, NULL, "replace the order in your wallet by it", false, 0 },
    { NULL },
};

static int read_time(const struct cli_args *args, const char *name, xeno_time *ret,
                     struct xeno_err *err)
{
    const char *text = cli_value(args, name);
    struct xeno_err why = XENO_ERR_INIT;

    if (text && xeno_time_parse(text, ret, &why) < 0)
        return cli_usage(err, "--%s: %s", name, why.text);
    return 0;
}

/* Ids of the servers named; strings are the caller's. Any full id will do, known or not. */
static int server_ids(struct cli *cli, const struct cli_args *args, char ***ret,
                      struct xeno_err *err)
{
    xeno_auto(cli_servers) known = NULL;
    const char *const *given;
    size_t n;
    char **ids;
    int r;

    given = cli_values(args, "server", &n);
    r = cli_servers_load(cli, &known, err);
    if (r < 0)
        return r;
    ids = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct cli_server *s;

        if (xeno_id_ok(given[i])) {
            ids[i] = xeno_strdup(given[i]);
            continue;
        }
        r = cli_servers_pick(known, given[i], &s, err);
        if (r < 0) {
            cli_strv_free(ids);
            return r;
        }
        ids[i] = xeno_strdup(s->id);
    }
    *ret = ids;
    return 0;
}

static int read_restriction(struct cli *cli, const struct cli_args *args,
                            struct xeno_order_restriction *ret, struct xeno_err *err)
{
    xeno_time length = xeno_ns(0);
    int r;

    ret->envs = cli_values(args, "env-type", &ret->env_count);
    r = cli_credit(args, "max-total", &ret->max_total, err);
    if (r == 0)
        r = cli_credit(args, "max-rate", &ret->max_rate, err);
    if (r == 0)
        r = read_time(args, "not-before", &ret->not_before, err);
    if (r == 0)
        r = read_time(args, "not-after", &ret->not_after, err);
    if (r == 0)
        r = cli_duration(args, "for", &length, err);
    if (r == 0 && length.ns > 0) {
        if (ret->not_after.ns != 0)
            return cli_usage(err, "--for and --not-after say the same thing: give one");
        ret->not_after = xeno_time_add(xeno_wall(cli->env), length);
    }
    return r;
}

static int deliver(struct cli *cli, const struct cli_args *args, const char *chain,
                   struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    const char *path = cli_value(args, "output");
    char id[XENO_ORDER_ID_CHARS + 1];
    int r = 0;

    if (cli_flag(args, "save"))
        r = cli_wallet_put(cli, chain, id, err);
    if (r == 0 && path)
        r = cli_order_write(path, chain, err);
    if (r == 0)
        r = xeno_order_read(chain, strlen(chain), &cli->profile->corp, t, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_order_print(cli, chain, t);
    else if (!path && !cli_flag(args, "save"))
        puts(chain);
    return CLI_OK;
}

int cli_order_restrict(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    struct xeno_order_restriction narrow = { .server_count = 0 };
    const char *give = cli_value(args, "give");
    xeno_autofree char *chain = NULL;
    xeno_autofree char *out = NULL;
    char **ids = NULL;
    struct xeno_pub next;
    int r;

    if (give && !xeno_pub_parse(give, &next))
        return cli_usage(err, "--give: not a public key (43 letters; 'xeno order show' prints the "
                              "one an order is for)");
    r = read_restriction(cli, args, &narrow, err);
    if (r == 0)
        r = cli_wallet_find(cli, args->words[0], &chain, t, err);
    if (r == 0)
        r = server_ids(cli, args, &ids, err);
    if (r == 0) {
        narrow.servers = (const char *const *)ids;
        while (ids[narrow.server_count])
            narrow.server_count++;
        r = xeno_order_append(chain, strlen(chain), &cli->profile->corp, cli->profile->key, &narrow,
                              give ? &next : NULL, &out, err);
    }
    if (r == 0)
        r = deliver(cli, args, out, err);
    cli_strv_free(ids);
    return r;
}
