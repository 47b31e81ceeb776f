/* src/member/revoked.c - the XenoCorp's revocation list: fetched, kept, never an older one. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "json/json.h"
#include "member/member-priv.h"

#define RETRY_MS       30000
#define FETCH_LEAST_MS 10000
#define FETCH_MOST_MS  60000 /* so long may a credential still be used that was revoked */
#define LIST_MAX_BYTES (1 << 20)

static const char file_name[] = "revocations";

/* --- where it is kept --- */

static char *get_kept(const struct xeno_member *m)
{
    char *text = NULL;
    size_t len;

    if (m->opt.kept)
        return m->opt.kept(m->opt.ctx);
    return xeno_file_read(m->opt.dirfd, file_name, LIST_MAX_BYTES, &text, &len, NULL) < 0 ? NULL
                                                                                          : text;
}

static void put_kept(const struct xeno_member *m, const char *text)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (m->opt.keep)
        m->opt.keep(text, m->opt.ctx);
    else if (xeno_file_write(m->opt.dirfd, file_name, 0644, text, strlen(text), &err) < 0)
        xeno_log_err(LOG_ERR, "revocations.keep", &err, "%s", "");
}

void member_revoked_load(struct xeno_member *m)
{
    xeno_autofree char *text = get_kept(m);
    struct xeno_err err = XENO_ERR_INIT;

    if (text && xeno_revocations_read(text, strlen(text), &m->corp_pub, &m->revoked, &err) < 0)
        xeno_log_err(LOG_WARNING, "revocations.kept", &err, "%s", "");
}

bool xeno_member_revoked(const char *serial, void *user)
{
    const struct xeno_member *m = user;

    return xeno_revocations_has(m->revoked, serial);
}

/* --- a newer one --- */

static int take_list(struct xeno_member *m, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_revocations) list = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;
    const char *text;
    int r = xeno_json_parse(body, len, LIST_MAX_BYTES, &j, err);

    if (r < 0)
        return r;
    at = xeno_json_top(j);
    r = xeno_json_str(&at, "signed", 1, LIST_MAX_BYTES, &text, err);
    if (r == 0)
        r = xeno_revocations_read(text, strlen(text), &m->corp_pub, &list, err);
    if (r < 0)
        return r;
    if (m->revoked && list->version < m->revoked->version)
        return xeno_fail(err, -ESTALE, "revoke.version",
                         "version %" PRId64 " is older than %" PRId64 ", which is kept",
                         list->version, m->revoked->version);
    m->fetch_after.ns = list->next.ns - xeno_wall(m->opt.env).ns; /* a length, yet */
    if (!m->revoked || list->version > m->revoked->version) {
        put_kept(m, text);
        xeno_log(LOG_INFO, "revocations.new", "version=%" PRId64 " count=%zu", list->version,
                 list->count);
    }
    xeno_revocations_free(m->revoked);
    m->revoked = xeno_take(&list);
    return 0;
}

static void on_list(const struct xeno_http_answer *a, void *arg)
{
    struct xeno_member *m = arg;
    struct xeno_err err = XENO_ERR_INIT;

    m->fetching = false;
    m->corp_answers = a->status != 0;
    m->fetch_after = xeno_ms(RETRY_MS);
    if (a->err)
        xeno_log_err(LOG_NOTICE, "revocations.fetch", a->err, "%s", "");
    else if (take_list(m, a->body, a->len, &err) < 0)
        xeno_log_err(LOG_WARNING, "revocations.fetch", &err, "%s", "");
    if (m->fetch_after.ns < FETCH_LEAST_MS * XENO_NS_PER_MS)
        m->fetch_after = xeno_ms(FETCH_LEAST_MS);
    if (m->fetch_after.ns > FETCH_MOST_MS * XENO_NS_PER_MS)
        m->fetch_after = xeno_ms(FETCH_MOST_MS);
    m->fetch_after = xeno_time_add(xeno_mono(m->opt.env), m->fetch_after);
}

static void fetch(struct xeno_member *m)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/revocations", m->opt.corp_url);
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .server_id = m->corp.s,
                                 .deadline = xeno_s(20),
                                 .done = on_list,
                                 .arg = m };

    m->fetching = true;
    xeno_http_send(m->client, &ask);
}

void member_revoked_tick(struct xeno_member *m)
{
    if (!m->fetching && xeno_mono(m->opt.env).ns >= m->fetch_after.ns)
        fetch(m);
}

void xeno_member_fetch_now(struct xeno_member *m)
{
    m->fetch_after = xeno_ns(0);
}
