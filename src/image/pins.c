/* src/image/pins.c - who needs which layer, and removing those that nobody does.
 *
 * A pin is written with .../lock held shared, and the collector chooses with it held alone: so a
 * layer that a pin names is either seen as pinned, or is gone before the pin's writer looks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/io.h"
#include "image/cache-priv.h"

#define SESSION_MAX 64
#define PIN_MAX     (XENO_LAYERS_MAX * (XENO_HEX_CHARS + 1))
#define META_MAX    4096

static bool session_ok(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= SESSION_MAX && s[0] != '-' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool pin_is(struct xeno_cache *c, const char *session, const char *data, size_t len)
{
    xeno_autofree char *text = NULL;
    size_t have;

    return xeno_file_read(c->pins, session, PIN_MAX, &text, &have, NULL) == 0 && have == len &&
           memcmp(text, data, len) == 0;
}

/* Appears whole, without waiting for the disk: sessions do not outlive a power cut either. A pin
 * that is there already is left alone: ext4 flushes a file that is renamed over another, 0.8 ms. */
static int pin_write(struct xeno_cache *c, const char *session, const char *data, size_t len,
                     struct xeno_err *err)
{
    xeno_autofree char *tmp = xeno_asprintf(".%s.%ld", session, (long)getpid());
    xeno_autoclose int fd = -1;
    int r;

    if (pin_is(c, session, data, len))
        return 0;
    fd = openat(c->pins, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = fd < 0 ? -errno : xeno_write_all(fd, data, len);
    if (r >= 0 && renameat(c->pins, tmp, c->pins, session) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(c->pins, tmp, 0);
        return xeno_fail_errno(err, r, "cache.io", "pin layers for session '%s'", session);
    }
    return 0;
}

int xeno_cache_pin(struct xeno_cache *c, const char *session, const char *const *digests,
                   size_t count, struct xeno_err *err)
{
    xeno_autobuf text = XENO_BUF_INIT;
    xeno_autoclose int lock = -1;
    int missing = 0, r;

    if (!session_ok(session))
        return xeno_fail(err, -EINVAL, "cache.session", "'%.80s' is not the id of a session",
                         session);
    if (count > XENO_LAYERS_MAX)
        return xeno_fail(err, -E2BIG, "image.layers", "%zu layers; a session may have %d", count,
                         XENO_LAYERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!xeno_digest_ok(digests[i]))
            return xeno_fail(err, -EINVAL, "image.digest", "'%.80s' is not a sha256 digest",
                             digests[i]);
        xeno_buf_printf(&text, "%s\n", xeno_hex_of(digests[i]));
    }
    r = xeno_cache_flock(c->dirfd, "lock", LOCK_SH, &lock, err);
    if (r >= 0)
        r = pin_write(c, session, text.data ? text.data : "", text.len, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        const char *hex = xeno_hex_of(digests[i]);

        if (faccessat(c->layers, hex, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            missing = 1;
        else
            (void)utimensat(c->meta, hex, NULL, 0); /* used now: the last to be removed */
    }
    return missing;
}

int xeno_cache_unpin(struct xeno_cache *c, const char *session, struct xeno_err *err)
{
    if (!session_ok(session))
        return xeno_fail(err, -EINVAL, "cache.session", "'%.80s' is not the id of a session",
                         session);
    if (unlinkat(c->pins, session, 0) < 0 && errno != ENOENT)
        return xeno_fail_errno(err, -errno, "cache.io", "unpin session '%s'", session);
    return 0;
}

static DIR *list_dir(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (!d && fd >= 0)
        close(fd);
    return d;
}

int xeno_cache_pinned(struct xeno_cache *c, char ***ret_sessions, size_t *ret_count,
                      struct xeno_err *err)
{
    DIR *d = list_dir(c->pins);
    char **names = NULL;
    struct dirent *e;
    size_t n = 0;

    if (!d)
        return xeno_fail_errno(err, -errno, "cache.io", "list '%s/pins'", c->path);
    while ((e = readdir(d)) != NULL) {
        if (!session_ok(e->d_name))
            continue;
        names = xeno_grow(names, n + 1);
        names[n++] = xeno_strdup(e->d_name);
    }
    closedir(d);
    *ret_sessions = names;
    *ret_count = n;
    return 0;
}

struct pin {
    char hex[XENO_HEX_CHARS + 1];
    UT_hash_handle hh;
};

struct xeno_pins {
    struct pin *table;
};

void xeno_pins_free(struct xeno_pins *p)
{
    struct pin *pin, *next;

    if (!p)
        return;
    HASH_ITER (hh, p->table, pin, next) {
        HASH_DEL(p->table, pin);
        free(pin);
    }
    free(p);
}

bool xeno_pins_has(const struct xeno_pins *p, const char *hex)
{
    struct pin *pin;

    HASH_FIND_STR(p->table, hex, pin);
    return pin != NULL;
}

static void pins_add(struct xeno_pins *p, char *text)
{
    char *rest = NULL;

    for (char *hex = strtok_r(text, "\n", &rest); hex; hex = strtok_r(NULL, "\n", &rest)) {
        struct pin *pin;

        if (!xeno_hex_ok(hex) || xeno_pins_has(p, hex))
            continue;
        pin = xeno_new0(struct pin);
        memcpy(pin->hex, hex, sizeof(pin->hex));
        HASH_ADD_STR(p->table, hex, pin);
    }
}

int xeno_pins_read(struct xeno_cache *c, struct xeno_pins **ret, struct xeno_err *err)
{
    xeno_auto(xeno_pins) p = xeno_new0(struct xeno_pins);
    char **sessions;
    size_t n;
    int r = xeno_cache_pinned(c, &sessions, &n, err);

    if (r < 0)
        return r;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        xeno_autofree char *text = NULL;
        size_t len;

        r = xeno_file_read(c->pins, sessions[i], PIN_MAX, &text, &len, err);
        if (r >= 0)
            pins_add(p, text);
        else if (r == -ENOENT)
            r = 0; /* unpinned this moment */
    }
    xeno_cache_paths_free(sessions, n);
    if (r < 0)
        return r;
    *ret = xeno_take(&p);
    return 0;
}

int xeno_cache_meta_write(struct xeno_cache *c, const char *hex, const struct xeno_unpacked *u,
                          struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    xeno_autofree char *text = NULL;
    size_t len;

    xeno_json_set_str(doc, "diff_id", u->diff_id);
    xeno_json_set_int(doc, "entries", u->entries);
    xeno_json_set_int(doc, "tar_bytes", u->tar_bytes);
    xeno_json_set_int(doc, "disk_bytes", u->disk_bytes);
    xeno_json_set_bool(doc, "mounts", u->mounts);
    text = xeno_json_format(doc, false, &len);
    return xeno_file_write(c->meta, hex, 0600, text, len, err);
}

/* NULL: there is none. */
static struct xeno_json *read_meta(struct xeno_cache *c, const char *hex)
{
    struct xeno_json *doc = NULL;
    xeno_autofree char *text = NULL;
    size_t len;

