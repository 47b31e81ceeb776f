/* src/db/tests/test-postgres.c - what only a server has: connections that break, others that write.
 * XENO_POSTGRES is the URL of a database that may be emptied (scripts/with-postgres). */
#include "db/db.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const schema[] = {
    "CREATE TABLE t (id text PRIMARY KEY, n bigint NOT NULL, data blob)",
};

static struct xeno_db *open_one(void)
{
    struct xeno_db *db = NULL;

    assert_int_equal(xeno_db_open(getenv("XENO_POSTGRES"), &db, NULL), 0);
    return db;
}

static struct xeno_db *open_empty(void)
{
    struct xeno_db *db = open_one();

    xeno_db_run(db, NULL, "DROP SCHEMA public CASCADE", "");
    assert_int_equal(xeno_db_run(db, NULL, "CREATE SCHEMA public", ""), 0);
    assert_int_equal(xeno_db_migrate(db, schema, XENO_LEN(schema), NULL), 0);
    return db;
}

static int add(struct xeno_db *db, const char *id)
{
    return xeno_db_run(db, NULL, "INSERT INTO t (id, n) VALUES ($1, 1)", "t", id);
}

/* A connection is made again once a second, not more often: this waits for it. */
static int64_t count(struct xeno_db *db)
{
    int64_t n = -1;
    int r = -ENOTCONN;

    for (int i = 0; i < 200 && r == -ENOTCONN; i++) {
        r = xeno_db_one_int(db, -2, &n, NULL, "SELECT count(*) FROM t", "");
        if (r < 0)
            usleep(50000);
    }
    assert_int_equal(r, 0);
    return n;
}

/* The server ends it, as when it goes down or somebody sees to it. */
static void break_connection(struct xeno_db *db)
{
    xeno_auto(xeno_db) other = open_one();
    int64_t pid, left = 1;

    assert_int_equal(xeno_db_one_int(db, 0, &pid, NULL, "SELECT pg_backend_pid()", ""), 0);
    xeno_db_run(other, NULL, "SELECT pg_terminate_backend($1)", "i", pid);
    for (int i = 0; i < 1000 && left > 0; i++) {
        assert_int_equal(xeno_db_one_int(other, 0, &left, NULL,
                                         "SELECT count(*) FROM pg_stat_activity WHERE pid = $1",
                                         "i", pid),
                         0);
        usleep(10000);
    }
    assert_int_equal(left, 0);
}

static void a_broken_connection_is_made_again(void **state)
{
    xeno_auto(xeno_db) db = open_empty();
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(add(db, "a"), 1); /* its statement is known to the old connection */

    /* Outside of a transaction: nobody knows whether a statement was done, so it is told. */
    break_connection(db);
    assert_int_equal(xeno_db_run(db, &err, "UPDATE t SET n = 2", ""), -ENOTCONN);
    assert_string_equal(err.token, "db.away");
    assert_int_equal(count(db), 1);
    assert_int_equal(add(db, "b"), 1);

    /* In one: it is lost as a whole, and so is what would still follow. */
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "lost"), 1);
    break_connection(db);
    assert_int_equal(add(db, "lost too"), -ENOTCONN);
    assert_true(add(db, "lost as well") < 0);
    assert_true(xeno_db_commit(db, &err) < 0);
    assert_int_equal(count(db), 2);

    sleep(1); /* so that the next one may be made at once */
    break_connection(db);
    assert_int_equal(xeno_db_begin(db, NULL), 0); /* nothing was asked yet: nobody need know */
    assert_int_equal(add(db, "c"), 1);
    assert_int_equal(xeno_db_commit(db, NULL), 0);
    assert_int_equal(count(db), 3);
}

/* A server that does not answer yet is like one that went. */
static void a_connection_may_be_made_later(void **state)
{
    static const char url[] = "postgresql:///x?host=/nonexistent";
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_db) db = NULL;
    int64_t n = 7;

    (void)state;
    assert_int_equal(xeno_db_open(url, &db, &err), -ENOTCONN);
    assert_string_equal(err.token, "db.open");
    assert_null(db);
    assert_int_equal(xeno_db_open_later(url, &db, &err), 0);
    assert_true(xeno_db_is_shared(db));
    assert_int_equal(xeno_db_begin(db, &err), -ENOTCONN);
    assert_string_equal(err.token, "db.away");
    assert_int_equal(xeno_db_one_int(db, 0, &n, &err, "SELECT 1", ""), -ENOTCONN);
    assert_int_equal(xeno_db_wait(db, "x", -1, 1, &err), -ENOTCONN);
    assert_int_equal(n, 7);
    xeno_db_free(xeno_take(&db));
    assert_int_equal(xeno_db_open_later("postgresql:x", &db, &err), -EINVAL);
}

/* COMMIT of what failed is answered as a success by the server. */
static void a_failed_transaction_is_not_committed(void **state)
{
    xeno_auto(xeno_db) db = open_empty();
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "a"), 1);
    assert_int_equal(xeno_db_run(db, NULL, "SELECT 1 / (n - n) FROM t", ""), -EINVAL);
    assert_true(add(db, "b") < 0);
    assert_int_equal(xeno_db_commit(db, &err), -EIO);
    assert_string_equal(err.token, "db.io");
    assert_int_equal(count(db), 0);
    assert_int_equal(add(db, "b"), 1);
}

