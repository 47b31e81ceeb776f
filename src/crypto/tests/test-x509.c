/* src/crypto/tests/test-x509.c */
#include "crypto/x509.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/enc.h"
#include "base/io.h"

static const xeno_time START = xeno_s(1795000000), DAY = xeno_s(86400);

struct world {
    struct xeno_env_test env;
    struct xeno_key *ca, *key;
    char *ca_pem;
};

static int set_up(void **state)
{
    struct world *w = xeno_new0(struct world);

    xeno_env_test_init(&w->env, START, 7);
    w->ca = xeno_key_new(&w->env.env);
    w->key = xeno_key_new(&w->env.env);
    assert_int_equal(
        xeno_ca_make(w->ca, START, xeno_time_add(START, xeno_s(10 * 86400)), &w->ca_pem, NULL), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    xeno_key_free(w->ca);
    xeno_key_free(w->key);
    free(w->ca_pem);
    free(w);
    return 0;
}

static struct xeno_cert_spec spec_of(struct world *w, enum xeno_party kind)
{
    struct xeno_cert_spec spec = { .kind = kind,
                                   .pub = *xeno_key_pub(w->key),
                                   .not_before = START,
                                   .not_after = xeno_time_add(START, DAY) };

    xeno_cert_serial(&w->env.env, spec.serial);
    return spec;
}

static void credential_both_ways(void **state)
{
    static const char *const attrs[] = { "role=operator", "pseudonym=1", NULL };
    static const char *const hosts[] = { "127.0.0.1", "::1", "x1.example.org", NULL };
    struct world *w = *state;

    for (int kind = XENO_PARTY_CLIENT; kind <= XENO_PARTY_CORP; kind++) {
        struct xeno_cert_spec spec = spec_of(w, (enum xeno_party)kind);
        xeno_autofree char *pem = NULL;
        xeno_auto(xeno_cert) cert = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        char serial[41];

        spec.attrs = attrs;
        spec.hosts = hosts;
        assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, &err), 0);
        assert_int_equal(xeno_cert_parse(pem, 0, &cert, &err), 0);
        assert_int_equal(cert->kind, kind);
        assert_string_equal(cert->id.s, xeno_id_of(xeno_key_pub(w->key)).s);
        assert_string_equal(cert->issuer.s, xeno_id_of(xeno_key_pub(w->ca)).s);
        assert_memory_equal(&cert->pub, xeno_key_pub(w->key), sizeof cert->pub);
        assert_true(cert->not_before.ns == START.ns);
        assert_true(cert->not_after.ns == START.ns + DAY.ns);
        xeno_hex(spec.serial, 20, serial);
        assert_string_equal(cert->serial, serial);
        assert_int_equal(cert->attr_count, 2);
        assert_true(cert->pseudonym);
        assert_string_equal(xeno_cert_attr(cert, "role"), "operator");
        assert_null(xeno_cert_attr(cert, "rol"));
        assert_int_equal(xeno_cert_check(pem, 0, w->ca_pem, START, &err), 0);
    }
}

static void trust_and_time(void **state)
{
    struct world *w = *state;
    struct xeno_cert_spec spec = spec_of(w, XENO_PARTY_CLIENT);
    xeno_auto(xeno_key) rogue = xeno_key_new(&w->env.env);
    xeno_autofree char *pem = NULL;
    xeno_autofree char *rogue_ca = NULL;
    xeno_autofree char *rogue_pem = NULL;
    xeno_autofree char *both = NULL;
    xeno_autofree char *under = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_time end = xeno_time_add(START, DAY);

    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), 0);
    assert_int_equal(xeno_ca_make(rogue, START, end, &rogue_ca, NULL), 0);
    assert_int_equal(xeno_cert_make(rogue, rogue_ca, &spec, &rogue_pem, NULL), 0);

    assert_int_equal(xeno_cert_check(rogue_pem, 0, w->ca_pem, START, &err), -EPERM);
    assert_string_equal(err.token, "x509.untrusted");
    assert_int_equal(xeno_cert_check(pem, 0, w->ca_pem, xeno_ns(START.ns - 1), &err), -EPERM);
    assert_string_equal(err.token, "x509.early");
    assert_int_equal(xeno_cert_check(pem, 0, w->ca_pem, xeno_ns(end.ns - 1), &err), 0);
    assert_int_equal(xeno_cert_check(pem, 0, w->ca_pem, end, &err), -EPERM);
    assert_string_equal(err.token, "x509.expired");

    /* Several CAs may be trusted at once. */
    both = xeno_asprintf("%s%s", rogue_ca, w->ca_pem);
    assert_int_equal(xeno_cert_check(pem, 0, both, START, &err), 0);
    assert_int_equal(xeno_cert_check(rogue_pem, 0, both, START, &err), 0);
    assert_int_equal(xeno_cert_check(pem, 0, "", START, &err), -EPERM);
    assert_string_equal(err.token, "x509.untrusted");

    /* The name of the CA with another key below it: its issuer fits, its signature does not. */
    assert_int_equal(xeno_cert_make(rogue, w->ca_pem, &spec, &under, NULL), 0);
    assert_int_equal(xeno_cert_check(under, 0, w->ca_pem, START, &err), -EPERM);
    assert_string_equal(err.token, "x509.untrusted");
}

