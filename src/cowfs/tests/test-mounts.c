/* src/cowfs/tests/test-mounts.c - what mount files make of a tree: order, bounds, errors, numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "cowfs/mount.h"
#include "scratch.h"

/* --- file systems: "template://NAME" is the folders fs/NAME.1, fs/NAME.2, ..., topmost first ---
 */

#define NAMES_MAX 64

struct world {
    struct xeno_cowfs_finder finder;
    struct xeno_cowfs *c;
    pthread_mutex_t mutex;
    struct {
        char path[64];
        struct xeno_cowfs_layer *l;
    } layers[NAMES_MAX];
    size_t layer_count;
    const char *moved_from, *moved_to; /* a name that leads elsewhere today */
    const char *lost;                  /* what nobody has any more */
    atomic_int finds, failures, mounted;
    char token[XENO_ERR_TOKEN_MAX], place[64], ref[64];
};

/* A digest that says what it is of. */
static void digest_of(const char *name, char ret[80])
{
    int n = snprintf(ret, 80, "sha256:");

    for (; *name; name++)
        n += snprintf(ret + n, 80 - (size_t)n, "%02x", (unsigned char)*name);
    for (; n < 71; n++)
        ret[n] = '0';
    ret[n] = '\0';
}

static struct xeno_cowfs_layer *layer_of(struct world *w, const char *path)
{
    struct xeno_cowfs_layer *l = NULL;

    for (size_t i = 0; i < w->layer_count; i++)
        if (strcmp(w->layers[i].path, path) == 0)
            return w->layers[i].l;
    if (xeno_cowfs_layer_dir(path, &l, NULL) < 0)
        return NULL;
    assert_true(w->layer_count < NAMES_MAX);
    snprintf(w->layers[w->layer_count].path, sizeof w->layers[0].path, "%s", path);
    w->layers[w->layer_count++].l = l;
    return l;
}

static int find(void *arg, const struct xeno_mount_ref *ref, const char *pin,
                struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    struct world *w = arg;
    const char *name = strstr(ref->text, "://") + 3;
    char digest[80], path[64];

    atomic_fetch_add(&w->finds, 1);
    digest_of(name, digest);
    if (w->moved_from && strcmp(name, w->moved_from) == 0 && !(pin && strcmp(pin, digest) == 0))
        name = w->moved_to;
    if (w->lost && strcmp(name, w->lost) == 0)
        return xeno_fail(err, -ENOENT, "image.unknown", "nobody has it");
    digest_of(name, ret->name);
    pthread_mutex_lock(&w->mutex);
    for (int i = 1;; i++) {
        struct xeno_cowfs_layer *l;

        snprintf(path, sizeof path, "fs/%s.%d", name, i);
        l = layer_of(w, path);
        if (!l)
            break;
        ret->ids[ret->count] = (uint64_t)name[0] << 8 | (uint64_t)i;
        ret->layers[ret->count++] = l;
    }
    pthread_mutex_unlock(&w->mutex);
    return ret->count > 0 ? 0 : xeno_fail(err, -ENOENT, "image.unknown", "there is no %s", name);
}

static void mounted(void *arg, const char *place, const char *name)
{
    struct world *w = arg;

    (void)place;
    (void)name;
    atomic_fetch_add(&w->mounted, 1);
}

static void failed(void *arg, const char *place, const char *ref, const struct xeno_err *err)
{
    struct world *w = arg;

    print_message("%s: %s: %s\n", place, ref ? ref : "-", err->text);
    atomic_fetch_add(&w->failures, 1);
    snprintf(w->token, sizeof w->token, "%s", err->token);
    snprintf(w->place, sizeof w->place, "%s", place);
    snprintf(w->ref, sizeof w->ref, "%s", ref ? ref : "");
}

/* --- a stack: upper, top, low --- */

static int open_stack(struct world *w)
{
    struct xeno_cowfs_layer *layers[2];
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    w->finder =
        (struct xeno_cowfs_finder){ .find = find, .mounted = mounted, .failed = failed, .arg = w };
    assert_int_equal(xeno_cowfs_layer_dir("top", &layers[0], NULL), 0);
    assert_int_equal(xeno_cowfs_layer_dir("low", &layers[1], NULL), 0);
    assert_int_equal(xeno_cowfs_open("upper", "work", layers, 2, &w->c, NULL), 0);
    r = xeno_cowfs_mounts(w->c, &w->finder, &err);
    print_message("%s\n", err.text);
    return r;
}

