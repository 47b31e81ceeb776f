/* src/cowfs/tests/test-layer-toc.c - a layer over its table is the layer unpacked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/io.h"
#include "cowfs/layer-toc.h"
#include "cowfs/stack.h"
#include "image/layer.h"
#include "image/tree.h"

static char folder[64];
static struct xeno_store *store;
static struct xeno_pieces *pieces;
static struct xeno_sources *sources;
static int lies;

static char *in_folder(const char *name)
{
    return xeno_asprintf("%s/%s", folder, name);
}

static void hear(void *arg, const struct xeno_source_event *e)
{
    (void)arg;
    lies += e->state == XENO_SOURCE_LIES;
}

static int setup(void **state)
{
    struct xeno_sources_opts opts = { .env = xeno_env_real(), .event = hear };
    xeno_autofree char *path = NULL, *cache = NULL;
    struct xeno_source *one = NULL;

    (void)state;
    strcpy(folder, "/var/tmp/xeno-test-toc.XXXXXX");
    assert_non_null(mkdtemp(folder));
    path = in_folder("store");
    cache = in_folder("cache");
    assert_int_equal(xeno_store_open(path, XENO_STORE_CREATE, &store, NULL), 0);
    assert_int_equal(xeno_pieces_open(cache, 64 << 20, &pieces, NULL), 0);
    sources = xeno_sources_new(&opts);
    assert_int_equal(xeno_source_store(path, &one, NULL), 0);
    xeno_sources_add(sources, one);
    lies = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xeno_sources_free(sources);
    xeno_pieces_free(pieces);
    xeno_store_free(store);
    return xeno_remove_tree(AT_FDCWD, folder, NULL);
}

/* --- a layer --- */

struct member {
    struct xeno_tar_entry e;
    char fill; /* of its data: 0 zeros, '?' what does not repeat */
};

static void fill(char *data, size_t len, char how, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = how == '?' ? (char)(seed >> 56) : how;
    }
}

/* As a blob in the store. */
static struct xeno_layer make_layer(const struct member *members, size_t count)
{
    xeno_auto(xeno_layer_writer) w = NULL;
    xeno_auto(xeno_pack) p = NULL;
    struct xeno_pack_output out;
    struct xeno_layer layer;