/* The holder of a credential is no CA, whatever it signs. */
static void leaf_signs_nothing(void **state)
{
    struct world *w = *state;
    struct xeno_cert_spec spec = spec_of(w, XENO_PARTY_SERVER);
    xeno_autofree char *leaf = NULL;
    xeno_autofree char *below = NULL;
    xeno_autofree char *chain = NULL;
    xeno_auto(xeno_key) other = xeno_key_new(&w->env.env);
    struct xeno_pub pub;
    struct xeno_err err = XENO_ERR_INIT;

    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &leaf, NULL), 0);
    spec.pub = *xeno_key_pub(other);
    assert_int_equal(xeno_cert_make(w->key, leaf, &spec, &below, NULL), 0);
    assert_int_equal(xeno_cert_check(below, 0, w->ca_pem, START, &err), -EPERM);
    assert_int_equal(xeno_cert_check(below, 0, leaf, START, &err), -EPERM);
    chain = xeno_asprintf("%s%s", below, leaf);
    assert_int_equal(xeno_cert_check(chain, 0, w->ca_pem, START, &err), -EPERM);
    assert_int_equal(xeno_ca_pub(leaf, &pub, &err), -EINVAL);
    assert_string_equal(err.token, "x509.name");
    assert_int_equal(xeno_ca_pub(w->ca_pem, &pub, &err), 0);
    assert_memory_equal(&pub, xeno_key_pub(w->ca), sizeof pub);
}

static const char *const bad_hosts[][2] = { { "" }, { "a b" }, { "x\n" }, { "a/b" }, { "*" } };
static const char *const bad_attrs[][2] = { { "" }, { "=1" }, { "role" }, { "a b=1" }, { "a=\n" } };

static void refuses_bad_specs(void **state)
{
    struct world *w = *state;
    struct xeno_cert_spec spec = spec_of(w, XENO_PARTY_SERVER);
    const char *many[XENO_CERT_ATTRS + 2] = { NULL };
    char *pem = NULL;

    for (size_t i = 0; i < XENO_LEN(bad_hosts); i++) {
        spec.hosts = bad_hosts[i];
        assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), -EINVAL);
    }
    spec.hosts = NULL;
    for (size_t i = 0; i < XENO_LEN(bad_attrs); i++) {
        spec.attrs = bad_attrs[i];
        assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), -EINVAL);
    }
    for (size_t i = 0; i <= XENO_CERT_ATTRS; i++)
        many[i] = "a=1";
    spec.attrs = many;
    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), -EINVAL);
    spec.attrs = NULL;
    spec.serial[0] = 0x80;
    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), -EINVAL);
    spec.serial[0] = 0;
    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), -EINVAL);
    assert_null(pem);
}

static void requests(void **state)
{
    struct world *w = *state;
    xeno_autofree char *pem = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_pub pub;

    assert_int_equal(xeno_csr_make(w->key, &pem, &err), 0);
    assert_int_equal(xeno_csr_check(pem, &pub, &err), 0);
    assert_memory_equal(&pub, xeno_key_pub(w->key), sizeof pub);
    /* Whatever is changed in its text, it is refused or still says the same. */
    for (char *p = strchr(pem, '\n') + 1; *p != '-'; p++) {
        char was = *p;

        *p = was == 'Q' ? 'R' : 'Q';
        if (xeno_csr_check(pem, &pub, NULL) == 0)
            assert_memory_equal(&pub, xeno_key_pub(w->key), sizeof pub);
        *p = was;
    }
    assert_int_equal(xeno_csr_check("", &pub, &err), -EINVAL);
    assert_string_equal(err.token, "x509.csr");
}

