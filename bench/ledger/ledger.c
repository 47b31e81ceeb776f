/* bench/ledger/ledger.c - how many durable validations and charges a second a XenoCorp takes.
 *
 *     bench-ledger [--quick] [--dir FOLDER] [--only KEY]
 *
 * The module behind xenocorpd with its group commit, on a real disk with synchronous=FULL: real
 * signatures are checked, answers are counted when their group is on the disk. Beside it, in the
 * same process: one charge a transaction by plain SQL, and a raw append and fdatasync. Prints a
 * table, then one line of JSON a row (bench/RESULTS.md has its members). "at once" is how many
 * requests are under way together. What each cost in processor time and bytes written stands beside
 * it: on a machine or a disk that others use too, that says more than the rate. --only measures one
 * row (validations_64, charges_100x32, ...): for a profiler.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "corp/ledger.h"
#include "ledger/plain.h"
#include "ledger/world.h"
#include "xenocorpd/books.h"

#define ROUND_VALIDATIONS 4000
#define ROUND_BATCHES     300

/* Sums over the measured time. */
struct cost {
    double seconds, cpu_seconds, bytes;
};

struct run {
    struct books *books;
    struct xeno_work *work;
    size_t under_way;
    size_t good, bad;
    uint64_t groups;
    struct cost cost;
};

/* A request as xenocorpd makes it, without the HTTP around it. */
struct piece {
    struct xeno_work_item item;
    struct run *run;
    struct world *world;
    char *text; /* chain or batch */
    int server, client;
    char session[XENO_SESSION_ID_CHARS + 1];
    struct xeno_validation *validation;
    struct xeno_charges *charges;
    struct xeno_charge_results results;
};

/* As soon as it is answered, as xenocorpd does. */
static void piece_release(struct piece *p)
{
    free(p->text);
    xeno_validation_free(p->validation);
    xeno_charges_free(p->charges);
    xeno_charge_results_release(&p->results);
}

/* Bytes this process had written to disks so far; 0 where the kernel does not say. */
static double written(void)
{
    FILE *f = fopen("/proc/self/io", "re");
    char line[128];
    double n = 0;

    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "write_bytes: %lf", &n);
    if (f)
        fclose(f);
    return n;
}

static struct cost cost_now(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (struct cost){
        .seconds = world_now(),
        .cpu_seconds = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
        .bytes = written(),
    };
}

/* Keep `at_once` of the pieces under way until all are done. */
static void drive(struct run *run, struct piece *pieces, size_t count, size_t at_once)
{
    struct cost from = cost_now(), to;
    size_t sent = 0;

    while (sent < count || run->under_way > 0) {
        while (sent < count && run->under_way < at_once) {
            if (!xeno_work_submit(run->work, &pieces[sent].item))
                break;
            run->under_way++;
            sent++;
        }
        struct pollfd fd = { .fd = xeno_work_fd(run->work), .events = POLLIN };

        poll(&fd, 1, 1000);
        xeno_work_collect(run->work);
    }
    to = cost_now();
    run->cost.seconds += to.seconds - from.seconds;
    run->cost.cpu_seconds += to.cpu_seconds - from.cpu_seconds;
    run->cost.bytes += to.bytes - from.bytes;
    run->groups += xeno_work_stats(run->work).groups;
}

/* --- validations --- */

static int validate_check(struct xeno_work_item *item)
{
    struct piece *p = (struct piece *)item;
    struct world *w = p->world;
    struct xeno_validate_ask ask = {
        .chain = p->text,
        .chain_len = strlen(p->text),
        .server = w->servers[p->server].id.s,
        .session = p->session,
        .env_type = "Linux",
        .holder = *xeno_key_pub(w->clients[p->client].key),
    };

    return xeno_validate_check(xeno_corp_pub(w->corp), xeno_wall(w->env), &ask, &p->validation,
                               &item->err);
}

static int validate_apply(struct xeno_work_item *item, void *user)
{
    struct piece *p = (struct piece *)item;
    struct xeno_bound bound;

    return xeno_validate_apply(books_corp(user), p->validation, &bound, &item->err);
}

static void validate_done(struct xeno_work_item *item)
{
    struct piece *p = (struct piece *)item;

    p->run->under_way--;
    p->run->good += item->result == 0;
    p->run->bad += item->result < 0;
    piece_release(p);
}

