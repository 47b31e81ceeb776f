/* src/cli/run.c - run and deploy. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/bill.h"
#include "cli/commands.h"
#include "cli/guard.h"
#include "cli/make.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/service.h"
#include "cli/stream.h"
#include "cli/task.h"
#include "cli/terminal.h"

/* --- run --- */

static const struct cli_option run_options[] = {
    CLI_MAKE_OPTIONS,
    CLI_TASK_OPTIONS,
    { "detach", 'd', NULL, "leave it running and print the session's id", false, 0 },
    { "keep", 'k', NULL, "do not end the session when the command is over", false, 0 },
    { "replicas", 0, "N", "at N XenoServers, all or none; left running", false, 0 },
    { NULL },
};

static void print_ports(struct cli *cli, const struct cli_found *f)
{
    struct xeno_json_at top = xeno_json_top(f->object), list;
    const char *host = strstr(f->server.url, "://");
    size_t n;

    list = cli_list(&top, "ports", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&list, i);

        if (cli_int(&p, "host_port", 0) > 0)
            cli_note(cli, "port %" PRId64 "/%s is %.*s:%" PRId64, cli_int(&p, "port", 0),
                     cli_clean(cli_str(&p, "proto")), host ? (int)strcspn(host + 3, ":/") : 0,
                     host ? host + 3 : "", cli_int(&p, "host_port", 0));
    }
}

/* Session and task, running. On failure nothing is left behind. */
static int start(struct cli *cli, const struct cli_args *args, const struct xeno_task_doc *doc,
                 struct cli_making *m, char **ret_task, struct xeno_err *err)
{
    xeno_auto(cli_progress) p = cli_progress_new(cli, "asking for a price");
    int r;

    cli_guard_begin();
    r = cli_make_hold(cli, args, m, err);
    if (r == 0 && (r = cli_guard_check(err)) == 0) {
        cli_progress_say(p, "setting money aside");
        r = cli_make_order(cli, args, m, err);
    }
    if (r == 0 && (r = cli_guard_check(err)) == 0) {
        cli_progress_say(p, "starting at %s", m->server->name);
        r = cli_make_session(cli, m, err);
    }
    if (r < 0) {
        cli_make_cancel(cli, m);
        return r;
    }
    r = cli_guard_check(err);
    if (r == 0)
        r = cli_task_deploy(cli, m->session, doc, ret_task, err);
    if (r == 0)
        r = cli_task_wait_start(cli, m->session, *ret_task, p, err);
    return r == 0 ? cli_guard_check(err) : r;
}

static void print_result(struct cli *cli, struct cli_making *m, const char *task, int code)
{
    struct xeno_json *j;
    xeno_auto(xeno_json) usage = NULL;

    if (!cli->json)
        return;
    j = xeno_json_object();
    xeno_json_set_str(j, "session", m->session->session);
    xeno_json_set_str(j, "server", m->server->id);
    xeno_json_set_str(j, "task", task);
    xeno_json_set_str(j, "order", m->terms->order);
    if (code >= 0)
        xeno_json_set_int(j, "exit", code);
    if (cli_server_get(cli, &m->session->server, &usage, NULL, "/v1/sessions/%s/usage",
                       m->session->session) == 0)
        xeno_json_set(j, "usage", xeno_take(&usage));
    xeno_json_set(j, "object", xeno_json_ref(m->session->object));
    cli_json(j);
}

static int detached(struct cli *cli, struct cli_making *m, const char *task)
{
    print_ports(cli, m->session);
    cli_say(cli, "%s", m->session->session);
    print_result(cli, m, task, -1);
    return CLI_OK;
}

static int see_through(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                       const char *task, struct xeno_err *err)
{
    struct cli_follow how = { .terminal = cli_flag(args, "terminal"),
                              .follow = true,
                              .forward = true,
                              .tail = -1,
                              .to_stderr = cli->json };
    int code, r;

    print_ports(cli, m->session);
    r = cli_task_follow(cli, m->session, task, &how, &code, err);
    if (r == 0 && code == CLI_STREAM_DETACHED) {
        cli_note(cli, "left it running: xeno session attach %s; end it: xeno session end %s",
                 m->session->session, m->session->session);
        return CLI_OK;
    }
    if (!cli_flag(args, "keep"))
        cli_make_end(cli, m);
    if (r < 0)
        return r;
    print_result(cli, m, task, code);
    if (code == CLI_STREAM_LOST)
        return xeno_fail(err, -ECANCELED, "session.ended",
                         "session %s stopped under the command: %s", m->session->session,
                         cli_str(&(struct xeno_json_at){ .j = m->session->object }, "reason"));
    return code;
}

