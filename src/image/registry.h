/* src/image/registry.h - the client's side of the OCI distribution API (distribution-spec v1.1).
 *
 * One struct is one repository of one registry: its connections, and the right to read or write it.
 * Nothing a registry says is believed: manifests and whole blobs are checked by digest here
 * (image/pull.h) before they get a name; of a piece that is read by itself the caller checks the
 * digest (image/chunked.h), since only the table of contents knows it.
 *
 * The transport is the caller's: whose certificates are believed, which credential is shown and
 * whether plain HTTP is allowed was decided when the http client was made. Tokens are asked for as
 * distribution's "token" specification says (realm, service, scope), with the password given here
 * or none; a client whose certificate is enough is never asked for one.
 *
 * Bounds: `parallel` requests at a time, others wait; a manifest has XENO_MANIFEST_MAX_BYTES, a
 * token 16 KiB, an index may lie in an index three deep; a transfer that breaks is resumed where it
 * broke while it gets on, and 429 and 503 are waited for as Retry-After asks (http/client.h).
 *
 * Context: the thread of the loop, one struct for each thread that wants one. The forms with a
 * callback never call it before they return; the others run the loop until all is there, so they
 * are never called from a callback of it. A registry is not freed in a callback of its own.
 *
 * Errors of all that ask:
 *     -ENOENT oci.unknown    the registry has no such repository, manifest or blob
 *     -EACCES oci.denied     it wants a password, or another one
 *     -EBADMSG image.corrupt      what came has not the digest or the size that was asked for
 *     -EPROTO oci.answer     an answer that the specification does not know
 *     oci.status             another refusal; the registry's own words are in the text
 *     http.*                      no answer (http/client.h): http.connect, http.tls, http.pace, ...
 */
#ifndef XENO_IMAGE_REGISTRY_H
#define XENO_IMAGE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/manifest.h"
#include "image/toc.h"
#include "image/unpack.h"

struct sd_event;
struct xeno_http_client;
struct xeno_registry;
struct xeno_registry_job; /* a transfer under way */

/* --- names --- */

#define XENO_REGISTRY_REPO_MAX 255
#define XENO_REGISTRY_TAG_MAX  128
#define XENO_REGISTRY_HOST_MAX 261 /* "HOST:PORT" */

/* "oci://HOST[:PORT]/REPO[:TAG][@DIGEST]". Without tag and digest the tag is "latest"; of both the
 * digest counts. */
struct xeno_registry_name {
    char host[XENO_REGISTRY_HOST_MAX + 1]; /* with its port, when one was given */
    char repo[XENO_REGISTRY_REPO_MAX + 1];
    char tag[XENO_REGISTRY_TAG_MAX + 1]; /* "": named by digest */
    char digest[XENO_DIGEST_TEXT];       /* "": named by tag */
};
#define XENO_REGISTRY_SCHEME "oci://"

/* Errors: -EINVAL oci.name, which says what is wrong with it. */
int xeno_registry_name_parse(const char *text, struct xeno_registry_name *ret,
                             struct xeno_err *err);
/* "REPO[:TAG][@DIGEST]" of a registry that is known; host is left as it is. */
int xeno_registry_name_within(const char *text, struct xeno_registry_name *ret,
                              struct xeno_err *err);
/* The name as text, with its scheme; the caller's. */
char *xeno_registry_name_format(const struct xeno_registry_name *n);
bool xeno_registry_repo_ok(const char *repo);
bool xeno_registry_host_ok(const char *host); /* "HOST[:PORT]" */

/* The password that `file`, an auth.json of containers-auth.json(5), has for a repository, as
 * base64 of "user:password"; the longest entry that fits wins. file NULL: $REGISTRY_AUTH_FILE, else
 * the first there is of $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json and
 * ~/.docker/config.json. Credential helpers are not asked.
 *
 * Returns: 0, and *ret NULL when there is none; else the caller's, to be wiped.
 * Errors:  -EINVAL oci.auth, json.*: the file is none; -ENOENT io.read: `file` is not there.
 */
