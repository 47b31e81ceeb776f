/* src/cli/urls.c - a list of services that do the same, and which of them are ours. */
#include "cli/urls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cli/args.h"
#include "cli/profile.h"

#define FILE_MAX (16 * 1024)
#define URL_MAX  200

void cli_urls_release(struct cli_urls *u)
{
    while (u->count > 0)
        free(u->urls[--u->count]);
}

/* "https://HOST:PORT", without what may stand behind it. */
static int add(struct cli_urls *u, const char *url, size_t len, struct xeno_err *err)
{
    size_t scheme = strlen("https://");

    while (len > 0 && url[len - 1] == '/')
        len--;
    if (len <= scheme || len > URL_MAX || strncmp(url, "https://", scheme) != 0)
        return cli_usage(err, "'%.*s' is not https://HOST:PORT",
                         (int)(len < URL_MAX ? len : URL_MAX), url);
    if (u->count == CLI_URLS_MAX)
        return cli_usage(err, "at most %d addresses", CLI_URLS_MAX);
    u->urls[u->count++] = xeno_strndup(url, len);
    return 0;
}

int cli_urls_add(struct cli_urls *u, const char *text, struct xeno_err *err)
{
    int r = 0;

    for (text += strspn(text, ", "); *text && r == 0; text += strspn(text, ", ")) {
        size_t len = strcspn(text, ", ");

        r = add(u, text, len, err);
        text += len;
    }
    return r;
}

int cli_urls_load(const struct cli *cli, const char *file, struct cli_urls *ret,
                  struct xeno_err *err)
{
    xeno_autofree char *folder = cli_profile_path(cli);
    xeno_autofree char *path = xeno_asprintf("%s/%s", folder, file);
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
        r = xeno_json_arr(&top, "urls", CLI_URLS_MAX, &list, &count, err);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *url;

        r = xeno_json_item_str(&list, i, 1, URL_MAX, &url, err);
        if (r == 0)
            r = add(ret, url, strlen(url), err);
    }
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

struct xeno_json *cli_urls_json(const struct cli_urls *u)
{
    struct xeno_json *j = xeno_json_object(), *list = xeno_json_array();

    for (size_t i = 0; i < u->count; i++)
        xeno_json_append_str(list, u->urls[i]);
    xeno_json_set(j, "urls", list);
    return j;
}

int cli_urls_save(const struct cli *cli, const char *file, const struct cli_urls *u,
                  struct xeno_err *err)
{
    xeno_auto(xeno_json) j = cli_urls_json(u);

    return cli_profile_put(cli, file, j, err);
}

int cli_urls_pick(const struct cli *cli, const char *said, const char *variable, const char *file,
                  struct cli_urls *ret, struct xeno_err *err)
{
    const char *env = getenv(variable);

    if (!said && env && *env)
        said = env;
    return said ? cli_urls_add(ret, said, err) : cli_urls_load(cli, file, ret, err);
}

/* One that was kept of a platform that is gone is at the same place as the next one's. */
int cli_urls_default(const struct cli *cli, const char *file, const char *url, struct xeno_err *err)
{
    cli_autourls u = { .count = 0 };
    int r = cli_urls_load(cli, file, &u, err);

    if (r < 0 || u.count > 0)
        return r;
    r = cli_urls_add(&u, url, err);
    return r < 0 ? r : cli_urls_save(cli, file, &u, err);
}