static void close_stack(struct world *w)
{
    xeno_cowfs_free(w->c);
    for (size_t i = 0; i < w->layer_count; i++)
        w->layers[i].l->ops->free(w->layers[i].l);
    w->c = NULL;
    w->layer_count = 0;
}

static void restart(struct world *w)
{
    close_stack(w);
    assert_int_equal(open_stack(w), 0);
}

static void make_folders(void)
{
    static const char *const folders[] = { "low", "top", "upper", "work", "fs" };

    scratch_make("test-mounts", folders, XENO_LEN(folders));
}

static int setup(void **state)
{
    struct world *w = xeno_new0(struct world);

    make_folders();
    pthread_mutex_init(&w->mutex, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    if (w->c)
        close_stack(w);
    pthread_mutex_destroy(&w->mutex);
    free(w);
    return scratch_remove(state);
}

/* "PATH=TEXT" a file, in TEXT ';' ends a line; "PATH/" a folder, "PATH/!" an opaque one, "PATH!" a
 * whiteout, "PATH>TEXT" a link. Folders on the way are made. */
static void plant(const char *const *list)
{
    for (; *list; list++) {
        xeno_autofree char *path = xeno_strdup(*list);
        char *sign = path + strcspn(path, "=!>"), kind = *sign, *text = sign + (kind != '\0');
        char *slash;

        *sign = '\0';
        slash = strrchr(path, '/');
        if (slash) {
            *slash = '\0';
            assert_int_equal(xeno_mkdirs(AT_FDCWD, path, 0755, NULL), 0);
            if (slash[1] == '\0' && kind == '!')
                assert_int_equal(setxattr(path, "user.overlay.opaque", "y", 1, 0), 0);
            if (slash[1] == '\0')
                continue;
            *slash = '/';
        }
        for (char *p = text; kind == '=' && *p; p++)
            *p = *p == ';' ? '\n' : *p;
        if (kind == '=')
            put(path, text);
        else if (kind == '>')
            assert_int_equal(symlink(text, path), 0);
        else
            assert_int_equal(mknod(path, S_IFCHR, makedev(0, 0)), 0);
    }
}

/* By a path of names; 0 with the node and a reference, or an error. */
static int walk(struct world *w, const char *path, struct xeno_cowfs_node **ret, struct stat *st)
{
    struct xeno_cowfs_node *n = xeno_cowfs_root(w->c), *next = NULL;
    char copy[512], *rest = copy, *name;
    int r = xeno_cowfs_stat(w->c, n, st);

    snprintf(copy, sizeof copy, "%s", path);
    while (r == 0 && *copy && (name = strsep(&rest, "/"))) {
        r = xeno_cowfs_lookup(w->c, n, name, &next, st);
        xeno_cowfs_forget(w->c, n, 1);
        n = next;
    }
    *ret = r == 0 ? n : NULL;
    return r;
}

/* The text of a file, of a folder its names in their order, or "!ERRNO". */
static void content(struct world *w, const char *path, char *ret, size_t size)
{
    struct xeno_cowfs_node *n = NULL;
    xeno_auto(xeno_cowfs_list) l = NULL;
    struct xeno_cowfs_file *f;
    struct xeno_cowfs_entry e;
    struct stat st;
    size_t at = 0;
    int r = walk(w, path, &n, &st);

    *ret = '\0';
    if (r == 0 && S_ISDIR(st.st_mode)) {
        r = xeno_cowfs_list_open(w->c, n, &l);
        for (size_t i = 2; r == 0 && xeno_cowfs_list_at(l, i, &e); i++)
            at += (size_t)snprintf(ret + at, size - at, "%s%s", i > 2 ? " " : "", e.name);
    } else if (r == 0) {
        r = xeno_cowfs_file_open(w->c, n, O_RDONLY, &f);
        if (r == 0) {
            ssize_t got = xeno_cowfs_file_read(f, ret, size - 1, 0);

            ret[got > 0 ? got : 0] = '\0';
            xeno_cowfs_file_close(w->c, f);
        }
    }
    if (r < 0)
        snprintf(ret, size, "!%s", strerrorname_np(-r));
    if (n)
        xeno_cowfs_forget(w->c, n, 1);
}

static void check(struct world *w, const char *path, const char *want)
{
    char got[512];

    content(w, path, got, sizeof got);
    print_message("/%s: %s\n", path, got);
    assert_string_equal(got, want);
}

static uint64_t number(struct world *w, const char *path)
{
    struct xeno_cowfs_node *n = NULL;
    struct stat st;

    assert_int_equal(walk(w, path, &n, &st), 0);
    xeno_cowfs_forget(w->c, n, 1);
    return st.st_ino;
}

static void make_file(struct world *w, const char *dir, const char *name, int want)
{
    const struct xeno_cowfs_new what = { .mode = S_IFREG | 0644 };
    struct xeno_cowfs_node *parent = NULL, *n = NULL;
    struct stat st;

    assert_int_equal(walk(w, dir, &parent, &st), 0);
    assert_int_equal(xeno_cowfs_make(w->c, parent, name, &what, &n, &st, NULL), want);
    if (n)
        xeno_cowfs_forget(w->c, n, 1);
    xeno_cowfs_forget(w->c, parent, 1);
}

static int remove_name(struct world *w, const char *dir, const char *name, bool is_dir)
{
    struct xeno_cowfs_node *parent = NULL;
    struct stat st;
    int r;

    assert_int_equal(walk(w, dir, &parent, &st), 0);
    r = is_dir ? xeno_cowfs_rmdir(w->c, parent, name) : xeno_cowfs_unlink(w->c, parent, name);
    xeno_cowfs_forget(w->c, parent, 1);
    return r;
}

/* --- what is seen --- */

#define FILES_MAX 12

static const struct {
    const char *name;
    const char *files[FILES_MAX];
    struct {
        const char *path, *want;
    } seen[6];
} trees[] = {
    { "the layer, then what it mounts in its order, then what is below",
      { "top/d/x=top", "top/d/.mount=template://a;overlay://b", "fs/a.1/x=a", "fs/a.1/y=a",
        "fs/b.1/y=b", "fs/b.1/z=b", "low/d/z=low", "low/d/w=low", "low/d/x=low" },
      { { "d", ".mount w x y z" },
        { "d/x", "top" },
        { "d/y", "a" },
        { "d/z", "b" },
        { "d/w", "low" } } },
    { "layers of one file system lie over each other, and directories of all are merged",
      { "top/d/.mount=template://a", "fs/a.1/s/x=1", "fs/a.2/s/x=2", "fs/a.2/s/y=2",
        "low/d/s/z=low" },
      { { "d/s", "x y z" }, { "d/s/x", "1" }, { "d/s/y", "2" }, { "d/s/z", "low" } } },
    { "whiteouts of what is mounted hide what is below it",
      { "top/d/.mount=template://a", "fs/a.1/x!", "fs/a.2/x=2", "fs/a.2/y=2", "low/d/x=low",
        "low/d/z=low" },
      { { "d", ".mount y z" }, { "d/x", "!ENOENT" } } },
    { "so does an opaque root",
      { "top/d/.mount=template://a;template://b", "fs/a.1/!", "fs/a.1/x=a", "fs/b.1/y=b",
        "low/d/z=low" },
      { { "d", ".mount x" } } },
    { "an opaque directory hides what is below it, not what it mounts",
      { "top/d/!", "top/d/.mount=template://a", "fs/a.1/x=a", "low/d/z=low" },
      { { "d", ".mount x" } } },
    { "the topmost mount file of a directory counts",
      { "top/d/.mount=template://a", "low/d/.mount=template://b", "fs/a.1/x=a", "fs/b.1/y=b" },
      { { "d", ".mount x" } } },
    { "one below counts where there is none above",
      { "top/d/t=top", "low/d/.mount=template://b", "low/d/y=low", "fs/b.1/y=b", "fs/b.1/t=b" },
      { { "d", ".mount t y" }, { "d/t", "top" }, { "d/y", "low" } } },
    { "an empty one takes it back",
      { "top/d/.mount=# nothing", "low/d/.mount=template://b", "low/d/z=low", "fs/b.1/y=b" },
      { { "d", ".mount z" } } },
    { "so does a whiteout",
      { "top/d/.mount!", "low/d/.mount=template://b", "low/d/z=low", "fs/b.1/y=b" },
      { { "d", "z" } } },
    { "a directory of that name is one",
      { "top/d/.mount/x=top" },
      { { "d", ".mount" }, { "d/.mount", "x" } } },
    { "in the root of the stack",
      { "top/.mount=template://a", "top/x=top", "fs/a.1/x=a", "fs/a.1/y=a", "low/z=low" },
      { { "", ".mount x y z" }, { "x", "top" }, { "y", "a" } } },
    { "deep below",
      { "top/a/b/c/.mount=template://a", "fs/a.1/p/q/r=a", "low/a/b/c/p/s=low" },
      { { "a/b/c/p", "q s" }, { "a/b/c/p/q/r", "a" } } },
    { "what is mounted mounts, in its root and below",
      { "top/d/.mount=template://a", "fs/a.1/.mount=template://b", "fs/a.1/x=a", "fs/b.1/x=b",
        "fs/b.1/y=b", "fs/a.1/s/.mount=template://c", "fs/b.1/s/t=b", "fs/c.1/t=c" },
      { { "d/x", "a" }, { "d/y", "b" }, { "d/s", ".mount t" }, { "d/s/t", "c" } } },
    { "of each file system the topmost",
      { "top/d/.mount=template://a", "fs/a.1/s/x=a", "fs/a.2/s/.mount=template://b",
        "top/d/s/.mount=template://c", "low/d/s/.mount=template://e", "fs/b.1/y=b", "fs/c.1/z=c" },
      { { "d/s", ".mount x y z" } } },
    { "of what is mounted the topmost of its roots",
      { "top/d/.mount=template://a", "fs/a.1/.mount=template://b", "fs/a.2/.mount=template://c",
        "fs/a.2/y=a", "fs/b.1/x=b", "fs/c.1/z=c" },
      { { "d", ".mount x y" } } },
    { "the same file system in two places",
      { "top/d/.mount=template://a", "top/e/.mount=template://a", "fs/a.1/s/x=a",
        "top/d/s/.mount=template://a" },
      { { "d/s/x", "a" }, { "e/s/x", "a" }, { "d/s/s/x", "a" } } },
    { "links are not followed",
      { "top/d/.mount=template://a", "fs/a.1/l>../../low", "fs/a.1/m>/", "low/x=low" },
      { { "d/l", "!EINVAL" }, { "d/l/x", "!ENOENT" } } },
};

static void what_is_seen(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < XENO_LEN(trees); i++) {
        print_message("-- %s\n", trees[i].name);
        plant(trees[i].files);
        assert_int_equal(open_stack(w), 0);
        for (size_t k = 0; k < XENO_LEN(trees[i].seen) && trees[i].seen[k].want; k++)
            check(w, trees[i].seen[k].path, trees[i].seen[k].want);
        assert_int_equal(atomic_load(&w->failures), 0);
        close_stack(w);
        scratch_remove(NULL);
        make_folders();
    }
}

