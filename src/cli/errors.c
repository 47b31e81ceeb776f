/* src/cli/errors.c - errors of verbs: what to do next, and the exit status. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"

#define USAGE "cli.usage"

int cli_usage(struct xeno_err *err, const char *fmt, ...)
{
    xeno_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return xeno_fail(err, -EINVAL, USAGE, "%s", text);
}

enum cli_exit cli_exit_of(const struct xeno_err *err)
{
    if (strcmp(err->token, USAGE) == 0)
        return CLI_USAGE;
    /* Beyond what could ever be had is no better than what cannot be had now. */
    if (strncmp(err->token, "admission.", 10) == 0 || strncmp(err->token, "price.", 6) == 0)
        return CLI_REFUSED;
    switch (-err->code) {
    case EPERM:
    case EACCES:
    case EDQUOT:
    case EBUSY:
    case EAGAIN:
    case EUSERS:
    case ENOSPC:
    case EKEYREJECTED:
    case EKEYEXPIRED:
    case EKEYREVOKED:
        return CLI_REFUSED;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ETIMEDOUT:
    case ENOTCONN:
        return CLI_UNREACHABLE;
    default:
        return CLI_FAILED;
    }
}

/* By the beginning of the token; the first that fits. */
static const struct {
    const char *token, *hint;
} hints[] = {
    { "profile.missing", "ask an operator for a token, then: xeno register URL --token TOKEN" },
    { "profile.server", "add one: xeno server add https://HOST:PORT" },
    { "profile.which", "say which: --server NAME (xeno server list)" },
    { "profile.order", "see yours: xeno order list; make one: xeno order create AMOUNT" },
    { "log.", "keep the profile folder, ask others what they see: xeno corp verify" },
    { "session.unknown", "see yours: xeno session ls" },
    { "session.which", "type more letters of its id (xeno session ls)" },
    { "session.state", "see its state: xeno session show SESSION" },
    { "task.paused", "let it go on: xeno session resume SESSION" },
    { "order.window", "pay with one that lasts: xeno session extend SESSION --order ORDER" },
    { "session.over", "see what it cost: xeno bill SESSION; start anew: xeno run -- COMMAND" },
    { "task.idle", "deploy something there first: xeno deploy SESSION -- COMMAND" },
    { "task.unknown", "see its tasks: xeno session show SESSION" },
    { "ledger.funds", "see your credit: xeno account; an operator adds to it: xeno corp fund" },
    { "order.rate", "ask for less, or use an order with a higher rate: xeno order list" },
    { "order.limit", "use another order: --order, or top up: xeno session extend" },
    { "order.too-small", "use a larger order: xeno order create AMOUNT" },
    { "order.spent", "give another order: xeno session restore SESSION --order ORDER" },
    { "order.bound", "that order pays for another session: make one: xeno order create AMOUNT" },
    { "order.expired", "make a new one: xeno order create AMOUNT --lifetime 2h" },
    { "order.server", "see what it allows: xeno order show ORDER" },
    { "order.env_type", "see what it allows: xeno order show ORDER" },
    { "hold.idle", "give --server another one, or try later" },
    { "session.idle", "give --server another one, or try later" },
    { "order.presented", "present it to that XenoServer: xeno order present ORDER SERVER" },
    { "order.holder", "it was handed to another key; ask its holder to use it" },
    { "order.unknown", "see yours: xeno order list" },
    { "order.closed", "make a new one: xeno order create AMOUNT" },
    { "price.", "accept a higher price, or ask for less CPU, memory, disk or network" },
    { "admission.", "ask for less, try later, or another server: xeno server status" },
    { "hold.unknown", "it expired; run the command again" },
    { "image.unknown", "see what the server has: xeno template ls" },
    { "image.signed", "say who publishes it: xeno publisher add NAME ID; or push it to a store" },
    { "image.elsewhere", "another server: --server; its operator may run xeno-imaged" },
    { "image.waiting", "try again in a moment" },
    { "agent.away", "try again in a moment" },
    { "agent.refused", "use a registry that the public internet reaches, or ask its operator" },
    { "store.none", "name it: oci://HOST/REPO:TAG, or: xeno store use HOST" },
    { "xis.none", "say which: xeno xis use URL" },
    { "xis.unknown", "it may not have advertised itself: xeno xis query" },
    { "publisher.unknown", "get its id from the publisher: xeno publisher add NAME ID" },
    { "name.none", "is it there? See: xeno publisher ls; or: xeno publisher add NAME ID --at" },
    { "name.expired", "ask its publisher, or pull a version that does not move" },
    { "name.rollback", "ask another store, or its publisher; what is here is newer" },
    { "name.contradiction", "believe this publisher no more: xeno publisher rm; show the proof" },
    { "oci.denied", "log in: podman login HOST, or --auth-file; a XenoStore: --trust corp" },
    { "oci.unknown", "is the name right? It is oci://HOST[:PORT]/REPO[:TAG|@DIGEST]" },
    { "registry.token", "a token works once and for a limited time; ask for a new one" },
    { "registry.disabled", "an operator of the XenoCorp disabled this party; ask there" },
    { "key.mode", NULL },
    { "x509.expired", "get a new credential: xeno whoami --renew (check this machine's clock)" },
    { "x509.revoked", "an operator of the XenoCorp disabled this party; ask there" },
    { "x509.early", "check this machine's clock" },
    { "x509.untrusted", "another XenoCorp answers there; see yours: xeno whoami" },
    { "http.tls", "does it listen with HTTPS there, and is it of your XenoCorp (xeno whoami)?" },
    { "http.peer", "another party answers there than before: xeno server add URL again" },
    { "task.failed", "is the program in the image? Another one: --template (xeno template ls)" },
    { "rd.none", "xeno find use URL; or name a XenoServer: --server (xeno server list)" },
    { "find.none", "ask for less, or see what there is: xeno find" },
    { "deploy.servers", "see whom you know: xeno server list" },
    { "deploy.limit", "give more: --limit, or ask for fewer: --on" },
    { "platform.none", "start one: xeno platform up; or say where it is: --dir DIR" },
    { "platform.", NULL },
};

