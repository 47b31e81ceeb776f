/* src/cli/discover.h - which XenoServers have what is needed? An RD is asked (rfc/0019).
 *
 * The RD is not believed: an answer counts only with the advert that its XenoServer signed, whose
 * lease goes on and which is registered with our XenoCorp. The address comes from there; that the
 * XenoServer has that id is checked when it is connected to, and what it costs is what it says when
 * it holds.
 *
 * RDs compete: there may be several, in rd.json of the profile's folder (cli/urls.h), and the next
 * one is asked when one is away, refuses, or gives only answers that do not hold.
 */
#ifndef XENO_CLI_DISCOVER_H
#define XENO_CLI_DISCOVER_H

#include "cli/args.h"
#include "cli/profile.h"
#include "cli/urls.h"
#include "spec/requirement.h"

/* The options that say where, for the tables of find, run and deploy. */
#define CLI_DISCOVER_OPTIONS                                                                       \
    { "near",          0, "ADDR[:MS]", "near this address or XenoServer (within MS ms)", true,     \
      CLI_OFFER_SERVER },                                                                          \
        { "equal-latency", 0, "ADDR,ADDR", "about as far from each of these", true, 0 },           \
        { "disjoint-to", 0, "ADDR", "by a network path of its own to this address", false, 0 },    \
        { "beside",        0, "SERVER", "with --disjoint-to: apart from this one's path", true,    \
          CLI_OFFER_SERVER },                                                                      \
        { "where", 0, "QUERY", "adverts that say so: 'CPUmsps >= 150 and ...'", true, 0 },         \
        { "max-cost", 0, "CREDITS", "its whole life time costs at most this", false, 0 },          \
        { "objective",                                                                             \
          0,                                                                                       \
          "WHAT[=WEIGHT]",                                                                         \
          "best by cost, rtt-max, rtt-mean, equal, disjoint, warm or load",                        \
          true,                                                                                    \
          0 },                                                                                     \
        { "spread", 0, "WHAT", "over as many as there are: operator or place", false, 0 },         \
        { "use", 0, "PERCENT", "of its CPU that it will use (default 100)", false, 0 },            \
        { "traffic", 0, "SIZE", "that it will send and receive", false, 0 },                       \
        { "sets", 0, "K", "sets of K, whose members have paths of their own", false, 0 },          \
    {                                                                                              \
        "rd", 0, "URL[,URL]", "ask this RD instead of yours, and then the next", false, 0          \
    }

/* Does one of them say something about where? */
bool cli_discover_meant(const struct cli_args *args);
/* Is there an RD to ask? */
bool cli_discover_possible(const struct cli *cli, const struct cli_args *args);

struct cli_discovery {
    char *rd;                 /* its address */
    struct xeno_json *answer; /* the RD's, as it came */
    size_t count;
    struct cli_server *servers; /* of its answers those that hold, in its order */
    size_t *places;             /* which of its answers each is */
    size_t dropped;             /* the others */
    struct xeno_err why;        /* of the last of them */
};
void cli_discovery_free(struct cli_discovery *d);
XENO_DEFINE_AUTO(cli_discovery, cli_discovery_free);

/* Ask for `count` XenoServers. req NULL: any. Without one that matches the discovery is empty.
 * Where an image is named it is asked what that is, also at a registry.
 * Errors: usage, -ENOENT rd.none, those of the RD. */
int cli_discover(struct cli *cli, const struct cli_args *args, const struct xeno_requirement *req,
                 int64_t count, struct cli_discovery **ret, struct xeno_err *err);
/* The same for those who go there at once: a registry is asked only where it decides. That there is
 * none is -ENOENT find.none, and says what they fell to. */
int cli_discover_some(struct cli *cli, const struct cli_args *args,
                      const struct xeno_requirement *req, int64_t count, struct cli_discovery **ret,
                      struct xeno_err *err);

/* What --max-cost means to whoever pays: the session's own limit. */
int cli_discover_limit(const struct cli_args *args, struct xeno_requirement *req,
                       struct xeno_err *err);

/* What an RD says, for people: with the names of XenoServers that are known for their ids, and of
 * options for the members of the question. The caller's. */
char *cli_discovery_words(const struct cli_servers *known, const char *said);

/* Put what was found among `known`, by names that say one; and the i-th of it there, borrowed until
 * `known` changes. */
void cli_discovery_add(const struct cli_discovery *d, struct cli_servers *known);
const struct cli_server *cli_discovery_server(const struct cli_discovery *d, size_t i,
                                              const struct cli_servers *known);
/* Keep one that is used from now on, so that other verbs find it again. Best effort. */
void cli_server_remember(struct cli *cli, const struct cli_server *s);

/* The session at that XenoServer was made by this discovery: keep the advert that was gone by. */
void cli_discovery_keep(struct cli *cli, const struct cli_discovery *d,
                        const struct cli_server *server, const char *session);

/* Our RDs, in the order in which they are asked. args NULL: of a verb without --rd.
 * Errors: -ENOENT rd.none, those of cli/urls.h. */
int cli_rd_pick(const struct cli *cli, const struct cli_args *args, struct cli_urls *ret,
                struct xeno_err *err);
int cli_rd_save(const struct cli *cli, const struct cli_urls *rds, struct xeno_err *err);
/* Make it the only one, unless there are others. */
int cli_rd_default(const struct cli *cli, const char *url, struct xeno_err *err);

#endif
