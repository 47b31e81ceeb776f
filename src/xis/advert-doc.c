/* src/xis/advert-doc.c - the three kinds of documents: which mandatory elements each has, and what
 * they may say (schemas/advert.xsd says it too). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xis/advert-priv.h"
#include "xml/leaves.h"

#define NUMBER_DIGITS 15                     /* so many a double gives back as they were */
#define EXPIRES_MS    INT64_C(9000000000000) /* the year 2255: more would not fit into ns */

_Static_assert(XENO_ADVERT_PATH <= XENO_LEAVES_PATH_MAX, "a path fits");
_Static_assert(XENO_ADVERT_VALUE <= XENO_LEAVES_VALUE_MAX, "a value fits");

struct element {
    const char *name, *rule;
    size_t least, most;
    bool (*take)(struct xeno_advert_doc *d, const char *value);
};

struct form {
    const char *root;
    const struct element *head; /* ends with name NULL */
    bool open;                  /* more may follow */
};

/* --- values --- */

bool xeno_advert_is_number(const char *text, double *ret)
{
    static const double tens[NUMBER_DIGITS + 1] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
    const char *p = text + (*text == '-');
    int digits = 0, decimals = -1;
    int64_t n = 0;

    for (; *p; p++) {
        if (*p == '.' && digits > 0 && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*p < '0' || *p > '9' || ++digits > NUMBER_DIGITS)
            return false;
        n = n * 10 + (*p - '0');
        decimals += decimals >= 0;
    }
    if (digits == 0 || decimals == 0)
        return false;
    if (*text == '-')
        n = -n;
    /* Both are exact, so the quotient is the double nearest to what was written. */
    *ret = (double)n / tens[decimals > 0 ? decimals : 0];
    return true;
}

static bool whole_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    int64_t n = 0;
    size_t i;

    if (text[0] == '0' && text[1] != '\0')
        return false;
    for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 16; i++)
        n = n * 10 + (text[i] - '0');
    if (i == 0 || text[i] != '\0' || n < least || n > most)
        return false;
    *ret = n;
    return true;
}

static bool take_id(struct xeno_advert_doc *d, const char *value)
{
    if (!xeno_id_ok(value))
        return false;
    memcpy(d->id.s, value, sizeof d->id.s);
    return true;
}

static bool take_key(struct xeno_advert_doc *d, const char *value)
{
    return xeno_pub_parse(value, &d->key);
}

static bool take_version(struct xeno_advert_doc *d, const char *value)
{
    return whole_number(value, 1, XENO_ADVERT_VERSION, &d->version);
}

static bool take_base(struct xeno_advert_doc *d, const char *value)
{
    return whole_number(value, 1, XENO_ADVERT_VERSION, &d->base);
}

static bool take_expires(struct xeno_advert_doc *d, const char *value)
{
    int64_t ms;

    if (!whole_number(value, 1, EXPIRES_MS, &ms))
        return false;
    d->expires = xeno_ms(ms);
    return true;
}

static bool take_corp(struct xeno_advert_doc *d, const char *value)
{
    (void)d;
    return xeno_id_ok(value);
}

static bool take_isolation(struct xeno_advert_doc *d, const char *value)
{
    static const char *const classes[] = { "null", "process", "container", "vm" };

    (void)d;
    for (size_t i = 0; i < XENO_LEN(classes); i++) {
        if (strcmp(classes[i], value) == 0)
            return true;
    }
    return false;
}

static bool take_endpoint(struct xeno_advert_doc *d, const char *value)
{
    static const char scheme[] = "https://";
    size_t len;

    (void)d;
    if (strncmp(value, scheme, sizeof scheme - 1) != 0)
        return false;
    value += sizeof scheme - 1;
    len = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-_[]");
    return len > 0 && value[len] == '\0';
}

/* --- forms --- */

#define ID                                                                                         \
    {                                                                                              \
        "Id", "an id of 32 letters", 1, 1, take_id                                                 \
    }
#define KEY                                                                                        \
    {                                                                                              \
        "Key", "a public key, 43 letters of base64url", 1, 1, take_key                             \
    }
#define VERSION                                                                                    \
    {                                                                                              \
        "Version", "a whole number from 1 to 2^53 - 1", 1, 1, take_version                         \
    }
#define EXPIRES                                                                                    \
    {                                                                                              \
        "Expires", "ms since 1970, a whole number up to 9000000000000", 1, 1, take_expires         \
    }

static const struct element whole_head[] = {
    ID,
    KEY,
    VERSION,
    EXPIRES,
    { "Corp", "the id of a XenoCorp, 32 letters, 1 to 16 of them", 1, XENO_ADVERT_CORPS,
      take_corp },
    { "Isolation", "null, process, container or vm, 1 to 4 of them", 1, 4, take_isolation },
    { "Endpoint", "https://HOST or https://HOST:PORT", 1, 1, take_endpoint },
    { NULL },
};
static const struct element delta_head[] = {
    ID,
    VERSION,
    { "Base", "a version: a whole number from 1 to 2^53 - 1", 1, 1, take_base },
    EXPIRES,
    { NULL }
};
static const struct element withdrawal_head[] = { ID, KEY, VERSION, EXPIRES, { NULL } };

static const struct form forms[] = {
    [XENO_ADVERT_WHOLE] = { "Advert", whole_head, true },
    [XENO_ADVERT_DELTA] = { "AdvertDelta", delta_head, true },
    [XENO_ADVERT_WITHDRAWAL] = { "AdvertWithdrawal", withdrawal_head, false },
};

