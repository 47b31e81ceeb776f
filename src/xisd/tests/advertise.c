/* src/xisd/tests/advertise.c - a XenoServer's adverts as text, for tests and benches that have no
 * XenoServer.
 *
 *     advertise [OPTION=VALUE...] [TOKEN=VALUE...]      prints the signed text
 *
 *     seed=N        the key is made of it; the same N is the same XenoServer (1)
 *     version=N     (1)           lease-ms=N   from now, may be below zero (3600000)
 *     corp=ID       (its own id)  endpoint=URL
 *     base=FILE     the delta to that advert; withdraw=yes  a withdrawal
 *     typ=TYP payload=FILE        that text, signed as that, whatever it is
 *     many=N        so many, from that seed on, each a line
 *     print=id      the id instead
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "crypto/jws.h"
#include "xis/advert.h"

#define LEAVES 512

static struct {
    int64_t seed, version, lease_ms, many;
    const char *corp, *endpoint, *base, *withdraw, *typ, *payload, *print;
    char *leaves[LEAVES];
    size_t count;
} opt = {
    .seed = 1, .version = 1, .lease_ms = 3600000, .many = 1, .endpoint = "https://192.0.2.1:8443"
};

static void die(const struct xeno_err *err)
{
    fprintf(stderr, "advertise: %s: %s\n", err->token, err->text);
    exit(EXIT_FAILURE);
}

static void take(char *arg)
{
    static const struct {
        const char *name;
        int64_t *number;
        const char **text;
    } rows[] = {
        { "seed", &opt.seed, NULL },         { "version", &opt.version, NULL },
        { "lease-ms", &opt.lease_ms, NULL }, { "many", &opt.many, NULL },
        { "corp", NULL, &opt.corp },         { "endpoint", NULL, &opt.endpoint },
        { "base", NULL, &opt.base },         { "withdraw", NULL, &opt.withdraw },
        { "typ", NULL, &opt.typ },           { "payload", NULL, &opt.payload },
        { "print", NULL, &opt.print },
    };
    char *value = strchr(arg, '=');

    if (!value)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        if (strlen(rows[i].name) != (size_t)(value - arg) ||
            strncmp(arg, rows[i].name, (size_t)(value - arg)) != 0)
            continue;
        if (rows[i].number)
            *rows[i].number = strtoll(value + 1, NULL, 10);
        else
            *rows[i].text = value + 1;
        return;
    }
    if (opt.count < LEAVES)
        opt.leaves[opt.count++] = arg;
}

static char *read_text(const char *path, size_t max, size_t *ret_len)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;

    if (xeno_file_read(AT_FDCWD, path, max, &text, ret_len, &err) < 0)
        die(&err);
    while (*ret_len > 0 && text[*ret_len - 1] == '\n')
        text[--*ret_len] = '\0';
    return text;
}

/* A value that begins with "%" is that XenoServer's number in a range: "%100" is below 100. */
static void add_leaves(struct xeno_advert_maker *m, uint64_t seed)
{
    for (size_t i = 0; i < opt.count; i++) {
        char *value = strchr(opt.leaves[i], '=');
        xeno_autofree char *path = xeno_strndup(opt.leaves[i], (size_t)(value - opt.leaves[i]));
        uint64_t below = value[1] == '%' ? strtoull(value + 2, NULL, 10) : 0;

        if (below > 0)
            xeno_advert_add_int(m, path,
                                (int64_t)((seed * UINT64_C(2654435761) + i * 40503) % below));
        else
            xeno_advert_add(m, path, value + 1);
    }
}

static char *make(const struct xeno_key *key, xeno_time expires, uint64_t seed)
{
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));
    const char *corps[] = { opt.corp ? opt.corp : id.s, NULL }, *isolation[] = { "null", NULL };
    const struct xeno_advert_head head = { .version = opt.version,
                                           .expires = expires,
                                           .endpoint = opt.endpoint,
                                           .corps = corps,
                                           .isolation = isolation };
    xeno_auto(xeno_advert_maker) m = xeno_advert_maker_new(xeno_key_pub(key), &head);
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;

    add_leaves(m, seed);
    if (opt.base) {
        xeno_auto(xeno_advert) whole = NULL;
        size_t len;
        xeno_autofree char *base = read_text(opt.base, XENO_JWS_MAX, &len);

        if (xeno_advert_open(base, len, &whole, &err) < 0)
            die(&err);
        if (xeno_advert_sign_delta(m, whole, key, &text) != 1)
            exit(EXIT_FAILURE);
        return text;
    }
    if (xeno_advert_sign(m, key, &text, &err) < 0)
        die(&err);
    return text;
}

static void one(uint64_t seed)
{
    uint8_t bytes[32] = { 'x', 'i', 's' };
    xeno_auto(xeno_key) key = NULL;
    xeno_autofree char *text = NULL;
    xeno_time expires;

    for (size_t i = 0; i < 8; i++)
        bytes[24 + i] = (uint8_t)(seed >> 8 * i);
    key = xeno_key_from_seed(bytes);
    expires = xeno_time_add(xeno_wall(xeno_env_real()), xeno_ms(opt.lease_ms));
    expires.ns -= expires.ns % XENO_NS_PER_MS;
    if (opt.print) {
        text = xeno_strdup(xeno_id_of(xeno_key_pub(key)).s);
    } else if (opt.payload) {
        size_t len;
        xeno_autofree char *payload = read_text(opt.payload, XENO_JWS_MAX, &len);

        text = xeno_jws_sign(key, opt.typ ? opt.typ : XENO_ADVERT_TYP, payload, len);
    } else if (opt.withdraw) {
        text = xeno_advert_sign_withdrawal(key, opt.version, expires);
    } else {
        text = make(key, expires, seed);
    }
    printf(opt.many > 1 || opt.print ? "%s\n" : "%s", text);
}

int main(int argc, char **argv)
{
    xeno_crypto_init();
    for (int i = 1; i < argc; i++)
        take(argv[i]);
    for (int64_t i = 0; i < opt.many; i++)
        one((uint64_t)(opt.seed + i));
    return EXIT_SUCCESS;
}
