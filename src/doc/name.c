/* src/doc/name.c - signed names: statements, and which of two counts. */
#include "doc/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/jws.h"

#define SEQUENCE_MAX ((INT64_C(1) << 53) - 1) /* what every JSON reader can tell apart */

static const char *kind_of(const struct xeno_name *n)
{
    return n->overlay ? "overlay" : "template";
}

/* --- words --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool xeno_name_word_ok(const char *word)
{
    size_t len = strlen(word);

    if (len == 0 || len > XENO_NAME_WORD_MAX || !is_letter(word[0]) || !is_letter(word[len - 1]))
        return false;
    for (size_t i = 1; i < len; i++) {
        if (!is_letter(word[i]) && (!strchr("._-", word[i]) || !is_letter(word[i - 1])))
            return false;
    }
    return true;
}

int xeno_name_ref_parse(const char *text, struct xeno_name_ref *ret, struct xeno_err *err)
{
    struct xeno_name_ref ref = { .publisher = "" };
    char words[3][XENO_NAME_WORD];
    const char *at = text;
    bool whole = false;
    size_t count = 0;

    while (count < XENO_LEN(words) && !whole) {
        size_t len = strcspn(at, "/");

        snprintf(words[count], sizeof words[count], "%.*s", len > XENO_NAME_WORD_MAX ? 0 : (int)len,
                 at);
        if (!xeno_name_word_ok(words[count++]))
            break;
        whole = at[len] == '\0';
        at += len + !whole;
    }
    if (!whole || count < 2)
        return xeno_fail(err, -EINVAL, "name.ref",
                         "'%.200s' is not [PUBLISHER/]NAME/VERSION, each of at most %d lower-case "
                         "letters and digits joined by one of . _ -",
                         text, XENO_NAME_WORD_MAX);
    if (count == 3)
        memcpy(ref.publisher, words[0], sizeof words[0]);
    memcpy(ref.name, words[count - 2], sizeof words[0]);
    memcpy(ref.version, words[count - 1], sizeof words[0]);
    *ret = ref;
    return 0;
}

/* --- making --- */

char *xeno_name_sign(const struct xeno_key *publisher, const struct xeno_name *n)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_id id = xeno_id_of(xeno_key_pub(publisher));
    xeno_autofree char *text = NULL;
    char key[XENO_PUB_TEXT];
    size_t len;

    xeno_pub_text(xeno_key_pub(publisher), key);
    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_str(doc, "publisher", id.s);
    xeno_json_set_str(doc, "key", key);
    xeno_json_set_str(doc, "name", n->name);
    xeno_json_set_str(doc, "version", n->version);
    xeno_json_set_int(doc, "sequence", n->sequence);
    xeno_json_set_str(doc, "digest", n->digest);
    xeno_json_set_str(doc, "kind", kind_of(n));
    xeno_json_set_bool(doc, "moves", n->moves);
    xeno_json_set_int(doc, "issued_ms", n->issued.ns / XENO_NS_PER_MS);
    if (n->moves)
        xeno_json_set_int(doc, "expires_ms", n->expires.ns / XENO_NS_PER_MS);
    text = xeno_json_format(doc, false, &len);
    return xeno_jws_sign(publisher, XENO_TYP_NAME, text, len);
}

int64_t xeno_name_next(int64_t last, xeno_time now)
{
    int64_t s = now.ns / XENO_NS_PER_S;

    return s > last ? s : last + 1;
}

/* --- reading --- */

static int read_word(const struct xeno_json_at *top, const char *key, char ret[XENO_NAME_WORD],
                     struct xeno_err *err)
{
    const char *text = NULL;
    int r = xeno_json_str(top, key, 1, XENO_NAME_WORD_MAX, &text, err);

    if (r == 0 && !xeno_name_word_ok(text))
        r = xeno_fail(err, -EINVAL, "name.word",
                      "%s: lower-case letters and digits joined by one of . _ -", key);
    if (r == 0)
        snprintf(ret, XENO_NAME_WORD, "%s", text);
    return r;
}

/* The key that the statement brings along; jws_check() then wants the header to name its id. */
static int read_key(const struct xeno_json_at *top, struct xeno_pub *ret, struct xeno_err *err)
{
    const char *text = NULL;
    int r = xeno_json_str(top, "key", XENO_PUB_TEXT - 1, XENO_PUB_TEXT - 1, &text, err);

    if (r == 0 && !xeno_pub_parse(text, ret))
        r = xeno_fail(err, -EINVAL, "name.key", "key: not a public key (43 letters)");
    return r;
}

static int read_image(const struct xeno_json_at *top, struct xeno_name *n, struct xeno_err *err)
{
    const char *digest = NULL, *kind = NULL;
    int r = xeno_json_str(top, "digest", 1, XENO_DIGEST_TEXT - 1, &digest, err);

    if (r == 0 && !xeno_digest_ok(digest))
        r = xeno_fail(err, -EINVAL, "name.digest", "digest: sha256: and 64 digits");
    if (r == 0)
        r = xeno_json_str(top, "kind", 1, 16, &kind, err);
    if (r < 0)
        return r;
    n->overlay = strcmp(kind, "overlay") == 0;
    if (strcmp(kind, kind_of(n)) != 0)
        return xeno_fail(err, -EINVAL, "name.kind", "kind: template or overlay, not '%s'", kind);
    snprintf(n->digest, sizeof n->digest, "%s", digest);
    return 0;
}

