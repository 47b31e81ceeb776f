/* src/json/read.c - reading members, with the path of the element in every error. */
#include "json/json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Room for the name of one member in a message; longer ones are cut. */
#define NAME_MAX_SHOWN 64

static const json_t *in(const struct xeno_json *j)
{
    return (const json_t *)j;
}

static const char *type_name(const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

/* base + "." + key, or base + key for "[3]"; what does not fit is cut at the front, since the end
 * of a path says more than its beginning. Control characters of a hostile key become '?', so that
 * a path can be logged. Without printf: it runs for every member that is read. */
static void path_join(char out[XENO_JSON_PATH], const char *base, const char *key)
{
    char all[XENO_JSON_PATH + NAME_MAX_SHOWN + 8];
    size_t base_len = strlen(base), key_len = strnlen(key, NAME_MAX_SHOWN), len = base_len;

    memcpy(all, base, base_len);
    if (base_len > 0 && key[0] != '[')
        all[len++] = '.';
    for (size_t i = 0; i < key_len; i++)
        all[len++] = (unsigned char)key[i] < ' ' || key[i] == 0x7f ? '?' : key[i];
    all[len] = '\0';
    if (len < XENO_JSON_PATH)
        memcpy(out, all, len + 1);
    else
        snprintf(out, XENO_JSON_PATH, "...%s", all + (len - (XENO_JSON_PATH - 4)));
}

static const char *shown(const char *path)
{
    return path[0] ? path : "the document";
}

static int wrong_type(const char *path, const char *want, const json_t *j, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "json.type", "%s: must be %s, is %s", shown(path), want,
                     j ? type_name(j) : "nothing");
}

struct xeno_json_at xeno_json_top(const struct xeno_json *j)
{
    return (struct xeno_json_at){ .j = j };
}

/* The member `key`: 0, or 1 when it is missing or null. `path` is filled either way. */
static int member(const struct xeno_json_at *at, const char *key, char path[XENO_JSON_PATH],
                  const json_t **ret, struct xeno_err *err)
{
    const json_t *v;

    if (!json_is_object(in(at->j)))
        return wrong_type(at->path, "an object", in(at->j), err);
    path_join(path, at->path, key);
    v = json_object_get(in(at->j), key);
    if (!v || json_is_null(v))
        return 1;
    *ret = v;
    return 0;
}

/* For the forms that insist: turn "not there" into its error. */
static int required(int r, const struct xeno_json_at *at, const char *key, struct xeno_err *err)
{
    char path[XENO_JSON_PATH];

    if (r <= 0)
        return r;
    path_join(path, at->path, key);
    return xeno_fail(err, -EINVAL, "json.missing", "%s: missing", path);
}

static int read_str(const json_t *v, const char *path, size_t min, size_t max, const char **ret,
                    struct xeno_err *err)
{
    size_t len;

    if (!json_is_string(v))
        return wrong_type(path, "a string", v, err);
    len = json_string_length(v);
    if (len < min || len > max)
        return xeno_fail(err, -EINVAL, "json.range", "%s: %zu bytes, must be %zu to %zu", path, len,
                         min, max);
    /* Parsing refuses \u0000 already; a value built in memory could still hold one. */
    if (strlen(json_string_value(v)) != len)
        return xeno_fail(err, -EINVAL, "json.range", "%s: holds a zero byte", path);
    *ret = json_string_value(v);
    return 0;
}

int xeno_json_str_opt(const struct xeno_json_at *at, const char *key, size_t min, size_t max,
                      const char **ret, struct xeno_err *err)
{
    char path[XENO_JSON_PATH];
    const json_t *v = NULL;
    int r = member(at, key, path, &v, err);

    return r != 0 ? r : read_str(v, path, min, max, ret, err);
}

static int read_int(const json_t *v, const char *path, int64_t min, int64_t max, int64_t *ret,
                    struct xeno_err *err)
{
    int64_t n;

    if (!json_is_integer(v))
        return wrong_type(path, "an integer", v, err);
    n = json_integer_value(v);
    if (n < min || n > max)
        return xeno_fail(err, -EINVAL, "json.range",
                         "%s: %" PRId64 " is not within %" PRId64 " to %" PRId64, path, n, min,
                         max);
    *ret = n;
    return 0;
}

int xeno_json_int_opt(const struct xeno_json_at *at, const char *key, int64_t min, int64_t max,
                      int64_t *ret, struct xeno_err *err)
{
    char path[XENO_JSON_PATH];
    const json_t *v = NULL;
    int r = member(at, key, path, &v, err);

    return r != 0 ? r : read_int(v, path, min, max, ret, err);
}

int xeno_json_num_opt(const struct xeno_json_at *at, const char *key, double *ret,
                      struct xeno_err *err)
{
    char path[XENO_JSON_PATH];
    const json_t *v = NULL;
    int r = member(at, key, path, &v, err);

    if (r != 0)
        return r;
    if (!json_is_number(v))
        return wrong_type(path, "a number", v, err);
    *ret = json_number_value(v);
    return 0;
}

bool xeno_json_at_num(const struct xeno_json_at *at, double *ret)
{
    if (!json_is_number(in(at->j)))
        return false;
    *ret = json_number_value(in(at->j));
    return true;
}

