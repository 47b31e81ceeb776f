/* src/cli/platform.c - platform status, down, and the table of the family. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/platform.h"
#include "cli/progress.h"
#include "cli/server.h"

#define END_S 60 /* for all sessions to end, and their charges to be posted */

/* --- status --- */

const struct cli_option platform_status_options[] = {
    { "dir", 0, "DIR", "where its state is", false, CLI_OFFER_DIR },
    { NULL },
};

static void status_row(struct cli_table *t, struct xeno_json *list, const char *name,
                       const struct platform_process *proc, const char *url)
{
    bool up = platform_alive(proc);
    struct xeno_json *j = xeno_json_object();
    char pid[16];

    snprintf(pid, sizeof pid, "%d", (int)proc->pid);
    cli_cell_paint(t, name, CLI_BOLD);
    cli_cell_paint(t, up ? "up" : "down", up ? CLI_GREEN : CLI_RED);
    cli_cell(t, up ? pid : NULL);
    cli_cell(t, url);
    xeno_json_set_str(j, "name", name);
    xeno_json_set_bool(j, "up", up);
    if (up)
        xeno_json_set_int(j, "pid", proc->pid);
    xeno_json_set_str(j, "url", url);
    xeno_json_append(list, j);
}

static bool all_rows(const struct platform *p, struct cli_table *t, struct xeno_json *list)
{
    xeno_autofree char *url = platform_corp_url(p);
    bool up = platform_alive(&p->corp);

    status_row(t, list, "xenocorpd", &p->corp, url);
    for (size_t i = 0; i < p->count; i++) {
        const struct platform_server *s = &p->servers[i];
        xeno_autofree char *at = platform_server_url(s);
        xeno_autofree char *xenod = xeno_asprintf("%s xenod", s->name);
        xeno_autofree char *taskd = xeno_asprintf("%s xeno-taskd", s->name);
        xeno_autofree char *imaged = xeno_asprintf("%s xeno-imaged", s->name);

        status_row(t, list, xenod, &s->xenod, at);
        status_row(t, list, taskd, &s->taskd, NULL);
        status_row(t, list, imaged, &s->imaged, NULL);
        up = up && platform_alive(&s->xenod) && platform_alive(&s->taskd) &&
             platform_alive(&s->imaged);
    }
    if (p->emulation.matrix) {
        status_row(t, list, "xeno-emulate", &p->emulation.process, NULL);
        up = up && platform_alive(&p->emulation.process);
    }
    for (size_t i = 0; i < PLATFORM_NODES; i++) {
        const struct platform_node *n = &p->nodes[i];
        xeno_autofree char *at = platform_node_url(n);

        if (!n->port)
            continue;
        status_row(t, list, platform_node_kinds[i].program, &n->process, at);
        up = up && platform_alive(&n->process);
    }
    return up;
}

static struct xeno_json *platform_json(const struct platform *p)
{
    struct xeno_json *j = xeno_json_object(), *servers = xeno_json_array();
    struct xeno_json *corp = xeno_json_object();
    xeno_autofree char *url = platform_corp_url(p);
    xeno_autofree char *home = platform_path(p, "operator");
    xeno_autofree char *images = platform_path(p, "images");

    xeno_json_set_str(j, "dir", p->dir);
    xeno_json_set_str(j, "client", p->client);
    xeno_json_set_str(j, "operator", home);
    xeno_json_set_str(j, "images", images);
    xeno_json_set_str(j, "driver", p->null_driver ? "null" : "oci");
    xeno_json_set_str(corp, "id", p->corp_id);
    xeno_json_set_str(corp, "url", url);
    xeno_json_set(j, "corp", corp);
    for (size_t i = 0; i < p->count; i++) {
        struct xeno_json *s = xeno_json_object();
        xeno_autofree char *at = platform_server_url(&p->servers[i]);

        xeno_json_set_str(s, "name", p->servers[i].name);
        xeno_json_set_str(s, "id", p->servers[i].id);
        xeno_json_set_str(s, "url", at);
        xeno_json_set_str(s, "instance", p->servers[i].instance);
        if (p->emulation.matrix)
            xeno_json_set_int(s, "node", (int64_t)platform_emulate_node(p, &p->servers[i]));
        xeno_json_append(servers, s);
    }
    xeno_json_set(j, "servers", servers);
    if (p->emulation.matrix)
        xeno_json_set(j, "emulation", platform_emulate_json(p));
    for (size_t i = 0; i < PLATFORM_NODES; i++) {
        const struct platform_node *n = &p->nodes[i];
        xeno_autofree char *at = platform_node_url(n);
        struct xeno_json *node = n->port ? xeno_json_object() : NULL;

        if (!node)
            continue;
        xeno_json_set_str(node, "id", n->id);
        xeno_json_set_str(node, "url", at);
        xeno_json_set(j, platform_node_kinds[i].name, node);
    }
    return j;
}

