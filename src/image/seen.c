/* src/image/seen.c - what was last seen of each signed name. */
#include "image/seen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define FILE_END  "@seen"
#define PROOF_END "@proof"
#define FILE_NAME (XENO_ID_CHARS + 2 * XENO_NAME_WORD + 8)
#define FILE_MAX  (XENO_SEEN_KEPT * (XENO_NAME_MAX + 1))
#define LOCK_MS   10000

struct xeno_seen {
    char *path;
    int dirfd; /* -1: there is none */
};

/* A name's file. */
struct memory {
    size_t count;
    struct xeno_name n[XENO_SEEN_KEPT]; /* the last first */
    char *text[XENO_SEEN_KEPT];         /* owned */
};

static void memory_release(struct memory *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->text[i]);
}
#define automemory __attribute__((cleanup(memory_release))) struct memory

/* --- the folder --- */

static int make_folder(const char *path, struct xeno_err *err)
{
    xeno_autofree char *parent = xeno_strdup(path);
    xeno_autoclose int fd = -1;
    char *slash = strrchr(parent, '/');

    if (mkdir(path, 0755) < 0)
        return errno == EEXIST ? 0
                               : xeno_fail_errno(err, -errno, "io.mkdir", "make folder '%s'", path);
    if (slash)
        slash[slash == parent] = '\0';
    fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return xeno_fail_errno(err, -errno, "io.mkdir", "sync the folder of '%s'", path);
    return 0;
}

int xeno_seen_open(const char *path, bool write, struct xeno_seen **ret, struct xeno_err *err)
{
    xeno_auto(xeno_seen) s = xeno_new0(struct xeno_seen);
    int r = write ? make_folder(path, err) : 0;

    s->dirfd = -1;
    if (r < 0)
        return r;
    s->path = xeno_strdup(path);
    s->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dirfd < 0 && (write || errno != ENOENT))
        return xeno_fail_errno(err, -errno, "name.memory", "open '%s'", path);
    *ret = xeno_take(&s);
    return 0;
}

void xeno_seen_free(struct xeno_seen *s)
{
    if (!s)
        return;
    if (s->dirfd >= 0)
        close(s->dirfd);
    free(s->path);
    free(s);
}

static int lock(struct xeno_seen *s, int *ret_fd, struct xeno_err *err)
{
    int r;

    *ret_fd = openat(s->dirfd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = *ret_fd < 0 ? -errno : xeno_lock(*ret_fd, LOCK_MS);
    return r < 0 ? xeno_fail_errno(err, r, "name.memory", "lock '%s'", s->path) : 0;
}

/* --- one file --- */

static void file_name(char out[FILE_NAME], const struct xeno_id *publisher, const char *name,
                      const char *version, const char *end)
{
    snprintf(out, FILE_NAME, "%s@%s@%s%s", publisher->s, name, version, end);
}

static bool same_name(const struct xeno_name *a, const struct xeno_name *b)
{
    return strcmp(a->publisher.s, b->publisher.s) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->version, b->version) == 0;
}

static int read_line(struct memory *m, const char *line, size_t len, struct xeno_err *err)
{
    int r;

    if (m->count == XENO_SEEN_KEPT)
        return xeno_fail(err, -EBADMSG, "name.memory", "more than %d statements", XENO_SEEN_KEPT);
    r = xeno_name_read(line, len, &m->n[m->count], err);
    if (r == 0 && m->count > 0 && !same_name(&m->n[0], &m->n[m->count]))
        r = xeno_fail(err, -EBADMSG, "name.memory", "statements about two names");
    if (r == 0)
        m->text[m->count++] = xeno_strndup(line, len);
    return r;
}

/* -ENOENT without filling err: nothing was seen. */
static int read_file(struct xeno_seen *s, const char *file, struct memory *m, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    xeno_autofree char *text = NULL;
    char again[FILE_NAME];
    size_t len = 0;
    int r = s->dirfd < 0 ? -ENOENT : xeno_file_read(s->dirfd, file, FILE_MAX, &text, &len, &why);

    if (r == -ENOENT)
        return r;
    for (const char *at = text; r == 0 && *at;) {
        size_t line = strcspn(at, "\n");

        r = read_line(m, at, line, &why);
        at += line + (at[line] == '\n');
    }
    if (r == 0 && m->count > 0)
        file_name(again, &m->n[0].publisher, m->n[0].name, m->n[0].version, FILE_END);
    if (r == 0 && (m->count == 0 || strcmp(file, again) != 0))
        r = xeno_fail(&why, -EBADMSG, "name.memory", "it is not about that name");
    if (r < 0)
        return xeno_fail(err, -EBADMSG, "name.memory",
                         "what was seen of a name, in '%s/%s', cannot be read: %s", s->path, file,
                         why.text);
    return 0;
}

/* The new one first; then those before it, but for one that named the same image. */
static int write_file(struct xeno_seen *s, const char *file, const struct xeno_name *n,
                      const char *text, const struct memory *m, struct xeno_err *err)
{
    bool again = m->count > 0 && strcmp(m->n[0].digest, n->digest) == 0;
    xeno_autofree char *all = xeno_asprintf("%s\n", text);

    for (size_t i = again, kept = 1; i < m->count && kept < XENO_SEEN_KEPT; i++, kept++) {
        char *more = xeno_asprintf("%s%s\n", all, m->text[i]);

        free(all);
        all = more;
    }
    return xeno_file_write(s->dirfd, file, 0644, all, strlen(all), err);
}

