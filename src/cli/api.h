/* src/cli/api.h - requests to the XenoCorp and to XenoServers, one at a time. */
#ifndef XENO_CLI_API_H
#define XENO_CLI_API_H

#include "cli/profile.h"
#include "http/client.h"

/* The client with our credential; made once. Needs the profile. */
int cli_http(struct cli *cli, struct xeno_http_client **ret, struct xeno_err *err);

struct cli_ask {
    const char *method;
    const char *base;        /* "https://host:port" */
    const char *server_id;   /* who must answer; NULL: whoever has a certificate for the host */
    const char *path;        /* "/v1/..." */
    struct xeno_json *body;  /* taken; NULL: none, or `text` */
    const char *text, *type; /* a body of another type */
    bool spends;             /* sends an Idempotency-Key; a lost answer is asked for again */
    xeno_time deadline;      /* 0: 30 s */
};
/* Send and wait. *ret (NULL allowed) is the answer's JSON, the caller's.
 * Errors: the problem it answered with; -ETIMEDOUT and the like with the address in the text. */
int cli_ask(struct cli *cli, const struct cli_ask *ask, struct xeno_json **ret,
            struct xeno_err *err);

/* Did the answer get lost on its way, so that asking again with the same key is right? */
bool cli_lost(const struct xeno_err *err);
#define CLI_TRIES      3
#define CLI_ANSWER_MAX (64 << 20)

/* One of several that are asked at the same time. */
struct cli_asked {
    struct cli_ask ask;
    void *who;                /* the asker's own */
    struct xeno_json *answer; /* the caller's; NULL: err says why */
    struct xeno_err err;
};
/* Send all and wait until each is answered; `each` (NULL allowed) hears of every answer when it
 * comes. A question that spends is repeated as with cli_ask(), but not when its deadline is over:
 * that is one for all tries. */
void cli_ask_all(struct cli *cli, struct cli_asked *list, size_t n,
                 void (*each)(struct cli_asked *a, void *arg), void *arg);

/* The usual ones. `fmt` is the path; body is taken. */
int cli_corp_get(struct cli *cli, struct xeno_json **ret, struct xeno_err *err, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
int cli_corp_post(struct cli *cli, struct xeno_json *body, struct xeno_json **ret,
                  struct xeno_err *err, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int cli_server_get(struct cli *cli, const struct cli_server *s, struct xeno_json **ret,
                   struct xeno_err *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
int cli_server_post(struct cli *cli, const struct cli_server *s, struct xeno_json *body,
                    struct xeno_json **ret, struct xeno_err *err, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* All pages of a list: asks for `path` with after= until there is no "next", and returns one object
 * with all items under `member`; of a longer list the first CLI_PAGES_ITEMS. s NULL: the XenoCorp.
 */
#define CLI_PAGES_ITEMS 100000
int cli_pages(struct cli *cli, const struct cli_server *s, const char *path, const char *member,
              struct xeno_json **ret, struct xeno_err *err);

/* A fresh Idempotency-Key; 32 letters. */
void cli_new_key(struct cli *cli, char out[33]);

#endif
