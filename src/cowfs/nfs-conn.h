/* src/cowfs/nfs-conn.h - one connection: records in and out (RFC 5531, 11), bounded in all ways.
 *
 * One thread at a time holds a connection and reads from it; answers are sent by whoever has made
 * one.
 */
#ifndef XENO_COWFS_NFS_CONN_H
#define XENO_COWFS_NFS_CONN_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/units.h"

#define NFS_CONN_OUT_MAX (4 << 20) /* bytes of answers that it has not taken; then it waits */

struct nfs_conn {
    int fd;
    char client[INET6_ADDRSTRLEN];
    /* the holder's: */
    uint8_t *in; /* what was received and not looked at yet */
    size_t in_at, in_len;
    size_t fragment; /* bytes of it that are to come */
    unsigned fragments;
    bool last, reading; /* reading: a record has begun */
    struct xeno_buf record;
    xeno_time progress; /* when a byte last went either way */
    /* the server's lock: */
    unsigned refs;
    bool held, again; /* again: something happened while it was held */
    uint64_t id;      /* what epoll knows it by */
    /* its own lock: */
    pthread_mutex_t lock;
    struct xeno_buf out; /* with marks */
    bool broken;
};

/* Takes: fd, which does not block. */
struct nfs_conn *nfs_conn_new(int fd, const char *client, xeno_time now);
void nfs_conn_free(struct nfs_conn *c);

/* What comes next. Returns: 1 with a whole record in c->record, to be taken; 0 when more has to
 * come first; an error when it has ended (-ECONNRESET) or said what nobody may (-EBADMSG). */
int nfs_conn_read(struct nfs_conn *c, xeno_time now);
/* Is there something of another record in memory, of which the socket does not tell? To be asked
 * after nfs_conn_read(). */
bool nfs_conn_more(const struct nfs_conn *c);
/* An answer; queued where it cannot be sent at once. Returns: true when something is left. */
bool nfs_conn_send(struct nfs_conn *c, const char *data, size_t len);
/* Go on with what is queued. Returns: bytes left, or -1 when the connection is broken. */
ssize_t nfs_conn_flush(struct nfs_conn *c, xeno_time now);
size_t nfs_conn_queued(struct nfs_conn *c);

#endif