    assert_int_equal(xeno_layer_new(store, XENO_COMPRESS_ZSTD, &w, NULL), 0);
    assert_int_equal(xeno_layer_pack(w, &out, NULL), 0);
    assert_int_equal(xeno_pack_new(&out, &p, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        struct xeno_tar_entry e = members[i].e;
        xeno_autofree char *data = xeno_alloc0(1, (size_t)e.size_bytes + 1);

        e.link = e.link ? e.link : "";
        fill(data, (size_t)e.size_bytes, members[i].fill, i + 1);
        /* A hole in the middle of the large ones. */
        if (e.size_bytes > 3 << 20)
            memset(data + (1 << 20), 0, 1 << 20);
        assert_int_equal(xeno_pack_add(p, &e, NULL), 0);
        assert_int_equal(xeno_pack_data(p, data, (size_t)e.size_bytes, NULL), 0);
    }
    assert_int_equal(xeno_pack_end(p, NULL), 0);
    assert_int_equal(xeno_layer_commit(w, &layer, NULL, NULL), 0);
    assert_true(layer.toc.bytes > 0);
    return layer;
}

/* magic, permitted, ... as setcap(8) writes it: cap_net_raw */
static const char net_raw[20] = { 1, 0, 0, 2, 0, 32 };

#define FILE(n, ...)                                                                               \
    {                                                                                              \
        .e = {.type = XENO_TAR_FILE, .name = n, .mode = 0644, __VA_ARGS__ }                        \
    }
#define DIR_(n, ...)                                                                               \
    {                                                                                              \
        .e = {.type = XENO_TAR_DIR, .name = n, __VA_ARGS__ }                                       \
    }
#define OF(k, n, l)                                                                                \
    {                                                                                              \
        .e = {.type = k, .name = n, .link = l, .mode = 0777 }                                      \
    }

static const struct member tree[] = {
    DIR_("etc", .mode = 01777, .uid = 5, .gid = 6, .mtime = { 1700000000, 5000 }, .xattr_count = 2,
         .xattrs = { { "user.dir", "1", 1 }, { "user.overlay.opaque", "y", 1 } }),
    FILE("etc/empty", .mtime = { 1, 0 }),
    { .e = { .type = XENO_TAR_FILE,
             .name = "etc/small",
             .mode = 04755,
             .uid = 65535,
             .gid = 1,
             .size_bytes = 700,
             .mtime = { 1600000000, 999999999 } },
      .fill = '?' },
    { .e = { .type = XENO_TAR_FILE,
             .name = "etc/large",
             .mode = 0600,
             .size_bytes = 5000000,
             .xattr_count = 3,
             .xattrs = { { "user.a", "x\0y", 3 }, { "user.b", "", 0 }, { "trusted.c", "no", 2 } } },
      .fill = '?' },
    { .e = { .type = XENO_TAR_FILE, .name = "etc/zeros", .mode = 0644, .size_bytes = 900000 } },
    { .e = { .type = XENO_TAR_FILE,
             .name = "etc/zeros-at-the-end",
             .mode = 0644,
             .size_bytes = (3 << 20) + 1 },
      .fill = '?' },
    FILE("etc/ping", .xattr_count = 1, .xattrs = { { "security.capability", net_raw, 20 } }),
    OF(XENO_TAR_SYMLINK, "etc/link", "../../etc/passwd"),
    OF(XENO_TAR_HARDLINK, "etc/again", "etc/small"),
    OF(XENO_TAR_HARDLINK, "third", "etc/again"),
    OF(XENO_TAR_HARDLINK, "link-again", "etc/link"),
    { .e = { .type = XENO_TAR_FIFO, .name = "etc/fifo", .mode = 0622 } },
    /* folders that nobody named */
    { .e = { .type = XENO_TAR_FILE, .name = "a/b/c/d", .mode = 0, .size_bytes = 20 }, .fill = 'x' },
    /* whiteouts: of a file, of what is filled again, of all there was */
    FILE("usr/.wh.gone"),
    FILE(".wh.lib"),
    { .e = { .type = XENO_TAR_FILE, .name = "lib/new", .mode = 0644, .size_bytes = 3 },
      .fill = 'y' },
    FILE(".wh.was-a-folder"),
    FILE("was-a-folder", .size_bytes = 0),
    FILE("var/.wh..wh..opq"),
    FILE("var/.wh..wh.plnk"),
    FILE("var/kept"),
    DIR_("empty-folder", .mode = 0700),
    DIR_("\303\274ml\303\244ut", .mode = 0755),
};

/* --- both are walked --- */

struct names {
    char text[64][64];
    uint8_t type[64];
    uint64_t ino[64];
    int count;
};

static int add_name(void *arg, const char *name, uint8_t type, uint64_t ino)
{
    struct names *n = arg;
    int i = n->count++;

    for (; i > 0 && strcmp(n->text[i - 1], name) > 0; i--) {
        strcpy(n->text[i], n->text[i - 1]);
        n->type[i] = n->type[i - 1];
        n->ino[i] = n->ino[i - 1];
    }
    snprintf(n->text[i], 64, "%s", name);
    n->type[i] = type;
    n->ino[i] = ino;
    return 0;
}

struct both {
    struct xeno_cowfs_layer *dir, *toc;
    uint64_t inos[64][2]; /* of files, in the one and in the other */
    int files, objects;
};

static void same_xattrs(struct both *b, int dd, int td, const char *name)
{
    char list[2][1024], value[2][1024];
    ssize_t n = b->dir->ops->listxattr(b->dir, dd, name, list[0], 1024), m;
    size_t sum = 0;

    assert_int_equal(b->toc->ops->listxattr(b->toc, td, name, list[1], 1024), n);
    assert_int_equal(b->toc->ops->listxattr(b->toc, td, name, NULL, 0), n);
    for (const char *a = list[0]; a < list[0] + n; a += strlen(a) + 1) {
        m = b->dir->ops->getxattr(b->dir, dd, name, a, value[0], 1024);
        assert_true(m >= 0);
        assert_int_equal(b->toc->ops->getxattr(b->toc, td, name, a, NULL, 0), m);
        assert_int_equal(b->toc->ops->getxattr(b->toc, td, name, a, value[1], 1024), m);
        assert_memory_equal(value[0], value[1], (size_t)m);
        if (m > 1)
            assert_int_equal(b->toc->ops->getxattr(b->toc, td, name, a, value[1], 1), -ERANGE);
        sum += strlen(a) + 1;
    }
    assert_int_equal(sum, n);
    assert_int_equal(b->toc->ops->getxattr(b->toc, td, name, "user.none", NULL, 0), -ENODATA);
}

/* Pieces of both, at random places, over the end too. */
static void same_contents(struct both *b, int dd, int td, const char *name, int64_t size)
{
    int fd = b->dir->ops->open(b->dir, dd, name, O_RDONLY);
    xeno_autofree char *one = xeno_alloc0(1, (size_t)size + 10);
    xeno_autofree char *two = xeno_alloc0(1, (size_t)size + 10);
    struct xeno_cowfs_data *d = NULL;
    unsigned seed = (unsigned)size + 1;

    assert_true(fd >= 0);
    assert_int_equal(b->toc->ops->data_open(b->toc, td, name, &d), 0);
    for (int i = 0; i < 40; i++) {
        off_t at = rand_r(&seed) % (size + 2);
        size_t len = i == 0 ? (size_t)size + 5 : (size_t)rand_r(&seed) % ((size_t)size / 4 + 10);
        ssize_t n = pread(fd, one, len, i == 0 ? 0 : at);

        assert_int_equal(b->toc->ops->data_read(b->toc, d, two, len, i == 0 ? 0 : at), n);
        assert_memory_equal(one, two, (size_t)n);
    }
    b->toc->ops->data_close(b->toc, d);
    close(fd);
}

/* Names of one file in the one are names of one file in the other. */
static void same_links(struct both *b, uint64_t one, uint64_t two)
{
    for (int i = 0; i < b->files; i++)
        assert_true((b->inos[i][0] == one) == (b->inos[i][1] == two));
    assert_true(b->files < 64);
    b->inos[b->files][0] = one;
    b->inos[b->files++][1] = two;
}

static void same_object(struct both *b, int dd, int td, const char *name)
{
    char target[2][256];
    struct stat one, two;

    assert_int_equal(b->dir->ops->stat(b->dir, dd, name, &one), 0);
    assert_int_equal(b->toc->ops->stat(b->toc, td, name, &two), 0);
    assert_int_equal(one.st_mode, two.st_mode);
    assert_int_equal(one.st_uid, two.st_uid);
    assert_int_equal(one.st_gid, two.st_gid);
    assert_int_equal(one.st_rdev, two.st_rdev);
    b->objects++;
    if (S_ISCHR(one.st_mode))
        return; /* a whiteout: no more of it is seen */
    assert_int_equal(one.st_mtim.tv_sec, two.st_mtim.tv_sec);
    assert_int_equal(one.st_mtim.tv_nsec, two.st_mtim.tv_nsec);
    assert_true(S_ISDIR(one.st_mode) || one.st_size == two.st_size);
    assert_int_equal(one.st_nlink, two.st_nlink);
    same_links(b, one.st_ino, two.st_ino);
    if (S_ISREG(one.st_mode))
        same_contents(b, dd, td, name, one.st_size);
    if (S_ISLNK(one.st_mode)) {
        ssize_t n = b->dir->ops->readlink(b->dir, dd, name, target[0], 256);

        assert_int_equal(b->toc->ops->readlink(b->toc, td, name, target[1], 256), n);
        assert_memory_equal(target[0], target[1], (size_t)n);
        assert_int_equal(b->toc->ops->readlink(b->toc, td, name, target[1], 3), 3);
    } else {
        same_xattrs(b, dd, td, name);
    }
}

static void same_tree(struct both *b, int dd, int td)
{
    struct names one = { .count = 0 }, two = { .count = 0 };

    same_object(b, dd, td, "");
    assert_int_equal(b->dir->ops->list(b->dir, dd, add_name, &one), 0);
    assert_int_equal(b->toc->ops->list(b->toc, td, add_name, &two), 0);
    assert_int_equal(one.count, two.count);
    for (int i = 0; i < one.count; i++) {
        const char *name = one.text[i];
        struct stat st;

        print_message("%s\n", name);
        assert_string_equal(name, two.text[i]);
        assert_int_equal(one.type[i], two.type[i]);
        assert_int_equal(b->toc->ops->stat(b->toc, td, name, &st), 0);
        assert_int_equal(st.st_ino, two.ino[i]);
        if (one.type[i] == DT_DIR) {
            int sub_d = b->dir->ops->dir_open(b->dir, dd, name);
            int sub_t = b->toc->ops->dir_open(b->toc, td, name);

            assert_true(sub_d >= 0 && sub_t >= 0);
            same_tree(b, sub_d, sub_t);
            b->dir->ops->dir_close(b->dir, sub_d);
            b->toc->ops->dir_close(b->toc, sub_t);
        } else {
            same_object(b, dd, td, name);
            assert_int_equal(b->toc->ops->dir_open(b->toc, td, name), -ENOTDIR);
        }
    }
    assert_int_equal(b->toc->ops->stat(b->toc, td, "not-there", &(struct stat){ 0 }), -ENOENT);
}

static struct xeno_cowfs_layer *open_toc(const struct xeno_layer *layer, uint32_t shift)
{
    struct xeno_cowfs_toc_opts opts = {
        .pieces = pieces, .sources = sources, .shift = shift, .own = geteuid() != 0
    };
    struct xeno_cowfs_layer *l = NULL;

