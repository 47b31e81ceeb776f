/* src/cli/auth-file.c - passwords for registries, where podman and skopeo look for them. */
#include "cli/auth-file.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/base64.h"
#include "json/json.h"

char *cli_auth_file(void)
{
    const char *given = getenv("REGISTRY_AUTH_FILE");
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");

    if (given && *given)
        return xeno_strdup(given);
    if (runtime && *runtime == '/')
        return xeno_asprintf("%s/containers/auth.json", runtime);
    return xeno_asprintf("%s/.config/containers/auth.json", home ? home : "");
}

/* Member `key` of `obj` as an object that may be changed; made when it is not there. Checked. */
static struct xeno_json *object_in(struct xeno_json *obj, const char *key)
{
    struct xeno_json *there = xeno_json_member(obj, key);

    if (!there) {
        there = xeno_json_object();
        xeno_json_set(obj, key, xeno_json_ref(there));
    }
    return there;
}

static int read_old(const char *old, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, auths;
    int r = xeno_json_parse(old, strlen(old), CLI_AUTH_FILE_MAX, &doc, err);

    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_obj_opt(&top, "auths", &auths, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&doc);
    return 0;
}

int cli_auth_put(const char *old, const char *host, const char *user, const char *password,
                 char **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_auto(xeno_json) auths = NULL;
    xeno_autofree char *pair = xeno_asprintf("%s:%s", user, password);
    xeno_autofree char *auth = xeno_base64(pair, strlen(pair));
    struct xeno_json *entry;
    int r = 0;

    if (old)
        r = read_old(old, &doc, err);
    if (r < 0)
        return r;
    if (!doc)
        doc = xeno_json_object();
    auths = object_in(doc, "auths");
    entry = xeno_json_object();
    xeno_json_set_str(entry, "auth", auth);
    xeno_json_set(auths, host, entry);
    *ret = xeno_json_format(doc, true, NULL);
    return 0;
}