    if (xeno_file_read(c->meta, hex, META_MAX, &text, &len, NULL) < 0 ||
        xeno_json_parse(text, len, META_MAX, &doc, NULL) < 0)
        return NULL;
    return doc;
}

int64_t xeno_cache_meta_bytes(struct xeno_cache *c, const char *hex)
{
    xeno_auto(xeno_json) doc = read_meta(c, hex);
    struct xeno_json_at top;
    int64_t bytes = 0;

    if (!doc)
        return 0;
    top = xeno_json_top(doc);
    (void)xeno_json_int(&top, "disk_bytes", 0, INT64_MAX / 4, &bytes, NULL);
    return bytes;
}

int xeno_cache_mounts(struct xeno_cache *c, const char *digest, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    bool mounts = false;

    if (!xeno_digest_ok(digest) ||
        faccessat(c->layers, xeno_hex_of(digest), F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return xeno_fail(err, -ENOENT, "cache.layer", "layer %.80s is not in the cache", digest);
    doc = read_meta(c, xeno_hex_of(digest));
    if (!doc)
        return 0;
    top = xeno_json_top(doc);
    (void)xeno_json_bool_opt(&top, "mounts", &mounts, NULL);
    return mounts;
}

struct candidate {
    char hex[XENO_HEX_CHARS + 1];
    struct timespec used;
    int64_t bytes;
    bool pinned;
};

static int by_use(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

/* All layers, longest unused first. */
static int list_layers(struct xeno_cache *c, const struct xeno_pins *pins, struct candidate **ret,
                       size_t *ret_count, struct xeno_err *err)
{
    DIR *d = list_dir(c->layers);
    struct candidate *list = NULL;
    struct dirent *e;
    size_t n = 0;

    if (!d)
        return xeno_fail_errno(err, -errno, "cache.io", "list '%s/layers'", c->path);
    while ((e = readdir(d)) != NULL) {
        struct stat sb = { .st_mtim = { .tv_sec = 0 } };

        if (!xeno_hex_ok(e->d_name))
            continue;
        list = xeno_grow(list, n + 1);
        (void)fstatat(c->meta, e->d_name, &sb, AT_SYMLINK_NOFOLLOW);
        list[n] = (struct candidate){ .used = sb.st_mtim,
                                      .bytes = xeno_cache_meta_bytes(c, e->d_name),
                                      .pinned = xeno_pins_has(pins, e->d_name) };
        snprintf(list[n].hex, sizeof(list[n].hex), "%.64s", e->d_name);
        n++;
    }
    closedir(d);
    if (n > 0)
        qsort(list, n, sizeof(*list), by_use);
    *ret = list;
    *ret_count = n;
    return 0;
}

/* Under the lock only renames are done; the trees are removed after. */
static int drop_layer(struct xeno_cache *c, const char *hex, struct xeno_err *err)
{
    char gone[80];

    snprintf(gone, sizeof(gone), "%s.gone", hex);
    if (renameat(c->layers, hex, c->work, gone) < 0) {
        /* Left by a collector that was killed: it goes first. */
        int r = xeno_remove_tree(c->work, gone, err);

        if (r < 0)
            return r;
        if (renameat(c->layers, hex, c->work, gone) < 0)
            return xeno_fail_errno(err, -errno, "cache.io", "remove layer '%s'", hex);
    }
    (void)unlinkat(c->meta, hex, 0);
    return 0;
}

/* Pins whose writer was killed halfway. Nobody writes one while the lock is held alone. */
static void drop_half_pins(struct xeno_cache *c)
{
    DIR *d = list_dir(c->pins);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(c->pins, e->d_name, 0);
    if (d)
        closedir(d);
}

static int choose(struct xeno_cache *c, int64_t max_bytes, bool remove_, struct xeno_cache_use *use,
                  struct xeno_err *err)
{
    xeno_autofree struct candidate *list = NULL;
    xeno_auto(xeno_pins) pins = NULL;
    size_t n = 0;
    int r = xeno_pins_read(c, &pins, err);

    if (r >= 0)
        r = list_layers(c, pins, &list, &n, err);
    if (r < 0)
        return r;
    use->layers = n;
    for (size_t i = 0; i < n; i++) {
        use->bytes += list[i].bytes;
        use->pinned += list[i].pinned;
    }
    for (size_t i = 0; remove_ && i < n && (use->bytes > max_bytes || max_bytes == 0); i++) {
        if (list[i].pinned)
            continue;
        r = drop_layer(c, list[i].hex, err);
        if (r < 0)
            return r;
        use->layers--;
        use->removed++;
        use->bytes -= list[i].bytes;
        use->removed_bytes += list[i].bytes;
    }
    return 0;
}

/* Locks of layers that are not there. Nobody holds one, and who waits for it looks again. */
static void drop_locks(struct xeno_cache *c)
{
    DIR *d = list_dir(c->locks);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        xeno_autoclose int lock = -1;

        if (!xeno_hex_ok(e->d_name) || faccessat(c->layers, e->d_name, F_OK, 0) == 0)
            continue;
        if (xeno_cache_flock(c->locks, e->d_name, LOCK_EX | LOCK_NB, &lock, NULL) == 0)
            unlinkat(c->locks, e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* A name in work/ is HEX.tree or HEX.gone; whoever works on it holds the lock of HEX. */
void xeno_cache_tidy(struct xeno_cache *c)
{
    DIR *d = list_dir(c->work);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        char hex[XENO_HEX_CHARS + 1];
        xeno_autoclose int lock = -1;

        snprintf(hex, sizeof(hex), "%.64s", e->d_name);
        if (!xeno_hex_ok(hex) || e->d_name[XENO_HEX_CHARS] != '.')
            continue;
        if (xeno_cache_flock(c->locks, hex, LOCK_EX | LOCK_NB, &lock, NULL) == 0)
            (void)xeno_remove_tree(c->work, e->d_name, NULL);
    }
    if (d)
        closedir(d);
    drop_locks(c);
}

int xeno_cache_collect(struct xeno_cache *c, int64_t max_bytes, struct xeno_cache_use *ret,
                       struct xeno_err *err)
{
    struct xeno_cache_use use = { .layers = 0 };
    xeno_autoclose int lock = -1;
    int r = xeno_cache_flock(c->dirfd, "lock", LOCK_EX, &lock, err);

    if (r >= 0) {
        drop_half_pins(c);
        r = choose(c, max_bytes, true, &use, err);
    }
    if (lock >= 0) {
        close(lock);
        lock = -1;
    }
    xeno_cache_tidy(c);
    if (r < 0)
        return r;
    if (ret)
        *ret = use;
    return 0;
}

int xeno_cache_usage(struct xeno_cache *c, struct xeno_cache_use *ret, struct xeno_err *err)
{
    struct xeno_cache_use use = { .layers = 0 };
    int r = choose(c, 0, false, &use, err);

    if (r >= 0)
        *ret = use;
    return r;
}
