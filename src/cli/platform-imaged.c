/* src/cli/platform-imaged.c - the image manager beside each XenoServer of a platform. */
#include <string.h>

#include "cli/platform.h"
#include "cli/words.h"

#define TERM_S 15

#define REGISTRIES "registries="

/* The platform's store is on this machine, as is all of it, and so at an address that is not
 * public: it is listed, before what the user lists. */
static void list_word(struct cli_words *w, const struct platform *p, const struct cli_args *args)
{
    xeno_autofree char *list = xeno_strdup("");
    const char *const *set;
    size_t n;

    if (p->nodes[PLATFORM_STORE].port) {
        free(list);
        list = xeno_asprintf("127.0.0.1:%d,localhost:%d", p->nodes[PLATFORM_STORE].port,
                             p->nodes[PLATFORM_STORE].port);
    }
    set = cli_values(args, "imaged-set", &n);
    for (size_t i = 0; i < n; i++) {
        char *more;

        if (strncmp(set[i], REGISTRIES, strlen(REGISTRIES)) != 0)
            continue;
        more = xeno_asprintf("%s%s%s", list, *list ? "," : "", set[i] + strlen(REGISTRIES));
        free(list);
        list = more;
    }
    cli_word(w, "--" REGISTRIES "%s", list);
}

static void imaged_words(struct cli_words *w, const struct platform *p,
                         const struct platform_server *s, const struct cli_args *args)
{
    cli_word(w, "--dir=%s/%s-imaged", p->dir, s->name);
    cli_word(w, "--socket=%s/%s-imaged/socket", p->dir, s->name);
    cli_word(w, "--identity=%s/%s", p->dir, s->name);
    cli_words_set(w, args, "imaged-set");
    list_word(w, p, args); /* last, so that it wins */
}

int platform_bring_imaged(struct cli *cli, const struct platform *p, struct platform_server *s,
                          const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree char *dir = platform_path(p, "%s-imaged", s->name);
    xeno_autofree char *log = platform_path(p, "log/%s-imaged.log", s->name);
    struct platform_spawn spawn = { .program = "xeno-imaged", .uid = s->uid, .log = log };
    cli_autowords w = { .count = 0 };
    int r;

    if (platform_alive(&s->imaged)) {
        if (s->store_port == p->nodes[PLATFORM_STORE].port)
            return 0;
        platform_stop(cli, &s->imaged, xeno_s(TERM_S)); /* it was told of another store */
    }
    r = platform_folder(dir, 0755, s->uid, err);
    if (r < 0)
        return r;
    imaged_words(&w, p, s, args);
    spawn.argv = (const char *const *)w.list;
    r = platform_start(cli, p, &spawn, &s->imaged, err);
    if (r == 0)
        s->store_port = p->nodes[PLATFORM_STORE].port;
    return r;
}
