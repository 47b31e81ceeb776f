/* src/image/tests/test-registry.c - names, challenges, tokens, manifests and parts of blobs. */
#include "image/registry-priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"

#define BLOB_BYTES 20000

/* --- names --- */

#define SHA "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct {
    const char *text, *host, *repo, *tag, *digest; /* host NULL: refused */
} names[] = {
    { "oci://h/r", "h", "r", "latest", "" },
    { "oci://h:5000/a/b-c/d__e:1.2_3", "h:5000", "a/b-c/d__e", "1.2_3", "" },
    { "oci://[::1]:5/a", "[::1]:5", "a", "latest", "" },
    { "oci://h.example/a@" SHA, "h.example", "a", "", SHA },
    { "oci://h/a:t@" SHA, "h", "a", "", SHA },
    { "oci://h/a---b.c", "h", "a---b.c", "latest", "" },
    { "oci://h", NULL },
    { "oci://h/", NULL },
    { "oci:///a", NULL },
    { "https://h/a", NULL },
    { "oci://user@h/a", NULL },
    { "oci://h:0/a", NULL },
    { "oci://h:65536/a", NULL },
    { "oci://h:/a", NULL },
    { "oci://h/A", NULL },
    { "oci://h/../a", NULL },
    { "oci://h/a/../b", NULL },
    { "oci://h/a//b", NULL },
    { "oci://h/a/", NULL },
    { "oci://h/a..b", NULL },
    { "oci://h/a_-b", NULL },
    { "oci://h/a___b", NULL },
    { "oci://h/a%2f", NULL },
    { "oci://h/a?x", NULL },
    { "oci://h/a:", NULL },
    { "oci://h/a:.t", NULL },
    { "oci://h/a:t/b", NULL },
    { "oci://h/a@sha256:12", NULL },
    { "oci://h/a@" SHA "0", NULL },
    { "oci://h\n/a", NULL },
};

static void name_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(names); i++) {
        struct xeno_registry_name n = { .host = "old" };
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_registry_name_parse(names[i].text, &n, &err);

        print_message("%s: %s\n", names[i].text, err.text);
        if (!names[i].host) {
            assert_int_equal(r, -EINVAL);
            assert_string_equal(err.token, "oci.name");
            assert_string_equal(n.host, "old");
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(n.host, names[i].host);
        assert_string_equal(n.repo, names[i].repo);
        assert_string_equal(n.tag, names[i].tag);
        assert_string_equal(n.digest, names[i].digest);
    }
}

/* --- challenges and ranges --- */

static const struct {
    const char *text;
    bool ok, bearer;
    const char *realm, *service;
} challenges[] = {
    { "Bearer realm=\"https://a/t\",service=\"s\",scope=\"x\"", true, true, "https://a/t", "s" },
    { "bearer service=s , realm=\"a\\\"b\"", true, true, "a\"b", "s" },
    { "Bearer realm=\"a\",realm=\"b\"", true, true, "a", NULL },
    { "Bearer realm=\"a", false, false, NULL, NULL },
    { "Bearer service=\"a\"", false, false, NULL, NULL },
    { "Basic realm=\"x\"", true, false, "x", NULL },
    { "Basic", true, false, NULL, NULL },
    { "Basically realm=\"x\"", false, false, NULL, NULL },
    { "Negotiate", false, false, NULL, NULL },
    { "", false, false, NULL, NULL },
    { NULL, false, false, NULL, NULL },
};

static void same_text(const char *a, const char *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (a)
        assert_string_equal(a, b);
}

static void challenge_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(challenges); i++) {
        struct challenge c = { .realm = NULL };

        print_message("%s\n", challenges[i].text ? challenges[i].text : "(none)");
        assert_int_equal(registry_challenge_parse(challenges[i].text, &c), challenges[i].ok);
        assert_int_equal(c.bearer, challenges[i].bearer);
        same_text(c.realm, challenges[i].realm);
        same_text(c.service, challenges[i].service);
        registry_challenge_release(&c);
    }
}

static const struct {
    const char *text;
    bool ok;
    int64_t first, last;
} ranges[] = {
    { "bytes 5-9/10", true, 5, 9 },
    { "bytes 5-9/*", true, 5, 9 },
    { "0-99", true, 0, 99 },
    { "bytes 5-10/10", false, 0, 0 },
    { "bytes 9-5/10", false, 0, 0 },
    { "bytes */10", false, 0, 0 },
    { "bytes -5/10", false, 0, 0 },
    { "bytes 5-9/10x", false, 0, 0 },
    { "bytes 99999999999999999999-9/10", false, 0, 0 },
    { NULL, false, 0, 0 },
};

