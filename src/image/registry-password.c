/* src/image/registry-password.c - passwords for registries, from containers-auth.json(5). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "image/registry.h"
#include "json/json.h"

#define FILE_MAX     (1 << 20)
#define ENTRIES_MAX  1024
#define PASSWORD_MAX 8192

/* Does the entry `key` hold for host/repo? Returns how much of it fits, 0: it does not. Docker
 * wrote keys as URLs: "https://HOST/v1/". */
static size_t fits(const char *key, const char *host, const char *repo)
{
    size_t len, host_len = strlen(host);

    if (strncmp(key, "https://", 8) == 0)
        key += 8;
    len = strlen(key);
    while (len > 0 && key[len - 1] == '/')
        len--;
    if (len > 3 && (strncmp(key + len - 3, "/v1", 3) == 0 || strncmp(key + len - 3, "/v2", 3) == 0))
        len -= 3;
    if (len < host_len || strncmp(key, host, host_len) != 0)
        return 0;
    if (len == host_len)
        return len;
    if (key[host_len] != '/' || strncmp(key + host_len + 1, repo, len - host_len - 1) != 0)
        return 0;
    repo += len - host_len - 1;
    return *repo == '\0' || *repo == '/' ? len : 0;
}

static int find(const char *text, size_t size, const char *host, const char *repo, char **ret,
                struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, auths, entry;
    const char *key, *best = NULL, *password = NULL;
    size_t best_len = 0;
    int r = xeno_json_parse(text, size, FILE_MAX, &doc, err);

    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_obj_opt(&top, "auths", &auths, err);
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < ENTRIES_MAX && (key = xeno_json_key(&auths, i)) != NULL; i++) {
        size_t len = fits(key, host, repo);

        if (len > best_len) {
            best_len = len;
            best = key;
        }
    }
    if (!best)
        return 0;
    r = xeno_json_obj(&auths, best, &entry, err);
    if (r >= 0)
        r = xeno_json_str_opt(&entry, "auth", 1, PASSWORD_MAX, &password, err);
    if (r < 0 || !password)
        return r < 0 ? r : 0;
    for (const char *p = password; *p; p++)
        if (*p <= ' ' || *p > '~')
            return xeno_fail(err, -EINVAL, "oci.auth", "the entry '%.80s' has no password", best);
    *ret = xeno_strdup(password);
    return 0;
}

static int read_one(const char *path, const char *host, const char *repo, char **ret,
                    struct xeno_err *err)
{
    char *text = NULL;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, err);

    if (r >= 0) {
        r = find(text, len, host, repo, ret, err);
        xeno_wipe(text, len);
    }
    free(text);
    return r < 0 ? xeno_context(err, r, "'%s'", path) : r;
}

int xeno_registry_password(const char *file, const char *host, const char *repo, char **ret,
                           struct xeno_err *err)
{
    static const struct {
        const char *variable, *below;
    } places[] = {
        { "XDG_RUNTIME_DIR", "containers/auth.json" },
        { "HOME", ".config/containers/auth.json" },
        { "HOME", ".docker/config.json" },
    };
    const char *given = file ? file : getenv("REGISTRY_AUTH_FILE");

    *ret = NULL;
    if (given && *given)
        return read_one(given, host, repo, ret, err);
    for (size_t i = 0; i < XENO_LEN(places) && !*ret; i++) {
        const char *folder = getenv(places[i].variable);
        xeno_autofree char *path =
            xeno_asprintf("%s/%s", folder && *folder ? folder : "/nonexistent", places[i].below);
        int r = access(path, F_OK) == 0 ? read_one(path, host, repo, ret, err) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}
