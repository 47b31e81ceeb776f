/* src/xstored/meta-priv.h - what the files of the metadata share. */
#ifndef XENO_XSTORED_META_PRIV_H
#define XENO_XSTORED_META_PRIV_H

#include "xstored/meta.h"

/* Count `n` more (or fewer) entries of the owner. Errors: -EPERM store.entries. */
int meta_entries(struct xeno_db *db, const char *owner, int64_t n,
                 const struct xstored_limits *limits, struct xstored_refusal *refusal,
                 struct xeno_err *err);
/* One manifest more, or fewer, needs that link. */
int meta_need(struct xeno_db *db, const char *repo, const char *digest, int n, int64_t now_ms,
              struct xeno_err *err);
/* Drop a link that nothing needs. */
int meta_drop_link(struct xeno_db *db, const char *repo, const char *digest, struct xeno_err *err);
/* Let a tag stand for a manifest; what it stood for becomes a head. */
int meta_set_tag(struct xeno_db *db, const char *repo, const char *tag, const char *digest,
                 int64_t now_ms, const struct xstored_limits *limits,
                 struct xstored_refusal *refusal, struct xeno_err *err);
/* The tag goes, or will: what it stands for becomes a head. */
int meta_keep_head(struct xeno_db *db, const char *repo, const char *tag, int64_t now_ms,
                   const struct xstored_limits *limits, struct xstored_refusal *refusal,
                   struct xeno_err *err);
/* Forget that a manifest was one. */
int meta_drop_heads(struct xeno_db *db, const char *repo, const char *digest, struct xeno_err *err);
/* Errors: -ENOENT store.repository. */
int meta_repository(struct xeno_db *db, const char *repo, struct xeno_err *err);

#endif
