/* src/image/agent-proto.h - the messages between the image manager and those who ask it (rfc/0011).
 *
 * Both sides use this one file. Everything is copied field by field into structs with fixed limits;
 * an unknown member of a request, a missing one and one out of bounds are errors that name it.
 * Pure: no I/O.
 */
#ifndef XENO_IMAGE_AGENT_PROTO_H
#define XENO_IMAGE_AGENT_PROTO_H

#include "image/agent.h"
#include "rpc/frame.h"

#define XENO_AGENT_FRAME_MAX (64 * 1024)
#define XENO_AGENT_KEEP_MAX  512 /* digests of one message */
#define XENO_AGENT_OPEN_MAX  64  /* requests of one connection that wait for their answers */
#define XENO_AGENT_ERROR_MAX 100 /* bytes of an error's text in the answer to progress */

/* Its frames; bytes of reads are queued beside the bound. */
#define XENO_AGENT_FRAMES                                                                          \
    ((struct xeno_frames_kind){ .name = "agent",                                                   \
                                .frame_max = XENO_AGENT_FRAME_MAX,                                 \
                                .queue_max = XENO_AGENT_OPEN_MAX * XENO_AGENT_READ_MAX })

enum xeno_agent_op {
    XENO_AGENT_RESOLVE,  /* name, opt. kind, wait */
    XENO_AGENT_FETCH,    /* layer, opt. wait */
    XENO_AGENT_READ,     /* layer, offset, length, opt. sha, size, wait */
    XENO_AGENT_PROGRESS, /* layers */
    XENO_AGENT_KEEP,     /* images, opt. more */
    XENO_AGENT_STATUS,
    XENO_AGENT_OPS
};

/* One request. A field an op does not use is zero. */
struct xeno_agent_request {
    int64_t id;
    enum xeno_agent_op op;
    char name[XENO_AGENT_NAME_MAX + 1];
    enum xeno_image_kind kind;
    char layer[XENO_DIGEST_TEXT];
    int64_t offset, length;
    bool has_sha; /* then sha and, unless it is 0, size_bytes are as in struct xeno_source_want */
    uint8_t sha[32];
    int64_t size_bytes;
    xeno_time wait;
    size_t count; /* of layers or images */
    char (*digests)[XENO_DIGEST_TEXT];
    bool more;
};
struct xeno_agent_request *xeno_agent_request_new(enum xeno_agent_op op);
void xeno_agent_request_free(struct xeno_agent_request *q);
XENO_DEFINE_AUTO(xeno_agent_request, xeno_agent_request_free);
/* Copies the digests. */
void xeno_agent_request_digests(struct xeno_agent_request *q, const char *const *digests,
                                size_t count);

/* The text of the frame, without its length; the caller's. Within bounds it fits a frame. */
char *xeno_agent_request_format(const struct xeno_agent_request *q, size_t *ret_len);
/* Returns: 0 and a request, the caller's. Errors: -EINVAL or -EFBIG with json.*, agent.op,
 * agent.digest. */
int xeno_agent_request_parse(const char *text, size_t len, struct xeno_agent_request **ret,
                             struct xeno_err *err);

/* --- what stands in `ok` --- */

struct xeno_json *xeno_agent_image_json(const struct xeno_agent_image *im);
int xeno_agent_image_read(const struct xeno_json_at *ok, struct xeno_agent_image **ret,
                          struct xeno_err *err);

struct xeno_json *xeno_agent_fetched_json(const struct xeno_agent_fetched *f);
int xeno_agent_fetched_read(const struct xeno_json_at *ok, struct xeno_agent_fetched *ret,
                            struct xeno_err *err);

struct xeno_json *xeno_agent_progress_json(const struct xeno_agent_progress *items, size_t count);
/* Errors: -EINVAL agent.answer, besides json.*: not `count` of them. */
int xeno_agent_progress_read(const struct xeno_json_at *ok, struct xeno_agent_progress *ret,
                             size_t count, struct xeno_err *err);

#endif
