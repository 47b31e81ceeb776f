/* src/cowfs/nfs-serve.c - the port: who may connect, requests to threads, answers back.
 *
 * One thread waits for all connections, reads whole records and hands them to the others. While too
 * much is under way, of one connection or in all, nothing more is read: TCP tells the client.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/env.h"
#include "base/log.h"
#include "cowfs/nfs-conn.h"
#include "cowfs/nfs-priv.h"

#define BACKLOG    64
#define EVENTS     32
#define TICK_MS    1000
#define READS_TURN 16 /* records that one connection may bring in a turn */
#define LOG_EVERY  XENO_NS_PER_S

struct job {
    struct nfs_conn *conn;
    char *call;
    size_t len;
    struct job *prev, *next;
};

struct server {
    struct xeno_nfs *s;
    int epoll, wake, signals;
    pthread_t *threads;
    struct nfs_conn *conns; /* the loop's */
    size_t conns_count;
    xeno_time logged; /* when somebody was last refused */
    unsigned unlogged;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct job *jobs;
    size_t requests, bytes; /* under way */
    bool stop, waiting;     /* waiting: for requests to end, to read on */
};

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

static void watch(struct server *v, struct nfs_conn *c, int op)
{
    struct epoll_event e = { .data.ptr = c };

    e.events = (c->paused ? 0u : EPOLLIN) | (nfs_conn_queued(c) > 0 ? EPOLLOUT : 0u);
    epoll_ctl(v->epoll, op, c->fd, &e);
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

static void drop(struct server *v, struct nfs_conn *c)
{
    epoll_ctl(v->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_lock(&c->lock);
    c->broken = true; /* answers still to come are not kept */
    pthread_mutex_unlock(&c->lock);
    DL_DELETE(v->conns, c);
    v->conns_count--;
    unref(v, c);
}

static bool may_connect(const struct xeno_nfs *s, const char *client)
{
    for (size_t i = 0; i < s->clients_count; i++)
        if (strcmp(s->clients[i], client) == 0)
            return true;
    return false;
}

/* At most one line a second, however many come. */
static void log_refusal(struct server *v, const char *client, const char *why)
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

static void accept_one(struct server *v)
{
    struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof a;
    char client[INET6_ADDRSTRLEN] = "?";
    const int on = 1;
    xeno_autoclose int fd =
        accept4(v->s->listener, (struct sockaddr *)&a, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct nfs_conn *c;

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
    if (v->conns_count == XENO_NFS_CONNECTIONS_MAX) {
        log_refusal(v, client, "too many connections");
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    c = nfs_conn_new(xeno_take_fd(&fd), client, xeno_mono(xeno_env_real()));
    DL_APPEND(v->conns, c);
    v->conns_count++;
    watch(v, c, EPOLL_CTL_ADD);
}

/* --- requests --- */

static void submit(struct server *v, struct nfs_conn *c)
{
    struct job *j = xeno_new0(struct job);

    j->conn = c;
    j->call = xeno_buf_take(&c->record, &j->len);
    pthread_mutex_lock(&v->lock);
    c->refs++;
    c->busy++;
    v->requests++;
    v->bytes += j->len;
    DL_APPEND(v->jobs, j);
    pthread_cond_signal(&v->more);
    pthread_mutex_unlock(&v->lock);
}

/* Is too much under way for another request of this connection? */
static bool must_wait(struct server *v, struct nfs_conn *c)
{
    bool queued = nfs_conn_queued(c) > NFS_CONN_OUT_MAX, wait;

    pthread_mutex_lock(&v->lock);
    wait = queued || c->busy >= NFS_CONN_BUSY_MAX || v->requests >= XENO_NFS_REQUESTS_MAX ||
           v->bytes >= XENO_NFS_BYTES_MAX;
    v->waiting = v->waiting || wait;
    pthread_mutex_unlock(&v->lock);
    return wait;
}

static void wake(struct server *v)
{
    const uint64_t one = 1;

    if (write(v->wake, &one, sizeof one) < 0)
        xeno_log(LOG_DEBUG, "nfs.wake", "errno=%d", errno); /* it is awake already */
}

/* Returns: false when the connection was dropped. */
static bool read_requests(struct server *v, struct nfs_conn *c, xeno_time now)
{
    int i, r = 1;

    for (i = 0; i < READS_TURN && r > 0 && !(c->paused = must_wait(v, c)); i++) {
        r = nfs_conn_read(c, now);
        if (r > 0)
            submit(v, c);
    }
    if (r < 0) {
        if (r == -EBADMSG)
            log_refusal(v, c->client, "a record of too many bytes or fragments");
        drop(v, c);
        return false;
    }
    if (i == READS_TURN &&
        r > 0) { /* others first; more may be in its buffer, which epoll sees not */
        c->paused = true;
        wake(v);
    }
    return true;
}

/* --- the threads --- */

static void *work(void *arg)
{
    struct server *v = arg;

    pthread_mutex_lock(&v->lock);
    while (!v->stop) {
        xeno_autobuf reply = XENO_BUF_INIT;
        struct job *j = v->jobs;
        bool look;

        if (!j) {
            pthread_cond_wait(&v->more, &v->lock);
            continue;
        }
        DL_DELETE(v->jobs, j);
        pthread_mutex_unlock(&v->lock);
        if (xeno_nfs_answer(v->s, j->conn->client, j->call, j->len, &reply) == 0)
            look = nfs_conn_send(j->conn, reply.data, reply.len);
        else
            look = shutdown(j->conn->fd, SHUT_RDWR) == 0; /* no RPC: the loop sees the end */
        free(j->call);
        pthread_mutex_lock(&v->lock);
        j->conn->busy--;
        v->requests--;
        v->bytes -= j->len;
        look = look || v->waiting;
        v->waiting = false;
        pthread_mutex_unlock(&v->lock);
        unref(v, j->conn);
        free(j);
        if (look)
            wake(v);
        pthread_mutex_lock(&v->lock);
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

/* --- the loop --- */

/* Something may go on: what is queued, what was not read. */
static void look_after(struct server *v, struct nfs_conn *c, xeno_time now)
{
    bool was = c->paused;

    if (nfs_conn_flush(c, now) < 0) {
        drop(v, c);
        return;
    }
    if (was && !read_requests(v, c, now)) /* also what is in the buffer already */
        return;
    if ((nfs_conn_queued(c) > 0 || (c->reading && !c->paused)) &&
        now.ns - c->progress.ns > XENO_NFS_SLOW_S * XENO_NS_PER_S) {
        log_refusal(v, c->client, "too slow");
        drop(v, c);
        return;
    }
    watch(v, c, EPOLL_CTL_MOD);
}

static void look_after_all(struct server *v, xeno_time now)
{
    struct nfs_conn *c, *next;

    DL_FOREACH_SAFE (v->conns, c, next)
        look_after(v, c, now);
}

static void on_conn(struct server *v, struct nfs_conn *c, uint32_t events, xeno_time now)
{
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_requests(v, c, now))
        return;
    if ((events & EPOLLOUT) || c->paused)
        look_after(v, c, now);
}

/* Returns: false when it is to end. */
static bool turn(struct server *v)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(v->epoll, events, EVENTS, TICK_MS);
    xeno_time now = xeno_mono(xeno_env_real());
    bool all = n == 0;

    for (int i = 0; i < n; i++) {
        struct signalfd_siginfo why;
        uint64_t count;

        if (events[i].data.ptr == &v->signals)
            return read(v->signals, &why, sizeof why) < 0; /* taken: it was for us */
        if (events[i].data.ptr == &v->s->listener)
            accept_one(v);
        else if (events[i].data.ptr == &v->wake)
            all = read(v->wake, &count, sizeof count) > 0;
        else
            on_conn(v, events[i].data.ptr, events[i].events, now);
    }
    if (all)
        look_after_all(v, now);
    return true;
}

static int add_fd(struct server *v, int fd, void *ptr)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = ptr };

    return fd < 0 || epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

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
    v->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r = v->epoll < 0 ? -errno : add_fd(v, v->wake, &v->wake);
    if (r == 0)
        r = add_fd(v, v->signals, &v->signals);
    if (r == 0)
        r = add_fd(v, v->s->listener, &v->s->listener);
    return r;
}

static void close_all(struct server *v, int started)
{
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_cond_broadcast(&v->more);
    pthread_mutex_unlock(&v->lock);
    for (int i = 0; i < started; i++)
        pthread_join(v->threads[i], NULL);
    while (v->jobs) {
        struct job *j = v->jobs;

        DL_DELETE(v->jobs, j);
        unref(v, j->conn);
        free(j->call);
        free(j);
    }
    while (v->conns)
        drop(v, v->conns);
    xeno_cleanup_close_(&v->epoll);
    xeno_cleanup_close_(&v->wake);
    xeno_cleanup_close_(&v->signals);
    free(v->threads);
}

int xeno_nfs_serve(struct xeno_nfs *s, struct xeno_err *err)
{
    struct server v = { .s = s, .epoll = -1, .wake = -1, .signals = -1 };
    int started = 0, r = open_all(&v);

    pthread_mutex_init(&v.lock, NULL);
    pthread_cond_init(&v.more, NULL);
    v.threads = xeno_new0_n(pthread_t, (size_t)s->threads);
    while (r == 0 && started < s->threads) {
        r = -pthread_create(&v.threads[started], NULL, work, &v);
        started += r == 0;
    }
    if (r < 0)
        xeno_fail_errno(err, r, "nfs.serve", "set up");
    while (r == 0 && turn(&v))
        continue;
    close_all(&v, started);
    pthread_mutex_destroy(&v.lock);
    pthread_cond_destroy(&v.more);
    return r;
}
