/* src/cli/service.c - a service document and options to a rollout, and its result. */
#include "cli/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/discover.h"
#include "cli/guard.h"
#include "cli/out.h"
#include "cli/server.h"
#include "cli/signed.h"

#define PORT_WAIT_S    10
#define FOUND_SPARE    10 /* XenoServers more than are wanted */
#define NAME_MAX_BYTES 64 /* of a XenoServer, in servers.json */

bool cli_service_meant(const struct cli_args *args)
{
    size_t len = strlen(args->words[0]);

    /* Without --on: a command was forgotten, or nothing but a document was meant. */
    return cli_value(args, "on") || (args->word_count == 1 && !cli_value(args, "file") && len > 4 &&
                                     strcmp(args->words[0] + len - 4, ".xml") == 0);
}

/* What describes a command has no meaning here: the document does that. */
static int check_options(const struct cli_args *args, struct xeno_err *err)
{
    static const char *const others[] = { "file", "env", "workdir", "user", "task" };

    if (args->word_count > 1)
        return cli_usage(err, "--on is for a service document alone; its tasks are in it");
    for (size_t i = 0; i < XENO_LEN(others); i++)
        if (cli_value(args, others[i]))
            return cli_usage(err, "--%s and a service document do not go together", others[i]);
    if (cli_flag(args, "follow") || cli_flag(args, "terminal"))
        return cli_usage(err, "--follow and --terminal are for one command: xeno session logs");
    return 0;
}

static int read_document(const char *path, struct xeno_service **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = cli_document(path, XENO_SERVICE_MAX_BYTES, &text, &len, err);

    if (r < 0)
        return r;
    r = xeno_service_parse(text, len, ret, err);
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static bool have(const struct cli_rollout *ro, size_t n, const struct cli_server *s)
{
    for (size_t i = 0; i < n; i++)
        if (ro->candidates[i] == s)
            return true;
    return false;
}

/* Those named by --server, in that order. */
static int named_candidates(struct cli_rollout *ro, const char *const *named, size_t count,
                            size_t *ret, struct xeno_err *err)
{
    const struct cli_server *s;
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        r = cli_servers_pick(ro->known, named[i], &s, err);
        if (r == 0 && n < CLI_CANDIDATES_MAX && !have(ro, n, s))
            ro->candidates[n++] = s;
    }
    *ret = n;
    return r;
}

/* Those that an RD finds, the best first: some more than are needed, since some may refuse. */
static int found_candidates(struct cli_rollout *ro, const struct cli_args *args, size_t want,
                            size_t *ret, struct xeno_err *err)
{
    int64_t count = (int64_t)want + FOUND_SPARE;
    int r = cli_discover_some(ro->cli, args, ro->service->req, count, &ro->found, err);

    if (r == 0)
        r = cli_discover_limit(args, ro->service->req, err);
    if (r < 0)
        return r;
    cli_discovery_add(ro->found, ro->known);
    for (size_t i = 0; i < ro->found->count; i++)
        ro->candidates[i] = cli_discovery_server(ro->found, i, ro->known);
    *ret = ro->found->count;
    return 0;
}

/* All that are known and are not among the `n` first. */
static int known_candidates(struct cli_rollout *ro, size_t n, size_t *ret, struct xeno_err *err)
{
    const struct cli_server *s;
    int r = n == 0 ? cli_servers_pick(ro->known, NULL, &s, err) : 0; /* there is one at all */

    for (size_t i = 0; r == 0 && i < ro->known->count && n < CLI_CANDIDATES_MAX; i++)
        if (!have(ro, n, &ro->known->items[i]))
            ro->candidates[n++] = &ro->known->items[i];
    *ret = n;
    return r;
}

/* Those named; else those that are found, if there is somebody to ask; then, unless it was said
 * where, all that are known. */
