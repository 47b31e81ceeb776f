/* src/image/tests/test-unpack.c - what unpacking makes of good layers, and what the child cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/io.h"
#include "image/confine.h"
#include "image/job.h"
#include "image/tests/tar-make.h"
#include "image/tree.h"

/* Unpack into a new folder; NULL and *err when it fails. */
static char *unpack(const struct xeno_buf *b, struct xeno_unpacked *ret, struct xeno_err *err)
{
    static const struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    xeno_autofree char *top = temp_new();
    xeno_autoclose int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct xeno_layer layer;
    xeno_autoclose int fd = layer_fd(b, &layer);
    struct xeno_tar_input input = xeno_tar_fd(&fd);

    if (xeno_tree_unpack(&input, XENO_TAR_ANY, dir, true, &limits, NULL, ret, err) < 0) {
        print_message("%s\n", err->text);
        temp_drop(xeno_take(&top));
        return NULL;
    }
    assert_string_equal(ret->diff_id, layer.digest);
    return xeno_take(&top);
}

static struct stat look(const char *top, const char *name)
{
    xeno_autofree char *path = temp_path(top, name);
    struct stat sb;

    assert_int_equal(lstat(path, &sb), 0);
    return sb;
}

static bool gone(const char *top, const char *name)
{
    xeno_autofree char *path = temp_path(top, name);

    return access(path, F_OK) < 0;
}

static void plain_things(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    struct stat sb;
    char *top, link[64] = "";

    (void)state;
    tar_add(&b, &(struct member){ '5', "./", .mode = 0750 });
    tar_add(&b, &(struct member){ '0', "./bin/su", .data = "#!/bin/sh\n", .mode = 04755 });
    tar_add(&b, &(struct member){ '1', "bin/su2", .link = "./bin/su" });
    tar_add(&b, &(struct member){ '2', "sh", .link = "/bin/su" });
    tar_add(&b, &(struct member){ '6', "pipe", .mode = 0620 });
    tar_add(&b, &(struct member){ '5', "bin", .mode = 0500 });
    tar_add(&b, &(struct member){ '0', "later", .data = "abc" });
    tar_end(&b);
    top = unpack(&b, &got, &err);
    assert_non_null(top);
    assert_int_equal(got.entries, 7);
    sb = look(top, ".");
    assert_int_equal(sb.st_mode & 07777, 0750);
    assert_int_equal(sb.st_mtime, 1000000000);
    sb = look(top, "bin");
    assert_int_equal(sb.st_mode & 07777, 0700); /* 0500, but its owner is to remove it again */
    assert_int_equal(sb.st_mtime, 1000000000);
    sb = look(top, "bin/su");
    assert_int_equal(sb.st_mode, S_IFREG | 04755);
    assert_int_equal(sb.st_nlink, 2);
    assert_int_equal(sb.st_size, 10);
    assert_int_equal(sb.st_mtime, 1000000000);
    assert_int_equal(look(top, "bin/su2").st_ino, sb.st_ino);
    assert_int_equal(look(top, "pipe").st_mode, S_IFIFO | 0620);
    sb = look(top, "sh");
    assert_true(S_ISLNK(sb.st_mode));
    assert_int_equal(sb.st_mtime, 1000000000);
    {
        xeno_autofree char *path = temp_path(top, "sh");

        assert_int_equal(readlink(path, link, sizeof(link)), 7);
    }
    assert_string_equal(link, "/bin/su");
    temp_drop(top);
}

static bool is_whiteout(const char *top, const char *name)
{
    struct stat sb = look(top, name);

    return S_ISCHR(sb.st_mode) && sb.st_rdev == makedev(0, 0);
}

