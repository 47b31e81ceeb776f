/* src/cowfs/nfs-conn.c - one connection: records in and out. */
#include "cowfs/nfs-conn.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cowfs/nfs.h"

#define IN_BYTES 65536
#define MARK     4 /* bytes before each fragment: its length, and a bit on the last */
#define LAST     UINT32_C(0x80000000)

struct nfs_conn *nfs_conn_new(int fd, const char *client, xeno_time now)
{
    struct nfs_conn *c = xeno_new0(struct nfs_conn);

    c->fd = fd;
    strncpy(c->client, client, sizeof c->client - 1);
    c->in = xeno_alloc0(1, IN_BYTES);
    c->refs = 1;
    c->progress = now;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void nfs_conn_free(struct nfs_conn *c)
{
    close(c->fd);
    free(c->in);
    xeno_buf_release(&c->record);
    xeno_buf_release(&c->out);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* --- in --- */

static ssize_t receive(struct nfs_conn *c, void *buf, size_t size, xeno_time now)
{
    ssize_t n;

    do
        n = recv(c->fd, buf, size, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -ECONNRESET;
    if (n == 0)
        return -ECONNRESET;
    c->progress = now;
    return n;
}

static size_t buffered(const struct nfs_conn *c)
{
    return c->in_len - c->in_at;
}

/* Some more into the buffer. Returns: as receive(). */
static ssize_t fill(struct nfs_conn *c, xeno_time now)
{
    ssize_t n;

    if (c->in_at > 0) {
        memmove(c->in, c->in + c->in_at, buffered(c));
        c->in_len -= c->in_at;
        c->in_at = 0;
    }
    n = receive(c, c->in + c->in_len, IN_BYTES - c->in_len, now);
    if (n > 0)
        c->in_len += (size_t)n;
    return n;
}

static int begin_fragment(struct nfs_conn *c)
{
    uint32_t mark;

    memcpy(&mark, c->in + c->in_at, MARK);
    mark = be32toh(mark);
    c->in_at += MARK;
    c->last = mark & LAST;
    c->fragment = mark & ~LAST;
    c->reading = true;
    if (++c->fragments > XENO_NFS_FRAGMENTS_MAX ||
        c->fragment > XENO_NFS_RECORD_MAX - c->record.len)
        return -EBADMSG;
    return 0;
}

static ssize_t take_bytes(struct nfs_conn *c, xeno_time now)
{
    size_t have = buffered(c) < c->fragment ? buffered(c) : c->fragment;
    ssize_t n;

    if (have > 0) {
        xeno_buf_add(&c->record, c->in + c->in_at, have);
        c->in_at += have;
        c->fragment -= have;
        return (ssize_t)have;
    }
    if (c->fragment < IN_BYTES)
        return fill(c, now);
    /* What is large goes straight to where it is wanted. */
    if (c->record.room < c->record.len + c->fragment + 1) {
        c->record.room = c->record.len + c->fragment + 1;
        c->record.data = xeno_grow(c->record.data, c->record.room);
    }
    n = receive(c, c->record.data + c->record.len, c->fragment, now);
    if (n > 0) {
        c->record.len += (size_t)n;
        c->fragment -= (size_t)n;
    }
    return n;
}

int nfs_conn_read(struct nfs_conn *c, xeno_time now)
{
    for (;;) {
        ssize_t n;

        if (c->reading && c->fragment == 0 && c->last) {
            c->reading = false;
            c->fragments = 0;
            return 1;
        }
        if (c->fragment > 0) {
            n = take_bytes(c, now);
        } else if (buffered(c) < MARK) {
            n = fill(c, now);
        } else {
            int r = begin_fragment(c);

            if (r < 0)
                return r;
            continue;
        }
        if (n <= 0)
            return (int)n;
    }
}

bool nfs_conn_more(const struct nfs_conn *c)
{
    return buffered(c) >= MARK; /* less was looked at, and waits for the rest */
}

/* --- out --- */

static void queue(struct nfs_conn *c, const struct iovec *iov, size_t sent)
{
    for (int i = 0; i < 2; i++) {
        size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;

        xeno_buf_add(&c->out, (const char *)iov[i].iov_base + skip, iov[i].iov_len - skip);
        sent -= skip;
    }
}

bool nfs_conn_send(struct nfs_conn *c, const char *data, size_t len)
{
    uint32_t mark = htobe32((uint32_t)len | LAST);
    struct iovec iov[2] = { { &mark, MARK }, { (char *)(uintptr_t)data, len } };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
    ssize_t n = 0;
    bool left;

    pthread_mutex_lock(&c->lock);
    if (!c->broken && c->out.len == 0)
        n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        c->broken = true;
    if (!c->broken && (size_t)(n < 0 ? 0 : n) < MARK + len)
        queue(c, iov, n < 0 ? 0 : (size_t)n);
    left = c->broken || c->out.len > 0;
    pthread_mutex_unlock(&c->lock);
    return left;
}

ssize_t nfs_conn_flush(struct nfs_conn *c, xeno_time now)
{
    ssize_t n, left;

    pthread_mutex_lock(&c->lock);
    while (!c->broken && c->out.len > 0) {
        n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            c->broken = true;
            break;
        }
        xeno_buf_shift(&c->out, (size_t)n);
        c->progress = now;
    }
    left = c->broken ? -1 : (ssize_t)c->out.len;
    pthread_mutex_unlock(&c->lock);
    return left;
}

size_t nfs_conn_queued(struct nfs_conn *c)
{
    size_t n;

    pthread_mutex_lock(&c->lock);
    n = c->out.len;
    pthread_mutex_unlock(&c->lock);
    return n;
}