static int find_candidates(struct cli_rollout *ro, const struct cli_args *args, size_t want,
                           size_t *ret, struct xeno_err *err)
{
    bool meant = cli_discover_meant(args);
    const char *const *named;
    size_t count;
    int r = cli_servers_load(ro->cli, &ro->known, err);

    if (r < 0)
        return r;
    named = cli_values(args, "server", &count);
    if (count > 0 && meant)
        return cli_usage(err, "--server names them; the other options have them found");
    if (count > 0)
        return named_candidates(ro, named, count, ret, err);
    if (!meant && !cli_discover_possible(ro->cli, args))
        return known_candidates(ro, 0, ret, err);
    *ret = 0;
    r = found_candidates(ro, args, want, ret, err);
    if (meant || (r < 0 && ro->known->count == 0))
        return r;
    if (r < 0)
        cli_note(ro->cli, "those that you know are asked, since your RD found none: %s",
                 cli_clean(err->text));
    return known_candidates(ro, *ret, ret, err); /* what they have may be news to the RD */
}

/* The longest there can be of what is not known yet: what fits with it fits. */
static int check_tasks(const struct cli_rollout *ro, unsigned number, struct xeno_err *err)
{
    char server[NAME_MAX_BYTES + 1], host[CLI_HOST_TEXT];
    struct xeno_replica longest = { .number = number,
                                    .count = (unsigned)ro->count,
                                    .server = server,
                                    .address = host,
                                    .port = UINT16_MAX };

    memset(server, 'x', sizeof server);
    server[sizeof server - 1] = '\0';
    memset(host, 'x', sizeof host);
    host[sizeof host - 1] = '\0';
    for (size_t i = 0; i < ro->service->task_count; i++) {
        xeno_auto(xeno_task_doc) t = NULL;
        int r = xeno_service_task(ro->service, i, &longest, &t, err);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Each with its own requirement, of which `limit` (0: none) leaves it a share. */
static int make_replicas(struct cli_rollout *ro, size_t want, int64_t limit, struct xeno_err *err)
{
    int r = 0;

    ro->replicas = xeno_new0_n(struct cli_replica, want);
    for (ro->count = 0; ro->count < want; ro->count++) {
        struct cli_replica *re = &ro->replicas[ro->count];

        re->rollout = ro;
        re->number = (unsigned)ro->count + 1;
        re->candidate = re->probe = -1;
        re->tasks = xeno_new0_n(char *, ro->service->task_count + 1);
        for (size_t i = 0; i < CLI_STEPS; i++)
            re->at_ms[i] = -1;
    }
    for (size_t i = 0; r == 0 && i < want; i++) {
        struct cli_making *m = &ro->replicas[i].making;

        m->by = ro->found;
        r = check_tasks(ro, ro->replicas[i].number, err);
        if (r == 0)
            r = xeno_service_requirement(ro->service, ro->replicas[i].number, &m->req, err);
        if (r == 0 && limit > 0)
            r = cli_choice_share(limit, want, m->req->max_total, &m->req->max_total, err);
        if (r == 0)
            m->document = xeno_requirement_format(m->req, NULL);
    }
    return r;
}

static int choose(struct cli_rollout *ro, const struct cli_args *args, size_t want, size_t least,
                  bool share, struct xeno_err *err)
{
    size_t candidates = 0;
    int r = cli_signed_pin_all(ro->cli, ro->service->req, err); /* once: all get the same */

    if (r == 0)
        r = find_candidates(ro, args, want, &candidates, err);
    return r < 0 ? r : cli_choice_init(&ro->choice, candidates, want, least, share, err);
}

static int plan(struct cli_rollout *ro, const struct cli_args *args, struct xeno_err *err)
{
    int64_t on = 1, least;
    xeno_credit limit = xeno_micro(0);
    int r = check_options(args, err);

    if (r == 0)
        r = cli_number(args, "on", 1, XENO_REPLICAS_MAX, &on, err);
    least = on;
    if (r == 0)
        r = cli_number(args, "at-least", 1, on, &least, err);
    if (r == 0)
        r = cli_credit(args, "limit", &limit, err);
    if (r == 0 && cli_value(args, "limit") && limit.micro == 0)
        return cli_usage(err, "--limit: must be above 0");
    if (cli_value(args, "wait") && strcmp(cli_value(args, "wait"), "0") == 0)
        ro->port_wait = xeno_s(0);
    else if (r == 0)
        r = cli_duration(args, "wait", &ro->port_wait, err);
    if (r == 0)
        r = read_document(args->words[0], &ro->service, err);
    if (r == 0)
        r = choose(ro, args, (size_t)on, (size_t)least, cli_flag(args, "share"), err);
    return r < 0 ? r : make_replicas(ro, (size_t)on, limit.micro, err);
}

/* The same from the options of run: a document of one task. */
static int plan_run(struct cli_rollout *ro, const struct cli_args *args, struct xeno_task_doc *doc,
                    struct xeno_err *err)
{
    static const char *const others[] = { "order", "terminal", "keep" };
    xeno_auto(xeno_task_doc) task = doc;
    int64_t n = 1;
    int r = 0;

    for (size_t i = 0; r == 0 && i < XENO_LEN(others); i++)
        if (cli_flag(args, others[i]))
            r = cli_usage(err, "--replicas and --%s do not go together", others[i]);
    if (r == 0)
        r = cli_number(args, "replicas", 1, XENO_REPLICAS_MAX, &n, err);
    ro->service = xeno_new0(struct xeno_service);
    ro->service->tasks = xeno_new0(struct xeno_task_doc *);
    ro->service->tasks[ro->service->task_count++] = xeno_take(&task);
    if (r == 0)
        r = cli_requirement(args, &ro->service->req, err);
    if (r == 0)
        r = choose(ro, args, (size_t)n, (size_t)n, false, err);
    return r < 0 ? r : make_replicas(ro, (size_t)n, 0, err);
}

static void release(struct cli_rollout *ro)
{
    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];

        cli_making_release(&re->making);
        cli_strv_free(re->tasks);
        if (re->probe >= 0)
            close(re->probe);
    }
    free(ro->replicas);
    cli_discovery_free(ro->found);
    cli_servers_free(ro->known);
    xeno_service_free(ro->service);
    free(ro);
}

