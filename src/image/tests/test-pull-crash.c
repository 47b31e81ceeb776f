/* src/image/tests/test-pull-crash.c - a pull ends at each step that changes the disk: before it,
 * and after it. What the store had is there, nothing in it is half there, and the next pull
 * succeeds. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "crypto/key.h"
#include "image/tests/pull-world.h"
#include "image/tests/tar-make.h"

#define DIED 99

/* --- the steps: linked with --wrap, so that every call of ours comes by here --- */

static int steps, fatal; /* fatal 0: none is */
static pid_t puller;     /* the trial of a layer is another's */

static void step(void)
{
    if (getpid() == puller && ++steps == fatal)
        _exit(DIED);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    int r;

    step();
    r = __real_fsync(fd);
    step();
    return r;
}

int __real_renameat(int from, const char *old, int to, const char *name);
int __wrap_renameat(int from, const char *old, int to, const char *name);
int __wrap_renameat(int from, const char *old, int to, const char *name)
{
    int r;

    step();
    r = __real_renameat(from, old, to, name);
    step();
    return r;
}

int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags)
{
    int r;

    step();
    r = __real_unlinkat(fd, name, flags);
    step();
    return r;
}

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    step();
    /* And in the middle of it. */
    if (getpid() == puller && steps + 1 == fatal)
        len = __real_write(fd, data, len / 2) > 0 ? len / 2 : 0;
    else
        return __real_write(fd, data, len);
    step();
    return (ssize_t)len;
}

/* --- a pull in a process of its own --- */

/* Returns: its exit code: 0 it is acknowledged, 1 it failed, DIED at step `at`. */
static int run(struct pull_world *w, const char *digest, bool whole, int at)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct pull_world mine = *w;
        struct xeno_pulled got;
        struct xeno_err err = XENO_ERR_INIT;

        pull_connect(&mine);
        if (xeno_store_open(xeno_store_path(w->ours), XENO_STORE_WRITE, &mine.ours, NULL) < 0)
            _exit(2);
        puller = getpid();
        fatal = at;
        _exit(pull(&mine, digest, whole, &got, &err) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* --- afterwards --- */

/* Every blob has the content that its name says, whoever needs it. */
static void check_blobs(struct pull_world *w)
{
    xeno_autofree char *path = xeno_asprintf("%s/blobs/sha256", xeno_store_path(w->ours));
    DIR *dir = opendir(path);
    const struct dirent *e;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        xeno_autofree char *content = NULL;
        char digest[XENO_DIGEST_TEXT];
        uint8_t sha[32];
        size_t len;

        if (e->d_name[0] == '.')
            continue;
        assert_int_equal(xeno_file_read(dirfd(dir), e->d_name, 64 << 20, &content, &len, NULL), 0);
        xeno_sha256_of(content, len, sha);
        xeno_digest_text(sha, digest);
        assert_string_equal(digest + strlen("sha256:"), e->d_name);
    }
    closedir(dir);
}

static unsigned litter(struct pull_world *w)
{
    xeno_autofree char *path = xeno_asprintf("%s/.tmp", xeno_store_path(w->ours));
    DIR *dir = opendir(path);
    const struct dirent *e;
    unsigned n = 0;

    while (dir && (e = readdir(dir)) != NULL)
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

/* `before` had the name; the pull of `digest` was acknowledged or not. */
static bool check_name(struct pull_world *w, const char *before, const char *digest, bool told)
{
    xeno_auto(xeno_image) im = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    assert_int_equal(xeno_store_resolve(w->ours, "t", NULL, &im, &err), 0);
    assert_int_equal(xeno_store_verify(w->ours, "t", NULL, &err), 0);
    if (strcmp(im->digest, digest) == 0)
        return true;
    assert_false(told);
    assert_string_equal(im->digest, before);
    return false;
}

static void at_every_step(struct pull_world *w, bool whole)
{
    char digest[XENO_DIGEST_TEXT], before[XENO_DIGEST_TEXT];
    int at = 0, code, littered = 0, late = 0;

    for (size_t i = 0; i < FILES; i++) { /* a small one: it is pulled often */
        files[i].there = i < 8;
        files[i].size %= 20000;
    }
    make_image(w->theirs, "t", digest);
    assert_int_equal(run(w, digest, whole, 0), 0);
    do {
        struct xeno_store_collected gone;

        memcpy(before, digest, sizeof before);
        files[at % 3].mode ^= 0111;
        files[3] = (struct pull_file){ true, 0644, 5000, (uint64_t)(1000 + at) };
        make_image(w->theirs, "t", digest);
        code = run(w, digest, whole, ++at);
        assert_true(code == 0 || code == DIED);
        check_blobs(w);
        late += check_name(w, before, digest, code == 0) && code == DIED;
        littered += litter(w) > 0;
        /* What it left is no burden, and no help, to the next. */
        assert_int_equal(xeno_store_collect(w->ours, true, &gone, NULL), 0);
        assert_int_equal(litter(w), 0);
        assert_int_equal(run(w, digest, whole, 0), 0);
        assert_true(check_name(w, before, digest, true));
    } while (code == DIED);
    print_message("%d steps; %d times there was litter, %d times it was there all the same\n",
                  at - 1, littered, late);
    assert_in_range(at, 25, 1000); /* there were steps to die at */
    assert_in_range(littered, 5, at);
    assert_in_range(late, 1, at / 2);
}

static void by_pieces(void **state)
{
    if (!can_confine())
        skip();
    at_every_step(*state, false);
}

static void in_whole(void **state)
{
    if (!can_confine())
        skip();
    at_every_step(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_pieces, pull_setup, pull_teardown),
        cmocka_unit_test_setup_teardown(in_whole, pull_setup, pull_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
