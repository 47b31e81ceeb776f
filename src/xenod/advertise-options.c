/* src/xenod/advertise-options.c - what an operator says for the advert. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xenod/advertise.h"
#include "xenod/options.h"
#include "xis/query.h"

static int bad_url(const char *list, size_t len, const char *why, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "conf.range", "xis: '%.*s': %s", (int)(len < 80 ? len : 80),
                     list, why);
}

int xenod_xis_urls(const char *list, char *ret[XENO_REFRESH_SERVICES], struct xeno_err *err)
{
    static const char scheme[] = "https://";
    int n = 0, r = 0;

    while (r == 0 && list && *(list += strspn(list, ", ")) != '\0') {
        size_t len = strcspn(list, ", "), keep = len;

        while (keep > 0 && list[keep - 1] == '/')
            keep--;
        if (n == XENO_REFRESH_SERVICES)
            r = bad_url(list, len, "there are more than 16", err);
        else if (len > 200 || strncmp(list, scheme, sizeof scheme - 1) != 0 ||
                 keep <= sizeof scheme - 1 || memchr(list + sizeof scheme - 1, '/', keep - 8))
            r = bad_url(list, len, "write it as https://HOST:PORT", err);
        else
            ret[n++] = xeno_strndup(list, keep);
        list += len;
    }
    while (r < 0 && n > 0)
        free(ret[--n]);
    return r < 0 ? r : n;
}

static int check_degrees(const char *name, const char *text, double most, struct xeno_err *err)
{
    double n;

    if (!text || !*text)
        return 0;
    if (!xeno_advert_is_number(text, &n) || n < -most || n > most)
        return xeno_fail(err, -EINVAL, "conf.range", "%s = '%s': degrees from -%g to %g", name,
                         text, most, most);
    return 0;
}

static int check_accept(const char *text, struct xeno_err *err)
{
    xeno_auto(xeno_query_tree) q = NULL;
    int r = text && *text ? xeno_query_parse(text, strlen(text), &q, err) : 0;

    return r < 0 ? xeno_context(err, r, "accept") : 0;
}

int xenod_advertise_check(const struct xenod_options *o, struct xeno_err *err)
{
    char *urls[XENO_REFRESH_SERVICES];
    int n = xenod_xis_urls(o->xis, urls, err), r;
    const char *c = o->country;

    if (n < 0)
        return n;
    while (n > 0)
        free(urls[--n]);
    r = check_degrees("latitude", o->latitude, 90, err);
    if (r == 0)
        r = check_degrees("longitude", o->longitude, 180, err);
    if (r < 0)
        return r;
    if (!(o->latitude && *o->latitude) != !(o->longitude && *o->longitude))
        return xeno_fail(err, -EINVAL, "conf.range", "latitude and longitude go together");
    if (c && *c && (strlen(c) != 2 || strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
        return xeno_fail(err, -EINVAL, "conf.range",
                         "country = '%.20s': two capital letters (ISO 3166)", c);
    return check_accept(o->accept, err);
}
