/* src/doc/pass.c - passes of a XenoStore, and what they allow. */
#include "doc/pass.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/jws.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789._-/"

static const struct {
    const char *word;
    unsigned action;
} words[] = {
    { "pull", XENO_PASS_PULL },
    { "push", XENO_PASS_PUSH },
    { "delete", XENO_PASS_DELETE },
};

static const char *typ_of(enum xeno_pass_kind kind)
{
    return kind == XENO_PASS_LOGIN ? XENO_TYP_PASS_LOGIN : XENO_TYP_PASS_ACCESS;
}

static bool good_name(const char *name, size_t len)
{
    if (len == 0 || len > XENO_PASS_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!name[i] || !strchr(NAME_LETTERS, name[i]))
            return false;
    }
    return true;
}

static bool begins(const char *text, size_t len, const char *with)
{
    size_t n = strlen(with);

    return len >= n && memcmp(text, with, n) == 0;
}

/* --- scopes --- */

static unsigned action_of(const char *word, size_t len)
{
    if (len == 1 && *word == '*')
        return XENO_PASS_ALL;
    for (size_t i = 0; i < XENO_LEN(words); i++) {
        if (strlen(words[i].word) == len && strncmp(words[i].word, word, len) == 0)
            return words[i].action;
    }
    return 0;
}

static unsigned actions_of(const char *list, size_t len)
{
    unsigned actions = 0;

    while (len > 0) {
        const char *comma = memchr(list, ',', len);
        size_t word = comma ? (size_t)(comma - list) : len;

        actions |= action_of(list, word);
        word += comma != NULL;
        list += word;
        len -= word;
    }
    return actions;
}

int xeno_pass_scope_parse(const char *text, size_t len, struct xeno_pass_scope *ret,
                          struct xeno_err *err)
{
    const char *first = memchr(text, ':', len), *last = memrchr(text, ':', len);
    struct xeno_pass_scope s = { .actions = 0 };
    size_t name_len;

    if (!first || first == last)
        return xeno_fail(err, -EINVAL, "pass.scope", "a scope is TYPE:NAME:ACTIONS");
    name_len = (size_t)(last - first) - 1;
    s.actions = actions_of(last + 1, len - (size_t)(last + 1 - text));
    if (begins(text, len, "registry:catalog:")) { /* all of it or nothing */
        s.actions = s.actions == XENO_PASS_ALL ? XENO_PASS_ALL : 0;
        *ret = s;
        return 0;
    }
    if (!begins(text, len, "repository:") || !good_name(first + 1, name_len))
        return xeno_fail(err, -EINVAL, "pass.scope",
                         "a scope is repository:NAME:ACTIONS, NAME of at most %d lower-case "
                         "letters, digits and . _ - /",
                         XENO_PASS_NAME_MAX);
    memcpy(s.name, first + 1, name_len);
    *ret = s;
    return 0;
}

const char *xeno_pass_scope_text(const struct xeno_pass_scope *s, char out[XENO_PASS_SCOPE_TEXT])
{
    size_t at;

    if (!*s->name) {
        snprintf(out, XENO_PASS_SCOPE_TEXT, "registry:catalog:%s", s->actions ? "*" : "");
        return out;
    }
    at = (size_t)snprintf(out, XENO_PASS_SCOPE_TEXT, "repository:%s:", s->name);
    for (size_t i = 0; i < XENO_LEN(words); i++) {
        if (s->actions & words[i].action)
            at += (size_t)snprintf(out + at, XENO_PASS_SCOPE_TEXT - at, "%s%s",
                                   out[at - 1] == ':' ? "" : ",", words[i].word);
    }
    return out;
}

bool xeno_pass_allows(const struct xeno_pass *p, const char *name, unsigned actions)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->scopes[i].name, name) == 0)
            actions &= ~p->scopes[i].actions;
    }
    return actions == 0;
}

/* --- making --- */

static struct xeno_json *scopes_json(const struct xeno_pass *p)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < p->count; i++) {
        char text[XENO_PASS_SCOPE_TEXT];

