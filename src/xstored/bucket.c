/* src/xstored/bucket.c - the requests of S3 that a XenoStore makes. */
#include "xstored/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "http/client.h"
#include "http/signed.h"
#include "xml/xml.h"

#define PART_BYTES INT64_C(16 << 20)
#define PARTS_MAX  10000 /* of S3 */
#define KEYS_BYTES 4096
#define LIST_MAX   1000

struct bucket {
    struct xeno_signed *http;
    char *root;   /* of paths: "/BUCKET/", or "/" when the host's name has the bucket */
    char *prefix; /* of all keys: "" or "PREFIX/" */
    char *url;
    int64_t part_bytes;
};

/* --- opening --- */

static bool plain(const char *text)
{
    return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-._/")] == '\0';
}

/* "https://host:port/bucket/prefix" into its three parts; the caller's. */
static int split_url(const char *url, char **ret_base, char **ret_bucket, char **ret_prefix,
                     struct xeno_err *err)
{
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    size_t len = path ? strcspn(path + 1, "/") : 0, rest;

    if (!path || len == 0 || !plain(path) || strstr(path, "//") || strstr(path, "/.") ||
        strlen(path) > BUCKET_KEY_MAX / 2)
        return xeno_fail(err, -EINVAL, "store.url",
                         "'%.200s' is not https://HOST[:PORT]/BUCKET[/PREFIX], with letters, "
                         "digits and -._ in the names",
                         url);
    rest = strlen(path + 1 + len);
    *ret_base = xeno_strndup(url, (size_t)(path - url));
    *ret_bucket = xeno_strndup(path + 1, len);
    *ret_prefix = rest <= 1
                      ? xeno_strdup("")
                      : xeno_asprintf("%s%s", path + 2 + len, path[len + rest] == '/' ? "" : "/");
    return 0;
}

/* Two lines; they are nobody else's to read. */
static int read_keys(const char *path, char **ret_access, char **ret_secret, struct xeno_err *err)
{
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    xeno_autofree char *text = NULL;
    struct stat sb;
    size_t len = 0;
    char *end;

    if (fd < 0 || fstat(fd, &sb) < 0)
        return xeno_fail_errno(err, -errno, "store.keys", "open '%s'", path);
    if (!S_ISREG(sb.st_mode) || (sb.st_mode & 077) != 0)
        return xeno_fail(err, -EPERM, "store.keys",
                         "'%s' can be read by others: chmod 600, and change the secret", path);
    if (xeno_read_all(fd, KEYS_BYTES, &text, &len) < 0 || strlen(text) != len)
        return xeno_fail(err, -EINVAL, "store.keys", "'%s' cannot be read as text", path);
    end = text + strcspn(text, "\n");
    *ret_access = xeno_strndup(text, (size_t)(end - text));
    end += *end == '\n';
    *ret_secret = xeno_strndup(end, strcspn(end, "\n"));
    explicit_bzero(text, len);
    if (**ret_access && **ret_secret)
        return 0;
    return xeno_fail(err, -EINVAL, "store.keys",
                     "'%s' has not two lines: the access key, and the secret", path);
}

/* "https://host" as "https://bucket.host". */
static char *host_of_bucket(const char *base, const char *bucket)
{
    size_t scheme = (size_t)(strstr(base, "://") + 3 - base);

    return xeno_asprintf("%.*s%s.%s", (int)scheme, base, bucket, base + scheme);
}

int bucket_new(const struct bucket_opts *opts, struct bucket **ret, struct xeno_err *err)
{
    xeno_auto(bucket) b = xeno_new0(struct bucket);
    xeno_autofree char *base = NULL, *name = NULL, *host = NULL, *access = NULL, *secret = NULL;
    struct xeno_signed_opts http = { .env = opts->env,
                                     .region = opts->region,
                                     .ca_file = opts->ca_file,
                                     .patience = opts->patience };
    int r = split_url(opts->url, &base, &name, &b->prefix, err);

    if (r == 0)
        r = read_keys(opts->keys, &access, &secret, err);
    if (r < 0)
        return r;
    host = opts->path_style ? NULL : host_of_bucket(base, name);
    b->root = opts->path_style ? xeno_asprintf("/%s/", name) : xeno_strdup("/");
    b->url = xeno_strdup(opts->url);
    b->part_bytes = opts->part_bytes ? opts->part_bytes : PART_BYTES;
    http.base = host ? host : base;
    http.access = access;
    http.secret = secret;
    r = xeno_signed_new(&http, &b->http, err);
    explicit_bzero(secret, strlen(secret));
    if (r == 0)
        *ret = xeno_take(&b);
    return r;
}

