/* src/task/frame.h - frames with descriptors over a non-blocking unix stream socket.
 *
 * A frame is a u32 length (big endian, 1 to XENO_TASK_FRAME_MAX), then that many bytes; up to
 * XENO_TASK_FDS_MAX descriptors ride on its first byte. Reading takes exactly one header, then
 * exactly one body, so descriptors can never be taken for those of another frame. What is queued
 * for a slow reader is bounded: past XENO_TASK_QUEUE_MAX the connection is at its end.
 * Context: one thread. Owns the socket and every descriptor that was not handed out.
 */
#ifndef XENO_TASK_FRAME_H
#define XENO_TASK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "task/proto.h"

#define XENO_TASK_QUEUE_MAX (4 * 1024 * 1024)

struct xeno_task_frames;

/* Takes fd, which becomes non-blocking and close-on-exec. */
struct xeno_task_frames *xeno_task_frames_new(int fd);
void xeno_task_frames_free(struct xeno_task_frames *f);
XENO_DEFINE_AUTO(xeno_task_frames, xeno_task_frames_free);

int xeno_task_frames_fd(const struct xeno_task_frames *f);       /* to poll; borrowed */
bool xeno_task_frames_pending(const struct xeno_task_frames *f); /* poll for writing, too */

/* Read at most one frame.
 *
 * Returns: 1 and a frame: *ret_text is the caller's, ends in a zero byte that is not counted; fds
 *          are the caller's, close-on-exec. 0: nothing yet. -ECONNRESET task.closed: the other side
 *          is gone (between frames or not). -EPROTO task.frame: nonsense.
 */
int xeno_task_frames_read(struct xeno_task_frames *f, char **ret_text, size_t *ret_len,
                          int fds[XENO_TASK_FDS_MAX], size_t *ret_nfds, struct xeno_err *err);

/* Queue one frame and send what can be sent now. Takes the descriptors, also on failure.
 * Errors: -EMSGSIZE task.size (nothing is queued), -ENOBUFS task.slow, -EPIPE task.closed. */
int xeno_task_frames_write(struct xeno_task_frames *f, const char *text, size_t len, const int *fds,
                           size_t nfds, struct xeno_err *err);

/* Send what is queued, as far as it goes. Errors: -EPIPE task.closed. */
int xeno_task_frames_flush(struct xeno_task_frames *f, struct xeno_err *err);

#endif
