/* src/image/upper.c - walk a writable layer and pack it. */
#include "image/upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <uthash.h>

#include "image/build-priv.h"
#include "image/job.h"
#include "image/place.h"
#include "image/upper-priv.h"

#define WHITEOUT    ".wh."
#define OPAQUE      ".wh..wh..opq"
#define OPAQUE_ATTR "user.overlay.opaque"
#define NAMES_MAX   65536 /* of attributes of one file, together */
#define EXTENTS_MAX 4096  /* between holes; what comes after the last is written as zeros */
#define BLOCK_BYTES 65536

/* A file that has several names, and the first of them. */
struct linked {
    ino_t inode;
    UT_hash_handle hh;
    char path[];
};

struct walk {
    int root;
    const struct xeno_unpack_limits *limits;
    struct xeno_pack *pack; /* NULL: only look */
    int64_t entries, data_bytes, sizes, held;
    struct linked *links;
    struct xeno_tar_extent *extents;
    char path[PATH_MAX]; /* of what is at work; "." for the folder itself */
    char names[NAMES_MAX], values[NAMES_MAX], cap[20], link[PATH_MAX], block[BLOCK_BYTES];
};

static int fail(struct walk *w, const char *what, struct xeno_err *err)
{
    return xeno_fail_errno(err, -errno, "image.source", "%s '/%.200s'", what, w->path);
}

/* --- one thing --- */

static int hold(struct walk *w, size_t bytes, struct xeno_err *err)
{
    w->held += (int64_t)bytes;
    if (w->held <= XENO_UPPER_MEMORY)
        return 0;
    return xeno_fail(err, -EFBIG, "unpack.limit",
                     "at '/%.200s' more than %lld bytes of names have to be remembered: too many "
                     "files in one folder, or with several names",
                     w->path, (long long)XENO_UPPER_MEMORY);
}

static int count_one(struct walk *w, struct xeno_err *err)
{
    if (++w->entries <= w->limits->entries)
        return 0;
    return xeno_fail(err, -EFBIG, "unpack.limit",
                     "'/%.200s' is one file too many; a layer may have %lld", w->path,
                     (long long)w->limits->entries);
}

static int add(struct walk *w, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    int r = count_one(w, err);

    return r < 0 || !w->pack ? r : xeno_pack_add(w->pack, e, err);
}

/* Hides what is below: the name of the present path becomes `base`. */
static int add_mark(struct walk *w, size_t dir_len, const char *base, struct xeno_err *err)
{
    struct xeno_tar_entry e = { .type = XENO_TAR_FILE, .link = "", .mode = 0600 };
    xeno_autofree char *name =
        xeno_asprintf("%.*s%s%s", (int)dir_len, w->path, dir_len > 0 ? "/" : "", base);

    e.name = name;
    if (strlen(base) > NAME_MAX || (int64_t)strlen(name) > w->limits->name_bytes)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "'/%.200s' has been deleted, and its name is too long for a layer to say "
                         "so",
                         w->path);
    return add(w, &e, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct xeno_tar_xattr *)a)->name,
                  ((const struct xeno_tar_xattr *)b)->name);
}

static int take_xattrs(struct walk *w, int fd, struct xeno_tar_entry *e, struct xeno_err *err)
{
    ssize_t len = flistxattr(fd, w->names, sizeof w->names);
    size_t used = 0;

    if (len < 0)
        return errno == ENOTSUP ? 0 : fail(w, "list the attributes of", err);
    for (const char *n = w->names; n < w->names + len; n += strlen(n) + 1) {
        struct xeno_tar_xattr x = { .name = n, .value = w->values + used };
        ssize_t got;

        if (!xeno_acl_name(n) && strncmp(n, "user.", 5) != 0 &&
            strcmp(n, "security.capability") != 0)
            continue;
        got = fgetxattr(fd, n, w->values + used, sizeof w->values - used);
        if (got < 0)
            return fail(w, "read an attribute of", err);
        x.len = (size_t)got;
        if (!xeno_acl_name(n) && !xeno_xattr_keep(&x, w->cap))
            continue;
        used += (size_t)got;
        if (e->xattr_count == XENO_TAR_XATTRS_MAX || (int64_t)used > w->limits->xattr_bytes)
            return xeno_fail(err, -EFBIG, "unpack.limit",
                             "'/%.200s' has more than %d extended attributes, or more than %lld "
                             "bytes of them",
                             w->path, XENO_TAR_XATTRS_MAX, (long long)w->limits->xattr_bytes);
        e->xattrs[e->xattr_count++] = x;
    }
    if (e->xattr_count > 0)
        qsort(e->xattrs, e->xattr_count, sizeof(*e->xattrs), by_name);
    return 0;
}

