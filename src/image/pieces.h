/* src/image/pieces.h - pieces of files, kept on this host for whoever reads them next (RFC 8).
 *
 *   DIR/pieces/HH/HEX  a piece, uncompressed, named by its SHA-256 whatever layer it came with
 *   DIR/work/HEX       the same while it is fetched, locked by who fetches it: litter after a crash
 *   DIR/users/NAME     digests of what a mount has read, in order; locked as long as the mount
 * lives DIR/records/NAME   the same of an earlier mount: what to fetch ahead at the next start
 *   DIR/used           bytes in use, in memory that all processes share;  DIR/lock: who evicts
 *
 * A piece appears by one rename when its bytes have the digest, and is checked against it again
 * each time a process opens it: so nothing is synced, and what a crash or a bad disk spoilt is
 * removed and fetched again (docs/decisions). A reader keeps some pieces open; one that is evicted
 * meanwhile stays readable for it, and its room is free when it is closed.
 *
 * The bound holds for the pieces of all processes together, in blocks of 4 KiB, but for those being
 * written at the moment. When it is passed, a tenth of it is evicted: pieces that nobody read in a
 * second mount first, as long as they are more than a tenth of all; then what was not read for
 * longest; what a living mount has read (its pins) last. A piece larger than the bound is read
 * without being kept.
 *
 * Each piece is fetched once at a time, over all threads and processes: who comes second waits and
 * shares what came of it. Only a process that stands still (it may be stopped) is waited for no
 * longer than ten seconds. DIR is mode 0700 and its caller's.
 *
 * Context: any number of threads, but for open and free. Errors: cache.io for what fails in DIR.
 */
#ifndef XENO_IMAGE_PIECES_H
#define XENO_IMAGE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct xeno_pieces;

/* DIR is made when missing. max_bytes: above zero. Fast: fit for a program's start. */
int xeno_pieces_open(const char *path, int64_t max_bytes, struct xeno_pieces **ret,
                     struct xeno_err *err);
void xeno_pieces_free(struct xeno_pieces *p);
XENO_DEFINE_AUTO(xeno_pieces, xeno_pieces_free);

/* --- reading --- */

struct xeno_piece {
    const uint8_t *sha; /* 32 bytes */
    int64_t size_bytes; /* above zero */
    /* Called when it is nowhere here: gives all of it in `out`, or fails. It is checked after. */
    int (*fetch)(void *arg, void *out, struct xeno_err *err);
    void *arg;
};

/* `len` bytes from `offset` of the piece, which has them.
 * Returns: 0; 1 when it had to be fetched. Errors: those of fetch; -EBADMSG image.corrupt: what
 * fetch gave is not the piece. */
int xeno_pieces_read(struct xeno_pieces *p, const struct xeno_piece *piece, int64_t offset,
                     void *buf, size_t len, struct xeno_err *err);

/* See that it is there. behind: behind all reads, which means that it waits as long as a reader of
 * this process looks for a piece. Returns and errors: as xeno_pieces_read(). */
int xeno_pieces_ahead(struct xeno_pieces *p, const struct xeno_piece *piece, bool behind,
                      struct xeno_err *err);

struct xeno_pieces_count { /* of this struct, since it was opened */
    uint64_t opened, fetched, spoilt, unkept, evicted;
    uint64_t fetched_bytes, evicted_bytes;
    int64_t used_bytes; /* now, by all processes */
};
void xeno_pieces_counts(struct xeno_pieces *p, struct xeno_pieces_count *ret);

/* --- who uses what --- */

#define XENO_PIECES_NAME_MAX   128   /* letters, digits, '.', '_', '-' */
#define XENO_PIECES_RECORD_MAX 16384 /* digests in a record */

struct xeno_pieces_user;

/* A mount. name: of no other that lives. Errors: -EEXIST cache.user: one does. */
int xeno_pieces_user_open(struct xeno_pieces *p, const char *name, struct xeno_pieces_user **ret,
                          struct xeno_err *err);
/* It reads this piece for the first time; fetched: it came to the cache by that. The caller knows
 * what was told already. What cannot be noted is not pinned, and that is all. */
void xeno_pieces_used(struct xeno_pieces_user *u, const uint8_t sha[32], bool fetched);
/* What was read so far becomes the record `name`, unless that is nothing; replaces an older one. */
int xeno_pieces_record(struct xeno_pieces_user *u, const char *name, struct xeno_err *err);
void xeno_pieces_user_free(struct xeno_pieces_user *u); /* the pins are gone */
XENO_DEFINE_AUTO(xeno_pieces_user, xeno_pieces_user_free);

/* A record: *ret_count digests of 32 bytes in order of first use, the caller's. One that is not
 * sound is as good as none. Errors: -ENOENT cache.record. */
int xeno_pieces_recorded(struct xeno_pieces *p, const char *name, uint8_t **ret, size_t *ret_count,
                         struct xeno_err *err);

#endif