    assert_int_equal(xeno_cowfs_layer_toc(layer, &opts, &l, NULL), 0);
    return l;
}

static void compare(const struct xeno_layer *layer, const char *path, uint32_t shift)
{
    struct both b = { .toc = open_toc(layer, shift) };
    int dd, td;

    assert_int_equal(xeno_cowfs_layer_dir(path, &b.dir, NULL), 0);
    dd = b.dir->ops->dir_open(b.dir, -1, "");
    td = b.toc->ops->dir_open(b.toc, -1, "");
    same_tree(&b, dd, td);
    assert_true(b.objects > 25);
    b.dir->ops->dir_close(b.dir, dd);
    b.dir->ops->free(b.dir);
    b.toc->ops->free(b.toc);
}

static void as_unpacked(void **state)
{
    static const struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    xeno_autofree char *path = in_folder("unpacked");
    xeno_autoclose int blob = -1, root = -1;
    struct xeno_tar_input input = xeno_tar_fd(&blob);
    struct xeno_unpacked done;
    int64_t size;

    (void)state;
    assert_int_equal(mkdir(path, 0755), 0);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(xeno_store_open_blob(store, layer.digest, &blob, &size, NULL), 0);
    assert_int_equal(
        xeno_tree_unpack(&input, XENO_TAR_ANY, root, geteuid() != 0, &limits, NULL, &done, NULL),
        0);
    compare(&layer, path, 0);
}

/* By the real unpacker, with owners shifted and capabilities of the namespace. */
static void as_unpacked_and_shifted(void **state)
{
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    struct xeno_unpack_opts opts = { .own = geteuid() != 0 };
    xeno_autofree char *path = in_folder("unpacked");
    xeno_autoclose int blob = -1, root = -1;
    struct xeno_unpacked done;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t size;
    int r;

    (void)state;
    assert_int_equal(mkdir(path, 0755), 0);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(xeno_store_open_blob(store, layer.digest, &blob, &size, NULL), 0);
    r = xeno_unpack_layer(blob, &layer, root, &opts, &done, &err);
    if (r == -EPERM) {
        print_message("# SKIP no child can be confined here\n");
        skip();
    }
    assert_int_equal(r, 0);
    compare(&layer, path, XENO_SUBID_BASE);
}

/* --- what is refused --- */

static const struct {
    const char *name, *token;
    struct member members[2];
} bad[] = {
    { "up", "unpack.name", { FILE("../x"), FILE("y") } },
    { "absolute", "unpack.name", { FILE("/x"), FILE("y") } },
    { "through a file", "unpack.name", { FILE("x"), FILE("x/y") } },
    { "through a link", "unpack.name", { OF(XENO_TAR_SYMLINK, "x", "/"), FILE("x/y") } },
    { "twice", "unpack.twice", { FILE("x"), FILE("./x") } },
    { "owner", "unpack.owner", { FILE("x", .uid = 65536), FILE("y") } },
    { "hard link out", "unpack.link", { FILE("x"), OF(XENO_TAR_HARDLINK, "y", "z") } },
    { "hard link to a folder",
      "unpack.link",
      { DIR_("x", .mode = 0755), OF(XENO_TAR_HARDLINK, "y", "x") } },
    { "hides nothing", "unpack.name", { FILE("x/.wh."), FILE("y") } },
};

static void refused_as_by_the_unpacker(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_layer layer = make_layer(bad[i].members, 2);
        struct xeno_cowfs_toc_opts opts = { .pieces = pieces, .sources = sources };
        struct xeno_cowfs_layer *l = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        print_message("%s\n", bad[i].name);
        assert_int_equal(xeno_cowfs_layer_toc(&layer, &opts, &l, &err), -EINVAL);
        assert_string_equal(err.token, bad[i].token);
        assert_null(l);
    }
}

