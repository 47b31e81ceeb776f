/* src/xstored/names.c - the grammar of registry requests. */
#include "xstored/names.h"

#include <errno.h>
#include <string.h>

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool component_ok(const char *p, size_t len)
{
    const char *end = p + len;

    for (;;) {
        const char *start = p;

        while (p < end && lower_or_digit(*p))
            p++;
        if (p == start)
            return false;
        if (p == end)
            return true;
        if (*p == '.')
            p++;
        else if (*p == '_')
            p += end - p > 1 && p[1] == '_' ? 2 : 1;
        else if (*p == '-')
            while (p < end && *p == '-')
                p++;
        else
            return false;
    }
}

int xstored_name_check(const char *name, struct xeno_err *err)
{
    size_t len = strlen(name), parts = 0;

    if (len > XSTORED_NAME_MAX)
        return xeno_fail(err, -EINVAL, "store.name",
                         "the repository's name has %zu letters, at most %d allowed", len,
                         XSTORED_NAME_MAX);
    for (const char *p = name;; p++) {
        size_t n = strcspn(p, "/");

        if (!component_ok(p, n))
            return xeno_fail(err, -EINVAL, "store.name",
                             "'%.300s': components of a name are lower-case letters and digits, "
                             "with . _ __ or - in between",
                             name);
        parts++;
        p += n;
        if (*p == '\0')
            break;
    }
    if (parts > XSTORED_NAME_DEEP)
        return xeno_fail(err, -EINVAL, "store.name", "'%.300s': %zu components, at most %d allowed",
                         name, parts, XSTORED_NAME_DEEP);
    if (parts < 2 || strcspn(name, "/") != XENO_ID_CHARS || !xeno_id_ok(xstored_name_owner(name).s))
        return xeno_fail(err, -EINVAL, "store.name",
                         "'%.300s': a repository is OWNERID/name, OWNERID the %d letters of its "
                         "owner's id",
                         name, XENO_ID_CHARS);
    return 0;
}

struct xeno_id xstored_name_owner(const char *name)
{
    struct xeno_id id = { "" };

    memcpy(id.s, name, strnlen(name, XENO_ID_CHARS));
    return id;
}

/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
int xstored_tag_check(const char *tag, struct xeno_err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(tag);

    if (len == 0 || len > XSTORED_TAG_MAX || strspn(tag, letters) != len || *tag == '.' ||
        *tag == '-')
        return xeno_fail(err, -EINVAL, "store.tag",
                         "'%.140s' is not a tag: letters, digits, _ . and -, at most %d", tag,
                         XSTORED_TAG_MAX);
    return 0;
}

int xstored_digest_check(const char *digest, struct xeno_err *err)
{
    if (xeno_digest_ok(digest))
        return 0;
    if (strchr(digest, ':') && strncmp(digest, "sha256:", 7) != 0)
        return xeno_fail(err, -EINVAL, "store.digest",
                         "'%.100s': only sha256 is kept here, no other algorithm", digest);
    return xeno_fail(err, -EINVAL, "store.digest",
                     "'%.100s' is not a digest: sha256: and 64 lower-case hexadecimal digits",
                     digest);
}

int xstored_reference_check(const char *ref, bool *ret_digest, struct xeno_err *err)
{
    *ret_digest = strchr(ref, ':') != NULL;
    return *ret_digest ? xstored_digest_check(ref, err) : xstored_tag_check(ref, err);
}

static bool number(const char **p, int64_t *ret)
{
    const char *start = *p;
    int64_t n = 0;

    for (; **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **p - '0', &n))
            return false;
    *ret = n;
    return *p > start;
}

/* What RFC 9110 puts behind: "/100" or a star for a size that is not known. */
static bool total_ok(const char *p, int64_t last)
{
    int64_t total;

    if (strcmp(p, "/*") == 0)
        return true;
    return *p++ == '/' && number(&p, &total) && *p == '\0' && total > last;
}

int xstored_content_range(const char *text, int64_t *ret_first, int64_t *ret_len,
                          struct xeno_err *err)
{
    bool long_form = strncmp(text, "bytes ", 6) == 0;
    const char *p = long_form ? text + 6 : text;
    int64_t first, last;

    if (!number(&p, &first) || *p++ != '-' || !number(&p, &last) || last < first ||
        last == INT64_MAX || !(long_form ? total_ok(p, last) : *p == '\0'))
        return xeno_fail(err, -EINVAL, "store.content_range",
                         "Content-Range '%.80s': it must be FIRST-LAST, the offsets of the first "
                         "and the last byte of the piece",
                         text);
    *ret_first = first;
    *ret_len = last - first + 1;
    return 0;
}

int xstored_page_size(const char *n, int max, int *ret, struct xeno_err *err)
{
    const char *p = n;
    int64_t value = max;

    if (n && (!number(&p, &value) || *p != '\0'))
        return xeno_fail(err, -EINVAL, "store.page", "n=%.40s: must be a whole number", n);
    *ret = value < max ? (int)value : max;
    return 0;
}
