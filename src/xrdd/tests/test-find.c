/* src/xrdd/tests/test-find.c - following XIS nodes, and finding what they tell. */
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LAYER(n) "sha256:000000000000000" n "000000000000000000000000000000000000000000000000"
#define BIG      "{\"objective\":[{\"what\":\"load\"}],\"where\":{\"token\":\"MemoryMB\",\"min\":%d}}"

static int setup(void **state)
{
    struct fixture *f = xeno_new0(struct fixture);

    fixture_make(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_remove(*state);
    free(*state);
    return 0;
}

static size_t known(const struct fixture *f)
{
    return xeno_rd_count(xrdd_world_rd(f->d.world));
}

static const char *bigger(struct fixture *f, int mb)
{
    char body[200];

    snprintf(body, sizeof body, BIG, mb);
    return fixture_found(f, body);
}

static void finds(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;

    fixture_xis(f, 0);
    fixture_tell_server(f, 0, 0, "MemoryMB=512\nLoadPercent=10");
    fixture_tell_server(f, 0, 1, "MemoryMB=1024\nLoadPercent=5");
    fixture_tell_server(f, 0, 2, "LoadPercent=5");
    fixture_start(f, NULL);
    assert_int_equal(fixture_find(f, "{}", &j), 503); /* find.empty: nothing was heard yet */
    fixture_until(f, known(f) == 3);
    assert_string_equal(bigger(f, 100), "s1,s0"); /* what is not told is not found */
    assert_string_equal(bigger(f, 1000), "s1");
    assert_string_equal(bigger(f, 2000), "");
    fixture_tell_server(f, 0, 0, "MemoryMB=4096\nLoadPercent=10");
    fixture_until(f, strcmp(bigger(f, 2000), "s0") == 0);
    assert_int_equal(fixture_find(f, "{\"documents\":true}", &j), 200);
    text = xeno_json_format(j, false, NULL);
    assert_non_null(strstr(text, "\"advert\":\"ey"));
    assert_non_null(strstr(text, "\"considered\":3,\"matched\":3"));
    assert_non_null(strstr(text, "\"probed\":0,\"age_ms\":0,\"xis\":[{\"url\":\"https://127"));
}

/* Who has more of the image goes before, and says so. */
static void warm(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;
    const char *body =
        "{\"objective\":[{\"what\":\"warm\"}],\"layers\":[\"" LAYER("1") "\",\"" LAYER("2") "\"]}";

    fixture_xis(f, 0);
    fixture_tell_server(f, 0, 0, "LoadPercent=1");
    fixture_tell_server(f, 0, 1, "CachedLayer=0000000000000001\nCachedLayer=0000000000000002");
    fixture_tell_server(f, 0, 2, "CachedLayer=0000000000000002");
    fixture_start(f, NULL);
    fixture_until(f, known(f) == 3);
    assert_string_equal(fixture_found(f, body), "s1,s2,s0");
    assert_int_equal(fixture_find(f, body, &j), 200);
    text = xeno_json_format(j, false, NULL);
    assert_non_null(strstr(text, "\"warm\":{\"have\":2,\"of\":2}"));
}

static void refuses(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;

    fixture_xis(f, 0);
    fixture_tell_server(f, 0, 0, NULL);
    fixture_start(f, "finds-per-minute = 5");
    fixture_until(f, known(f) == 1);
    assert_int_equal(fixture_find(f, "{\"near\":[{\"address\":\"example.org\"}]}", &j), 400);
    assert_int_equal(fixture_find(f, "{\"nearby\":1}", &j), 400);
    assert_int_equal(fixture_find(f, "[", &j), 400);
    assert_int_equal(fixture_find(f, "{\"requirement\":\"<x/>\"}", &j), 400);
    assert_int_equal(fixture_find(f, "{}", &j), 200);
    assert_int_equal(fixture_find(f, "{}", &j), 429);
}

/* --- what an XIS may do to us --- */

static void lies(void **state)
{
    struct fixture *f = *state;
    xeno_autofree char *one = NULL;
    xeno_autofree char *two = NULL;
    struct xeno_json *j;

    fixture_xis(f, 0);
    fixture_tell_server(f, 0, 0, "MemoryMB=512");
    one = fixture_advert(f, 1, 7, "MemoryMB=512");
    fixture_tell(f, 0, change_advert(f, 2, 8, one)); /* under another's name */
    one[strlen(one) - 3] ^= 1;                       /* its signature */
    fixture_tell(f, 0, change_advert(f, 1, 7, one));
    fixture_tell(f, 0, change_advert(f, 0, 99, "no advert"));
    two = fixture_advert(f, 0, 1, "MemoryMB=1"); /* an old one as if it were new */
    fixture_tell(f, 0, change_advert(f, 0, 100, two));
    fixture_tell_server(f, 0, 3, "MemoryMB=512");
    fixture_start(f, NULL);
    fixture_until(f, known(f) == 2);
    assert_string_equal(bigger(f, 500),
                        strcmp(f->servers[0].id.s, f->servers[3].id.s) < 0 ? "s0,s3" : "s3,s0");
    assert_int_equal(xrdd_follow_get(f->d.follow, 0).refused, 3);
    j = xeno_json_object(); /* "withdrawn" without its signature: nobody has it any more */
    xeno_json_set_str(j, "id", f->servers[3].id.s);
    xeno_json_set_int(j, "version", 9);
    xeno_json_set_bool(j, "withdrawn", true);
    fixture_tell(f, 0, j);
    fixture_until(f, known(f) == 1);
    fixture_tell_server(f, 0, 3, "MemoryMB=512"); /* but it may come back */
    fixture_until(f, known(f) == 2);
}

static void nonsense(void **state)
{
    static const char *const texts[] = {
        "[]",
        "{\"epoch\":\"e0\",\"changes\":[],\"next\":0,\"more\":true}",
        "{\"epoch\":\"e0\",\"changes\":[{\"seq\":1,\"id\":\"x\"}],\"next\":1,\"more\":false}",
    };
    struct fixture *f = *state;

    fixture_xis(f, 0);
    fixture_tell_server(f, 0, 0, NULL);
    for (size_t i = 0; i < XENO_LEN(texts); i++) {
        print_message("%s\n", texts[i]);
        f->xis[0].nonsense = texts[i];
        f->xis[0].asked = 0;
        fixture_start(f, NULL);
        fixture_until(f, f->xis[0].asked > 0);
        fixture_run_ms(f, 50);
        assert_true(f->xis[0].asked < 3); /* it waits before it asks again */
        assert_false(xrdd_follow_heard(f->d.follow));
        f->xis[0].nonsense = NULL;
        fixture_until(f, known(f) == 1); /* and recovers */
        fixture_stop(f);
    }
}

/* --- several, gaps, one that is away --- */

static void gaps(void **state)
{
    struct fixture *f = *state;

    fixture_xis(f, 0);
    fixture_xis(f, 1);
    fixture_tell_server(f, 0, 0, NULL);
    fixture_tell_server(f, 0, 1, NULL);
    fixture_tell(f, 1, xeno_json_ref(f->xis[0].changes[1])); /* both have s1 */
    fixture_start(f, NULL);
    fixture_until(f, known(f) == 2 && f->xis[0].waiting && f->xis[1].waiting);
    fixture_new_epoch(f, 0, "again"); /* it begins anew, without either */
    fixture_tell_server(f, 0, 2, NULL);
    fixture_until(f, f->xis[0].waiting && known(f) == 2);
    assert_null(xeno_rd_get(xrdd_world_rd(f->d.world), &f->servers[0].id));
    assert_non_null(xeno_rd_get(xrdd_world_rd(f->d.world), &f->servers[1].id));
}

static void away(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    int64_t age = 0;

    fixture_xis(f, 0);
    fixture_tell_server(f, 0, 0, NULL);
    fixture_start(f, NULL);
    fixture_until(f, known(f) == 1 && f->xis[0].waiting);
    fixture_xis_gone(f, 0);
    fixture_run_ms(f, 100);
    assert_int_equal(fixture_find(f, "{}", &j), 200); /* older, and that is all */
    top = xeno_json_top(j);
    assert_int_equal(xeno_json_int(&top, "age_ms", 1, 600000, &age, NULL), 0);
}

/* A withdrawal that was signed ends it for good, also where another XIS still has it. */
static void withdrawal(void **state)
{
    struct fixture *f = *state;
    xeno_autofree char *jws = NULL;
    struct xeno_json *j = xeno_json_object();

    fixture_xis(f, 0);
    fixture_xis(f, 1);
    fixture_tell_server(f, 0, 0, NULL);
    fixture_tell(f, 1, xeno_json_ref(f->xis[0].changes[0]));
    fixture_start(f, NULL);
    fixture_until(f, known(f) == 1 && f->xis[1].waiting);
    jws = xeno_advert_sign_withdrawal(f->servers[0].key, 50,
                                      xeno_time_add(xeno_wall(xeno_env_real()), xeno_s(600)));
    xeno_json_set_str(j, "id", f->servers[0].id.s);
    xeno_json_set_int(j, "version", 50);
    xeno_json_set_bool(j, "withdrawn", true);
    xeno_json_set_str(j, "withdrawal", jws);
    fixture_tell(f, 0, j);
    fixture_until(f, known(f) == 0);
    f->servers[0].version = 10;
    fixture_tell_server(f, 1, 0, NULL); /* 11: older than the withdrawal */
    fixture_tell_server(f, 1, 1, NULL);
    fixture_until(f, known(f) == 1);
    assert_null(xeno_rd_get(xrdd_world_rd(f->d.world), &f->servers[0].id));
}

/* Counted over pages, also against one whose advert comes later. */
static void complaints(void **state)
{
    static const int about[] = { 0, 1, 0, 0, 2 };
    struct fixture *f = *state;

    fixture_xis(f, 0);
    fixture_corp(f);
    memcpy(f->corp.server, about, sizeof about);
    f->corp.count = XENO_LEN(about);
    for (int i = 0; i < 2; i++)
        fixture_tell_server(f, 0, i, NULL);
    fixture_start(f, NULL);
    fixture_until(f, known(f) == 2 && f->d.complaints.after == 5);
    fixture_tell_server(f, 0, 2, NULL);
    fixture_tell_server(f, 0, 3, NULL);
    fixture_until(f, known(f) == 4);
    assert_string_equal(fixture_found(f, "{\"max_complaints\":0}"), "s3");
    fixture_tell_server(f, 0, 0, "LoadPercent=1"); /* news does not wipe it out */
    fixture_until(f, f->d.follow && xrdd_follow_get(f->d.follow, 0).changes == 5);
    assert_null(strstr(fixture_found(f, "{\"max_complaints\":2}"), "s0"));
    assert_non_null(strstr(fixture_found(f, "{\"max_complaints\":3}"), "s0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds, setup, teardown),
        cmocka_unit_test_setup_teardown(warm, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(lies, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(away, setup, teardown),
        cmocka_unit_test_setup_teardown(withdrawal, setup, teardown),
        cmocka_unit_test_setup_teardown(complaints, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