int platform_status(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "PROGRAM", "STATE", "PID", "ADDRESS" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 2);
    xeno_autofree char *dir = platform_dir(args);
    xeno_auto(platform) p = NULL;
    struct xeno_json *list;
    bool up;
    int r = platform_load(dir, &p, err);

    if (r < 0)
        return r;
    list = xeno_json_array();
    up = all_rows(p, &t, list);
    cli_table_print(cli, &t);
    if (cli->json) {
        struct xeno_json *j = platform_json(p);

        xeno_json_set_bool(j, "up", up);
        xeno_json_set(j, "processes", list);
        cli_json(j);
    } else
        xeno_json_unref(list);
    cli_say(cli, "\nstate and logs: %s; client profile: %s", dir, p->client ? p->client : "none");
    if (!up)
        cli_note(cli, "start what is down: xeno platform up --dir %s", dir);
    return up ? CLI_OK : CLI_FAILED;
}

/* --- down --- */

const struct cli_option platform_down_options[] = {
    { "dir", 0, "DIR", "where its state is", false, CLI_OFFER_DIR },
    { "purge", 0, NULL, "remove its state too: ledger, keys, images, the client it made", false,
      0 },
    { NULL },
};

/* Live sessions of a server, told to end. Returns: how many there were; -1 when it did not say. */
static int end_sessions(struct cli *op, const struct cli_server *s)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int live = 0;

    if (cli_pages(op, s, "/v1/sessions", "sessions", &j, NULL) < 0)
        return -1;
    top = xeno_json_top(j);
    list = cli_list(&top, "sessions", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at o = xeno_json_item(&list, i);
        const char *state = cli_str(&o, "state");

        if (strcmp(state, "ended") == 0)
            continue;
        live++;
        if (strcmp(state, "ending") != 0)
            cli_server_post(op, s, xeno_json_object(), NULL, NULL, "/v1/sessions/%s/end",
                            cli_str(&o, "session"));
    }
    return live;
}

/* What the XenoServer has yet to be paid for is in its outbox, which waits for nobody; but a bill
 * that is complete when the platform goes down is a kindness. */
static bool charges_pending(struct cli *op, const struct cli_server *s)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;

    if (cli_pages(op, s, "/v1/sessions", "sessions", &j, NULL) < 0)
        return false;
    top = xeno_json_top(j);
    list = cli_list(&top, "sessions", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at o = xeno_json_item(&list, i), u;
        xeno_auto(xeno_json) usage = NULL;

        if (cli_server_get(op, s, &usage, NULL, "/v1/sessions/%s/usage", cli_str(&o, "session")) <
            0)
            return false;
        u = xeno_json_top(usage);
        if (cli_int(&u, "pending", 0) > 0)
            return true;
    }
    return false;
}

static void end_all(struct cli *cli, const struct platform *p, struct cli_progress *progress)
{
    xeno_autofree char *home = NULL;
    struct cli op = platform_operator(cli, p, &home);
    xeno_time end = xeno_time_add(xeno_mono(cli->env), xeno_s(END_S));

    for (size_t i = 0; i < p->count; i++) {
        xeno_autofree char *url = platform_server_url(&p->servers[i]);
        struct cli_server s = { (char *)p->servers[i].name, (char *)p->servers[i].id, url };
        int live = 1;

        if (!platform_alive(&p->servers[i].xenod))
            continue;
        while (live > 0 && xeno_mono(cli->env).ns < end.ns) {
            live = end_sessions(&op, &s);
            if (live > 0) {
                cli_progress_say(progress, "ending %d session%s at %s", live, live == 1 ? "" : "s",
                                 s.name);
                cli_wait(&op, xeno_ms(200));
            }
        }
        while (live == 0 && platform_alive(&p->corp) && charges_pending(&op, &s) &&
               xeno_mono(cli->env).ns < end.ns)
            cli_wait(&op, xeno_ms(100));
    }
    cli_release(&op);
}

/* One whose task manager had crashed may leave much, which is worth a word. */
static int sweep_server(struct cli *cli, const struct platform *p, const struct platform_server *s,
                        bool crashed, struct xeno_err *err)
{
    xeno_autofree char *said = NULL;
    int r = platform_sweep(p, s, &said, err);

    if (r == 0 && crashed && said)
        cli_note(cli, "%s was not running: %s", s->name, said);
    return r < 0 ? xeno_context(err, r, "XenoServer %s", s->name) : 0;
}

static int stop_all(struct cli *cli, struct platform *p, struct cli_progress *progress,
                    struct xeno_err *err)
{
    int first = 0;

