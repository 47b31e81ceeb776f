/* src/image/pieces-priv.h - the inside of the cache of pieces. */
#ifndef XENO_IMAGE_PIECES_PRIV_H
#define XENO_IMAGE_PIECES_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#include "image/cache-priv.h"
#include "image/pieces.h"

#define SHA          32
#define BLOCK_BYTES  4096
#define RECORD_MAGIC "xenorec1"
#define IDLE_MAX     128         /* descriptors kept open that nobody reads from */
#define IDLE_BYTES   (64 << 20)  /* and the bytes behind them: evicted ones keep their room */
#define LOCK_WAIT_MS 10000       /* for another process */
#define FETCHING_MAX (256 << 20) /* bytes fetched at a time; one piece may be larger */

/* DIR/used, shared by all processes. */
struct shared {
    char magic[8];
    char boot[40]; /* of which boot the number is: after another it may be anything */
    _Atomic int64_t bytes;
};
#define SHARED_UNKNOWN (INT64_MAX / 2) /* more than any bound: counted when it is first needed */

/* A piece that is open. */
struct held {
    uint8_t sha[SHA];
    int fd, refs; /* refs 0: idle, in the list */
    int64_t size_bytes;
    UT_hash_handle hh;
    struct held *prev, *next;
};

/* A piece being fetched, or looked at for the first time. */
struct flight {
    uint8_t sha[SHA];
    int waiting; /* others */
    bool done;
    int result;
    struct xeno_err err;
    UT_hash_handle hh;
};

struct xeno_pieces {
    char *path;
    int dirfd, pieces, work, users, records;
    int64_t max_bytes;
    int lock_wait_ms;
    atomic_uint serial; /* of names in work */
    struct shared *shared;

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t changed;
    struct held *held, *idle; /* idle: longest unused first */
    size_t idle_count;
    int64_t idle_bytes, fetching_bytes;
    struct flight *flights;
    int urgent; /* flights that a reader began */
    struct xeno_pieces_count count;
};

struct xeno_pieces_user {
    struct xeno_pieces *p;
    int fd;
    char name[XENO_PIECES_NAME_MAX + 1];
};

/* "HH/HEX" */
#define PIECE_PATH 70
void piece_path(const uint8_t sha[SHA], char out[PIECE_PATH]);
bool piece_sha(const char *hex, uint8_t sha[SHA]); /* false: no such name */

static inline int64_t piece_room(int64_t size_bytes)
{
    return (size_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

/* xeno_cache_flock() for one alone; -EWOULDBLOCK when another process has it for too long. */
int pieces_lock(struct xeno_pieces *p, int dirfd, const char *name, int *ret_fd,
                struct xeno_err *err);
/* Maps DIR/used. */
int pieces_share(struct xeno_pieces *p, struct xeno_err *err);
/* Room for a piece, evicting others for it. -EFBIG: larger than the bound. */
int pieces_reserve(struct xeno_pieces *p, int64_t size_bytes, struct xeno_err *err);
void pieces_unreserve(struct xeno_pieces *p, int64_t size_bytes);

/* The digests in a record or a user's file; NULL: it is not sound, or empty. Checks nothing else.
 */
uint8_t *pieces_record_parse(const void *data, size_t len, size_t *ret_count);

/* What living mounts have read. */
struct pin {
    uint8_t sha[SHA];
    UT_hash_handle hh;
};
struct pins {
    struct pin *table, *all;
};
void pins_read(struct xeno_pieces *p, struct pins *ret);
void pins_release(struct pins *pins);

#endif
