/* src/cli/make.h - from options to a session: requirement, hold, order, session.
 *
 * Shared by run and session create. The order of things is what makes failures cheap: the document
 * is checked here, then resources are held at a quoted price, and only then is money set aside.
 */
#ifndef XENO_CLI_MAKE_H
#define XENO_CLI_MAKE_H

#include "cli/api.h"
#include "cli/args.h"
#include "cli/discover.h"
#include "cli/find.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "spec/requirement.h"

/* The options that describe a session, for the tables of the verbs. */
#define CLI_REQUIREMENT_OPTIONS                                                                      \
    { "max-total", 0, "CREDITS", "spend at most this in all", false, 0 },                            \
        { "max-price", 0, "CREDITS", "refuse if an hour can cost more", false, 0 },                  \
        { "file", 'f',           "FILE", "requirement document to start from ('-': standard input)", \
          false,  CLI_OFFER_FILE },                                                                  \
        { "name", 'n', "NAME", "name of the session", false, 0 },                                    \
        { "template", 0, "TEMPLATE", "image to start from", false, CLI_OFFER_TEMPLATE },             \
        { "overlay", 0, "OVERLAY", "layers over it, bottom first", true, CLI_OFFER_OVERLAY },        \
        { "env-type", 0, "TYPE", "environment type (default Linux)", false, 0 },                     \
        { "cpu", 'c', "MSPS", "ms of CPU per second of real time (default 100)", false, 0 },         \
        { "burst", 0, "MS", "CPU that may be saved up", false, 0 },                                  \
        { "memory", 'm', "SIZE", "memory (default 128M)", false, 0 },                                \
        { "disk", 0, "SIZE", "writable layer (default 256M)", false, 0 },                            \
        { "net", 0, "MBPS", "network rate each way (default 10)", false, 0 },                        \
        { "pids", 0, "N", "processes (default 256)", false, 0 },                                     \
        { "address", 0, NULL, "an address of its own instead of NAT", false, 0 },                    \
        { "publish", 'p', "[HOST:]PORT[/udp]", "publish a port of the session", true, 0 },           \
    {                                                                                                \
        "lifetime", 'l', "TIME", "end it after that (default 1h)", false, 0                          \
    }

/* And those that say where, and who pays. */
#define CLI_MAKE_OPTIONS                                                                            \
    { "server",        's', "SERVER", "at this XenoServer (default: the first you know)", false,    \
      CLI_OFFER_SERVER },                                                                           \
        { "order", 'o', "ORDER", "pay with this order: id, file, or '-'", false, CLI_OFFER_ORDER }, \
        CLI_REQUIREMENT_OPTIONS, CLI_DISCOVER_OPTIONS,                                              \
    {                                                                                               \
        "dry-run", 0, NULL, "say whether it would work, what it would cost, and why not", false, 0  \
    }

/* The text of a document: a file, or "-" for standard input; at most `max` bytes. */
int cli_document(const char *path, size_t max, char **ret, size_t *ret_len, struct xeno_err *err);

/* Make the requirement that the options describe. Errors: usage, those of spec/. */
int cli_requirement(const struct cli_args *args, struct xeno_requirement **ret,
                    struct xeno_err *err);
/* The same, starting from that document whatever --file says; NULL: from none. */
int cli_requirement_from(const struct cli_args *args, const char *path,
                         struct xeno_requirement **ret, struct xeno_err *err);

struct cli_making {
    struct cli_servers *servers;
    const struct cli_server *server; /* of servers */
    struct cli_discovery *found;     /* by an RD; NULL: the server was named, or is the first */
    const struct cli_discovery *by;  /* the same, also when it is another's; NULL */
    struct xeno_requirement *req;
    char *document; /* its text */
    char *hold;     /* id; NULL: none, or used up */
    int64_t per_hour_max, reserved_per_hour;
    char *chain; /* the order */
    struct xeno_order_terms *terms;
    bool made_order; /* by us, for this session only */
    FILE *claim;     /* of an order that was found: cli_wallet_claim() */
    struct cli_found *session;
};
void cli_making_release(struct cli_making *m);
/* It came to nothing: give back the hold and the order that was made. Best effort. */
void cli_make_cancel(struct cli *cli, struct cli_making *m);

/* Read options, pick or find the server, hold resources there. Of those that were found each is
 * asked in turn until one holds, which is known from then on. */
int cli_make_hold(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                  struct xeno_err *err);
/* Find or make the order: --order; else one of the wallet that is free and fits; else a new one. */
int cli_make_order(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                   struct xeno_err *err);
int cli_make_session(struct cli *cli, struct cli_making *m, struct xeno_err *err);

/* --- the same as a question and what is made of its answer, for those who ask many at once --- */

/* The most the session can cost: its whole life at the highest rate, and grace. */
xeno_credit cli_make_most(const struct cli_making *m);
/* How long an order for it must last. */
xeno_time cli_make_life(const struct cli_making *m);
/* How long one of several is waited for: who takes longer is not chosen. */
xeno_time cli_make_hold_patience(const struct cli_making *m);
/* Borrows m. */
struct cli_ask cli_make_ask_hold(const struct cli_making *m);
int cli_make_take_hold(struct cli_making *m, const struct xeno_json *answer, struct xeno_err *err);
/* Presents the order; the body in *ret is to be taken by who asks. */
int cli_make_ask_session(struct cli *cli, struct cli_making *m, struct cli_ask *ret,
                         struct xeno_err *err);
int cli_make_take_session(struct cli *cli, struct cli_making *m, struct xeno_json *answer,
                          struct xeno_err *err);

/* End the session; when that fails say on stderr that it may go on and cost money, also with
 * --quiet and --json. */
void cli_make_end(struct cli *cli, struct cli_making *m);
/* The same because of a failure, which is what is to be seen: quietly, but for what an interrupt
 * cost. Nothing without a session. */
void cli_make_give_up(struct cli *cli, struct cli_making *m);

/* --dry-run: say whether and why not; that it would not is an answer, not an error. Returns: the
 * exit status. */
int cli_make_dry(struct cli *cli, const struct cli_args *args);

/* Wait until the session has left the states `from` (NULL-terminated), at most `limit`, longer
 * while its image is coming, which is shown on `p` (NULL: nowhere). m->session->object is fresh
 * then. Errors: -ETIMEDOUT session.wait. */
int cli_wait_state(struct cli *cli, struct cli_found *f, const char *const *from, xeno_time limit,
                   struct cli_progress *p, struct xeno_err *err);

/* End it and wait until it is ended; prints the bill unless quiet. Best effort on an order that was
 * made for it only: closed. */
int cli_end_session(struct cli *cli, struct cli_found *f, struct xeno_err *err);

#endif