    for (size_t i = 0; i < p->count; i++) {
        struct platform_server *s = &p->servers[i];
        bool ran = platform_alive(&s->taskd);
        int r;

        cli_progress_say(progress, "stopping %s", s->name);
        platform_stop(cli, &s->xenod, xeno_s(PLATFORM_TERM_S));
        platform_stop(cli, &s->taskd, xeno_s(PLATFORM_TERM_S));
        platform_stop(cli, &s->imaged, xeno_s(PLATFORM_TERM_S));
        r = sweep_server(cli, p, s, !ran, first < 0 ? NULL : err);
        if (r == 0)
            platform_claim_drop(p, s->index);
        else if (first == 0)
            first = r;
    }
    for (size_t i = PLATFORM_NODES; i-- > 0;) {
        if (p->nodes[i].port)
            cli_progress_say(progress, "stopping %s", platform_node_kinds[i].title);
        platform_stop(cli, &p->nodes[i].process, xeno_s(PLATFORM_TERM_S));
    }
    platform_stop(cli, &p->emulation.process, xeno_s(PLATFORM_TERM_S));
    cli_progress_say(progress, "stopping the XenoCorp");
    platform_stop(cli, &p->corp, xeno_s(PLATFORM_TERM_S));
    return first;
}

/* Only what is certainly a platform's, and the client only if it was made here. */
static int purge(const struct platform *p, struct xeno_err *err)
{
    xeno_autofree char *own = p->client ? xeno_asprintf("%s/profile.json", p->client) : NULL;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_json_at top;
    size_t len;

    /* A profile of this XenoCorp is worth nothing without it. */
    if (own && xeno_file_read(AT_FDCWD, own, 65536, &text, &len, NULL) == 0 &&
        xeno_json_parse(text, len, 65536, &j, NULL) == 0) {
        top = xeno_json_top(j);
        if (p->corp_id[0] && strcmp(cli_str(&top, "corp_id"), p->corp_id) == 0) {
            static const char *const files[] = {
                "profile.json",   "credential.pem", "ca.pem",          "key.pem",
                "servers.json",   "wallet",         "agreed",          "log-head",
                "log-head.other", "store.json",     "publishers.json", "published",
                "names",          "xis.json",       "rd.json",         "adverts",
            };

            for (size_t i = 0; i < XENO_LEN(files); i++) {
                xeno_autofree char *path = xeno_asprintf("%s/%s", p->client, files[i]);

                xeno_remove_tree(AT_FDCWD, path, NULL);
            }
            rmdir(p->client);
        }
    }
    return xeno_remove_tree(AT_FDCWD, p->dir, err);
}

int platform_down(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree char *dir = platform_dir(args);
    xeno_auto(platform) p = NULL;
    xeno_auto(cli_progress) progress = NULL;
    int r = platform_load(dir, &p, err);

    if (r < 0)
        return r;
    progress = cli_progress_new(cli, "ending sessions");
    end_all(cli, p, progress);
    r = stop_all(cli, p, progress, err);
    cli_progress_free(xeno_take(&progress));
    if (r < 0) { /* something is left: what we know of it must not go */
        platform_save(p, NULL);
        return r;
    }
    r = cli_flag(args, "purge") ? purge(p, err) : platform_save(p, err);
    if (r < 0)
        return r;
    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "dir", dir);
        xeno_json_set_bool(j, "purged", cli_flag(args, "purge"));
        cli_json(j);
    }
    cli_say(cli,
            cli_flag(args, "purge") ? "down, and removed: %s"
                                    : "down; ledger, keys and images stay in %s",
            dir);
    return CLI_OK;
}

const struct cli_command cli_platform_commands[] = {
    { .name = "platform up",
      .usage = "",
      .summary = "start a XenoCorp, XenoServers and a client here",
      .about =
          "Nothing needs to be written: keys, ledger, credentials and a client with credits "
          "are made.\nAgain: starts what does not run, with the same state. As root, sessions "
          "are containers, and\nthe daemons that face the network run as users of their own; "
          "otherwise sessions run nothing\n(the null driver). With --emulate, which needs root, each XenoServer is a node of a table of\n"
          "round trips in milliseconds: it has an address of its own, and packets to it and from it\n"
          "take their time.",
      .examples = "xeno platform up\nxeno platform up --servers 1 --dir /var/tmp/try\n"
                  "xeno platform up --null --server-set charge-interval=1s\n"
                  "# with a XenoStore: then xeno template push\n"
                  "xeno platform up --store\n"
                  "# as far from each other as machines of PlanetLab were\n"
                  "xeno platform up --null --servers 5 --emulate planetlab",
      .options = platform_up_options,
      .run = platform_up },
    { .name = "platform down",
      .usage = "",
      .summary = "end its sessions and stop its daemons; the state stays",
      .about = "Also after a crash: what daemons that were killed have left on this machine "
               "(containers,\nmounts, networks, control groups) is removed.",
      .examples = "xeno platform down\nxeno platform down --purge",
      .options = platform_down_options,
      .run = platform_down },
    { .name = "platform status",
      .usage = "",
      .summary = "show which of its daemons run",
      .examples = "xeno platform status\nxeno platform status --json | jq .up",
      .options = platform_status_options,
      .run = platform_status },
    { NULL },
};