static void describe(const struct stat *sb, const char *name, struct xeno_tar_entry *ret)
{
    *ret = (struct xeno_tar_entry){ .name = name,
                                    .link = "",
                                    .uid = sb->st_uid,
                                    .gid = sb->st_gid,
                                    .mode = sb->st_mode & 07777,
                                    .mtime = sb->st_mtim };
}

/* --- files --- */

/* Where the file has data. A file system without holes has one extent. */
static int find_extents(struct walk *w, int fd, struct xeno_tar_entry *e, struct xeno_err *err)
{
    int64_t at = 0;

    e->extents = w->extents;
    while (at < e->size_bytes) {
        int64_t end, begin = lseek(fd, at, SEEK_DATA);

        if (begin < 0 && errno == ENXIO)
            break; /* a hole to its end */
        end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
        if (end < 0)
            return fail(w, "find the holes of", err);
        if (end > e->size_bytes || e->extent_count == EXTENTS_MAX - 1)
            end = e->size_bytes;
        w->extents[e->extent_count++] = (struct xeno_tar_extent){ begin, end - begin };
        w->data_bytes += end - begin;
        at = end;
    }
    e->sparse = e->extent_count != 1 || w->extents[0].len != e->size_bytes;
    return 0;
}

static int pack_zeros(struct walk *w, int64_t len, struct xeno_err *err)
{
    static const char zeros[BLOCK_BYTES];
    int r = 0;

    while (r >= 0 && len > 0) {
        size_t n = len < BLOCK_BYTES ? (size_t)len : BLOCK_BYTES;

        r = xeno_pack_data(w->pack, zeros, n, err);
        len -= (int64_t)n;
    }
    return r;
}

static int pack_extent(struct walk *w, int fd, struct xeno_tar_extent x, struct xeno_err *err)
{
    while (x.len > 0) {
        ssize_t n =
            pread(fd, w->block, x.len < BLOCK_BYTES ? (size_t)x.len : BLOCK_BYTES, x.offset);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(w, "read", err);
        if (n == 0)
            return xeno_fail(err, -ESTALE, "image.changed", "'/%.200s' was cut while it was read",
                             w->path);
        r = xeno_pack_data(w->pack, w->block, (size_t)n, err);
        if (r < 0)
            return r;
        x.offset += n;
        x.len -= n;
    }
    return 0;
}

static int pack_data(struct walk *w, int fd, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    int64_t at = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < e->extent_count; i++) {
        r = pack_zeros(w, e->extents[i].offset - at, err);
        if (r >= 0)
            r = pack_extent(w, fd, e->extents[i], err);
        at = e->extents[i].offset + e->extents[i].len;
    }
    return r < 0 ? r : pack_zeros(w, e->size_bytes - at, err);
}

static int check_size(struct walk *w, int64_t size, struct xeno_err *err)
{
    const struct xeno_unpack_limits *lim = w->limits;

    w->sizes += size <= lim->file_bytes ? size : 0;
    if (size <= lim->file_bytes && w->sizes <= lim->total_bytes)
        return 0;
    return xeno_fail(err, -EFBIG, "unpack.limit",
                     "with '/%.200s' (%lld bytes) a file is larger than %lld bytes, or all "
                     "together than %lld: no layer may be",
                     w->path, (long long)size, (long long)lim->file_bytes,
                     (long long)lim->total_bytes);
}