static void *migrate(void *arg)
{
    static const char *const steps[] = {
        "CREATE TABLE once (a bigint); INSERT INTO once VALUES (1)",
        "ALTER TABLE once ADD COLUMN b blob",
    };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_db) db = NULL;

    (void)arg;
    if (xeno_db_open(getenv("XENO_POSTGRES"), &db, &err) < 0 ||
        xeno_db_migrate_part(db, "part", steps, XENO_LEN(steps), &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return (void *)"failed";
    }
    return NULL;
}

static void nodes_that_start_at_once_make_one_schema(void **state)
{
    xeno_auto(xeno_db) db = open_empty();
    pthread_t threads[8];
    int64_t n = 0;

    (void)state;
    assert_int_equal(xeno_db_run(db, NULL, "DROP SCHEMA public CASCADE", ""), 0);
    assert_int_equal(xeno_db_run(db, NULL, "CREATE SCHEMA public", ""), 0);
    for (size_t i = 0; i < XENO_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(threads); i++) {
        void *failed = NULL;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(xeno_db_one_int(db, 0, &n, NULL, "SELECT count(*) FROM once", ""), 0);
    assert_int_equal(n, 1);
}

static void others_are_told_at_the_commit(void **state)
{
    xeno_auto(xeno_db) a = open_empty();
    xeno_auto(xeno_db) b = open_one();

    (void)state;
    assert_true(xeno_db_is_shared(a));
    assert_int_equal(xeno_db_wait(b, "news", -1, 0, NULL), 1); /* what was before is not known */
    assert_int_equal(xeno_db_wait(b, "news", -1, 0, NULL), 0);
    assert_int_equal(xeno_db_begin(a, NULL), 0);
    assert_int_equal(add(a, "a"), 1);
    assert_int_equal(xeno_db_notify(a, "news", NULL), 0);
    assert_int_equal(xeno_db_wait(b, "news", -1, 50, NULL), 0);
    assert_int_equal(xeno_db_commit(a, NULL), 0);
    assert_int_equal(xeno_db_wait(b, "news", -1, 30000, NULL), 1);
    assert_int_equal(count(b), 1);
    assert_int_equal(xeno_db_wait(b, "news", -1, 0, NULL), 0);

    assert_int_equal(xeno_db_begin(a, NULL), 0);
    assert_int_equal(xeno_db_notify(a, "news", NULL), 0);
    xeno_db_rollback(a);
    assert_int_equal(xeno_db_wait(b, "news", -1, 50, NULL), 0);
    break_connection(b);
    assert_int_equal(xeno_db_wait(b, "news", -1, 0, NULL), -ENOTCONN);
    assert_int_equal(count(b), 1);
    assert_int_equal(xeno_db_wait(b, "news", -1, 0, NULL), 1); /* something may have been missed */
}

/* A lock that another holds is waited for, and so orders what several nodes write. */
static void *second(void *arg)
{
    struct xeno_db *db = arg;
    int64_t n = -1;

    if (xeno_db_begin(db, NULL) < 0 ||
        xeno_db_one_int(db, 0, &n, NULL, "UPDATE t SET n = n + 1 WHERE id = 'a' RETURNING n", "") <
            0 ||
        xeno_db_commit(db, NULL) < 0)
        return (void *)"failed";
    return n == 3 ? NULL : (void *)"not in order";
}

static void a_counter_orders_transactions(void **state)
{
    xeno_auto(xeno_db) a = open_empty();
    xeno_auto(xeno_db) b = open_one();
    void *failed = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(add(a, "a"), 1);
    assert_int_equal(xeno_db_begin(a, NULL), 0);
    assert_int_equal(xeno_db_run(a, NULL, "UPDATE t SET n = n + 1 WHERE id = 'a'", ""), 1);
    assert_int_equal(pthread_create(&thread, NULL, second, b), 0);
    usleep(50000);
    assert_int_equal(xeno_db_commit(a, NULL), 0);
    pthread_join(thread, &failed);
    assert_null(failed);
}

static void large_values_come_back(void **state)
{
    xeno_auto(xeno_db) db = open_empty();
    xeno_autoquery q = XENO_QUERY_INIT;
    static char data[300000];
    const void *got;
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 31);
    assert_int_equal(xeno_db_run(db, NULL, "INSERT INTO t (id, n, data) VALUES ('x', $1, $2)", "ib",
                                 INT64_MIN, data, sizeof data),
                     1);
    assert_int_equal(xeno_db_run(db, NULL, "INSERT INTO t (id, n, data) VALUES ('y', 0, $1)", "b",
                                 "", (size_t)0),
                     1);
    assert_int_equal(xeno_query_begin(db, &q, "SELECT n, data FROM t ORDER BY id", NULL), 0);
    assert_int_equal(xeno_query_step(&q, NULL), 1);
    assert_true(xeno_query_col_int(&q, 0) == INT64_MIN);
    got = xeno_query_col_blob(&q, 1, &len);
    assert_int_equal(len, sizeof data);
    assert_memory_equal(got, data, sizeof data);
    assert_int_equal(xeno_query_step(&q, NULL), 1);
    assert_non_null(xeno_query_col_blob(&q, 1, &len));
    assert_int_equal(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_connection_is_made_again),
        cmocka_unit_test(a_connection_may_be_made_later),
        cmocka_unit_test(a_failed_transaction_is_not_committed),
        cmocka_unit_test(nodes_that_start_at_once_make_one_schema),
        cmocka_unit_test(others_are_told_at_the_commit),
        cmocka_unit_test(a_counter_orders_transactions),
        cmocka_unit_test(large_values_come_back),
    };
    return cmocka_run_group_tests_name("postgres", tests, NULL, NULL);
}