static void round_validations(struct world *w, struct run *run, size_t at_once)
{
    struct piece *pieces = xeno_new0_n(struct piece, ROUND_VALIDATIONS);
    struct xeno_err err = XENO_ERR_INIT;

    world_must(xeno_corp_begin(w->corp, &err), &err, "begin");
    for (size_t i = 0; i < ROUND_VALIDATIONS; i++) {
        struct piece *p = &pieces[i];
        char order[XENO_ORDER_ID_CHARS + 1];

        *p = (struct piece){ .run = run, .world = w };
        p->item = (struct xeno_work_item){ .check = validate_check,
                                           .apply = validate_apply,
                                           .done = validate_done,
                                           .bytes = 4096,
                                           .weight = 3 };
        p->client = (int)(i % WORLD_CLIENTS);
        p->server = (int)(i % WORLD_SERVERS);
        p->text = world_chain(w, p->client, p->server, order);
        xeno_session_id_new(w->env, p->session);
    }
    world_must(xeno_corp_commit(w->corp, &err), &err, "commit");
    run->books = books_new(w->corp);
    world_must(books_work(run->books, &xeno_work_limits_default, &run->work, &err), &err,
               "threads");
    drive(run, pieces, ROUND_VALIDATIONS, at_once);
    xeno_work_free(run->work);
    books_free(run->books);
    free(pieces);
}

/* --- charges --- */

static int charges_check(struct xeno_work_item *item)
{
    struct piece *p = (struct piece *)item;

    return xeno_charges_check(p->text, strlen(p->text),
                              xeno_key_pub(p->world->servers[p->server].key), &p->charges,
                              &item->err);
}

static int charges_apply(struct xeno_work_item *item, void *user)
{
    struct piece *p = (struct piece *)item;

    xeno_charge_results_release(&p->results);
    return xeno_charges_apply(books_corp(user), p->charges, &p->results, &item->err);
}

static void charges_done(struct xeno_work_item *item)
{
    struct piece *p = (struct piece *)item;

    p->run->under_way--;
    p->run->good += (size_t)p->results.posted;
    p->run->bad += item->result < 0 ? 1 : (size_t)p->results.refused;
    piece_release(p);
}

static void round_charges(struct world *w, struct run *run, size_t per_batch, size_t at_once)
{
    struct piece *pieces = xeno_new0_n(struct piece, ROUND_BATCHES);
    struct xeno_err err = XENO_ERR_INIT;

    for (size_t i = 0; i < ROUND_BATCHES; i++) {
        struct piece *p = &pieces[i];

        *p = (struct piece){ .run = run, .world = w };
        p->item = (struct xeno_work_item){ .check = charges_check,
                                           .apply = charges_apply,
                                           .done = charges_done,
                                           .bytes = per_batch * 1500,
                                           .weight = per_batch };
        p->text = world_batch(w, per_batch, &p->server);
    }
    run->books = books_new(w->corp);
    world_must(books_work(run->books, &xeno_work_limits_default, &run->work, &err), &err,
               "threads");
    drive(run, pieces, ROUND_BATCHES, at_once);
    xeno_work_free(run->work);
    books_free(run->books);
    free(pieces);
}

/* --- the report --- */

struct result {
    const char *key;
    size_t at_once, per_batch; /* per_batch 0: validations */
    double target;             /* DESIGN 9, a second; 0: none is for this row */
    double rate, cpu_us, bytes, group;
    size_t n;
};

static void measure(struct world *w, struct result *r, double seconds)
{
    struct run run = { NULL };
    double n;

    while (run.cost.seconds < seconds) {
        if (r->per_batch)
            round_charges(w, &run, r->per_batch, r->at_once);
        else
            round_validations(w, &run, r->at_once);
    }
    if (run.bad > 0) {
        fprintf(stderr, "bench-ledger: %s: %zu were refused\n", r->key, run.bad);
        exit(1);
    }
    n = (double)run.good;
    r->n = run.good;
    r->rate = n / run.cost.seconds;
    r->cpu_us = run.cost.cpu_seconds * 1e6 / n;
    r->bytes = run.cost.bytes / n;
    r->group = n / (double)run.groups;
}

static char *name_of(const struct result *r)
{
    if (r->per_batch == 0)
        return xeno_asprintf("validations, %zu at once", r->at_once);
    return xeno_asprintf("charges, %zu a batch, %zu at once", r->per_batch, r->at_once);
}