/* --- what cannot be --- */

static const struct {
    const char *name;
    const char *files[FILES_MAX];
    const char *token, *ref;
} bad[] = {
    { "a file that is none", { "top/d/.mount=debian" }, "mount.ref", "" },
    { "a link", { "top/d/.mount>x", "top/d/x=template://a" }, "mount.kind", "" },
    { "nobody knows it", { "top/d/.mount=template://a" }, "image.unknown", "template://a" },
    { "one of two",
      { "top/d/.mount=template://b;template://a", "fs/b.1/x=b" },
      "image.unknown",
      "template://a" },
    { "within itself, in its root",
      { "top/d/.mount=template://a", "fs/a.1/.mount=overlay://a" },
      "mount.cycle",
      "overlay://a" },
    { "within itself, by another",
      { "top/d/.mount=template://a", "fs/a.1/.mount=template://b", "fs/b.1/.mount=template://a" },
      "mount.cycle",
      "template://a" },
    { "too deep",
      { "top/d/.mount=template://a", "fs/a.1/.mount=template://b", "fs/b.1/.mount=template://c",
        "fs/c.1/.mount=template://d", "fs/d.1/.mount=template://e", "fs/e.1/.mount=template://f",
        "fs/f.1/.mount=template://g", "fs/g.1/.mount=template://h", "fs/h.1/.mount=template://i",
        "fs/i.1/x=i" },
      "mount.depth",
      "template://i" },
    { "a bad one in what is mounted",
      { "top/d/.mount=template://a", "fs/a.1/.mount=?" },
      "mount.ref",
      "template://a" },
};

