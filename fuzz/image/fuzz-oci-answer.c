/* fuzz/image/fuzz-oci-answer.c - what a registry or a user may say crashes nothing: names, which
 * come out as they went in, challenges and ranges. The first byte says which. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "image/registry-priv.h"

static void try_name(const char *text)
{
    struct xeno_registry_name n = { .host = "" }, back = { .host = "" };
    xeno_autofree char *again = NULL;

    if (xeno_registry_name_parse(text, &n, NULL) < 0)
        return;
    XENO_REQUIRE((n.tag[0] == '\0') != (n.digest[0] == '\0'));
    XENO_REQUIRE(!strstr(n.repo, "..") && n.repo[0] != '/');
    again = xeno_registry_name_format(&n);
    XENO_REQUIRE(xeno_registry_name_parse(again, &back, NULL) == 0);
    XENO_REQUIRE(strcmp(n.host, back.host) == 0 && strcmp(n.repo, back.repo) == 0 &&
                 strcmp(n.tag, back.tag) == 0 && strcmp(n.digest, back.digest) == 0);
}

static void try_challenge(const char *text)
{
    struct challenge c = { .realm = NULL };

    if (registry_challenge_parse(text, &c))
        XENO_REQUIRE(!c.bearer || c.realm);
    registry_challenge_release(&c);
}

static void try_range(const char *text)
{
    int64_t first = -1, last = -1;

    if (registry_range_parse(text, &first, &last))
        XENO_REQUIRE(first >= 0 && last >= first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_autofree char *text = NULL;

    if (size == 0)
        return 0;
    text = xeno_strndup((const char *)data + 1, size - 1);
    if (data[0] == 'n')
        try_name(text);
    else if (data[0] == 'c')
        try_challenge(text);
    else
        try_range(text);
    return 0;
}
