/* src/conf/conf.c - set fields from text, each within its bounds. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/units.h"

#define FILE_MAX_BYTES (256 * 1024)

static void *field(const struct xeno_conf_item *it, void *conf)
{
    return (char *)conf + it->offset;
}

static const struct xeno_conf_item *find(const struct xeno_conf_item *items, size_t count,
                                         const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i].name, name) == 0)
            return &items[i];
    }
    return NULL;
}

/* --- one value --- */

static int out_of_range(const struct xeno_conf_item *it, const char *value, struct xeno_err *err)
{
    char min[XENO_CONF_NUMBER_TEXT], max[XENO_CONF_NUMBER_TEXT];

    return xeno_fail(
        err, -EINVAL, "conf.range", "%s = '%.80s': must be from %s to %s%s%s", it->name,
        it->secret ? "(secret)" : value, xeno_conf_number(it->type, it->min, min),
        xeno_conf_number(it->type, it->max, max), it->unit ? " " : "", it->unit ? it->unit : "");
}

/* Bounds of 0 and 0 mean that the type's own are enough. */
static bool in_range(const struct xeno_conf_item *it, int64_t n)
{
    return (it->min == 0 && it->max == 0) || (n >= it->min && n <= it->max);
}

static int parse_int(const char *value, int64_t *ret, struct xeno_err *err)
{
    char *end;

    errno = 0;
    *ret = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || strspn(value, " \t+") > 0)
        return xeno_fail(err, -EINVAL, "conf.range", "'%.80s' is not a whole number", value);
    return 0;
}

static int parse_bool(const char *value, bool *ret, struct xeno_err *err)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return xeno_fail(err, -EINVAL, "conf.range", "'%.80s' is neither yes nor no", value);
    *ret = value[0] == 'y';
    return 0;
}

static int set_text(const struct xeno_conf_item *it, char **f, const char *value,
                    struct xeno_err *err)
{
    size_t len = strlen(value);

    if (!in_range(it, (int64_t)len))
        return xeno_fail(err, -EINVAL, "conf.range",
                         "%s: the text must have %" PRId64 " to %" PRId64 " bytes, not %zu",
                         it->name, it->min, it->max, len);
    free(*f);
    *f = xeno_strdup(value);
    return 0;
}

/* The number behind every other type, as its bounds are given: SIZE in bytes, DURATION in
 * milliseconds, CREDIT in micro-credits. */
static int parse_number(enum xeno_conf_type type, const char *value, int64_t *ret,
                        struct xeno_err *err)
{
    xeno_credit credit;
    xeno_time len;
    int r;

    switch (type) {
    case XENO_CONF_SIZE:
        if (strcmp(value, "0") ==
            0) { /* a size a person types is above zero; an option may not be */
            *ret = 0;
            return 0;
        }
        return xeno_size_parse(value, ret, err);
    case XENO_CONF_DURATION:
        r = xeno_duration_parse(value, &len, err);
        if (r == 0)
            *ret = len.ns / XENO_NS_PER_MS;
        return r;
    case XENO_CONF_CREDIT:
        r = xeno_credit_parse(value, &credit, err);
        if (r == 0)
            *ret = credit.micro;
        return r;
    default:
        return parse_int(value, ret, err);
    }
}

static int set_number(const struct xeno_conf_item *it, void *f, const char *value,
                      struct xeno_err *err)
{
    int64_t n;
    int r = parse_number(it->type, value, &n, err);

    if (r < 0) {
        if (err)
            strcpy(err->token, "conf.range");
        return xeno_context(err, r, "%s", it->name);
    }
    if (!in_range(it, n))
        return out_of_range(it, value, err);
    if (it->type == XENO_CONF_DURATION)
        *(xeno_time *)f = xeno_ms(n);
    else if (it->type == XENO_CONF_CREDIT)
        *(xeno_credit *)f = xeno_micro(n);
    else
        *(int64_t *)f = n;
    return 0;
}

static int set_value(const struct xeno_conf_item *it, void *conf, const char *value,
                     struct xeno_err *err)
{
    void *f = field(it, conf);
    bool b = false;
    int r;

    if (it->type == XENO_CONF_TEXT)
        return set_text(it, f, value, err);
    if (it->type != XENO_CONF_BOOL)
        return set_number(it, f, value, err);
    r = parse_bool(value, &b, err);
    if (r < 0)
        return xeno_context(err, r, "%s", it->name);
    *(bool *)f = b;
    return 0;
}

int xeno_conf_set(const struct xeno_conf_item *items, size_t count, void *conf, const char *name,
                  const char *value, struct xeno_err *err)
{
    const struct xeno_conf_item *it = find(items, count, name);

    if (!it)
        return xeno_fail(err, -EINVAL, "conf.unknown",
                         "there is no option '%.64s' (--help lists them all)", name);
    return set_value(it, conf, value, err);
}

