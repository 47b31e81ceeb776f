/* src/image/registry-priv.h - the inside of the registry's client, for the files that make it up.
 *
 * Every request is a `struct ask`. It is, in turn: at the http client (`http` set), waiting for a
 * token (in the registry's list `waiting`), or over. A request that is answered with 401 gets a
 * token and goes again, once; a token that another request has fetched meanwhile is taken instead.
 */
#ifndef XENO_IMAGE_REGISTRY_PRIV_H
#define XENO_IMAGE_REGISTRY_PRIV_H

#include "http/client.h"
#include "image/registry.h"

#define REGISTRY_PARALLEL   4
#define REGISTRY_HEADERS    4
#define REGISTRY_TRIES      5
#define REGISTRY_WAIT_S     60          /* for an answer that has no large body */
#define REGISTRY_TOKEN_MAX  (16 * 1024) /* bytes */
#define REGISTRY_ANSWER_MAX (64 * 1024) /* of answers that are no manifest and no blob */

struct xeno_registry {
    struct sd_event *loop;
    struct xeno_http_client *http;
    const struct xeno_env *env;
    char *base, *repo, *server_id, *password, *from;
    bool write;
    unsigned parallel, pace_s, wait_s;
    struct xeno_registry_count count;

    char *token;         /* value of Authorization; NULL: none yet */
    unsigned generation; /* of the token; 0: none yet */
    bool basic_sent;     /* the password itself is the token */
    struct xeno_http_call *token_call;
    struct ask *waiting, *asks;

    struct xeno_registry_job *jobs;
    unsigned running; /* jobs at work */
};

struct ask {
    struct xeno_registry *r;
    const char *method;
    char *path; /* "/v2/...", or a URL that the registry gave */
    struct xeno_http_header headers[REGISTRY_HEADERS]; /* names static, values the ask's */
    size_t header_count;
    const char *type; /* of the body; static */
    char *body;
    size_t body_len;
    struct xeno_http_part part; /* fd -1: none */
    size_t max_body;
    unsigned wait_s; /* for the answer; without meaning when it has a sink or a part */
    bool retry;      /* a repeat does no harm: the default */
    /* An answer of any size; NULL: it is kept, at most max_body. */
    int (*head)(const struct xeno_http_answer *a, void *arg, struct xeno_err *err);
    int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err);
    /* a->err is of this module, and NULL for 2xx. The ask is freed after it. */
    void (*done)(const struct xeno_http_answer *a, void *arg);
    void *arg;

    struct xeno_http_call *http;
    unsigned generation; /* of the token it was sent with */
    bool again;          /* it has been sent with a token and a fresh one is its last chance */
    struct ask *prev, *next, *wait_prev, *wait_next;
};

/* registry-ask.c. `path` is taken. Fill in the rest, then send; the ask is the registry's. */
struct ask *registry_ask_new(struct xeno_registry *r, const char *method, char *path);
void registry_ask_header(struct ask *a, const char *name, char *value_taken);
void registry_ask_send(struct ask *a);
void registry_ask_cancel(struct ask *a); /* NULL allowed; `done` is not called */
/* The answer is final: `done`, and it is gone. */
void registry_ask_end(struct ask *a, const struct xeno_http_answer *answer);
/* Send and run the loop until it is answered; `a` is gone. On 2xx 0; ret_* NULL allowed.
 * header: the value of the answer's header of that name, the caller's, NULL when it has none. */
int registry_ask_wait(struct ask *a, int *ret_status, char **ret_body, size_t *ret_len,
                      const char *header, char **ret_header, struct xeno_err *err);
/* Run the loop until *over. Errors: -ECANCELED http.cancelled. */
int registry_run(struct xeno_registry *r, const bool *over, struct xeno_err *err);

/* registry-token.c: what the 401 in `a` asks for; then all that wait go again, or end. */
void registry_token_start(struct xeno_registry *r, const struct xeno_http_answer *a);

/* A challenge of RFC 9110 11.6.1, as far as registries use it. Strings are the caller's. */
struct challenge {
    bool bearer; /* else Basic */
    char *realm, *service;
};
bool registry_challenge_parse(const char *text, struct challenge *ret);
void registry_challenge_release(struct challenge *c);

/* registry-answer.c */
/* "bytes A-B/TOTAL" or "bytes A-B/ *"; false when it is not. */
bool registry_range_parse(const char *text, int64_t *ret_first, int64_t *ret_last);
/* Where an upload goes on, by the Location `where`: a path of this registry, borrowed from `where`;
 * NULL when it is none. An upload elsewhere would send the content, and the token with it, to a
 * host that nobody named. */
const char *registry_upload_path(const struct xeno_registry *r, const char *where);
/* What a refusal means: fills `err` from status and body. */
int registry_refused(const struct xeno_registry *r, const struct xeno_http_answer *a,
                     struct xeno_err *err);

/* registry-fetch.c */
void registry_jobs_drop(struct xeno_registry *r);

#endif