static int add_file(struct walk *w, struct xeno_err *err)
{
    /* O_NONBLOCK: should it have become a fifo, nobody waits for a writer. */
    xeno_autoclose int fd =
        openat(w->root, w->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct xeno_tar_entry e;
    struct stat sb;
    int r;

    if (fd < 0 || fstat(fd, &sb) < 0)
        return fail(w, "open", err);
    if (!S_ISREG(sb.st_mode))
        return xeno_fail(err, -ESTALE, "image.changed", "'/%.200s' became something else", w->path);
    describe(&sb, w->path, &e);
    e.type = XENO_TAR_FILE;
    e.size_bytes = sb.st_size;
    r = check_size(w, e.size_bytes, err);
    if (r >= 0)
        r = take_xattrs(w, fd, &e, err);
    if (r >= 0)
        r = find_extents(w, fd, &e, err);
    if (r >= 0)
        r = add(w, &e, err);
    return r < 0 || !w->pack ? r : pack_data(w, fd, &e, err);
}

/* The first name of a file that has several is written as the file. Returns: 1 for another one,
 * which is written here. */
static int add_linked(struct walk *w, const struct stat *sb, struct xeno_err *err)
{
    struct xeno_tar_entry e;
    struct linked *l;
    size_t len = strlen(w->path) + 1;
    int r;

    HASH_FIND(hh, w->links, &sb->st_ino, sizeof sb->st_ino, l);
    if (l) {
        describe(sb, w->path, &e);
        e.type = XENO_TAR_HARDLINK;
        e.link = l->path;
        r = add(w, &e, err);
        return r < 0 ? r : 1;
    }
    r = hold(w, sizeof *l + len, err);
    if (r < 0)
        return r;
    l = xeno_alloc0(1, sizeof *l + len);
    l->inode = sb->st_ino;
    memcpy(l->path, w->path, len);
    HASH_ADD(hh, w->links, inode, sizeof l->inode, l);
    return 0;
}

static int add_symlink(struct walk *w, const struct stat *sb, struct xeno_err *err)
{
    ssize_t n = readlinkat(w->root, w->path, w->link, sizeof w->link - 1);
    struct xeno_tar_entry e;

    if (n < 0)
        return fail(w, "read the link", err);
    w->link[n] = '\0';
    describe(sb, w->path, &e);
    e.type = XENO_TAR_SYMLINK;
    e.mode = 0777;
    e.link = w->link;
    return add(w, &e, err);
}

/* --- folders --- */

static int walk_dir(struct walk *w, const struct stat *sb, int64_t depth, struct xeno_err *err);

/* What is at w->path, whose last part begins at `base`. */
static int visit(struct walk *w, size_t base, int64_t depth, struct xeno_err *err)
{
    const char *name = w->path + base;
    struct xeno_tar_entry e;
    struct stat sb;
    int r;

    if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
        return xeno_fail(err, -EINVAL, "unpack.name",
                         "'/%.200s' has a name that an image layer keeps for hiding files: give it "
                         "another",
                         w->path);
    if (fstatat(w->root, w->path, &sb, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(w, "look at", err);
    if (S_ISCHR(sb.st_mode) && sb.st_rdev == makedev(0, 0)) {
        char mark[NAME_MAX + sizeof WHITEOUT];

        snprintf(mark, sizeof mark, WHITEOUT "%s", name);
        return add_mark(w, base > 0 ? base - 1 : 0, mark, err);
    }
    if (S_ISDIR(sb.st_mode))
        return walk_dir(w, &sb, depth + 1, err);
    if (S_ISSOCK(sb.st_mode) || S_ISCHR(sb.st_mode) || S_ISBLK(sb.st_mode))
        return 0;
    r = sb.st_nlink > 1 && S_ISREG(sb.st_mode) ? add_linked(w, &sb, err) : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    if (S_ISREG(sb.st_mode))
        return add_file(w, err);
    if (S_ISLNK(sb.st_mode))
        return add_symlink(w, &sb, err);
    describe(&sb, w->path, &e);
    e.type = XENO_TAR_FIFO;
    return add(w, &e, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    size_t count;
    char **list;
    int64_t held; /* of the walk's memory */
};

static void names_release(struct walk *w, struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
    w->held -= n->held;
}

/* All names of a folder, in order. fd is taken. */
static int read_names(struct walk *w, int fd, struct names *ret, struct xeno_err *err)
{
    DIR *d = fdopendir(fd);
    struct dirent *e;
    int r = 0;

    if (!d) {
        close(fd);
        return fail(w, "read the folder", err);
    }
    while (r >= 0 && (errno = 0, e = readdir(d)) != NULL) {
        size_t bytes = strlen(e->d_name) + 1 + 4 * sizeof(char *);

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        r = hold(w, bytes, err);
        ret->held += (int64_t)bytes;
        if ((ret->count & (ret->count - 1)) == 0)
            ret->list = xeno_grow(ret->list, ret->count ? ret->count * 2 : 1);
        ret->list[ret->count++] = xeno_strdup(e->d_name);
    }
    if (r >= 0 && errno != 0)
        r = fail(w, "read the folder", err);
    closedir(d);
    if (ret->count > 0)
        qsort(ret->list, ret->count, sizeof *ret->list, by_text);
    return r;
}

static int visit_all(struct walk *w, const struct names *names, int64_t depth, struct xeno_err *err)
{
    size_t len = strcmp(w->path, ".") == 0 ? 0 : strlen(w->path);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < names->count; i++) {
        size_t base = len > 0 ? len + 1 : 0, n = strlen(names->list[i]);

        if ((int64_t)(base + n) > w->limits->name_bytes || base + n >= sizeof w->path)
            return xeno_fail(err, -EFBIG, "unpack.limit",
                             "a name in '/%.200s...' is %zu bytes long; it may be %lld", w->path,
                             base + n, (long long)w->limits->name_bytes);
        if (len > 0)
            w->path[len] = '/';
        memcpy(w->path + base, names->list[i], n + 1);
        r = visit(w, base, depth, err);
        w->path[len] = '\0';
    }
    if (r >= 0 && len == 0)
        strcpy(w->path, ".");
    return r;
}

static bool is_opaque(int fd)
{
    char value;

    return fgetxattr(fd, OPAQUE_ATTR, &value, 1) == 1 && value == 'y';
}

static int walk_dir(struct walk *w, const struct stat *sb, int64_t depth, struct xeno_err *err)
{
    int fd = openat(w->root, w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    size_t len = strcmp(w->path, ".") == 0 ? 0 : strlen(w->path);
    struct names names = { .count = 0 };
    struct xeno_tar_entry e;
    bool opaque;
    int r;

    if (fd < 0)
        return fail(w, "open the folder", err);
    describe(sb, w->path, &e);
    e.type = XENO_TAR_DIR;
    r = depth > w->limits->depth
            ? xeno_fail(err, -EFBIG, "unpack.limit", "'/%.200s' is nested deeper than %lld folders",
                        w->path, (long long)w->limits->depth)
            : take_xattrs(w, fd, &e, err);
    opaque = is_opaque(fd);
    if (r >= 0)
        r = add(w, &e, err);
    if (r >= 0 && opaque)
        r = add_mark(w, len, OPAQUE, err);
    if (r >= 0)
        r = read_names(w, fd, &names, err); /* takes it: no descriptor is held on the way down */
    else
        close(fd);
    if (r >= 0)
        r = visit_all(w, &names, depth, err);
    names_release(w, &names);
    return r;
}

int xeno_upper_walk(int root, const struct xeno_unpack_limits *limits, struct xeno_pack *pack,
                    struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_autofree struct walk *w = xeno_new0(struct walk);
    struct linked *l, *next;
    struct stat sb;
    int r;

    w->root = root;
    w->limits = limits;
    w->pack = pack;
    w->extents = xeno_new0_n(struct xeno_tar_extent, EXTENTS_MAX);
    strcpy(w->path, ".");
    r = fstat(root, &sb) < 0 ? fail(w, "look at", err) : walk_dir(w, &sb, 0, err);
    HASH_ITER (hh, w->links, l, next) {
        HASH_DEL(w->links, l);
        free(l);
    }
    free(w->extents);
    ret->entries = w->entries;
    ret->disk_bytes = w->data_bytes;
    return r < 0 ? r : pack ? xeno_pack_end(pack, err) : 0;
}

/* --- in the child --- */

static int check_work(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                      struct xeno_unpacked *ret, struct xeno_err *err)
{
    (void)input;
    (void)out;
    return xeno_upper_walk(job->dirfd, job->limits, NULL, ret, err);
}

static int say(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    int r = xeno_job_say(*(const int *)arg, data, len);

    return r < 0 ? xeno_fail_errno(err, r, "image.write", "answer") : 0;
}

static int pack_work(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                     struct xeno_unpacked *ret, struct xeno_err *err)
{
    struct xeno_pack_output output = { .write = say, .arg = &out };
    xeno_auto(xeno_pack) pack = NULL;
    int r = xeno_pack_new(&output, &pack, err);

    (void)input;
    return r < 0 ? r : xeno_upper_walk(job->dirfd, job->limits, pack, ret, err);
}

/* --- in the parent --- */

struct relay {
    int (*sink)(void *arg, const void *data, size_t len, struct xeno_err *err);
    void *arg;
    struct xeno_sha256 *hash;
    int64_t bytes;
};

/* The digest is made here: what the child says of it is not asked. */
static int pass_on(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct relay *y = arg;

    xeno_sha256_add(y->hash, data, len);
    y->bytes += (int64_t)len;
    return y->sink(y->arg, data, len, err);
}

static int run(const struct xeno_upper_opts *o, struct xeno_job *job, struct xeno_unpacked *ret,
               struct xeno_err *err)
{
    xeno_autoclose int none = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (none < 0)
        return xeno_fail_errno(err, -errno, "image.source", "open /dev/null");
    job->limits = o->limits ? o->limits : &xeno_unpack_defaults;
    job->dirfd = o->dirfd;
    job->own = o->own;
    job->reading = true;
    return xeno_job_run(job, none, NULL, -1, ret, err);
}

int xeno_upper_check(const struct xeno_upper_opts *o, struct xeno_unpacked *ret,
                     struct xeno_err *err)
{
    struct xeno_job job = { .work = check_work };

    return run(o, &job, ret, err);
}

int xeno_upper_pack(const struct xeno_upper_opts *o,
                    int (*sink)(void *arg, const void *data, size_t len, struct xeno_err *err),
                    void *arg, struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    struct relay y = { .sink = sink, .arg = arg, .hash = hash };
    struct xeno_job job = { .work = pack_work, .sink = pass_on, .arg = &y };
    uint8_t sha[32];
    int r = run(o, &job, ret, err);

    if (r < 0)
        return r;
    xeno_sha256_end(hash, sha);
    xeno_digest_text(sha, ret->diff_id);
    ret->tar_bytes = y.bytes;
    return 0;
}
