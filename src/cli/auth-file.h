/* src/cli/auth-file.h - passwords for registries, where podman and skopeo look for them.
 *
 * The file of containers-auth.json(5): {"auths":{"HOST:PORT":{"auth":BASE64}}}. What else is in it
 * is left as it is. Pure.
 */
#ifndef XENO_CLI_AUTH_FILE_H
#define XENO_CLI_AUTH_FILE_H

#include "base/err.h"

#define CLI_AUTH_FILE_MAX (1 << 20)

/* The text of the file with a password for `host` in it. old NULL: there is no file yet.
 *
 * Returns: 0, and the new text, the caller's, to be wiped.
 * Errors: json.*: the old one is no such file. */
int cli_auth_put(const char *old, const char *host, const char *user, const char *password,
                 char **ret, struct xeno_err *err);

/* The name of the file: $REGISTRY_AUTH_FILE, else $XDG_RUNTIME_DIR/containers/auth.json, else
 * ~/.config/containers/auth.json. The caller's. */
char *cli_auth_file(void);

#endif
