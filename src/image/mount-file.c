/* src/image/mount-file.c - lines of references, judged one by one. */
#include "image/mount-file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIGEST     "sha256:"
#define HEX_DIGITS 64

static const char *const schemes[] = { [XENO_MOUNT_TEMPLATE] = "template://",
                                       [XENO_MOUNT_OVERLAY] = "overlay://",
                                       [XENO_MOUNT_OCI] = "oci://",
                                       [XENO_MOUNT_DIR] = "file://" };

static int refuse(struct xeno_err *err, const char *text, size_t len, const char *why)
{
    char shown[161];
    size_t n = len < sizeof shown - 1 ? len : sizeof shown - 1;

    for (size_t i = 0; i < n; i++) /* it may hold what moves a terminal's cursor */
        shown[i] = isprint((unsigned char)text[i]) && (unsigned char)text[i] < 0x80 ? text[i] : '?';
    shown[n] = '\0';
    return xeno_fail(err, -EINVAL, "mount.ref", "'%s': %s", shown, why);
}

static bool is_digest(const char *text)
{
    return strncmp(text, DIGEST, strlen(DIGEST)) == 0 &&
           strspn(text + strlen(DIGEST), "0123456789abcdef") == HEX_DIGITS &&
           text[strlen(DIGEST) + HEX_DIGITS] == '\0';
}

/* An absolute path of names, none of them "." or "..". */
static bool is_path(const char *path)
{
    if (*path != '/')
        return false;
    while (*path) {
        size_t len = strcspn(++path, "/");

        if (len == 0 || len > 255 || (len == 1 && path[0] == '.') ||
            (len == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += len;
    }
    return true;
}

/* What the rest of a reference must be by itself; what else it must be, who resolves it knows. */
static const char *judge(const char *rest, struct xeno_mount_ref *ref)
{
    const char *at = strrchr(rest, '@');

    if (*rest == '\0')
        return "it names nothing";
    if (ref->scheme == XENO_MOUNT_DIR)
        return is_path(rest) ? NULL : "a directory is named by a path from the root without '.'s";
    if (ref->scheme == XENO_MOUNT_OCI)
        ref->fixed = at && is_digest(at + 1);
    else
        ref->fixed = is_digest(rest);
    return at && !ref->fixed && ref->scheme == XENO_MOUNT_OCI ? "after '@' comes sha256: and 64 "
                                                                "digits"
                                                              : NULL;
}

int xeno_mount_ref_parse(const char *text, size_t len, struct xeno_mount_ref *ret,
                         struct xeno_err *err)
{
    struct xeno_mount_ref ref = { .text = NULL };
    const char *why = "it begins with none of template://, overlay://, oci:// and file://";

    if (len > XENO_MOUNT_REF_MAX)
        return refuse(err, text, len, "it is longer than 1023 letters");
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return refuse(err, text, len, "a reference has no spaces, and only ASCII");
    ref.text = xeno_alloc0(1, len + 1);
    memcpy(ref.text, text, len);
    for (size_t i = 0; i < XENO_LEN(schemes); i++) {
        size_t n = strlen(schemes[i]);

        if (strncmp(ref.text, schemes[i], n) != 0)
            continue;
        ref.scheme = (enum xeno_mount_scheme)i;
        why = judge(ref.text + n, &ref);
        break;
    }
    if (why) {
        free(ref.text);
        return refuse(err, text, len, why);
    }
    *ret = ref;
    return 0;
}

static int add(struct xeno_mount_file *f, const char *line, size_t len, struct xeno_err *err)
{
    struct xeno_mount_ref ref;
    int r;

    if (f->count == XENO_MOUNT_REFS_MAX)
        return xeno_fail(err, -EFBIG, "mount.size", "more than %d references", XENO_MOUNT_REFS_MAX);
    r = xeno_mount_ref_parse(line, len, &ref, err);
    if (r < 0)
        return r;
    f->refs[f->count++] = ref;
    for (size_t i = 0; i + 1 < f->count; i++)
        if (strcmp(f->refs[i].text, ref.text) == 0)
            return xeno_fail(err, -EEXIST, "mount.twice", "'%s' is named twice", ref.text);
    return 0;
}

int xeno_mount_file_parse(const char *text, size_t len, struct xeno_mount_file **ret,
                          struct xeno_err *err)
{
    xeno_auto(xeno_mount_file) f = xeno_new0(struct xeno_mount_file);
    const char *end = text + len;
    unsigned line = 0;

    if (len > XENO_MOUNT_BYTES_MAX)
        return xeno_fail(err, -EFBIG, "mount.size", "it has %zu bytes; %d are the most", len,
                         XENO_MOUNT_BYTES_MAX);
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((stop ? stop : end) - text);
        int r = 0;

        line++;
        if (n > 0 && *text != '#')
            r = add(f, text, n, err);
        if (r < 0)
            return xeno_context(err, r, "line %u", line);
        text += n + 1;
    }
    *ret = xeno_take(&f);
    return 0;
}

void xeno_mount_file_free(struct xeno_mount_file *f)
{
    for (size_t i = 0; f && i < f->count; i++)
        free(f->refs[i].text);
    free(f);
}
