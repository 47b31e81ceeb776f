/* src/cli/platform-store.c - the XenoStore node of a platform. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/platform.h"
#include "cli/remote.h"
#include "cli/words.h"

static void xstored_words(struct cli_words *w, const struct platform *p,
                          const struct cli_args *args)
{
    cli_word(w, "--dir=%s/store", p->dir);
    cli_word(w, "--listen=127.0.0.1:%d", p->store.port);
    cli_word(w, "--corp-url=https://127.0.0.1:%d", p->corp_port);
    cli_word(w, "--hosts=127.0.0.1,localhost");
    cli_word(w, "--endpoint=https://127.0.0.1:%d", p->store.port);
    cli_word(w, "--name=store");
    cli_word(w, "--owner=xeno platform up");
    cli_words_set(w, args, "store-set");
}

static int enrol(struct cli *cli, struct platform *p, const struct cli_args *args,
                 struct platform_spawn *spawn, struct xeno_err *err)
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
    xstored_words(&w, p, args);
    cli_word(&w, "--enrol");
    cli_word(&w, "%s", token);
    spawn->argv = (const char *const *)w.list;
    r = platform_run(spawn, &id, err);
    if (r == 0 && !xeno_id_ok(id))
        r = xeno_fail(err, -EIO, "platform.start", "xstored --enrol printed '%.64s', not an id",
                      id);
    if (r == 0)
        memcpy(p->store.id, id, sizeof p->store.id);
    return r;
}

int platform_bring_store(struct cli *cli, struct platform *p, const struct cli_args *args,
                         struct xeno_err *err)
{
    xeno_autofree char *dir = platform_path(p, "store");
    xeno_autofree char *log = platform_path(p, "log/store.log");
    struct platform_spawn spawn = { .program = "xstored", .uid = p->store.uid, .log = log };
    cli_autowords w = { .count = 0 };
    int r;

    if (platform_alive(&p->store.xstored))
        return 0;
    p->store.port = platform_port(p->store.port);
    r = platform_folder(dir, 0700, p->store.uid, err);
    if (r == 0 && !p->store.id[0])
        r = enrol(cli, p, args, &spawn, err);
    if (r == 0) {
        xstored_words(&w, p, args);
        spawn.argv = (const char *const *)w.list;
        r = platform_start(cli, p, &spawn, &p->store.xstored, err);
    }
    if (r == 0)
        r = platform_save(p, err);
    return r < 0 ? xeno_context(err, r, "the XenoStore") : 0;
}

int platform_use_store(struct cli *client, const struct platform *p, struct xeno_err *err)
{
    char host[32];

    if (!p->store.port)
        return 0;
    snprintf(host, sizeof host, "127.0.0.1:%d", p->store.port);
    return cli_remote_default(client, host, p->store.id, err);
}