static void range_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(ranges); i++) {
        int64_t first = 0, last = 0;

        print_message("%s\n", ranges[i].text ? ranges[i].text : "(none)");
        assert_int_equal(registry_range_parse(ranges[i].text, &first, &last), ranges[i].ok);
        assert_int_equal(first, ranges[i].first);
        assert_int_equal(last, ranges[i].last);
    }
}

/* --- a fake registry --- */

static struct fake f;
static char blob[BLOB_BYTES + 4096], blob_digest[XENO_DIGEST_TEXT];

static void digest_of(const void *data, size_t len, char out[XENO_DIGEST_TEXT])
{
    uint8_t sha[32];

    xeno_sha256_of(data, len, sha);
    xeno_digest_text(sha, out);
}

static void start(void (*answer)(struct fake *, const struct fake_request *, struct xeno_buf *))
{
    for (size_t i = 0; i < sizeof(blob); i++)
        blob[i] = (char)(i * 7 + i / 251);
    digest_of(blob, BLOB_BYTES, blob_digest);
    fake_start(&f, answer);
}

static struct xeno_registry *open_registry(const char *password)
{
    struct xeno_registry_opts o = { .loop = f.loop,
                                    .http = f.http,
                                    .env = xeno_env_real(),
                                    .base = f.base,
                                    .repo = "a/b",
                                    .password = password };
    struct xeno_registry *r = NULL;

    assert_int_equal(xeno_registry_new(&o, &r, NULL), 0);
    return r;
}

/* --- parts of blobs --- */

static enum trick {
    RIGHT,
    NO_RANGES,
    SHORTER,      /* than it was asked for, and says so */
    BREAKS_OFF,   /* after half of it, each time */
    TRICKLES_OFF, /* after one byte, each time */
    OTHER_RANGE,
    LONGER,
    SAYS_SHORTER,
    GONE,
    BUSY_FIRST,
    EMPTY,
} trick;

static void serve_blob(struct fake *fk, const struct fake_request *q, struct xeno_buf *out)
{
    long long first = 0, last = BLOB_BYTES - 1;
    char range[64] = "", extra[128] = "";
    bool ranged = fake_header(q, "Range", range, sizeof(range)) && trick != NO_RANGES &&
                  sscanf(range, "bytes=%lld-%lld", &first, &last) == 2;
    size_t len, said;

    if (trick == GONE || (trick == BUSY_FIRST && fk->asked == 1)) {
        fake_reply(out, trick == GONE ? 404 : 429, "", "{}", 2);
        return;
    }
    if (trick == SHORTER && last - first > 999)
        last = first + 999;
    if (trick == OTHER_RANGE)
        first++;
    len = said = (size_t)(last - first + 1);
    if (trick == LONGER)
        said = len = len + 100;
    if (trick == BREAKS_OFF)
        len = len > 1 ? len / 2 : len;
    if (trick == TRICKLES_OFF)
        len = 1;
    if (trick == SAYS_SHORTER)
        said = len = len - 1;
    if (trick == EMPTY)
        said = len = 0;
    if (ranged)
        snprintf(extra, sizeof(extra), "Content-Range: bytes %lld-%lld/%d\r\n", first, last,
                 BLOB_BYTES);
    xeno_buf_printf(out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
                    ranged ? 206 : 200, said, extra);
    xeno_buf_add(out, blob + first, len);
}

static const struct {
    const char *what;
    enum trick trick;
    const char *token; /* "": all is well */
    unsigned asked_min, asked_max;
} parts[] = {
    { "right", RIGHT, "", 1, 1 },
    { "no ranges", NO_RANGES, "oci.range", 1, 1 },
    { "shorter ranges", SHORTER, "", 9, 9 },
    { "breaks off", BREAKS_OFF, "http.transport", 9, 9 },
    { "trickles off", TRICKLES_OFF, "http.transport", 9, 9 },
    { "another range", OTHER_RANGE, "oci.answer", 1, 1 },
    { "longer", LONGER, "image.corrupt", 1, 1 },
    { "gone", GONE, "oci.unknown", 1, 1 },
    { "busy at first", BUSY_FIRST, "", 2, 2 },
    { "nothing", EMPTY, "image.corrupt", 1, 1 },
};

