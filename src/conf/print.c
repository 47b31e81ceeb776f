/* src/conf/print.c - the configuration as a file, and as a section of a man page. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "conf/conf.h"

static void size_text(int64_t n, char buf[XENO_CONF_NUMBER_TEXT])
{
    static const char units[] = "TGMK";

    for (int i = 0; i < 4; i++) {
        int shift = 10 * (4 - i);

        if (n != 0 && n % (INT64_C(1) << shift) == 0) {
            snprintf(buf, XENO_CONF_NUMBER_TEXT, "%" PRId64 "%c", n >> shift, units[i]);
            return;
        }
    }
    snprintf(buf, XENO_CONF_NUMBER_TEXT, "%" PRId64, n);
}

static void duration_text(int64_t ms, char buf[XENO_CONF_NUMBER_TEXT])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };

    for (size_t i = 0; i < XENO_LEN(units); i++) {
        if (ms % units[i].ms == 0) {
            snprintf(buf, XENO_CONF_NUMBER_TEXT, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            return;
        }
    }
}

const char *xeno_conf_number(enum xeno_conf_type type, int64_t n, char buf[XENO_CONF_NUMBER_TEXT])
{
    switch (type) {
    case XENO_CONF_SIZE:
        size_text(n, buf);
        break;
    case XENO_CONF_DURATION:
        duration_text(n, buf);
        break;
    case XENO_CONF_CREDIT:
        xeno_credit_text(xeno_micro(n), buf);
        break;
    default:
        snprintf(buf, XENO_CONF_NUMBER_TEXT, "%" PRId64, n);
    }
    return buf;
}

static bool is_set(const struct xeno_conf_item *it, const void *f)
{
    if (it->type == XENO_CONF_TEXT)
        return *(char *const *)f != NULL;
    /* A duration of zero cannot be written; it means that none was given. */
    return it->type != XENO_CONF_DURATION || *(const int64_t *)f != 0;
}

static void put_value(const struct xeno_conf_item *it, const void *f, FILE *out)
{
    char buf[XENO_CONF_NUMBER_TEXT];
    int64_t n;

    if (it->secret) {
        fputs("(secret)", out);
    } else if (it->type == XENO_CONF_TEXT) {
        fputs(*(char *const *)f, out);
    } else if (it->type == XENO_CONF_BOOL) {
        fputs(*(const bool *)f ? "yes" : "no", out);
    } else {
        n = *(const int64_t *)f; /* the one-field structs hold an int64_t too */
        fputs(xeno_conf_number(it->type, it->type == XENO_CONF_DURATION ? n / XENO_NS_PER_MS : n,
                               buf),
              out);
    }
}

void xeno_conf_dump(const struct xeno_conf_item *items, size_t count, const void *conf, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const void *f = (const char *)conf + items[i].offset;

        fprintf(out, "# %s", items[i].help);
        if (items[i].unit)
            fprintf(out, " (%s)", items[i].unit);
        fputc('\n', out);
        if (is_set(&items[i], f)) {
            fprintf(out, "%s = ", items[i].name);
            put_value(&items[i], f, out);
        } else {
            fprintf(out, "# %s =", items[i].name);
        }
        fputc('\n', out);
    }
}

/* --- the man page section --- */

#define MDOC_COLUMNS 78 /* where a line of text goes on in the next */

static size_t put_word(const char *word, size_t len, FILE *out)
{
    size_t columns = 0;

    for (size_t i = 0; i < len; i++) {
        const char *as = word[i] == '\\' ? "\\e" : word[i] == '-' ? "\\-" : NULL;

        if (as)
            fputs(as, out);
        else
            fputc(word[i], out);
        columns += as ? strlen(as) : 1;
    }
    return columns;
}

/* A paragraph's text: a '.' at the start of a line or a backslash must stay text. `at` is the
 * column to go on from. */
static void put_mdoc(const char *text, size_t at, FILE *out)
{
    while (*text) {
        size_t len = strcspn(text, " ");

        if (at > 0 && at + len > MDOC_COLUMNS) {
            fputc('\n', out);
            at = 0;
        } else if (at > 0) {
            fputc(' ', out);
            at++;
        }
        if (at == 0 && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        at += put_word(text, len, out);
        text += len + strspn(text + len, " ");
    }
}

static const char *argument_of(enum xeno_conf_type type)
{
    static const char *const names[] = {
        [XENO_CONF_TEXT] = "text",         [XENO_CONF_INT] = "number",
        [XENO_CONF_BOOL] = "yes | no",     [XENO_CONF_SIZE] = "size",
        [XENO_CONF_DURATION] = "duration", [XENO_CONF_CREDIT] = "credits",
    };
    return names[type];
}

static void put_bounds(const struct xeno_conf_item *it, FILE *out)
{
    char min[XENO_CONF_NUMBER_TEXT], max[XENO_CONF_NUMBER_TEXT];

    if (it->type == XENO_CONF_TEXT || it->type == XENO_CONF_BOOL || (!it->min && !it->max))
        return;
    fprintf(out, "From %s to %s.\n", xeno_conf_number(it->type, it->min, min),
            xeno_conf_number(it->type, it->max, max));
}

void xeno_conf_mdoc(const struct xeno_conf_item *items, size_t count, FILE *out)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct xeno_conf_item *it = &items[i];
        size_t len = strlen(it->help);

        fprintf(out, ".It Cm %s No = Ar %s\n", it->name, argument_of(it->type));
        put_mdoc(it->help, 0, out);
        fputs(len > 0 && it->help[len - 1] == '.' ? "\n" : ".\n", out);
        if (it->unit) {
            fputs("Unit:", out);
            put_mdoc(it->unit, 5, out);
            fputs(".\n", out);
        }
        put_bounds(it, out);
        if (it->fallback && *it->fallback && !it->secret) {
            fputs("Default:", out);
            put_mdoc(it->fallback, 8, out);
            fputs(".\n", out);
        }
        if (it->required)
            fputs("Required.\n", out);
        if (it->reloadable)
            fputs("Read again on\n.Dv SIGHUP .\n", out);
    }
    fputs(".El\n", out);
}
