/* src/xis/advert-make.c - write adverts, deltas and withdrawals, and sign them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xis/advert-priv.h"
#include "xml/xml.h"

struct pair {
    char *path, *value;
};

struct xeno_advert_maker {
    struct pair *pairs;
    size_t count, room;
};

/* --- growing --- */

/* White space as a reader will find it. */
static char *collapsed(const char *text)
{
    char *copy = xeno_strdup(text), *out = copy;

    for (; *text; text++) {
        if (!strchr(" \t\r\n", *text))
            *out++ = *text;
        else if (out != copy && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out != copy && out[-1] == ' ')
        out--;
    *out = '\0';
    return copy;
}

void xeno_advert_add(struct xeno_advert_maker *m, const char *path, const char *text)
{
    if (m->count == m->room) {
        m->room = m->room ? 2 * m->room : 64;
        m->pairs = xeno_grow(m->pairs, m->room);
    }
    m->pairs[m->count++] = (struct pair){ xeno_strdup(path), collapsed(text) };
}

void xeno_advert_add_int(struct xeno_advert_maker *m, const char *path, int64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, n);
    xeno_advert_add(m, path, text);
}

void xeno_advert_add_num(struct xeno_advert_maker *m, const char *path, double n, int decimals)
{
    char text[64];

    assert(n > -1e15 && n < 1e15);
    snprintf(text, sizeof text, "%.*f", decimals, n);
    xeno_advert_add(m, path, text);
}

static void add_party(struct xeno_advert_maker *m, const struct xeno_pub *key, bool with_key)
{
    struct xeno_id id = xeno_id_of(key);
    char text[XENO_PUB_TEXT];

    xeno_advert_add(m, "Id", id.s);
    if (!with_key)
        return;
    xeno_pub_text(key, text);
    xeno_advert_add(m, "Key", text);
}

static void add_expires(struct xeno_advert_maker *m, xeno_time expires)
{
    xeno_advert_add_int(m, "Expires", expires.ns / XENO_NS_PER_MS);
}

struct xeno_advert_maker *xeno_advert_maker_new(const struct xeno_pub *key,
                                                const struct xeno_advert_head *head)
{
    struct xeno_advert_maker *m = xeno_new0(struct xeno_advert_maker);

    add_party(m, key, true);
    xeno_advert_add_int(m, "Version", head->version);
    add_expires(m, head->expires);
    for (const char *const *corp = head->corps; *corp; corp++)
        xeno_advert_add(m, "Corp", *corp);
    for (const char *const *class = head->isolation; *class; class ++)
        xeno_advert_add(m, "Isolation", *class);
    xeno_advert_add(m, "Endpoint", head->endpoint);
    return m;
}

void xeno_advert_maker_free(struct xeno_advert_maker *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->pairs[i].path);
        free(m->pairs[i].value);
    }
    free(m->pairs);
    free(m);
}

/* --- writing --- */

struct writer {
    struct xeno_buf *b;
    const char *path;  /* of the leaf before; NULL: none */
    size_t open;       /* bytes of it that are open elements, without the last slash */
    const char *first; /* name of the first leaf in the innermost open element */
};

static const char *leaf_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Close elements until only the first `keep` bytes of the path are open. */
static void close_to(struct writer *w, size_t keep)
{
    while (w->open > keep) {
        const char *slash = memrchr(w->path, '/', w->open);
        size_t start = slash ? (size_t)(slash - w->path) + 1 : 0;

        xeno_buf_printf(w->b, "</%.*s>", (int)(w->open - start), w->path + start);
        w->open = slash ? start - 1 : 0;
    }
}

/* How much of `path`'s parents is open already, in whole elements. */
static size_t common(const struct writer *w, const char *path, size_t parents)
{
    size_t same = 0, i = 0;

    if (!w->path)
        return 0;
    while (i < w->open && i < parents && w->path[i] == path[i])
        i++;
    if ((i == w->open || w->path[i] == '/') && (i == parents || path[i] == '/'))
        return i;
    for (size_t k = 0; k < i; k++) {
        if (path[k] == '/')
            same = k;
    }
    return same;
}

static void put_leaf(struct writer *w, const struct pair *p)
{
    const char *name = leaf_name(p->path);
    size_t parents = name == p->path ? 0 : (size_t)(name - p->path) - 1;
    size_t keep = common(w, p->path, parents);

    /* Id RttMs Id RttMs: the second Id begins another Peer. */
    if (keep == parents && parents > 0 && w->open == parents && strcmp(w->first, name) == 0 &&
        strcmp(leaf_name(w->path), name) != 0) {
        const char *slash = memrchr(p->path, '/', parents);

        keep = slash ? (size_t)(slash - p->path) : 0;
    }
    close_to(w, keep);
    if (keep < parents)
        w->first = name;
    while (keep < parents) {
        size_t start = keep > 0 ? keep + 1 : 0;
        size_t len = strcspn(p->path + start, "/");

        xeno_buf_printf(w->b, "%s<%.*s>", keep == 0 ? "\n" : "", (int)len, p->path + start);
        keep = start + len;
    }
    w->open = parents;
    w->path = p->path;
    xeno_buf_printf(w->b, "%s<%s>", parents == 0 ? "\n" : "", name);
    xeno_xml_escape(w->b, p->value);
    xeno_buf_printf(w->b, "</%s>", name);
}

