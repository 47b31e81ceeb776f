/* src/cli/remote.h - registries: the one that is ours by default, and how each is spoken to.
 *
 * The default store is kept in the profile's folder as store.json: {"host","trust","id","plain"}.
 * Whom to trust is "system" (the CAs of this machine), "corp" (our XenoCorp's CA, to which our
 * credential is shown), or a file of CA certificates. A registry that is not the default store is
 * trusted by the system's CAs unless --trust says otherwise.
 */
#ifndef XENO_CLI_REMOTE_H
#define XENO_CLI_REMOTE_H

#include "cli/args.h"
#include "cli/cli.h"
#include "image/registry.h"

#define REMOTE_TRUST_OPTIONS                                                                       \
    { "trust", 0, "WHOM", "system, corp or a file of CA certificates", false, CLI_OFFER_FILE },    \
    {                                                                                              \
        "insecure-http", 0, NULL, "without TLS; only on this machine", false, 0                    \
    }

#define REMOTE_OPTIONS                                                                             \
    REMOTE_TRUST_OPTIONS, { "auth-file", 0,                                                        \
                            "FILE",      "passwords, as podman login keeps them",                  \
                            false,       CLI_OFFER_FILE },                                         \
        { "parallel", 0, "N", "transfers at a time (default 4)", false, 0 },                       \
    {                                                                                              \
        "patience", 0, "TIME", "wait so long for a registry that stands still (30s)", false, 0     \
    }

struct cli_remote {
    struct xeno_registry_name name;
    struct xeno_http_client *web; /* NULL: the profile's own client is used */
    struct xeno_registry *registry;
};
void cli_remote_free(struct cli_remote *r);
XENO_DEFINE_AUTO(cli_remote, cli_remote_free);

/* Open the repository that `text` names: "oci://...", or what it is called in the default store
 * ("NAME" there is "ID/NAME" of ours, and so is "A/NAME" at a XenoStore unless A is an id). `from`:
 * another repository there, NULL: none. `args` NULL: of a verb without REMOTE_OPTIONS.
 * Errors: -ENOENT store.none: there is no default store; those of xeno_registry_name_parse(). */
int cli_remote_open(struct cli *cli, const struct cli_args *args, const char *text,
                    const char *from, bool write, struct cli_remote **ret, struct xeno_err *err);

/* The store that `text` names as HOST[:PORT]; NULL: the default store. *ret_id is the party it must
 * be, "" when any of the XenoCorp will do. Errors: usage, -ENOENT store.none. */
int cli_remote_host(const struct cli *cli, const char *text, char ret[XENO_REGISTRY_HOST_MAX + 1],
                    char ret_id[XENO_ID_CHARS + 1], struct xeno_err *err);

/* Make a XenoStore of our XenoCorp the default store, unless there is another already. */
int cli_remote_default(const struct cli *cli, const char *host, const char *id,
                       struct xeno_err *err);

#endif
