/* src/image/tests/test-seen.c - what was seen of signed names: never behind, also after a crash. */
#include "image/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

#define ROUNDS 20

static char dir[64], *folder;

static struct xeno_key *key_of(uint8_t n)
{
    uint8_t seed[32] = { n };

    return xeno_key_from_seed(seed);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-seen-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    folder = xeno_asprintf("%s/.names", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(folder);
    return xeno_remove_tree(AT_FDCWD, dir, NULL);
}

static struct xeno_seen *opened(void)
{
    struct xeno_seen *s = NULL;

    assert_int_equal(xeno_seen_open(folder, true, &s, NULL), 0);
    return s;
}

/* A statement of key 1 about a/VERSION, for the image whose digest is all `letter`. */
static struct xeno_name said(const char *version, int64_t sequence, char letter, bool moves,
                             char **ret_text)
{
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_name n = { .name = "a",
                           .sequence = sequence,
                           .moves = moves,
                           .issued = xeno_ms(1),
                           .expires = xeno_ms(moves ? 2 : 0) };

    n.publisher = xeno_id_of(xeno_key_pub(key));
    snprintf(n.version, sizeof n.version, "%s", version);
    memcpy(n.digest, "sha256:", 7);
    memset(n.digest + 7, letter, 64);
    *ret_text = xeno_name_sign(key, &n);
    return n;
}

static int take(struct xeno_seen *s, const char *version, int64_t sequence, char letter, bool moves,
                struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    struct xeno_name n = said(version, sequence, letter, moves, &text);

    return xeno_seen_take(s, &n, text, err);
}

static int64_t last_of(struct xeno_seen *s, const char *version)
{
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));
    xeno_autofree char *text = NULL;
    struct xeno_name n;

    if (xeno_seen_last(s, &id, "a", version, &n, &text, NULL) < 0)
        return 0;
    assert_non_null(strstr(text, "."));
    return n.sequence;
}

static char *file_of(const char *version, const char *end)
{
    xeno_auto(xeno_key) key = key_of(1);

    return xeno_asprintf("%s/%s@a@%s@%s", folder, xeno_id_of(xeno_key_pub(key)).s, version, end);
}

static void in_sequence(void **state)
{
    static const struct {
        const char *what, *version;
        int64_t sequence;
        char letter;
        bool moves;
        const char *token; /* NULL: taken */
        int64_t last;
    } rows[] = {
        { "the first", "m", 5, 'a', true, NULL, 5 },
        { "again", "m", 5, 'a', true, NULL, 5 },
        { "it moves", "m", 6, 'b', true, NULL, 6 },
        { "the old one put back", "m", 5, 'a', true, "name.rollback", 6 },
        { "older still, never seen", "m", 4, 'c', true, "name.rollback", 6 },
        { "one number, another image", "m", 6, 'c', true, "name.contradiction", 6 },
        { "an old number, another image", "m", 5, 'c', true, "name.contradiction", 6 },
        { "said again", "m", 9, 'b', true, NULL, 9 },
        { "it comes to rest", "m", 10, 'c', false, NULL, 10 },
        { "and moves", "m", 11, 'd', true, "name.contradiction", 10 },
        { "another version", "f", 1, 'a', false, NULL, 1 },
        { "a fixed one for another image", "f", 2, 'b', false, "name.contradiction", 1 },
        { "for the same", "f", 3, 'a', false, NULL, 3 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_seen) s = opened(); /* each time from the disk */
        struct xeno_err err = XENO_ERR_INIT;
        int r = take(s, rows[i].version, rows[i].sequence, rows[i].letter, rows[i].moves, &err);

        print_message("%s: %s\n", rows[i].what, err.text);
        assert_int_equal(r == 0, rows[i].token == NULL);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
        assert_int_equal(last_of(s, rows[i].version), rows[i].last);
    }
}

/* Both statements are kept, and anybody can see by them alone that the publisher signed both. */
static void proof(void **state)
{
    xeno_auto(xeno_seen) s = opened();
    xeno_autofree char *path = file_of("p", "proof"), *text = NULL;
    struct xeno_name one, two;
    size_t len;
    char *second;

    (void)state;
    assert_int_equal(take(s, "p", 1, 'a', false, NULL), 0);
    assert_int_equal(take(s, "p", 2, 'b', false, NULL), -EPERM);
    assert_int_equal(xeno_file_read(AT_FDCWD, path, 1 << 16, &text, &len, NULL), 0);
    second = strchr(text, '\n');
    assert_int_equal(xeno_name_read(text, (size_t)(second - text), &one, NULL), 0);
    second++;
    assert_int_equal(xeno_name_read(second, strcspn(second, "\n"), &two, NULL), 0);
    assert_int_equal(xeno_name_compare(&one, &two), XENO_NAME_CONTRADICTS);
}

