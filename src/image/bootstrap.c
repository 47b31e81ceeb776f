/* src/image/bootstrap.c - `template build`: a Debian system by mmdebstrap, as one layer.
 *
 * mmdebstrap writes a tar to us as it goes, into a file without a name below .tmp/ of the store;
 * the layer is packed from that. Nothing but the layer is left behind. Packages come from where
 * this host gets its own (asked of apt itself), checked by the keys this host trusts.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "image/build-priv.h"
#include "image/store-priv.h"
#include "image/tool.h"

#define PACKAGES_MAX 512
#define ARGS_MAX     64
#define SOURCES_MAX  32
#define LAST_MAX     400

static const struct {
    const char *system, *version, *suite;
} versions[] = {
    { "debian", "10", "buster" },   { "debian", "11", "bullseye" }, { "debian", "12", "bookworm" },
    { "debian", "13", "trixie" },   { "debian", "14", "forky" },    { "ubuntu", "20.04", "focal" },
    { "ubuntu", "22.04", "jammy" }, { "ubuntu", "24.04", "noble" },
};

static const char *const variants[] = { "minbase", "apt",       "essential", "required",
                                        "buildd",  "important", "standard",  "debootstrap" };

struct build {
    const struct xeno_build_opts *o;
    char system[16], suite[32];
    char host_suite[32];        /* of this machine, when it runs the same system; "" else */
    char *sources[SOURCES_MAX]; /* "deb ..." lines; owned */
    size_t source_count;
    char *packages; /* joined by commas; owned; NULL: none */
    int tar;        /* what mmdebstrap wrote */
    struct xeno_progress_at at;
    struct xeno_buf text; /* what a short tool printed */
    char why[LAST_MAX];   /* the first line that told of an error, else the last line */
    bool told;            /* it is one that told */
};

