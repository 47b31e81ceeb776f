/* src/xenocorpd/tests/test-work.c - group commit: order of steps, shared flushes, bad pieces. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/tests/fixture.h"
#include "xenocorpd/books.h"

struct piece {
    struct xeno_work_item item;
    struct fixture *f;
    const struct fixture_party *client;
    int64_t amount;
    int check_says; /* result of check() */
    bool break_group;
    unsigned applied, done;
};

static int on_check(struct xeno_work_item *item)
{
    return ((struct piece *)item)->check_says;
}

static int on_apply(struct xeno_work_item *item, void *user)
{
    struct piece *p = (struct piece *)item;
    struct xeno_corp *corp = books_corp(user);

    p->applied++;
    if (p->break_group) /* a statement that the database refuses spoils the group */
        return xeno_ledger_fund(corp, "test", p->client->id.s, xeno_micro(1), NULL, &item->err) +
               xeno_idem_keep(corp, "same", (const uint8_t[32]){ 0 }, 200, "{}", &item->err);
    return xeno_ledger_fund(corp, "test", p->client->id.s, xeno_micro(p->amount), NULL, &item->err);
}

static void on_done(struct xeno_work_item *item)
{
    ((struct piece *)item)->done++;
}

static void collect(struct xeno_work *w, size_t count)
{
    size_t got = 0;

    for (int tries = 0; got < count && tries < 200; tries++) {
        struct pollfd fd = { .fd = xeno_work_fd(w), .events = POLLIN };

        poll(&fd, 1, 50);
        got += xeno_work_collect(w);
    }
    assert_int_equal(got, count);
}

static struct piece piece_of(struct fixture *f, const struct fixture_party *client, int64_t amount)
{
    return (struct piece){
        .item = { .check = on_check, .apply = on_apply, .done = on_done, .bytes = 10, .weight = 1 },
        .f = f,
        .client = client,
        .amount = amount
    };
}

static void many_share_a_group(void **state)
{
    struct fixture f;
    struct fixture_party client;
    static struct piece pieces[500];
    struct books *b;
    struct xeno_work *w = NULL;

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    b = books_new(f.corp);
    assert_int_equal(books_work(b, &xeno_work_limits_default, &w, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(pieces); i++) {
        pieces[i] = piece_of(&f, &client, i == 7 ? -1 : 2);
        pieces[i].check_says = i == 10 ? -EPERM : 0;
        if (i % 3 == 0)
            pieces[i].item.check = NULL;
        assert_true(xeno_work_submit(w, &pieces[i].item));
    }
    collect(w, XENO_LEN(pieces));
    assert_true(xeno_work_stats(w).groups < XENO_LEN(pieces));
    xeno_work_free(w);
    books_free(b);
    for (size_t i = 0; i < XENO_LEN(pieces); i++) {
        assert_int_equal(pieces[i].done, 1);
        assert_int_equal(pieces[i].item.result, i == 7 ? -EINVAL : i == 10 ? -EPERM : 0);
    }
    assert_int_equal(fixture_account(&f, &client).free.micro, 2 * (XENO_LEN(pieces) - 2));
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_close(&f);
}

/* A piece that spoils its group is tried alone, and so are the others: they lose nothing. */
static void a_bad_piece_spoils_no_other(void **state)
{
    struct fixture f;
    struct fixture_party client;
    struct piece pieces[10];
    struct books *b;
    struct xeno_work *w = NULL;
    const uint8_t sha[32] = { 0 };

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    assert_int_equal(IN_GROUP(&f, xeno_idem_keep(f.corp, "same", sha, 200, "{}", NULL)), 0);
    b = books_new(f.corp);
    assert_int_equal(books_work(b, &xeno_work_limits_default, &w, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(pieces); i++) {
        pieces[i] = piece_of(&f, &client, 5);
        pieces[i].break_group = i == 4;
        pieces[i].item.check = NULL;
        assert_true(xeno_work_submit(w, &pieces[i].item));
    }
    collect(w, XENO_LEN(pieces));
    xeno_work_free(w);
    books_free(b);
    for (size_t i = 0; i < XENO_LEN(pieces); i++) {
        if (i == 4)
            assert_int_equal(pieces[i].item.result, -EEXIST);
        else
            assert_int_equal(pieces[i].item.result, 0);
        assert_int_equal(pieces[i].done, 1);
    }
    assert_int_equal(fixture_account(&f, &client).free.micro, 45);
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_close(&f);
}

static void a_full_queue_refuses(void **state)
{
    const struct xeno_work_limits rows[] = {
        { .checkers = 1, .items = 3, .bytes = 1000, .group_weight = 10 },
        { .checkers = 1, .items = 1000, .bytes = 35, .group_weight = 10 },
    };

    (void)state;
    for (size_t r = 0; r < XENO_LEN(rows); r++) {
        struct fixture f;
        struct fixture_party client;
        struct piece pieces[4];
        struct books *b;
        struct xeno_work *w = NULL;

        fixture_open(&f, 1);
        fixture_join(&f, XENO_ROLE_CLIENT, &client);
        b = books_new(f.corp);
        assert_int_equal(books_work(b, &rows[r], &w, NULL), 0);
        for (size_t i = 0; i < 4; i++) {
            pieces[i] = piece_of(&f, &client, 1);
            assert_int_equal(xeno_work_submit(w, &pieces[i].item),
                             i < 3); /* room only by collecting */
        }
        collect(w, 3);
        assert_true(xeno_work_submit(w, &pieces[3].item));
        xeno_work_stop(w); /* finishes it */
        assert_int_equal(xeno_work_collect(w), 1);
        assert_false(xeno_work_submit(w, &pieces[3].item));
        xeno_work_free(w);
        books_free(b);
        assert_int_equal(fixture_account(&f, &client).free.micro, 4);
        fixture_party_release(&client);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_share_a_group),
        cmocka_unit_test(a_bad_piece_spoils_no_other),
        cmocka_unit_test(a_full_queue_refuses),
    };

    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
