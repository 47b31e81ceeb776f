/* src/xstored/tests/test-crash.c - the process ends at each step that changes the disk: before it,
 * and after it. What was acknowledged is there after the next start, and nothing is half there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "fixture.h"
#include "xstored/upload.h"

#define MT_IMAGE "application/vnd.oci.image.manifest.v1+json"
#define DIED     99

/* --- the steps: linked with --wrap, so that every call of ours comes by here --- */

static atomic_int steps, fatal; /* fatal 0: none is */

static void step(void)
{
    if (atomic_fetch_add(&steps, 1) + 1 == atomic_load(&fatal))
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

int __real_linkat(int from, const char *old, int to, const char *name, int flags);
int __wrap_linkat(int from, const char *old, int to, const char *name, int flags);
int __wrap_linkat(int from, const char *old, int to, const char *name, int flags)
{
    int r;

    step();
    r = __real_linkat(from, old, to, name, flags);
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

int __real_xeno_db_commit(struct xeno_db *db, struct xeno_err *err);
int __wrap_xeno_db_commit(struct xeno_db *db, struct xeno_err *err);
int __wrap_xeno_db_commit(struct xeno_db *db, struct xeno_err *err)
{
    int r;

    step();
    r = __real_xeno_db_commit(db, err);
    step();
    return r;
}

/* --- a life: each act is told to the parent once it is acknowledged --- */

static struct fixture f;
static struct answer a;
static char repo[64], other[64];
static char config[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT], late[XENO_DIGEST_TEXT],
    manifest[XENO_DIGEST_TEXT];
static char *text;
static const char late_text[] = "in two pieces";

enum act { CONFIG, LAYER, MANIFEST, MOUNT, BEGIN, PIECE, LATE, UNTAG, GONE, UNLINK, ACTS };

static int act_manifest(void)
{
    xeno_autofree char *path = xeno_asprintf("/v2/%s/manifests/v1", repo);

    return fixture_ask(
        &f,
        &(struct question){
            .who = ALICE, .method = "PUT", .path = path, .type = MT_IMAGE, .body = text },
        &a);
}

static int do_act(enum act act)
{
    static char upload[512];

    switch (act) {
    case CONFIG:
        return fixture_say(&f, &a, ALICE, "POST", "{}", "/v2/%s/blobs/uploads/?digest=%s", repo,
                           config);
    case LAYER:
        return fixture_say(&f, &a, ALICE, "POST", "layer", "/v2/%s/blobs/uploads/?digest=%s", repo,
                           layer);
    case MANIFEST:
        return act_manifest();
    case MOUNT:
        return fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/?mount=%s&from=%s",
                           other, layer, repo);
    case BEGIN:
        fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo);
        snprintf(upload, sizeof upload, "%s", a.location);
        return a.status;
    case PIECE:
        return fixture_say(&f, &a, ALICE, "PATCH", "in two ", "%s", upload);
    case LATE:
        return fixture_say(&f, &a, ALICE, "PUT", "pieces", "%s?digest=%s", upload, late);
    case UNTAG:
        return fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/v1", repo);
    case GONE:
        return fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/%s", repo, manifest);
    case UNLINK:
        return fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/blobs/%s", repo, layer);
    case ACTS:
        break;
    }
    return 0;
}

/* Until it ends by itself or at the step; in a child. */
static void live(int at, int told)
{
    fixture_connect(&f);
    atomic_store(&steps, 0);
    atomic_store(&fatal, at);
    fixture_start(&f, NULL);
    for (enum act act = CONFIG; act < ACTS; act++) {
        int status = do_act(act);

        if (status / 100 != 2)
            _exit(1);
        if (write(told, "x", 1) != 1)
            _exit(2);
    }
    fixture_stop(&f);
    _exit(0);
}

/* --- afterwards --- */

static int status_of(const char *of, const char *what, const char *name)
{
    return fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/%s/%s", of, what, name);
}

static bool has(const char *of, const char *digest, const char *content)
{
    int status = status_of(of, "blobs", digest);

    if (status != 200)
        return false;
    assert_string_equal(a.body, content);
    return true;
}

/* Every object has the content that its name says, whoever knows of it. */
static void check_objects(void)
{
    xeno_autofree char *path = xeno_asprintf("%s/objects", f.dir);
    DIR *dir = opendir(path);
    const struct dirent *e;

    while (dir && (e = readdir(dir)) != NULL) {
        xeno_autofree char *content = NULL;
        char digest[XENO_DIGEST_TEXT];
        size_t len;

        if (strlen(e->d_name) != 64)
            continue;
        assert_int_equal(xeno_file_read(dirfd(dir), e->d_name, 1 << 20, &content, &len, NULL), 0);
        digest_of(content, len, digest);
        assert_string_equal(digest + strlen("sha256:"), e->d_name);
    }
    if (dir)
        closedir(dir);
}

/* `acts` were acknowledged; the next one may or may not have happened. */
static void check_after(int acts)
{
    bool tagged, there;

    check_objects();
    fixture_start(&f, NULL);
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
    if (acts > CONFIG)
        assert_true(has(repo, config, "{}"));
    if (acts > LAYER && acts <= UNLINK - 1)
        assert_true(has(repo, layer, "layer"));
    tagged = status_of(repo, "manifests", "v1") == 200;
    if (acts > MANIFEST && acts < UNTAG)
        assert_true(tagged);
    if (acts > UNTAG)
        assert_false(tagged);
    there = status_of(repo, "manifests", manifest) == 200;
    if (acts > MANIFEST && acts < GONE)
        assert_true(there);
    if (there)
        assert_string_equal(a.body, text);
    if (acts > GONE)
        assert_false(there);
    if (acts > MOUNT)
        assert_true(has(other, layer, "layer"));
    if (acts > LATE)
        assert_true(has(repo, late, late_text));
    if (acts > UNLINK)
        assert_false(has(repo, layer, "layer"));
    if (acts == PIECE + 1 && !has(repo, late, late_text)) { /* it can be gone on with */
        assert_int_equal(HASH_COUNT(f.d.uploads), 1);
        assert_true(f.d.uploads->size >= (int64_t)strlen("in two "));
    }
    fixture_stop(&f);
}

static int run(int at, int *ret_acts)
{
    int fds[2], status;
    char buf[ACTS];
    ssize_t n;
    pid_t pid;

    *ret_acts = 0;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0)
        live(at, fds[1]);
    close(fds[1]);
    while ((n = read(fds[0], buf, sizeof buf)) > 0)
        *ret_acts += (int)n;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void at_every_step(void **state)
{
    int code, acts, at = 0;

    (void)state;
    fixture_make(&f);
    snprintf(repo, sizeof repo, "%s/web", f.id[ALICE].s);
    snprintf(other, sizeof other, "%s/other", f.id[ALICE].s);
    digest_of("{}", 2, config);
    digest_of("layer", 5, layer);
    digest_of(late_text, strlen(late_text), late);
    text = make_manifest(config, 2, layer, 5, NULL, "x");
    digest_of(text, strlen(text), manifest);
    do {
        fixture_empty(&f);
        code = run(++at, &acts);
        if (code != 0 && code != DIED)
            print_message("step %d: code %d after %d acts\n", at, code, acts);
        assert_true(code == 0 || code == DIED);
        check_after(acts);
    } while (code == DIED);
    print_message("%d steps\n", at - 1);
    assert_in_range(at, 30, 1000); /* there were steps to die at */
    assert_int_equal(acts, ACTS);
    free(text);
    answer_release(&a);
    fixture_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_step),
    };

    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