/* --- what is shown beside what was seen --- */

static int contradiction(struct xeno_seen *s, const struct xeno_name *seen, const char *seen_text,
                         const struct xeno_name *n, const char *text, struct xeno_err *err)
{
    xeno_autofree char *both = xeno_asprintf("%s\n%s\n", seen_text, text);
    char file[FILE_NAME];
    int r;

    file_name(file, &n->publisher, n->name, n->version, PROOF_END);
    r = xeno_file_write(s->dirfd, file, 0644, both, strlen(both), err);
    if (r < 0)
        return r;
    return xeno_fail(err, -EPERM, "name.contradiction",
                     "%s signed two statements about '%s/%s' that no honest publisher signs both, "
                     "number %" PRId64 " for %.19s and number %" PRId64
                     " for %.19s; they are kept in '%s/%s'",
                     n->publisher.s, n->name, n->version, seen->sequence, seen->digest, n->sequence,
                     n->digest, s->path, file);
}

static int take(struct xeno_seen *s, const char *file, const struct xeno_name *n, const char *text,
                struct xeno_err *err)
{
    automemory m = { .count = 0 };
    int r = read_file(s, file, &m, err);

    if (r < 0 && r != -ENOENT)
        return r;
    for (size_t i = 0; i < m.count; i++)
        if (xeno_name_compare(&m.n[i], n) == XENO_NAME_CONTRADICTS)
            return contradiction(s, &m.n[i], m.text[i], n, text, err);
    if (m.count > 0 && n->sequence == m.n[0].sequence)
        return 0;
    if (m.count > 0 && n->sequence < m.n[0].sequence)
        return xeno_fail(err, -EPERM, "name.rollback",
                         "statement %" PRId64 " about '%s/%s' was replaced by %" PRId64
                         ", which was seen before: an old one was put back",
                         n->sequence, n->name, n->version, m.n[0].sequence);
    return write_file(s, file, n, text, &m, err);
}

int xeno_seen_take(struct xeno_seen *s, const struct xeno_name *n, const char *text,
                   struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    char file[FILE_NAME];
    int r = lock(s, &fd, err);

    file_name(file, &n->publisher, n->name, n->version, FILE_END);
    return r < 0 ? r : take(s, file, n, text, err);
}

int xeno_seen_last(struct xeno_seen *s, const struct xeno_id *publisher, const char *name,
                   const char *version, struct xeno_name *ret, char **ret_text,
                   struct xeno_err *err)
{
    automemory m = { .count = 0 };
    char file[FILE_NAME];
    int r;

    file_name(file, publisher, name, version, FILE_END);
    r = read_file(s, file, &m, err);
    if (r == -ENOENT)
        return xeno_fail(err, r, "name.unseen", "nothing was seen of '%s/%s'", name, version);
    if (r < 0)
        return r;
    *ret = m.n[0];
    if (ret_text)
        *ret_text = xeno_strdup(m.text[0]);
    return 0;
}

/* --- all of them --- */

void xeno_seen_list_free(struct xeno_seen_list *list)
{
    if (!list)
        return;
    free(list->items);
    free(list);
}

static void list_file(struct xeno_seen *s, const char *file, struct xeno_seen_list *list)
{
    automemory m = { .count = 0 };

    if (read_file(s, file, &m, NULL) < 0)
        return;
    for (size_t i = 0; i < m.count; i++) {
        list->items = xeno_grow(list->items, list->count + 1);
        list->items[list->count++] = (struct xeno_seen_item){ .n = m.n[i], .last = i == 0 };
    }
}

static int in_order(const void *x, const void *y)
{
    const struct xeno_name *a = &((const struct xeno_seen_item *)x)->n;
    const struct xeno_name *b = &((const struct xeno_seen_item *)y)->n;
    int c = strcmp(a->publisher.s, b->publisher.s);

    c = c ? c : strcmp(a->name, b->name);
    c = c ? c : strcmp(a->version, b->version);
    return c ? c : (a->sequence < b->sequence) - (a->sequence > b->sequence);
}

int xeno_seen_list(struct xeno_seen *s, struct xeno_seen_list **ret, struct xeno_err *err)
{
    xeno_auto(xeno_seen_list) list = xeno_new0(struct xeno_seen_list);
    int fd = s->dirfd < 0 ? -1 : openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!d) {
        if (fd >= 0)
            close(fd);
        if (s->dirfd >= 0)
            return xeno_fail(err, -EIO, "name.memory", "read the folder '%s'", s->path);
        *ret = xeno_take(&list);
        return 0;
    }
    while ((e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name), end = strlen(FILE_END);

        if (len > end && strcmp(e->d_name + len - end, FILE_END) == 0)
            list_file(s, e->d_name, list);
    }
    closedir(d);
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, in_order);
    *ret = xeno_take(&list);
    return 0;
}
