/* src/xrdd/tests/fixture.h - an RD in this process, with XIS nodes and XenoServers that are played,
 * and a client; all in one event loop over loopback. */
#ifndef XENO_XRDD_TESTS_FIXTURE_H
#define XENO_XRDD_TESTS_FIXTURE_H

#include "xrdd/xrdd.h"

#define XISES   2
#define SERVERS 8
#define CHANGES 64

struct fixture;

/* A XIS as rfc/0016 has it, with the feed that the test writes. */
struct fake_xis {
    struct fixture *f;
    struct xeno_http_server *http;
    char epoch[16];
    size_t count;
    struct xeno_json *changes[CHANGES]; /* seq is the place, from 1 */
    struct xeno_http_req *waiting;      /* a long poll */
    int64_t waiting_after;
    int asked;
    const char *nonsense; /* said instead of any answer */
};

/* A XenoServer that measures as the test says. */
struct fake_server {
    struct fixture *f;
    struct xeno_key *key;
    struct xeno_id id;
    struct xeno_http_server *http;
    int64_t version;
    int64_t rtt_us; /* 0: it refuses; -1: it does not answer at all */
    int probes, traces;
    struct xeno_http_req *held;
};

/* What the XenoCorp counts: GET /v1/complaints, two on a page. */
struct fake_corp {
    struct xeno_key *key;
    struct xeno_http_server *http;
    size_t count;
    int server[8]; /* complaint i + 1 is about it */
};

struct fixture {
    struct fake_corp corp;
    char dir[64];
    sd_event *loop;
    char *ca_pem;
    struct xeno_key *ca, *key;
    char *pem;
    struct xeno_id id;
    struct xeno_http_client *client;
    struct fake_xis xis[XISES];
    struct fake_server servers[SERVERS];
    struct xrdd d;
    char base[64];
};

void fixture_make(struct fixture *f);
void fixture_remove(struct fixture *f);
void fixture_xis(struct fixture *f, int i); /* it begins to listen */
void fixture_xis_gone(struct fixture *f, int i);
void fixture_server(struct fixture *f, int i);
void fixture_corp(struct fixture *f); /* it listens; without it the RD has none to ask */
/* Start the RD on those XIS nodes that listen. options: lines of a configuration; NULL: none. */
void fixture_start(struct fixture *f, const char *options);
void fixture_stop(struct fixture *f);

/* An advert of server `i`, version above all before it; `more`: "PATH=TEXT" lines, NULL: none. The
 * caller's. */
char *fixture_advert(struct fixture *f, int i, int64_t version, const char *more);
/* A change in a XIS's feed; whoever waits is answered. `change` is taken. */
void fixture_tell(struct fixture *f, int xis, struct xeno_json *change);
struct xeno_json *change_advert(struct fixture *f, int i, int64_t version, const char *jws);
/* The two at once. */
void fixture_tell_server(struct fixture *f, int xis, int i, const char *more);
void fixture_new_epoch(struct fixture *f, int xis, const char *epoch); /* and an empty feed */

/* POST /v1/find. Returns: the status; *ret is the caller's. */
int fixture_find(struct fixture *f, const char *body, struct xeno_json **ret);
/* Names of the answers with commas, "" for none. Static. */
const char *fixture_found(struct fixture *f, const char *body);

void fixture_run_ms(struct fixture *f, unsigned ms);
#define fixture_until(f, cond)                                                                     \
    do {                                                                                           \
        for (int tries_ = 0; !(cond) && tries_ < 6000; tries_++)                                   \
            fixture_run_ms((f), 5);                                                                \
        assert_true(cond);                                                                         \
    } while (0)

#endif