void bucket_free(struct bucket *b)
{
    if (!b)
        return;
    xeno_signed_free(b->http);
    free(b->root);
    free(b->prefix);
    free(b->url);
    free(b);
}

void bucket_stop(struct bucket *b)
{
    xeno_signed_stop(b->http);
}

/* --- asking --- */

/* The code of an error's document; "" when it has none. */
static void code_of(const struct xeno_signed_answer *a, char out[64])
{
    xeno_auto(xeno_xml) x = NULL;
    const struct xeno_xml_node *code;
    xeno_autofree char *text = NULL;

    out[0] = '\0';
    if (a->len == 0 || xeno_xml_parse(a->body, a->len, XENO_SIGNED_ANSWER_MAX, NULL, &x, NULL) < 0)
        return;
    code = xeno_xml_child(xeno_xml_root(x), "Code");
    text = code ? xeno_xml_token(code) : NULL;
    if (strcmp(xeno_xml_name(xeno_xml_root(x)), "Error") == 0 && text)
        snprintf(out, 64, "%s", text);
}

static int refuse(const struct bucket *b, const struct xeno_signed_ask *ask,
                  const struct xeno_signed_answer *a, struct xeno_err *err)
{
    char code[64];

    code_of(a, code);
    if (a->status == 404 && strcmp(code, "NoSuchKey") == 0)
        return xeno_fail(err, -ENOENT, "store.missing", "the object store has no %s", ask->path);
    if (a->status == 404)
        return xeno_fail(err, -EAGAIN, "store.away", "%s is not there (%s)", b->url, code);
    if (a->status == 401 || a->status == 403)
        return xeno_fail(err, -ECONNREFUSED, "store.denied",
                         "%s refuses the %s of xstored: %d (%s)", b->url, ask->method, a->status,
                         code);
    return xeno_fail(err, -ECONNRESET, "store.answer", "%s answers the %s of xstored with %d (%s)",
                     b->url, ask->method, a->status, code);
}

/* Returns: 0 with an answer 2xx, whose body is the caller's. */
static int call(struct bucket *b, const struct xeno_signed_ask *ask, struct xeno_signed_answer *ret,
                struct xeno_err *err)
{
    struct xeno_err e = XENO_ERR_INIT;
    int r = xeno_signed_call(b->http, ask, ret, &e);

    if (r == 0 && ret->status / 100 == 2)
        return 0;
    if (r == 0) {
        r = refuse(b, ask, ret, err);
        free(xeno_take(&ret->body));
        return r;
    }
    if (xeno_err_is(&e, "signed.away"))
        return xeno_fail(err, r, "store.away", "%s", e.text);
    if (xeno_err_is(&e, "signed.tls"))
        return xeno_fail(err, -ECONNREFUSED, "store.denied", "%s", e.text);
    if (xeno_err_is(&e, "signed.stopped"))
        return xeno_fail(err, r, "store.stopped", "xstored ends: try again");
    if (err)
        *err = e;
    return r;
}

/* The same where the body is of no interest. */
static int call_only(struct bucket *b, const struct xeno_signed_ask *ask, struct xeno_err *err)
{
    struct xeno_signed_answer a = { .status = 0 };
    int r = call(b, ask, &a, err);

    free(a.body);
    return r;
}

static char *path_of(const struct bucket *b, const char *key)
{
    return xeno_asprintf("%s%s%s", b->root, b->prefix, key);
}

/* The answer as a document whose root is called `root`; the caller's. */
static int call_xml(struct bucket *b, const struct xeno_signed_ask *ask, const char *root,
                    struct xeno_xml **ret, struct xeno_err *err)
{
    struct xeno_signed_answer a = { .status = 0 };
    xeno_auto(xeno_xml) x = NULL;
    int r = call(b, ask, &a, err);

    if (r < 0)
        return r;
    r = xeno_xml_parse(a.body, a.len, XENO_SIGNED_ANSWER_MAX, NULL, &x, NULL);
    free(a.body);
    if (r < 0 || strcmp(xeno_xml_name(xeno_xml_root(x)), root) != 0)
        return xeno_fail(err, -ECONNRESET, "store.answer", "%s answers a %s without a %s", b->url,
                         ask->method, root);
    *ret = xeno_take(&x);
    return 0;
}

