/* bench/xis/dump.c - the same adverts as each peer wants them: bench-xis-dump WHAT N [DATABASE].
 *
 *   redis   commands for redis-cli --pipe: a sorted set a token, by number or by text
 *   sql     lines for COPY value (token, n, s, id)
 *   ldif    entries for slapadd; numbers in thousandths, since LDAP's integers have no fraction
 *   deltas  of each the signed numbers that a refresh moves, eight with the lease
 *   xisd    rows, signed, right into xisd's database, as after a long life of its own
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "xis/gen.h"

#define LEASE_S 7200

static void redis_arg(const char *text, size_t len)
{
    printf("$%zu\r\n", len);
    fwrite(text, 1, len, stdout);
    printf("\r\n");
}

static void redis(const struct xeno_leaf *l, const char *id)
{
    char key[XENO_ADVERT_PATH + 3], member[XENO_ADVERT_VALUE + XENO_ID_CHARS + 2];
    int len;

    snprintf(key, sizeof key, "%c:%s", l->number ? 'n' : 's', l->path);
    printf("*4\r\n");
    redis_arg("ZADD", 4);
    redis_arg(key, strlen(key));
    redis_arg(l->number ? l->value : "0", l->number ? strlen(l->value) : 1);
    if (l->number) {
        redis_arg(id, XENO_ID_CHARS);
        return;
    }
    len = snprintf(member, sizeof member, "%s%c%s", l->value, 0, id);
    redis_arg(member, (size_t)len);
}

static void sql(const struct xeno_leaf *l, const char *id)
{
    printf("%s\t%s\t%s\t%s\n", l->path, l->number ? l->value : "\\N", l->number ? "\\N" : l->value,
           id);
}

/* "Machine/CPU" as "xMachineCPU". */
static void ldif(const struct xeno_leaf *l)
{
    putchar('x');
    for (const char *p = l->path; *p; p++)
        if (*p != '/')
            putchar(*p);
    if (l->number)
        printf(": %.0f\n", round(l->n * 1000));
    else
        printf(": %s\n", l->value);
}

static void leaves(const char *what, const struct xeno_advert *a)
{
    if (strcmp(what, "ldif") == 0)
        printf("dn: cn=%s,dc=xis\nobjectClass: xAdvert\ncn: %s\n", a->id.s, a->id.s);
    for (size_t i = 0; i < a->leaf_count; i++) {
        const struct xeno_leaf *l = &a->leaves[i];

        if (strcmp(what, "redis") == 0)
            redis(l, a->id.s);
        else if (strcmp(what, "sql") == 0)
            sql(l, a->id.s);
        else
            ldif(l);
    }
    if (strcmp(what, "ldif") == 0)
        putchar('\n');
}

static void store(struct xeno_db *db, const struct xeno_advert *a, int64_t seq)
{
    if (xeno_db_run(
            db, NULL,
            "INSERT INTO xis_advert (id, version, base, expires_ms, seq, withdrawn, carrier,"
            " jws, delta) VALUES ($1, $2, $2, $3, $4, 0, $1, $5, NULL)",
            "tiiit", a->id.s, a->version, a->expires.ns / XENO_NS_PER_MS, seq, a->jws) < 0)
        abort();
}

static void delta(const struct xeno_key *key, uint32_t n, const struct xeno_advert *whole,
                  xeno_time expires)
{
    xeno_auto(xeno_advert_maker) m =
        gen_maker(key, n, 1, whole->version + 1, xeno_time_add(expires, xeno_s(60)));
    xeno_autofree char *text = NULL;

    if (xeno_advert_sign_delta(m, whole, key, &text) != 1)
        abort();
    puts(text);
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 2 ? (uint32_t)atol(argv[2]) : 0;
    xeno_time expires = xeno_time_add(xeno_wall(xeno_env_real()), xeno_s(LEASE_S));
    xeno_auto(xeno_db) db = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    xeno_crypto_init();
    if (n == 0 || (strcmp(argv[1], "xisd") == 0) != (argc == 4)) {
        fprintf(stderr,
                "usage: bench-xis-dump redis|sql|ldif|deltas N, bench-xis-dump xisd N DATABASE\n");
        return 2;
    }
    if (argc == 4 && (xeno_db_open(argv[3], &db, &err) < 0 || xeno_db_begin(db, &err) < 0)) {
        fprintf(stderr, "bench-xis-dump: %s\n", err.text);
        return 1;
    }
    for (uint32_t i = 0; i < n; i++) {
        xeno_auto(xeno_key) key = gen_key(i);
        xeno_autofree char *text = gen_advert(key, i, 0, expires);
        xeno_auto(xeno_advert) a = NULL;

        if (!text || xeno_advert_reopen(text, strlen(text), &a, NULL) < 0)
            abort();
        if (db)
            store(db, a, (int64_t)i + 1);
        else if (strcmp(argv[1], "deltas") == 0)
            delta(key, i, a, expires);
        else
            leaves(argv[1], a);
    }
    if (db && (xeno_db_run(db, &err, "UPDATE xis_clock SET seq = $1", "i", (int64_t)n) < 0 ||
               xeno_db_commit(db, &err) < 0)) {
        fprintf(stderr, "bench-xis-dump: %s\n", err.text);
        return 1;
    }
    return 0;
}
