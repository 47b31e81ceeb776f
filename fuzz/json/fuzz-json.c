/* fuzz/json/fuzz-json.c - what parses is printed and parsed again to the same text, and no reader
 * crashes on any of it. */
#include <string.h>

#include "../fuzz.h"
#include "json/json.h"

#define MAX_BYTES (1 << 16)
#define MAX_STEPS 256 /* of the walk, so that wide documents stay cheap */

/* Ask every accessor about every member; only the sanitizers and the bounds are looked at. */
static void walk(const struct xeno_json_at *at, int *steps)
{
    struct xeno_json_at sub;
    struct xeno_err err = XENO_ERR_INIT;
    const char *key, *s = "";
    int64_t n = 0;
    size_t count = 0;
    bool b;

    for (size_t i = 0; (key = xeno_json_key(at, i)) != NULL && (*steps)++ < MAX_STEPS; i++) {
        if (xeno_json_str_opt(at, key, 1, 8, &s, &err) == 0)
            XENO_REQUIRE(strlen(s) >= 1 && strlen(s) <= 8);
        if (xeno_json_int(at, key, -5, 5, &n, &err) == 0)
            XENO_REQUIRE(n >= -5 && n <= 5);
        xeno_json_bool(at, key, &b, &err);
        if (xeno_json_obj(at, key, &sub, &err) == 0)
            walk(&sub, steps);
        if (xeno_json_arr(at, key, 64, &sub, &count, &err) == 0)
            for (size_t k = 0; k < count && (*steps)++ < MAX_STEPS; k++) {
                struct xeno_json_at item = xeno_json_item(&sub, k);

                xeno_json_item_str(&sub, k, 0, 9, &s, &err);
                walk(&item, steps);
            }
    }
    xeno_json_only(at, (const char *[]){ "a", NULL }, &err);
    XENO_REQUIRE(strlen(at->path) < XENO_JSON_PATH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_json) a = NULL;
    xeno_auto(xeno_json) b = NULL;
    xeno_autofree char *one = NULL;
    xeno_autofree char *two = NULL;
    struct xeno_json_at top;
    int steps = 0;

    if (xeno_json_parse((const char *)data, size, MAX_BYTES, &a, NULL) < 0)
        return 0;
    top = xeno_json_top(a);
    walk(&top, &steps);
    one = xeno_json_format(a, false, NULL);
    /* Printing a real can take more digits than it was written with, hence the wider bound. */
    XENO_REQUIRE(xeno_json_parse(one, strlen(one), 8 * MAX_BYTES, &b, NULL) == 0);
    two = xeno_json_format(b, false, NULL);
    XENO_REQUIRE(strcmp(one, two) == 0);
    return 0;
}
