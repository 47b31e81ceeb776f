/* src/cowfs/nfs-serve.c - the port: who may connect, requests to threads, answers back.
 *
 * All threads wait for all connections. Each event goes to one of them, which holds the connection,
 * reads and answers record after record, and gives it back when there is none: so a request costs
 * no way from thread to thread. One that may take long (nfs_may_wait: a sync, a copy to the upper,
 * a read of what is not in memory) gives it back first, and others read on. While all are at work
 * nothing is read: TCP tells the clients. The thread that began it all waits for signals, and for
 * who is slow.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/env.h"
#include "base/log.h"
#include "cowfs/nfs-conn.h"
#include "cowfs/nfs-priv.h"

#define BACKLOG   64
#define TICK_MS   1000
#define IDLE_NS   XENO_NS_PER_S
#define LOG_EVERY XENO_NS_PER_S
#define TURN      64 /* records of one connection, while another may wait for a thread */

struct server {
    struct xeno_nfs *s;
    int epoll, stop, signals; /* stop: can be read when it is time to end */
    pthread_t *threads;
    pthread_mutex_t lock; /* of what follows, and of what nfs-conn.h says */
    struct nfs_conn *conns[XENO_NFS_CONNECTIONS_MAX];
    uint64_t serial;  /* of connections */
    xeno_time logged; /* when somebody was last refused */
    unsigned unlogged;
};

struct worker {
    struct server *v;
    struct nfs_conn *held;       /* NULL: given back */
    struct xeno_buf call, reply; /* kept from one request to the next */
};
static __thread struct worker *self; /* of a thread of ours */

/* --- listening --- */

/* "ADDRESS:PORT", IPv6 in brackets. */
static int parse_where(const char *where, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    const char *colon = strrchr(where, ':');
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    struct sockaddr_in four = { .sin_family = AF_INET };
    xeno_autofree char *host = NULL;
    unsigned long port;
    char *end;

    if (!colon || colon[1] < '0' || colon[1] > '9')
        return -EINVAL;
    port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > 65535)
        return -EINVAL;
    host = xeno_strndup(where, (size_t)(colon - where));
    four.sin_port = six.sin6_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &four.sin_addr) == 1) {
        memcpy(ret, &four, *ret_len = sizeof four);
        return 0;
    }
    if (*host != '[' || host[strlen(host) - 1] != ']')
        return -EINVAL;
    host[strlen(host) - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, &six.sin6_addr) != 1)
        return -EINVAL;
    memcpy(ret, &six, *ret_len = sizeof six);
    return 0;
}

static int port_of(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port
                                         : ((const struct sockaddr_in6 *)a)->sin6_port);
}

int xeno_nfs_listen(struct xeno_nfs *s, const char *where, int *ret_port, struct xeno_err *err)
{
    struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof a;
    const int on = 1;
    xeno_autoclose int fd = -1;

    if (parse_where(where, &a, &len) < 0)
        return xeno_fail(err, -EINVAL, "nfs.address", "'%s' is not ADDRESS:PORT", where);
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "nfs.listen", "make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a.ss_family == AF_INET6) /* else an IPv4 client would have another address */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, BACKLOG) < 0)
        return xeno_fail_errno(err, -errno, "nfs.listen", "listen on %s", where);
    len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return xeno_fail_errno(err, -errno, "nfs.listen", "ask for the port");
    *ret_port = port_of(&a);
    s->listener = xeno_take_fd(&fd);
    return 0;
}

/* --- connections --- */

/* Ids of connections are above those of the descriptors that are watched as well; the place in
 * the table is the remainder. */
enum { ID_LISTENER, ID_STOP, ID_FIRST = XENO_NFS_CONNECTIONS_MAX };

static int watch(struct server *v, int op, int fd, uint64_t id, uint32_t events)
{
    struct epoll_event e = { .events = events | EPOLLONESHOT, .data.u64 = id };

    return fd < 0 || epoll_ctl(v->epoll, op, fd, &e) < 0 ? -errno : 0;
}

/* `lock` held. What a connection waits for: its client; to be told something; or nothing, when
 * there is more in memory, which a socket that can be written says at once. */
static void watch_conn(struct server *v, struct nfs_conn *c, int op)
{
    size_t queued = nfs_conn_queued(c);
    uint32_t events = queued > NFS_CONN_OUT_MAX ? EPOLLOUT : EPOLLIN;

    if (queued > 0 || nfs_conn_more(c) || c->again)
        events |= EPOLLOUT;
    c->again = false;
    watch(v, op, c->fd, c->id, events);
}

/* The connection of an event, now the caller's to read from. NULL: it is gone, or held. */
static struct nfs_conn *hold(struct server *v, uint64_t id)
{
    struct nfs_conn *c;