static void reading_a_part(void **state)
{
    (void)state;
    start(serve_blob);
    for (size_t i = 0; i < XENO_LEN(parts); i++) {
        xeno_auto(xeno_registry) r = open_registry(NULL);
        struct xeno_err err = XENO_ERR_INIT;
        static char got[10000];
        int n;

        trick = parts[i].trick;
        fake_reset(&f);
        memset(got, 0, sizeof(got));
        n = xeno_registry_read(r, blob_digest, 5000, trick == SHORTER ? 8001 : 10000, got, &err);
        print_message("%s: %s\n", parts[i].what, err.text);
        assert_string_equal(err.token, parts[i].token);
        assert_int_equal(n == 0, parts[i].token[0] == '\0');
        assert_in_range(f.asked, parts[i].asked_min, parts[i].asked_max);
        if (n == 0)
            assert_memory_equal(got, blob + 5000, trick == SHORTER ? 8001 : 10000);
    }
    fake_stop(&f);
}

struct whole {
    struct xeno_buf data;
    struct xeno_err err;
    bool over;
};

static int keep(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct whole *w = arg;

    (void)err;
    xeno_buf_add(&w->data, data, len);
    return 0;
}

static void ended(const struct xeno_err *err, void *arg)
{
    struct whole *w = arg;

    w->over = true;
    if (err)
        w->err = *err;
}

static const struct {
    const char *what;
    enum trick trick;
    const char *token;
} wholes[] = {
    { "right", RIGHT, "" },
    { "no ranges", NO_RANGES, "" },
    { "breaks off", BREAKS_OFF, "http.transport" },
    { "says another length", SAYS_SHORTER, "image.corrupt" },
    { "longer", LONGER, "image.corrupt" },
};

static void fetching_all_of_a_blob(void **state)
{
    (void)state;
    start(serve_blob);
    for (size_t i = 0; i < XENO_LEN(wholes); i++) {
        xeno_auto(xeno_registry) r = open_registry(NULL);
        struct whole w = { .over = false };

        trick = wholes[i].trick;
        xeno_registry_fetch(r, &(struct xeno_registry_fetch){ .digest = blob_digest,
                                                              .len = BLOB_BYTES,
                                                              .blob_bytes = BLOB_BYTES,
                                                              .sink = keep,
                                                              .done = ended,
                                                              .arg = &w });
        assert_int_equal(registry_run(r, &w.over, NULL), 0);
        print_message("%s: %s\n", wholes[i].what, w.err.text);
        assert_string_equal(w.err.token, wholes[i].token);
        if (w.err.code == 0) {
            assert_int_equal(w.data.len, BLOB_BYTES);
            assert_memory_equal(w.data.data, blob, BLOB_BYTES);
        }
        xeno_buf_release(&w.data);
    }
    fake_stop(&f);
}

static void many_parts_and_one_that_fails(void **state)
{
    static char got[16][1000];
    struct xeno_registry_part list[16];
    xeno_auto(xeno_registry) r = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    start(serve_blob);
    trick = RIGHT;
    r = open_registry(NULL);
    for (size_t i = 0; i < 16; i++)
        list[i] = (struct xeno_registry_part){ (int64_t)(15 - i) * 1100, 1000, got[i] };
    assert_int_equal(xeno_registry_read_parts(r, blob_digest, list, 16, NULL), 0);
    for (size_t i = 0; i < 16; i++)
        assert_memory_equal(got[i], blob + (15 - i) * 1100, 1000);
    assert_int_equal(xeno_registry_counted(r)->in_bytes, 16000);
    trick = GONE;
    fake_reset(&f);
    assert_int_equal(xeno_registry_read_parts(r, blob_digest, list, 16, &err), -ENOENT);
    assert_in_range(f.asked, 1, 8);
    xeno_registry_free(xeno_take(&r));
    fake_stop(&f);
}

/* --- tokens --- */

static unsigned tokens;
static const char *challenge;
static bool always_401;

