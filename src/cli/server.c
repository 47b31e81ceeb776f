/* src/cli/server.c - XenoServers: add, remove, list, status. */
#include "cli/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "crypto/jws.h"

int cli_server_need(struct cli *cli, const char *ref, struct cli_servers **ret_all,
                    const struct cli_server **ret, struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    int r = cli_servers_load(cli, &all, err);

    if (r == 0)
        r = cli_servers_pick(all, ref, ret, err);
    if (r == 0)
        *ret_all = xeno_take(&all);
    return r;
}

/* A status carries the server's key, whose hash is its id: anybody it is passed on to can check it.
 */
static int check_signature(const struct xeno_jws *jws, const struct xeno_json_at *status,
                           struct xeno_err *err)
{
    const char *text;
    struct xeno_pub pub;
    int r = xeno_json_str(status, "key", 1, XENO_PUB_TEXT - 1, &text, err);

    if (r < 0)
        return r;
    if (!xeno_pub_parse(text, &pub))
        return xeno_fail(err, -EINVAL, "server.status", "the status has no public key");
    return xeno_jws_check(jws, XENO_TYP_STATUS, &pub, err);
}

static int check_signed(const struct xeno_json_at *answer, char ret_id[XENO_ID_CHARS + 1],
                        struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) status = NULL;
    struct xeno_json_at top;
    const char *text, *id;
    int r;

    r = xeno_json_str(answer, "signed", 1, XENO_JWS_MAX, &text, err);
    if (r == 0)
        r = xeno_jws_parse(text, strlen(text), &jws, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, 1 << 20, &status, err);
    if (r < 0)
        return r;
    top = xeno_json_top(status);
    r = xeno_json_str(&top, "server", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
    if (r == 0 && strcmp(jws->typ, XENO_TYP_STATUS) != 0)
        r = xeno_fail(err, -EPERM, "server.status", "the signed status is of type '%s'", jws->typ);
    if (r == 0)
        r = check_signature(jws, &top, err);
    if (r == 0 && strcmp(id, jws->kid.s) != 0)
        r = xeno_fail(err, -EPERM, "server.status", "the status of %s is signed by %s", id,
                      jws->kid.s);
    if (r < 0)
        return r;
    memcpy(ret_id, id, XENO_ID_CHARS + 1);
    *ret = xeno_take(&status);
    return 0;
}

int cli_server_status(struct cli *cli, const char *url, const char *id, struct xeno_json **ret,
                      char ret_id[XENO_ID_CHARS + 1], struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    xeno_auto(xeno_json) status = NULL;
    struct xeno_json_at top;
    char who[XENO_ID_CHARS + 1];
    int r;

    r = cli_ask(
        cli,
        &(struct cli_ask){ .method = "GET", .base = url, .server_id = id, .path = "/v1/status" },
        &answer, err);
    if (r < 0)
        return r;
    top = xeno_json_top(answer);
    r = check_signed(&top, who, &status, err);
    if (r == 0 && id && strcmp(id, who) != 0)
        r = xeno_fail(err, -EPERM, "server.status", "it says it is %s, not %s", who, id);
    /* The first time, ask once more by that id: then its certificate proves it is the one. */
    if (r == 0 && !id)
        r = cli_ask(
            cli,
            &(struct cli_ask){ .method = "GET", .base = url, .server_id = who, .path = "/healthz" },
            NULL, err);
    if (r < 0)
        return xeno_context(err, r, "%s", url);
    memcpy(ret_id, who, sizeof who);
    *ret = xeno_take(&status);
    return 0;
}

/* --- add, remove, list --- */

static const struct cli_option add_options[] = {
    { "name", 'n', "NAME", "what you call it (default: x1, x2, ...)", false, 0 },
    { "default", 0, NULL, "make it the one used when none is named", false, 0 },
    { NULL },
};

static char *free_name(const struct cli_servers *s)
{
    for (int n = 1;; n++) {
        xeno_autofree char *name = xeno_asprintf("x%d", n);
        bool used = false;

        for (size_t i = 0; i < s->count; i++)
            used |= strcmp(s->items[i].name, name) == 0;
        if (!used)
            return xeno_take(&name);
    }
}

static const char *name_of(const struct cli_servers *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].id, id) == 0)
            return s->items[i].name;
    return NULL;
}

static void to_front(struct cli_servers *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].id, id) == 0) {
            struct cli_server first = s->items[i];

            memmove(s->items + 1, s->items, i * sizeof *s->items);
            s->items[0] = first;
            return;
        }
}

static struct xeno_json *server_json(const struct cli_server *s)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "name", s->name);
    xeno_json_set_str(j, "id", s->id);
    xeno_json_set_str(j, "url", s->url);
    return j;
}

