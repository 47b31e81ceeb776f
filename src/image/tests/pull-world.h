/* src/image/tests/pull-world.h - what the tests of pulls share: an image that changes at random, in
 * a store that a process of its own serves as a registry does, and the store it is pulled to. */
#ifndef XENO_IMAGE_TESTS_PULL_WORLD_H
#define XENO_IMAGE_TESTS_PULL_WORLD_H

#include <systemd/sd-event.h>

#include "base/env.h"
#include "http/client.h"
#include "image/pull.h"

#define FILES 60

/* The image: a layer of files, each of which is there or not. Changed by whoever wants to. */
struct pull_file {
    bool there;
    unsigned mode;
    size_t size;
    uint64_t seed; /* of its contents */
};
extern struct pull_file files[FILES];
extern struct xeno_env_test env;

uint64_t pick(uint64_t below);
void change_some(void);
/* As it is now, into a store, under a name. */
void make_image(struct xeno_store *st, const char *name, char ret_digest[XENO_DIGEST_TEXT]);

/* How the registry answers. */
enum trick { HONEST, NO_RANGES, WRONG_RANGES, BREAKS, BREAKS_AND_LIES };

struct served {
    char *dir, *sock;
    int fd;
    pid_t pid;
    volatile enum trick *trick; /* shared with the child */
};

struct pull_world {
    char *dir;
    struct xeno_store *theirs, *ours;
    struct served served;
    sd_event *loop;
    struct xeno_http_client *http;
};

int pull_setup(void **state);
int pull_teardown(void **state);
/* A loop and a client of its own: also for a child, which leaves the parent's alone. */
void pull_connect(struct pull_world *w);
/* The image of this digest, into ours, under the name "t". */
int pull(struct pull_world *w, const char *digest, bool whole, struct xeno_pulled *ret,
         struct xeno_err *err);

#endif