static void parse_refuses(void **state)
{
    struct world *w = *state;
    struct xeno_cert_spec spec = spec_of(w, XENO_PARTY_CLIENT);
    xeno_autofree char *pem = NULL;
    xeno_autofree char *huge = xeno_alloc0(XENO_CERT_PEM_MAX + 2, 1);
    xeno_auto(xeno_cert) cert = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    memset(huge, 'A', XENO_CERT_PEM_MAX + 1);
    assert_int_equal(xeno_cert_parse("", 0, &cert, &err), -EINVAL);
    assert_int_equal(xeno_cert_parse("\x30\x03\x02\x01", 4, &cert, &err), -EINVAL);
    assert_int_equal(xeno_cert_parse(huge, 0, &cert, &err), -EINVAL);
    assert_string_equal(err.token, "x509.format");
    assert_null(cert);
    /* A changed text never passes the check. */
    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), 0);
    for (char *p = strchr(pem, '\n') + 1; p < strstr(pem, "-----END"); p += 7) {
        char was = *p;

        *p = was == 'Q' ? 'R' : 'Q';
        assert_true(xeno_cert_check(pem, 0, w->ca_pem, START, NULL) < 0);
        *p = was;
    }
    /* A CA's own certificate reads as the XenoCorp. */
    assert_int_equal(xeno_cert_parse(w->ca_pem, 0, &cert, &err), 0);
    assert_int_equal(cert->kind, XENO_PARTY_CORP);
    assert_string_equal(cert->id.s, cert->issuer.s);
}

static int command(const char *dir, const char *fmt, ...)
{
    xeno_autofree char *args = NULL;
    xeno_autofree char *line = NULL;
    va_list ap;
    int r;

    va_start(ap, fmt);
    args = xeno_vasprintf(fmt, ap);
    va_end(ap);
    line = xeno_asprintf("cd %s && openssl %s >out 2>&1", dir, args);
    r = system(line);
    return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

/* Somebody else's X.509 reads our credentials, keys and requests. */
static void openssl_agrees(void **state)
{
    struct world *w = *state;
    char dir[] = "/tmp/test-x509-XXXXXX";
    xeno_autoclose int fd = -1;
    xeno_autofree char *pem = NULL;
    xeno_autofree char *csr = NULL;
    static const char *const hosts[] = { "127.0.0.1", "x1.example.org", NULL };
    struct xeno_cert_spec spec = spec_of(w, XENO_PARTY_SERVER);
    long long at = START.ns / XENO_NS_PER_S + 60;

    if (system("openssl version >/dev/null 2>&1") != 0)
        skip();
    spec.hosts = hosts;
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(xeno_cert_make(w->ca, w->ca_pem, &spec, &pem, NULL), 0);
    assert_int_equal(xeno_csr_make(w->key, &csr, NULL), 0);
    assert_int_equal(xeno_file_write(fd, "ca.pem", 0644, w->ca_pem, strlen(w->ca_pem), NULL), 0);
    assert_int_equal(xeno_file_write(fd, "cert.pem", 0644, pem, strlen(pem), NULL), 0);
    assert_int_equal(xeno_file_write(fd, "csr.pem", 0644, csr, strlen(csr), NULL), 0);
    assert_int_equal(xeno_key_save(w->key, fd, "key.pem", NULL), 0);
    assert_int_equal(command(dir, "verify -x509_strict -CAfile ca.pem -attime %lld cert.pem", at),
                     0);
    assert_int_equal(command(dir,
                             "verify -x509_strict -CAfile ca.pem -attime %lld -purpose sslserver "
                             "-verify_ip 127.0.0.1 cert.pem",
                             at),
                     0);
    assert_int_not_equal(command(dir,
                                 "verify -CAfile ca.pem -attime %lld -verify_hostname other.org "
                                 "cert.pem",
                                 at),
                         0);
    assert_int_equal(command(dir, "req -verify -noout -in csr.pem"), 0);
    assert_int_equal(command(dir, "pkey -in key.pem -pubout -out pub1.pem"), 0);
    assert_int_equal(command(dir, "x509 -in cert.pem -pubkey -noout -out pub2.pem"), 0);
    assert_int_equal(xeno_remove_tree(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credential_both_ways),
        cmocka_unit_test(trust_and_time),
        cmocka_unit_test(leaf_signs_nothing),
        cmocka_unit_test(refuses_bad_specs),
        cmocka_unit_test(requests),
        cmocka_unit_test(parse_refuses),
        cmocka_unit_test(openssl_agrees),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
