/* src/crypto/tests/test-key.c */
#include "crypto/key.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/enc.h"
#include "base/io.h"
#include "crypto/mac.h"

/* RFC 8032 7.1, test 2. */
static const char SEED[] = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
static const char PUB[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
static const char SIG[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

static struct xeno_key *rfc_key(void)
{
    uint8_t seed[32];

    assert_true(xeno_unhex(SEED, seed, 32));
    return xeno_key_from_seed(seed);
}

static void signs_as_rfc_8032(void **state)
{
    xeno_auto(xeno_key) key = rfc_key();
    uint8_t sig[XENO_SIG_BYTES];
    char text[129];

    (void)state;
    xeno_hex(xeno_key_pub(key)->b, 32, text);
    assert_string_equal(text, PUB);
    xeno_key_sign(key, "\x72", 1, sig);
    xeno_hex(sig, sizeof sig, text);
    assert_string_equal(text, SIG);
    assert_true(xeno_pub_verify(xeno_key_pub(key), "\x72", 1, sig));
    assert_false(xeno_pub_verify(xeno_key_pub(key), "\x73", 1, sig));
    assert_false(xeno_pub_verify(xeno_key_pub(key), "\x72", 0, sig));
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= 0x80;
        assert_false(xeno_pub_verify(xeno_key_pub(key), "\x72", 1, sig));
        sig[i] ^= 0x80;
    }
}

static void ids_certify_themselves(void **state)
{
    struct xeno_env_test env;
    xeno_auto(xeno_key) a = NULL;
    xeno_auto(xeno_key) b = NULL;
    struct xeno_id ia, ib;

    (void)state;
    xeno_env_test_init(&env, xeno_s(0), 1);
    a = xeno_key_new(&env.env);
    b = xeno_key_new(&env.env);
    ia = xeno_id_of(xeno_key_pub(a));
    ib = xeno_id_of(xeno_key_pub(b));
    assert_true(xeno_id_ok(ia.s));
    assert_string_not_equal(ia.s, ib.s);
    assert_false(xeno_id_ok(""));
    assert_false(xeno_id_ok("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));
    assert_false(xeno_id_ok("abcdefghijklmnopqrstuvwxyz23456"));
    assert_false(xeno_id_ok("abcdefghijklmnopqrstuvwxyz2345670"));
    assert_true(xeno_id_ok("abcdefghijklmnopqrstuvwxyz234567"));
}

static void public_key_text(void **state)
{
    static const char *const bad[] = {
        "",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zg",   /* a letter short */
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0ZgwA", /* one too many */
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw=", /* padded */
        "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw",  /* the other alphabet */
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgx",  /* bits left over */
        " PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zg",
    };
    xeno_auto(xeno_key) key = rfc_key();
    struct xeno_pub back;
    char text[XENO_PUB_TEXT];

    (void)state;
    xeno_pub_text(xeno_key_pub(key), text);
    assert_string_equal(text, "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw");
    assert_true(xeno_pub_parse(text, &back));
    assert_memory_equal(&back, xeno_key_pub(key), sizeof back);
    for (size_t i = 0; i < XENO_LEN(bad); i++)
        assert_false(xeno_pub_parse(bad[i], &back));
}

static void base64url(void **state)
{
    static const struct {
        const char *raw, *text;
    } rows[] = { { "", "" },
                 { "f", "Zg" },
                 { "fo", "Zm8" },
                 { "foo", "Zm9v" },
                 { "foob", "Zm9vYg" },
                 { "fooba", "Zm9vYmE" },
                 { "\xfb\xff", "-_8" },
                 { "foobar", "Zm9vYmFy" } };
    static const char *const bad[] = {
        "Z", "Zg==", "Zh", "Zm9", "Zm9v\n", "Zm 9v", "+/8", "Zm9v."
    };
    size_t len;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text = xeno_b64url(rows[i].raw, strlen(rows[i].raw));
        xeno_autofree char *raw = xeno_unb64url(rows[i].text, strlen(rows[i].text), 6, &len);

        assert_string_equal(text, rows[i].text);
        assert_non_null(raw);
        assert_int_equal(len, strlen(rows[i].raw));
        assert_string_equal(raw, rows[i].raw);
    }
    for (size_t i = 0; i < XENO_LEN(bad); i++)
        assert_null(xeno_unb64url(bad[i], strlen(bad[i]), 100, &len));
    assert_null(xeno_unb64url("Zm9vYmFy", 8, 5, &len));
    assert_null(xeno_unb64url("Zm9vYg", 6, 3, &len));
}

static void sha256(void **state)
{
    static const char ABC[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    xeno_auto(xeno_sha256) h = xeno_sha256_new();
    uint8_t sum[32];
    char text[XENO_DIGEST_TEXT];

    (void)state;
    xeno_sha256_of("abc", 3, sum);
    xeno_digest_text(sum, text);
    assert_string_equal(text, ABC);
    for (int round = 0; round < 2; round++) { /* it starts over */
        xeno_sha256_add(h, "a", 1);
        xeno_sha256_add(h, "", 0);
        xeno_sha256_add(h, "bc", 2);
        xeno_sha256_end(h, sum);
        xeno_digest_text(sum, text);
        assert_string_equal(text, ABC);
    }
    assert_true(xeno_digest_ok(ABC));
    assert_false(xeno_digest_ok("sha256:ba78"));
    assert_false(xeno_digest_ok("md5:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20"));
}

static void key_files(void **state)
{
    char dir[] = "/tmp/test-key-XXXXXX";
    xeno_autoclose int fd = -1;
    xeno_auto(xeno_key) key = rfc_key();
    xeno_auto(xeno_key) back = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(xeno_key_save(key, fd, "key.pem", &err), 0);
    assert_int_equal(fstatat(fd, "key.pem", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(xeno_key_load(fd, "key.pem", &back, &err), 0);
    assert_memory_equal(xeno_key_pub(key), xeno_key_pub(back), sizeof(struct xeno_pub));

    assert_int_equal(fchmodat(fd, "key.pem", 0640, 0), 0);
    assert_true(xeno_key_load(fd, "key.pem", &back, &err) < 0);
    assert_string_equal(err.token, "key.mode");
    assert_true(xeno_key_load(fd, "none.pem", &back, &err) < 0);
    assert_string_equal(err.token, "key.read");
    assert_int_equal(symlinkat("key.pem", fd, "link.pem"), 0);
    assert_true(xeno_key_load(fd, "link.pem", &back, &err) < 0);
    assert_string_equal(err.token, "key.read");
    assert_true(xeno_key_save(key, fd, "no/such/key.pem", &err) < 0);
    assert_string_equal(err.token, "key.write");
    assert_int_equal(xeno_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void pem_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
        /* a P-256 key */
        "-----BEGIN PRIVATE KEY-----\n"
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n"
        "OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n"
        "1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n"
        "-----END PRIVATE KEY-----\n",
    };
    xeno_auto(xeno_key) key = NULL;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        assert_true(xeno_key_from_pem(bad[i], &key, &err) < 0);
        assert_string_equal(err.token, "key.format");
        assert_null(key);
    }
}

static void compares(void **state)
{
    char a[4] = "abc", b[4] = "abd";

    (void)state;
    assert_true(xeno_equal_secret(a, a, 3));
    assert_false(xeno_equal_secret(a, b, 3));
    assert_true(xeno_equal_secret(a, b, 2));
    xeno_wipe(a, sizeof a);
    assert_memory_equal(a, "\0\0\0", 4);
}

/* SipHash-2-4's own vector; that of BLAKE2b is Python's hashlib's. */
static void keyed_hashes(void **state)
{
    uint8_t key[XENO_MAC_KEY_BYTES], text[15], mac[XENO_MAC_BYTES], want[XENO_MAC_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)i;
    xeno_mac(key, "abc", 3, mac);
    assert_true(xeno_unhex("1a64be47e4729d951c302ee543f97cf3", want, sizeof want));
    assert_memory_equal(mac, want, sizeof want);
    assert_true(xeno_short_hash(key, text, sizeof text) == UINT64_C(0xa129ca6149be45e5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_rfc_8032),
        cmocka_unit_test(ids_certify_themselves),
        cmocka_unit_test(public_key_text),
        cmocka_unit_test(base64url),
        cmocka_unit_test(sha256),
        cmocka_unit_test(key_files),
        cmocka_unit_test(pem_refuses),
        cmocka_unit_test(compares),
        cmocka_unit_test(keyed_hashes),
    };

    xeno_crypto_init();
    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