    pthread_mutex_lock(&v->lock);
    c = v->conns[id % XENO_NFS_CONNECTIONS_MAX];
    if (c && c->id != id)
        c = NULL;
    if (c && c->held) {
        c->again = true;
        c = NULL;
    }
    if (c) {
        c->held = true;
        c->refs++;
    }
    pthread_mutex_unlock(&v->lock);
    return c;
}

/* Somebody else may read on. The reference stays. */
static void give_back(struct worker *w)
{
    struct nfs_conn *c = xeno_take(&w->held);

    pthread_mutex_lock(&w->v->lock);
    c->held = false;
    watch_conn(w->v, c, EPOLL_CTL_MOD);
    pthread_mutex_unlock(&w->v->lock);
}

void nfs_may_wait(void)
{
    if (self && self->held)
        give_back(self);
}

static void unref(struct server *v, struct nfs_conn *c)
{
    bool last;

    pthread_mutex_lock(&v->lock);
    last = --c->refs == 0;
    pthread_mutex_unlock(&v->lock);
    if (last)
        nfs_conn_free(c);
}

/* By its holder. */
static void drop(struct server *v, struct nfs_conn *c)
{
    epoll_ctl(v->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_lock(&c->lock);
    c->broken = true; /* answers still to come are not kept */
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&v->lock);
    v->conns[c->id % XENO_NFS_CONNECTIONS_MAX] = NULL;
    pthread_mutex_unlock(&v->lock);
    unref(v, c);
}

static bool may_connect(const struct xeno_nfs *s, const char *client)
{
    for (size_t i = 0; i < s->clients_count; i++)
        if (strcmp(s->clients[i], client) == 0)
            return true;
    return false;
}

/* At most one line a second, however many come. `lock` held. */
static void log_refusal_locked(struct server *v, const char *client, const char *why)
{
    xeno_time now = xeno_mono(xeno_env_real());

    if (v->logged.ns != 0 && now.ns - v->logged.ns < LOG_EVERY) {
        v->unlogged++;
        return;
    }
    xeno_log(LOG_WARNING, "nfs.refused", "client=%s why=\"%s\" more=%u", client, why, v->unlogged);
    v->logged = now;
    v->unlogged = 0;
}

static void log_refusal(struct server *v, const char *client, const char *why)
{
    pthread_mutex_lock(&v->lock);
    log_refusal_locked(v, client, why);
    pthread_mutex_unlock(&v->lock);
}

/* Takes: fd. */
static void add_conn(struct server *v, int fd, const char *client)
{
    struct nfs_conn *c = nfs_conn_new(fd, client, xeno_mono(xeno_env_real()));
    size_t i = 0;

    pthread_mutex_lock(&v->lock);
    while (i < XENO_NFS_CONNECTIONS_MAX && v->conns[i])
        i++;
    if (i < XENO_NFS_CONNECTIONS_MAX) {
        v->conns[i] = c;
        c->id = ID_FIRST + v->serial++ * XENO_NFS_CONNECTIONS_MAX + i;
        watch_conn(v, c, EPOLL_CTL_ADD);
        c = NULL;
    } else {
        log_refusal_locked(v, client, "too many connections");
    }
    pthread_mutex_unlock(&v->lock);
    if (c)
        nfs_conn_free(c);
}

