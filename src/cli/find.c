/* src/cli/find.c - which session, on which XenoServer? */
#include "cli/find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "cli/api.h"
#include "cli/out.h"

void cli_found_free(struct cli_found *f)
{
    if (!f)
        return;
    free(f->server.name);
    free(f->server.id);
    free(f->server.url);
    free(f->session);
    xeno_json_unref(f->object);
    free(f);
}

static struct cli_found *found_new(const struct cli_server *s, const struct xeno_json_at *object)
{
    struct cli_found *f = xeno_new0(struct cli_found);

    f->server.name = xeno_strdup(s->name);
    f->server.id = xeno_strdup(s->id);
    f->server.url = xeno_strdup(s->url);
    f->session = xeno_strdup(cli_str(object, "session"));
    f->object = xeno_json_ref((struct xeno_json *)object->j);
    return f;
}

/* How well an object fits: 4 the id, 3 a live one of that name, 2 the beginning of a live one's id,
 * 1 the same of an ended one; 0 not at all. */
static int fit(const struct xeno_json_at *o, const char *ref)
{
    const char *id = cli_str(o, "session");
    bool live = strcmp(cli_str(o, "state"), "ended") != 0;

    if (strcmp(id, ref) == 0)
        return 4;
    if (strcmp(cli_str(o, "name"), ref) == 0)
        return live ? 3 : 1;
    if (strlen(ref) >= 3 && strncmp(id, ref, strlen(ref)) == 0)
        return live ? 2 : 1;
    return 0;
}

struct search {
    const char *ref;
    struct cli_found *best;
    int fit, equals;      /* of best; how many fit as well */
    struct xeno_err down; /* of the last server that did not answer */
};

static bool newer(const struct xeno_json_at *o, const struct cli_found *than)
{
    struct xeno_json_at top = xeno_json_top(than->object);

    return cli_int(o, "created_ms", 0) > cli_int(&top, "created_ms", 0);
}

static void take(struct search *s, const struct cli_server *server, const struct xeno_json_at *o)
{
    int f = fit(o, s->ref);

    /* What a server calls an id goes into paths and onto terminals: it must be one. */
    if (f == 0 || f < s->fit || !xeno_base32_ok(cli_str(o, "session"), XENO_SESSION_ID_CHARS))
        return;
    /* Of ended ones the last is meant: a name that is used every day is no riddle. */
    if (f == s->fit && !(f == 1 && newer(o, s->best))) {
        s->equals += f != 1;
        return;
    }
    cli_found_free(s->best);
    s->best = found_new(server, o);
    s->fit = f;
    s->equals = 1;
}

static void search_one(struct cli *cli, const struct cli_server *server, struct search *s)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at top, list;
    size_t n;

    /* The whole id: one small question. */
    if (xeno_base32_ok(s->ref, XENO_SESSION_ID_CHARS)) {
        if (cli_server_get(cli, server, &j, &err, "/v1/sessions/%s", s->ref) == 0) {
            top = xeno_json_top(j);
            take(s, server, &top);
        } else if (err.code != -ENOENT)
            s->down = err;
        return;
    }
    if (cli_pages(cli, server, "/v1/sessions", "sessions", &j, &err) < 0) {
        s->down = err;
        return;
    }
    top = xeno_json_top(j);
    list = cli_list(&top, "sessions", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at o = xeno_json_item(&list, i);

        take(s, server, &o);
    }
}

int cli_find_session(struct cli *cli, const char *server, const char *ref, struct cli_found **ret,
                     struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    const struct cli_server *only = NULL;
    struct search s = { .ref = ref };
    int r = cli_servers_load(cli, &all, err);

    if (r == 0 && (server || all->count == 0))
        r = cli_servers_pick(all, server, &only, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < all->count && s.fit < 4; i++)
        if (!only || only == &all->items[i])
            search_one(cli, &all->items[i], &s);
    if (!s.best && s.down.code < 0)
        return xeno_fail(err, s.down.code, s.down.token, "%s", s.down.text);
    if (!s.best)
        return xeno_fail(err, -ENOENT, "session.unknown", "there is no session '%s' at %s", ref,
                         only ? only->name : "the XenoServers you know");
    if (s.equals > 1) {
        cli_found_free(s.best);
        return xeno_fail(err, -EINVAL, "session.which", "%d sessions are called '%s'", s.equals,
                         ref);
    }
    *ret = s.best;
    return 0;
}

int cli_found_refresh(struct cli *cli, struct cli_found *f, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    int r = cli_server_get(cli, &f->server, &j, err, "/v1/sessions/%s", f->session);

    if (r < 0)
        return r;
    xeno_json_unref(f->object);
    f->object = xeno_take(&j);
    return 0;
}
