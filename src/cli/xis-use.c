/* src/cli/xis-use.c - which information services we ask. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/out.h"
#include "cli/xis-verbs.h"

#define FILE_NAME "xis.json"
#define FILE_MAX  (16 * 1024)
#define URL_MAX   200

void cli_xis_release(struct cli_xis *x)
{
    while (x->count > 0)
        free(x->urls[--x->count]);
}

/* "https://HOST:PORT", without what may stand behind it. */
static int add(struct cli_xis *x, const char *url, size_t len, struct xeno_err *err)
{
    size_t scheme = strlen("https://");

    while (len > 0 && url[len - 1] == '/')
        len--;
    if (len <= scheme || len > URL_MAX || strncmp(url, "https://", scheme) != 0 ||
        memchr(url + scheme, '/', len - scheme))
        return xeno_fail(err, -EINVAL, "usage", "'%.*s' is not https://HOST:PORT",
                         (int)(len < URL_MAX ? len : URL_MAX), url);
    if (x->count == CLI_XIS_MAX)
        return xeno_fail(err, -EINVAL, "usage", "at most %d information services", CLI_XIS_MAX);
    x->urls[x->count++] = xeno_strndup(url, len);
    return 0;
}

static int add_list(struct cli_xis *x, const char *list, struct xeno_err *err)
{
    int r = 0;

    for (list += strspn(list, ", "); *list && r == 0; list += strspn(list, ", ")) {
        size_t len = strcspn(list, ", ");

        r = add(x, list, len, err);
        list += len;
    }
    return r;
}

static int load(const struct cli *cli, struct cli_xis *x, struct xeno_err *err)
{
    xeno_autofree char *folder = cli_profile_path(cli);
    xeno_autofree char *path = xeno_asprintf("%s/" FILE_NAME, folder);
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    struct xeno_err why = XENO_ERR_INIT;
    size_t len, count = 0;
    int r = xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, &why);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    r = xeno_json_parse(text, len, FILE_MAX, &j, err);
    if (r == 0) {
        top = xeno_json_top(j);
        r = xeno_json_arr(&top, "urls", CLI_XIS_MAX, &list, &count, err);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *url;

        r = xeno_json_item_str(&list, i, 1, URL_MAX, &url, err);
        if (r == 0)
            r = add(x, url, strlen(url), err);
    }
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static struct xeno_json *urls_json(const struct cli_xis *x)
{
    struct xeno_json *j = xeno_json_object(), *list = xeno_json_array();

    for (size_t i = 0; i < x->count; i++)
        xeno_json_append_str(list, x->urls[i]);
    xeno_json_set(j, "urls", list);
    return j;
}

static int save(const struct cli *cli, const struct cli_xis *x, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = urls_json(x);

    return cli_profile_put(cli, FILE_NAME, j, err);
}

int cli_xis_pick(const struct cli *cli, const struct cli_args *args, struct cli_xis *ret,
                 struct xeno_err *err)
{
    const char *said = args ? cli_value(args, "xis") : NULL, *env = getenv("XENO_XIS");
    int r;

    if (!said && env && *env)
        said = env;
    r = said ? add_list(ret, said, err) : load(cli, ret, err);
    if (r == 0 && ret->count == 0)
        r = xeno_fail(err, -ENOENT, "xis.none", "you have no information service");
    return r;
}

/* One that was kept of a platform that is gone is at the same place as the next one's. */
int cli_xis_default(const struct cli *cli, const char *url, struct xeno_err *err)
{
    cli_autoxis x = { .count = 0 };
    int r = load(cli, &x, err);

    if (r < 0 || x.count > 0)
        return r;
    r = add(&x, url, strlen(url), err);
    return r < 0 ? r : save(cli, &x, err);
}

int cli_xis_ask(struct cli *cli, const struct cli_args *args, const char *method, const char *path,
                const char *text, const char *type, struct xeno_json **ret, struct xeno_err *err)
{
    cli_autoxis x = { .count = 0 };
    int r = cli_profile_need(cli, err);

    if (r == 0)
        r = cli_xis_pick(cli, args, &x, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < x.count; i++) {
        struct cli_ask ask = { .method = method,
                               .base = x.urls[i],
                               .path = path,
                               .text = text,
                               .type = text && !type ? "application/json" : type };
        struct xeno_err why = XENO_ERR_INIT;

        r = cli_ask(cli, &ask, ret, &why);
        if (r >= 0)
            return r;
        if (err)
            *err = why;
        if (cli_exit_of(&why) != CLI_UNREACHABLE)
            break;
    }
    return r;
}

int cli_run_xis_use(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    cli_autoxis x = { .count = 0 };
    int r = 0;

    for (int i = 0; i < args->word_count && r == 0; i++)
        r = add_list(&x, args->words[i], err);
    if (r == 0)
        r = args->word_count > 0 ? save(cli, &x, err) : cli_xis_pick(cli, NULL, &x, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(urls_json(&x));
    for (size_t i = 0; i < x.count; i++)
        cli_say(cli, "%s", cli_clean(x.urls[i]));
    return CLI_OK;
}