static void table_row(const struct result *r, double append, double sql)
{
    xeno_autofree char *name = name_of(r);

    printf("%-38s %9.0f %8.2f %8.2f %7.1f %7.0f %7.1f", name, r->rate, r->rate / append,
           r->rate / sql, r->cpu_us, r->bytes, r->group);
    if (r->target > 0)
        printf(" %9.0f %s", r->target, r->rate >= r->target ? "met" : "MISSED");
    printf("\n");
}

static void json_row(const struct result *r, double sql)
{
    xeno_autofree char *name = name_of(r);

    printf("{\"bench\":\"ledger\",\"what\":\"%s\",\"n\":%zu,\"value\":%.0f,\"unit\":\"%s/s\","
           "\"ratio\":%.2f,\"to\":\"plain SQL\",\"cpu_us\":%.1f,\"bytes\":%.0f,\"group\":%.1f",
           name, r->n, r->rate, r->per_batch ? "charges" : "validations", r->rate / sql, r->cpu_us,
           r->bytes, r->group);
    if (r->target > 0)
        printf(",\"target\":\">= %.0f\",\"met\":%s", r->target,
               r->rate >= r->target ? "true" : "false");
    printf("}\n");
}

static void report(const struct result *results, size_t count, double append, double sql)
{
    printf("%-38s %9s %8s %8s %7s %7s %7s %9s\n", "durable, per second", "", "x append", "x plain",
           "cpu us", "bytes", "a group", "target");
    printf("%-38s %9.0f %8.2f\n", "append 4 KiB and fdatasync", append, 1.0);
    printf("%-38s %9.0f %8.2f %8.2f\n", "plain SQL, one charge a transaction", sql, sql / append,
           1.0);
    for (const struct result *r = results; r < results + count; r++)
        if (r->n > 0)
            table_row(r, append, sql);
    printf("{\"bench\":\"ledger\",\"what\":\"append 4 KiB and fdatasync\",\"value\":%.0f,"
           "\"unit\":\"appends/s\",\"ratio\":%.2f,\"to\":\"plain SQL\"}\n",
           append, append / sql);
    printf("{\"bench\":\"ledger\",\"what\":\"plain SQL, one charge a transaction\","
           "\"value\":%.0f,\"unit\":\"charges/s\",\"ratio\":1,\"to\":\"plain SQL\"}\n",
           sql);
    for (const struct result *r = results; r < results + count; r++)
        if (r->n > 0)
            json_row(r, sql);
}

static void remove_files(const char *dir)
{
    static const char *const names[] = { "ledger.db", "ledger.db-wal", "ledger.db-shm",
                                         "plain.db",  "plain.db-wal",  "plain.db-shm",
                                         "raw.log" };

    for (size_t i = 0; i < XENO_LEN(names); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", dir, names[i]);

        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static int bench(const char *dir, double seconds, const char *only)
{
    struct result results[] = {
        { .key = "validations_1", .at_once = 1 },
        { .key = "validations_64", .at_once = 64 },
        { .key = "validations_256", .at_once = 256, .target = 5000 },
        { .key = "charges_1x64", .at_once = 64, .per_batch = 1 },
        { .key = "charges_100x1", .at_once = 1, .per_batch = 100 },
        { .key = "charges_100x8", .at_once = 8, .per_batch = 100 },
        { .key = "charges_100x32", .at_once = 32, .per_batch = 100, .target = 50000 },
    };
    struct xeno_err err = XENO_ERR_INIT;
    struct world w;
    double append = plain_append(dir, seconds / 2), sql = plain_sql(dir, seconds / 2);
    size_t done = 0;

    world_open(&w, dir);
    world_bind(&w);
    for (size_t i = 0; i < XENO_LEN(results); i++) {
        if (only && strcmp(only, results[i].key) != 0)
            continue;
        measure(&w, &results[i], seconds);
        done++;
    }
    world_must(xeno_ledger_check(w.db, &err), &err, "the books");
    report(results, XENO_LEN(results), append, sql);
    world_close(&w);
    return done > 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    char made[] = "/var/tmp/xeno-bench-ledger.XXXXXX";
    const char *parent = NULL, *only = NULL;
    double seconds = 2;
    int r;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            seconds = 0.3;
        } else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc) {
            parent = argv[++i];
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else {
            fprintf(stderr, "usage: bench-ledger [--quick] [--dir FOLDER] [--only KEY]\n");
            return 2;
        }
    }
    if (!parent && !mkdtemp(made)) {
        fprintf(stderr, "bench-ledger: %s: %s\n", made, strerror(errno));
        return 1;
    }
    r = bench(parent ? parent : made, seconds, only);
    if (!parent)
        remove_files(made);
    return r;
}
