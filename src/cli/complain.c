/* src/cli/complain.c - tell the XenoCorp that an advert was false (rfc/0020). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cli/advert.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/find.h"
#include "cli/make.h"
#include "cli/out.h"
#include "doc/complaint.h"

static const struct cli_option complain_options[] = {
    { "about", 'a', "WORD", "resources, price, isolation, latency, location, images, access, other",
      false, 0 },
    { "text", 't', "TEXT", "what was false, in your words (at most 1000 bytes)", false, 0 },
    { "advert", 0, "FILE",
      "this advert, as xeno find or xis get --json printed it (default: the one you went by)",
      false, CLI_OFFER_FILE },
    { "server", 's', "SERVER", "the session is at this XenoServer", false, CLI_OFFER_SERVER },
    { NULL },
};

/* What is sent, and what it borrows from. */
struct complaint {
    struct xeno_complaint c;
    const char *which; /* advert, for people */
    struct cli_found *found;
    struct xeno_json *advert, *status;
};

static void complaint_release(struct complaint *k)
{
    cli_found_free(k->found);
    xeno_json_unref(k->advert);
    xeno_json_unref(k->status);
}

/* Where an advert stands as JSON: an object with "advert" and maybe "delta". */
static int read_advert(struct complaint *k, struct xeno_err *err)
{
    struct xeno_json_at at = xeno_json_top(k->advert);
    int r = xeno_json_str(&at, "advert", 1, XENO_COMPLAINT_SIGNED, &k->c.advert, err);

    if (r == 0)
        r = xeno_json_str_opt(&at, "delta", 1, XENO_COMPLAINT_SIGNED, &k->c.delta, err);
    return r < 0 ? r : 0;
}

static int find_advert(struct cli *cli, const struct cli_args *args, struct complaint *k,
                       struct xeno_err *err)
{
    const char *path = cli_value(args, "advert");
    xeno_autofree char *text = NULL;
    size_t len;
    int r = 0;

    k->which = path ? "that advert" : "the advert that you went by";
    if (!path)
        k->advert = cli_advert_kept(cli, &k->found->server, k->found->session);
    if (path) {
        r = cli_document(path, XENO_COMPLAINT_MAX, &text, &len, err);
        if (r == 0)
            r = xeno_json_parse(text, len, XENO_COMPLAINT_MAX, &k->advert, err);
    } else if (!k->advert) { /* it was not found by one */
        k->which = "its present advert";
        r = cli_server_get(cli, &k->found->server, &k->advert, err, "/v1/advert");
    }
    if (r == 0)
        r = read_advert(k, err);
    return r < 0 ? xeno_context(err, r, "the advert") : 0;
}

/* What it says of itself now, signed: beside the advert it may be evidence. Best effort. */
static void add_status(struct cli *cli, struct complaint *k)
{
    struct xeno_json_at at;

    if (cli_server_get(cli, &k->found->server, &k->status, NULL, "/v1/status") < 0)
        return;
    at = xeno_json_top(k->status);
    if (xeno_json_str(&at, "signed", 1, XENO_COMPLAINT_SIGNED, &k->c.receipts[0], NULL) == 0)
        k->c.receipt_count = 1;
}

static int make(struct cli *cli, const struct cli_args *args, struct complaint *k,
                struct xeno_err *err)
{
    const char *about = cli_value(args, "about");
    int r;

    if (!about || !xeno_complaint_about_parse(about, &k->c.about))
        return cli_usage(err, "--about: resources, price, isolation, latency, location, images, "
                              "access or other");
    k->c.text = cli_value(args, "text") ? cli_value(args, "text") : "";
    if (strlen(k->c.text) > XENO_COMPLAINT_TEXT)
        return cli_usage(err, "--text: at most %d bytes", XENO_COMPLAINT_TEXT);
    r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &k->found, err);
    if (r == 0)
        r = find_advert(cli, args, k, err);
    if (r < 0)
        return r;
    add_status(cli, k);
    memcpy(k->c.server.s, k->found->server.id, sizeof k->c.server.s);
    snprintf(k->c.session, sizeof k->c.session, "%s", k->found->session);
    k->c.time = xeno_wall(cli->env);
    return 0;
}

static int run_complain(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    __attribute__((cleanup(complaint_release))) struct complaint k = { .found = NULL };
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_json) answer = NULL;
    struct xeno_json_at at;
    int r = make(cli, args, &k, err);

    if (r < 0)
        return r;
    text = xeno_complaint_sign(cli->profile->key, &k.c);
    r = cli_ask(cli,
                &(struct cli_ask){ .method = "POST",
                                   .base = cli->profile->corp_url,
                                   .server_id = cli->profile->corp_id.s,
                                   .path = "/v1/complaints",
                                   .text = text,
                                   .type = "application/jose" },
                &answer, err);
    if (r < 0)
        return r;
    at = xeno_json_top(answer);
    cli_say(cli, "complaint %lld about %s at %s is filed, with %s%s",
            (long long)cli_int(&at, "complaint", 0), k.found->session, k.found->server.name,
            k.which, k.c.receipt_count > 0 ? " and its present status" : "");
    if (cli->json)
        cli_json(xeno_take(&answer));
    return CLI_OK;
}

const struct cli_command cli_complain_commands[] = {
    { .name = "complain",
      .usage = "SESSION",
      .summary = "tell the XenoCorp that a XenoServer's advert was false",
      .about =
          "Signed by you, with the advert and the present status as the XenoServer signed them. Of a\n"
          "session at a XenoServer that was found for you it is the advert that you went by, which\n"
          "is kept; else the present one, unless --advert gives one. The XenoCorp sees that these are its own and that the session was yours, records it in its\n"
          "log, and counts it: who looks for XenoServers can see how many there are. One complaint\n"
          "about a session, 20 a day. The XenoServer and operators can read it.",
      .examples = "xeno complain web --about resources --text 'half of the CPU it sold'\n"
                  "# with an advert that you kept yourself\n"
                  "xeno complain web --about location --advert found.json",
      .options = complain_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_SESSION,
      .run = run_complain },
    { NULL },
};
