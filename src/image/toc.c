/* src/image/toc.c - a table of contents in memory, and its JSON. */
#include "image/toc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/base64.h"
#include "image/toc-priv.h"
#include "json/json.h"

static const char *const type_names[] = {
    [XENO_TAR_FILE] = "reg",          [XENO_TAR_DIR] = "dir",   [XENO_TAR_SYMLINK] = "symlink",
    [XENO_TAR_HARDLINK] = "hardlink", [XENO_TAR_FIFO] = "fifo",
};

const char *xeno_toc_type_name(enum xeno_tar_type type)
{
    return type < XENO_LEN(type_names) ? type_names[type] : NULL;
}

struct xeno_toc *xeno_toc_new(void)
{
    return xeno_new0(struct xeno_toc);
}

void xeno_toc_file_release(struct xeno_toc_file *f)
{
    for (size_t i = 0; i < f->xattr_count; i++) {
        free((char *)(uintptr_t)f->xattrs[i].name);
        free((void *)(uintptr_t)f->xattrs[i].value);
    }
    free(f->xattrs);
    free(f->name);
    free(f->link);
}

void xeno_toc_free(struct xeno_toc *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        xeno_toc_file_release(&t->files[i]);
    free(t->files);
    free(t->chunks);
    free(t);
}

/* Room for one more in an array that doubles. */
#define ROOM(array, count)                                                                         \
    do {                                                                                           \
        if (((count) & ((count)-1)) == 0)                                                          \
            (array) = xeno_grow((array), (count) == 0 ? 1 : (count)*2);                            \
    } while (0)

void xeno_toc_push(struct xeno_toc *t, const struct xeno_toc_file *f)
{
    ROOM(t->files, t->count);
    t->files[t->count] = *f;
    t->files[t->count].chunk = t->chunk_count;
    t->files[t->count++].chunk_count = 0;
}

static bool sayable(const struct xeno_tar_entry *e)
{
    bool yes = xeno_json_utf8_ok(e->name) && xeno_json_utf8_ok(e->link);

    for (size_t i = 0; i < e->xattr_count; i++)
        yes = yes && xeno_json_utf8_ok(e->xattrs[i].name);
    return yes;
}

/* A tar names a folder with a slash at the end, and the table says what the tar says. */
static bool folder_slash(const struct xeno_tar_entry *e)
{
    return e->type == XENO_TAR_DIR && e->name[strlen(e->name) - 1] != '/';
}

bool xeno_toc_add(struct xeno_toc *t, const struct xeno_tar_entry *e)
{
    struct xeno_toc_file f = {
        .type = e->type,
        .mode = e->mode,
        .uid = e->uid,
        .gid = e->gid,
        .size_bytes = e->type == XENO_TAR_FILE ? e->size_bytes : 0,
        .mtime = e->mtime,
    };

    if (!sayable(e))
        return false;
    f.name = folder_slash(e) ? xeno_asprintf("%s/", e->name) : xeno_strdup(e->name);
    f.link = xeno_strdup(e->link ? e->link : "");
    f.xattrs = e->xattr_count > 0 ? xeno_new0_n(struct xeno_tar_xattr, e->xattr_count) : NULL;
    f.xattr_count = e->xattr_count;
    for (size_t i = 0; i < e->xattr_count; i++) {
        f.xattrs[i].name = xeno_strdup(e->xattrs[i].name);
        f.xattrs[i].value = xeno_memdup(e->xattrs[i].value, e->xattrs[i].len);
        f.xattrs[i].len = e->xattrs[i].len;
    }
    xeno_toc_push(t, &f);
    return true;
}

void xeno_toc_add_chunk(struct xeno_toc *t, const struct xeno_toc_chunk *c)
{
    ROOM(t->chunks, t->chunk_count);
    t->chunks[t->chunk_count++] = *c;
    t->files[t->count - 1].chunk_count++;
}

void xeno_toc_set_sha(struct xeno_toc *t, const uint8_t sha[32])
{
    memcpy(t->files[t->count - 1].sha, sha, 32);
}

