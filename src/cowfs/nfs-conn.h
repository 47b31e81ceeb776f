/* src/cowfs/nfs-conn.h - one connection: records in and out (RFC 5531, 11), bounded in all ways.
 *
 * Reading is the loop's alone; answers are sent by whoever has made one.
 */
#ifndef XENO_COWFS_NFS_CONN_H
#define XENO_COWFS_NFS_CONN_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/units.h"

#define NFS_CONN_BUSY_MAX 32        /* requests of one connection that are under way */
#define NFS_CONN_OUT_MAX  (4 << 20) /* bytes of answers that it has not taken */

struct nfs_conn {
    int fd;
    char client[INET6_ADDRSTRLEN];
    /* the loop's: */
    uint8_t *in; /* what was received and not looked at yet */
    size_t in_at, in_len;
    size_t fragment; /* bytes of it that are to come */
    unsigned fragments;
    bool last, paused, reading; /* reading: a record has begun */
    struct xeno_buf record;
    xeno_time progress; /* when a byte last went either way */
    struct nfs_conn *prev, *next;
    /* the server's lock: */
    unsigned refs, busy;
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
/* An answer; queued where it cannot be sent at once. Returns: true when something is left. */
bool nfs_conn_send(struct nfs_conn *c, const char *data, size_t len);
/* Go on with what is queued. Returns: bytes left, or -1 when the connection is broken. */
ssize_t nfs_conn_flush(struct nfs_conn *c, xeno_time now);
size_t nfs_conn_queued(struct nfs_conn *c);

#endif