static void listed(void **state)
{
    xeno_auto(xeno_seen) s = opened();
    xeno_auto(xeno_seen_list) list = NULL;
    size_t kept = 0, last = 0;

    (void)state;
    for (int i = 1; i <= 2 * XENO_SEEN_KEPT; i++)
        assert_int_equal(take(s, "many", i, "ab"[i % 2], true, NULL), 0);
    assert_int_equal(xeno_seen_list(s, &list, NULL), 0);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].n.version, "many") != 0)
            continue;
        assert_int_equal(list->items[i].n.sequence, 2 * XENO_SEEN_KEPT - (int)kept);
        last += list->items[i].last;
        kept++;
    }
    assert_int_equal(kept, XENO_SEEN_KEPT);
    assert_int_equal(last, 1);
}

/* What cannot be read was not forgotten: nothing is taken in its place. */
static void spoilt(void **state)
{
    xeno_auto(xeno_seen) s = opened();
    xeno_auto(xeno_seen_list) list = NULL;
    xeno_autofree char *path = file_of("s", "seen"), *other = file_of("f", "seen"), *text = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;

    (void)state;
    assert_int_equal(take(s, "s", 7, 'a', true, NULL), 0);
    assert_int_equal(take(s, "f", 7, 'a', false, NULL), 0);
    assert_int_equal(xeno_file_read(AT_FDCWD, path, 1 << 16, &text, &len, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(truncate(path, i == 0 ? 0 : (off_t)len / 2), 0);
        if (i == 2) { /* a sound file of another name */
            assert_int_equal(unlink(path), 0);
            assert_int_equal(link(other, path), 0);
        }
        assert_int_equal(take(s, "s", 8, 'a', true, &err), -EBADMSG);
        assert_string_equal(err.token, "name.memory");
    }
    assert_int_equal(xeno_seen_list(s, &list, NULL), 0);
}

static void nothing_there(void **state)
{
    xeno_autofree char *path = xeno_asprintf("%s/none", dir);
    xeno_auto(xeno_seen) s = NULL;
    xeno_auto(xeno_seen_list) list = NULL;

    (void)state;
    assert_int_equal(xeno_seen_open(path, false, &s, NULL), 0);
    assert_int_equal(last_of(s, "m"), 0);
    assert_int_equal(xeno_seen_list(s, &list, NULL), 0);
    assert_int_equal(list->count, 0);
}

/* Take statements from `from` on and say each number when it was taken. */
static void run_taker(int out, int64_t from)
{
    xeno_auto(xeno_seen) s = opened();

    for (int64_t i = from;; i++) {
        if (take(s, "crash", i, "abcd"[i % 4], true, NULL) < 0 ||
            write(out, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

/* Killed anywhere: all that was taken is there, and no more than what was about to be. */
static void killed(void **state)
{
    int64_t said_last = 0;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        xeno_auto(xeno_seen) s = NULL;
        int64_t i, now;
        int p[2];
        pid_t pid;

        assert_int_equal(pipe(p), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            run_taker(p[1], said_last + 1);
        close(p[1]);
        for (int k = 0; k <= round % 5; k++)
            assert_int_equal(read(p[0], &i, sizeof i), sizeof i);
        usleep((useconds_t)(round * 37 % 400));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        said_last = i;
        while (read(p[0], &i, sizeof i) == sizeof i)
            said_last = i;
        close(p[0]);
        s = opened();
        now = last_of(s, "crash");
        assert_true(now == said_last || now == said_last + 1);
        if (now > 1)
            assert_int_equal(take(s, "crash", now - 1, "abcd"[(now - 1) % 4], true, NULL), -EPERM);
        said_last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_sequence), cmocka_unit_test(proof),         cmocka_unit_test(listed),
        cmocka_unit_test(spoilt),      cmocka_unit_test(nothing_there), cmocka_unit_test(killed),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, setup, teardown);
}
