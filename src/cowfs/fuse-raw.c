/* src/cowfs/fuse-raw.c - the reply to INIT, and flags of requests. */
#include "cowfs/fuse-raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* FUSE_TMPFILE of newer kernel headers: it asks, and is answered, as CREATE. */
#define OPCODE_TMPFILE 51

static __thread bool initial, kills, nameless; /* of the request of this thread */

/* Of the body of a request, as much as there is. */
static void body_of(const struct fuse_buf *request, void *out, size_t size)
{
    size_t head = sizeof(struct fuse_in_header);
    size_t there = request->size > head ? request->size - head : 0;

    memset(out, 0, size);
    memcpy(out, (const char *)request->mem + head, there < size ? there : size);
}

void fuse_raw_look(const struct fuse_buf *request)
{
    struct fuse_in_header head;

    initial = kills = nameless = false;
    if ((request->flags & FUSE_BUF_IS_FD) || request->size < sizeof head)
        return;
    memcpy(&head, request->mem, sizeof head);
    if (head.opcode == FUSE_INIT) {
        struct fuse_init_in in;

        body_of(request, &in, sizeof in);
        initial = (in.flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
    } else if (head.opcode == OPCODE_TMPFILE) {
        nameless = true;
        head.opcode = FUSE_CREATE;
        memcpy(request->mem, &head, sizeof head);
    } else if (head.opcode == FUSE_WRITE) {
        struct fuse_write_in in;

        body_of(request, &in, sizeof in);
        kills = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    } else if (head.opcode == FUSE_SETATTR) {
        struct fuse_setattr_in in;

        body_of(request, &in, sizeof in);
        kills = (in.valid & FATTR_KILL_SUIDGID) != 0;
    }
}

bool fuse_raw_kills(void)
{
    return kills;
}

bool fuse_raw_nameless(void)
{
    return nameless;
}

/* --- libfuse's way to and from the kernel --- */

static ssize_t send(int fd, struct iovec *iov, int count, void *userdata)
{
    struct fuse_init_out out;
    struct iovec ours[2];

    (void)userdata;
    if (!initial || count != 2 || iov[1].iov_len > sizeof out ||
        iov[1].iov_len < offsetof(struct fuse_init_out, flags) + sizeof out.flags)
        return writev(fd, iov, count);
    memcpy(&out, iov[1].iov_base, iov[1].iov_len);
    out.flags |= FUSE_HANDLE_KILLPRIV_V2;
    ours[0] = iov[0];
    ours[1] = (struct iovec){ &out, iov[1].iov_len };
    return writev(fd, ours, 2);
}

static ssize_t receive(int fd, void *buf, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buf, size);
}

static ssize_t send_pipe(int in, off_t *off_in, int out, off_t *off_out, size_t len, unsigned flags,
                         void *userdata)
{
    (void)userdata;
    return splice(in, off_in, out, off_out, len, flags);
}

int fuse_raw_use(struct fuse_session *session)
{
    static const struct fuse_custom_io io = { .writev = send,
                                              .read = receive,
                                              .splice_send = send_pipe };

    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}
