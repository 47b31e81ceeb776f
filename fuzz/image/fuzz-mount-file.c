/* fuzz/image/fuzz-mount-file.c - what is read of a mount file is bounded, decent and reads the same
 * when it is written as plainly as can be. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "image/mount-file.h"

static void check(const struct xeno_mount_ref *ref)
{
    size_t len = strlen(ref->text);

    XENO_REQUIRE(len > 0 && len <= XENO_MOUNT_REF_MAX);
    XENO_REQUIRE(strspn(ref->text, "abcdefghijklmnopqrstuvwxyz") == strcspn(ref->text, ":"));
    for (size_t i = 0; i < len; i++)
        XENO_REQUIRE(ref->text[i] > ' ' && ref->text[i] <= '~');
    XENO_REQUIRE(ref->scheme != XENO_MOUNT_DIR || !strstr(ref->text, "/../"));
    XENO_REQUIRE(!ref->fixed || strstr(ref->text, "sha256:"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_mount_file) f = NULL;
    xeno_auto(xeno_mount_file) again = NULL;
    xeno_autobuf plain = XENO_BUF_INIT;

    if (xeno_mount_file_parse((const char *)data, size, &f, NULL) < 0)
        return 0;
    XENO_REQUIRE(f->count <= XENO_MOUNT_REFS_MAX);
    for (size_t i = 0; i < f->count; i++) {
        check(&f->refs[i]);
        xeno_buf_add(&plain, f->refs[i].text, strlen(f->refs[i].text));
        xeno_buf_add(&plain, "\n", 1);
    }
    XENO_REQUIRE(xeno_mount_file_parse(plain.data ? plain.data : "", plain.len, &again, NULL) == 0);
    XENO_REQUIRE(again->count == f->count);
    for (size_t i = 0; i < f->count; i++)
        XENO_REQUIRE(strcmp(again->refs[i].text, f->refs[i].text) == 0 &&
                     again->refs[i].fixed == f->refs[i].fixed);
    return 0;
}
