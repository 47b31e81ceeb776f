/* src/xstored/tests/fixture.h - a XenoStore in this process, its clients, and a clock that can be
 * moved; all in one event loop over loopback. */
#ifndef XENO_XSTORED_TESTS_FIXTURE_H
#define XENO_XSTORED_TESTS_FIXTURE_H

#include "http/client.h"
#include "xstored/xstored.h"

enum { ALICE, BOB, NOBODY, PEOPLE };

struct fixture {
    struct xeno_env env; /* first: the real one, `ahead_ms` later */
    int64_t ahead_ms;
    char dir[64];
    sd_event *loop;
    char *ca_pem;
    struct xeno_key *ca, *key[PEOPLE];
    char *pem[PEOPLE]; /* NULL: shows none */
    struct xeno_id id[PEOPLE];
    struct xeno_http_client *client[PEOPLE];
    struct xstored d; /* open while it serves */
    char base[64];
};

/* Files and people; nothing is served yet. */
void fixture_make(struct fixture *f);
/* A loop and clients; a child process needs its own. */
void fixture_connect(struct fixture *f);
/* Everything that was stored goes, the identity stays. */
void fixture_empty(struct fixture *f);
void fixture_remove(struct fixture *f);
/* `options`: lines as of a configuration file; NULL: the defaults. Again: a restart. */
void fixture_start(struct fixture *f, const char *options);
void fixture_stop(struct fixture *f);

struct answer {
    int status;
    char *body;
    size_t len;
    char location[512], range[64], digest[XENO_DIGEST_TEXT], link[512], subject[128], type[128],
        content_range[80], filters[64], code[64]; /* code: of the first of "errors" */
    char challenge[768];                          /* WWW-Authenticate */
};
void answer_release(struct answer *a);

struct question {
    int who;
    const char *method, *path;
    const char *type, *body; /* NULL: none */
    size_t len;              /* of body; 0: up to its end */
    const char *range, *content_range, *authorization;
};
/* Ask, run the loop, and tell; the answer before is released. Returns: the status. */
int fixture_ask(struct fixture *f, const struct question *q, struct answer *a);
/* The same with the path made of a format. */
int fixture_say(struct fixture *f, struct answer *a, int who, const char *method, const char *body,
                const char *fmt, ...) __attribute__((format(printf, 6, 7)));

void fixture_run_ms(struct fixture *f, unsigned ms);
#define fixture_until(f, cond)                                                                     \
    do {                                                                                           \
        for (int tries_ = 0; !(cond) && tries_ < 6000; tries_++)                                   \
            fixture_run_ms((f), 5);                                                                \
        assert_true(cond);                                                                         \
    } while (0)

void digest_of(const void *data, size_t len, char ret[XENO_DIGEST_TEXT]);
/* Push a blob whole. */
void push_blob(struct fixture *f, int who, const char *repo, const char *text,
               char ret_digest[XENO_DIGEST_TEXT]);
/* A manifest of one layer (and a config) as text, the caller's; subject NULL: none. */
char *make_manifest(const char *config, size_t config_len, const char *layer, size_t layer_len,
                    const char *subject, const char *note);

#endif
