/* src/xstored/meta-list.c - lists, page by page. */
#include <stdio.h>
#include <string.h>

#include "xstored/meta-priv.h"

/* Texts of the first column; the statement asks for one more than the page has. */
static int read_page(struct xeno_query *q, int max, struct xeno_json **ret, bool *ret_more,
                     struct xeno_err *err)
{
    xeno_auto(xeno_json) list = xeno_json_array();
    int n = 0, r;

    *ret_more = false;
    while ((r = xeno_query_step(q, err)) > 0) {
        if (n++ == max) {
            *ret_more = max > 0; /* of nothing there is no next page */
            break;
        }
        xeno_json_append_str(list, xeno_query_col_text(q, 0));
    }
    if (r < 0)
        return r;
    *ret = xeno_take(&list);
    return 0;
}

static int page(struct xeno_db *db, const char *sql, const char *of, const char *last, int max,
                struct xeno_json **ret, bool *ret_more, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, of);
    xeno_query_text(&q, 2, last);
    xeno_query_int(&q, 3, (int64_t)max + 1);
    return read_page(&q, max, ret, ret_more, err);
}

int xstored_meta_tags(struct xeno_db *db, const char *repo, const char *last, int max,
                      struct xeno_json **ret, bool *ret_more, struct xeno_err *err)
{
    int r = meta_repository(db, repo, err);

    return r < 0 ? r
                 : page(db,
                        "SELECT name FROM tag WHERE repository = $1 AND name > $2"
                        " ORDER BY name LIMIT $3",
                        repo, last, max, ret, ret_more, err);
}

int xstored_meta_repositories(struct xeno_db *db, const char *owner, const char *last, int max,
                              struct xeno_json **ret, bool *ret_more, struct xeno_err *err)
{
    return page(db,
                "SELECT name FROM repository WHERE owner = $1 AND name > $2"
                " ORDER BY name LIMIT $3",
                owner, last, max, ret, ret_more, err);
}

static bool append_descriptor(struct xeno_json *list, const char *text)
{
    struct xeno_json *j = NULL;

    if (xeno_json_parse(text, strlen(text), 2 * XSTORED_DOC_MAX_BYTES, &j, NULL) < 0)
        return false;
    xeno_json_append(list, j);
    return true;
}

int xstored_meta_referrers(struct xeno_db *db, const char *repo, const char *subject,
                           const char *type, const char *last, size_t max_bytes,
                           struct xeno_json **ret, char ret_last[XENO_DIGEST_TEXT],
                           struct xeno_err *err)
{
    xeno_auto(xeno_json) list = xeno_json_array();
    xeno_autoquery q = XENO_QUERY_INIT;
    size_t bytes = 0;
    int r = xeno_query_begin(db, &q,
                             "SELECT digest, descriptor FROM manifest"
                             " WHERE repository = $1 AND subject = $2 AND subject <> ''"
                             " AND digest > $3 AND ($4 = '' OR artifact_type = $4)"
                             " ORDER BY digest",
                             err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, repo);
    xeno_query_text(&q, 2, subject);
    xeno_query_text(&q, 3, last);
    xeno_query_text(&q, 4, type ? type : "");
    ret_last[0] = '\0';
    while ((r = xeno_query_step(&q, err)) > 0) {
        if (bytes > max_bytes)
            break; /* the last one that was taken is where the next page begins */
        append_descriptor(list, xeno_query_col_text(&q, 1));
        bytes += strlen(xeno_query_col_text(&q, 1));
        snprintf(ret_last, XENO_DIGEST_TEXT, "%s", xeno_query_col_text(&q, 0));
    }
    if (r == 0)
        ret_last[0] = '\0';
    if (r < 0)
        return r;
    *ret = xeno_take(&list);
    return 0;
}
