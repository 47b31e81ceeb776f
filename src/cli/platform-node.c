/* src/cli/platform-node.c - what a platform has one of beside XenoCorp and XenoServers: a
 * XenoStore, an information service, an RD system. All of them join and start alike. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/discover.h"
#include "cli/out.h"
#include "cli/platform.h"
#include "cli/remote.h"
#include "cli/words.h"
#include "cli/xis.h"

const struct platform_node_kind platform_node_kinds[PLATFORM_NODES] = {
    [PLATFORM_STORE] = { "store", "xstored", "store-set", "the XenoStore", 1 },
    [PLATFORM_XIS] = { "xis", "xisd", "xis-set", "the information service", 2 },
    [PLATFORM_RD] = { "rd", "xrdd", "rd-set", "the RD system", 3 },
};

char *platform_node_url(const struct platform_node *n)
{
    return xeno_asprintf("https://127.0.0.1:%d", n->port);
}

/* A user of its own each, above those of XenoServers. */
void platform_want_node(struct platform *p, enum platform_node_name name)
{
    const struct platform_node_kind *k = &platform_node_kinds[name];
    struct platform_node *n = &p->nodes[name];

    if (n->port)
        return;
    n->port = p->corp_port > k->below ? p->corp_port - k->below : 1;
    n->uid = platform_user(k->program, 256 - k->below);
}

static void node_words(struct cli_words *w, const struct platform *p,
                       const struct platform_node_kind *k, const struct platform_node *n,
                       const struct cli_args *args)
{
    cli_word(w, "--dir=%s/%s", p->dir, k->name);
    cli_word(w, "--listen=127.0.0.1:%d", n->port);
    cli_word(w, "--corp-url=https://127.0.0.1:%d", p->corp_port);
    cli_word(w, "--hosts=127.0.0.1,localhost");
    cli_word(w, "--endpoint=https://127.0.0.1:%d", n->port);
    cli_word(w, "--name=%s", k->name);
    cli_word(w, "--owner=xeno platform up");
    if (n == &p->nodes[PLATFORM_RD]) {
        cli_word(w, "--xis=https://127.0.0.1:%d", p->nodes[PLATFORM_XIS].port);
        cli_word(w, "--allow=127.0.0.0/8,10.78.0.0/15"); /* where a platform's XenoServers are */
    }
    cli_words_set(w, args, k->set);
}

static int enrol(struct cli *cli, struct platform *p, const struct platform_node_kind *k,
                 struct platform_node *n, const struct cli_args *args, struct platform_spawn *spawn,
                 struct xeno_err *err)
{
    xeno_autofree char *home = NULL;
    xeno_autofree char *token = NULL;
    xeno_autofree char *id = NULL;
    struct cli op = platform_operator(cli, p, &home);
    cli_autowords w = { .count = 0 };
    int r = platform_token(&op, "node", &token, err);

    cli_release(&op);
    if (r < 0)
        return r;
    node_words(&w, p, k, n, args);
    cli_word(&w, "--enrol");
    cli_word(&w, "%s", token);
    spawn->argv = (const char *const *)w.list;
    r = platform_run(spawn, &id, err);
    if (r == 0 && !xeno_id_ok(id))
        r = xeno_fail(err, -EIO, "platform.start", "%s --enrol printed '%.64s', not an id",
                      k->program, id);
    if (r == 0)
        memcpy(n->id, id, sizeof n->id);
    return r;
}

int platform_bring_node(struct cli *cli, struct platform *p, enum platform_node_name name,
                        const struct cli_args *args, struct xeno_err *err)
{
    const struct platform_node_kind *k = &platform_node_kinds[name];
    struct platform_node *n = &p->nodes[name];
    xeno_autofree char *dir = platform_path(p, "%s", k->name);
    xeno_autofree char *log = platform_path(p, "log/%s.log", k->name);
    struct platform_spawn spawn = { .program = k->program, .uid = n->uid, .log = log };
    cli_autowords w = { .count = 0 };
    xeno_autoclose int fd = -1;
    int r;

    if (platform_alive(&n->process))
        return 0;
    r = platform_listen("127.0.0.1", &n->port, &fd, err);
    if (r == 0)
        r = platform_folder(dir, 0700, n->uid, err);
    if (r == 0 && !n->id[0])
        r = enrol(cli, p, k, n, args, &spawn, err);
    if (r == 0) {
        node_words(&w, p, k, n, args);
        spawn.argv = (const char *const *)w.list;
        spawn.listen_fd = fd;
        r = platform_start(cli, p, &spawn, &n->process, err);
    }
    if (r == 0)
        r = platform_save(p, err);
    return r < 0 ? xeno_context(err, r, "%s", k->title) : 0;
}

int platform_use_nodes(struct cli *client, const struct platform *p, struct xeno_err *err)
{
    const struct platform_node *store = &p->nodes[PLATFORM_STORE], *xis = &p->nodes[PLATFORM_XIS];
    const struct platform_node *rd = &p->nodes[PLATFORM_RD];
    xeno_autofree char *url = platform_node_url(xis);
    xeno_autofree char *rd_url = platform_node_url(rd);
    char host[32];
    int r = 0;

    snprintf(host, sizeof host, "127.0.0.1:%d", store->port);
    if (store->port)
        r = cli_remote_default(client, host, store->id, err);
    if (r == 0 && xis->port)
        r = cli_xis_default(client, url, err);
    if (r == 0 && rd->port)
        r = cli_rd_default(client, rd_url, err);
    return r;
}

/* How many XenoServers the RD knows; -1: it does not say. */
static int64_t known_servers(struct cli *cli, const struct platform *p)
{
    xeno_autofree char *url = platform_node_url(&p->nodes[PLATFORM_RD]);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    struct cli_ask ask = {
        .method = "GET", .base = url, .path = "/healthz", .deadline = xeno_s(1)
    };

    if (cli_ask(cli, &ask, &j, NULL) < 0)
        return -1;
    top = xeno_json_top(j);
    return cli_int(&top, "servers", -1);
}

void platform_await_found(struct cli *cli, const struct platform *p, xeno_time limit)
{
    struct cli client = { .env = cli->env, .quiet = true, .home = p->client };
    xeno_time end = xeno_time_add(xeno_mono(cli->env), limit);

    if (p->nodes[PLATFORM_RD].port && cli_profile_need(&client, NULL) == 0)
        while (known_servers(&client, p) < (int64_t)p->count && xeno_mono(cli->env).ns < end.ns)
            cli_wait(&client, xeno_ms(50));
    cli_release(&client);
}
