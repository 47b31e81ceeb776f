/* src/image/tests/fake.h - a registry of a test: plain HTTP on a unix socket, answers as told. */
#ifndef XENO_IMAGE_TESTS_FAKE_H
#define XENO_IMAGE_TESTS_FAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "http/client.h"

struct sd_event;
struct sd_event_source;

struct fake_request {
    const char *method, *target; /* "/v2/..." with its query */
    const char *head;            /* all of the header, as it came */
    const char *body;
    size_t body_len;
};

struct fake {
    struct sd_event *loop;
    struct sd_event_source *io;
    struct xeno_http_client *http;
    int fd;
    char base[96]; /* "unix:/tmp/...:" */
    char path[80];
    /* Write the whole answer to `out`; the connection is closed after it. */
    void (*answer)(struct fake *f, const struct fake_request *q, struct xeno_buf *out);
    unsigned asked;
    struct xeno_buf log; /* "METHOD target\n" of each request */
};

void fake_start(struct fake *f,
                void (*answer)(struct fake *, const struct fake_request *, struct xeno_buf *));
void fake_stop(struct fake *f);
/* Forget the log and the count. */
void fake_reset(struct fake *f);
bool fake_header(const struct fake_request *q, const char *name, char *out, size_t room);

/* An answer with a body; `extra`: further header lines, each with its end, or "". */
void fake_reply(struct xeno_buf *out, int status, const char *extra, const void *body, size_t len);

#endif
