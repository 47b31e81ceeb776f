/* src/doc/complaint.c - complaints: making and reading. */
#include "doc/complaint.h"

#include <errno.h>
#include <string.h>

#include "crypto/jws.h"

static const char *const words[XENO_COMPLAINT_COUNT] = {
    [XENO_COMPLAINT_RESOURCES] = "resources", [XENO_COMPLAINT_PRICE] = "price",
    [XENO_COMPLAINT_ISOLATION] = "isolation", [XENO_COMPLAINT_LATENCY] = "latency",
    [XENO_COMPLAINT_LOCATION] = "location",   [XENO_COMPLAINT_IMAGES] = "images",
    [XENO_COMPLAINT_ACCESS] = "access",       [XENO_COMPLAINT_OTHER] = "other",
};

const char *xeno_complaint_word(enum xeno_complaint_about about)
{
    return words[about];
}

bool xeno_complaint_about_parse(const char *word, enum xeno_complaint_about *ret)
{
    for (size_t i = 0; i < XENO_LEN(words); i++) {
        if (strcmp(words[i], word) == 0) {
            *ret = (enum xeno_complaint_about)i;
            return true;
        }
    }
    return false;
}

char *xeno_complaint_sign(const struct xeno_key *client, const struct xeno_complaint *c)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_json *receipts = xeno_json_array();
    struct xeno_id id = xeno_id_of(xeno_key_pub(client));
    xeno_autofree char *text = NULL;
    size_t len;

    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_str(doc, "client", id.s);
    xeno_json_set_str(doc, "server", c->server.s);
    xeno_json_set_str(doc, "session", c->session);
    xeno_json_set_str(doc, "about", words[c->about]);
    xeno_json_set_str(doc, "text", c->text);
    xeno_json_set_str(doc, "advert", c->advert);
    xeno_json_set_str(doc, "delta", c->delta);
    for (size_t i = 0; i < c->receipt_count; i++)
        xeno_json_append_str(receipts, c->receipts[i]);
    xeno_json_set(doc, "receipts", receipts);
    xeno_json_set_int(doc, "time_ms", c->time.ns / XENO_NS_PER_MS);
    text = xeno_json_format(doc, false, &len);
    return xeno_jws_sign(client, XENO_TYP_COMPLAINT, text, len);
}

static int read_id(const struct xeno_json_at *at, const char *key, struct xeno_id *ret,
                   struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, XENO_ID_CHARS, XENO_ID_CHARS, &text, err);

    if (r < 0)
        return r;
    if (!xeno_id_ok(text))
        return xeno_fail(err, -EINVAL, "complaint.id", "%s: '%.40s' is no id", key, text);
    memcpy(ret->s, text, sizeof ret->s);
    return 0;
}

static int read_receipts(const struct xeno_json_at *at, struct xeno_complaint *c,
                         struct xeno_err *err)
{
    struct xeno_json_at list;
    int r = xeno_json_arr(at, "receipts", XENO_COMPLAINT_RECEIPTS, &list, &c->receipt_count, err);

    for (size_t i = 0; r == 0 && i < c->receipt_count; i++)
        r = xeno_json_item_str(&list, i, 1, XENO_COMPLAINT_SIGNED, &c->receipts[i], err);
    return r;
}

static int read_words(const struct xeno_json_at *at, struct xeno_complaint *c, struct xeno_err *err)
{
    const char *about, *session;
    int r = xeno_json_str(at, "about", 1, XENO_COMPLAINT_WORD_MAX, &about, err);

    if (r == 0 && !xeno_complaint_about_parse(about, &c->about))
        r = xeno_fail(err, -EINVAL, "complaint.about", "about: '%.16s' is none of the words",
                      about);
    if (r == 0)
        r = xeno_json_str(at, "session", XENO_SESSION_ID_CHARS, XENO_SESSION_ID_CHARS, &session,
                          err);
    if (r < 0)
        return r;
    memcpy(c->session, session, sizeof c->session);
    c->text = "";
    r = xeno_json_str_opt(at, "text", 0, XENO_COMPLAINT_TEXT, &c->text, err);
    return r < 0 ? r : 0;
}

static int read_all(const struct xeno_json_at *at, struct xeno_complaint *c, struct xeno_err *err)
{
    static const char *const known[] = { "v",      "client", "server",   "session", "about", "text",
                                         "advert", "delta",  "receipts", "time_ms", NULL };
    int r = xeno_doc_version(at, err);

    if (r == 0)
        r = xeno_json_only(at, known, err);
    if (r == 0)
        r = read_id(at, "client", &c->client, err);
    if (r == 0)
        r = read_id(at, "server", &c->server, err);
    if (r == 0)
        r = read_words(at, c, err);
    if (r == 0)
        r = xeno_json_str(at, "advert", 1, XENO_COMPLAINT_SIGNED, &c->advert, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "delta", 1, XENO_COMPLAINT_SIGNED, &c->delta, err);
    if (r >= 0)
        r = read_receipts(at, c, err);
    if (r == 0)
        r = xeno_doc_time(at, "time_ms", 1, &c->time, err);
    return r;
}

int xeno_complaint_read(const char *text, size_t len, const struct xeno_pub *client,
                        struct xeno_json **ret_doc, struct xeno_complaint *ret,
                        struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_complaint c = { .text = NULL };
    struct xeno_json_at at;
    int r;

    if (len > XENO_COMPLAINT_MAX)
        return xeno_fail(err, -EFBIG, "complaint.size", "a complaint has %zu bytes, at most %d",
                         len, XENO_COMPLAINT_MAX);
    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_jws_check(jws, XENO_TYP_COMPLAINT, client, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, XENO_COMPLAINT_MAX, &doc, err);
    if (r < 0)
        return r;
    at = xeno_json_top(doc);
    r = read_all(&at, &c, err);
    if (r == 0 && strcmp(c.client.s, jws->kid.s) != 0)
        r = xeno_fail(err, -EPERM, "complaint.client", "the complaint of %s is signed by %s",
                      c.client.s, jws->kid.s);
    if (r < 0)
        return r;
    *ret_doc = xeno_take(&doc);
    *ret = c;
    return 0;
}