/* --- putting --- */

struct parts {
    struct bucket *b;
    char *path, *id; /* of the upload, escaped */
    struct xeno_buf list;
};

static int begin_parts(struct parts *p, struct xeno_err *err)
{
    const struct xeno_signed_ask ask = {
        .method = "POST", .path = p->path, .query = "uploads=", .body = ""
    };
    xeno_auto(xeno_xml) x = NULL;
    xeno_autofree char *id = NULL;
    int r = call_xml(p->b, &ask, "InitiateMultipartUploadResult", &x, err);

    if (r < 0)
        return r;
    if (xeno_xml_child(xeno_xml_root(x), "UploadId"))
        id = xeno_xml_token(xeno_xml_child(xeno_xml_root(x), "UploadId"));
    if (!id || !*id)
        return xeno_fail(err, -ECONNRESET, "store.answer", "%s begins an upload without an id",
                         p->b->url);
    p->id = xeno_http_escape(id);
    return 0;
}

static int put_part(struct parts *p, int number, int fd, int64_t offset, int64_t len,
                    struct xeno_err *err)
{
    xeno_autofree char *query = xeno_asprintf("partNumber=%d&uploadId=%s", number, p->id);
    const struct xeno_signed_ask ask = {
        .method = "PUT", .path = p->path, .query = query, .fd = fd, .offset = offset, .len = len
    };
    struct xeno_signed_answer a = { .status = 0 };
    char text[16];
    int r = call(p->b, &ask, &a, err);

    free(a.body);
    if (r < 0)
        return r;
    snprintf(text, sizeof text, "%d", number);
    xeno_buf_puts(&p->list, "<Part>\n");
    xeno_xml_put(&p->list, 1, "PartNumber", text);
    xeno_xml_put(&p->list, 1, "ETag", a.etag);
    xeno_buf_puts(&p->list, "</Part>\n");
    return 0;
}

/* It may answer 200 and then say in the document that it failed. */
static int complete(struct parts *p, struct xeno_err *err)
{
    xeno_autofree char *query = xeno_asprintf("uploadId=%s", p->id);
    struct xeno_signed_ask ask = { .method = "POST", .path = p->path, .query = query };
    xeno_auto(xeno_xml) x = NULL;

    xeno_buf_puts(&p->list, "</CompleteMultipartUpload>\n");
    ask.body = p->list.data;
    ask.len = (int64_t)p->list.len;
    return call_xml(p->b, &ask, "CompleteMultipartUploadResult", &x, err);
}

static int abort_upload(struct bucket *b, const char *path, const char *id, struct xeno_err *err)
{
    xeno_autofree char *query = xeno_asprintf("uploadId=%s", id);
    const struct xeno_signed_ask ask = {
        .method = "DELETE", .path = path, .query = query, .body = ""
    };

    return call_only(b, &ask, err);
}

static int put_parts(struct parts *p, int fd, int64_t size, struct xeno_err *err)
{
    int64_t least = size / PARTS_MAX + 1,
            part = p->b->part_bytes > least ? p->b->part_bytes : least;
    int number = 1, r = begin_parts(p, err);

    if (r < 0)
        return r;
    xeno_buf_puts(&p->list, "<CompleteMultipartUpload>\n");
    for (int64_t at = 0; r == 0 && at < size; at += part)
        r = put_part(p, number++, fd, at, size - at < part ? size - at : part, err);
    if (r == 0)
        r = complete(p, err);
    if (r < 0 && r != -ECANCELED) /* what stays is aborted by bucket_abort() */
        (void)abort_upload(p->b, p->path, p->id, NULL);
    return r;
}

int bucket_put(struct bucket *b, const char *key, int fd, int64_t size, struct xeno_err *err)
{
    xeno_autofree char *path = path_of(b, key);
    const struct xeno_signed_ask ask = { .method = "PUT", .path = path, .fd = fd, .len = size };
    struct parts p = { .b = b, .path = path, .list = XENO_BUF_INIT };
    int r;

    if (size <= b->part_bytes)
        return call_only(b, &ask, err);
    r = put_parts(&p, fd, size, err);
    xeno_buf_release(&p.list);
    free(p.id);
    return r;
}

/* --- getting and removing --- */