/* All that is in the directory is an error, and it and all beside it are as ever. */
static void what_cannot_be(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_cowfs_node *n = NULL, *root;
        struct stat st;

        print_message("-- %s\n", bad[i].name);
        plant(bad[i].files);
        plant((const char *const[]){ "top/d/own=x", "low/d/z=x", "low/e=low", NULL });
        atomic_store(&w->failures, 0);
        assert_int_equal(open_stack(w), 0);
        check(w, "d", "!EIO");
        check(w, "d/own", "!EIO");
        check(w, "d/none", "!EIO");
        make_file(w, "d", "new", -EIO);
        assert_int_equal(remove_name(w, "d", "own", false), -EIO);
        assert_int_equal(remove_name(w, "", "d", true), -EIO);
        root = xeno_cowfs_root(w->c);
        assert_int_equal(xeno_cowfs_rename(w->c, root, "e", root, "d", 0), -EISDIR);
        assert_int_equal(walk(w, "d", &n, &st), 0);
        assert_int_equal(st.st_nlink, 1);
        xeno_cowfs_forget(w->c, n, 1);
        check(w, "e", "low");
        /* The node is kept by nobody between two calls here, so each tried anew. */
        assert_true(atomic_load(&w->failures) > 0);
        assert_string_equal(w->token, bad[i].token);
        assert_string_equal(w->place, "/d");
        assert_string_equal(w->ref, bad[i].ref);
        assert_int_equal(access("upper/d", F_OK), -1);
        close_stack(w);
        scratch_remove(NULL);
        make_folders();
    }
}

