/* sim/main.c - the simulator: whole days of an economy in seconds, in TAP.
 *
 * Without options it runs what the test suite runs: a day of two XenoServers and three clients with
 * faults, an hour in which every invariant is checked after every commit, and a calm day. With
 * --seed, --hours and so on it runs one economy of that kind; a failing seed can be repeated.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/economy.h"
#include "spec/requirement.h"

#define HOUR_MS INT64_C(3600000)

struct run {
    const char *name;
    struct economy_options o;
    int64_t hours;
};

static int number = 0, failures = 0;

static void report(const struct run *run, struct economy *e, const struct economy_sums *sums)
{
    int64_t calls = 0, crashes = 0, links = 0, created = 0, refused = 0, topped_up = 0;

    for (size_t i = 0; i < e->server_count; i++) {
        calls += e->servers[i].calls;
        crashes += e->servers[i].crashes;
        links += e->servers[i].links_lost;
    }
    for (size_t i = 0; i < e->client_count; i++) {
        created += e->clients[i].created;
        refused += e->clients[i].refused;
        topped_up += e->clients[i].topped_up;
    }
    printf("# %s: seed %llu, %lld h, %lld calls, %lld host crashes, %lld XenoCorp crashes, %lld"
           " broken links\n",
           run->name, (unsigned long long)run->o.seed, (long long)run->hours, (long long)calls,
           (long long)crashes, (long long)e->corp.crashes, (long long)links);
    printf("# %lld sessions (clients made %lld, were refused %lld, topped up %lld), %lld charges,"
           " %lld commits, %lld whole checks\n",
           (long long)sums->sessions, (long long)created, (long long)refused, (long long)topped_up,
           (long long)sums->charges, (long long)e->corp.commits, (long long)e->corp.checks);
    printf("# used %lld = charged %lld; posted %lld = ledger %lld; refused %lld, forfeited %lld\n",
           (long long)sums->usage, (long long)sums->charged,
           (long long)(sums->charged - sums->refused), (long long)sums->ledger,
           (long long)sums->refused, (long long)sums->forfeited);
}

static void go(const struct run *run)
{
    struct economy *e = xeno_new0(struct economy);
    struct economy_sums sums = { .sessions = 0 };

    economy_open(e, &run->o);
    economy_run(e, run->hours * HOUR_MS);
    economy_close(e);
    if (!e->w.failed)
        sums = economy_sums(e);
    if (!e->w.failed && sums.charges == 0)
        sim_fail(&e->w, "nothing happened");
    printf("%s %d - %s\n", e->w.failed ? "not ok" : "ok", ++number, run->name);
    if (e->w.failed) {
        printf("# %s\n", e->w.failure);
        failures++;
    }
    report(run, e, &sums);
    fflush(stdout);
    economy_release(e);
    free(e);
}

static void usage(FILE *to)
{
    fprintf(to, "usage: xeno-sim [--seed N] [--runs N] [--hours N] [--servers N] [--clients N]\n"
                "                [--act-seconds N] [--sample-ms N] [--charge-ms N]\n"
                "                [--check-each N] [--calm]\n");
}

/* A number from 1 to max, or the end. */
static int64_t number_of(const char *text, int64_t max)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    if (*text == '\0' || *end != '\0' || n < 1 || n > max) {
        fprintf(stderr, "xeno-sim: '%s' is not a number from 1 to %lld\n", text, (long long)max);
        exit(2);
    }
    return n;
}

static int one_kind(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' },
        { "runs", required_argument, NULL, 'r' },
        { "hours", required_argument, NULL, 'h' },
        { "servers", required_argument, NULL, 'S' },
        { "clients", required_argument, NULL, 'c' },
        { "act-seconds", required_argument, NULL, 'a' },
        { "sample-ms", required_argument, NULL, 'm' },
        { "charge-ms", required_argument, NULL, 'g' },
        { "check-each", required_argument, NULL, 'e' },
        { "calm", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, '?' },
        { NULL, 0, NULL, 0 },
    };
    struct run run = { "economy", economy_default, 24 };
    int64_t runs = 1;
    int c;

    run.o.faults = sim_faults_usual;
    run.o.check_each = 20;
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (c) {
        case 's':
            run.o.seed = (uint64_t)number_of(optarg, INT64_MAX);
            break;
        case 'r':
            runs = number_of(optarg, 1000000);
            break;
        case 'h':
            run.hours = number_of(optarg, 24 * 366);
            break;
        case 'S':
            run.o.servers = (size_t)number_of(optarg, SIM_SERVERS_MAX);
            break;
        case 'c':
            run.o.clients = (size_t)number_of(optarg, SIM_CLIENTS_MAX);
            break;
        case 'a':
            run.o.act_ms = number_of(optarg, 86400) * 1000;
            break;
        case 'm':
            run.o.sample_ms = number_of(optarg, 60000);
            break;
        case 'g':
            run.o.charge_ms = number_of(optarg, 3600000);
            break;
        case 'e':
            run.o.check_each = (int)number_of(optarg, 1000000);
            break;
        case 'q':
            run.o.faults = sim_faults_none;
            break;
        default:
            usage(c == '?' && optopt == 0 ? stdout : stderr);
            return 2;
        }
    }
    for (; runs > 0; runs--, run.o.seed++)
        go(&run);
    return 0;
}

int main(int argc, char **argv)
{
    struct run suite[] = {
        { "a day with faults", economy_default, 24 },
        { "an hour, the whole ledger checked after every commit", economy_default, 1 },
        { "three calm hours", economy_default, 3 },
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    xeno_spec_init();
    if (argc > 1) {
        int r = one_kind(argc, argv);

        if (r != 0)
            return r;
    } else {
        suite[0].o.faults = suite[1].o.faults = sim_faults_usual;
        suite[0].o.sample_ms = suite[2].o.sample_ms = 10000;
        suite[0].o.charge_ms = suite[2].o.charge_ms = 120000;
        suite[0].o.check_each = suite[2].o.check_each = 500;
        suite[0].o.act_ms = 90000;
        suite[1].o.seed = 2;
        suite[1].o.act_ms = 40000;
        suite[1].o.charge_ms = 120000;
        suite[2].o.seed = 3;
        for (size_t i = 0; i < XENO_LEN(suite); i++)
            go(&suite[i]);
    }
    printf("1..%d\n", number);
    return failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
