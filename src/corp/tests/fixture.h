/* src/corp/tests/fixture.h - a XenoCorp in memory, with parties and charges to try it with. */
#ifndef XENO_CORP_TESTS_FIXTURE_H
#define XENO_CORP_TESTS_FIXTURE_H

#include "corp/audit.h"
#include "corp/charges.h"
#include "corp/idem.h"
#include "corp/ledger.h"
#include "corp/orders.h"
#include "corp/registry.h"
#include "corp/statement.h"
#include "corp/validate.h"

#define START_S 1700000000 /* the test clock starts here */

struct fixture {
    struct xeno_env_test env;
    struct xeno_db *db;
    struct xeno_key *ca;
    char *ca_pem;
    struct xeno_corp_policy policy;
    struct xeno_corp *corp;
    int64_t presented; /* times: no two presentations are the same */
};

struct fixture_party {
    struct xeno_key *key;
    struct xeno_id id;
};

void fixture_open(struct fixture *f, uint64_t seed);
void fixture_close(struct fixture *f);
/* Run `call` in a group of its own; the commit must succeed. */
#define IN_GROUP(f, call)                                                                          \
    ({                                                                                             \
        int in_group_r_;                                                                           \
        assert_int_equal(xeno_corp_begin((f)->corp, NULL), 0);                                     \
        in_group_r_ = (call);                                                                      \
        assert_int_equal(xeno_corp_commit((f)->corp, NULL), 0);                                    \
        in_group_r_;                                                                               \
    })
#define assert_balanced(f)                                                                         \
    do {                                                                                           \
        struct xeno_err balanced_ = XENO_ERR_INIT;                                                 \
        if (xeno_ledger_check((f)->db, &balanced_) < 0)                                            \
            fail_msg("%s", balanced_.text);                                                        \
    } while (0)

void fixture_join(struct fixture *f, enum xeno_role role, struct fixture_party *ret);
void fixture_party_release(struct fixture_party *p);
void fixture_fund(struct fixture *f, const struct fixture_party *p, int64_t micro);
/* An order of `micro` for an hour; its chain is the caller's. */
char *fixture_order(struct fixture *f, const struct fixture_party *client, int64_t micro,
                    char ret_order[XENO_ORDER_ID_CHARS + 1]);
/* The chain as its holder presents it; the caller's. NULL when `holder` is not the holder. */
char *fixture_present(struct fixture *f, const struct fixture_party *holder, const char *chain,
                      const struct fixture_party *server);
/* With a new presentation each time. */
int fixture_validate(struct fixture *f, const struct fixture_party *server,
                     const struct fixture_party *holder, const char *chain, const char *session,
                     int64_t epoch, struct xeno_bound *ret, struct xeno_err *err);
/* A sound charge of one CPU item, for the `seconds` that end now. */
struct xeno_charge fixture_charge(const struct fixture *f, const char *order, const char *session,
                                  int64_t epoch, int64_t seq, int64_t micro);
/* Sign, check and post `count` charges; the caller releases the results. */
int fixture_post(struct fixture *f, const struct fixture_party *server,
                 const struct xeno_charge *charges, size_t count, struct xeno_charge_results *ret,
                 struct xeno_err *err);
struct xeno_account_view fixture_account(struct fixture *f, const struct fixture_party *p);
void fixture_wait(struct fixture *f, int64_t ms);

#endif
