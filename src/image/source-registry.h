/* src/image/source-registry.h - a repository of a registry as a source of bytes.
 *
 * Threads that read have a connection each, opened when it is first needed and kept; so there are
 * as many as threads that ever waited at a time, and the registry is asked for each piece by its
 * range. Trust is as for any registry: TLS by the CAs of this machine or of a file, plain HTTP on
 * the loopback only, and a password as podman keeps it. A XenoStore of our own XenoCorp is shown
 * our credential instead. What comes is not believed anyhow.
 */
#ifndef XENO_IMAGE_SOURCE_REGISTRY_H
#define XENO_IMAGE_SOURCE_REGISTRY_H

#include "http/client.h"
#include "image/registry.h"
#include "image/source.h"

/* Who we are to a XenoStore; borrowed for the call. */
struct xeno_source_party {
    const char *ca_pem, *cert_pem;
    const struct xeno_key *key; /* borrowed until the source is freed */
};

struct xeno_source_registry_opts {
    const struct xeno_env *env;
    const struct xeno_registry_name *name; /* host and repo; copied */
    const char *ca_file;                   /* NULL: the machine's CAs */
    bool plain;                            /* "http://", to an address of the loopback */
    const char *auth_file;                 /* xeno_registry_password() */
    bool anonymous;                        /* no password is looked for */
    unsigned pace_s, wait_s;               /* image/registry.h; 0: its defaults */
    /* NULL: any registry; else the three above do not count. */
    const struct xeno_source_party *party;
    /* Which addresses may be connected to: http/client.h. */
    int (*guard)(void *arg, const struct xeno_http_peer *p, struct xeno_err *err);
    void *guard_arg;
};

/* Nothing is asked yet. Errors: those of xeno_registry_password(). */
int xeno_source_registry(const struct xeno_source_registry_opts *opts, struct xeno_source **ret,
                         struct xeno_err *err);

/* xeno_registry_manifest() by a connection of this source. */
int xeno_source_registry_manifest(struct xeno_source *s, const char *ref, char **ret_text,
                                  size_t *ret_len, char ret_digest[XENO_DIGEST_TEXT],
                                  struct xeno_err *err);

/* Whatever else image/registry.h can, by a connection of this source: fn blocks as it likes, and
 * returns what this does. */
int xeno_source_registry_do(struct xeno_source *s,
                            int (*fn)(struct xeno_registry *r, void *arg, struct xeno_err *err),
                            void *arg, struct xeno_err *err);

#endif
