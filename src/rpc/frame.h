/* src/rpc/frame.h - frames with descriptors over a non-blocking unix stream socket.
 *
 * A frame is a u32 length (big endian, 1 to frame_max), then that many bytes; up to
 * XENO_FRAME_FDS_MAX descriptors ride on its first byte. Reading takes exactly one header, then
 * exactly one body, so descriptors can never be taken for those of another frame. Where a protocol
 * says so, bytes that are no frame follow one. What is queued for a slow reader is bounded: past
 * queue_max the connection is at its end.
 * Context: one thread. Owns the socket and every descriptor that was not handed out.
 * Errors have the protocol's name before the dot: NAME.closed.
 */
#ifndef XENO_RPC_FRAME_H
#define XENO_RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_FRAME_FDS_MAX 4

struct xeno_frames;

/* A protocol that uses frames. */
struct xeno_frames_kind {
    const char *name; /* "task"; static */
    size_t frame_max, queue_max;
};

/* xeno_fail() with the token NAME.`what`. */
int xeno_frames_fail(const struct xeno_frames_kind *kind, int code, const char *what,
                     struct xeno_err *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Takes fd, which becomes non-blocking and close-on-exec. kind: copied. */
struct xeno_frames *xeno_frames_new(int fd, const struct xeno_frames_kind *kind);
void xeno_frames_free(struct xeno_frames *f);
XENO_DEFINE_AUTO(xeno_frames, xeno_frames_free);

int xeno_frames_fd(const struct xeno_frames *f);        /* to poll; borrowed */
bool xeno_frames_pending(const struct xeno_frames *f);  /* poll for writing, too */
size_t xeno_frames_queued(const struct xeno_frames *f); /* bytes that wait to be sent */

/* Read at most one frame.
 *
 * Returns: 1 and a frame: *ret_text is the caller's, ends in a zero byte that is not counted; fds
 *          are the caller's, close-on-exec. 0: nothing yet. -ECONNRESET NAME.closed: the other side
 *          is gone (between frames or not). -EPROTO NAME.frame: nonsense.
 */
int xeno_frames_read(struct xeno_frames *f, char **ret_text, size_t *ret_len,
                     int fds[XENO_FRAME_FDS_MAX], size_t *ret_nfds, struct xeno_err *err);

/* Between frames: read up to `len` bytes that are none. Returns: how many, 0: nothing yet, and the
 * failures above. */
int xeno_frames_read_bytes(struct xeno_frames *f, void *buf, size_t len, struct xeno_err *err);

/* Queue one frame and send what can be sent now. Takes the descriptors, also on failure.
 * Errors: -EMSGSIZE NAME.size (nothing is queued), -ENOBUFS NAME.slow, -EPIPE NAME.closed. */
int xeno_frames_write(struct xeno_frames *f, const char *text, size_t len, const int *fds,
                      size_t nfds, struct xeno_err *err);

/* Queue bytes behind the last frame, whatever waits already: their number is the caller's to bound.
 * Takes `data`, from malloc(). Errors: -EPIPE NAME.closed. */
int xeno_frames_write_bytes(struct xeno_frames *f, char *data, size_t len, struct xeno_err *err);

/* Send what is queued, as far as it goes. Errors: -EPIPE NAME.closed. */
int xeno_frames_flush(struct xeno_frames *f, struct xeno_err *err);

#endif