bool xeno_json_at_str(const struct xeno_json_at *at, const char **ret)
{
    if (!json_is_string(in(at->j)) ||
        strlen(json_string_value(in(at->j))) != json_string_length(in(at->j)))
        return false;
    *ret = json_string_value(in(at->j));
    return true;
}

int xeno_json_bool_opt(const struct xeno_json_at *at, const char *key, bool *ret,
                       struct xeno_err *err)
{
    char path[XENO_JSON_PATH];
    const json_t *v = NULL;
    int r = member(at, key, path, &v, err);

    if (r != 0)
        return r;
    if (!json_is_boolean(v))
        return wrong_type(path, "a boolean", v, err);
    *ret = json_is_true(v);
    return 0;
}

/* `ret` may be `at` itself. */
static void step(struct xeno_json_at *ret, const json_t *v, const char path[XENO_JSON_PATH])
{
    ret->j = (const struct xeno_json *)v;
    memcpy(ret->path, path, XENO_JSON_PATH);
}

int xeno_json_obj_opt(const struct xeno_json_at *at, const char *key, struct xeno_json_at *ret,
                      struct xeno_err *err)
{
    char path[XENO_JSON_PATH] = "";
    const json_t *v = NULL;
    int r = member(at, key, path, &v, err);

    if (r != 0)
        return r;
    if (!json_is_object(v))
        return wrong_type(path, "an object", v, err);
    step(ret, v, path);
    return 0;
}

int xeno_json_arr_opt(const struct xeno_json_at *at, const char *key, size_t max_items,
                      struct xeno_json_at *ret, size_t *ret_count, struct xeno_err *err)
{
    char path[XENO_JSON_PATH] = "";
    const json_t *v = NULL;
    int r = member(at, key, path, &v, err);

    if (r != 0)
        return r;
    if (!json_is_array(v))
        return wrong_type(path, "an array", v, err);
    if (json_array_size(v) > max_items)
        return xeno_fail(err, -EINVAL, "json.range", "%s: %zu items, at most %zu allowed", path,
                         json_array_size(v), max_items);
    step(ret, v, path);
    *ret_count = json_array_size(v);
    return 0;
}

int xeno_json_str(const struct xeno_json_at *at, const char *key, size_t min, size_t max,
                  const char **ret, struct xeno_err *err)
{
    return required(xeno_json_str_opt(at, key, min, max, ret, err), at, key, err);
}

int xeno_json_int(const struct xeno_json_at *at, const char *key, int64_t min, int64_t max,
                  int64_t *ret, struct xeno_err *err)
{
    return required(xeno_json_int_opt(at, key, min, max, ret, err), at, key, err);
}

int xeno_json_bool(const struct xeno_json_at *at, const char *key, bool *ret, struct xeno_err *err)
{
    return required(xeno_json_bool_opt(at, key, ret, err), at, key, err);
}

int xeno_json_obj(const struct xeno_json_at *at, const char *key, struct xeno_json_at *ret,
                  struct xeno_err *err)
{
    return required(xeno_json_obj_opt(at, key, ret, err), at, key, err);
}

int xeno_json_arr(const struct xeno_json_at *at, const char *key, size_t max_items,
                  struct xeno_json_at *ret, size_t *ret_count, struct xeno_err *err)
{
    return required(xeno_json_arr_opt(at, key, max_items, ret, ret_count, err), at, key, err);
}

struct xeno_json_at xeno_json_item(const struct xeno_json_at *at, size_t i)
{
    struct xeno_json_at item = { .j = NULL };
    char index[24];

    snprintf(index, sizeof(index), "[%zu]", i);
    path_join(item.path, at->path, index);
    item.j = (const struct xeno_json *)json_array_get(in(at->j), i);
    return item;
}

int xeno_json_item_str(const struct xeno_json_at *at, size_t i, size_t min, size_t max,
                       const char **ret, struct xeno_err *err)
{
    struct xeno_json_at item = xeno_json_item(at, i);

    return read_str(in(item.j), item.path, min, max, ret, err);
}

int xeno_json_item_int(const struct xeno_json_at *at, size_t i, int64_t min, int64_t max,
                       int64_t *ret, struct xeno_err *err)
{
    struct xeno_json_at item = xeno_json_item(at, i);

    return read_int(in(item.j), item.path, min, max, ret, err);
}

static bool listed(const char *const *keys, const char *key)
{
    for (; *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

int xeno_json_only(const struct xeno_json_at *at, const char *const *keys, struct xeno_err *err)
{
    json_t *obj = (json_t *)(uintptr_t)at->j;
    char path[XENO_JSON_PATH];

    if (!json_is_object(obj))
        return wrong_type(at->path, "an object", obj, err);
    for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
        if (listed(keys, json_object_iter_key(it)))
            continue;
        path_join(path, at->path, json_object_iter_key(it));
        return xeno_fail(err, -EINVAL, "json.unknown", "%s: unknown member", path);
    }
    return 0;
}

const char *xeno_json_key(const struct xeno_json_at *at, size_t i)
{
    json_t *obj = (json_t *)(uintptr_t)at->j;
    void *it = json_object_iter(obj); /* NULL when it is no object */

    while (it && i-- > 0)
        it = json_object_iter_next(obj, it);
    return it ? json_object_iter_key(it) : NULL;
}