static void tried_again_after_a_while(void **state)
{
    static const char *const files[] = { "top/d/.mount=template://a", "fs/a.1/x=a", NULL };
    struct world *w = *state;
    struct xeno_cowfs_node *d = NULL;
    struct stat st;

    plant(files);
    w->lost = "a";
    assert_int_equal(open_stack(w), 0);
    assert_int_equal(walk(w, "d", &d, &st), 0);
    for (int i = 0; i < 20; i++)
        check(w, "d", "!EIO");
    assert_in_range(atomic_load(&w->failures), 1, 4); /* this may be a slow machine */
    w->lost = NULL;
    for (int i = 0; i < 400; i++) {
        char got[64];

        content(w, "d/x", got, sizeof got);
        if (strcmp(got, "a") == 0)
            break;
        usleep(50000);
    }
    check(w, "d/x", "a");
    assert_int_equal(xeno_cowfs_stat(w->c, d, &st), 0);
    xeno_cowfs_forget(w->c, d, 1);
}

/* --- changes --- */

static void what_is_written(void **state)
{
    static const char *const files[] = { "top/d/.mount=template://a", "fs/a.1/x=a", "fs/a.1/s/y=a",
                                         "fs/b.1/z=b", NULL };
    struct world *w = *state;
    struct xeno_cowfs_node *root;

    plant(files);
    assert_int_equal(open_stack(w), 0);
    root = xeno_cowfs_root(w->c);
    make_file(w, "d/s", "new", 0);
    make_file(w, "d", "x", -EEXIST);
    assert_int_equal(access("upper/d/s/new", F_OK), 0);
    assert_int_equal(access("fs/a.1/s/new", F_OK), -1);
    /* A mount file of the upper is a file. */
    assert_int_equal(remove_name(w, "d", ".mount", false), 0);
    check(w, "d", "s x");
    make_file(w, "d", ".mount", 0);
    assert_int_equal(remove_name(w, "d/s", "y", false), 0);
    restart(w);
    check(w, "d", ".mount s x");
    check(w, "d/s", "new");
    /* What seems empty but for what is mounted is not. */
    assert_int_equal(remove_name(w, "d", ".mount", false), 0);
    assert_int_equal(remove_name(w, "d/s", "new", false), 0);
    assert_int_equal(remove_name(w, "d", "s", true), 0);
    restart(w);
    assert_int_equal(remove_name(w, "", "d", true), -ENOTEMPTY);
    restart(w);
    root = xeno_cowfs_root(w->c);
    plant((const char *const[]){ "upper/other/", NULL });
    assert_int_equal(xeno_cowfs_rename(w->c, root, "other", root, "d", 0), -ENOTEMPTY);
    assert_int_equal(remove_name(w, "d", "x", false), 0);
    assert_int_equal(remove_name(w, "", "d", true), 0);
    check(w, "d", "!ENOENT");
    assert_int_equal(xeno_cowfs_rename(w->c, root, "other", root, "d", 0), 0);
    check(w, "d", "");
    restart(w);
    check(w, "d", "");
}