bool xeno_advert_mandatory(const char *path)
{
    size_t len = strcspn(path, "/");

    for (const struct element *e = whole_head; e->name; e++) {
        if (strlen(e->name) == len && memcmp(e->name, path, len) == 0)
            return true;
    }
    return false;
}

/* --- reading --- */

struct reading {
    struct xeno_advert_doc *d;
    const struct form *form;
    const struct element *next; /* the mandatory element that is read or awaited; NULL: all are */
    size_t seen;                /* of it */
    size_t last_path;           /* where the path of the leaf before is in text */
    /* Offsets while the text may still move. */
    uint32_t path[XENO_ADVERT_LEAVES], value[XENO_ADVERT_LEAVES];
};

void xeno_advert_doc_release(struct xeno_advert_doc *d)
{
    xeno_buf_release(&d->text);
}

static void keep(struct reading *r, const char *path, size_t path_len, const char *value,
                 size_t value_len)
{
    struct xeno_advert_doc *d = r->d;
    struct xeno_leaf *leaf = &d->leaves[d->count];

    if (d->count == 0 || strcmp(d->text.data + r->last_path, path) != 0) {
        r->last_path = d->text.len;
        xeno_buf_add(&d->text, path, path_len + 1);
    }
    r->path[d->count] = (uint32_t)r->last_path;
    r->value[d->count] = (uint32_t)d->text.len;
    xeno_buf_add(&d->text, value, value_len + 1);
    leaf->number = xeno_advert_is_number(value, &leaf->n);
    if (!leaf->number)
        leaf->n = 0;
    d->count++;
}

/* The mandatory element that `path` is, in its turn; NULL in *ret: the document's open part. */
static int in_turn(struct reading *r, const char *path, int line, const struct element **ret,
                   struct xeno_err *err)
{
    while (r->next) {
        if (strcmp(r->next->name, path) == 0 && r->seen < r->next->most) {
            r->seen++;
            r->d->head++;
            *ret = r->next;
            return 0;
        }
        if (r->seen < r->next->least)
            return xeno_fail(err, -EINVAL, "advert.form",
                             "line %d: %s stands where %s belongs (%s)", line, path, r->next->name,
                             r->next->rule);
        r->next++;
        r->seen = 0;
        if (!r->next->name)
            r->next = NULL;
    }
    *ret = NULL;
    return 0;
}

static int on_leaf(void *ctx, const char *path, size_t path_len, const char *value,
                   size_t value_len, int line, struct xeno_err *err)
{
    struct reading *r = ctx;
    const struct element *e = NULL;
    int x = in_turn(r, path, line, &e, err);

    if (x < 0)
        return x;
    if (e && !e->take(r->d, value))
        return xeno_fail(err, -EINVAL, "advert.form", "line %d: %s: '%.80s' is not %s", line, path,
                         value, e->rule);
    if (!e && !r->form->open)
        return xeno_fail(err, -EINVAL, "advert.form", "line %d: %s: nothing more belongs here",
                         line, path);
    if (!e && xeno_advert_mandatory(path))
        return xeno_fail(err, -EINVAL, "advert.form",
                         "line %d: %s: a mandatory element does not come again here", line, path);
    keep(r, path, path_len, value, value_len);
    return 0;
}

/* The reader speaks of any document, an error here is about an advert. */
static void own_token(struct xeno_err *err)
{
    if (xeno_err_is(err, "leaves.form"))
        snprintf(err->token, sizeof err->token, "advert.form");
    if (xeno_err_is(err, "leaves.bounds"))
        snprintf(err->token, sizeof err->token, "advert.bounds");
}

/* All leaves are read: was everything there? Then their texts stay where they are. */
static int complete(struct reading *r, struct xeno_err *err)
{
    struct xeno_advert_doc *d = r->d;

    while (r->next && r->next->name && r->seen >= r->next->least) {
        r->next++;
        r->seen = 0;
    }
    if (r->next && r->next->name)
        return xeno_fail(err, -EINVAL, "advert.form", "%s: %s is missing (%s)", r->form->root,
                         r->next->name, r->next->rule);
    for (size_t i = 0; i < d->count; i++) {
        d->leaves[i].path = d->text.data + r->path[i];
        d->leaves[i].value = d->text.data + r->value[i];
    }
    return 0;
}

int xeno_advert_doc_read(const struct xeno_jws *jws, enum xeno_advert_kind kind,
                         struct xeno_advert_doc *d, struct xeno_err *err)
{
    static const struct xeno_leaves_bounds bounds = { .path = XENO_ADVERT_PATH,
                                                      .value = XENO_ADVERT_VALUE,
                                                      .leaves = XENO_ADVERT_LEAVES,
                                                      .depth = XENO_ADVERT_DEPTH };
    struct reading r;
    int x;

    r.d = d;
    r.form = &forms[kind];
    r.next = r.form->head;
    r.seen = r.last_path = 0;
    d->head = d->count = 0;
    x = xeno_leaves_read(jws->payload, jws->payload_len, r.form->root, &bounds, on_leaf, &r, err);
    if (x < 0) {
        own_token(err);
        return x;
    }
    x = complete(&r, err);
    if (x == 0 && kind != XENO_ADVERT_DELTA) {
        struct xeno_id id = xeno_id_of(&d->key);

        if (strcmp(id.s, d->id.s) != 0)
            x = xeno_fail(err, -EPERM, "advert.key", "Id is %s, but Key is that of %s", d->id.s,
                          id.s);
    }
    if (x == 0 && strcmp(jws->kid.s, d->id.s) != 0)
        x = xeno_fail(err, -EPERM, "advert.key", "Id is %s, but it is signed by %s", d->id.s,
                      jws->kid.s);
    return x;
}