static void needs_a_table(void **state)
{
    struct xeno_layer layer = make_layer(tree, 3);
    struct xeno_cowfs_toc_opts opts = { .pieces = pieces, .sources = sources };
    struct xeno_cowfs_layer *l = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    layer.toc.sha[3] ^= 1; /* not the one the manifest names */
    assert_int_equal(xeno_cowfs_layer_toc(&layer, &opts, &l, &err), -EBADMSG);
    assert_true(xeno_err_is(&err, "image.corrupt"));
    layer.toc.raw_bytes = XENO_COWFS_TABLE_MAX_BYTES + 1;
    assert_int_equal(xeno_cowfs_layer_toc(&layer, &opts, &l, &err), -EFBIG);
    assert_true(xeno_err_is(&err, "unpack.limit"));
    layer.toc.bytes = 0;
    assert_int_equal(xeno_cowfs_layer_toc(&layer, &opts, &l, &err), -ENODATA);
    assert_true(xeno_err_is(&err, "image.toc"));
}

/* --- what is fetched --- */

static int open_file(struct xeno_cowfs_layer *l, const char *dir, const char *name,
                     struct xeno_cowfs_data **ret)
{
    return l->ops->data_open(l, l->ops->dir_open(l, 0, dir), name, ret);
}

static void zeros_cost_nothing(void **state)
{
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    struct xeno_cowfs_layer *l = open_toc(&layer, 0);
    int64_t before = xeno_sources_bytes(sources);
    struct xeno_cowfs_data *d = NULL;
    char buf[1000];

    (void)state;
    assert_int_equal(open_file(l, "etc", "zeros", &d), 0);
    memset(buf, 1, sizeof buf);
    assert_int_equal(l->ops->data_read(l, d, buf, sizeof buf, 300000), sizeof buf);
    for (size_t i = 0; i < sizeof buf; i++)
        assert_int_equal(buf[i], 0);
    assert_int_equal(l->ops->data_seek(l, d, 0, SEEK_DATA), -ENXIO);
    assert_int_equal(l->ops->data_seek(l, d, 5, SEEK_HOLE), 5);
    assert_int_equal(xeno_sources_bytes(sources), before);
    /* One that is a megabyte of data, then one of zeros, then data. */
    assert_int_equal(open_file(l, "etc", "large", &d), 0);
    assert_in_range(l->ops->data_seek(l, d, 0, SEEK_HOLE), 1 << 20, 3 << 19);
    assert_in_range(l->ops->data_seek(l, d, 3 << 19, SEEK_DATA), 7 << 18, 2 << 20);
    assert_int_equal(l->ops->data_seek(l, d, 4999999, SEEK_HOLE), 5000000);
    assert_int_equal(l->ops->data_seek(l, d, 5000000, SEEK_HOLE), -ENXIO);
    l->ops->free(l);
}

