/* bench/ledger/plain.c - a raw log, and a ledger without groups. */
#include "ledger/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ledger/world.h"
#include "xenocorpd/store.h"

#define ACCOUNTS 100

double plain_append(const char *dir, double seconds)
{
    xeno_autofree char *path = xeno_asprintf("%s/raw.log", dir);
    xeno_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    static char page[4096];
    double start = world_now(), now = start;
    long n = 0;

    for (; now - start < seconds; n++, now = world_now()) {
        if (fd < 0 || write(fd, page, sizeof page) != sizeof page || fdatasync(fd) < 0) {
            fprintf(stderr, "bench-ledger: %s: %s\n", path, strerror(errno));
            exit(1);
        }
    }
    return (double)n / (now - start);
}

static void run(struct xeno_db *db, const char *sql, int64_t a, int64_t b, int64_t c)
{
    struct xeno_err err = XENO_ERR_INIT;

    world_must(xeno_db_run(db, &err, sql, "iii", a, b, c), &err, sql);
}

static void charge(struct xeno_db *db, int64_t n)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t from = n % ACCOUNTS, to = (n + 1) % ACCOUNTS;

    world_must(xeno_db_begin(db, &err), &err, "begin");
    run(db, "INSERT INTO charge (session, seq, amount) VALUES ($1, $2, $3)", from, n, 100);
    run(db, "INSERT INTO entry (charge, account, amount) VALUES ($1, $2, $3)", n, from, -100);
    run(db, "INSERT INTO entry (charge, account, amount) VALUES ($1, $2, $3)", n, to, 100);
    run(db, "UPDATE account SET balance = balance - $1, n = n WHERE n = $2 + 0 * $3", 100, from, 0);
    run(db, "UPDATE account SET balance = balance + $1, n = n WHERE n = $2 + 0 * $3", 100, to, 0);
    world_must(xeno_db_commit(db, &err), &err, "commit");
}

double plain_sql(const char *dir, double seconds)
{
    static const char *const schema[] = {
        "CREATE TABLE charge (session bigint, seq bigint, amount bigint,"
        " PRIMARY KEY (session, seq)) WITHOUT ROWID;"
        "CREATE TABLE entry (charge bigint, account bigint, amount bigint);"
        "CREATE TABLE account (n INTEGER PRIMARY KEY, balance bigint);",
    };
    xeno_autofree char *url = xeno_asprintf("sqlite:%s/plain.db", dir);
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_db) db = NULL;
    double start, now;
    int64_t n = 0;

    world_must(store_open(url, &db, &err), &err, "database");
    world_must(xeno_db_migrate(db, schema, 1, &err), &err, "schema");
    for (int64_t i = 0; i < ACCOUNTS; i++)
        run(db, "INSERT INTO account (n, balance) VALUES ($1, $2 + $3)", i, 0, 0);
    for (start = now = world_now(); now - start < seconds; n++, now = world_now())
        charge(db, n);
    return (double)n / (now - start);
}
