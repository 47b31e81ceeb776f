/* sim/test-journal-faults.c - an economy in which the XenoServers' journals fail at random: begin,
 * a statement, a commit. What could not be written has not happened, memory and journal go on
 * agreeing, and in the end the same sums come out.
 *
 * The linker puts the functions below in front of src/db's; XenoCorp's own books are spared (they
 * have a test of their own).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "db/db.h"
#include "sim/economy.h"
#include "spec/requirement.h"

#define HOUR_MS INT64_C(3600000)

static struct economy *victim; /* NULL: nothing fails */
static int64_t hits;

static bool faulty(const struct xeno_db *db)
{
    if (!victim || db == victim->corp.db || !world_chance(&victim->w, victim->w.faults.journal))
        return false;
    hits++;
    return true;
}

#define FAULT(err) xeno_fail((err), -EIO, "db.io", "a fault was put here")

int __real_xeno_query_begin(struct xeno_db *, struct xeno_query *, const char *, struct xeno_err *);
int __wrap_xeno_query_begin(struct xeno_db *, struct xeno_query *, const char *, struct xeno_err *);
int __wrap_xeno_query_begin(struct xeno_db *db, struct xeno_query *q, const char *sql,
                            struct xeno_err *err)
{
    return faulty(db) ? FAULT(err) : __real_xeno_query_begin(db, q, sql, err);
}

int __real_xeno_query_step(struct xeno_query *, struct xeno_err *);
int __wrap_xeno_query_step(struct xeno_query *, struct xeno_err *);
int __wrap_xeno_query_step(struct xeno_query *q, struct xeno_err *err)
{
    return faulty(q->db) ? FAULT(err) : __real_xeno_query_step(q, err);
}

int __real_xeno_db_begin(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_begin(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_begin(struct xeno_db *db, struct xeno_err *err)
{
    return faulty(db) ? FAULT(err) : __real_xeno_db_begin(db, err);
}

/* A commit that fails undoes the transaction, as src/db does. */
int __real_xeno_db_commit(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_commit(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_commit(struct xeno_db *db, struct xeno_err *err)
{
    if (!faulty(db))
        return __real_xeno_db_commit(db, err);
    xeno_db_rollback(db);
    return FAULT(err);
}

/* Whole statements take their arguments by "...": pass them on as the query they are. */
static void bind_all(struct xeno_query *q, const char *types, va_list ap)
{
    for (int i = 1; *types; types++, i++) {
        if (*types == 'i') {
            xeno_query_int(q, i, va_arg(ap, int64_t));
        } else if (*types == 't') {
            xeno_query_text(q, i, va_arg(ap, const char *));
        } else {
            const void *data = va_arg(ap, const void *);

            xeno_query_blob(q, i, data, va_arg(ap, size_t));
        }
    }
}

/* Rows changed on this connection so far. */
static int64_t changes(struct xeno_db *db)
{
    xeno_autoquery q = XENO_QUERY_INIT;

    if (__real_xeno_query_begin(db, &q, "SELECT total_changes()", NULL) < 0 ||
        __real_xeno_query_step(&q, NULL) <= 0)
        return 0;
    return xeno_query_col_int(&q, 0);
}

int __wrap_xeno_db_run(struct xeno_db *, struct xeno_err *, const char *, const char *, ...);
int __wrap_xeno_db_run(struct xeno_db *db, struct xeno_err *err, const char *sql, const char *types,
                       ...)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int64_t before = changes(db);
    va_list ap;
    int r;

    r = faulty(db) ? FAULT(err) : __real_xeno_query_begin(db, &q, sql, err);
    if (r < 0)
        return r;
    va_start(ap, types);
    bind_all(&q, types, ap);
    va_end(ap);
    while ((r = __real_xeno_query_step(&q, err)) > 0)
        continue;
    return r < 0 ? r : (int)(changes(db) - before);
}

int __wrap_xeno_db_one_int(struct xeno_db *, int64_t, int64_t *, struct xeno_err *, const char *,
                           const char *, ...);
int __wrap_xeno_db_one_int(struct xeno_db *db, int64_t none, int64_t *ret, struct xeno_err *err,
                           const char *sql, const char *types, ...)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    va_list ap;
    int r;

    r = faulty(db) ? FAULT(err) : __real_xeno_query_begin(db, &q, sql, err);
    if (r < 0)
        return r;
    va_start(ap, types);
    bind_all(&q, types, ap);
    va_end(ap);
    r = __real_xeno_query_step(&q, err);
    if (r >= 0)
        *ret = r > 0 ? xeno_query_col_int(&q, 0) : none;
    return r < 0 ? r : 0;
}

int main(void)
{
    int failures = 0;

    xeno_spec_init();
    for (int n = 1; n <= 4; n++) {
        struct economy *e = xeno_new0(struct economy);
        struct economy_options o = economy_default;

        o.seed = 700 + (uint64_t)n;
        o.faults = sim_faults_usual;
        o.faults.journal = 10;
        o.sample_ms = 2000;
        o.charge_ms = 30000;
        o.act_ms = 10000;
        o.check_each = 1000;
        economy_open(e, &o);
        hits = 0;
        victim = e;
        economy_run(e, HOUR_MS / 2);
        victim = NULL;
        economy_close(e);
        printf("%s %d - journals fail, seed %llu: %lld times\n", e->w.failed ? "not ok" : "ok", n,
               (unsigned long long)o.seed, (long long)hits);
        if (e->w.failed) {
            printf("# %s\n", e->w.failure);
            failures++;
        }
        economy_release(e);
        free(e);
    }
    printf("1..4\n");
    return failures > 0;
}
