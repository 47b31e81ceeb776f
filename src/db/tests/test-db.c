/* src/db/tests/test-db.c - db.h's promises: on SQLite, and on PostgreSQL when XENO_POSTGRES is the
 * URL of a database that may be emptied (scripts/with-postgres). */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

static const char *const schema[] = {
    "CREATE TABLE acct (id text PRIMARY KEY, n bigint NOT NULL CHECK (n >= 0), data blob);"
    "CREATE TABLE entry (id bigint PRIMARY KEY, acct text NOT NULL REFERENCES acct (id))",
    "ALTER TABLE acct ADD COLUMN note text",
};

static const char *postgres; /* NULL: SQLite */

static struct xeno_db *open_empty(void)
{
    struct xeno_db *db = NULL;

    assert_int_equal(xeno_db_open(postgres ? postgres : "sqlite::memory:", &db, NULL), 0);
    if (postgres) {
        assert_int_equal(xeno_db_run(db, NULL, "DROP SCHEMA public CASCADE", ""), 0);
        assert_int_equal(xeno_db_run(db, NULL, "CREATE SCHEMA public", ""), 0);
    }
    return db;
}

static struct xeno_db *open_memory(void)
{
    struct xeno_db *db = open_empty();
    struct xeno_err err = XENO_ERR_INIT;

    assert_int_equal(xeno_db_migrate(db, schema, XENO_LEN(schema), &err), 0);
    return db;
}

static int add(struct xeno_db *db, const char *id, int64_t n, struct xeno_err *err)
{
    return xeno_db_run(db, err, "INSERT INTO acct (id, n) VALUES ($1, $2)", "ti", id, n);
}

static int64_t count(struct xeno_db *db)
{
    int64_t n = -1;

    assert_int_equal(xeno_db_one_int(db, -2, &n, NULL, "SELECT count(*) FROM acct", ""), 0);
    return n;
}

static void bad_urls(void **state)
{
    static const struct {
        const char *url, *token;
        int want;
    } rows[] = {
        { "", "db.url", -EINVAL },
        { "sqlite:", "db.url", -EINVAL },
        { "mysql:x", "db.url", -EINVAL },
        { "sqlite:/nonexistent/x.db", "db.open", -ENOENT },
        { "sqlite:/", "db.open", -EISDIR },
        { "postgresql:", "db.url", -EINVAL },
        { "postgresql:x", "db.url", -EINVAL },
        { "postgresql:///x?host=/nonexistent", "db.open", -ENOTCONN },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_db *db = NULL;

        assert_int_equal(xeno_db_open(rows[i].url, &db, &err), rows[i].want);
        assert_string_equal(err.token, rows[i].token);
        assert_null(db);
    }
}

static void parameters_count_by_their_number(void **state)
{
    xeno_auto(xeno_db) db = open_memory();
    int64_t n = 0;

    (void)state;
    assert_int_equal(
        xeno_db_run(db, NULL, "INSERT INTO acct (n, id) VALUES ($2, $1)", "ti", "a", (int64_t)5),
        1);
    /* $1 twice, after $2 */
    assert_int_equal(xeno_db_one_int(db, 0, &n, NULL,
                                     "SELECT n + $2 FROM acct WHERE id = $1 AND id || '' = $1",
                                     "ti", "a", (int64_t)2),
                     0);
    assert_int_equal(n, 7);
}

static void errors_are_told_apart(void **state)
{
    xeno_auto(xeno_db) db = open_memory();
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(add(db, "a", 1, &err), 1);
    assert_int_equal(add(db, "a", 1, &err), -EEXIST);
    assert_string_equal(err.token, "db.unique");
    assert_int_equal(add(db, "b", -1, &err), -EDOM);
    assert_string_equal(err.token, "db.check");
    assert_int_equal(add(db, NULL, 1, &err), postgres ? -EDOM : 1); /* SQLite lets a key be NULL */
    assert_int_equal(xeno_db_run(db, &err, "INSERT INTO acct (id, n) VALUES ('x', NULL)", ""),
                     -EDOM);
    assert_int_equal(xeno_db_run(db, &err, "INSERT INTO entry VALUES (1, 'none')", ""), -EDOM);
    assert_int_equal(xeno_db_run(db, &err, "SELEC 1", ""), -EINVAL);
    assert_string_equal(err.token, "db.sql");
    assert_int_equal(xeno_db_run(db, &err, "SELECT 1; SELECT 2", ""), -EINVAL);
    assert_int_equal(xeno_db_run(db, &err, "SELECT $1", "ii", (int64_t)1, (int64_t)2), -EINVAL);
    assert_int_equal(xeno_db_run(db, &err, "SELECT ?", "i", (int64_t)1), -EINVAL);
    assert_int_equal(count(db), postgres ? 1 : 2);
}