        xeno_json_append_str(list, xeno_pass_scope_text(&p->scopes[i], text));
    }
    return list;
}

char *xeno_pass_sign(const struct xeno_key *store, const struct xeno_pass *p)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_id id = xeno_id_of(xeno_key_pub(store));
    xeno_autofree char *text = NULL;
    size_t len;

    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_str(doc, "store", id.s);
    xeno_json_set_str(doc, "client", p->client.s);
    xeno_json_set_str(doc, "serial", p->serial);
    xeno_json_set_int(doc, "issued_ms", p->issued.ns / XENO_NS_PER_MS);
    xeno_json_set_int(doc, "expires_ms", p->expires.ns / XENO_NS_PER_MS);
    if (p->kind == XENO_PASS_ACCESS)
        xeno_json_set(doc, "scopes", scopes_json(p));
    text = xeno_json_format(doc, false, &len);
    return xeno_jws_sign(store, typ_of(p->kind), text, len);
}

/* --- reading --- */

static int read_id(const struct xeno_json_at *top, const char *key, struct xeno_id *ret,
                   struct xeno_err *err)
{
    const char *text = NULL;
    int r = xeno_json_str(top, key, XENO_ID_CHARS, XENO_ID_CHARS, &text, err);

    if (r == 0 && !xeno_id_ok(text))
        r = xeno_fail(err, -EINVAL, "json.range", "%s is not the id of a party", key);
    if (r == 0)
        memcpy(ret->s, text, XENO_ID_CHARS + 1);
    return r;
}

static int read_scopes(const struct xeno_json_at *top, struct xeno_pass *p, struct xeno_err *err)
{
    struct xeno_json_at list;
    int r = xeno_json_arr(top, "scopes", XENO_PASS_SCOPES, &list, &p->count, err);

    for (size_t i = 0; r == 0 && i < p->count; i++) {
        const char *text = NULL;

        r = xeno_json_item_str(&list, i, 1, XENO_PASS_SCOPE_TEXT, &text, err);
        if (r == 0)
            r = xeno_pass_scope_parse(text, strlen(text), &p->scopes[i], err);
    }
    return r;
}

static int read_members(const struct xeno_json_at *top, struct xeno_pass *p, struct xeno_err *err)
{
    static const char *const known[] = { "v",         "store",      "client", "serial",
                                         "issued_ms", "expires_ms", "scopes", NULL };
    const char *serial = NULL;
    int r = xeno_doc_version(top, err);

    if (r == 0)
        r = xeno_json_only(top, known, err);
    if (r == 0)
        r = read_id(top, "store", &p->store, err);
    if (r == 0)
        r = read_id(top, "client", &p->client, err);
    if (r == 0)
        r = xeno_json_str(top, "serial", 1, XENO_SERIAL_TEXT - 1, &serial, err);
    if (r == 0)
        r = xeno_doc_time(top, "issued_ms", 0, &p->issued, err);
    if (r == 0)
        r = xeno_doc_time(top, "expires_ms", 0, &p->expires, err);
    if (r == 0 && p->kind == XENO_PASS_ACCESS)
        r = read_scopes(top, p, err);
    if (r == 0)
        snprintf(p->serial, sizeof p->serial, "%s", serial);
    return r;
}

int xeno_pass_read(const char *text, size_t len, enum xeno_pass_kind kind,
                   const struct xeno_pub *store, xeno_time now, struct xeno_pass *ret,
                   struct xeno_err *err)
{
    struct xeno_pass p = { .kind = kind };
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    if (len > XENO_PASS_MAX)
        return xeno_fail(err, -EFBIG, "pass.size", "a pass has at most %d bytes, not %zu",
                         XENO_PASS_MAX, len);
    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_jws_check(jws, typ_of(kind), store, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, XENO_PASS_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = read_members(&top, &p, err);
    if (r == 0 && now.ns >= p.expires.ns)
        r = xeno_fail(err, -EPERM, "pass.expired",
                      "the pass is over: get another (xeno store login)");
    if (r == 0)
        *ret = p;
    return r;
}
