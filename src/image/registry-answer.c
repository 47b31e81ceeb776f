/* src/image/registry-answer.c - what a registry's answers say: challenges, ranges, refusals. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/problem.h"
#include "image/registry-priv.h"

#define PARAMS_MAX 16
#define PATH_BYTES 8192 /* of a Location */
#define WORDS_MAX  300  /* of the registry's own words that are shown */

/* --- challenges --- */

void registry_challenge_release(struct challenge *c)
{
    free(c->realm);
    free(c->service);
    memset(c, 0, sizeof(*c));
}

static bool is_token(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* `name=value` or `name="value"`; moves *at behind it. The value is the caller's. */
static char *read_param(const char **at, const char **ret_name, size_t *ret_len)
{
    const char *p = *at;
    char *value, *out;

    *ret_name = p;
    while (is_token(*p))
        p++;
    *ret_len = (size_t)(p - *ret_name);
    if (*ret_len == 0 || *p++ != '=')
        return NULL;
    out = value = xeno_alloc0(1, strlen(p) + 1);
    if (*p != '"') {
        while (is_token(*p))
            *out++ = *p++;
    } else {
        for (p++; *p && *p != '"'; p++) {
            if (*p == '\\' && p[1])
                p++;
            *out++ = *p;
        }
        if (*p++ != '"') {
            free(value);
            return NULL;
        }
    }
    *at = p;
    return value;
}

static void keep_param(struct challenge *c, const char *name, size_t len, char *value)
{
    char **slot = len == 5 && strncasecmp(name, "realm", 5) == 0     ? &c->realm
                  : len == 7 && strncasecmp(name, "service", 7) == 0 ? &c->service
                                                                     : NULL;

    if (!slot || *slot) {
        free(value);
        return;
    }
    *slot = value;
}

bool registry_challenge_parse(const char *text, struct challenge *ret)
{
    struct challenge c = { .realm = NULL };
    const char *at = text ? text : "";

    if (strncasecmp(at, "Bearer ", 7) == 0)
        c.bearer = true;
    else if (strncasecmp(at, "Basic", 5) != 0 || is_token(at[5]))
        return false;
    at += c.bearer ? 7 : 5;
    for (int i = 0; i < PARAMS_MAX; i++) {
        const char *name;
        char *value;
        size_t len;

        at += strspn(at, " \t,");
        if (*at == '\0')
            break;
        value = read_param(&at, &name, &len);
        if (!value)
            break; /* another challenge, or nonsense: what was read counts */
        keep_param(&c, name, len, value);
    }
    if (c.bearer && !c.realm) {
        registry_challenge_release(&c);
        return false;
    }
    *ret = c;
    return true;
}

/* --- ranges --- */

static bool read_number(const char **at, int64_t *ret)
{
    int64_t n = 0;
    const char *p = *at;

    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
            return false;
    if (p == *at)
        return false;
    *at = p;
    *ret = n;
    return true;
}

bool registry_range_parse(const char *text, int64_t *ret_first, int64_t *ret_last)
{
    const char *at = text;
    int64_t first, last, total;

    if (!at)
        return false;
    if (strncasecmp(at, "bytes", 5) == 0) /* uploads say "0-99", without it */
        at += 5 + strspn(at + 5, " =");
    if (!read_number(&at, &first) || *at++ != '-' || !read_number(&at, &last) || last < first)
        return false;
    if (*at == '/' && strcmp(at, "/*") != 0) {
        at++;
        if (!read_number(&at, &total) || *at != '\0' || total <= last)
            return false;
    } else if (*at != '\0' && *at != '/') {
        return false;
    }
    *ret_first = first;
    *ret_last = last;
    return true;
}

/* --- refusals --- */

/* Words a registry chose, fit for a terminal. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

/* {"errors":[{"code":"...","message":"..."}]} or a problem document, as one line; the caller's. */
static char *own_words(const struct xeno_http_answer *a)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, list, first;
    const char *code = "", *message = "", *detail = "";
    char *text;
    size_t n = 0;

    if (a->len == 0 || xeno_json_parse(a->body, a->len, REGISTRY_ANSWER_MAX, &doc, NULL) < 0)
        return xeno_strdup("");
    top = xeno_json_top(doc);
    if (xeno_json_arr_opt(&top, "errors", 64, &list, &n, NULL) == 0 && n > 0) {
        first = xeno_json_item(&list, 0);
        xeno_json_str_opt(&first, "code", 0, REGISTRY_ANSWER_MAX, &code, NULL);
        xeno_json_str_opt(&first, "message", 0, REGISTRY_ANSWER_MAX, &message, NULL);
    } else {
        xeno_json_str_opt(&top, "detail", 0, REGISTRY_ANSWER_MAX, &detail, NULL);
    }
    text = xeno_asprintf("%s%s%s%s", code, *code && *message ? ": " : "", message, detail);
    if (strlen(text) > WORDS_MAX)
        text[WORDS_MAX] = '\0';
    clean(text);
    return text;
}

const char *registry_upload_path(const struct xeno_registry *r, const char *where)
{
    size_t len = strlen(r->base);

    if (where && strncasecmp(where, r->base, len) == 0)
        where += len;
    return where && where[0] == '/' && where[1] != '/' && strlen(where) <= PATH_BYTES ? where
                                                                                      : NULL;
}

int registry_refused(const struct xeno_registry *r, const struct xeno_http_answer *a,
                     struct xeno_err *err)
{
    xeno_autofree char *words = own_words(a);
    const char *sep = *words ? ": " : "";

    if (a->status == 401 || a->status == 403)
        return xeno_fail(err, -EACCES, "oci.denied", "%s does not let us %s '%s' (%d)%s%s", r->base,
                         r->write ? "write to" : "read", r->repo, a->status, sep, words);
    if (a->status == 404)
        return xeno_fail(err, -ENOENT, "oci.unknown", "%s has no such thing in '%s' (404)%s%s",
                         r->base, r->repo, sep, words);
    return xeno_fail(err, xeno_problem_errno(a->status), "oci.status",
                     "%s answers with status %d%s%s", r->base, a->status, sep, words);
}