static void accept_one(struct server *v)
{
    struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof a;
    char client[INET6_ADDRSTRLEN] = "?";
    const int on = 1;
    xeno_autoclose int fd =
        accept4(v->s->listener, (struct sockaddr *)&a, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

    watch(v, EPOLL_CTL_MOD, v->s->listener, ID_LISTENER, EPOLLIN);
    if (fd < 0)
        return;
    if (a.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, client, sizeof client);
    else
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, client, sizeof client);
    if (!may_connect(v->s, client)) {
        log_refusal(v, client, "not a client of this export");
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    add_conn(v, xeno_take_fd(&fd), client);
}

/* --- the threads --- */

/* The request that w holds; what cannot be sent now waits for the client to take it. */
static void answer(struct worker *w, struct nfs_conn *c)
{
    struct server *v = w->v;

    w->reply.len = 0;
    if (xeno_nfs_answer(v->s, c->client, w->call.data, w->call.len, &w->reply) != 0) {
        shutdown(c->fd, SHUT_RDWR); /* no RPC: whoever reads next sees the end */
        return;
    }
    if (!nfs_conn_send(c, w->reply.data, w->reply.len))
        return;
    pthread_mutex_lock(&v->lock);
    if (c->held)
        c->again = true;
    else if (v->conns[c->id % XENO_NFS_CONNECTIONS_MAX] == c)
        watch_conn(v, c, EPOLL_CTL_MOD);
    pthread_mutex_unlock(&v->lock);
}

/* Something may go on: what is queued, what is to be read. */
static void on_conn(struct worker *w, struct nfs_conn *c)
{
    xeno_time now = xeno_mono(xeno_env_real());
    int r = nfs_conn_flush(c, now) < 0 ? -ECONNRESET : 1;

    w->held = c;
    for (int i = 0; w->held && i < TURN && r > 0 && nfs_conn_queued(c) <= NFS_CONN_OUT_MAX; i++) {
        struct xeno_buf spare = w->call;

        r = nfs_conn_read(c, now);
        if (r <= 0)
            break;
        w->call = c->record;
        spare.len = 0;
        c->record = spare;
        answer(w, c);
    }
    if (r == -EBADMSG)
        log_refusal(w->v, c->client, "a record of too many bytes or fragments");
    if (r < 0) {
        w->held = NULL;
        drop(w->v, c);
    } else if (w->held) {
        give_back(w);
    }
    unref(w->v, c);
}

static void *work(void *arg)
{
    struct worker w = { .v = arg };
    struct server *v = w.v;

    self = &w;
    for (;;) {
        struct epoll_event e;
        struct nfs_conn *c;

        if (epoll_wait(v->epoll, &e, 1, -1) <= 0)
            continue;
        if (e.data.u64 == ID_STOP)
            break;
        if (e.data.u64 == ID_LISTENER)
            accept_one(v);
        else if ((c = hold(v, e.data.u64)))
            on_conn(&w, c);
    }
    watch(v, EPOLL_CTL_MOD, v->stop, ID_STOP, EPOLLIN); /* for the next thread */
    xeno_buf_release(&w.call);
    xeno_buf_release(&w.reply);
    return NULL;
}

/* --- now and then --- */

/* Who is too slow goes; what the others do not use is given back. Who is held is not slow. */
static void tick(struct server *v)
{
    xeno_time now = xeno_mono(xeno_env_real());

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < XENO_NFS_CONNECTIONS_MAX; i++) {
        struct nfs_conn *c = v->conns[i];
        int64_t still = c ? now.ns - c->progress.ns : 0;

        if (!c || c->held)
            continue;
        if (!c->reading && still > IDLE_NS)
            xeno_buf_release(&c->record);
        if ((nfs_conn_queued(c) == 0 && !c->reading) || still <= XENO_NFS_SLOW_S * XENO_NS_PER_S)
            continue;
        log_refusal_locked(v, c->client, "too slow");
        shutdown(c->fd, SHUT_RDWR); /* and whoever is told of that drops it */
    }
    pthread_mutex_unlock(&v->lock);
}

static void wait_for_signal(struct server *v)
{
    struct pollfd p = { .fd = v->signals, .events = POLLIN };
    struct signalfd_siginfo why;
    int n;

    while ((n = poll(&p, 1, TICK_MS)) == 0 || (n < 0 && errno == EINTR))
        tick(v);
    if (read(v->signals, &why, sizeof why) < 0)
        xeno_log(LOG_DEBUG, "nfs.signal", "errno=%d", errno); /* the other one has it */
}

/* --- all of it --- */

static int open_all(struct server *v)
{
    sigset_t set;
    int r;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* of the threads as well */
    v->epoll = epoll_create1(EPOLL_CLOEXEC);
    v->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r = v->epoll < 0 || v->signals < 0 ? -errno
                                       : watch(v, EPOLL_CTL_ADD, v->stop, ID_STOP, EPOLLIN);
    return r < 0 ? r : watch(v, EPOLL_CTL_ADD, v->s->listener, ID_LISTENER, EPOLLIN);
}

static void close_all(struct server *v, int started)
{
    const uint64_t one = 1;

    if (v->stop >= 0 && write(v->stop, &one, sizeof one) != sizeof one)
        xeno_log(LOG_ERR, "nfs.stop", "errno=%d", errno);
    for (int i = 0; i < started; i++)
        pthread_join(v->threads[i], NULL);
    for (size_t i = 0; i < XENO_NFS_CONNECTIONS_MAX; i++)
        if (v->conns[i])
            drop(v, v->conns[i]);
    xeno_cleanup_close_(&v->epoll);
    xeno_cleanup_close_(&v->stop);
    xeno_cleanup_close_(&v->signals);
    free(v->threads);
}

int xeno_nfs_serve(struct xeno_nfs *s, struct xeno_err *err)
{
    struct server v = { .s = s, .epoll = -1, .stop = -1, .signals = -1 };
    int started = 0, r;

    pthread_mutex_init(&v.lock, NULL);
    xeno_cowfs_when_waiting(s->c, nfs_may_wait);
    r = open_all(&v);
    v.threads = xeno_new0_n(pthread_t, (size_t)s->threads);
    while (r == 0 && started < s->threads) {
        r = -pthread_create(&v.threads[started], NULL, work, &v);
        started += r == 0;
    }
    if (r < 0)
        xeno_fail_errno(err, r, "nfs.serve", "set up");
    else
        wait_for_signal(&v);
    close_all(&v, started);
    pthread_mutex_destroy(&v.lock);
    return r;
}