static bool is_opaque(const char *top, const char *name)
{
    xeno_autofree char *path = temp_path(top, name);
    char value[4];

    return lgetxattr(path, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static void whiteouts(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    char *top;

    (void)state;
    tar_add(&b, &(struct member){ '0', "etc/.wh.old" });
    tar_add(&b, &(struct member){ '5', "var" });
    tar_add(&b, &(struct member){ '0', "var/.wh..wh..opq" });
    tar_add(&b, &(struct member){ '0', "var/new", .data = "n" });
    tar_add(&b, &(struct member){ '0', ".wh.a" });
    tar_add(&b, &(struct member){ '0', "a", .data = "file in its place" });
    tar_add(&b, &(struct member){ '0', ".wh.d" });
    tar_add(&b, &(struct member){ '0', "d/x" });
    tar_add(&b, &(struct member){ '5', "e" });
    tar_add(&b, &(struct member){ '0', ".wh.e" });
    tar_add(&b, &(struct member){ '0', ".wh..wh.plnk" });
    tar_add(&b, &(struct member){ '0', ".wh..wh..opq" });
    tar_end(&b);
    top = unpack(&b, &got, &err);
    assert_non_null(top);
    assert_true(is_whiteout(top, "etc/old"));
    assert_true(gone(top, "etc/.wh.old"));
    assert_true(is_opaque(top, "var"));
    assert_false(is_opaque(top, "etc"));
    assert_int_equal(look(top, "a").st_size, 17);
    assert_true(is_opaque(top, "d"));
    assert_true(is_opaque(top, "e"));
    assert_true(is_opaque(top, "."));
    assert_true(gone(top, ".wh..wh.plnk") && gone(top, "plnk"));
    temp_drop(top);
}

static void attributes(void **state)
{
    static const char cap2[20] = { 0, 0, 0, 2, 0, 4 };
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    xeno_autofree char *path = NULL;
    char *top, value[32];

    (void)state;
    tar_pax(&b, "SCHILY.xattr.user.mine", "yes", 3);
    tar_pax(&b, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
    tar_add(&b, &(struct member){ '0', "a" });
    xeno_buf_release(&b); /* one pax header a member: all in one */
    tar_pax(&b, "SCHILY.xattr.user.mine", "yes", 3);
    tar_add(&b, &(struct member){ '0', "a" });
    tar_pax(&b, "SCHILY.xattr.user.overlay.redirect", "/../..", 6);
    tar_add(&b, &(struct member){ '5', "d" });
    tar_pax(&b, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
    tar_add(&b, &(struct member){ '5', "e" });
    tar_pax(&b, "SCHILY.xattr.security.capability", cap2, sizeof(cap2));
    tar_add(&b, &(struct member){ '0', "ping" });
    tar_pax(&b, "SCHILY.xattr.security.selinux", "x", 1);
    tar_add(&b, &(struct member){ '0', "s" });
    tar_end(&b);
    top = unpack(&b, &got, &err);
    assert_non_null(top);
    path = temp_path(top, "a");
    assert_int_equal(lgetxattr(path, "user.mine", value, sizeof(value)), 3);
    for (const char *const *n = (const char *const[]){ "d", "e", "s", NULL }; *n; n++) {
        xeno_autofree char *p = temp_path(top, *n);

        assert_int_equal(llistxattr(p, value, sizeof(value)), 0);
    }
    temp_drop(top);
}

static void names(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    char longer[200], *top;

    (void)state;
    memset(longer, 'n', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    tar_add(&b, &(struct member){ '0', longer });
    tar_pax(&b, "path",
            "gr\xc3\xbc\xc3\x9f"
            "e/\xe6\x97\xa5",
            11);
    tar_add(&b, &(struct member){ '0', "x" });
    tar_add(&b, &(struct member){ '0', "latin\xfc" }); /* no UTF-8, but a name all the same */
    tar_add(&b, &(struct member){ '0', "new\nline" });
    tar_end(&b);
    top = unpack(&b, &got, &err);
    assert_non_null(top);
    assert_int_equal(got.entries, 4);
    (void)look(top, longer);
    (void)look(top, "gr\xc3\xbc\xc3\x9f"
                    "e/\xe6\x97\xa5");
    (void)look(top, "latin\xfc");
    (void)look(top, "new\nline");
    temp_drop(top);
}

static void owners_as_root(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_unpack_opts opts = { .own = false };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    struct xeno_layer layer;
    xeno_autoclose int fd = -1, dir = -1;
    xeno_autofree char *ping = NULL;
    static const char cap2[20] = { 0, 0, 0, 2, 0, 4 };
    char *top, value[64];
    struct stat sb;

    (void)state;
    if (geteuid() != 0 || !can_confine())
        skip(); /* CI runs this as root */
    tar_add(&b, &(struct member){ '0', "root", .mode = 04755, .uid = 0 });
    tar_add(&b, &(struct member){ '0', "nobody", .uid = 65534 });
    tar_add(&b, &(struct member){ '2', "link", .link = "x", .uid = 33 });
    tar_add(&b, &(struct member){ '0', ".wh.gone" });
    tar_add(&b, &(struct member){ '5', "d", .mode = 0500, .uid = 33 });
    tar_pax(&b, "SCHILY.xattr.security.capability", cap2, sizeof(cap2));
    tar_add(&b, &(struct member){ '0', "ping" });
    tar_end(&b);
    top = temp_new();
    dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = layer_fd(&b, &layer);
    assert_int_equal(xeno_unpack_layer(fd, &layer, dir, &opts, &got, &err), 0);
    assert_int_equal(look(top, ".").st_uid, XENO_SUBID_BASE);
    sb = look(top, "root");
    assert_int_equal(sb.st_uid, XENO_SUBID_BASE);
    assert_int_equal(sb.st_mode & 07777, 04755);
    assert_int_equal(look(top, "nobody").st_uid, XENO_SUBID_BASE + 65534);
    assert_int_equal(look(top, "link").st_gid, XENO_SUBID_BASE + 33);
    assert_int_equal(look(top, "d").st_uid, XENO_SUBID_BASE + 33);
    assert_int_equal(look(top, "d").st_mode & 07777, 0500);
    assert_int_equal(look(top, "gone").st_uid, XENO_SUBID_BASE);
    assert_true(is_whiteout(top, "gone"));
    ping = temp_path(top, "ping"); /* version 3: bound to the namespace whose root is BASE */
    assert_int_equal(lgetxattr(ping, "security.capability", value, sizeof(value)), 24);
    temp_drop(top);
}

/* --- the child's walls --- */

struct attempt {
    const char *name;
    bool done; /* it worked */
};

#define SAY(what, cond)                                                                            \
    do {                                                                                           \
        if (cond)                                                                                  \
            (void)!write(out, what " ", sizeof(what));                                             \
    } while (0)

/* Whatever works is said. */
static int break_out(int in, int out, void *arg)
{
    (void)in;
    (void)arg;
    SAY("outside", open("/etc/passwd", O_RDONLY) >= 0);
    SAY("up", open("../../../../etc/passwd", O_RDONLY) >= 0);
    SAY("proc", open("/proc/self/status", O_RDONLY) >= 0);
    SAY("socket", socket(AF_INET, SOCK_STREAM, 0) >= 0);
    SAY("unix", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    SAY("memory",
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    SAY("trace", ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0);
    SAY("signal", kill(getppid(), 0) == 0);
    SAY("space", unshare(CLONE_NEWUSER) == 0);
    SAY("root", chroot("..") == 0);
    SAY("device", mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0);
    SAY("fork", fork() > 0);
    SAY("run", execl("/bin/true", "true", (char *)NULL) == 0);
    SAY("id", setuid(1) == 0);
    SAY("fd", write(9, "x", 1) == 1);
    return 0;
}

static void walls(void **state)
{
    char *top = temp_new(), text[256] = "";
    int leak = open("/dev/null", O_RDWR);
    ssize_t n;

    (void)state;
    if (!can_confine()) {
        temp_drop(top);
        skip();
    }
    dup2(leak, 9); /* what a careless caller leaves open */
    for (int with_dir = 0; with_dir < 2; with_dir++) {
        xeno_autoclose int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct xeno_confine_opts o = { .dirfd = with_dir ? dir : -1,
                                       .own = geteuid() != 0,
                                       .file_bytes = 1000 };
        struct xeno_confined c;
        struct xeno_err err = XENO_ERR_INIT;
        int status;

        assert_int_equal(xeno_confine_start(&o, break_out, NULL, &c, &err), 0);
        n = read(c.out, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        assert_string_equal(text, "");
        assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        close(c.in);
        close(c.out);
    }
    close(9);
    close(leak);
    temp_drop(top);
}

static int list_one(void *arg, const struct xeno_listed *e, struct xeno_err *err)
{
    struct xeno_buf *b = arg;

    (void)err;
    xeno_buf_printf(b, "%d %s %o>%s;", (int)e->type, e->path, e->mode, e->link);
    return 0;
}

static void listing(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autobuf text = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    struct xeno_layer layer;
    xeno_autoclose int fd = -1;

    (void)state;
    tar_add(&b, &(struct member){ '5', "./d/" });
    tar_add(&b, &(struct member){ '0', "./d/f" });
    tar_add(&b, &(struct member){ '2', "l", .link = "d", .mode = 0777 });
    tar_end(&b);
    fd = layer_fd(&b, &layer);
    assert_int_equal(xeno_layer_list(fd, &layer, NULL, NULL, list_one, &text, &got, &err), 0);
    assert_string_equal(text.data, "1 d 755>;0 d/f 644>;2 l 777>d;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_things),   cmocka_unit_test(whiteouts),
        cmocka_unit_test(attributes),     cmocka_unit_test(names),
        cmocka_unit_test(owners_as_root), cmocka_unit_test(walls),
        cmocka_unit_test(listing),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