static struct cli_rollout *rollout_new(struct cli *cli)
{
    struct cli_rollout *ro = xeno_new0(struct cli_rollout);
    const char *term = getenv("TERM");

    ro->cli = cli;
    ro->port_wait = xeno_s(PORT_WAIT_S);
    ro->live = cli->err_tty && !cli->json && !cli->quiet && term && strcmp(term, "dumb") != 0;
    return ro;
}

/* What was found and is used now is known from here on. */
static void remember(const struct cli_rollout *ro)
{
    for (size_t i = 0; ro->found && i < ro->count; i++)
        if (!ro->replicas[i].out)
            cli_server_remember(ro->cli, ro->replicas[i].making.server);
}

/* After the plan, which said r. */
static int carry_out(struct cli_rollout *ro, int r, struct xeno_err *err)
{
    ro->start = xeno_mono(ro->cli->env);
    cli_guard_begin();
    if (r == 0)
        r = cli_rollout_place(ro, err);
    if (r == 0) {
        remember(ro);
        r = cli_rollout_run(ro, err);
    }
    if (r == 0)
        cli_rollout_result(ro);
    release(ro);
    return r < 0 ? r : CLI_OK;
}

int cli_service_deploy(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct cli_rollout *ro = rollout_new(cli);

    return carry_out(ro, plan(ro, args, err), err);
}

int cli_service_run(struct cli *cli, const struct cli_args *args, struct xeno_task_doc *doc,
                    struct xeno_err *err)
{
    struct cli_rollout *ro = rollout_new(cli);

    return carry_out(ro, plan_run(ro, args, doc, err), err);
}