static void values_come_back(void **state)
{
    static const uint8_t blob[] = { 0, 1, 255, 0 };
    xeno_auto(xeno_db) db = open_memory();
    xeno_autoquery q = XENO_QUERY_INIT;
    const void *data;
    size_t len;

    (void)state;
    assert_int_equal(xeno_db_run(db, NULL,
                                 "INSERT INTO acct (id, n, data, note) VALUES ($1, $2, $3, $4)",
                                 "tibt", "a", INT64_MAX, blob, sizeof blob, (const char *)NULL),
                     1);
    assert_int_equal(xeno_query_begin(db, &q, "SELECT id, n, data, note FROM acct", NULL), 0);
    assert_int_equal(xeno_query_step(&q, NULL), 1);
    assert_string_equal(xeno_query_col_text(&q, 0), "a");
    assert_true(xeno_query_col_int(&q, 1) == INT64_MAX);
    data = xeno_query_col_blob(&q, 2, &len);
    assert_int_equal(len, sizeof blob);
    assert_memory_equal(data, blob, sizeof blob);
    assert_true(xeno_query_col_null(&q, 3));
    assert_null(xeno_query_col_text(&q, 3));
    assert_int_equal(xeno_query_col_int(&q, 3), 0);
    assert_int_equal(xeno_query_step(&q, NULL), 0);
}

static void rows_changed_are_counted(void **state)
{
    xeno_auto(xeno_db) db = open_memory();
    int64_t n = 0;

    (void)state;
    assert_int_equal(add(db, "a", 1, NULL), 1);
    assert_int_equal(add(db, "b", 1, NULL), 1);
    assert_int_equal(xeno_db_run(db, NULL, "UPDATE acct SET n = n + 1", ""), 2);
    assert_int_equal(xeno_db_run(db, NULL, "UPDATE acct SET n = 0 WHERE id = 'z'", ""), 0);
    assert_int_equal(xeno_db_run(db, NULL, "SELECT 1", ""), 0);
    assert_int_equal(
        xeno_db_one_int(db, 0, &n, NULL, "UPDATE acct SET n = 9 WHERE id = 'a' RETURNING n", ""),
        0);
    assert_int_equal(n, 9);
    assert_int_equal(xeno_db_one_int(db, 77, &n, NULL, "SELECT n FROM acct WHERE id = 'none'", ""),
                     0);
    assert_int_equal(n, 77);
    assert_int_equal(xeno_db_run(db, NULL, "DELETE FROM acct", ""), 2);
}

static void transactions_nest(void **state)
{
    xeno_auto(xeno_db) db = open_memory();

    (void)state;
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "outer", 1, NULL), 1);
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "undone", 1, NULL), 1);
    xeno_db_rollback(db);
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "kept", 1, NULL), 1);
    assert_int_equal(xeno_db_commit(db, NULL), 0);
    assert_int_equal(xeno_db_commit(db, NULL), 0);
    assert_int_equal(count(db), 2);

    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(xeno_db_run(db, NULL, "DELETE FROM acct", ""), 2);
    xeno_db_rollback(db);
    xeno_db_rollback(db); /* none is open: no effect */
    assert_int_equal(count(db), 2);
}

/* An entry that fails spoils neither those before it nor those after it. */
static void a_failed_statement_is_undone_alone(void **state)
{
    xeno_auto(xeno_db) db = open_memory();
    int64_t n = 0;

    (void)state;
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "a", 1, NULL), 1);
    assert_int_equal(add(db, "a", 1, NULL), -EEXIST);
    assert_int_equal(xeno_db_one_int(db, 0, &n, NULL,
                                     "UPDATE acct SET n = n - 2 WHERE id = 'a' RETURNING n", ""),
                     -EDOM);
    assert_int_equal(xeno_db_run(db, NULL, "INSERT INTO entry VALUES (1, 'none')", ""), -EDOM);
    assert_int_equal(add(db, "b", 1, NULL), 1);
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "b", 1, NULL), -EEXIST);
    assert_int_equal(add(db, "c", 1, NULL), 1);
    assert_int_equal(xeno_db_commit(db, NULL), 0);
    assert_int_equal(xeno_db_commit(db, NULL), 0);
    assert_int_equal(count(db), 3);
}

/* The same text while it is stepped through: a statement of its own. */
static void one_text_twice_at_once(void **state)
{
    static const char sql[] = "SELECT id FROM acct ORDER BY id";
    xeno_auto(xeno_db) db = open_memory();
    xeno_autoquery a = XENO_QUERY_INIT;
    xeno_autoquery b = XENO_QUERY_INIT;

    (void)state;
    add(db, "a", 1, NULL);
    add(db, "b", 1, NULL);
    assert_int_equal(xeno_query_begin(db, &a, sql, NULL), 0);
    assert_int_equal(xeno_query_step(&a, NULL), 1);
    assert_int_equal(xeno_query_begin(db, &b, sql, NULL), 0);
    assert_int_equal(xeno_query_step(&b, NULL), 1);
    assert_string_equal(xeno_query_col_text(&b, 0), "a");
    assert_int_equal(xeno_query_step(&a, NULL), 1);
    assert_string_equal(xeno_query_col_text(&a, 0), "b");
}