/* --- all of them --- */

void xeno_conf_defaults(const struct xeno_conf_item *items, size_t count, void *conf)
{
    for (size_t i = 0; i < count; i++) {
        struct xeno_err err = XENO_ERR_INIT;
        void *f = field(&items[i], conf);

        switch (items[i].type) {
        case XENO_CONF_TEXT:
            *(char **)f = NULL;
            break;
        case XENO_CONF_BOOL:
            *(bool *)f = false;
            break;
        default:
            *(int64_t *)f = 0; /* the one-field structs hold an int64_t too */
        }
        if (items[i].fallback && set_value(&items[i], conf, items[i].fallback, &err) < 0) {
            fprintf(stderr, "the default of an option is wrong: %s\n", err.text);
            abort(); /* our own table */
        }
    }
}

int xeno_conf_complete(const struct xeno_conf_item *items, size_t count, const void *conf,
                       struct xeno_err *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *f = (const char *)conf + items[i].offset;
        bool there;

        if (!items[i].required)
            continue;
        there = items[i].type == XENO_CONF_TEXT   ? *(char *const *)f != NULL
                : items[i].type == XENO_CONF_BOOL ? true
                                                  : *(const int64_t *)f != 0;
        if (!there)
            return xeno_fail(err, -EINVAL, "conf.missing", "%s is required (%s): set --%s=...",
                             items[i].name, items[i].help, items[i].name);
    }
    return 0;
}

void xeno_conf_release(const struct xeno_conf_item *items, size_t count, void *conf)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].type == XENO_CONF_TEXT) {
            char **f = field(&items[i], conf);

            if (items[i].secret && *f)
                explicit_bzero(*f, strlen(*f));
            free(*f);
            *f = NULL;
        }
    }
}

/* --- files --- */

static char *trim(char *s)
{
    size_t len;

    s += strspn(s, " \t\r");
    for (len = strlen(s); len > 0 && strchr(" \t\r", s[len - 1]); len--)
        s[len - 1] = '\0';
    return s;
}

struct file {
    const struct xeno_conf_item *items;
    size_t count;
    void *conf;
    unsigned *seen; /* line an item was set at; 0: not yet */
};

static int parse_line(struct file *f, char *line, unsigned at, struct xeno_err *err)
{
    const struct xeno_conf_item *it;
    char *name, *value, *eq;

    name = trim(line);
    if (*name == '\0' || *name == '#')
        return 0;
    eq = strchr(name, '=');
    if (!eq)
        return xeno_fail(err, -EINVAL, "conf.syntax", "'%.40s': write key = value", name);
    *eq = '\0';
    name = trim(name);
    value = trim(eq + 1);
    it = find(f->items, f->count, name);
    if (!it)
        return xeno_fail(err, -EINVAL, "conf.unknown", "there is no option '%.64s'", name);
    if (f->seen[it - f->items])
        return xeno_fail(err, -EINVAL, "conf.repeated", "%s was set in line %u already", name,
                         f->seen[it - f->items]);
    f->seen[it - f->items] = at;
    return set_value(it, f->conf, value, err);
}

int xeno_conf_parse(const struct xeno_conf_item *items, size_t count, void *conf, const char *text,
                    const char *where, struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(text);
    xeno_autofree unsigned *seen = xeno_new0_n(unsigned, count);
    struct file f = { items, count, conf, seen };
    char *rest = copy, *line;

    for (unsigned at = 1; (line = strsep(&rest, "\n")) != NULL; at++) {
        int r = parse_line(&f, line, at, err);

        if (r < 0)
            return xeno_context(err, r, "%s:%u", where, at);
    }
    return 0;
}

int xeno_conf_file(const struct xeno_conf_item *items, size_t count, void *conf, const char *path,
                   struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, &len, err);

    if (r < 0)
        return r;
    if (strlen(text) != len)
        return xeno_fail(err, -EINVAL, "conf.syntax", "%s: holds a zero byte, so it is not text",
                         path);
    return xeno_conf_parse(items, count, conf, text, path, err);
}

void xeno_conf_take(const struct xeno_conf_item *items, size_t count, void *conf, void *fresh)
{
    for (size_t i = 0; i < count; i++) {
        char *to = (char *)conf + items[i].offset, *from = (char *)fresh + items[i].offset;
        size_t size = items[i].type == XENO_CONF_BOOL ? sizeof(bool) : sizeof(int64_t);
        char old[sizeof(int64_t)];

        if (!items[i].reloadable)
            continue;
        memcpy(old, to, size);
        memcpy(to, from, size);
        memcpy(from, old, size);
    }
}
