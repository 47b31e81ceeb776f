/* src/corp/tests/test-complaints.c - complaints are signed, about a session of one's own, and few.
 */
#include "corp/complaints.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/log.h"
#include "corp/tests/fixture.h"
#include "crypto/jws.h"
#include "xis/advert.h"

#define SESSION "ssssssssssssssss"

struct world {
    struct fixture f;
    struct fixture_party alice, bob, server, other;
    char *advert, *receipt;
    struct xeno_complaint c; /* a good one of alice's */
};

static char *advert_of(const struct fixture_party *p, int64_t version)
{
    static const char *const corps[] = { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL };
    static const char *const isolation[] = { "vm", NULL };
    const struct xeno_advert_head head = { .version = version,
                                           .expires = xeno_s(START_S + 600),
                                           .endpoint = "https://h:1",
                                           .corps = corps,
                                           .isolation = isolation };
    xeno_auto(xeno_advert_maker) m = xeno_advert_maker_new(xeno_key_pub(p->key), &head);
    char *jws = NULL;

    assert_int_equal(xeno_advert_sign(m, p->key, &jws, NULL), 0);
    return jws;
}

static void bind(struct world *w, const struct fixture_party *client, const char *session)
{
    char order[XENO_ORDER_ID_CHARS + 1];
    xeno_autofree char *chain = fixture_order(&w->f, client, 100000, order);
    struct xeno_bound bound;

    assert_int_equal(fixture_validate(&w->f, &w->server, client, chain, session, 0, &bound, NULL),
                     0);
}

static int set_up(void **state)
{
    struct world *w = xeno_new0(struct world);

    fixture_open(&w->f, 3);
    fixture_join(&w->f, XENO_ROLE_CLIENT, &w->alice);
    fixture_join(&w->f, XENO_ROLE_CLIENT, &w->bob);
    fixture_join(&w->f, XENO_ROLE_SERVER, &w->server);
    fixture_join(&w->f, XENO_ROLE_SERVER, &w->other);
    fixture_fund(&w->f, &w->alice, 50000000);
    fixture_fund(&w->f, &w->bob, 50000000);
    bind(w, &w->alice, SESSION);
    w->advert = advert_of(&w->server, 7);
    w->receipt = xeno_jws_sign(w->server.key, XENO_TYP_STATUS, "{}", 2);
    w->c = (struct xeno_complaint){ .server = w->server.id,
                                    .session = SESSION,
                                    .about = XENO_COMPLAINT_ISOLATION,
                                    .text = "a \"quoted\" word",
                                    .advert = w->advert,
                                    .receipt_count = 1,
                                    .receipts = { w->receipt },
                                    .time = w->f.env.now };
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    free(w->advert);
    free(w->receipt);
    fixture_party_release(&w->alice);
    fixture_party_release(&w->bob);
    fixture_party_release(&w->server);
    fixture_party_release(&w->other);
    fixture_close(&w->f);
    free(w);
    return 0;
}

/* Sign, check and file it, as a XenoCorp does; its number, or the failure. */
static int64_t complain(struct world *w, const struct fixture_party *who,
                        const struct xeno_complaint *c, struct xeno_err *err)
{
    xeno_autofree char *text = xeno_complaint_sign(who->key, c);
    xeno_auto(xeno_complaint_checked) checked = NULL;
    int64_t n = -1;
    int r = xeno_complaint_check(text, strlen(text), xeno_key_pub(who->key), &checked, err);

    if (r == 0)
        r = IN_GROUP(&w->f, xeno_complaint_file(w->f.corp, checked, &n, err));
    return r < 0 ? r : n;
}

static int filed(struct world *w)
{
    struct xeno_complaint_row rows[10];

    return IN_GROUP(&w->f, xeno_complaints(w->f.corp, 0, 10, rows, NULL));
}

static void good(void **state)
{
    struct world *w = *state;
    struct xeno_complaint_row rows[2], row;
    xeno_autofree char *document = NULL;
    struct xeno_audit_act acts[16];
    int count;

    assert_int_equal(complain(w, &w->alice, &w->c, NULL), 1);
    assert_int_equal(complain(w, &w->alice, &w->c, NULL), 1); /* its answer was lost */
    assert_int_equal(IN_GROUP(&w->f, xeno_complaints(w->f.corp, 0, 2, rows, NULL)), 1);
    assert_string_equal(rows[0].server, w->server.id.s);
    assert_string_equal(rows[0].client, w->alice.id.s);
    assert_string_equal(rows[0].session, SESSION);
    assert_int_equal(rows[0].about, XENO_COMPLAINT_ISOLATION);
    assert_true(rows[0].version == 7 && rows[0].count == 1);
    assert_int_equal(IN_GROUP(&w->f, xeno_complaints(w->f.corp, 1, 2, rows, NULL)), 0);
    assert_int_equal(IN_GROUP(&w->f, xeno_complaint_get(w->f.corp, 1, &row, &document, NULL)), 0);
    assert_int_equal(IN_GROUP(&w->f, xeno_complaint_get(w->f.corp, 2, &row, &document, NULL)),
                     -ENOENT);

    count = IN_GROUP(&w->f, xeno_audit_acts(w->f.corp, 0, 16, acts, NULL));
    assert_true(count > 0);
    assert_string_equal(acts[count - 1].act, "complaint");
    assert_string_equal(acts[count - 1].who, w->alice.id.s);
    assert_string_equal(acts[count - 1].target, w->server.id.s);
    assert_non_null(strstr(acts[count - 1].detail, "isolation " SESSION));
    assert_balanced(&w->f); /* the log, too */
}