int bucket_get(struct bucket *b, const char *key, int64_t rate,
               int (*begin)(void *arg, struct xeno_err *err),
               int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err),
               void *arg, struct xeno_err *err)
{
    xeno_autofree char *path = path_of(b, key);
    const struct xeno_signed_ask ask = { .method = "GET",
                                         .path = path,
                                         .body = "",
                                         .begin = begin,
                                         .sink = sink,
                                         .arg = arg,
                                         .rate = rate };

    return call_only(b, &ask, err);
}

int bucket_remove(struct bucket *b, const char *key, struct xeno_err *err)
{
    xeno_autofree char *path = path_of(b, key);
    const struct xeno_signed_ask ask = { .method = "DELETE", .path = path, .body = "" };
    struct xeno_err e = XENO_ERR_INIT;
    int r = call_only(b, &ask, &e);

    if (r == -ENOENT)
        return 0;
    if (r < 0 && err)
        *err = e;
    return r;
}

/* --- lists --- */

/* The key of a list's item without our prefix; NULL: it is none of ours. The caller's. */
static char *key_of(const struct bucket *b, const struct xeno_xml_node *item)
{
    const struct xeno_xml_node *n = xeno_xml_child(item, "Key");
    xeno_autofree char *key = n ? xeno_xml_text(n) : NULL;
    size_t len = strlen(b->prefix);

    if (!key || strncmp(key, b->prefix, len) != 0 || !plain(key) || strlen(key) > BUCKET_KEY_MAX)
        return NULL;
    return xeno_strdup(key + len);
}

int bucket_list(struct bucket *b, const char *prefix, const char *after, int max,
                void (*each)(const char *key, void *arg), void *arg, struct xeno_err *err)
{
    xeno_autofree char *first = xeno_asprintf("%s%s", b->prefix, prefix);
    xeno_autofree char *last = xeno_asprintf("%s%s", b->prefix, after);
    xeno_autofree char *first_text = xeno_http_escape(first), *last_text = xeno_http_escape(last);
    xeno_autofree char *query =
        xeno_asprintf("list-type=2&max-keys=%d&prefix=%s%s%s", max < LIST_MAX ? max : LIST_MAX,
                      first_text, *after ? "&start-after=" : "", *after ? last_text : "");
    const struct xeno_signed_ask ask = {
        .method = "GET", .path = b->root, .query = query, .body = ""
    };
    xeno_auto(xeno_xml) x = NULL;
    const struct xeno_xml_node *n;
    int count = 0, r = call_xml(b, &ask, "ListBucketResult", &x, err);

    if (r < 0)
        return r;
    for (n = xeno_xml_child(xeno_xml_root(x), "Contents"); n && count < max;
         n = xeno_xml_next(n, "Contents")) {
        xeno_autofree char *key = key_of(b, n);

        if (!key || strcmp(key, after) <= 0)
            return xeno_fail(err, -ECONNRESET, "store.answer", "%s lists what was not asked for",
                             b->url);
        each(key, arg);
        count++;
    }
    return count;
}

int bucket_abort(struct bucket *b, const char *prefix, bool (*keep)(const char *key, void *arg),
                 void *arg, struct xeno_err *err)
{
    xeno_autofree char *first = xeno_asprintf("%s%s", b->prefix, prefix);
    xeno_autofree char *first_text = xeno_http_escape(first);
    xeno_autofree char *query =
        xeno_asprintf("max-uploads=%d&prefix=%s&uploads=", LIST_MAX, first_text);
    const struct xeno_signed_ask ask = {
        .method = "GET", .path = b->root, .query = query, .body = ""
    };
    xeno_auto(xeno_xml) x = NULL;
    const struct xeno_xml_node *n;
    int r = call_xml(b, &ask, "ListMultipartUploadsResult", &x, err);

    for (n = r == 0 ? xeno_xml_child(xeno_xml_root(x), "Upload") : NULL; n && r == 0;
         n = xeno_xml_next(n, "Upload")) {
        const struct xeno_xml_node *id = xeno_xml_child(n, "UploadId");
        xeno_autofree char *key = key_of(b, n), *text = id ? xeno_xml_token(id) : NULL;
        xeno_autofree char *escaped = text ? xeno_http_escape(text) : NULL;
        xeno_autofree char *path = key ? path_of(b, key) : NULL;

        if (key && escaped && !keep(key, arg))
            r = abort_upload(b, path, escaped, err);
    }
    return r;
}
