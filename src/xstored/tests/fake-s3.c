/* src/xstored/tests/fake-s3.c - an object store in this process. */
#include "fake-s3.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define KEYS_MAX  500
#define CONNS_MAX 64
#define HEAD_MAX  8192

struct item {
    char key[400],
        upload[16]; /* upload "": an object; else a part, by its number, or 0: it is open */
    int part;
    char *data;
    size_t len;
};

struct fake {
    int fd;
    unsigned port;
    pthread_t acceptor;
    pthread_mutex_t lock;
    struct item items[KEYS_MAX];
    size_t count;
    int conns[CONNS_MAX];
    pthread_t threads[CONNS_MAX];
    size_t conn_count;
    char method[8], where[200];
    enum fake_fault fault;
    int status, times, next_upload;
};

struct request {
    struct fake *s;
    int fd;
    char method[8], path[600], *query; /* query "": none */
    char *body;
    size_t len;
    enum fake_fault fault;
    int status;
};

struct conn {
    struct fake *s;
    int fd;
};

/* --- what there is; with the lock --- */

static struct item *find(struct fake *s, const char *key, const char *upload, int part)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].key, key) == 0 && strcmp(s->items[i].upload, upload) == 0 &&
            s->items[i].part == part)
            return &s->items[i];
    return NULL;
}

static void drop(struct fake *s, struct item *it)
{
    free(it->data);
    *it = s->items[--s->count];
}

static struct item *set(struct fake *s, const char *key, const char *upload, int part,
                        const char *data, size_t len)
{
    struct item *it = find(s, key, upload, part);

    if (it)
        drop(s, it);
    if (s->count == KEYS_MAX)
        abort();
    it = &s->items[s->count++];
    *it = (struct item){ .part = part, .data = xeno_strndup(data, 0), .len = len };
    it->data = xeno_realloc(it->data, len + 1, 1);
    if (len)
        memcpy(it->data, data, len);
    snprintf(it->key, sizeof it->key, "%s", key);
    snprintf(it->upload, sizeof it->upload, "%s", upload);
    return it;
}

/* --- answers --- */