static void only_what_is_read(void **state)
{
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    struct xeno_cowfs_layer *l = open_toc(&layer, 0);
    int64_t before = xeno_sources_bytes(sources);
    struct xeno_cowfs_data *d = NULL;
    char buf[100];

    (void)state;
    assert_int_equal(before, layer.toc.bytes);
    assert_int_equal(open_file(l, "etc", "large", &d), 0);
    assert_int_equal(l->ops->data_read(l, d, buf, 100, 4000000), 100);
    assert_in_range(xeno_sources_bytes(sources) - before, 16 << 10, 257 << 10);
    before = xeno_sources_bytes(sources);
    assert_int_equal(l->ops->data_read(l, d, buf, 100, 4000000), 100);
    l->ops->free(l);
    l = open_toc(&layer, 0); /* the table is there as well */
    assert_int_equal(open_file(l, "etc", "large", &d), 0);
    assert_int_equal(l->ops->data_read(l, d, buf, 100, 4000000), 100);
    assert_int_equal(xeno_sources_bytes(sources), before);
    l->ops->free(l);
}

static size_t more_first, more_count;

static void hear_more(void *arg, struct xeno_cowfs_layer *l, size_t first, size_t count)
{
    assert_null(arg);
    assert_true(first + count <= xeno_cowfs_toc_pieces(l));
    more_first = first;
    more_count = count;
}

