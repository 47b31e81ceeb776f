/* sim/stage.h - for stories: one XenoCorp, one XenoServer, two clients, and a diary of what was
 * told.
 *
 * Only for tests with cmocka: what does not go as it must fails the test.
 */
#ifndef XENO_SIM_STAGE_H
#define XENO_SIM_STAGE_H

#include "sim/client.h"
#include "spec/requirement.h"

#define HOUR_MS INT64_C(3600000)
#define MIB     (INT64_C(1) << 20)

struct stage {
    struct world w;
    struct sim_corp corp;
    struct sim_server server;
    struct sim_client me, other;
    char diary[16384]; /* "type {data}" for each event */
};

/* cfg may be NULL. No faults; the server is connected when it returns. */
void stage_open(struct stage *st, const struct xeno_host_config *cfg);
void stage_close(struct stage *st);

struct xeno_host *host_of(struct stage *st); /* it must be up */
/* A new order of `me`, good for a day; the chain is the caller's. */
char *order_text(struct stage *st, int64_t micro);
/* The same, presented to the XenoServer of the stage. */
char *order_chain(struct stage *st, int64_t micro);
int create(struct stage *st, const struct xeno_requirement *req, const char *chain,
           char id[XENO_SESSION_CHARS + 1], struct xeno_err *err);
/* A small session that runs, with one task in it, on an order of `micro`. */
void run_one(struct stage *st, int64_t micro, int64_t lifetime_s, char id[XENO_SESSION_CHARS + 1]);

/* A number in the session object or usage report; -1 when it is not there. */
int64_t number_in(struct stage *st, const char *id, const char *key, bool usage);
/* Does the text in the session object begin so? Says what it is when not. */
bool text_is(struct stage *st, const char *id, const char *key, const char *want);
#define assert_state(st, id, want)  assert_true(text_is(st, id, "state", want))
#define assert_reason(st, id, want) assert_true(text_is(st, id, "reason", want))
bool task_is(struct stage *st, const char *id, const char *want); /* the session's first */
bool told(const struct stage *st, const char *what);

/* Everything used was charged, XenoCorp's books say the same, and no order is bound any more. For a
 * stage with one session. */
void assert_books(struct stage *st, const char *id);

#endif