int xeno_registry_password(const char *file, const char *host, const char *repo, char **ret,
                           struct xeno_err *err);

/* --- a repository --- */

struct xeno_registry_opts {
    struct sd_event *loop;         /* this, http and env are borrowed until it is freed */
    struct xeno_http_client *http; /* calls under way end with the registry */
    const struct xeno_env *env;
    const char *base;      /* "https://HOST[:PORT]", "http://..." or "unix:/SOCK:" */
    const char *repo;      /* as xeno_registry_repo_ok() */
    const char *server_id; /* the party it must be; NULL: http/client.h says who it may be */
    const char *password;  /* base64 of "user:password"; NULL: none */
    const char *from;      /* writing: a repository there that may have blobs already; NULL: none */
    bool write;
    unsigned parallel; /* transfers at a time; 0: 4 */
    unsigned pace_s;   /* http/client.h; 0: its default */
    unsigned wait_s;   /* for an answer without a large body; 0: 60 */
};

/* Nothing is asked yet. Errors: -EINVAL oci.name. */
int xeno_registry_new(const struct xeno_registry_opts *opts, struct xeno_registry **ret,
                      struct xeno_err *err);
void xeno_registry_free(struct xeno_registry *r); /* jobs are dropped without a word */
XENO_DEFINE_AUTO(xeno_registry, xeno_registry_free);

/* Bytes that came and went, answers without bodies not counted, and requests made. */
struct xeno_registry_count {
    int64_t in_bytes, out_bytes, requests;
};
const struct xeno_registry_count *xeno_registry_counted(const struct xeno_registry *r);

/* --- reading --- */

/* The manifest that `ref` (a tag or a digest) stands for, as it is written there; of an index the
 * one for linux/`arch` (NULL: this machine). The text is the caller's; its digest is checked
 * against `ref`, against the index and against what the registry says itself.
 * Errors: -EINVAL image.arch, image.index (nested too deep); those of xeno_index_parse(). */
int xeno_registry_manifest(struct xeno_registry *r, const char *ref, const char *arch,
                           char **ret_text, size_t *ret_len, char ret_digest[XENO_DIGEST_TEXT],
                           struct xeno_err *err);

/* A part of a blob, in one request, handed on as it comes. */
struct xeno_registry_fetch {
    const char *digest;  /* copied */
    int64_t offset, len; /* len above zero, but for a whole blob */
    int64_t blob_bytes;  /* of the whole blob, when that is what is asked for; else 0 */
    /* The next bytes; < 0 with err ends the job with that error. */
    int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err);
    /* Once, unless cancelled: err NULL when exactly len bytes went to the sink. */
    void (*done)(const struct xeno_err *err, void *arg);
    void *arg;
};
/* Queue a job; it is gone once `done` was called.
 * Errors, besides those above: -EOPNOTSUPP oci.range: the registry answers with the whole
 * blob where a part was asked for. */
struct xeno_registry_job *xeno_registry_fetch(struct xeno_registry *r,
                                              const struct xeno_registry_fetch *f);
void xeno_registry_cancel(struct xeno_registry_job *job); /* `done` is not called */

/* Bytes [offset, offset + len) of a blob into `out`. Not verified. */
int xeno_registry_read(struct xeno_registry *r, const char *digest, int64_t offset, size_t len,
                       void *out, struct xeno_err *err);

/* All of a small blob of `len` bytes; of a registry without ranges too. Not verified. */
int xeno_registry_read_all(struct xeno_registry *r, const char *digest, size_t len, void *out,
                           struct xeno_err *err);

/* Several parts of a blob, in parallel; at the first error the rest is cancelled. */
struct xeno_registry_part {
    int64_t offset;
    size_t len;
    void *out;
};
int xeno_registry_read_parts(struct xeno_registry *r, const char *digest,
                             const struct xeno_registry_part *parts, size_t count,
                             struct xeno_err *err);

#endif