/* Bytes of large are read. Returns: how many pieces others were told to fetch. */
static size_t told_for(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d, off_t off, size_t len)
{
    xeno_autofree char *buf = xeno_alloc0(1, len);

    more_count = 0;
    assert_int_equal(l->ops->data_read(l, d, buf, len, off), (ssize_t)len);
    return more_count;
}

static void more_is_told(void **state)
{
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    struct xeno_cowfs_toc_opts opts = {
        .pieces = pieces, .sources = sources, .own = true, .more = hear_more
    };
    struct xeno_cowfs_layer *l = NULL;
    struct xeno_cowfs_data *d = NULL;
    size_t first;

    (void)state;
    assert_int_equal(xeno_cowfs_layer_toc(&layer, &opts, &l, NULL), 0);
    assert_int_equal(open_file(l, "etc", "large", &d), 0);
    assert_int_equal(told_for(l, d, 3000000, 1), 0); /* here and there */
    assert_int_equal(told_for(l, d, 4000000, 1), 0);
    assert_in_range(told_for(l, d, 0, 400000), 1, 25); /* several at once: all but the first */
    first = more_first + more_count;
    assert_in_range(told_for(l, d, 400000, 300000), 8, 40); /* and on: some more */
    assert_true(more_first >= first);
    assert_int_equal(told_for(l, d, 0, 700000), 0); /* all was read */
    told_for(l, d, 700000, 4300000);
    assert_int_equal(told_for(l, d, 4999999, 1), 0); /* not beyond the end */
    l->ops->free(l);
}

/* Every byte of the blob wrong, one after the other piece: never a wrong byte, and it is said. */
static void wrong_bytes_are_an_error(void **state)
{
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    struct xeno_cowfs_layer *l = open_toc(&layer, 0);
    xeno_autofree char *blob =
        xeno_asprintf("%s/store/blobs/sha256/%s", folder, layer.digest + strlen("sha256:"));
    struct xeno_cowfs_data *d = NULL;
    int fd = open(blob, O_WRONLY | O_CLOEXEC);
    char buf[700];

    (void)state;
    assert_true(fd >= 0);
    memset(buf, '!', sizeof buf);
    for (int64_t at = 0; at < layer.toc.offset; at += (int64_t)sizeof buf)
        assert_int_equal(pwrite(fd, buf, sizeof buf, at), sizeof buf);
    close(fd);
    assert_int_equal(open_file(l, "etc", "small", &d), 0);
    assert_int_equal(l->ops->data_read(l, d, buf, sizeof buf, 0), -EIO);
    assert_int_equal(lies, 1);
    assert_int_equal(l->ops->data_read(l, d, buf, 1, 0), -EIO);
    assert_int_equal(lies, 1); /* he was not asked again */
    l->ops->free(l);
}

/* --- in a stack --- */

