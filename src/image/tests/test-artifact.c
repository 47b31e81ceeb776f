/* src/image/tests/test-artifact.c - documents at a registry: put, fetched, and what a registry that
 * lies can make of them. */
#include "image/artifact.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define TEXT     "a document"
#define MANIFEST "/v2/a/b/manifests/"

static const struct xeno_artifact_type type = { "application/x-thing", "application/x-thing+text" };

static enum trick {
    RIGHT,
    NOTHING,
    ANOTHER_TYPE,
    ANOTHER_LAYER_TYPE,
    NO_LAYER,
    TWO_LAYERS,
    NO_DIGEST,
    TOO_LONG,
    OTHER_CONTENT,
    NO_JSON,
    ELSEWHERE, /* sends uploads to another host */
} trick;

static struct fake f;
static char kept[4096]; /* the manifest that was put */
static struct xeno_buf sent;

static void digest_of(const char *text, char out[XENO_DIGEST_TEXT])
{
    uint8_t sha[32];

    xeno_sha256_of(text, strlen(text), sha);
    xeno_digest_text(sha, out);
}

static char *layer(enum trick how)
{
    char digest[XENO_DIGEST_TEXT];

    digest_of(TEXT, digest);
    return xeno_asprintf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}",
                         how == ANOTHER_LAYER_TYPE ? "text/plain" : type.layer,
                         how == NO_DIGEST ? "sha256:../../x" : digest,
                         how == TOO_LONG ? (size_t)1 << 40 : strlen(TEXT));
}

static char *manifest(void)
{
    xeno_autofree char *one = layer(trick);

    if (trick == NO_JSON)
        return xeno_strdup("{");
    return xeno_asprintf("{\"schemaVersion\":2,\"artifactType\":\"%s\",\"layers\":[%s%s%s]}",
                         trick == ANOTHER_TYPE ? "application/x-other" : type.artifact,
                         trick == NO_LAYER ? "" : one, trick == TWO_LAYERS ? "," : "",
                         trick == TWO_LAYERS ? one : "");
}

static void answer_get(const struct fake_request *q, struct xeno_buf *out)
{
    xeno_autofree char *text = manifest();

    if (trick == NOTHING)
        fake_reply(out, 404, "", "", 0);
    else if (strncmp(q->target, MANIFEST, strlen(MANIFEST)) == 0)
        fake_reply(out, 200, "", text, strlen(text));
    else if (trick == OTHER_CONTENT)
        fake_reply(out, 200, "", "a dooument", strlen(TEXT));
    else
        fake_reply(out, 200, "", TEXT, strlen(TEXT));
}

static void answer(struct fake *fake, const struct fake_request *q, struct xeno_buf *out)
{
    (void)fake;
    if (strcmp(q->method, "GET") == 0) {
        answer_get(q, out);
    } else if (strcmp(q->method, "HEAD") == 0) {
        fake_reply(out, 404, "", "", 0);
    } else if (strcmp(q->method, "POST") == 0) {
        fake_reply(out, 202,
                   trick == ELSEWHERE ? "Location: http://192.0.2.1/v2/a/b/blobs/uploads/1\r\n"
                                      : "Location: /v2/a/b/blobs/uploads/1?state=x\r\n",
                   "", 0);
    } else {
        if (strncmp(q->target, MANIFEST, strlen(MANIFEST)) == 0)
            snprintf(kept, sizeof(kept), "%.*s", (int)q->body_len, q->body);
        else
            xeno_buf_add(&sent, q->body, q->body_len);
        fake_reply(out, 201, "", "", 0);
    }
}

static struct xeno_registry *opened(void)
{
    struct xeno_registry_opts o = { .loop = f.loop,
                                    .http = f.http,
                                    .env = xeno_env_real(),
                                    .base = f.base,
                                    .repo = "a/b",
                                    .write = true };
    struct xeno_registry *r = NULL;

    assert_int_equal(xeno_registry_new(&o, &r, NULL), 0);
    return r;
}

static void fetched(void **state)
{
    static const struct {
        enum trick trick;
        int code;
        const char *token;
    } rows[] = {
        { RIGHT, 0, "" },
        { NOTHING, -ENOENT, "oci.unknown" },
        { ANOTHER_TYPE, -EPROTO, "oci.artifact" },
        { ANOTHER_LAYER_TYPE, -EPROTO, "oci.artifact" },
        { NO_LAYER, -EPROTO, "oci.artifact" },
        { TWO_LAYERS, -EINVAL, "json.range" },
        { NO_DIGEST, -EPROTO, "oci.artifact" },
        { TOO_LONG, -EFBIG, "oci.artifact" },
        { OTHER_CONTENT, -EBADMSG, "image.corrupt" },
        { NO_JSON, -EINVAL, "json.syntax" },
    };

    (void)state;
    fake_start(&f, answer);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_registry) r = opened();
        xeno_autofree char *text = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        size_t len = 77;

        trick = rows[i].trick;
        print_message("%zu %s\n", i, rows[i].token);
        assert_int_equal(xeno_artifact_get(r, "t", &type, 100, &text, &len, &err), rows[i].code);
        assert_string_equal(err.token, rows[i].token);
        assert_int_equal(len, rows[i].code == 0 ? strlen(TEXT) : 77);
        if (rows[i].code == 0)
            assert_string_equal(text, TEXT);
    }
    fake_stop(&f);
}

/* What was put is what a registry that keeps it as it came gives back. */
static void put(void **state)
{
    xeno_autofree char *expected = NULL;

    (void)state;
    fake_start(&f, answer);
    for (trick = RIGHT; trick <= ELSEWHERE; trick += ELSEWHERE) {
        xeno_auto(xeno_registry) r = opened();
        struct xeno_err err = XENO_ERR_INIT;
        int n;

        kept[0] = '\0';
        xeno_buf_release(&sent);
        n = xeno_artifact_put(r, "t", &type, TEXT, strlen(TEXT), &err);
        if (trick == ELSEWHERE) {
            assert_int_equal(n, -EPROTO);
            assert_string_equal(err.token, "oci.answer");
            assert_string_equal(kept, "");
            assert_int_equal(sent.len, 0);
            continue;
        }
        assert_int_equal(n, 0);
        assert_string_equal(sent.data, "{}" TEXT);
        expected = layer(RIGHT);
        assert_non_null(strstr(kept, expected));
        assert_non_null(strstr(kept, "\"artifactType\":\"application/x-thing\""));
        assert_non_null(strstr(f.log.data, "PUT /v2/a/b/blobs/uploads/1?state=x&digest=sha256:"));
        assert_non_null(strstr(f.log.data, "PUT " MANIFEST "t\n"));
    }
    xeno_buf_release(&sent);
    fake_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(fetched), cmocka_unit_test(put) };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