static void serve_guarded(struct fake *fk, const struct fake_request *q, struct xeno_buf *out)
{
    char auth[128] = "", want[64], extra[256];

    (void)fk;
    fake_header(q, "Authorization", auth, sizeof(auth));
    if (strncmp(q->target, "/token", 6) == 0) {
        char body[64];

        tokens++;
        assert_non_null(strstr(q->target, "scope=repository%3Aa%2Fb%3Apull"));
        assert_null(strstr(q->target, "%3Apull%2Cpush"));
        if (strcmp(auth, "") != 0 && strcmp(auth, "Basic dTpw") != 0) {
            fake_reply(out, 401, "", "{}", 2);
            return;
        }
        snprintf(body, sizeof(body), "{\"token\":\"t%u\"}", tokens);
        fake_reply(out, 200, "", body, strlen(body));
        return;
    }
    snprintf(want, sizeof(want), "Bearer t%u", tokens);
    if (always_401 || (strcmp(auth, want) != 0 && strcmp(auth, "Basic dTpw") != 0)) {
        snprintf(extra, sizeof(extra), "WWW-Authenticate: %s\r\n", challenge);
        fake_reply(out, 401, extra, "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}", 37);
        return;
    }
    serve_blob(fk, q, out);
}

static const struct {
    const char *what, *password, *challenge, *token;
    bool always;
    unsigned tokens;
} logins[] = {
    { "nobody's token", NULL, "Bearer realm=\"%stoken\",service=\"x y\"", "", false, 1 },
    { "with a password", "dTpw", "Bearer realm=\"%stoken\"", "", false, 1 },
    { "a wrong password", "d3Jv", "Bearer realm=\"%stoken\"", "oci.denied", false, 1 },
    { "the password itself", "dTpw", "Basic realm=\"x\"", "", false, 0 },
    { "no password", NULL, "Basic realm=\"x\"", "oci.denied", false, 0 },
    { "a token before a password", NULL,
      "Nonsense\r\nWWW-Authenticate: Bearer realm=\"%stoken\"\r\nWWW-Authenticate: Basic", "",
      false, 1 },
    { "no challenge", NULL, "Nonsense", "oci.denied", false, 0 },
    { "again and again", NULL, "Bearer realm=\"%stoken\"", "oci.denied", true, 1 },
    { "again and again, basic", "dTpw", "Basic realm=\"x\"", "oci.denied", true, 0 },
};

static void tokens_are_fetched_once(void **state)
{
    static char got[8][100];
    struct xeno_registry_part list[8];

    (void)state;
    start(serve_guarded);
    trick = RIGHT;
    for (size_t i = 0; i < 8; i++)
        list[i] = (struct xeno_registry_part){ (int64_t)i * 100, 100, got[i] };
    for (size_t i = 0; i < XENO_LEN(logins); i++) {
        xeno_auto(xeno_registry) r = open_registry(logins[i].password);
        xeno_autofree char *base = xeno_asprintf("%s/", f.base);
        xeno_autofree char *text = xeno_asprintf(logins[i].challenge, base);
        struct xeno_err err = XENO_ERR_INIT;

        tokens = 0;
        challenge = text;
        always_401 = logins[i].always;
        fake_reset(&f);
        xeno_registry_read_parts(r, blob_digest, list, 8, &err);
        print_message("%s: %s\n", logins[i].what, err.text);
        assert_string_equal(err.token, logins[i].token);
        assert_int_equal(tokens, logins[i].tokens);
        if (err.code == 0) {
            assert_memory_equal(got, blob, 800);
            tokens = tokens ? tokens + 1 : 0; /* the one we have is over: another is fetched */
            assert_int_equal(xeno_registry_read_parts(r, blob_digest, list, 8, NULL), 0);
        }
        assert_in_range(f.asked, 1, 34); /* each part at most twice, and a token, both times */
    }
    fake_stop(&f);
}

/* --- manifests --- */

static char manifest[512], manifest_digest[XENO_DIGEST_TEXT], index_text[1024];
static char index_digest[XENO_DIGEST_TEXT];
static const char *says; /* Docker-Content-Digest */

static void serve_manifests(struct fake *fk, const struct fake_request *q, struct xeno_buf *out)
{
    char extra[160] = "";
    const char *ref = strrchr(q->target, '/') + 1;

    (void)fk;
    if (says)
        snprintf(extra, sizeof(extra), "Docker-Content-Digest: %s\r\n", says);
    if (strcmp(ref, "multi") == 0 || strcmp(ref, index_digest) == 0)
        fake_reply(out, 200, extra, index_text, strlen(index_text));
    else if (strcmp(ref, "loop") == 0)
        fake_reply(out, 307, "Location: /v2/a/b/manifests/loop\r\n", "", 0);
    else if (strcmp(ref, "none") == 0)
        fake_reply(out, 404, "", "", 0);
    else
        fake_reply(out, 200, extra, manifest, strlen(manifest));
}

