/* src/xstored/api-list.c - lists: tags, repositories, referrers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/client.h"
#include "xstored/xstored.h"

#define PAGE_MAX        1000
#define REFERRERS_BYTES (1 << 20) /* after so many the page ends */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Name the next page: it begins after the last text of this one. */
static void add_next(struct xeno_http_req *q, const struct xeno_json *list, int n)
{
    struct xeno_json_at at = xeno_json_top(list);
    char size[16];
    const char *last;

    snprintf(size, sizeof size, "%d", n);
    if (xeno_json_item_str(&at, (size_t)n - 1, 1, XSTORED_NAME_MAX, &last, NULL) == 0)
        xstored_next(q, "n", size, last);
}

void xstored_get_tags(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_json *list = NULL, *reply;
    struct xeno_err err = XENO_ERR_INIT;
    const char *repo;
    bool more = false;
    int n, r;

    if (!xstored_reader(d, q, &repo))
        return;
    r = xstored_page_size(xeno_http_query(q, "n"), PAGE_MAX, &n, &err);
    if (r == 0)
        r = xstored_meta_tags(d->view, repo, or_empty(xeno_http_query(q, "last")), n, &list, &more,
                              &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    if (more)
        add_next(q, list, n);
    reply = xeno_json_object();
    xeno_json_set_str(reply, "name", repo);
    xeno_json_set(reply, "tags", list);
    xeno_http_reply_json(q, 200, reply);
}

/* Only what the asker owns: the list of all is nobody's business. */
void xstored_get_catalog(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_json *list = NULL, *reply;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    bool more = false;
    int n = 0, r = xstored_who(d, q, &who, &err);

    d->counts.requests++;
    if (r == 0)
        r = xstored_may_list(&who, &err);
    if (r == 0)
        r = xstored_page_size(xeno_http_query(q, "n"), PAGE_MAX, &n, &err);
    if (r == 0)
        r = xstored_meta_repositories(d->view, who.id.s, or_empty(xeno_http_query(q, "last")), n,
                                      &list, &more, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    if (more)
        add_next(q, list, n);
    reply = xeno_json_object();
    xeno_json_set(reply, "repositories", list);
    xeno_http_reply_json(q, 200, reply);
}

/* --- referrers --- */

static void reply_index(struct xeno_http_req *q, struct xeno_json *list)
{
    xeno_auto(xeno_json) index = xeno_json_object();
    xeno_autofree char *text = NULL;
    size_t len;

    xeno_json_set_int(index, "schemaVersion", 2);
    xeno_json_set_str(index, "mediaType", XSTORED_MT_INDEX);
    xeno_json_set(index, "manifests", list);
    text = xeno_json_format(index, false, &len);
    xeno_http_reply_data(q, 200, XSTORED_MT_INDEX, text, len);
}

void xstored_get_referrers(struct xeno_http_req *q, void *user)
{
    const char *subject = xeno_http_param(q, "digest"), *type = xeno_http_query(q, "artifactType");
    struct xstored *d = user;
    struct xeno_json *list = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    char last[XENO_DIGEST_TEXT];
    const char *repo;
    int r;

    if (!xstored_reader(d, q, &repo))
        return;
    r = xstored_digest_check(subject, &err);
    if (r == 0)
        r = xstored_meta_referrers(d->view, repo, subject, type,
                                   or_empty(xeno_http_query(q, "last")), REFERRERS_BYTES, &list,
                                   last, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    if (*or_empty(type))
        xeno_http_set_header(q, "OCI-Filters-Applied", "artifactType");
    if (*last) {
        xeno_autofree char *escaped = xeno_http_escape(or_empty(type));

        xstored_next(q, "artifactType", escaped, last);
    }
    reply_index(q, list);
}
