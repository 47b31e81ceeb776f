/* src/image/tests/test-upper.c - a writable layer as a tar, and the child that reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/io.h"
#include "image/build-priv.h"
#include "image/confine.h"
#include "image/place.h"
#include "image/tests/tar-make.h"
#include "image/tree.h"
#include "image/upper-priv.h"
#include "image/upper.h"

#define UID 7 /* of the session, for what the tests write as root */

/* --- a tree --- */

static int dir_new(char **ret_top)
{
    int fd;

    *ret_top = temp_new();
    fd = open(*ret_top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void put(int dir, const char *name, const char *text, mode_t mode)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(xeno_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void put_dir(int dir, const char *name, bool opaque)
{
    xeno_autoclose int fd = -1;

    assert_int_equal(mkdirat(dir, name, 0755), 0);
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opaque)
        assert_int_equal(fsetxattr(fd, "user.overlay.opaque", "y", 1, 0), 0);
}

static void put_whiteout(int dir, const char *name)
{
    assert_int_equal(mknodat(dir, name, S_IFCHR | 0600, makedev(0, 0)), 0);
}

static void put_socket(const char *top, const char *name)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.90s/%s", top, name);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

static void put_sparse(int dir, const char *name, int64_t size, int64_t at)
{
    xeno_autoclose int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    if (at >= 0)
        assert_int_equal(pwrite(fd, "middle", 6, at), 6);
}

static void set_attr(int dir, const char *name, const char *attr, const void *value, size_t len)
{
    xeno_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

    assert_int_equal(fsetxattr(fd, attr, value, len, 0), 0);
}

/* "u::rwx,u:ID:r--,g::---,m::r--,o::---" as the kernel has it. */
static void set_acl(int dir, const char *name, uint32_t id)
{
    struct {
        uint16_t tag, perm;
        uint32_t id;
    } e[] = { { 1, 7, -1U }, { 2, 4, id }, { 4, 0, -1U }, { 0x10, 4, -1U }, { 0x20, 0, -1U } };
    char value[4 + sizeof e] = { 2 };

    memcpy(value + 4, e, sizeof e);
    set_attr(dir, name, "system.posix_acl_access", value, sizeof value);
}

/* All belongs to the session's root, and one file to another of its users. */
static void shift_owners(int dir)
{
    static const char *const all[] = { ".",   "bin",     "bin/su", "etc",  "etc/x", "hole",
                                       "lib", "lib/old", "gone",   "link", "pipe",  "sparse" };

    if (geteuid() != 0)
        return;
    for (size_t i = 0; i < XENO_LEN(all); i++)
        assert_int_equal(
            fchownat(dir, all[i], XENO_SUBID_BASE, XENO_SUBID_BASE, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(fchownat(dir, "etc/x", XENO_SUBID_BASE + UID, XENO_SUBID_BASE + UID, 0), 0);
    assert_int_equal(fchmodat(dir, "bin/su", 06755, 0), 0); /* chown took the bits away */
    set_acl(dir, "etc/x", XENO_SUBID_BASE + UID + 1);
}

static void make_tree(int dir, const char *top)
{
    put_dir(dir, "bin", false);
    put(dir, "bin/su", "#!/bin/sh\n", 06755);
    assert_int_equal(linkat(dir, "bin/su", dir, "su2", 0), 0);
    put_dir(dir, "etc", true);
    put(dir, "etc/x", "secret\n", 0400);
    put_whiteout(dir, "gone");
    put_sparse(dir, "hole", 1 << 20, -1);
    put_dir(dir, "lib", false);
    put_whiteout(dir, "lib/old");
    assert_int_equal(symlinkat("/bin/su", dir, "link"), 0);
    assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
    put_sparse(dir, "sparse", 40 << 20, 20 << 20);
    put_socket(top, "talk");
    set_attr(dir, "bin", "user.note", "kept", 4);
    set_attr(dir, "bin", "user.overlay.impure", "y", 1);
    set_attr(dir, "bin/su", "user.overlay.origin", "xyz", 3);
    shift_owners(dir);
}

/* --- as a tar --- */

static int to_buf(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    (void)err;
    xeno_buf_add(arg, data, len);
    return 0;
}

static void list_tar(const struct xeno_buf *b, bool owners, struct xeno_buf *out)
{
    static const char types[] = { 'f', 'd', 'l', 'h', 'p', '?' };
    struct xeno_layer layer;
    xeno_autoclose int fd = layer_fd(b, &layer);
    struct xeno_tar_input input = xeno_tar_fd(&fd);
    xeno_auto(xeno_tar) t = NULL;
    struct xeno_tar_entry e;

    assert_int_equal(xeno_tar_open(&input, XENO_TAR_ANY, &xeno_unpack_defaults, &t, NULL), 0);
    while (xeno_tar_next(t, &e, NULL) > 0) {
        xeno_buf_printf(out, "%c %o %s>%s %lld", types[e.type], e.mode, e.name, e.link,
                        (long long)e.size_bytes);
        if (owners)
            xeno_buf_printf(out, " %lld:%lld", (long long)e.uid, (long long)e.gid);
        for (size_t i = 0; i < e.xattr_count; i++)
            xeno_buf_printf(out, " %s=%.*s", e.xattrs[i].name,
                            xeno_acl_name(e.xattrs[i].name) ? 0 : (int)e.xattrs[i].len,
                            (const char *)e.xattrs[i].value);
        xeno_buf_puts(out, "\n");
    }
}

static void pack(int dir, struct xeno_buf *out, struct xeno_unpacked *ret)
{
    struct xeno_upper_opts o = { .dirfd = dir, .own = geteuid() != 0 };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked seen;
    char digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    if (xeno_upper_check(&o, &seen, &err) < 0 || xeno_upper_pack(&o, to_buf, out, ret, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(seen.entries, ret->entries);
    assert_int_equal(seen.disk_bytes, ret->disk_bytes);
    xeno_sha256_of(out->data, out->len, sha);
    xeno_digest_text(sha, digest);
    assert_string_equal(ret->diff_id, digest);
    assert_int_equal(ret->tar_bytes, out->len);
}

static void whole_tree(void **state)
{
    xeno_autobuf tar = XENO_BUF_INIT, again = XENO_BUF_INIT, text = XENO_BUF_INIT;
    bool root = geteuid() == 0;
    xeno_autofree char *want =
        xeno_asprintf("d 700 ./> 0 0:0\n"
                      "d 755 bin/> 0 0:0 user.note=kept\n"
                      "f 6755 bin/su> 10 0:0\n"
                      "d 755 etc/> 0 0:0\n"
                      "f 600 etc/.wh..wh..opq> 0 0:0\n"
                      "f %s\n"
                      "f 600 .wh.gone> 0 0:0\n"
                      "f 644 hole> 1048576 0:0\n"
                      "d 755 lib/> 0 0:0\n"
                      "f 600 lib/.wh.old> 0 0:0\n"
                      "l 777 link>/bin/su 0 0:0\n"
                      "p 600 pipe> 0 0:0\n"
                      "f 644 sparse> 41943040 0:0\n"
                      "h 6755 su2>bin/su 0 0:0\n",
                      root ? "740 etc/x> 7 7:7 system.posix_acl_access=" : "400 etc/x> 7 0:0");
    struct xeno_unpacked got;
    struct stat before, after;
    xeno_autoclose int dir = -1;
    char *top;

    (void)state;
    if (!can_confine())
        skip();
    dir = dir_new(&top);
    make_tree(dir, top);
    assert_int_equal(fstat(dir, &before), 0);
    pack(dir, &tar, &got);
    list_tar(&tar, true, &text);
    assert_string_equal(text.data, want);
    /* holes take no room, and what was read is as it was */
    assert_true(tar.len < 200000);
    assert_true(got.disk_bytes < 100000);
    assert_int_equal(fstat(dir, &after), 0);
    assert_int_equal(before.st_uid, after.st_uid);
    pack(dir, &again, &got);
    assert_int_equal(tar.len, again.len);
    assert_memory_equal(tar.data, again.data, tar.len);
    temp_drop(top);
}

/* What is unpacked of it is, as a writable layer, the same again. */
static void there_and_back(void **state)
{
    xeno_autobuf tar = XENO_BUF_INIT, again = XENO_BUF_INIT;
    xeno_autobuf first = XENO_BUF_INIT, second = XENO_BUF_INIT;
    struct xeno_unpacked got;
    struct xeno_layer layer;
    struct xeno_err err = XENO_ERR_INIT;
    struct stat sb;
    char *top, *copy;

    (void)state;
    if (!can_confine())
        skip();
    {
        xeno_autoclose int dir = dir_new(&top), to = dir_new(&copy);
        struct xeno_unpack_opts o = { .own = geteuid() != 0 };
        xeno_autoclose int fd = -1;

        make_tree(dir, top);
        pack(dir, &tar, &got);
        fd = layer_fd(&tar, &layer);
        if (xeno_unpack_layer(fd, &layer, to, &o, &got, &err) < 0)
            fail_msg("%s", err.text);
        pack(to, &again, &got);
        assert_int_equal(fstatat(to, "sparse", &sb, 0), 0);
        assert_true(sb.st_blocks < 1000);
    }
    list_tar(&tar, true, &first);
    list_tar(&again, true, &second);
    assert_string_equal(first.data, second.data);
    assert_int_equal(tar.len, again.len);
    assert_memory_equal(tar.data, again.data, tar.len);
    temp_drop(top);
    temp_drop(copy);
}

/* --- what is refused --- */

static void make_wh(int dir)
{
    put(dir, ".wh.x", "", 0644);
}

static void make_opaque_file(int dir)
{
    put_dir(dir, "d", false);
    put(dir, "d/.wh..wh..opq", "", 0644);
}

static void make_deep(int dir)
{
    char path[600] = "d";

    for (int i = 0; i < 5; i++, strcat(path, "/d"))
        put_dir(dir, path, false);
}

static void make_many(int dir)
{
    char name[16];

    for (int i = 0; i < 21; i++) {
        snprintf(name, sizeof name, "%d", i);
        put(dir, name, "", 0644);
    }
}

static void make_long(int dir)
{
    put_dir(dir, "a-rather-long-name", false);
    put(dir, "a-rather-long-name/and-another-one", "", 0644);
}

static void make_big(int dir)
{
    put_sparse(dir, "big", 4097, -1);
}

static void make_sum(int dir)
{
    put_sparse(dir, "a", 3000, -1);
    put_sparse(dir, "b", 3000, -1);
}

static void make_attrs(int dir)
{
    char value[200];

    memset(value, 'x', sizeof value);
    put(dir, "f", "", 0644);
    set_attr(dir, "f", "user.a", value, sizeof value);
    set_attr(dir, "f", "user.b", value, sizeof value);
}

static void make_deleted_long(int dir)
{
    char name[NAME_MAX + 1];

    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    put_whiteout(dir, name);
}

static const struct {
    const char *what;
    void (*make)(int dir);
    const char *token, *says;
} refusals[] = {
    { "named as a whiteout", make_wh, "unpack.name", "'/.wh.x' has a name" },
    { "named as the opaque mark", make_opaque_file, "unpack.name", "'/d/.wh..wh..opq' has" },
    { "deep", make_deep, "unpack.limit", "nested deeper than 4" },
    { "many", make_many, "unpack.limit", "one file too many; a layer may have 20" },
    { "a long name", make_long, "unpack.limit", "34 bytes long" },
    { "a large file", make_big, "unpack.limit", "'/big' (4097 bytes)" },
    { "large together", make_sum, "unpack.limit", "'/b' (3000 bytes)" },
    { "many attributes", make_attrs, "unpack.limit", "'/f' has more than" },
    { "a long name that is gone", make_deleted_long, "unpack.limit", "has been deleted" },
};

static void refused(void **state)
{
    static const struct xeno_unpack_limits tight = { .total_bytes = 5000,
                                                     .file_bytes = 4096,
                                                     .entries = 20,
                                                     .ratio = 300,
                                                     .name_bytes = 33,
                                                     .all_names_bytes = 4096,
                                                     .depth = 4,
                                                     .xattr_bytes = 300 };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(refusals); i++) {
        struct xeno_unpack_limits limits = tight;
        struct xeno_unpacked got;
        struct xeno_err err = XENO_ERR_INIT;
        xeno_autoclose int dir = -1;
        char *top;

        print_message("%s\n", refusals[i].what);
        if (refusals[i].make == make_deleted_long)
            limits.name_bytes = 4095;
        dir = dir_new(&top);
        refusals[i].make(dir);
        assert_true(xeno_upper_walk(dir, &limits, NULL, &got, &err) < 0);
        assert_string_equal(err.token, refusals[i].token);
        if (!strstr(err.text, refusals[i].says))
            fail_msg("%s", err.text);
        temp_drop(top);
    }
}

static int refuse_all(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    (void)data;
    *(size_t *)arg += len;
    return xeno_fail(err, -EPIPE, "test.sink", "nobody takes it");
}

/* The one who takes the bytes goes away: the child ends, too. */
static void sink_fails(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    size_t taken = 0;
    char *top;

    (void)state;
    if (!can_confine())
        skip();
    {
        xeno_autoclose int dir = dir_new(&top);
        struct xeno_upper_opts o = { .dirfd = dir, .own = geteuid() != 0 };

        make_tree(dir, top);
        assert_int_equal(xeno_upper_pack(&o, refuse_all, &taken, &got, &err), -EPIPE);
    }
    assert_string_equal(err.token, "test.sink");
    assert_true(taken > 0 && taken <= 65536);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    temp_drop(top);
}

/* --- the child --- */

#define SAY(what, cond)                                                                            \
    do {                                                                                           \
        if (cond)                                                                                  \
            (void)!write(out, what " ", sizeof(what));                                             \
    } while (0)

/* Whatever works is said; only reading should. */
static int look_around(int in, int out, void *arg)
{
    int dir = XENO_CONFINED_DIR, fd = openat(dir, "f", O_RDONLY);

    (void)in;
    (void)arg;
    SAY("read", fd >= 0);
    SAY("make", openat(dir, "new", O_WRONLY | O_CREAT, 0600) >= 0);
    SAY("write", openat(dir, "f", O_WRONLY) >= 0);
    SAY("cut", ftruncate(fd, 0) == 0);
    SAY("mkdir", mkdirat(dir, "d", 0755) == 0);
    SAY("link", linkat(dir, "f", dir, "g", 0) == 0);
    SAY("symlink", symlinkat("f", dir, "s") == 0);
    SAY("unlink", unlinkat(dir, "f", 0) == 0);
    SAY("rename", renameat(dir, "f", dir, "g") == 0);
    SAY("mode", fchmod(fd, 0777) == 0);
    SAY("owner", fchownat(dir, "f", 1, 1, 0) == 0);
    SAY("attribute", fsetxattr(fd, "user.x", "y", 1, 0) == 0);
    SAY("whiteout", mknodat(dir, "w", S_IFCHR, 0) == 0);
    SAY("outside", open("/etc/passwd", O_RDONLY) >= 0);
    SAY("up", openat(dir, "../../etc/passwd", O_RDONLY) >= 0);
    SAY("proc", open("/proc/self/status", O_RDONLY) >= 0);
    SAY("socket", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    return 0;
}

static void reads_only(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_confined c;
    char text[256] = "", *top;
    ssize_t n;

    (void)state;
    if (!can_confine())
        skip();
    {
        xeno_autoclose int dir = dir_new(&top);
        struct xeno_confine_opts o = { .dirfd = dir, .own = geteuid() != 0, .reading = true };

        put(dir, "f", "text", 0000); /* not even its owner may; a session's root would */
        if (geteuid() == 0) {
            assert_int_equal(fchown(dir, XENO_SUBID_BASE + 3, XENO_SUBID_BASE + 3), 0);
            assert_int_equal(fchownat(dir, "f", XENO_SUBID_BASE + 4, XENO_SUBID_BASE + 4, 0), 0);
        }
        assert_int_equal(xeno_confine_start(&o, look_around, NULL, &c, &err), 0);
    }
    n = recv(c.out, text, sizeof(text) - 1, MSG_WAITALL);
    text[n > 0 ? n : 0] = '\0';
    assert_string_equal(text, "read ");
    waitpid(c.pid, NULL, 0);
    close(c.in);
    close(c.out);
    temp_drop(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_tree), cmocka_unit_test(there_and_back), cmocka_unit_test(refused),
        cmocka_unit_test(sink_fails), cmocka_unit_test(reads_only),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
