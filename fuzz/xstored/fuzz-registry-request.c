/* fuzz/xstored/fuzz-registry-request.c - what is taken for a name, a reference, a piece's range or
 * a page's size is one. The first byte says what the rest is. */
#include <string.h>

#include "../fuzz.h"
#include "xstored/names.h"

/* A repository's name goes into Location headers, SQL and log lines; never into a path. */
static void name(const char *text)
{
    if (xstored_name_check(text, NULL) < 0)
        return;
    XENO_REQUIRE(strlen(text) <= XSTORED_NAME_MAX);
    XENO_REQUIRE(xeno_id_ok(xstored_name_owner(text).s));
    XENO_REQUIRE(text[XENO_ID_CHARS] == '/' && text[XENO_ID_CHARS + 1] != '\0');
    XENO_REQUIRE(!strstr(text, "..") && !strstr(text, "//") && text[strlen(text) - 1] != '/');
    XENO_REQUIRE(strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-/") == strlen(text));
}

static void reference(const char *text)
{
    bool digest = false;

    if (xstored_reference_check(text, &digest, NULL) < 0)
        return;
    XENO_REQUIRE(*text != '\0' && strpbrk(text, "/\"<>\\ \r\n%") == NULL);
    XENO_REQUIRE(digest ? strlen(text) == strlen("sha256:") + 64 : strlen(text) <= XSTORED_TAG_MAX);
}

static void range(const char *text)
{
    int64_t first = -1, len = -1, end;

    if (xstored_content_range(text, &first, &len, NULL) < 0) {
        XENO_REQUIRE(first == -1 && len == -1);
        return;
    }
    XENO_REQUIRE(first >= 0 && len > 0 && !__builtin_add_overflow(first, len, &end));
}

static void page(const char *text)
{
    int n = -1;

    if (xstored_page_size(text, 1000, &n, NULL) == 0)
        XENO_REQUIRE(n >= 0 && n <= 1000);
    else
        XENO_REQUIRE(n == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const char *text) = { name, reference, range, page };
    char text[2048];

    if (size < 1 || size > sizeof text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    kinds[data[0] % (sizeof kinds / sizeof *kinds)](text);
    return 0;
}
