/* src/json/json.h - JSON values: strict parsing, building, and reading with the path in the error.
 *
 * A `struct xeno_json` is one reference to a value (jansson behind). Parsing refuses duplicate
 * keys, bad UTF-8, numbers that do not fit an int64, reals where an integer is read, a text over
 * `max` bytes and nesting over XENO_JSON_DEPTH. Reading goes through a `struct xeno_json_at`, which
 * knows where in the document it stands, so that an error names the element: "charges[3].amount".
 * Context: one thread.
 */
#ifndef XENO_JSON_JSON_H
#define XENO_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_JSON_DEPTH 16

struct xeno_json;

void xeno_json_unref(struct xeno_json *j);
struct xeno_json *xeno_json_ref(struct xeno_json *j);
XENO_DEFINE_AUTO(xeno_json, xeno_json_unref);

/* Parse one object or array that is all of `text`.
 *
 * Errors: -EFBIG json.size, -EINVAL json.syntax (with line and column), json.depth.
 */
int xeno_json_parse(const char *text, size_t len, size_t max, struct xeno_json **ret,
                    struct xeno_err *err);

/* One line, keys in the order they were set; the caller's. `pretty` indents by two for people. */
char *xeno_json_format(const struct xeno_json *j, bool pretty, size_t *ret_len);

/* --- building: returned values are the caller's; `value` is taken, also on failure --- */

struct xeno_json *xeno_json_object(void);
struct xeno_json *xeno_json_array(void);
struct xeno_json *xeno_json_string(const char *text); /* invalid UTF-8 is replaced by '?' */
bool xeno_json_utf8_ok(const char *text);             /* can it be said as it is? NULL can */
void xeno_json_set(struct xeno_json *obj, const char *key, struct xeno_json *value);
void xeno_json_set_str(struct xeno_json *obj, const char *key,
                       const char *text); /* NULL: skipped */
void xeno_json_set_int(struct xeno_json *obj, const char *key, int64_t n);
void xeno_json_set_num(struct xeno_json *obj, const char *key, double n); /* finite */
struct xeno_json *xeno_json_num(double n); /* finite; a whole number is written as one */
void xeno_json_set_bool(struct xeno_json *obj, const char *key, bool b);
void xeno_json_append(struct xeno_json *arr, struct xeno_json *value);
void xeno_json_append_str(struct xeno_json *arr, const char *text);
void xeno_json_append_int(struct xeno_json *arr, int64_t n);

/* A further reference to member `key` of the object, the caller's; NULL when there is none. */
struct xeno_json *xeno_json_member(const struct xeno_json *obj, const char *key);

/* --- reading --- */

#define XENO_JSON_PATH 96

/* A place in a document; borrows the value. Copy it freely. */
struct xeno_json_at {
    const struct xeno_json *j;
    char path[XENO_JSON_PATH]; /* "" at the top; cut at the front when too long */
};

struct xeno_json_at xeno_json_top(const struct xeno_json *j);

/* Each reads member `key` of the object at `at`. A missing or null member, a wrong type and a value
 * out of bounds are -EINVAL with token json.missing, json.type or json.range, the path and the
 * limit in the text; *ret keeps its old value. The _opt forms return 0 for present, 1 for missing
 * or null (*ret keeps its old value), and fail otherwise. Strings are borrowed from the document,
 * at least `min` and at most `max` bytes, and hold no zero byte. */
int xeno_json_str(const struct xeno_json_at *at, const char *key, size_t min, size_t max,
                  const char **ret, struct xeno_err *err);
int xeno_json_int(const struct xeno_json_at *at, const char *key, int64_t min, int64_t max,
                  int64_t *ret, struct xeno_err *err);
int xeno_json_bool(const struct xeno_json_at *at, const char *key, bool *ret, struct xeno_err *err);
int xeno_json_obj(const struct xeno_json_at *at, const char *key, struct xeno_json_at *ret,
                  struct xeno_err *err);
int xeno_json_arr(const struct xeno_json_at *at, const char *key, size_t max_items,
                  struct xeno_json_at *ret, size_t *ret_count, struct xeno_err *err);
int xeno_json_str_opt(const struct xeno_json_at *at, const char *key, size_t min, size_t max,
                      const char **ret, struct xeno_err *err);
int xeno_json_int_opt(const struct xeno_json_at *at, const char *key, int64_t min, int64_t max,
                      int64_t *ret, struct xeno_err *err);
int xeno_json_bool_opt(const struct xeno_json_at *at, const char *key, bool *ret,
                       struct xeno_err *err);
int xeno_json_obj_opt(const struct xeno_json_at *at, const char *key, struct xeno_json_at *ret,
                      struct xeno_err *err);
int xeno_json_arr_opt(const struct xeno_json_at *at, const char *key, size_t max_items,
                      struct xeno_json_at *ret, size_t *ret_count, struct xeno_err *err);

/* A number, whole or with a fraction. */
int xeno_json_num_opt(const struct xeno_json_at *at, const char *key, double *ret,
                      struct xeno_err *err);
/* Is the value at `at` itself a number, or a string without a zero byte? Then *ret is it. */
bool xeno_json_at_num(const struct xeno_json_at *at, double *ret);
bool xeno_json_at_str(const struct xeno_json_at *at, const char **ret);

/* Items of the array at `at`; i is below its count. The plain form is a place (any type). */
struct xeno_json_at xeno_json_item(const struct xeno_json_at *at, size_t i);
int xeno_json_item_str(const struct xeno_json_at *at, size_t i, size_t min, size_t max,
                       const char **ret, struct xeno_err *err);
int xeno_json_item_int(const struct xeno_json_at *at, size_t i, int64_t min, int64_t max,
                       int64_t *ret, struct xeno_err *err);

/* Refuse members of the object at `at` that are not in `keys` (NULL-terminated): -EINVAL
 * json.unknown, naming the first. For documents where an unknown restriction must not be passed
 * over in silence. */
int xeno_json_only(const struct xeno_json_at *at, const char *const *keys, struct xeno_err *err);

/* Members of the object at `at`, in order: the i-th key, or NULL past the last (or when it is no
 * object). Each call walks from the first: stop at a bound of your own. */
const char *xeno_json_key(const struct xeno_json_at *at, size_t i);

#endif