static void migration_is_all_or_nothing(void **state)
{
    static const char *const broken[] = { "CREATE TABLE a (x bigint)", "CREATE TABL b" };
    xeno_auto(xeno_db) db = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    db = open_empty();
    assert_int_equal(xeno_db_migrate(db, broken, 2, &err), -EINVAL);
    assert_non_null(strstr(err.text, "schema step 2"));
    assert_int_equal(xeno_db_run(db, NULL, "SELECT count(*) FROM a", ""), -EINVAL);
    assert_int_equal(xeno_db_migrate(db, schema, 1, NULL), 0);
    assert_int_equal(xeno_db_migrate(db, schema, 2, NULL), 0);
    assert_int_equal(xeno_db_migrate(db, schema, 2, NULL), 0);
    assert_int_equal(xeno_db_migrate(db, schema, 1, &err), -EPROTO);
    assert_string_equal(err.token, "db.version");
    assert_int_equal(xeno_db_migrate_part(db, "other", broken, 1, NULL), 0);
    assert_int_equal(xeno_db_migrate_part(db, "other", broken, 1, NULL), 0);
}

static void pragma_is(struct xeno_db *db, const char *sql, const char *want)
{
    xeno_autoquery q = XENO_QUERY_INIT;

    assert_int_equal(xeno_query_begin(db, &q, sql, NULL), 0);
    assert_int_equal(xeno_query_step(&q, NULL), 1);
    assert_string_equal(xeno_query_col_text(&q, 0), want);
}

/* What is committed is on the disk: a kill would not show the difference, a power cut would. */
static void commits_are_flushed(void **state)
{
    char dir[] = "/tmp/xeno-test-db-XXXXXX", url[64];
    xeno_auto(xeno_db) db = NULL;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(url, sizeof url, "sqlite:%s/t.db", dir);
    assert_int_equal(xeno_db_open(url, &db, NULL), 0);
    pragma_is(db, "PRAGMA synchronous", "2"); /* FULL */
    pragma_is(db, "PRAGMA journal_mode", "wal");
    pragma_is(db, "PRAGMA foreign_keys", "1");
    assert_int_equal(xeno_remove_tree(AT_FDCWD, dir, NULL), 0);
}

/* A killed process loses what it had not committed, and nothing else. */
static void files_are_private_and_survive_a_kill(void **state)
{
    char dir[] = "/tmp/xeno-test-db-XXXXXX", url[64], path[64];
    xeno_auto(xeno_db) db = NULL;
    struct stat st;
    int status;
    pid_t pid;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(url, sizeof url, "sqlite:%s/t.db", dir);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct xeno_db *child = NULL;

        umask(0);
        if (xeno_db_open(url, &child, NULL) < 0 ||
            xeno_db_migrate(child, schema, XENO_LEN(schema), NULL) < 0 ||
            add(child, "committed", 1, NULL) < 0 || xeno_db_begin(child, NULL) < 0 ||
            add(child, "open", 1, NULL) < 0)
            _exit(1);
        kill(getpid(), 9);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(xeno_db_open(url, &db, NULL), 0);
    assert_int_equal(count(db), 1);
    snprintf(path, sizeof path, "%s/t.db-wal", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(xeno_remove_tree(AT_FDCWD, dir, NULL), 0);
}

/* A disk error that ends the transaction must not let the rest commit piece by piece. */
static void a_lost_transaction_is_noticed(void **state)
{
    xeno_auto(xeno_db) db = open_memory();
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_db_begin(db, NULL), 0);
    assert_int_equal(add(db, "a", 1, NULL), 1);
    assert_int_equal(
        xeno_db_run(db, NULL, "INSERT OR ROLLBACK INTO acct (id, n) VALUES ('a', 1)", ""), -EEXIST);
    assert_int_equal(add(db, "b", 1, &err), -EIO);
    assert_string_equal(err.token, "db.io");
    assert_int_equal(xeno_db_begin(db, &err), -EIO);
    assert_int_equal(xeno_db_commit(db, &err), -EIO);
    assert_int_equal(count(db), 0);
    assert_int_equal(add(db, "b", 1, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(parameters_count_by_their_number),
        cmocka_unit_test(errors_are_told_apart),
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(rows_changed_are_counted),
        cmocka_unit_test(transactions_nest),
        cmocka_unit_test(a_failed_statement_is_undone_alone),
        cmocka_unit_test(one_text_twice_at_once),
        cmocka_unit_test(migration_is_all_or_nothing),
        /* of files */
        cmocka_unit_test(commits_are_flushed),
        cmocka_unit_test(files_are_private_and_survive_a_kill),
        cmocka_unit_test(a_lost_transaction_is_noticed),
    };
    const size_t of_files = 3;

    postgres = getenv("XENO_POSTGRES");
    return postgres ? _cmocka_run_group_tests("db on PostgreSQL", tests, XENO_LEN(tests) - of_files,
                                              NULL, NULL)
                    : cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
