/* src/cli/overlay-history.c - overlay log, restore: what a tag at our XenoStore stood for before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/remote.h"

const struct cli_option cli_overlay_log_options[] = {
    { NULL },
};

const struct cli_option cli_overlay_restore_options[] = {
    { "to", 0, "N", "the number that log shows", false, 0 },
    { NULL },
};

/* What the words of the command line name, and where. */
static int find(struct cli *cli, const char *text, struct xeno_registry_name *ret,
                char ret_id[XENO_ID_CHARS + 1], struct xeno_err *err)
{
    xeno_auto(cli_remote) m = NULL;
    char host[XENO_REGISTRY_HOST_MAX + 1];
    int r = cli_remote_open(cli, NULL, text, NULL, false, &m, err);

    if (r < 0)
        return r;
    *ret = m->name;
    if (m->web)
        return xeno_fail(err, -EINVAL, "store.history",
                         "%s is not a XenoStore of your XenoCorp, and keeps no history for you",
                         m->name.host);
    if (!m->name.tag[0])
        return cli_usage(err, "'%s' is a digest, which never changes: name a tag", text);
    return cli_remote_host(cli, m->name.host, host, ret_id, err);
}

static int ask(struct cli *cli, const char *method, const struct xeno_registry_name *name,
               const char *id, struct xeno_json *body, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_autofree char *base = xeno_asprintf("https://%s", name->host);
    xeno_autofree char *repo = xeno_http_escape(name->repo);
    xeno_autofree char *path =
        body ? xeno_strdup("/v1/history")
             : xeno_asprintf("/v1/history?repository=%s&tag=%s", repo, name->tag);

    return cli_ask(cli,
                   &(struct cli_ask){ .method = method,
                                      .base = base,
                                      .server_id = *id ? id : NULL,
                                      .path = path,
                                      .body = body },
                   ret, err);
}

static bool is_empty(const struct xeno_json_at *top)
{
    size_t n;

    (void)cli_list(top, "heads", &n);
    return n == 0;
}

static void print_heads(const struct cli *cli, const struct xeno_json_at *top)
{
    static const char *const names[] = { "N", "DIGEST", "SIZE", "UNTIL" };
    cli_autotable t = cli_table_new(XENO_LEN(names), names, 0x5);
    const char *now = cli_str(top, "digest");
    size_t n;
    struct xeno_json_at list = cli_list(top, "heads", &n);

    cli_cell(&t, "-");
    cli_cell(&t, *now ? cli_clean(now) : "deleted");
    cli_cell(&t, NULL);
    cli_cell(&t, "now");
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at h = xeno_json_item(&list, i);
        char number[24], size[32];

        snprintf(number, sizeof number, "%" PRId64, cli_int(&h, "n", 0));
        cli_cell(&t, number);
        cli_cell(&t, cli_clean(cli_str(&h, "digest")));
        cli_cell(&t, xeno_size_text(cli_int(&h, "size_bytes", 0), size));
        cli_cell_time(&t, cli_int(&h, "until_ms", 0));
    }
    cli_table_print(cli, &t);
}

int cli_overlay_log(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct xeno_registry_name name;
    char id[XENO_ID_CHARS + 1];
    struct xeno_json *j = NULL;
    struct xeno_json_at top;
    int r = find(cli, args->words[0], &name, id, err);

    if (r == 0)
        r = ask(cli, "GET", &name, id, NULL, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    if (!*cli_str(&top, "digest") && is_empty(&top)) {
        xeno_json_unref(j);
        return xeno_fail(err, -ENOENT, "oci.unknown",
                         "%s has no %s:%s, and keeps nothing that it stood for", name.host,
                         name.repo, name.tag);
    }
    if (cli->json) {
        cli_json(j);
        return CLI_OK;
    }
    print_heads(cli, &top);
    cli_note(cli, "a head is kept for %" PRId64 " days after something else took its place",
             cli_int(&top, "kept_s", 0) / 86400);
    xeno_json_unref(j);
    return CLI_OK;
}

int cli_overlay_restore(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct xeno_registry_name name;
    char id[XENO_ID_CHARS + 1];
    struct xeno_json *j = NULL, *body;
    struct xeno_json_at top;
    int64_t to = 0;
    int r = cli_number(args, "to", 1, INT64_MAX, &to, err);

    if (r == 0 && to == 0)
        return cli_usage(err, "--to N: which one? xeno overlay log %s shows them", args->words[0]);
    if (r == 0)
        r = find(cli, args->words[0], &name, id, err);
    if (r < 0)
        return r;
    body = xeno_json_object();
    xeno_json_set_str(body, "repository", name.repo);
    xeno_json_set_str(body, "tag", name.tag);
    xeno_json_set_int(body, "to", to);
    r = ask(cli, "POST", &name, id, body, &j, err);
    if (r < 0)
        return r;
    if (cli->json) {
        cli_json(j);
        return CLI_OK;
    }
    top = xeno_json_top(j);
    cli_say(cli, "%s:%s is %s again", name.repo, name.tag, cli_clean(cli_str(&top, "digest")));
    xeno_json_unref(j);
    return CLI_OK;
}