static bool word_ok(const char *s, const char *also, size_t max)
{
    size_t len = strlen(s);

    if (len == 0 || len > max || !isalnum((unsigned char)s[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(also, s[i]))
            return false;
    return true;
}

/* VERSION_CODENAME of this machine when its ID is `system`. */
static void host_suite(struct build *b)
{
    xeno_autofree char *text = NULL;
    char id[32] = "", *rest = NULL;
    size_t len;

    if (xeno_file_read(AT_FDCWD, "/usr/lib/os-release", 65536, &text, &len, NULL) < 0)
        return;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        (void)sscanf(line, "ID=%31[a-z]", id);
        (void)sscanf(line, "VERSION_CODENAME=%31[a-z]", b->host_suite);
    }
    if (strcmp(id, b->system) != 0)
        b->host_suite[0] = '\0';
}

static int parse_from(struct build *b, struct xeno_err *err)
{
    const char *from = b->o->from, *colon = strchr(from, ':');
    size_t len = colon ? (size_t)(colon - from) : strlen(from);

    if (len >= sizeof(b->system) ||
        (strncmp(from, "debian", len) != 0 && strncmp(from, "ubuntu", len) != 0) || len != 6)
        return xeno_fail(err, -EINVAL, "build.from",
                         "'%.80s' is not a system known here: debian:SUITE or ubuntu:SUITE, as in "
                         "debian:bookworm",
                         from);
    snprintf(b->system, sizeof(b->system), "%.6s", from);
    host_suite(b);
    if (!colon) {
        if (b->host_suite[0] == '\0')
            return xeno_fail(err, -EINVAL, "build.from", "which %s? as in debian:bookworm", from);
        snprintf(b->suite, sizeof(b->suite), "%s", b->host_suite);
        return 0;
    }
    for (size_t i = 0; i < XENO_LEN(versions); i++)
        if (strcmp(versions[i].system, b->system) == 0 &&
            strcmp(versions[i].version, colon + 1) == 0)
            colon = versions[i].suite - 1;
    if (!word_ok(colon + 1, "-", sizeof(b->suite) - 1))
        return xeno_fail(err, -EINVAL, "build.from", "'%.80s' is not the name of a suite",
                         colon + 1);
    snprintf(b->suite, sizeof(b->suite), "%s", colon + 1);
    return 0;
}

static int check_packages(struct build *b, struct xeno_err *err)
{
    xeno_autobuf list = XENO_BUF_INIT;
    size_t n = 0;

    for (const char *const *p = b->o->include; p && *p; p++) {
        if (!word_ok(*p, "+-.:=~/_", 200))
            return xeno_fail(err, -EINVAL, "build.package", "'%.80s' is not the name of a package",
                             *p);
        if (++n > PACKAGES_MAX)
            return xeno_fail(err, -E2BIG, "build.package", "more than %d packages", PACKAGES_MAX);
        xeno_buf_printf(&list, "%s%s", n > 1 ? "," : "", *p);
    }
    if (n > 0)
        b->packages = xeno_buf_take(&list, NULL);
    return 0;
}

static int check_variant(const char *variant, struct xeno_err *err)
{
    for (size_t i = 0; variant && i < XENO_LEN(variants); i++)
        if (strcmp(variant, variants[i]) == 0)
            return 0;
    return variant ? xeno_fail(err, -EINVAL, "build.variant",
                               "'%.40s' is not one of minbase, apt, essential, required, buildd, "
                               "important, standard, debootstrap",
                               variant)
                   : 0;
}

/* --- where packages come from --- */

static int keep_text(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct build *b = arg;

    if (!xeno_buf_add(&b->text, data, len))
        return xeno_fail(err, -EFBIG, "build.failed", "too much text");
    return 0;
}

static int keep_quiet(void *arg, const char *line, struct xeno_err *err)
{
    (void)arg;
    (void)line;
    (void)err;
    return 0;
}

static void add_source(struct build *b, char *line)
{
    for (size_t i = 0; i < b->source_count; i++) {
        if (strcmp(b->sources[i], line) == 0) {
            free(line);
            return;
        }
    }
    if (b->source_count < SOURCES_MAX)
        b->sources[b->source_count++] = line;
    else
        free(line);
}

/* "Debian|bookworm-security|http://.../|main": a source of ours for the suite asked for, the host's
 * suite replaced in it. */
static void host_source(struct build *b, char *line)
{
    char *field[4], *rest = line;
    size_t len = strlen(b->host_suite);

    for (int i = 0; i < 4; i++) {
        field[i] = strsep(&rest, "|");
        if (!field[i])
            return;
    }
    if (strcasecmp(field[0], b->system) != 0 || strncmp(field[1], b->host_suite, len) != 0 ||
        (field[1][len] != '\0' && field[1][len] != '-') || strchr(field[2], ' ') ||
        !word_ok(field[3], "-/", 60))
        return;
    if (strcmp(b->suite, b->host_suite) != 0 && strcmp(field[3], "main") != 0)
        return; /* other suites may lack the other components */
    add_source(b, xeno_asprintf("deb %s %s%s %s", field[2], b->suite, field[1] + len, field[3]));
}

/* Rolling suites have no -updates beside them: left to mmdebstrap's own default. */
static bool has_pockets(const char *suite)
{
    static const char *const rolling[] = { "sid", "unstable", "testing", "experimental" };

    for (size_t i = 0; i < XENO_LEN(rolling); i++)
        if (strcmp(suite, rolling[i]) == 0)
            return false;
    return true;
}

static int find_sources(struct build *b, struct xeno_err *err)
{
    static const char *const argv[] = { "apt-get",
                                        "indextargets",
                                        "--format",
                                        "$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)",
                                        "Created-By: Packages",
                                        NULL };
    struct xeno_tool tool = { .argv = argv, .data = keep_text, .line = keep_quiet, .arg = b };
    char *rest = NULL;

    for (const char *const *s = b->o->sources; s && *s; s++) {
        if (strncmp(*s, "deb ", 4) != 0 && strncmp(*s, "http", 4) != 0 && (*s)[0] != '/')
            return xeno_fail(err, -EINVAL, "build.from",
                             "'%.80s' is neither an apt source line, an URL nor a file", *s);
        add_source(b, xeno_strdup(*s));
    }
    if (b->source_count > 0 || b->host_suite[0] == '\0' || !has_pockets(b->suite))
        return 0;
    b->text.max = 65536;
    if (xeno_tool_run(&tool, NULL) < 0 || !b->text.data)
        return 0; /* no apt here, never updated, or odd: mmdebstrap knows a mirror */
    for (char *line = strtok_r(b->text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        host_source(b, line);
    return 0;
}

/* --- running --- */

static int on_data(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct build *b = arg;
    int r = xeno_write_all(b->tar, data, len);

    if (r < 0)
        return xeno_fail_errno(err, r, "image.write", "write the new system below .tmp/");
    b->at.done_bytes += (int64_t)len;
    b->at.text = NULL;
    return xeno_progress_tell(b->o->progress, &b->at, err);
}

static int on_line(void *arg, const char *line, struct xeno_err *err)
{
    struct build *b = arg;
    bool tells = strncmp(line, "E: ", 3) == 0;

    if (!b->told) /* what follows the first only says that this or that failed */
        snprintf(b->why, sizeof(b->why), "%.399s", tells ? line + 3 : line);
    b->told |= tells;
    b->at.text = line;
    return xeno_progress_tell(b->o->progress, &b->at, err);
}

static int run(struct build *b, struct xeno_err *err)
{
    xeno_autofree char *include = NULL, *arch = NULL, *variant = NULL, *epoch = NULL;
    const char *argv[ARGS_MAX] = { "mmdebstrap", "--format=tar", "--skip=output/dev" };
    const char *env[2] = { NULL, NULL };
    struct xeno_tool tool = {
        .argv = argv, .env = env, .data = on_data, .line = on_line, .arg = b
    };
    size_t n = 3;
    int r;

    argv[n++] = variant = xeno_asprintf("--variant=%s", b->o->variant ? b->o->variant : "minbase");
    if (b->packages)
        argv[n++] = include = xeno_asprintf("--include=%s", b->packages);
    if (b->o->defaults.arch)
        argv[n++] = arch = xeno_asprintf("--architectures=%s", b->o->defaults.arch);
    argv[n++] = b->suite;
    argv[n++] = "-";
    for (size_t i = 0; i < b->source_count; i++)
        argv[n++] = b->sources[i];
    if (b->o->epoch_s > 0)
        env[0] = epoch = xeno_asprintf("SOURCE_DATE_EPOCH=%lld", (long long)b->o->epoch_s);
    b->at.phase = "build";
    r = xeno_tool_run(&tool, err);
    if (r == -EIO && b->why[0] != '\0')
        return xeno_fail(err, r, "build.failed", "mmdebstrap: %s", b->why);
    return r;
}

/* "debian-bookworm-apache2": letters and digits of system, suite and packages, joined by "-". */
static char *make_name(const struct build *b)
{
    xeno_autofree char *all =
        xeno_asprintf("%s-%s-%s", b->system, b->suite, b->packages ? b->packages : "");
    char *name = xeno_alloc0(1, XENO_IMAGE_NAME_MAX + 1);
    size_t n = 0;

    for (const char *p = all; *p != '\0' && n < XENO_IMAGE_NAME_MAX; p++) {
        if (isalnum((unsigned char)*p))
            name[n++] = *p;
        else if (n > 0 && name[n - 1] != '-')
            name[n++] = '-';
    }
    while (n > 0 && name[n - 1] == '-')
        name[--n] = '\0';
    return name;
}

static int open_tar(struct build *b, struct xeno_store *st, struct xeno_err *err)
{
    int r = xeno_mkdirs(st->dirfd, XENO_STORE_TMP, 0700, err);

    if (r < 0)
        return r;
    b->tar = openat(st->dirfd, XENO_STORE_TMP, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return b->tar >= 0 ? 0
                       : xeno_fail_errno(err, -errno, "image.write", "make a file in '%s/%s'",
                                         st->path, XENO_STORE_TMP);
}

static int pack(struct build *b, struct xeno_store *st, struct xeno_layer *ret,
                struct xeno_err *err)
{
    enum xeno_compression c = b->o->compression_set ? b->o->compression : XENO_COMPRESS_ZSTD;
    struct xeno_layer tar = { .size_bytes = -1 };

    if (lseek(b->tar, 0, SEEK_SET) < 0)
        return xeno_fail_errno(err, -errno, "image.read", "read the new system");
    return c == XENO_COMPRESS_ZSTD
               ? xeno_layer_repack(st, b->tar, &tar, NULL, b->o->progress, ret, err)
               : xeno_layer_convert(st, b->tar, &tar, c, NULL, b->o->progress, ret, err);
}

static int build(struct build *b, struct xeno_store *st, struct xeno_made *made,
                 struct xeno_err *err)
{
    xeno_autofree char *name = NULL;
    struct xeno_layer layer;
    int r = parse_from(b, err);

    if (r >= 0)
        r = check_packages(b, err);
    if (r >= 0)
        r = check_variant(b->o->variant, err);
    if (r >= 0 && b->o->defaults.arch && !word_ok(b->o->defaults.arch, "", 20))
        r = xeno_fail(err, -EINVAL, "image.arch", "'%.40s' is not the name of a machine",
                      b->o->defaults.arch);
    if (r < 0)
        return r;
    name = b->o->name ? xeno_strdup(b->o->name) : make_name(b);
    r = xeno_name_check(name, err);
    if (r >= 0)
        r = find_sources(b, err);
    if (r >= 0)
        r = open_tar(b, st, err);
    if (r >= 0)
        r = run(b, err);
    if (r >= 0)
        r = pack(b, st, &layer, err);
    if (r >= 0)
        r = xeno_layer_check(st, &layer, NULL, b->o->progress, made, err);
    if (r >= 0)
        r = xeno_image_finish(st, &layer, XENO_IMAGE_TEMPLATE, &b->o->defaults, true, NULL, name,
                              made, err);
    return r;
}

int xeno_template_build(struct xeno_store *st, const struct xeno_build_opts *opts,
                        struct xeno_made *ret, struct xeno_err *err)
{
    struct xeno_made made = { .layers = 0 };
    struct build b = { .o = opts, .tar = -1 };
    int r = xeno_store_hold(st, err);

    if (r < 0)
        return r;
    r = build(&b, st, &made, err);
    if (b.tar >= 0)
        close(b.tar);
    xeno_store_drop(st);
    for (size_t i = 0; i < b.source_count; i++)
        free(b.sources[i]);
    free(b.packages);
    xeno_buf_release(&b.text);
    if (r < 0)
        return xeno_context(err, r, "build '%.80s'", opts->from);
    *ret = made;
    return 0;
}
