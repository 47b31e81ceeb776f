/* src/cli/servers.c - the XenoServers the user knows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cli/out.h"
#include "cli/profile.h"

#define SERVERS_BYTES (1 << 20)
#define SERVERS_MAX   1000

static void release(struct cli_server *s)
{
    free(s->name);
    free(s->id);
    free(s->url);
}

void cli_servers_free(struct cli_servers *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        release(&s->items[i]);
    free(s->items);
    free(s);
}

void cli_servers_add(struct cli_servers *s, const char *name, const char *id, const char *url)
{
    struct cli_server add = { xeno_strdup(name), xeno_strdup(id), xeno_strdup(url) };

    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].id, id) == 0 || strcmp(s->items[i].name, name) == 0) {
            release(&s->items[i]);
            s->items[i] = add;
            return;
        }
    s->items = xeno_grow(s->items, s->count + 1);
    s->items[s->count++] = add;
}

int cli_servers_load(struct cli *cli, struct cli_servers **ret, struct xeno_err *err)
{
    xeno_auto(cli_servers) s = xeno_new0(struct cli_servers);
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_json_at top, list;
    size_t len, count = 0;
    int r;

    r = cli_profile_need(cli, err);
    if (r < 0)
        return r;
    r = xeno_file_read(cli->profile->dirfd, "servers.json", SERVERS_BYTES, &text, &len, err);
    if (r == -ENOENT) {
        *ret = xeno_take(&s);
        return 0;
    }
    if (r == 0)
        r = xeno_json_parse(text, len, SERVERS_BYTES, &j, err);
    if (r < 0)
        return xeno_context(err, r, "%s/servers.json", cli->profile->path);
    top = xeno_json_top(j);
    r = xeno_json_arr(&top, "servers", SERVERS_MAX, &list, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        const char *name, *id, *url;

        r = xeno_json_str(&at, "name", 1, 64, &name, err);
        if (r == 0)
            r = xeno_json_str(&at, "id", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
        if (r == 0)
            r = xeno_json_str(&at, "url", 1, 512, &url, err);
        if (r == 0)
            cli_servers_add(s, name, id, url);
    }
    if (r < 0)
        return xeno_context(err, r, "%s/servers.json", cli->profile->path);
    *ret = xeno_take(&s);
    return 0;
}

int cli_servers_save(struct cli *cli, const struct cli_servers *s, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    struct xeno_json *list = xeno_json_array();
    xeno_autofree char *text = NULL;
    size_t len;

    for (size_t i = 0; i < s->count; i++) {
        struct xeno_json *item = xeno_json_object();

        xeno_json_set_str(item, "name", s->items[i].name);
        xeno_json_set_str(item, "id", s->items[i].id);
        xeno_json_set_str(item, "url", s->items[i].url);
        xeno_json_append(list, item);
    }
    xeno_json_set(j, "servers", list);
    text = xeno_json_format(j, true, &len);
    return xeno_file_write(cli->profile->dirfd, "servers.json", 0600, text, len, err);
}

static bool fits(const struct cli_server *s, const char *ref)
{
    return strcmp(s->name, ref) == 0 || strcmp(s->url, ref) == 0 ||
           (strlen(ref) >= 4 && strncmp(s->id, ref, strlen(ref)) == 0);
}

int cli_servers_pick(const struct cli_servers *s, const char *ref, const struct cli_server **ret,
                     struct xeno_err *err)
{
    const struct cli_server *found = NULL;

    if (!ref)
        ref = getenv("XENO_SERVER");
    if (s->count == 0)
        return xeno_fail(err, -ENOENT, "profile.server", "you know no XenoServer yet");
    if (!ref || !*ref) {
        *ret = &s->items[0];
        return 0;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (!fits(&s->items[i], ref))
            continue;
        if (found)
            return xeno_fail(err, -EINVAL, "profile.which", "'%s' is %s and %s", ref, found->name,
                             s->items[i].name);
        found = &s->items[i];
    }
    if (!found)
        return xeno_fail(err, -ENOENT, "profile.server", "you know no XenoServer '%s'", ref);
    *ret = found;
    return 0;
}