static int run_run(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct cli_making m = { .hold = NULL };
    xeno_auto(xeno_task_doc) doc = NULL;
    xeno_autofree char *task = NULL;
    int r;

    if (cli_flag(args, "dry-run"))
        return cli_make_dry(cli, args);
    r = cli_task_doc(args, args->words, args->word_count, &doc, err);
    if (r == 0 && cli_value(args, "replicas"))
        return cli_service_run(cli, args, xeno_take(&doc), err);
    if (r == 0)
        r = start(cli, args, doc, &m, &task, err);
    if (r < 0)
        cli_make_give_up(cli, &m);
    else if (cli_flag(args, "detach"))
        r = detached(cli, &m, task);
    else
        r = see_through(cli, args, &m, task, err);
    cli_making_release(&m);
    return r;
}

/* --- deploy --- */

static const struct cli_option deploy_options[] = {
    { "server", 's', "SERVER",
      "where the session is (default: all you know are searched); with --on: choose of these", true,
      CLI_OFFER_SERVER },
    { "file", 'f', "FILE", "deploy this task document instead of a command", false,
      CLI_OFFER_FILE },
    { "follow", 0, NULL, "show its output until it is over; exit as it does", false, 0 },
    CLI_TASK_OPTIONS,
    { "on", 0, "N", "deploy a service document on so many XenoServers at once", false, 0 },
    { "at-least", 0, "M", "with --on: so many are enough (default: all or nothing)", false, 0 },
    { "share", 0, NULL, "with --on: several replicas may be at one XenoServer", false, 0 },
    { "limit", 0, "CREDITS", "with --on: spend at most this in all, on all of them", false, 0 },
    { "wait", 0, "TIME", "with --on: for a TCP port to answer (default 10s; 0: do not)", false, 0 },
    CLI_DISCOVER_OPTIONS,
    { NULL },
};

static int deploy_doc(const struct cli_args *args, struct xeno_task_doc **ret, struct xeno_err *err)
{
    const char *path = cli_value(args, "file");
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    if (!path)
        return cli_task_doc(args, args->words + 1, args->word_count - 1, ret, err);
    if (args->word_count > 1)
        return cli_usage(err, "give --file or a command, not both");
    r = xeno_file_read(AT_FDCWD, path, XENO_TASK_DOC_MAX_BYTES, &text, &len, err);
    if (r < 0)
        return r;
    xeno_spec_init();
    r = xeno_task_doc_parse(text, len, ret, err);
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static void print_task(struct cli *cli, const struct cli_found *f, const char *task, int code)
{
    struct xeno_json *j;

    if (!cli->json)
        return;
    j = xeno_json_object();
    xeno_json_set_str(j, "session", f->session);
    xeno_json_set_str(j, "server", f->server.id);
    xeno_json_set_str(j, "task", task);
    if (code >= 0)
        xeno_json_set_int(j, "exit", code);
    cli_json(j);
}

static int run_deploy(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_task_doc) doc = NULL;
    xeno_auto(cli_found) f = NULL;
    xeno_autofree char *task = NULL;
    struct cli_follow how = { .terminal = cli_flag(args, "terminal"),
                              .follow = true,
                              .forward = true,
                              .tail = -1,
                              .to_stderr = cli->json };
    int code = -1, r;

    if (cli_service_meant(args))
        return cli_service_deploy(cli, args, err);
    if (cli_value(args, "at-least") || cli_flag(args, "share") || cli_value(args, "limit") ||
        cli_value(args, "wait"))
        return cli_usage(err, "--at-least, --share, --limit and --wait go with --on");
    if (cli_discover_meant(args))
        return cli_usage(err, "a session has its XenoServer; what says where goes with --on");
    r = deploy_doc(args, &doc, err);
    if (r == 0)
        r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &f, err);
    if (r == 0)
        r = cli_task_deploy(cli, f, doc, &task, err);
    if (r == 0)
        r = cli_task_wait_start(cli, f, task, NULL, err);
    if (r < 0)
        return r;
    if (!cli_flag(args, "follow") && !how.terminal) {
        cli_say(cli, "%s", task);
        print_task(cli, f, task, -1);
        return CLI_OK;
    }
    r = cli_task_follow(cli, f, task, &how, &code, err);
    if (r < 0)
        return r;
    print_task(cli, f, task, code);
    return code >= 0 ? code : CLI_OK;
}