static int run_add(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    xeno_auto(xeno_json) status = NULL;
    xeno_autofree char *name = NULL;
    const struct cli_server *s;
    char id[XENO_ID_CHARS + 1];
    const char *url = args->words[0];
    int r;

    if (strncmp(url, "https://", 8) != 0 || strchr(url + 8, '/'))
        return cli_usage(err, "'%s' is not https://HOST:PORT", url);
    r = cli_servers_load(cli, &all, err);
    if (r == 0)
        r = cli_server_status(cli, url, NULL, &status, id, err);
    if (r < 0)
        return r;
    if (cli_value(args, "name"))
        name = xeno_strdup(cli_value(args, "name"));
    else
        name = name_of(all, id) ? xeno_strdup(name_of(all, id)) : free_name(all);
    if (strlen(name) < 1 || strlen(name) > 63)
        return cli_usage(err, "--name: 1 to 63 letters");
    cli_servers_add(all, name, id, url);
    if (cli_flag(args, "default"))
        to_front(all, id);
    r = cli_servers_save(cli, all, err);
    if (r == 0)
        r = cli_servers_pick(all, id, &s, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(server_json(s));
    cli_say(cli, "%s is XenoServer %s at %s", name, id, url);
    return CLI_OK;
}

static const struct cli_option no_options[] = { { NULL } };

static int run_remove(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    const struct cli_server *s;
    size_t i;
    int r = cli_server_need(cli, args->words[0], &all, &s, err);

    if (r < 0)
        return r;
    if (cli->json)
        cli_json(server_json(s));
    cli_say(cli, "%s (%s) is forgotten", s->name, s->id);
    i = (size_t)(s - all->items);
    free(s->name);
    free(s->id);
    free(s->url);
    memmove(all->items + i, all->items + i + 1, (--all->count - i) * sizeof *all->items);
    return cli_servers_save(cli, all, err);
}

static int run_list(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "NAME", "ID", "URL", "DEFAULT" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 0);
    xeno_auto(cli_servers) all = NULL;
    struct xeno_json *list;
    int r = cli_servers_load(cli, &all, err);

    (void)args;
    if (r < 0)
        return r;
    list = xeno_json_array();
    for (size_t i = 0; i < all->count; i++) {
        const struct cli_server *s = &all->items[i];

        cli_cell_paint(&t, s->name, CLI_BOLD);
        cli_cell(&t, s->id);
        cli_cell(&t, s->url);
        cli_cell(&t, i == 0 ? "yes" : "no");
        xeno_json_append(list, server_json(s));
    }
    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set(j, "servers", list);
        cli_json(j);
        return CLI_OK;
    }
    xeno_json_unref(list);
    t.ids = 1U << 1;
    cli_table_print_or(cli, &t, "none yet: xeno server add https://HOST:PORT");
    return CLI_OK;
}

/* --- status --- */

static const struct cli_option status_options[] = {
    { "prices", 'p', NULL, "show the price list", false, 0 },
    { NULL },
};

static void status_row(struct cli_table *t, const struct cli_server *s,
                       const struct xeno_json_at *st)
{
    struct xeno_json_at left = cli_obj(st, "free");
    char cpu[32], mem[32], disk[32], n[32];

    snprintf(cpu, sizeof cpu, "%lld msps", (long long)cli_int(&left, "cpu_msps", 0));
    snprintf(n, sizeof n, "%lld", (long long)cli_int(st, "sessions", 0));
    cli_cell_paint(t, s->name, CLI_BOLD);
    cli_cell_paint(t, "up", CLI_GREEN);
    cli_cell(t, cli_str(st, "driver"));
    cli_cell(t, cpu);
    cli_cell(t, xeno_size_text(cli_int(&left, "memory_bytes", 0), mem));
    cli_cell(t, xeno_size_text(cli_int(&left, "disk_bytes", 0), disk));
    cli_cell(t, n);
}

static void prices(struct cli *cli, const struct cli_server *s, const struct xeno_json_at *st)
{
    static const char *const units[][3] = { { "cpu", "CPU second", "CPU second" },
                                            { "memory", "GiB-hour", "GiB-hour" },
                                            { "disk", "GiB-hour", "GiB-hour" },
                                            { "net", "Mbit/s-hour", "GiB" },
                                            { "address", "address-hour", "-" } };
    static const char *const heads[] = { "RESOURCE", "RESERVED", "PER", "USED", "PER" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 1 | 1U << 3);
    struct xeno_json_at price = cli_obj(st, "price");

    for (size_t i = 0; i < XENO_LEN(units); i++) {
        struct xeno_json_at p = cli_obj(&price, units[i][0]);

        cli_cell(&t, units[i][0]);
        cli_cell_credit(&t, cli_int(&p, "reserved", 0));
        cli_cell(&t, units[i][1]);
        cli_cell_credit(&t, cli_int(&p, "used", 0));
        cli_cell(&t, units[i][2]);
    }
    cli_say(cli, "\n%s, tariff %lld, in credits:", s->name, (long long)cli_int(&price, "epoch", 0));
    cli_table_print(cli, &t);
}