/* --- JSON --- */

static void set_digest(struct xeno_json *j, const char *key, const uint8_t sha[32])
{
    char text[XENO_DIGEST_TEXT];

    xeno_digest_text(sha, text);
    xeno_json_set_str(j, key, text);
}

/* RFC 3339 with as many digits as it takes, as Go writes it. */
static void set_time(struct xeno_json *j, const struct timespec *ts)
{
    char text[64], part[16] = "";
    struct tm tm;

    if (!gmtime_r(&ts->tv_sec, &tm) || tm.tm_year < -1899 || tm.tm_year > 8099)
        return; /* no year of four digits: not said, so 1970 */
    if (ts->tv_nsec > 0) {
        int end = snprintf(part, sizeof(part), ".%09ld", ts->tv_nsec);

        while (part[end - 1] == '0')
            part[--end] = '\0';
    }
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, part);
    xeno_json_set_str(j, "modtime", text);
}

static void set_xattrs(struct xeno_json *j, const struct xeno_toc_file *f)
{
    struct xeno_json *all;

    if (f->xattr_count == 0)
        return;
    all = xeno_json_object();
    for (size_t i = 0; i < f->xattr_count; i++) {
        xeno_autofree char *text = xeno_base64(f->xattrs[i].value, f->xattrs[i].len);

        xeno_json_set_str(all, f->xattrs[i].name, text);
    }
    xeno_json_set(j, "xattrs", all);
}

static void set_nonzero(struct xeno_json *j, const char *key, int64_t n)
{
    if (n != 0)
        xeno_json_set_int(j, key, n);
}

static void set_chunk(struct xeno_json *j, const struct xeno_toc_chunk *c)
{
    set_nonzero(j, "chunkOffset", c->file_offset);
    xeno_json_set_int(j, "chunkSize", c->size_bytes);
    set_digest(j, "chunkDigest", c->sha);
    if (c->zeros)
        xeno_json_set_str(j, "chunkType", "zeros");
}

static struct xeno_json *file_json(const struct xeno_toc *t, const struct xeno_toc_file *f)
{
    const struct xeno_toc_chunk *c = t->chunks ? &t->chunks[f->chunk] : NULL;
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "type", xeno_toc_type_name(f->type));
    xeno_json_set_str(j, "name", f->name);
    if (f->link[0] != '\0')
        xeno_json_set_str(j, "linkName", f->link);
    set_nonzero(j, "mode", f->mode);
    set_nonzero(j, "size", f->size_bytes);
    set_nonzero(j, "uid", f->uid);
    set_nonzero(j, "gid", f->gid);
    set_time(j, &f->mtime);
    set_xattrs(j, f);
    if (f->chunk_count == 0)
        return j;
    set_digest(j, "digest", f->sha);
    xeno_json_set_int(j, "offset", c->blob_offset);
    c += f->chunk_count - 1;
    xeno_json_set_int(j, "endOffset", c->blob_offset + c->blob_bytes);
    if (f->chunk_count > 1)
        set_chunk(j, &t->chunks[f->chunk]);
    return j;
}

char *xeno_toc_format(const struct xeno_toc *t, size_t *ret_len)
{
    xeno_auto(xeno_json) top = xeno_json_object();
    struct xeno_json *entries = xeno_json_array();

    xeno_json_set_int(top, "version", 1);
    for (size_t i = 0; i < t->count; i++) {
        const struct xeno_toc_file *f = &t->files[i];

        xeno_json_append(entries, file_json(t, f));
        for (size_t k = 1; k < f->chunk_count; k++) {
            struct xeno_json *j = xeno_json_object();

            xeno_json_set_str(j, "type", "chunk");
            xeno_json_set_str(j, "name", f->name);
            xeno_json_set_int(j, "offset", t->chunks[f->chunk + k].blob_offset);
            set_chunk(j, &t->chunks[f->chunk + k]);
            xeno_json_append(entries, j);
        }
    }
    xeno_json_set(top, "entries", entries);
    return xeno_json_format(top, false, ret_len);
}
