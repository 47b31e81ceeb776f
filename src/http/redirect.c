/* src/http/redirect.c - follow a redirect, and take nothing along that is not for the next host.
 *
 * libcurl could follow by itself, but it keeps a client certificate for whatever host comes next,
 * and our check of a server's party id is for the first one only.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "http/client-priv.h"

/* Scheme, host and port alike? */
static bool same_origin(const char *a, const char *b)
{
    static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
    CURLU *ua = curl_url(), *ub = curl_url();
    bool same = curl_url_set(ua, CURLUPART_URL, a, CURLU_PATH_AS_IS) == CURLUE_OK &&
                curl_url_set(ub, CURLUPART_URL, b, CURLU_PATH_AS_IS) == CURLUE_OK;

    for (size_t i = 0; same && i < XENO_LEN(parts); i++) {
        char *x = NULL, *y = NULL;

        same = curl_url_get(ua, parts[i], &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               curl_url_get(ub, parts[i], &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               strcasecmp(x, y) == 0;
        curl_free(x);
        curl_free(y);
    }
    curl_url_cleanup(ua);
    curl_url_cleanup(ub);
    return same;
}

static void drop_secrets(struct xeno_http_call *call)
{
    struct curl_slist *kept = NULL;

    for (const struct curl_slist *h = call->headers; h; h = h->next)
        if (strncasecmp(h->data, "Authorization:", 14) != 0)
            kept = curl_slist_append(kept, h->data);
    curl_slist_free_all(call->headers);
    call->headers = kept;
    call->foreign = true;
}

static bool is_redirect(const struct xeno_http_call *call, int status)
{
    bool reads = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;

    return reads && !call->sock && call->follows &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

bool http_redirect(struct xeno_http_call *call, int status)
{
    xeno_autofree char *next = NULL;
    bool was_plain = call->plain;
    char *found = NULL;

    if (!is_redirect(call, status))
        return false;
    if (curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &found) != CURLE_OK || !found)
        return false;
    if (call->redirects == 0) {
        xeno_fail(&call->err, -ELOOP, "http.redirect",
                  "%s: redirected again and again, last to %.200s", call->shown, found);
        return true;
    }
    call->redirects--;
    next = xeno_strdup(found);
    if (!same_origin(call->url, next))
        drop_secrets(call);
    http_transfer_url(call, next);
    if (call->err.code == 0 && call->plain && !was_plain)
        call->err.code = -EPROTO;
    if (call->err.code < 0)
        xeno_fail(&call->err, -EPROTO, "http.redirect",
                  "%s: redirected to '%.200s', which is not https", call->shown, next);
    return true;
}
