/* src/cli/fetching.c - how far the image of a session is that its XenoServer has to fetch. */
#include "cli/fetching.h"

#include <inttypes.h>
#include <string.h>

#include "cli/out.h"

struct cli_fetching cli_fetching_of(const struct xeno_json *object)
{
    struct xeno_json_at top = xeno_json_top(object), im = cli_obj(&top, "image");
    struct cli_fetching f = { .state = "", .way = "", .why = "" };

    if (!im.j)
        return f;
    f.state = cli_str(&im, "state");
    f.way = cli_str(&im, "way");
    f.why = cli_str(&im, "error");
    f.layers = cli_int(&im, "layers", 0);
    f.bytes = cli_int(&im, "bytes", 0);
    f.fetched_bytes = cli_int(&im, "fetched_bytes", 0);
    f.needed_bytes = cli_int(&im, "needed_bytes", 0);
    f.elsewhere = *f.state && strcmp(f.state, "here") != 0;
    return f;
}

void cli_fetching_show(struct cli_progress *p, const struct xeno_json *object)
{
    struct cli_fetching f = cli_fetching_of(object);

    if (!p || !f.elsewhere || strcmp(f.state, "ready") == 0)
        return;
    cli_progress_say(p, "fetching the image");
    cli_progress_bytes(p, f.fetched_bytes, f.needed_bytes);
}

struct cli_patience cli_patience_for(struct cli *cli, xeno_time length)
{
    xeno_time now = xeno_mono(cli->env);

    return (struct cli_patience){ .end = xeno_time_add(now, length),
                                  .last = xeno_time_add(now, xeno_s(CLI_PATIENCE_MAX_S)),
                                  .length = length };
}

bool cli_patience_over(struct cli_patience *w, struct cli *cli, const struct xeno_json *object)
{
    struct cli_fetching f = cli_fetching_of(object);
    xeno_time now = xeno_mono(cli->env);

    if (f.fetched_bytes != w->fetched_bytes) {
        w->fetched_bytes = f.fetched_bytes;
        w->end = xeno_time_add(now, w->length);
    }
    return now.ns > w->end.ns || now.ns > w->last.ns;
}

char *cli_fetching_text(const struct xeno_json *object)
{
    struct cli_fetching f = cli_fetching_of(object);
    char all[32], have[32];

    if (!*f.state)
        return NULL;
    xeno_size_text(f.bytes, all);
    if (!f.elsewhere)
        return xeno_asprintf("%s in %" PRId64 " layers, on the XenoServer", all, f.layers);
    return xeno_asprintf("%s in %" PRId64 " layers, %s%s%s; %s came over the network%s%s", all,
                         f.layers, cli_clean(f.state), *f.way ? ", by " : "",
                         strcmp(f.way, "whole") == 0 ? "whole layers" : cli_clean(f.way),
                         xeno_size_text(f.fetched_bytes, have), *f.why ? "; " : "",
                         cli_clean(f.why));
}