static void taken_over_from_pieces(void **state)
{
    struct xeno_layer layer = make_layer(tree, XENO_LEN(tree));
    struct xeno_cowfs_layer *l = open_toc(&layer, 0);
    xeno_autofree char *upper = in_folder("upper"), *work = in_folder("work");
    struct xeno_cowfs_node *etc = NULL, *n = NULL;
    struct xeno_cowfs_file *reader = NULL, *writer = NULL;
    xeno_auto(xeno_cowfs) c = NULL;
    char before[1000], buf[1000];
    struct stat st;
    uint64_t ino;

    (void)state;
    assert_int_equal(mkdir(upper, 0755) | mkdir(work, 0755), 0);
    assert_int_equal(xeno_cowfs_open(upper, work, &l, 1, &c, NULL), 0);
    assert_int_equal(xeno_cowfs_lookup(c, xeno_cowfs_root(c), "etc", &etc, &st), 0);
    assert_int_equal(xeno_cowfs_lookup(c, etc, "large", &n, &st), 0);
    ino = st.st_ino;
    assert_int_equal(xeno_cowfs_file_open(c, n, O_RDONLY, &reader), 0);
    assert_int_equal(xeno_cowfs_file_fd(reader), -1);
    assert_int_equal(xeno_cowfs_file_read(reader, before, 1000, 4900000), 1000);
    assert_int_equal(xeno_cowfs_file_open(c, n, O_RDWR, &writer), 0);
    assert_true(xeno_cowfs_file_fd(reader) >= 0);
    assert_int_equal(xeno_cowfs_file_read(reader, buf, 1000, 4900000), 1000);
    assert_memory_equal(before, buf, 1000);
    assert_int_equal(pwrite(xeno_cowfs_file_fd(writer), "written", 7, 4900000), 7);
    assert_int_equal(xeno_cowfs_file_read(reader, buf, 7, 4900000), 7);
    assert_memory_equal(buf, "written", 7);
    assert_int_equal(fstat(xeno_cowfs_file_fd(writer), &st), 0);
    assert_true(st.st_blocks * 512 < 4600000); /* of 5 MB; the hole stayed one */
    assert_int_equal(xeno_cowfs_stat(c, n, &st), 0);
    assert_int_equal(st.st_ino, ino);
    xeno_cowfs_file_close(c, reader);
    xeno_cowfs_file_close(c, writer);
    xeno_cowfs_forget(c, n, 1);
    /* One that is removed while it is read stays readable. */
    assert_int_equal(xeno_cowfs_lookup(c, etc, "small", &n, &st), 0);
    assert_int_equal(xeno_cowfs_file_open(c, n, O_RDONLY, &reader), 0);
    assert_int_equal(xeno_cowfs_unlink(c, etc, "small"), 0);
    assert_int_equal(xeno_cowfs_file_read(reader, buf, 1000, 0), 700);
    assert_int_equal(xeno_cowfs_file_open(c, n, O_RDWR, &writer), 0);
    assert_int_equal(xeno_cowfs_file_read(writer, before, 1000, 0), 700);
    assert_memory_equal(before, buf, 700);
    assert_int_equal(xeno_cowfs_stat(c, n, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    xeno_cowfs_file_close(c, reader);
    xeno_cowfs_file_close(c, writer);
    xeno_cowfs_forget(c, n, 1);
    xeno_cowfs_forget(c, etc, 1);
}

/* --- how much memory --- */

static void small_in_memory(void **state)
{
    enum { COUNT = 50000 };
    xeno_autofree struct member *many = xeno_new0_n(struct member, COUNT);
    xeno_autofree char *names = xeno_alloc0(COUNT, 48);
    struct xeno_cowfs_layer *l;
    struct xeno_layer layer;
    size_t bytes;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        struct xeno_tar_entry *e = &many[i].e;

        snprintf(names + i * 48, 48, "usr/share/package-%03d/file-number-%05d", i / 100, i);
        *e = (struct xeno_tar_entry){ .name = names + i * 48, .mode = 0644, .size_bytes = 8 };
        many[i].fill = '?';
    }
    layer = make_layer(many, COUNT);
    l = open_toc(&layer, 0);
    bytes = xeno_cowfs_toc_memory(l);
    print_message("%d files: %zu bytes, %zu each; the table took %lld in the blob\n", COUNT, bytes,
                  bytes / COUNT, (long long)layer.toc.bytes);
    assert_true(bytes / COUNT < 150);
    l->ops->free(l);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(as_unpacked),     TEST(as_unpacked_and_shifted),  TEST(refused_as_by_the_unpacker),
        TEST(needs_a_table),   TEST(zeros_cost_nothing),       TEST(only_what_is_read),
        TEST(more_is_told),    TEST(wrong_bytes_are_an_error), TEST(taken_over_from_pieces),
        TEST(small_in_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