static int read_times(const struct xeno_json_at *top, struct xeno_name *n, struct xeno_err *err)
{
    int r = xeno_doc_time(top, "issued_ms", 0, &n->issued, err);

    if (r == 0)
        r = xeno_doc_time_opt(top, "expires_ms", 1, &n->expires, err);
    if (r < 0)
        return r;
    if ((n->expires.ns > 0) != n->moves)
        return xeno_fail(err, -EINVAL, "name.expiry",
                         "expires_ms: a statement about a name that moves has one, others none");
    return 0;
}

static int read_members(const struct xeno_json_at *top, struct xeno_name *n, struct xeno_err *err)
{
    static const char *const known[] = { "v",       "publisher", "key",        "name",
                                         "version", "sequence",  "digest",     "kind",
                                         "moves",   "issued_ms", "expires_ms", NULL };
    int r = xeno_json_only(top, known, err);

    if (r == 0)
        r = read_word(top, "name", n->name, err);
    if (r == 0)
        r = read_word(top, "version", n->version, err);
    if (r == 0)
        r = xeno_json_int(top, "sequence", 1, SEQUENCE_MAX, &n->sequence, err);
    if (r == 0)
        r = read_image(top, n, err);
    if (r == 0)
        r = xeno_json_bool(top, "moves", &n->moves, err);
    if (r == 0)
        r = read_times(top, n, err);
    return r;
}

static int read_publisher(const struct xeno_json_at *top, const struct xeno_jws *jws,
                          struct xeno_name *n, struct xeno_err *err)
{
    const char *text = NULL;
    struct xeno_pub pub;
    int r = read_key(top, &pub, err);

    if (r == 0)
        r = xeno_jws_check(jws, XENO_TYP_NAME, &pub, err);
    if (r == 0)
        r = xeno_json_str(top, "publisher", XENO_ID_CHARS, XENO_ID_CHARS, &text, err);
    if (r == 0 && strcmp(text, jws->kid.s) != 0)
        r = xeno_fail(err, -EPERM, "name.publisher", "%s signed a statement of %s", jws->kid.s,
                      xeno_id_ok(text) ? text : "nobody");
    if (r == 0)
        n->publisher = jws->kid;
    return r;
}

int xeno_name_read(const char *text, size_t len, struct xeno_name *ret, struct xeno_err *err)
{
    struct xeno_name n = { .sequence = 0 };
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    if (len > XENO_NAME_MAX)
        return xeno_fail(err, -EFBIG, "name.size",
                         "a statement about a name has at most %d bytes, not %zu", XENO_NAME_MAX,
                         len);
    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, XENO_NAME_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_doc_version(&top, err);
    if (r == 0)
        r = read_publisher(&top, jws, &n, err);
    if (r == 0)
        r = read_members(&top, &n, err);
    if (r == 0)
        *ret = n;
    return r;
}

/* --- is it the one, and does it count? --- */

int xeno_name_accept(const struct xeno_name *n, const struct xeno_id *publisher,
                     const struct xeno_name_ref *ref, xeno_time now, struct xeno_err *err)
{
    if (strcmp(n->publisher.s, publisher->s) != 0)
        return xeno_fail(err, -EPERM, "name.publisher", "the statement is signed by %s, not by %s",
                         n->publisher.s, publisher->s);
    if (strcmp(n->name, ref->name) != 0 || strcmp(n->version, ref->version) != 0)
        return xeno_fail(err, -EPERM, "name.other",
                         "the statement is about '%s/%s', and asked for was '%s/%s'", n->name,
                         n->version, ref->name, ref->version);
    if (n->moves && now.ns >= n->expires.ns)
        return xeno_fail(err, -EKEYEXPIRED, "name.expired",
                         "the statement about '%s/%s', number %" PRId64
                         ", is over: the publisher has not said since what it stands for",
                         n->name, n->version, n->sequence);
    return 0;
}

static bool says_same(const struct xeno_name *a, const struct xeno_name *b)
{
    return a->moves == b->moves && a->overlay == b->overlay && strcmp(a->digest, b->digest) == 0;
}

enum xeno_name_order xeno_name_compare(const struct xeno_name *seen, const struct xeno_name *shown)
{
    const struct xeno_name *first = seen->sequence <= shown->sequence ? seen : shown;

    /* "It does not move" binds all later statements; a number binds whatever bears it. */
    if ((!first->moves || seen->sequence == shown->sequence) && !says_same(seen, shown))
        return XENO_NAME_CONTRADICTS;
    if (seen->sequence == shown->sequence)
        return XENO_NAME_SAME;
    return seen->sequence < shown->sequence ? XENO_NAME_LATER : XENO_NAME_OLDER;
}