static void answer(struct request *q, int status, const char *extra, const char *data, size_t len)
{
    xeno_autobuf b = XENO_BUF_INIT;
    size_t said = len, sent = 0;

    if (q->fault == FAKE_DROP)
        return;
    if (q->fault == FAKE_SHORT && len > 0)
        said = len = len - 1;
    if (q->fault == FAKE_CUT)
        len /= 2;
    xeno_buf_printf(&b, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n%s\r\n", status, said, extra);
    xeno_buf_add(&b, data, len);
    if (q->fault == FAKE_WRONG && len > 0)
        b.data[b.len - 1] ^= 1;
    while (sent < b.len) {
        ssize_t n = send(q->fd, b.data + sent, b.len - sent, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        sent += (size_t)n;
    }
}

static void answer_text(struct request *q, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void answer_text(struct request *q, int status, const char *fmt, ...)
{
    xeno_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xeno_vasprintf(fmt, ap);
    va_end(ap);
    answer(q, status, "", text, strlen(text));
}

static void answer_error(struct request *q, int status, const char *code)
{
    answer_text(q, status, "<?xml version=\"1.0\"?><Error><Code>%s</Code></Error>", code);
}

static bool param(const struct request *q, const char *name, char out[400])
{
    size_t len = strlen(name), n = 0;

    for (const char *p = q->query; p && *p; p = strchr(p, '&') ? strchr(p, '&') + 1 : "") {
        if (strncmp(p, name, len) != 0 || p[len] != '=')
            continue;
        for (p += len + 1; *p && *p != '&' && n < 399; p++) {
            unsigned c;

            if (*p == '%' && sscanf(p + 1, "%2x", &c) == 1) {
                out[n++] = (char)c;
                p += 2;
            } else {
                out[n++] = *p;
            }
        }
        out[n] = '\0';
        return true;
    }
    return false;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static void answer_list(struct request *q)
{
    char prefix[400] = "", after[400] = "", max[400] = "1000", other[400];
    xeno_autobuf b = XENO_BUF_INIT;
    bool uploads = param(q, "uploads", other);
    int left;

    (void)param(q, "prefix", prefix);
    (void)param(q, "start-after", after);
    (void)param(q, uploads ? "max-uploads" : "max-keys", max);
    left = atoi(max);
    qsort(q->s->items, q->s->count, sizeof *q->s->items, by_key);
    xeno_buf_printf(&b, "<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
                    uploads ? "ListMultipartUploadsResult" : "ListBucketResult");
    for (size_t i = 0; i < q->s->count && left > 0; i++) {
        const struct item *it = &q->s->items[i];

        if (strncmp(it->key, prefix, strlen(prefix)) != 0 || strcmp(it->key, after) <= 0 ||
            it->part != 0 || uploads != (*it->upload != '\0'))
            continue;
        left--;
        if (uploads)
            xeno_buf_printf(&b, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", it->key,
                            it->upload);
        else
            xeno_buf_printf(&b, "<Contents><Key>%s</Key></Contents>", it->key);
    }
    xeno_buf_printf(&b, "</%s>", uploads ? "ListMultipartUploadsResult" : "ListBucketResult");
    answer(q, 200, "", b.data, b.len);
}

static void complete(struct request *q, const char *key, const char *upload)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct item *it;

    for (int n = 1; (it = find(q->s, key, upload, n)) != NULL; n++)
        xeno_buf_add(&b, it->data, it->len);
    if (!find(q->s, key, upload, 0)) {
        answer_error(q, 404, "NoSuchUpload");
        return;
    }
    for (int n = 0; (it = find(q->s, key, upload, n)) != NULL; n++)
        drop(q->s, it);
    set(q->s, key, "", 0, b.data, b.len);
    answer_text(q, 200,
                "<CompleteMultipartUploadResult><Key>x</Key></CompleteMultipartUploadResult>");
}

static void abort_upload(struct request *q, const char *key, const char *upload)
{
    struct item *it;

    for (int n = 0; (it = find(q->s, key, upload, n)) != NULL; n++)
        drop(q->s, it);
    answer(q, 204, "", "", 0);
}

static void post(struct request *q, const char *key)
{
    char id[400] = "";

    if (param(q, "uploadId", id)) {
        complete(q, key, id);
        return;
    }
    snprintf(id, sizeof id, "u%d", ++q->s->next_upload);
    set(q->s, key, id, 0, "", 0);
    answer_text(q, 200,
                "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
                "</InitiateMultipartUploadResult>",
                id);
}

static void put(struct request *q, const char *key)
{
    char id[400] = "", part[400] = "0";

    (void)param(q, "uploadId", id);
    (void)param(q, "partNumber", part);
    if (*id && !find(q->s, key, id, 0)) {
        answer_error(q, 404, "NoSuchUpload");
        return;
    }
    id[15] = '\0';
    set(q->s, key, id, atoi(part), q->body, q->len);
    answer(q, 200, "ETag: \"etag\"\r\n", "", 0);
}

static void serve(struct request *q)
{
    const char *key = q->path + strlen("/b/");
    struct item *it;
    char id[400] = "";

    if (q->fault == FAKE_STATUS) {
        answer_error(q, q->status, q->status == 404 ? "NoSuchBucket" : "SlowDown");
    } else if (q->fault == FAKE_LATE_BAD) {
        answer_error(q, 200, "InternalError");
    } else if (strncmp(q->path, "/b/", 3) != 0) {
        answer_error(q, 404, "NoSuchBucket");
    } else if (*key == '\0') {
        answer_list(q);
    } else if (strcmp(q->method, "PUT") == 0) {
        put(q, key);
    } else if (strcmp(q->method, "POST") == 0) {
        post(q, key);
    } else if (strcmp(q->method, "DELETE") == 0 && param(q, "uploadId", id)) {
        abort_upload(q, key, id);
    } else if (strcmp(q->method, "DELETE") == 0) {
        if ((it = find(q->s, key, "", 0)) != NULL)
            drop(q->s, it);
        answer(q, 204, "", "", 0);
    } else if ((it = find(q->s, key, "", 0)) != NULL) {
        answer(q, 200, "", it->data, it->len);
    } else {
        answer_error(q, 404, "NoSuchKey");
    }
}

/* --- connections --- */

static bool receive(int fd, void *data, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = recv(fd, (char *)data + got, len - got, 0);

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool read_request(struct request *q)
{
    char head[HEAD_MAX], *length, *mark;
    size_t got = 0;

    do {
        if (got == sizeof head - 1 || !receive(q->fd, head + got, 1))
            return false;
        head[++got] = '\0';
    } while (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0);
    if (sscanf(head, "%7s %599s", q->method, q->path) != 2 ||
        !strcasestr(head, "Authorization: AWS4-HMAC-SHA256"))
        return false;
    mark = strchr(q->path, '?');
    q->query = mark ? mark + 1 : q->path + strlen(q->path);
    if (mark)
        *mark = '\0';
    length = strcasestr(head, "Content-Length:");
    q->len = length ? strtoul(length + 15, NULL, 10) : 0;
    q->body = xeno_alloc0(1, q->len + 1);
    if (strcasestr(head, "100-continue"))
        (void)!send(q->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    return receive(q->fd, q->body, q->len);
}

static void choose(struct request *q)
{
    struct fake *s = q->s;

    q->fault = FAKE_RIGHT;
    if (s->times == 0 || strcmp(s->method, q->method) != 0 ||
        (!strstr(q->path, s->where) && !strstr(q->query, s->where)))
        return;
    q->fault = s->fault;
    q->status = s->status;
    if (s->times > 0)
        s->times--;
}

static void *converse(void *arg)
{
    struct conn c = *(struct conn *)arg;
    bool go_on = true;

    free(arg);
    while (go_on) {
        struct request q = { .s = c.s, .fd = c.fd };

        go_on = read_request(&q);
        pthread_mutex_lock(&c.s->lock);
        if (go_on)
            choose(&q);
        if (go_on && q.fault != FAKE_SILENT)
            serve(&q);
        pthread_mutex_unlock(&c.s->lock);
        if (q.fault == FAKE_DROP || q.fault == FAKE_CUT)
            go_on = false;
        free(q.body);
    }
    shutdown(c.fd, SHUT_RDWR);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct fake *s = arg;
    int fd;

    while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct conn *c;

        if (s->conn_count == CONNS_MAX) {
            close(fd);
            continue;
        }
        c = xeno_new0(struct conn);
        *c = (struct conn){ s, fd };
        s->conns[s->conn_count] = fd;
        if (pthread_create(&s->threads[s->conn_count++], NULL, converse, c) != 0)
            abort();
    }
    return NULL;
}

struct fake *fake_new(void)
{
    struct fake *s = xeno_new0(struct fake);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof a;

    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->fd, 64) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&a, &len) < 0 ||
        pthread_create(&s->acceptor, NULL, accept_all, s) != 0)
        abort();
    s->port = ntohs(a.sin_port);
    return s;
}

void fake_free(struct fake *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    close(s->fd);
    for (size_t i = 0; i < s->conn_count; i++)
        shutdown(s->conns[i], SHUT_RDWR);
    for (size_t i = 0; i < s->conn_count; i++) {
        pthread_join(s->threads[i], NULL);
        close(s->conns[i]);
    }
    while (s->count > 0)
        drop(s, &s->items[0]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

unsigned fake_port(const struct fake *s)
{
    return s->port;
}

void fake_break(struct fake *s, const char *method, const char *part, enum fake_fault fault,
                int status, int times)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->method, sizeof s->method, "%s", method);
    snprintf(s->where, sizeof s->where, "%s", part);
    s->fault = fault;
    s->status = status;
    s->times = times;
    pthread_mutex_unlock(&s->lock);
}

void fake_heal(struct fake *s)
{
    fake_break(s, "", "", FAKE_RIGHT, 0, 0);
}

int fake_count(struct fake *s, const char *part)
{
    int n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        n += !*s->items[i].upload && strstr(s->items[i].key, part);
    pthread_mutex_unlock(&s->lock);
    return n;
}

int fake_right(struct fake *s, const char *part, const char *data)
{
    int n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        n += strstr(s->items[i].key, part) && s->items[i].len == strlen(data) &&
             memcmp(s->items[i].data, data, strlen(data)) == 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int fake_uploads(struct fake *s)
{
    int n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        n += *s->items[i].upload && s->items[i].part == 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void fake_damage(struct fake *s, const char *part)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        if (strstr(s->items[i].key, part) && s->items[i].len > 0)
            s->items[i].data[0] ^= 1;
    pthread_mutex_unlock(&s->lock);
}

void fake_put(struct fake *s, const char *key, const char *data, size_t len)
{
    pthread_mutex_lock(&s->lock);
    set(s, key, "", 0, data, len);
    pthread_mutex_unlock(&s->lock);
}

void fake_open(struct fake *s, const char *key)
{
    pthread_mutex_lock(&s->lock);
    set(s, key, "u0", 0, "", 0);
    set(s, key, "u0", 1, "part", 4);
    pthread_mutex_unlock(&s->lock);
}

void fake_remove(struct fake *s, const char *part)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = s->count; i-- > 0;)
        if (strstr(s->items[i].key, part))
            drop(s, &s->items[i]);
    pthread_mutex_unlock(&s->lock);
}
