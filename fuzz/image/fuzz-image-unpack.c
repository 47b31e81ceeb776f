/* fuzz/image/fuzz-image-unpack.c - no archive writes outside its folder, or puts there what a layer
 * must not hold; judging it and unpacking it come to the same. Bare: without the child's walls. */
#include "../fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/io.h"
#include "image/tree.h"

#define INPUT_MAX 65536

static char top[] = "/var/tmp/xeno-fuzz-XXXXXX";

struct input {
    const uint8_t *data;
    size_t len;
};

static ssize_t feed(void *arg, void *buf, size_t max, struct xeno_err *err)
{
    struct input *in = arg;
    size_t n = in->len < max ? in->len : max;

    (void)err;
    memcpy(buf, in->data, n);
    in->data += n;
    in->len -= n;
    return (ssize_t)n;
}

static void check_thing(const char *path, const struct stat *sb)
{
    char names[4096];
    ssize_t n;

    XENO_REQUIRE(!S_ISBLK(sb->st_mode) && !S_ISSOCK(sb->st_mode));
    XENO_REQUIRE(!S_ISCHR(sb->st_mode) || sb->st_rdev == 0);
    n = llistxattr(path, names, sizeof(names));
    for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1)
        XENO_REQUIRE(strncmp(p, "user.overlay.", 13) != 0 || strcmp(p, "user.overlay.opaque") == 0);
}

static void check_tree(const char *dir, int depth)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    XENO_REQUIRE(d && depth < 20);
    while ((e = readdir(d)) != NULL) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", dir, e->d_name);
        struct stat sb;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        XENO_REQUIRE(lstat(path, &sb) == 0);
        check_thing(path, &sb);
        if (S_ISDIR(sb.st_mode))
            check_tree(path, depth + 1);
    }
    closedir(d);
}

/* The folder around: one file and the target, as it was made. */
static void check_around(void)
{
    xeno_autofree char *path = xeno_asprintf("%s/canary", top);
    struct stat sb;

    XENO_REQUIRE(stat(path, &sb) == 0 && sb.st_size == 1 && sb.st_nlink == 1);
    XENO_REQUIRE((sb.st_mode & 07777) == 0640);
    XENO_REQUIRE(stat(top, &sb) == 0 && sb.st_nlink == 3);
}

static int run(const uint8_t *data, size_t size, int root)
{
    static const struct xeno_unpack_limits limits = { .total_bytes = 4 << 20,
                                                      .file_bytes = 1 << 20,
                                                      .entries = 200,
                                                      .ratio = 300,
                                                      .name_bytes = 1000,
                                                      .all_names_bytes = 20000,
                                                      .depth = 16,
                                                      .xattr_bytes = 2000 };
    struct input in = { .data = data, .len = size };
    struct xeno_tar_input input = { .read = feed, .arg = &in };
    struct xeno_unpacked got;

    return xeno_tree_unpack(&input, XENO_TAR_ANY, root, true, &limits, NULL, &got, NULL);
}

static void clear_up(void)
{
    (void)xeno_remove_tree(AT_FDCWD, top, NULL);
}

/* One folder for all inputs: making it costs more than an input does. */
static void make_top(void)
{
    xeno_autofree char *canary = NULL;

    if (strcmp(top + strlen(top) - 6, "XXXXXX") != 0)
        return;
    xeno_crypto_init();
    XENO_REQUIRE(mkdtemp(top));
    atexit(clear_up);
    canary = xeno_asprintf("%s/canary", top);
    XENO_REQUIRE(xeno_file_write(AT_FDCWD, canary, 0640, "c", 1, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_autofree char *target = NULL;
    xeno_autoclose int root = -1;
    int judged, done;

    if (size > INPUT_MAX)
        return 0;
    make_top();
    judged = run(data, size, -1);
    target = xeno_asprintf("%s/in", top);
    XENO_REQUIRE(mkdir(target, 0755) == 0);
    root = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    done = run(data, size, root);
    /* The file system may have a limit of its own (an attribute too large), never the reverse. */
    XENO_REQUIRE(judged >= 0 || done < 0);
    check_tree(target, 0);
    check_around();
    XENO_REQUIRE(xeno_remove_tree(AT_FDCWD, target, NULL) == 0);
    return 0;
}