const char *cli_hint(const struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(hints); i++)
        if (strncmp(err->token, hints[i].token, strlen(hints[i].token)) == 0)
            return hints[i].hint;
    if (strcmp(err->token, USAGE) == 0)
        return NULL; /* says its own */
    if (cli_exit_of(err) == CLI_UNREACHABLE)
        return "is it running, and is the address right? Try again, or: xeno server check";
    return NULL;
}

static void complain_json(const struct xeno_err *err, const char *hint)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    struct xeno_json *e = xeno_json_object();
    xeno_autofree char *text = NULL;

    xeno_json_set_str(e, "type", err->token);
    xeno_json_set_str(e, "detail", err->text);
    xeno_json_set_str(e, "next", hint);
    xeno_json_set_int(e, "exit", cli_exit_of(err));
    xeno_json_set(j, "error", e);
    text = xeno_json_format(j, false, NULL);
    fprintf(stderr, "%s\n", text);
}

void cli_complain(const struct cli *cli, const struct xeno_err *err)
{
    const char *name = cli->command ? cli->command->name : NULL;
    const char *hint = cli_hint(err);
    xeno_autofree char *usage_hint = NULL;

    if (!hint && strcmp(err->token, USAGE) == 0)
        hint = usage_hint = xeno_asprintf("xeno %s%s--help", name ? name : "", name ? " " : "");
    fflush(stdout);
    if (cli->json) {
        complain_json(err, hint);
        return;
    }
    fprintf(stderr, "xeno%s%s: %s\n", name ? " " : "", name ? name : "", cli_clean(err->text));
    if (hint)
        fprintf(stderr, "  next: %s\n", hint);
}