/* One that does not answer is a row like the others, and the exit status of the whole. */
static int status_one(struct cli *cli, const struct cli_server *s, struct cli_table *t,
                      struct xeno_json *list, struct xeno_json **ret, struct xeno_err *worst)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json *j = server_json(s);
    struct xeno_json_at st;
    char id[XENO_ID_CHARS + 1];
    int r = cli_server_status(cli, s->url, s->id, ret, id, &err);

    if (r < 0) {
        cli_cell_paint(t, s->name, CLI_BOLD);
        cli_cell_paint(t, "down", CLI_RED);
        for (int i = 0; i < 5; i++)
            cli_cell(t, NULL);
        cli_note(cli, "%s: %s", s->name, cli_clean(err.text));
        xeno_json_set_str(j, "error", err.text);
        *worst = err;
    } else {
        st = xeno_json_top(*ret);
        status_row(t, s, &st);
        xeno_json_set(j, "status", xeno_json_ref(*ret));
    }
    xeno_json_append(list, j);
    return r;
}

static int run_status(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "NAME",        "STATE",     "DRIVER",  "CPU FREE",
                                         "MEMORY FREE", "DISK FREE", "SESSIONS" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 3 | 1U << 4 | 1U << 5);
    xeno_auto(cli_servers) all = NULL;
    struct xeno_json *doc, *list;
    struct xeno_json **got;
    struct xeno_err worst = XENO_ERR_INIT;
    const struct cli_server *only = NULL;
    int r = cli_servers_load(cli, &all, err);

    if (r == 0 && (args->word_count > 0 || all->count == 0))
        r = cli_servers_pick(all, args->word_count > 0 ? args->words[0] : NULL, &only, err);
    if (r < 0)
        return r;
    doc = xeno_json_object();
    list = xeno_json_array();
    xeno_json_set(doc, "servers", list);
    got = xeno_new0_n(struct xeno_json *, all->count);
    for (size_t i = 0; i < all->count; i++)
        if (!only || only == &all->items[i])
            status_one(cli, &all->items[i], &t, list, &got[i], &worst);
    cli_table_print(cli, &t);
    for (size_t i = 0; i < all->count; i++) {
        if (got[i] && !cli->json && (only || cli_flag(args, "prices"))) {
            struct xeno_json_at st = xeno_json_top(got[i]);

            prices(cli, &all->items[i], &st);
        }
        xeno_json_unref(got[i]);
    }
    free(got);
    if (cli->json)
        cli_json(doc);
    else
        xeno_json_unref(doc);
    return worst.code < 0 ? (int)cli_exit_of(&worst) : CLI_OK;
}

const struct cli_command cli_server_commands[] = {
    { .name = "server add",
      .usage = "URL",
      .summary = "remember a XenoServer, by its address",
      .about = "Its certificate must be of your XenoCorp; from then on only that XenoServer (its "
               "key)\nis accepted at that address.",
      .examples = "xeno server add https://x1.example.org:8443 --name london\n"
                  "xeno server add https://127.0.0.1:8443 --default",
      .options = add_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_add },
    { .name = "server remove",
      .usage = "SERVER",
      .summary = "forget a XenoServer",
      .examples = "xeno server remove london",
      .options = no_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_SERVER,
      .run = run_remove },
    { .name = "server list",
      .usage = "",
      .summary = "list the XenoServers you know",
      .examples = "xeno server list\nxeno server list --json | jq -r '.servers[].url'",
      .options = no_options,
      .run = run_list },
    { .name = "server status",
      .usage = "[SERVER]",
      .summary = "show what XenoServers have free and ask for",
      .examples = "xeno server status\n# with its price list\nxeno server status london",
      .options = status_options,
      .max_words = 1,
      .offer = CLI_OFFER_SERVER,
      .run = run_status },
    { .name = "server check",
      .usage = "[SERVER]",
      .summary = "find out why something does not work",
      .about =
          "Asks the XenoCorp and every XenoServer you know: does it answer, is it who it says, do\n"
          "the clocks agree, is your credential accepted?",
      .examples = "xeno server check\nxeno server check london",
      .options = no_options,
      .max_words = 1,
      .offer = CLI_OFFER_SERVER,
      .run = cli_server_check },
    { .name = "server advertise",
      .usage = "[SERVER]",
      .summary = "show what a XenoServer says of itself, and who finds it",
      .about =
          "What it tells to information services, signature checked. With --check it says whether\n"
          "somebody with your credential would find it who asks for what the options of run, or a\n"
          "document (--file), describe, and if not, everything that speaks against it.",
      .examples = "xeno server advertise london\n"
                  "xeno server advertise london --check -f requirement.xml\n"
                  "xeno server advertise --check --memory 64G --where 'Location/Country is GB'",
      .options = cli_server_advertise_options,
      .max_words = 1,
      .offer = CLI_OFFER_SERVER,
      .run = cli_server_advertise },
    { NULL },
};
