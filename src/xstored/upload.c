/* src/xstored/upload.c - the list of open uploads. */
#include "xstored/upload.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/enc.h"
#include "base/log.h"
#include "xstored/job.h"

#define DROP_BYTES (16 << 20) /* what is longer is removed by a helper */

static struct xstored_use *use_of(struct xstored *d, const char *owner)
{
    struct xstored_use *use;

    HASH_FIND_STR(d->uses, owner, use);
    if (!use) {
        use = xeno_new0(struct xstored_use);
        memcpy(use->owner, owner, strnlen(owner, XENO_ID_CHARS));
        HASH_ADD_STR(d->uses, owner, use);
    }
    return use;
}

static struct xstored_upload *add(struct xstored *d, const char *id, const char *repo,
                                  int64_t touched_ms)
{
    struct xstored_upload *u = xeno_new0(struct xstored_upload);

    memcpy(u->id, id, strnlen(id, XSTORED_STAGE_CHARS));
    u->repo = xeno_strdup(repo);
    u->use = use_of(d, xstored_name_owner(repo).s);
    u->use->uploads++;
    u->touched_ms = touched_ms;
    HASH_ADD_STR(d->uploads, id, u);
    return u;
}

int xstored_upload_new(struct xstored *d, const char *repo, struct xstored_upload **ret,
                       struct xeno_err *err)
{
    struct xstored_use *use;
    uint8_t raw[XSTORED_STAGE_CHARS / 2];
    char id[XSTORED_STAGE_CHARS + 1];

    HASH_FIND_STR(d->uses, xstored_name_owner(repo).s, use);
    if (use && use->uploads >= d->opt.uploads_per_owner)
        return xeno_fail(err, -EUSERS, "store.uploads",
                         "you have %" PRId64 " uploads open, which is the limit: finish or delete "
                         "one",
                         use->uploads);
    xeno_random(d->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, id);
    *ret = add(d, id, repo, xstored_now_ms(d));
    (*ret)->busy = true;
    (*ret)->sha = xeno_sha256_new();
    return 0;
}

int xstored_upload_take(struct xstored *d, const char *repo, const char *id,
                        struct xstored_upload **ret, struct xeno_err *err)
{
    struct xstored_upload *u = NULL;

    if (strlen(id) == XSTORED_STAGE_CHARS)
        HASH_FIND_STR(d->uploads, id, u);
    if (!u || strcmp(u->repo, repo) != 0)
        return xeno_fail(err, -ENOENT, "store.upload",
                         "there is no upload %.40s to %.255s: it may have been finished or have "
                         "been idle for too long",
                         id, repo);
    if (u->busy)
        return xeno_fail(err, -EBUSY, "store.upload_busy",
                         "another request adds to upload %.40s at this moment", id);
    u->busy = true;
    *ret = u;
    return 0;
}

void xstored_upload_release(struct xstored *d, struct xstored_upload *u)
{
    u->busy = false;
    u->touched_ms = xstored_now_ms(d);
}

void xstored_upload_grew(struct xstored_upload *u, size_t bytes)
{
    u->size += (int64_t)bytes;
    u->use->bytes += (int64_t)bytes;
}

void xstored_upload_forget(struct xstored *d, struct xstored_upload *u)
{
    struct xstored_use *use = u->use;

    HASH_DEL(d->uploads, u);
    use->bytes -= u->size;
    if (--use->uploads == 0) {
        HASH_DEL(d->uses, use);
        free(use);
    }
    xeno_sha256_free(u->sha);
    free(u->repo);
    free(u);
}

int xstored_upload_keep(struct xstored *d, struct xstored_upload *u, struct xeno_err *err)
{
    int r = d->objects->back->stage_note(d->objects, u->id, u->repo, err);

    u->kept = r == 0;
    return r;
}

static int drop_stage(struct job *j, struct xeno_err *err)
{
    (void)err;
    j->d->objects->back->stage_drop(j->d->objects, j->args);
    return 0;
}

static void finish_drop(struct job *j)
{
    if (j->item.result < 0) /* there was no room to queue it */
        (void)drop_stage(j, NULL);
}

/* Removing a large file takes its time. */
void xstored_upload_drop(struct xstored *d, struct xstored_upload *u)
{
    struct job *j;

    if (u->size <= DROP_BYTES) {
        d->objects->back->stage_drop(d->objects, u->id);
    } else {
        j = job_new(d, NULL, NULL, xeno_strdup(u->id), free);
        j->prepare = drop_stage;
        j->finish = finish_drop;
        job_submit(j);
    }
    xstored_upload_forget(d, u);
}

void xstored_uploads_expire(struct xstored *d)
{
    int64_t before = xstored_now_ms(d) - d->opt.upload_life.ns / XENO_NS_PER_MS;
    struct xstored_upload *u, *next;

    HASH_ITER (hh, d->uploads, u, next) {
        if (u->busy || u->touched_ms > before)
            continue;
        xeno_log(LOG_INFO, "upload.expired", "upload=%s repository=%s bytes=%" PRId64, u->id,
                 u->repo, u->size);
        d->counts.expired++;
        xstored_upload_drop(d, u);
    }
}

/* --- start and end --- */

static void load(const char *id, const char *note, void *arg)
{
    struct xstored *d = arg;
    struct xstored_upload *u;
    int fd;

    if (!note || xstored_name_check(note, NULL) < 0) {
        d->objects->back->stage_drop(d->objects, id);
        return;
    }
    u = add(d, id, note, xstored_now_ms(d));
    u->kept = true;
    if (d->objects->back->stage_open(d->objects, id, &fd, &u->size, NULL) == 0)
        close(fd);
    u->use->bytes += u->size;
}

int xstored_uploads_load(struct xstored *d, struct xeno_err *err)
{
    return d->objects->back->stages(d->objects, load, d, err);
}

void xstored_uploads_release(struct xstored *d)
{
    struct xstored_upload *u, *next;

    HASH_ITER (hh, d->uploads, u, next)
        xstored_upload_forget(d, u);
}
