/* src/image/push-priv.h - what the parts of a push share. */
#ifndef XENO_IMAGE_PUSH_PRIV_H
#define XENO_IMAGE_PUSH_PRIV_H

#include <systemd/sd-event.h>

#include "image/push.h"
#include "image/registry-priv.h"

#define BLOBS_MAX (XENO_LAYERS_MAX + 1)

/* push-upload.c has the diagram. */
enum state { HEAD, OPEN, WHOLE, SEND, ASK, CLOSE, SEEK };

struct upload {
    struct push *p;
    char digest[XENO_DIGEST_TEXT];
    int64_t size;
    int fd;
    enum state state;
    struct ask *ask;
    sd_event_source *pause;
    char *location; /* where the upload goes on: a path */
    int64_t at;     /* bytes the registry has */
    int64_t end;    /* of the piece that is being sent */
    int64_t shown;  /* bytes of it that progress was told of */
    unsigned troubles;
    unsigned restarts; /* how often it was begun anew */
};

struct push {
    struct xeno_store *st;
    const struct xeno_push_opts *o;
    struct xeno_registry *r;
    struct xeno_pushed *ret;
    int64_t chunk, done_bytes, total_bytes;
    size_t count, next, running;
    bool over;
    struct xeno_err err;
    struct upload blobs[BLOBS_MAX];
};

/* push-upload.c: begin, or go on. */
void upload_step(struct upload *u);
/* Drop what is under way. */
void upload_release(struct upload *u);

/* push.c: `bytes` of it are there; it is all there; it cannot be. */
void upload_show(struct upload *u, int64_t bytes);
void upload_over(struct upload *u);
void upload_failed(struct upload *u, const struct xeno_err *err);

#endif