static void each_is_counted(void **state)
{
    struct world *w = *state;
    struct xeno_complaint c = w->c;
    struct xeno_complaint_row rows[4];

    bind(w, &w->bob, "tttttttttttttttt");
    memset(c.session, 't', XENO_SESSION_ID_CHARS);
    assert_int_equal(complain(w, &w->alice, &w->c, NULL), 1);
    assert_int_equal(complain(w, &w->bob, &c, NULL), 2);
    assert_int_equal(IN_GROUP(&w->f, xeno_complaints(w->f.corp, 0, 4, rows, NULL)), 2);
    assert_int_equal(rows[1].count, 2);
    assert_string_equal(rows[1].client, w->bob.id.s);
}

static void refused(struct world *w, const struct fixture_party *who,
                    const struct xeno_complaint *c, const char *token)
{
    struct xeno_err err = XENO_ERR_INIT;
    int before = filed(w);

    assert_true(complain(w, who, c, &err) < 0);
    print_message("%s\n", err.text);
    assert_string_equal(err.token, token);
    assert_int_equal(filed(w), before);
}

static void not_ones_own(void **state)
{
    struct world *w = *state;
    struct xeno_complaint c = w->c;

    refused(w, &w->bob, &w->c, "complaint.session");
    memset(c.session, 'u', XENO_SESSION_ID_CHARS);
    refused(w, &w->alice, &c, "complaint.session");
    c = w->c;
    c.server = w->alice.id; /* a client sells nothing */
    refused(w, &w->alice, &c, "complaint.evidence");
}

static void evidence_of_others(void **state)
{
    struct world *w = *state;
    struct xeno_complaint c = w->c;
    xeno_autofree char *advert = advert_of(&w->other, 7);
    xeno_autofree char *receipt = xeno_jws_sign(w->other.key, XENO_TYP_STATUS, "{}", 2);
    xeno_autofree char *foreign = xeno_jws_sign(w->server.key, "something+json", "{}", 2);
    xeno_autofree char *forged = xeno_strdup(w->advert);
    xeno_autofree char *withdrawal = xeno_advert_sign_withdrawal(w->server.key, 9, xeno_s(START_S));

    c.advert = advert;
    refused(w, &w->alice, &c, "complaint.evidence");
    c.advert = withdrawal;
    refused(w, &w->alice, &c, "complaint.evidence");
    forged[strlen(forged) - 10] ^= 1;
    c.advert = forged;
    refused(w, &w->alice, &c, "jws.signature");
    c = w->c;
    c.receipts[0] = receipt;
    refused(w, &w->alice, &c, "jws.kid");
    c.receipts[0] = foreign;
    refused(w, &w->alice, &c, "jws.typ");
}

static void another_of_the_same(void **state)
{
    struct world *w = *state;
    struct xeno_complaint c = w->c;

    assert_int_equal(complain(w, &w->alice, &w->c, NULL), 1);
    c.about = XENO_COMPLAINT_PRICE;
    refused(w, &w->alice, &c, "complaint.twice");
}

static void too_many(void **state)
{
    struct world *w = *state;
    struct xeno_complaint c = w->c;

    for (int i = 0; i < XENO_COMPLAINTS_A_DAY; i++) {
        c.session[0] = (char)('a' + i);
        c.session[1] = 'b';
        bind(w, &w->alice, c.session);
        assert_int_equal(complain(w, &w->alice, &c, NULL), i + 1);
    }
    refused(w, &w->alice, &w->c, "complaint.rate");
    fixture_wait(&w->f, INT64_C(24) * 3600 * 1000 + 1);
    assert_int_equal(complain(w, &w->alice, &w->c, NULL), XENO_COMPLAINTS_A_DAY + 1);
}

/* What a reader takes is in its bounds. */
static void forms(void **state)
{
    static const char *const bad[] = {
        "{\"v\":2}",
        "{\"v\":1,\"client\":\"x\"}",
        "[]",
        "",
    };
    struct world *w = *state;
    xeno_autofree char *good = xeno_complaint_sign(w->alice.key, &w->c);
    xeno_auto(xeno_complaint_checked) checked = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        xeno_autofree char *text =
            xeno_jws_sign(w->alice.key, XENO_TYP_COMPLAINT, bad[i], strlen(bad[i]));

        assert_true(xeno_complaint_check(text, strlen(text), xeno_key_pub(w->alice.key), &checked,
                                         &err) < 0);
        assert_null(checked);
    }
    /* In another's name. */
    assert_int_equal(
        xeno_complaint_check(good, strlen(good), xeno_key_pub(w->bob.key), &checked, &err), -EPERM);
    assert_string_equal(err.token, "jws.kid");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(good),
        CASE(each_is_counted),
        CASE(not_ones_own),
        CASE(evidence_of_others),
        CASE(another_of_the_same),
        CASE(too_many),
        CASE(forms),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests_name("complaints", tests, NULL, NULL);
}
