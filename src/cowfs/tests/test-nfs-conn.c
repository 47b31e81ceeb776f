/* src/cowfs/tests/test-nfs-conn.c - records on a connection: whole, in pieces, too large, too many;
 * and a port whose clients do as they like. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <cmocka.h>

#include "base/io.h"
#include "cowfs/layer.h"
#include "cowfs/nfs-conn.h"
#include "nfs-world.h"

#define LAST   UINT32_C(0x80000000)
#define WAIT_S 20

static const xeno_time now = { 1 };

/* --- records --- */

static struct nfs_conn *pair(int *ret_peer)
{
    int p[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
    assert_int_equal(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    *ret_peer = p[1];
    return nfs_conn_new(p[0], "peer", now);
}

static void say(int fd, const void *data, size_t len)
{
    assert_int_equal(xeno_write_all(fd, data, len), 0);
}

static void mark(int fd, uint32_t m)
{
    m = htonl(m);
    say(fd, &m, sizeof m);
}

static void fragments(void **state)
{
    int peer;
    struct nfs_conn *c = pair(&peer);

    (void)state;
    assert_int_equal(nfs_conn_read(c, now), 0);
    mark(peer, 3);
    say(peer, "abc", 3);
    assert_int_equal(nfs_conn_read(c, now), 0);
    mark(peer, 0);
    mark(peer, LAST | 2);
    say(peer, "d", 1);
    assert_int_equal(nfs_conn_read(c, now), 0);
    say(peer, "e\0", 2); /* and the first byte of the next mark */
    assert_int_equal(nfs_conn_read(c, now), 1);
    assert_int_equal(c->record.len, 5);
    assert_false(nfs_conn_more(c)); /* the socket tells of the rest */
    assert_memory_equal(c->record.data, "abcde", 5);
    xeno_buf_release(&c->record);
    say(peer, "\0\0\0", 3); /* an empty one, not the last */
    mark(peer, LAST);
    assert_int_equal(nfs_conn_read(c, now), 1);
    assert_int_equal(c->record.len, 0);
    close(peer);
    assert_int_equal(nfs_conn_read(c, now), -ECONNRESET);
    nfs_conn_free(c);
}

static void two_at_once(void **state)
{
    int peer;
    struct nfs_conn *c = pair(&peer);

    (void)state;
    mark(peer, LAST | 1);
    say(peer, "1", 1);
    mark(peer, LAST | 1);
    say(peer, "2", 1);
    for (char want = '1'; want <= '2'; want++) {
        assert_int_equal(nfs_conn_read(c, now), 1);
        assert_int_equal(c->record.len, 1);
        assert_int_equal(*c->record.data, want);
        assert_int_equal(nfs_conn_more(c), want == '1');
        xeno_buf_release(&c->record);
    }
    assert_int_equal(nfs_conn_read(c, now), 0);
    close(peer);
    nfs_conn_free(c);
}

static void too_much(void **state)
{
    int peer;
    struct nfs_conn *c = pair(&peer);

    (void)state;
    mark(peer, LAST | (XENO_NFS_RECORD_MAX + 1));
    assert_int_equal(nfs_conn_read(c, now), -EBADMSG);
    close(peer);
    nfs_conn_free(c);

    c = pair(&peer);
    mark(peer, 100);
    say(peer, (char[100]){ 0 }, 100);
    mark(peer, LAST | (XENO_NFS_RECORD_MAX - 99)); /* in all one byte too many */
    assert_int_equal(nfs_conn_read(c, now), -EBADMSG);
    close(peer);
    nfs_conn_free(c);

    c = pair(&peer);
    for (int i = 0; i < XENO_NFS_FRAGMENTS_MAX; i++) {
        mark(peer, 0);
        assert_int_equal(nfs_conn_read(c, now), 0);
    }
    mark(peer, LAST);
    assert_int_equal(nfs_conn_read(c, now), -EBADMSG);
    close(peer);
    nfs_conn_free(c);
}

static void answers_that_nobody_takes(void **state)
{
    enum { BYTES = 1 << 20 };
    int peer;
    struct nfs_conn *c = pair(&peer);
    xeno_autofree char *data = xeno_alloc0(1, BYTES), *got = xeno_alloc0(1, BYTES + 4);
    size_t len = 0;

    (void)state;
    memset(data, 'x', BYTES);
    assert_true(nfs_conn_send(c, data, BYTES)); /* more than a socket takes */
    assert_true(nfs_conn_queued(c) > 0);
    while (len < BYTES + 4) {
        ssize_t n = read(peer, got + len, BYTES + 4 - len);

        assert_true(n > 0);
        len += (size_t)n;
        assert_true(nfs_conn_flush(c, now) >= 0);
    }
    assert_int_equal(nfs_conn_queued(c), 0);
    assert_memory_equal(got, "\x80\x10\0\0", 4);
    assert_memory_equal(got + 4, data, BYTES);
    close(peer);
    assert_true(nfs_conn_send(c, data, 10));
    assert_int_equal(nfs_conn_flush(c, now), -1);
    nfs_conn_free(c);
}

/* --- a port --- */

static struct xeno_cowfs *stack;
static struct xeno_nfs *server;
static pthread_t loop;
static int port;

static void *serve(void *arg)
{
    assert_int_equal(xeno_nfs_serve(server, NULL), 0);
    return arg;
}

/* A layer whose contents come when the test lets them. */
static struct xeno_cowfs_layer_ops slow;
static int gate[2]; /* a byte for each read that may go on */

static int slow_open(struct xeno_cowfs_layer *l, int dir, const char *name,
                     struct xeno_cowfs_data **ret)
{
    (void)l, (void)dir, (void)name;
    *ret = (struct xeno_cowfs_data *)gate;
    return 0;
}

static ssize_t slow_read(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d, void *buf,
                         size_t len, off_t off)
{
    (void)l, (void)d, (void)len, (void)off;
    return read(gate[0], buf, 1);
}

static void slow_close(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d)
{
    (void)l, (void)d;
}

static int setup(void **state)
{
    static const char *const folders[] = { "low", "upper", "work" };
    const struct xeno_nfs_opts opts = { .work = "work", .clients = "127.0.0.1", .threads = 2 };
    struct xeno_cowfs_layer *layer;
    sigset_t set;

    (void)state;
    scratch_make("test-nfs-conn", folders, XENO_LEN(folders));
    assert_int_equal(close(open("low/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
    assert_int_equal(truncate("low/file", 1), 0);
    assert_int_equal(xeno_cowfs_layer_dir("low", &layer, NULL), 0);
    slow = *layer->ops;
    slow.data_open = slow_open;
    slow.data_read = slow_read;
    slow.data_close = slow_close;
    layer->ops = &slow;
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    assert_int_equal(xeno_cowfs_open("upper", "work", &layer, 1, &stack, NULL), 0);
    assert_int_equal(xeno_nfs_new(stack, &opts, &server, NULL), 0);
    assert_int_equal(xeno_nfs_listen(server, "127.0.0.1:0", &port, NULL), 0);
    sigemptyset(&set); /* the server's alone */
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return pthread_create(&loop, NULL, serve, NULL);
}

static int teardown(void **state)
{
    close(gate[1]); /* who still waits there goes on */
    kill(getpid(), SIGTERM);
    pthread_join(loop, NULL);
    xeno_nfs_free(server);
    xeno_cowfs_free(stack);
    close(gate[0]);
    return scratch_remove(state);
}

static int dial(const char *from)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in of = { .sin_family = AF_INET };
    const struct timeval patience = { .tv_sec = WAIT_S };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);

    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    inet_pton(AF_INET, from, &of.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&of, sizeof of), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static bool ends(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char byte;

    return poll(&p, 1, WAIT_S * 1000) == 1 && read(fd, &byte, 1) <= 0;
}

static size_t null_call(uint32_t xid, char *buf, size_t size)
{
    struct peer p = { .xid = xid };

    return peer_encode(&p, NFS_PROGRAM, NFSPROC3_NULL, NULL, NULL, buf, size);
}

static void ask(int fd, const char *call, size_t len)
{
    mark(fd, LAST | (uint32_t)len);
    say(fd, call, len);
}

static bool answers(int fd)
{
    char call[256], head[4];
    size_t len = null_call(77, call, sizeof call);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char reply[24];

    ask(fd, call, len);
    return poll(&p, 1, WAIT_S * 1000) == 1 && recv(fd, head, 4, MSG_WAITALL) == 4 &&
           recv(fd, reply, sizeof reply, MSG_WAITALL) == sizeof reply && reply[3] == 77;
}

static void who_may(void **state)
{
    int a = dial("127.0.0.1"), b = dial("127.0.0.2");

    (void)state;
    assert_true(ends(b));
    assert_true(answers(a));
    say(a, "GET / HTTP/1.1\r\n", 16); /* a record of a GiB, it says */
    assert_true(ends(a));
    close(a);
    close(b);
    a = dial("127.0.0.1");
    mark(a, LAST | 8);
    say(a, "no call!", 8);
    assert_true(ends(a));
    close(a);
}

static void many(void **state)
{
    int fds[XENO_NFS_CONNECTIONS_MAX], over;

    (void)state;
    for (int i = 0; i < XENO_NFS_CONNECTIONS_MAX; i++) {
        fds[i] = dial("127.0.0.1");
        assert_true(answers(fds[i]));
    }
    over = dial("127.0.0.1");
    assert_true(ends(over));
    close(over);
    assert_true(answers(fds[0]));
    close(fds[0]);
    for (int i = 0; i < WAIT_S * 100; i++) { /* until it has seen that one is gone */
        fds[0] = dial("127.0.0.1");
        if (answers(fds[0]))
            break;
        close(fds[0]);
        usleep(10000);
    }
    assert_true(answers(fds[0]));
    for (int i = 0; i < XENO_NFS_CONNECTIONS_MAX; i++)
        close(fds[i]);
}

/* A thousand requests before the first answer is read: each is answered once. */
static void all_at_once(void **state)
{
    enum { COUNT = 1000 };
    static unsigned char seen[COUNT];
    int fd = dial("127.0.0.1");

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        char call[256];
        size_t len = null_call(i, call, sizeof call);

        ask(fd, call, len);
    }
    for (int i = 0; i < COUNT; i++) {
        uint32_t reply[7];

        assert_int_equal(recv(fd, reply, sizeof reply, MSG_WAITALL), sizeof reply);
        assert_true(ntohl(reply[1]) < COUNT);
        seen[ntohl(reply[1])]++;
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    close(fd);
}

/* Who waits for contents keeps nobody waiting, not even on its own connection. */
static void one_waits(void **state)
{
    struct world w = { .p = { .s = server, .client = "127.0.0.1" } };
    char root_bytes[NFS3_FHSIZE], bytes[NFS3_FHSIZE], call[512];
    nfs_fh3 root = mounted(&w, root_bytes, "/", MNT3_OK), file;
    READ3args part = { .count = 1 };
    int fd = dial("127.0.0.1");
    uint32_t head[2];

    (void)state;
    assert_int_equal(lookup(&w, &root, "file", bytes, &file), NFS3_OK);
    part.file = file;
    w.p.xid = 5;
    ask(fd, call,
        peer_encode(&w.p, NFS_PROGRAM, NFSPROC3_READ, (xdrproc_t)xdr_READ3args, &part, call,
                    sizeof call));
    assert_true(answers(fd));
    assert_true(answers(fd));
    say(gate[1], "!", 1);
    assert_int_equal(recv(fd, head, sizeof head, MSG_WAITALL), sizeof head);
    assert_int_equal(ntohl(head[1]), 5);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments),
        cmocka_unit_test(two_at_once),
        cmocka_unit_test(too_much),
        cmocka_unit_test(answers_that_nobody_takes),
        cmocka_unit_test_setup_teardown(who_may, setup, teardown),
        cmocka_unit_test_setup_teardown(many, setup, teardown),
        cmocka_unit_test_setup_teardown(all_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(one_waits, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