static void make_index(const char *arch, const char *digest, size_t size)
{
    snprintf(index_text, sizeof(index_text),
             "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" XENO_MT_MANIFEST
             "\",\"digest\":\"" SHA "\",\"size\":1,\"platform\":{\"architecture\":\"none\","
             "\"os\":\"linux\"}},{\"mediaType\":\"" XENO_MT_MANIFEST
             "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"architecture\":\"%s\","
             "\"os\":\"linux\"}}]}",
             digest, size, arch);
    digest_of(index_text, strlen(index_text), index_digest);
}

static const struct {
    const char *what, *ref, *says, *arch, *token;
    int size_off;
} manifests[] = {
    { "by tag", "tag", NULL, "amd64", "", 0 },
    { "by digest", "@", NULL, "amd64", "", 0 },
    { "of an index", "multi", NULL, "amd64", "", 0 },
    { "no such machine", "multi", NULL, "arm64", "image.arch", 0 },
    { "the index says another size", "multi", NULL, "amd64", "image.corrupt", 1 },
    { "another digest", SHA, NULL, "amd64", "image.corrupt", 0 },
    { "the header says another digest", "tag", SHA, "amd64", "image.corrupt", 0 },
    { "no such tag", "none", NULL, "amd64", "oci.unknown", 0 },
};

static void manifest_rows(void **state)
{
    (void)state;
    start(serve_manifests);
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}");
    digest_of(manifest, strlen(manifest), manifest_digest);
    for (size_t i = 0; i < XENO_LEN(manifests); i++) {
        xeno_auto(xeno_registry) r = open_registry(NULL);
        struct xeno_err err = XENO_ERR_INIT;
        const char *ref = manifests[i].ref[0] == '@' ? manifest_digest : manifests[i].ref;
        char digest[XENO_DIGEST_TEXT] = "";
        xeno_autofree char *text = NULL;
        size_t len = 0;
        int n;

        make_index("amd64", manifest_digest, strlen(manifest) + (size_t)manifests[i].size_off);
        says = manifests[i].says;
        n = xeno_registry_manifest(r, ref, manifests[i].arch, &text, &len, digest, &err);
        print_message("%s: %s\n", manifests[i].what, err.text);
        assert_string_equal(err.token, manifests[i].token);
        if (n == 0) {
            assert_string_equal(digest, manifest_digest);
            assert_int_equal(len, strlen(manifest));
        }
    }
    fake_stop(&f);
}

/* --- passwords --- */

static const struct {
    const char *host, *repo, *want; /* NULL: none */
} passwords[] = {
    { "h", "a", "aDph" },    { "h", "a/b", "aDphYg==" }, { "h", "a/bc", "aDph" },
    { "h:5", "a", NULL },    { "old", "x", "b2xk" },     { "nowhere", "a", NULL },
    { "helped", "a", NULL },
};

static void password_rows(void **state)
{
    static const char text[] = "{\"auths\":{\"h\":{\"auth\":\"aDph\"},\"h/a/b\":{\"auth\":"
                               "\"aDphYg==\"},\"https://old/v1/\":{\"auth\":\"b2xk\"},"
                               "\"helped\":{}},\"credsStore\":\"x\"}";
    char path[] = "/tmp/xeno-auth-XXXXXX";
    int fd = mkstemp(path);
    char *got;

    (void)state;
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    for (size_t i = 0; i < XENO_LEN(passwords); i++) {
        print_message("%s/%s\n", passwords[i].host, passwords[i].repo);
        assert_int_equal(
            xeno_registry_password(path, passwords[i].host, passwords[i].repo, &got, NULL), 0);
        same_text(got, passwords[i].want);
        free(got);
    }
    assert_int_equal(ftruncate(fd, 20), 0);
    assert_int_equal(xeno_registry_password(path, "h", "a", &got, NULL), -EINVAL);
    close(fd);
    unlink(path);
    assert_int_equal(xeno_registry_password(path, "h", "a", &got, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_rows),
        cmocka_unit_test(challenge_rows),
        cmocka_unit_test(range_rows),
        cmocka_unit_test(reading_a_part),
        cmocka_unit_test(fetching_all_of_a_blob),
        cmocka_unit_test(many_parts_and_one_that_fails),
        cmocka_unit_test(tokens_are_fetched_once),
        cmocka_unit_test(manifest_rows),
        cmocka_unit_test(password_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
