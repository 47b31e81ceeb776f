/* src/doc/revoke.c - the signed list of revoked credentials. */
#include "doc/revoke.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/jws.h"

void xeno_revocations_free(struct xeno_revocations *l)
{
    if (!l)
        return;
    free(l->serials);
    free(l);
}

static bool serial_ok(const char *text)
{
    size_t n = strspn(text, "0123456789abcdef");

    return n > 0 && n < XENO_SERIAL_TEXT && n % 2 == 0 && text[n] == '\0';
}

static int bad_serial(size_t i, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "revoke.serial",
                     "serials[%zu]: not a serial number (2 to %d lower-case hexadecimal digits)", i,
                     XENO_SERIAL_TEXT - 1);
}

int xeno_revocations_sign(const struct xeno_key *corp, int64_t version, xeno_time issued,
                          xeno_time next, const char *const *serials, size_t count, char **ret,
                          struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    xeno_autofree char *text = NULL;
    struct xeno_json *list;
    size_t len;

    if (count > XENO_REVOCATIONS_MAX)
        return xeno_fail(err, -E2BIG, "revoke.size", "%zu revoked credentials, at most %d", count,
                         XENO_REVOCATIONS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!serial_ok(serials[i]))
            return bad_serial(i, err);
    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_int(doc, "version", version);
    xeno_json_set_int(doc, "issued_ms", issued.ns / XENO_NS_PER_MS);
    xeno_json_set_int(doc, "next_ms", next.ns / XENO_NS_PER_MS);
    list = xeno_json_array();
    for (size_t i = 0; i < count; i++)
        xeno_json_append_str(list, serials[i]);
    xeno_json_set(doc, "serials", list);
    text = xeno_json_format(doc, false, &len);
    *ret = xeno_jws_sign(corp, XENO_TYP_REVOCATIONS, text, len);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int read_serials(const struct xeno_json_at *top, struct xeno_revocations *l,
                        struct xeno_err *err)
{
    struct xeno_json_at list;
    const char *text;
    size_t count;
    int r;

    r = xeno_json_arr(top, "serials", XENO_REVOCATIONS_MAX, &list, &count, err);
    if (r < 0)
        return r;
    l->serials = xeno_alloc0(count + 1, XENO_SERIAL_TEXT);
    for (size_t i = 0; i < count; i++) {
        r = xeno_json_item_str(&list, i, 1, XENO_SERIAL_TEXT - 1, &text, err);
        if (r < 0)
            return r;
        if (!serial_ok(text))
            return bad_serial(i, err);
        strcpy(l->serials[l->count++], text); /* its length was checked */
    }
    qsort(l->serials, l->count, XENO_SERIAL_TEXT, by_text);
    return 0;
}

int xeno_revocations_read(const char *text, size_t len, const struct xeno_pub *corp,
                          struct xeno_revocations **ret, struct xeno_err *err)
{
    static const char *const known[] = { "v", "version", "issued_ms", "next_ms", "serials", NULL };
    xeno_auto(xeno_revocations) l = NULL;
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_jws_check(jws, XENO_TYP_REVOCATIONS, corp, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, XENO_JWS_MAX, &doc, err);
    if (r < 0)
        return r;
    l = xeno_new0(struct xeno_revocations);
    l->corp = jws->kid;
    top = xeno_json_top(doc);
    r = xeno_doc_version(&top, err);
    if (r == 0)
        r = xeno_json_only(&top, known, err);
    if (r == 0)
        r = xeno_json_int(&top, "version", 0, INT64_MAX, &l->version, err);
    if (r == 0)
        r = xeno_doc_time(&top, "issued_ms", 0, &l->issued, err);
    if (r == 0)
        r = xeno_doc_time(&top, "next_ms", 0, &l->next, err);
    if (r == 0)
        r = read_serials(&top, l, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&l);
    return 0;
}

bool xeno_revocations_has(const struct xeno_revocations *l, const char *serial)
{
    char key[XENO_SERIAL_TEXT];

    if (!l || strlen(serial) >= sizeof key)
        return false;
    strcpy(key, serial);
    return bsearch(key, l->serials, l->count, XENO_SERIAL_TEXT, by_text) != NULL;
}