/* A directory that was taken over, and closed since, is found again in what is mounted there. */
static void closed_and_opened(void **state)
{
    static const char *const files[] = { "top/d/.mount=template://a", "fs/a.1/x=a", "fs/a.1/s/y=a",
                                         NULL };
    struct world *w = *state;
    struct rlimit before, few;
    struct xeno_cowfs_node *d = NULL, *s = NULL, *held[40];
    struct stat st;

    plant(files);
    for (int i = 0; i < 40; i++) {
        char path[32];

        snprintf(path, sizeof path, "low/n%d/n", i);
        assert_int_equal(xeno_mkdirs(AT_FDCWD, path, 0755, NULL), 0);
    }
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(open_stack(w), 0);
    assert_int_equal(walk(w, "d", &d, &st), 0);
    assert_int_equal(st.st_nlink, 1); /* find(1) must not count on it */
    assert_int_equal(walk(w, "d/s", &s, &st), 0);
    make_file(w, "d", "new", 0);
    for (int i = 0; i < 40; i++) {
        char path[32];

        snprintf(path, sizeof path, "n%d/n", i);
        assert_int_equal(walk(w, path, &held[i], &st), 0);
    }
    check(w, "d/x", "a");
    check(w, "d/s", "y");
    setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < 40; i++)
        xeno_cowfs_forget(w->c, held[i], 1);
    xeno_cowfs_forget(w->c, d, 1);
    xeno_cowfs_forget(w->c, s, 1);
}

/* The same number after a restart, whatever was mounted first, and when it was written. */
static void numbers_stay(void **state)
{
    static const char *const files[] = { "top/d/.mount=template://a",
                                         "top/e/.mount=template://b;template://a",
                                         "fs/a.1/s/x=a",
                                         "fs/b.1/s/x=b",
                                         "fs/b.1/y=b",
                                         NULL };
    static const char *const paths[] = { "d", "d/s", "d/s/x", "e", "e/s", "e/s/x", "e/y" };
    struct world *w = *state;
    uint64_t before[XENO_LEN(paths)];
    struct xeno_cowfs_node *n = NULL;
    struct xeno_cowfs_file *f;
    struct stat st;

    plant(files);
    assert_int_equal(open_stack(w), 0);
    for (size_t i = 0; i < XENO_LEN(paths); i++) {
        before[i] = number(w, paths[i]);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(before[i], before[k]);
    }
    restart(w);
    for (size_t i = XENO_LEN(paths); i-- > 0;)
        assert_int_equal(number(w, paths[i]), before[i]);
    assert_int_equal(walk(w, "e/s/x", &n, &st), 0);
    assert_int_equal(xeno_cowfs_file_open(w->c, n, O_RDWR, &f), 0);
    assert_int_equal(pwrite(xeno_cowfs_file_fd(f), "B", 1, 0), 1);
    xeno_cowfs_file_close(w->c, f);
    xeno_cowfs_forget(w->c, n, 1);
    check(w, "e/s/x", "B");
    check(w, "d/s/x", "a");
    for (size_t i = 0; i < XENO_LEN(paths); i++)
        assert_int_equal(number(w, paths[i]), before[i]);
    restart(w);
    for (size_t i = 0; i < XENO_LEN(paths); i++)
        assert_int_equal(number(w, paths[i]), before[i]);
}

/* --- names that move --- */