static char *sign_document(const struct pair *pairs, size_t count, const char *root,
                           const char *typ, const struct xeno_key *key)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct writer w = { .b = &b };

    xeno_buf_printf(&b, "<%s>", root);
    for (size_t i = 0; i < count; i++)
        put_leaf(&w, &pairs[i]);
    close_to(&w, 0);
    xeno_buf_printf(&b, "\n</%s>\n", root);
    return xeno_jws_sign(key, typ, b.data, b.len);
}

int xeno_advert_sign(const struct xeno_advert_maker *m, const struct xeno_key *key, char **ret,
                     struct xeno_err *err)
{
    xeno_autofree char *jws = sign_document(m->pairs, m->count, "Advert", XENO_ADVERT_TYP, key);
    xeno_auto(xeno_advert) back = NULL;
    int r = xeno_advert_reopen(jws, strlen(jws), &back, err);

    if (r < 0)
        return r;
    *ret = xeno_take(&jws);
    return 0;
}

struct xeno_advert *xeno_advert_draft(const struct xeno_advert_maker *m)
{
    struct xeno_leaf *leaves = xeno_new0_n(struct xeno_leaf, m->count);
    struct xeno_advert *a;

    for (size_t i = 0; i < m->count; i++) {
        leaves[i].path = m->pairs[i].path;
        leaves[i].value = m->pairs[i].value;
        leaves[i].number = xeno_advert_is_number(leaves[i].value, &leaves[i].n);
    }
    a = xeno_advert_pack(leaves, m->count);
    free(leaves);
    return a;
}

char *xeno_advert_sign_withdrawal(const struct xeno_key *key, int64_t version, xeno_time expires)
{
    xeno_auto(xeno_advert_maker) m = xeno_new0(struct xeno_advert_maker);

    add_party(m, xeno_key_pub(key), true);
    xeno_advert_add_int(m, "Version", version);
    add_expires(m, expires);
    return sign_document(m->pairs, m->count, "AdvertWithdrawal", XENO_ADVERT_WITHDRAWAL_TYP, key);
}

/* --- deltas --- */

/* Does `p` differ from the document's leaf, and by its number only? Returns: 1 differs, 0 the same,
 * -1 more than a number. */
static int compare(const struct pair *p, const struct xeno_leaf *was)
{
    double n;

    if (strcmp(p->path, was->path) != 0)
        return -1;
    if (strcmp(p->value, was->value) == 0)
        return 0;
    if (strcmp(p->path, "Version") == 0 || strcmp(p->path, "Expires") == 0)
        return 0; /* the delta's own say it */
    return was->number && !xeno_advert_mandatory(p->path) && xeno_advert_is_number(p->value, &n)
               ? 1
               : -1;
}

/* Add all values of the paths of which one moved, in document order. */
static void add_moved(struct xeno_advert_maker *delta, const struct xeno_advert_maker *m,
                      const bool *moved)
{
    for (size_t i = 0; i < m->count; i++) {
        for (size_t k = 0; k < m->count; k++) {
            if (moved[k] && strcmp(m->pairs[k].path, m->pairs[i].path) == 0) {
                xeno_advert_add(delta, m->pairs[i].path, m->pairs[i].value);
                break;
            }
        }
    }
}

int xeno_advert_sign_delta(const struct xeno_advert_maker *m, const struct xeno_advert *whole,
                           const struct xeno_key *key, char **ret)
{
    xeno_auto(xeno_advert_maker) delta = NULL;
    xeno_auto(xeno_advert) first = NULL;
    bool moved[XENO_ADVERT_LEAVES];

    if (whole->delta && xeno_advert_reopen(whole->jws, whole->jws_len, &first, NULL) < 0)
        return 0;
    if (first)
        whole = first;
    if (whole->withdrawn || m->count != whole->leaf_count)
        return 0;
    for (size_t i = 0; i < m->count; i++) {
        int r = compare(&m->pairs[i], &whole->leaves[i]);

        if (r < 0)
            return 0;
        moved[i] = r == 1;
    }
    delta = xeno_new0(struct xeno_advert_maker);
    add_party(delta, &whole->key, false);
    xeno_advert_add(delta, "Version", m->pairs[XENO_ADVERT_AT_VERSION].value);
    xeno_advert_add_int(delta, "Base", whole->version);
    xeno_advert_add(delta, "Expires", m->pairs[XENO_ADVERT_AT_EXPIRES].value);
    add_moved(delta, m, moved);
    *ret = sign_document(delta->pairs, delta->count, "AdvertDelta", XENO_ADVERT_DELTA_TYP, key);
    return 1;
}