const struct cli_command cli_run_commands[] = {
    { .name = "run",
      .usage = "[--] COMMAND [ARGUMENT]...",
      .summary = "run a command in a new session and pay for what it used",
      .about =
          "Reserves what is asked for at a XenoServer, finds an order that may pay (or makes one),\n"
          "starts the session and the command, shows its output, and ends the session when the "
          "command\nis over. The exit status is the command's. The first SIGINT or SIGTERM goes to "
          "the command;\na second one ends the session. Before the command runs, the first one "
          "undoes what was\nbegun: no session stays, and no money set aside. When the XenoServer's "
          "daemon restarts,\nthe output goes on where it was.\n\nWith --json the command's output goes to "
          "standard error, and what it cost to standard\noutput.\n\nTEMPLATE and OVERLAY are names "
          "of images at the XenoServer, signed names\n(template://PUBLISHER/NAME/VERSION, "
          "overlay://...) or oci://HOST/REPO[:TAG] at any registry:\nwhat the XenoServer has not it "
          "fetches, as it is read.",
      .examples = "xeno run -- echo hello\n"
                  "# a shell\n"
                  "xeno run -t --template debian -- bash\n"
                  "# a web server that goes on; its page is an overlay; the host chooses the port\n"
                  "xeno run -d --name web --template debian-apache --overlay page -p 80 -- \\\n"
                  "    apachectl -DFOREGROUND\n"
                  "# what somebody published, on a XenoServer that has never seen it\n"
                  "xeno run --template template://debian/12/current -- cat /etc/debian_version\n"
                  "# would it work, and what would it cost?\n"
                  "xeno run --dry-run --cpu 500 --memory 1G --lifetime 2h -- true\n"
                  "# never more than a tenth of a credit\n"
                  "xeno run --max-total 0.1 -- make -C /src",
      .options = run_options,
      .max_words = -1,
      .tail = 1,
      .runs = true,
      .run = run_run },
    { .name = "deploy",
      .usage = "SESSION|SERVICE.xml [--] [COMMAND [ARGUMENT]...]",
      .summary = "run a further command in a session, or a service on many",
      .about =
          "In a session the command is a task of its own.\n\n"
          "With --on, or of one FILE.xml alone, the document (schemas/service.xsd) says what each\n"
          "replica needs, its tasks, and values that differ. It is checked whole, then held at N\n"
          "XenoServers: those of --server, in that order; else those that your RD finds (xeno find),"
          "\nand then those that you know; who refuses is replaced by the next.\nOnly then is money set aside, for each at its XenoServer alone, and all sessions "
          "are made\nat once: all or nothing, unless --at-least. Arguments\nand environment may contain ${replica}, ${replicas}, ${server}, ${address}, "
          "${port} and\nthe document's Parameters; $${ is ${. They run until they are ended; an\ninterrupt before the timeline undoes all.",
      .examples = "xeno deploy web -- sh -c 'while sleep 60; do date; done'\n"
                  "xeno deploy --follow web -- apachectl configtest\n"
                  "xeno deploy web --file task.xml\n"
                  "# the same service at three XenoServers, for two credits together\n"
                  "xeno deploy service.xml --on 3 --limit 2\n"
                  "# at five, if three at least can have it\n"
                  "xeno deploy service.xml --on 5 --at-least 3 --json | jq -r '.replicas[].at'",
      .options = deploy_options,
      .min_words = 1,
      .max_words = -1,
      .tail = 2,
      .runs = true,
      .offer = CLI_OFFER_SESSION,
      .run = run_deploy },
    { NULL },
};