static void names_are_pinned(void **state)
{
    static const char *const files[] = { "top/d/.mount=template://a", "top/e/.mount=template://a",
                                         "fs/a.1/x=old", "fs/n.1/x=new", NULL };
    struct world *w = *state;
    char noted[256], want[256], digest[80];
    int fd;

    plant(files);
    assert_int_equal(open_stack(w), 0);
    check(w, "d/x", "old");
    w->moved_from = "a";
    w->moved_to = "n";
    check(w, "e/x", "old");
    restart(w);
    check(w, "e/x", "old");
    check(w, "d/x", "old");
    fd = open("work/mounts", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    noted[read(fd, noted, sizeof noted - 1)] = '\0';
    close(fd);
    digest_of("a", digest);
    snprintf(want, sizeof want, "xeno-mounts 1\ntemplate://a %s\n", digest);
    assert_string_equal(noted, want);
    /* What it led to is gone: an error, not what it leads to today. */
    w->lost = "a";
    restart(w);
    check(w, "d/x", "!EIO");
    assert_string_equal(w->token, "image.unknown");
    /* A new stack takes today's. */
    w->lost = NULL;
    close_stack(w);
    assert_int_equal(unlink("work/mounts"), 0);
    assert_int_equal(open_stack(w), 0);
    check(w, "d/x", "new");
}

#define NO_DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static const char *const bad_pins[] = {
    "",
    "xeno-mounts 2\n",
    "xeno-mounts 1\ntemplate://a\n",
    "xeno-mounts 1\ntemplate://a sha256:12\n",
    "xeno-mounts 1\na " NO_DIGEST "\n",
    ("xeno-mounts 1\ntemplate://a " NO_DIGEST),
};

static void pins_that_are_none(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < XENO_LEN(bad_pins); i++) {
        put("work/mounts", bad_pins[i]);
        assert_int_equal(open_stack(w), -EBADMSG);
        close_stack(w);
        assert_int_equal(unlink("work/mounts"), 0);
    }
    assert_int_equal(open_stack(w), 0);
}

/* --- bounds, and many at once --- */

/* A file system takes its layers at each place: there are places for 500 in all. */
static void layers_are_bounded(void **state)
{
    struct world *w = *state;
    int seen = 0;

    for (int i = 0; i < 9; i++) {
        char path[32];

        snprintf(path, sizeof path, "fs/a.%d/x", i + 1);
        assert_int_equal(xeno_mkdirs(AT_FDCWD, path, 0755, NULL), 0);
    }
    for (int i = 0; i < 60; i++) {
        char file[64];

        snprintf(file, sizeof file, "top/d%d/.mount=template://a", i);
        plant((const char *const[]){ file, NULL });
    }
    assert_int_equal(open_stack(w), 0);
    for (int i = 0; i < 60; i++) {
        char path[32], got[64];

        snprintf(path, sizeof path, "d%d", i);
        content(w, path, got, sizeof got);
        seen += strcmp(got, ".mount x") == 0;
    }
    assert_int_equal(seen, (XENO_COWFS_LAYERS_MAX - 2) / 9);
    assert_string_equal(w->token, "mount.limit");
    check(w, "d0", ".mount x"); /* and those that are there stay */
}

/* Returns: NULL, or where it saw something else. */
static void *use(void *arg)
{
    char got[64];

    for (int i = 0; i < 50; i++) {
        content(arg, "d/s", got, sizeof got);
        if (strcmp(got, "x y") != 0)
            return arg;
    }
    return NULL;
}

static void many_at_once(void **state)
{
    static const char *const files[] = { "top/d/.mount=template://a;template://b", "fs/a.1/s/x=a",
                                         "fs/b.1/s/y=b", NULL };
    struct world *w = *state;
    struct xeno_cowfs_node *d = NULL;
    pthread_t threads[8];
    struct stat st;

    plant(files);
    assert_int_equal(open_stack(w), 0);
    assert_int_equal(walk(w, "d", &d, &st), 0); /* kept, so that all meet at one node */
    for (size_t i = 0; i < XENO_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, w), 0);
    for (size_t i = 0; i < XENO_LEN(threads); i++) {
        void *wrong = NULL;

        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(atomic_load(&w->finds), 2);
    assert_int_equal(atomic_load(&w->mounted), 2);
    xeno_cowfs_forget(w->c, d, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(tried_again_after_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_and_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_pinned, setup, teardown),
        cmocka_unit_test_setup_teardown(pins_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(layers_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
