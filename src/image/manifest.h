/* src/image/manifest.h - the documents of an OCI image: index, manifest, config (image-spec v1).
 *
 * Pure: text in, structs out, and back. Every list and string is bounded; an unknown member is
 * passed over, as the specification asks, since other tools write their own annotations.
 */
#ifndef XENO_IMAGE_MANIFEST_H
#define XENO_IMAGE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "crypto/key.h"
#include "json/json.h"

#define XENO_MANIFEST_MAX_BYTES (4 << 20) /* index, manifest or config: what the spec advises */
#define XENO_LAYERS_MAX         128       /* in one image; overlayfs itself stops at 500 */
#define XENO_INDEX_MAX          4096      /* manifests in one index */
#define XENO_IMAGE_NAME_MAX     128       /* longest name, without the zero */
#define XENO_CONFIG_WORDS_MAX   256       /* words of Cmd, Entrypoint or Env */
#define XENO_BLOB_MAX           INT64_C(0x4000000000) /* 256 GiB: largest size a descriptor may say */

#define XENO_MT_INDEX      "application/vnd.oci.image.index.v1+json"
#define XENO_MT_MANIFEST   "application/vnd.oci.image.manifest.v1+json"
#define XENO_MT_CONFIG     "application/vnd.oci.image.config.v1+json"
#define XENO_MT_LAYER      "application/vnd.oci.image.layer.v1.tar"
#define XENO_MT_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define XENO_MT_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"

enum xeno_compression { XENO_COMPRESS_NONE, XENO_COMPRESS_GZIP, XENO_COMPRESS_ZSTD };

/* What an image is for. An image of another tool says nothing and can be used as either. */
enum xeno_image_kind { XENO_IMAGE_ANY, XENO_IMAGE_TEMPLATE, XENO_IMAGE_OVERLAY };
const char *xeno_image_kind_name(enum xeno_image_kind kind); /* "image", "template", "overlay" */

/* Media type and compression of a layer; also the names Docker gave them.
 * -EINVAL image.media for a type that is no layer. */
int xeno_layer_compression(const char *media_type, enum xeno_compression *ret,
                           struct xeno_err *err);
const char *xeno_layer_media_type(enum xeno_compression c);

/* A pointer to a blob. */
struct xeno_descriptor {
    char digest[XENO_DIGEST_TEXT];
    int64_t size_bytes;
    char media_type[96];
    char name[XENO_IMAGE_NAME_MAX + 1]; /* annotation org.opencontainers.image.ref.name; "" */
    char arch[32];                      /* platform.architecture; "" when not said */
    char os[32];                        /* platform.os; "" */
    struct xeno_json *raw; /* in an index: as read, so that what other tools wrote is kept */
};

/* Where in a layer its table of contents is (image/chunked.h). */
struct xeno_toc_place {
    int64_t offset, bytes; /* in the blob; bytes 0: the layer has no table */
    int64_t raw_bytes;     /* of the table, uncompressed */
    uint8_t sha[32];       /* of the bytes in the blob */
};

struct xeno_layer {
    char digest[XENO_DIGEST_TEXT];  /* of the blob as it is stored: names it everywhere */
    char diff_id[XENO_DIGEST_TEXT]; /* of the tar inside; "" only before the config is read */
    int64_t size_bytes;             /* of the blob */
    enum xeno_compression compression;
    bool mounts; /* it is said to hold mount files (image/mount-file.h); false: nothing is said */
    struct xeno_toc_place toc;
};

/* index.json, or an index inside it. */
struct xeno_index {
    size_t count;
    struct xeno_descriptor *items;
    struct xeno_json *raw; /* as read: other members are kept */
};
struct xeno_index *xeno_index_new(void);
void xeno_index_free(struct xeno_index *ix);
XENO_DEFINE_AUTO(xeno_index, xeno_index_free);
int xeno_index_parse(const char *text, size_t len, struct xeno_index **ret, struct xeno_err *err);
char *xeno_index_format(const struct xeno_index *ix, size_t *ret_len);
/* Copies `d`. */
void xeno_index_add(struct xeno_index *ix, const struct xeno_descriptor *d);
void xeno_index_del(struct xeno_index *ix, size_t i);
/* Change the name of an item; "" takes it away. */
void xeno_index_rename(struct xeno_index *ix, size_t i, const char *name);

/* An image: its manifest, and its config once that is read. */
struct xeno_image {
    char digest[XENO_DIGEST_TEXT]; /* of the manifest; "" for a stack of several */
    enum xeno_image_kind kind;
    struct xeno_descriptor config;
    size_t layer_count;
    struct xeno_layer *layers;   /* bottom first */
    int64_t size_bytes;          /* of all layers as stored */
    char base[XENO_DIGEST_TEXT]; /* overlay: the template it was made over; "" when not said */
    char *over; /* of a session's files: digests of the layers it ran over, bottom first; NULL */

    char arch[32], os[32];
    char created[40]; /* RFC 3339, as the config has it; "" */
    char **env;       /* "K=V", NULL-terminated; never NULL once the config is read */
    char **argv;      /* Entrypoint and Cmd together, NULL-terminated; never NULL */
    char *cwd;        /* WorkingDir; "/" when not said */
    char *user;       /* User; "" when not said */
};
struct xeno_image *xeno_image_new(void); /* no layers, empty words, cwd "/" */
void xeno_image_free(struct xeno_image *im);
XENO_DEFINE_AUTO(xeno_image, xeno_image_free);

/* Errors: -EINVAL image.manifest, image.media, image.digest, image.layers, and json.*. */
int xeno_manifest_parse(const char *text, size_t len, struct xeno_image **ret,
                        struct xeno_err *err);
/* Fill the rest of `im` from its config; on failure im is unusable but can be freed.
 * Errors: -EINVAL image.config, image.layers (diff_ids and layers do not match one to one). */
int xeno_config_parse(struct xeno_image *im, const char *text, size_t len, struct xeno_err *err);

/* Text of the manifest and of the config that `im` describes; the same image gives the same bytes.
 * `kind`, `base` and `over` go into annotations of the manifest. */
char *xeno_manifest_format(const struct xeno_image *im, size_t *ret_len);
char *xeno_config_format(const struct xeno_image *im, size_t *ret_len);

void xeno_image_add_layer(struct xeno_image *im, const struct xeno_layer *layer);

/* Lists of words: NULL-terminated, each word and the list on the heap. */
char **xeno_words_dup(const char *const *words); /* NULL: the empty list */
void xeno_words_free(char **words);
size_t xeno_words_count(char *const *words);
/* Set variable of `word` ("K=V") in the list, replacing an older value; returns the list. */
char **xeno_env_set(char **env, const char *word);

/* Is `name` a name an image may have: the grammar of the spec's ref.name, at most
 * XENO_IMAGE_NAME_MAX letters, and not a digest. */
_Bool xeno_image_name_ok(const char *name);

#endif
